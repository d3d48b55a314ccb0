"""Drawing: a picture in every format, computed when it is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import Any

from micrograd.atomic import write_bytes
from micrograd.draw import dot, mermaid, svg
from micrograd.draw.scene import Scene
from micrograd.draw.text import plain, xml

FORMATS = (".svg", ".html", ".mmd", ".dot", ".png")
FRAME = 620  # height of the page in a notebook, in pixels


class Drawing:
    """What `mg.draw` returns: `.svg`, `.html`, `.mermaid`, `.dot` are texts, `.save` writes a file.

    In a notebook it shows itself: as the page that can be stepped through, or as SVG.

    >>> drawing = mg.draw(Value(2.0, label="x") * 3)
    >>> drawing.save("product.svg"); drawing.mermaid[:9]
    '%% result'
    """

    def __init__(self, scene: Scene, page: Callable[[], str]) -> None:
        self._scene = scene
        self._page = page

    @property
    def title(self) -> str:
        """What is drawn, and how large it is."""
        return self._scene.title

    @property
    def notes(self) -> tuple[str, ...]:
        """The sentences below the drawing: what is hidden, and what else one must know."""
        return tuple(self._scene.notes)

    @cached_property
    def svg(self) -> str:
        """An SVG file; light or dark by the reader's setting, light on paper."""
        return svg.render(self._scene)

    @cached_property
    def html(self) -> str:
        """The page to step through: one file that loads nothing."""
        return self._page()

    @cached_property
    def mermaid(self) -> str:
        """A flowchart in Mermaid's language."""
        return mermaid.render(self._scene)

    @cached_property
    def dot(self) -> str:
        """A digraph in Graphviz' language."""
        return dot.render(self._scene)

    def png(self) -> bytes:
        """A picture of dots, light, two for each pixel.

        Raises:
            ImportError: matplotlib is not installed; says how to install it.
            ValueError: the drawing is too large; says what to save instead.
        """
        from micrograd.draw import png

        return png.render(self._scene)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a file; the ending names the format: .svg, .html, .mmd, .dot or .png.

        A file that is there is replaced, and only once the new one is complete.

        Raises:
            ValueError: another ending, or too large for .png.
            ImportError: .png without matplotlib.
            OSError: the file cannot be written.

        >>> mg.draw(Value(2.0) * 3).save("product.html")
        """
        name = os.fspath(path)
        ending = os.path.splitext(name)[1].lower()
        if ending not in FORMATS:
            raise ValueError(
                f"Drawing.save: {name!r} ends in {ending or 'nothing'}, "
                f"one of {', '.join(FORMATS)} is wanted"
            )
        content: Any = {
            ".svg": lambda: self.svg,
            ".html": lambda: self.html,
            ".mmd": lambda: self.mermaid,
            ".dot": lambda: self.dot,
            ".png": self.png,
        }[ending]()
        data = content if isinstance(content, bytes) else content.encode("utf-8")
        write_bytes(path, data)

    def __repr__(self) -> str:
        return f"Drawing({plain(self.title)})"

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        frame = f"width:100%;height:{FRAME}px;border:0"
        return (
            f'<iframe title="{xml(self.title)}" style="{frame}" srcdoc="{xml(self.html)}"></iframe>'
        )
