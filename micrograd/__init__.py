"""micrograd: backpropagation that a person can read, with a C core that beats the frameworks.

`import micrograd as mg` offers the names below; each module is loaded when one of its names is
first used, so that the scalar engine needs no numpy and the import costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    name: module
    for module, names in {
        "micrograd.engine": "Value grad no_grad",
        "micrograd.functions": "dot maximum minimum softmax sum where",
        "micrograd.function": "Function",
        "micrograd.gradcheck": "GradcheckError gradcheck gradgradcheck",
        "micrograd.watch": "AnomalyError detect_anomaly",
        "micrograd.blocks": "DenseBlock Highway Residual",
        "micrograd.clip": "clip_grad_norm_ clip_grad_value_",
        "micrograd.core": "get_num_threads isa set_num_threads",
        "micrograd.layers": "Dropout GELU Identity LeakyReLU Linear Map ReLU Sigmoid Softmax Tanh",
        "micrograd.network": "Network",
        "micrograd.parameters": "Parameter",
        "micrograd.restore": "load",
        "micrograd.stopping": "EarlyStopping",
        "micrograd.tape": "Program compile",
        "micrograd.callbacks": "TrainingState",
        "micrograd.history": "History",
    }.items()
    for name in names.split()
}
_SUBMODULES = (
    "constraints",
    "blocks",
    "checkpoint",
    "convert",
    "core",
    "data",
    "diagnose",
    "engine",
    "func",
    "layers",
    "losses",
    "nn",
    "optim",
    "schedule",
    "save",
    "tape",
    "train",
)

__all__ = [
    "GELU",
    "AnomalyError",
    "DenseBlock",
    "Dropout",
    "EarlyStopping",
    "Function",
    "GradcheckError",
    "Highway",
    "History",
    "Identity",
    "LeakyReLU",
    "Linear",
    "Map",
    "Network",
    "Parameter",
    "Program",
    "ReLU",
    "Residual",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "TrainingState",
    "Value",
    "__version__",
    "clip_grad_norm_",
    "clip_grad_value_",
    "compile",
    "detect_anomaly",
    "diagnose",
    "dot",
    "get_num_threads",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "isa",
    "load",
    "maximum",
    "minimum",
    "no_grad",
    "set_num_threads",
    "softmax",
    "sum",
    "where",
]

if TYPE_CHECKING:
    from micrograd.blocks import DenseBlock, Highway, Residual
    from micrograd.callbacks import TrainingState
    from micrograd.clip import clip_grad_norm_, clip_grad_value_
    from micrograd.core import get_num_threads, isa, set_num_threads
    from micrograd.engine import Value, grad, no_grad
    from micrograd.function import Function
    from micrograd.functions import dot, maximum, minimum, softmax, sum, where
    from micrograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
    from micrograd.history import History
    from micrograd.layers import (
        GELU,
        Dropout,
        Identity,
        LeakyReLU,
        Linear,
        Map,
        ReLU,
        Sigmoid,
        Softmax,
        Tanh,
    )
    from micrograd.network import Network
    from micrograd.parameters import Parameter
    from micrograd.restore import load
    from micrograd.stopping import EarlyStopping
    from micrograd.tape import Program, compile
    from micrograd.watch import AnomalyError, detect_anomaly


def __getattr__(name: str) -> Any:
    if name in _HOME:
        module = import_module(_HOME[name])
        # All its names at once: importing micrograd.gradcheck has set `gradcheck` to that module.
        for each, home in _HOME.items():
            if home == _HOME[name]:
                globals()[each] = getattr(module, each)
    elif name in _SUBMODULES:
        globals()[name] = import_module(f"micrograd.{name}")
    else:
        raise AttributeError(f"module 'micrograd' has no attribute {name!r}")
    return globals()[name]


def __dir__() -> list[str]:
    return sorted([*__all__, *_SUBMODULES])
