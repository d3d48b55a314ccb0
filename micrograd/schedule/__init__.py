"""Learning-rate schedules: functions of the step, to be an optimizer's `lr`; they compose.

    SGD(params, lr=Warmup(Cosine(0.1, steps=1000), 100))
    SGD(params, lr=Sequence((100, Linear(0.0, 0.1, 100)), (None, Exponential(0.1, 0.999))))
    SGD(params, lr=Product(OneCycle(0.1, 500), Step(1.0, 200, 0.5)))

A schedule is a frozen dataclass of numbers and further schedules: equal settings are equal
schedules, and a model file holds them by name and fields. Steps count from 0, as `optimizer.steps`
does. Where PyTorch has the same schedule the numbers are its numbers; it counts epochs or steps, as
its caller does, so multiply by the steps of an epoch to have the former.
"""

from micrograd.schedule.base import Constant, Product, Schedule
from micrograd.schedule.curves import (
    Cosine,
    CosineRestarts,
    Exponential,
    Linear,
    MultiStep,
    Step,
)
from micrograd.schedule.cycle import OneCycle, OneCycleMomentum
from micrograd.schedule.joined import Sequence, Warmup
from micrograd.schedule.plateau import ReduceOnPlateau

__all__ = [
    "Constant",
    "Cosine",
    "CosineRestarts",
    "Exponential",
    "Linear",
    "MultiStep",
    "OneCycle",
    "OneCycleMomentum",
    "Product",
    "ReduceOnPlateau",
    "Schedule",
    "Sequence",
    "Step",
    "Warmup",
]
