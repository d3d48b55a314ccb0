"""Clipping: gradients held to a norm or a range, of a model's parameters or of a list of Values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from micrograd import checks, core
from micrograd.core import lib
from micrograd.parameters import Parameters

__all__ = ["clip_grad_norm_", "clip_grad_value_"]


def clip_grad_norm_(
    params: Parameters | Iterable[Any],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> float:
    """Scales the gradients so that their norm, over all parameters together, is at most max_norm.

    g *= min(1, max_norm / (norm + 1e-6)), norm = (sum |g|^p)^(1/p), as PyTorch has it. The norm is
    summed in float64 and relative to the largest |g| where squares would leave its range, so that
    gradients of 1e30 in float32 have the norm they have. A norm of infinity or NaN makes gradients
    of 0 and NaN, as in PyTorch, unless error_if_nonfinite.

    Args:
        params: model.parameters(), or a list of Values.
        max_norm: 0 or more; infinity only measures.
        norm_type: p, more than 0; infinity for the largest |g|.
        error_if_nonfinite: raise instead.

    Returns:
        The norm before.

    Raises:
        TypeError, ValueError: arguments out of their range; the gradients are as before.
        RuntimeError: the norm is not finite, and error_if_nonfinite is true; the same.

    Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks"
    (2013), algorithm 1.

    >>> from micrograd import Value
    >>> v = Value(1.0); (4 * v).backward()
    >>> clip_grad_norm_([v], 1.0)
    4.0
    >>> round(v.grad, 6)
    1.0
    """
    where = "clip_grad_norm_"
    max_norm = checks.number(where, "max_norm", max_norm, most=math.inf)
    norm_type = checks.number(where, "norm_type", norm_type, above=0, most=math.inf)
    params = _checked_params(where, params)
    if isinstance(params, Parameters):
        params.settle()
        norm = lib.mg_norm(*_arguments(params), norm_type)
    else:
        norm = _norm([p.grad for p in params], norm_type)
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(
            f"{where}: the norm of the gradients is {norm}; "
            "with error_if_nonfinite=False they are clipped all the same"
        )
    scale = max_norm / (norm + 1e-6)
    if not scale >= 1:
        if isinstance(params, Parameters):
            lib.mg_clip(*_arguments(params), scale, math.inf)
        else:
            for p in params:
                p.grad *= scale
    return float(norm)


def clip_grad_value_(params: Parameters | Iterable[Any], clip_value: float) -> None:
    """Holds each gradient within +-clip_value. A NaN stays one.

    Args:
        params: model.parameters(), or a list of Values.
        clip_value: 0 or more.

    Raises:
        TypeError, ValueError: arguments out of their range; the gradients are as before.
    """
    where = "clip_grad_value_"
    clip_value = checks.number(where, "clip_value", clip_value, most=math.inf)
    params = _checked_params(where, params)
    if isinstance(params, Parameters):
        params.settle()
        lib.mg_clip(*_arguments(params), 1.0, clip_value)
        return
    for p in params:
        if abs(p.grad) > clip_value:
            p.grad = math.copysign(clip_value, p.grad)


def _arguments(params: Parameters) -> tuple[Any, ...]:
    return core.ISA_CODE, params.dtype_code, params.size, params.grad_pointer


def _checked_params(where: str, params: Any) -> Parameters | list[Any]:
    if isinstance(params, Parameters):
        return params
    if hasattr(params, "data") and hasattr(params, "grad"):
        params = [params]
    values: list[Any] = list(params) if isinstance(params, Iterable) else [None]
    if not all(hasattr(p, "data") and hasattr(p, "grad") for p in values):
        raise TypeError(f"{where}: params is neither model.parameters() nor a list of Values")
    if any(isinstance(p.grad, np.ndarray) for p in values):
        raise TypeError(f"{where}: params is a part of model.parameters(); give it all of them")
    return values


def _norm(gradients: list[float], p: float) -> float:
    """(sum |g|^p)^(1/p), relative to the largest."""
    if any(math.isnan(g) for g in gradients):
        return math.nan
    most = max((abs(g) for g in gradients), default=0.0)
    if p == math.inf or most == 0 or most == math.inf:
        return most
    return float(most * math.fsum((abs(g) / most) ** p for g in gradients) ** (1 / p))
