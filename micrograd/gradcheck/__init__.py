"""gradcheck and gradgradcheck: derivatives compared with finite differences.

`micrograd.gradcheck` is this room, and can be called as the function of its name.
"""

from __future__ import annotations

import inspect
import sys
from types import ModuleType

from micrograd.gradcheck.check import gradcheck, gradgradcheck
from micrograd.gradcheck.differences import GradcheckError

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class _CallableModule(ModuleType):
    """A module that is called as its function, and shows that one's arguments."""

    __call__ = staticmethod(gradcheck)


__signature__ = inspect.signature(gradcheck)
sys.modules[__name__].__class__ = _CallableModule
