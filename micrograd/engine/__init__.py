"""The scalar graph: Values, their ops and derivatives. Only the standard library is used."""

from micrograd.engine.custom import Function
from micrograd.engine.derivatives import grad
from micrograd.engine.functions import dot, maximum, minimum, softmax, sum, where
from micrograd.engine.modes import enable_grad, no_grad
from micrograd.engine.value import Value
from micrograd.engine.watch import AnomalyError, detect_anomaly

__all__ = [
    "AnomalyError",
    "Function",
    "Value",
    "detect_anomaly",
    "dot",
    "enable_grad",
    "grad",
    "maximum",
    "minimum",
    "no_grad",
    "softmax",
    "sum",
    "where",
]
