"""An optimizer's settings: checked when they are set, kept where the C core reads them.

A setting is an attribute of an optimizer, and an entry of its groups; a group that has not been
given its own follows the optimizer. Numbers may be functions of the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any

from micrograd import checks
from micrograd.core import ffi

Rate = float | Callable[[int], float]


class Holder:
    """Settings of an optimizer, or of one of its groups.

    c: the C core's struct; numbers: what lies in it by name, without the factor of the learning
    rate; schedules: functions of the step for some of them. following: the holders of an optimizer
    that have some, which is what a step has to ask for; this one stands in it while it has.
    """

    def __init__(self, c: Any, following: list[Holder]) -> None:
        self.c = c
        self._following = following
        self.numbers: dict[str, float] = {}
        self.schedules: dict[str, Callable[[int], float]] = {}
        self.factor = 1.0  # of the learning rate

    def put(self, values: dict[str, Any]) -> None:
        """Takes over numbers, and functions of the step, that have been checked."""
        for field, value in values.items():
            if callable(value):
                self.schedules[field] = value
            else:
                self.schedules.pop(field, None)
                self._write(field, value)
        others = [holder for holder in self._following if holder is not self]
        self._following[:] = [*others, self] if self.schedules else others

    def _write(self, field: str, value: float) -> None:
        self.numbers[field] = value
        setattr(self.c, field, value * self.factor if field == "lr" else value)

    def follow(self, step: int) -> None:
        """Has the functions say what the numbers of this step are."""
        for field, function in self.schedules.items():
            self._write(field, _of_step(field, function, step))

    def value(self, field: str) -> Any:
        """A number, or the function that it comes from."""
        return self.schedules.get(field, self.numbers.get(field))


def _of_step(field: str, function: Callable[[int], float], step: int) -> float:
    """What a function of the step says."""
    given: Any = function(step)
    try:
        value = float(given)
    except (TypeError, ValueError):
        value = -math.inf
    if value < 0:
        raise (ValueError if checks.is_number(given) else TypeError)(
            f"optimizer: {field} in step {step} is {checks.describe(given)}, which {function!r} "
            "gives; a number, 0 or more, is wanted"
        )
    return value


class Setting:
    """A setting that lies in the C core's struct: a number of 0 or more, or a function of the step.

    below: the number is less than that. state: (its place in the struct, its name) of the array
    that this setting needs once it is not 0. field: its name in the struct, if it is another.
    """

    def __init__(
        self, below: float = math.inf, state: tuple[int, str] | None = None, field: str = ""
    ) -> None:
        self.below, self.state, self.field = below, state, field
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name, self.field = name, self.field or name

    def __get__(self, optimizer: Any, owner: type) -> Any:
        return self if optimizer is None else self.read(optimizer.settings)

    def __set__(self, optimizer: Any, value: Any) -> None:
        values = self.parse(type(optimizer).__name__, value)
        self.prepare(optimizer, values)
        for holder in (optimizer.settings, *optimizer.followers(self.name)):
            holder.put(values)

    def parse(self, where: str, value: Any) -> dict[str, Any]:
        """The value as fields of the struct.

        Raises:
            TypeError, ValueError: it is no number, or out of its range.
        """
        if isinstance(value, type):
            raise TypeError(
                f"{where}: {self.name} is the class {value.__name__}; write {value.__name__}(...)"
            )
        if callable(value):
            return {self.field: value}
        return {self.field: checks.number(where, self.name, value, 0, self.below)}

    def read(self, holder: Holder) -> Any:
        """The value that parse was given."""
        return holder.value(self.field)

    def prepare(self, optimizer: Any, values: dict[str, Any]) -> None:
        """Gives the optimizer the state that these values need."""
        if self.state and any(values.values()) and self.state[1] not in optimizer.state:
            optimizer.add_state(*self.state)


class Flag(Setting):
    """A setting that is true or false."""

    def parse(self, where: str, value: Any) -> dict[str, Any]:
        return {self.field: int(checks.flag(where, self.name, value))}

    def read(self, holder: Holder) -> bool:
        return bool(holder.value(self.field))


class Betas(Setting):
    """What is kept of the means of g and of g^2 from step to step, each 0 or more and below 1."""

    def parse(self, where: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
            raise TypeError(
                f"{where}: betas is {checks.describe(value)}, a pair of numbers is wanted"
            )
        return {
            f"beta{i + 1}": x if callable(x) else checks.number(where, f"betas[{i}]", x, 0, 1)
            for i, x in enumerate(value)
        }

    def read(self, holder: Holder) -> tuple[Any, Any]:
        return holder.value("beta1"), holder.value("beta2")


class Group(Holder, MutableMapping[str, Any]):
    """Some of an optimizer's parameters and their settings: an entry of its `param_groups`.

    "params" are the parameters; the other keys are the optimizer's settings, and "lr_factor", which
    multiplies the learning rate of this group, whatever schedule it follows. What has not been set
    here follows the optimizer.
    """

    def __init__(self, optimizer: Any, numbers: list[int], c: Any) -> None:
        Holder.__init__(self, c, optimizer.following)
        self.optimizer = optimizer
        self.members = numbers  # of the optimizer's items
        self.own: set[str] = set()
        self.alone = c is optimizer.c  # one group: its settings are the optimizer's

    def __getitem__(self, name: str) -> Any:
        if name == "params":
            return [self.optimizer.items[i] for i in self.members]
        if name == "lr_factor":
            return self.factor
        setting = self._setting(name)
        return setting.read(self.optimizer.settings if self.alone else self)

    def __setitem__(self, name: str, value: Any) -> None:
        where = f"{type(self.optimizer).__name__}.param_groups"
        if name == "lr_factor":
            self._scale(checks.number(where, name, value))
            return
        setting = self._setting(name)
        if self.alone:
            setting.__set__(self.optimizer, value)
            return
        values = setting.parse(where, value)
        setting.prepare(self.optimizer, values)
        self.put(values)
        self.own.add(name)

    def own_settings(self) -> dict[str, Any]:
        """What has been set here and does not follow the optimizer."""
        own = {name: self[name] for name in self if name in self.own}
        return own | ({"lr_factor": self.factor} if self.factor != 1 else {})

    def _scale(self, factor: float) -> None:
        holder = self.optimizer.settings if self.alone else self
        self.factor = holder.factor = factor
        if "lr" in holder.numbers:
            holder.put({"lr": holder.numbers["lr"]} if "lr" not in holder.schedules else {})

    def _setting(self, name: str) -> Setting:
        found = self.optimizer.known_settings().get(name)
        if found is None:
            known = ", ".join(self)
            raise KeyError(f"{type(self.optimizer).__name__} has no setting {name!r}: {known}")
        return found  # type: ignore[no-any-return]

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"{type(self.optimizer).__name__}.param_groups: {name!r} cannot be removed")

    def __iter__(self) -> Iterator[str]:
        return iter(("params", *self.optimizer.known_settings(), "lr_factor"))

    def __len__(self) -> int:
        return 2 + len(self.optimizer.known_settings())

    def __repr__(self) -> str:
        shown = ", ".join(f"{name!r}: {self[name]!r}" for name in self if name != "params")
        return f"{{'params': {len(self.members)} parameters, {shown}}}"


def new_struct(kind: int, isa: int) -> Any:
    """The C core's struct of an optimizer, with nothing to work on yet."""
    c = ffi.new("mg_optimizer *")
    c.kind, c.isa, c.largest, c.momentum_product = kind, isa, math.inf, 1.0
    return c
