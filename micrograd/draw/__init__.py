"""Pictures of graphs and networks, and pages to step through them.

`micrograd.draw` is this room, and can be called as the function of its name.
"""

from __future__ import annotations

import inspect
import sys
from types import ModuleType

from micrograd.draw.drawing import Drawing
from micrograd.draw.function import draw

__all__ = ["Drawing", "draw"]


class _CallableModule(ModuleType):
    """A module that is called as its function, and shows that one's arguments."""

    __call__ = staticmethod(draw)


__signature__ = inspect.signature(draw)
sys.modules[__name__].__class__ = _CallableModule
