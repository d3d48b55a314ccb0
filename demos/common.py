"""What the demos share: their options, where pictures go, text and numbers on lines of 100."""

import argparse
import sys
import textwrap
from pathlib import Path

IN_NOTEBOOK = "ipykernel" in sys.modules


def options(doc, **integers):
    """The command line's options: --save FOLDER, and one for each integer; in a notebook none."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--save", metavar="FOLDER", type=Path, help="where its picture goes")
    for name, default in integers.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    return parser.parse_args([] if IN_NOTEBOOK else None)


def save(options, name, picture):
    """Writes a drawing or a matplotlib Figure to the folder of --save, else to demos/pictures.

    picture: it, or a function that makes it, for where matplotlib may be missing.
    """
    folder = options.save or Path(__file__).resolve().parent / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        picture = picture() if callable(picture) else picture
    except ImportError as error:
        print(f"no picture: {error}")
        return
    path = folder / name
    if hasattr(picture, "savefig"):
        picture.savefig(path, dpi=150)
    else:
        picture.save(path)
    print(f"wrote {folder.name}/{name}")
    if IN_NOTEBOOK and path.suffix in (".svg", ".png"):
        from IPython.display import SVG, Image, display

        display(SVG(str(path)) if path.suffix == ".svg" else Image(str(path), width=700))


def wrapped(text):
    """Lines of at most 100 characters."""
    return "\n".join(
        textwrap.fill(line, 100, subsequent_indent="      ", break_on_hyphens=False)
        for line in str(text).splitlines()
    )


def torch():
    """PyTorch, or None where it is not installed: what is compared with it is left out."""
    try:
        import torch
    except ImportError:
        return None
    return torch


def curves(panels, xlabel, xscale="linear", yscale="log"):
    """A Figure of lines: {title of a panel: {label: (x, y)}}."""
    from micrograd.plot.style import marks, picture

    with picture(None, len(panels)) as (figure, axes):
        for axis, (title, lines) in zip(axes, panels.items(), strict=True):
            for number, (label, (x, y)) in enumerate(lines.items()):
                dots = {"ms": 4} if len(x) <= 70 else {"ms": 0}
                style = ("-", "--", ":", "-.")[number % 4]
                axis.plot(x, y, label=label, linestyle=style, **marks(number), **dots)
            axis.set(title=title, xlabel=xlabel, xscale=xscale, yscale=yscale)
            if xscale == "log":
                axis.xaxis.set_minor_formatter("")  # the labels of 2, 3, 4 ... would touch
            elif all(isinstance(at, int) for x, _ in lines.values() for at in x):
                axis.xaxis.get_major_locator().set_params(integer=True)
            axis.grid(alpha=0.3)
            axis.legend()
    return figure
