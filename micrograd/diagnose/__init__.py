"""Does the gradient reach every layer?

`micrograd.diagnose` is this room, and can be called as the function of its name.
"""

from __future__ import annotations

import inspect
import sys
from types import ModuleType

from micrograd.diagnose.report import Diagnosis, LayerFlow, Monitor, diagnose

__all__ = ["Diagnosis", "LayerFlow", "Monitor", "diagnose"]


class _CallableModule(ModuleType):
    """A module that is called as its function, and shows that one's arguments."""

    __call__ = staticmethod(diagnose)


__signature__ = inspect.signature(diagnose)
sys.modules[__name__].__class__ = _CallableModule
