"""What a command needs beyond numpy, asked for at once: each installation builds the core again."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any

PACKAGES = {  # by extra: what is imported, and what it is called
    "table": {"pandas": "pandas", "sklearn": "scikit-learn"},
    "save": {"safetensors": "safetensors"},
    "onnx": {"onnx": "onnx"},
    "torch": {"torch": "PyTorch"},
    "plot": {"matplotlib": "matplotlib"},
}


def require(where: str, **extras: Any) -> None:
    """Raises ImportError where packages of extras that are wanted, which are true, are not
    installed; says what to install."""
    absent = lacking(**extras)
    names = [name for each in absent.values() for name in each]
    if names:
        raise ImportError(
            f"{where} needs {', '.join(names)}: pip install 'micrograd-core[{','.join(absent)}]'"
        )


def lacking(**extras: Any) -> dict[str, list[str]]:
    """The names of packages that are not installed, by extra, of the extras that are true."""
    absent = {
        extra: [name for module, name in PACKAGES[extra].items() if not _is_there(module)]
        for extra, is_wanted in extras.items()
        if is_wanted
    }
    return {extra: names for extra, names in absent.items() if names}


def _is_there(module: str) -> bool:
    if module in sys.modules:
        return sys.modules[module] is not None
    return find_spec(module) is not None
