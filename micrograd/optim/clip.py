"""Clipping: gradients held to a norm or a range, of parameters of a model or of Values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from micrograd import checks, core
from micrograd.core import ffi, lib
from micrograd.optim.chosen import Chosen, choose
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
        params: model.parameters(), some of them, or a list of Values.
        max_norm: 0 or more; infinity only measures.
        norm_type: p, more than 0; infinity for the largest |g|, -infinity for the smallest, 0 for
            the number of gradients that are not 0.
        error_if_nonfinite: raise instead.

    Returns:
        The norm before.

    Raises:
        TypeError, ValueError: arguments out of their range; the gradients are as before.
        RuntimeError: the norm is not finite, and error_if_nonfinite is true; the same. Or another
            thread is training the model.

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
    if norm_type != -math.inf:
        norm_type = checks.number(where, "norm_type", norm_type, most=math.inf)
    raises = checks.flag(where, "error_if_nonfinite", error_if_nonfinite)
    chosen = choose(where, params)
    with _alone(where, chosen):
        norm = _norm(chosen, norm_type)
        if raises and not math.isfinite(norm):
            raise RuntimeError(
                f"{where}: the norm of the gradients is {norm}; "
                "with error_if_nonfinite=False they are clipped all the same"
            )
        scale = max_norm / (norm + 1e-6)
        if not scale >= 1:
            _scale(chosen, scale, math.inf)
    return float(norm)


def clip_grad_value_(params: Parameters | Iterable[Any], clip_value: float) -> None:
    """Holds each gradient within +-clip_value. A NaN stays one.

    Args:
        params: model.parameters(), some of them, or a list of Values.
        clip_value: 0 or more.

    Raises:
        TypeError, ValueError: arguments out of their range; the gradients are as before.
        RuntimeError: another thread is training the model.

    >>> w = Value(1.0)
    >>> (5 * w).backward(); mg.clip_grad_value_([w], 2.0); w.grad
    2.0
    """
    where = "clip_grad_value_"
    clip_value = checks.number(where, "clip_value", clip_value, most=math.inf)
    chosen = choose(where, params)
    with _alone(where, chosen):
        _scale(chosen, 1.0, clip_value)


def _alone(where: str, chosen: Chosen) -> AbstractContextManager[None]:
    """No other thread trains the model inside.

    Raises:
        RuntimeError: one does.
    """
    return nullcontext() if chosen.owner is None else chosen.owner.access.training(where)


def _parts(owner: Parameters, chosen: Chosen) -> Iterator[tuple[Any, ...]]:
    """What the C core wants to know of the gradients of each span."""
    owner.settle()
    if chosen.spans is None:
        yield core.ISA_CODE, owner.dtype_code, owner.size, owner.grad_pointer
        return
    for part in chosen.gradients(owner):
        yield core.ISA_CODE, owner.dtype_code, part.size, ffi.from_buffer(part)


def _norm(chosen: Chosen, p: float) -> float:
    """(sum |g|^p)^(1/p) over all gradients."""
    owner = chosen.owner
    if owner is None:
        return _norm_of([abs(float(v.grad)) for v in chosen.items], p)
    if p > 0:
        norms = [float(lib.mg_norm(*part, p)) for part in _parts(owner, chosen)]
        return norms[0] if len(norms) == 1 else _norm_of(norms, p)
    sizes = [np.abs(part) for part in chosen.gradients(owner)]
    if p == 0:
        return float(sum(np.count_nonzero(size) for size in sizes))
    return float(min(size.min() for size in sizes))


def _norm_of(sizes: list[float], p: float) -> float:
    """(sum x^p)^(1/p) of numbers that are 0 or more, relative to the largest."""
    if p == 0:
        return float(sum(size != 0 for size in sizes))
    if any(map(math.isnan, sizes)):
        return math.nan
    if p == -math.inf:
        return min(sizes)
    most = max(sizes)
    if p == math.inf or most == 0 or most == math.inf:
        return most
    return float(most * math.fsum((size / most) ** p for size in sizes) ** (1 / p))


def _scale(chosen: Chosen, scale: float, bound: float) -> None:
    """Multiplies the gradients by a number, and then holds them within +-bound."""
    if chosen.owner is not None:
        for part in _parts(chosen.owner, chosen):
            lib.mg_clip(*part, scale, bound)
        return
    for v in chosen.items:
        g = v.grad * scale
        v.grad = math.copysign(bound, g) if abs(g) > bound else g
