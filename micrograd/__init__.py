"""micrograd: backpropagation that a person can read, with a C core that beats the frameworks.

`import micrograd as mg` offers the names below; each room is loaded when one of its names is
first used, so that the scalar engine needs no numpy and the import costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Room by room, the names that `mg.` offers; `__init__.pyi` tells type checkers.
_NAMES = {
    "engine": """AnomalyError Function Value detect_anomaly dot enable_grad grad maximum minimum
        no_grad softmax sum where""",
    "gradcheck": "GradcheckError gradgradcheck",
    "program": "Program RecordingError compile",
    "core": "get_num_threads isa set_num_threads",
    "parameters": "Parameter",
    "network": """DenseBlock Dropout ELU Embedding GELU Highway Identity LeakyReLU Linear Map Mish
        Network Parametric Periodic PiecewiseLinear Poisson Predictor Quantile ReLU Residual SELU
        Scale SiLU Sigmoid Softmax Softplus Tanh predict_many""",
    "optim": "clip_grad_norm_ clip_grad_value_",
    "saving": "load save",
    "training": "EarlyStopping History TrainingState fit_many",
}
_HOME = {name: room for room, names in _NAMES.items() for name in names.split()}
_ROOMS = """checkpoint convert core data diagnose distributed draw engine func gradcheck
    network nn optim plot program schedule sklearn tabular training""".split()  # noqa: SIM905

__all__ = sorted([*_HOME, "__version__", "diagnose", "draw", "gradcheck"])


def __getattr__(name: str) -> Any:
    if name in _HOME:
        module = import_module(f"micrograd.{_HOME[name]}")
        globals()[name] = getattr(module, name)
    elif name in _ROOMS:
        globals()[name] = import_module(f"micrograd.{name}")
    else:
        raise AttributeError(f"module 'micrograd' has no attribute {name!r}{_near(name)}")
    return globals()[name]


def _near(name: str) -> str:
    """Which name may have been meant, in words."""
    same = [known for known in __dir__() if known.lower() == name.lower()]
    if not same and not name.startswith("_"):
        from difflib import get_close_matches

        same = get_close_matches(name, __dir__(), 1, 0.75)
    return f"; did you mean {same[0]!r}?" if same else ""


def __dir__() -> list[str]:
    return sorted({*_HOME, *_ROOMS, "__version__"})
