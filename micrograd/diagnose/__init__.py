"""Does the gradient reach every layer of a network? Section 7 and 8 of the documents.

    print(mg.diagnose(net, X, y))                         a table and a verdict
    net.fit(X, y, callbacks=mg.diagnose.Monitor(X, y))    one after each epoch

`micrograd.diagnose` is this room, and can be called as the function of its name.
"""

from __future__ import annotations

import inspect
import sys
from types import ModuleType

from micrograd.diagnose.measure import diagnose
from micrograd.diagnose.monitor import Monitor
from micrograd.diagnose.report import Diagnosis, LayerFlow

__all__ = ["Diagnosis", "LayerFlow", "Monitor", "diagnose"]


class _CallableModule(ModuleType):
    """A module that is called as its function, and shows that one's arguments."""

    __call__ = staticmethod(diagnose)


__signature__ = inspect.signature(diagnose)
sys.modules[__name__].__class__ = _CallableModule
