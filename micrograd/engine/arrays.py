"""Arrays of Values: a Value among the elements of numpy's arrays.

numpy is not imported here. It calls, and is loaded by then.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from micrograd.engine.node import Node


def is_array(x: object) -> bool:
    """Whether x is an array of numpy, or something that handles numpy's functions like one."""
    return getattr(type(x), "__array_ufunc__", None) is not None


def apply_to_elements(
    ufunc: Any, method: str, inputs: Sequence[Any], keywords: Mapping[str, Any]
) -> Any:
    """A function of numpy where a Value is among its arguments: element by element, as Python has
    it, so that `array * x` is an array of Values. Between numbers and Values alone it is a Value.
    """
    numpy = sys.modules["numpy"]
    boxed = []
    for x in inputs:
        if isinstance(x, Node):
            box = numpy.empty((), dtype=object)
            box[()] = x
            x = box
        boxed.append(x)
    return getattr(ufunc, method)(*boxed, **keywords)
