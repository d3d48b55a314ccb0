"""What the optimizers share: a pass of the C core over flat parameters, or a loop over Values.

An optimizer's settings are attributes, named as its constructor names them; they may be changed
between steps, for all parameters or, through `param_groups`, for some of them.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from threading import get_ident
from typing import Any, ClassVar

import numpy as np

from micrograd import checks, core
from micrograd.core import ffi, lib
from micrograd.optim.chosen import choose
from micrograd.optim.settings import Flag, Group, Holder, Rate, Setting, new_struct
from micrograd.parameters import Parameter, Parameters

Pairs = Sequence[tuple[int, Any]]  # the number of a Value among the optimizer's items, and itself
HINTS = {"learning_rate": "lr", "beta1": "betas", "beta2": "betas", "epsilon": "eps",
         "decay": "weight_decay", "parameters": "params", "rho": "alpha"}  # fmt: skip

optimizer_step: Any = lib.mg_optimizer_step


class Optimizer:
    """What the optimizers share: parameters, settings, state arrays and their saving.

    Attributes:
        params: what the constructor was given: model.parameters(), a list of parameters of one
            model or of Values, or what a list of groups holds.
        param_groups: the groups of parameters, each a mapping of "params", settings, and
            "lr_factor", which multiplies the learning rate; what is set there holds for its
            parameters, what has not been set follows the optimizer's attribute.
        lr: a number, or a function of the step (0, 1, 2, ...), such as those of micrograd.schedule.
        steps: how many steps have been made.
        state: the arrays of the state by PyTorch's names, each with a number for each parameter of
            the model: numpy arrays (size,), or lists for Values.
        following: the holders of settings that are functions of the step.
        c: the same for the C core.

    >>> adam = mg.optim.Adam(net.parameters(), lr=0.01)
    >>> for _ in range(3):
    ...     adam.zero_grad()
    ...     loss = net.loss(X, y)
    ...     net.backward()
    ...     adam.step()
    >>> adam.steps, isinstance(adam, mg.optim.Optimizer)
    (3, True)
    """

    kind: ClassVar[int] = -1
    arrays: ClassVar[tuple[str, ...]] = ()  # of the state, which it always has
    lr = Setting()
    weight_decay = Setting()
    maximize = Flag()
    param_groups: list[Group] = checks.fixed("param_groups", "optimizer")
    learning_rate = checks.other_name("learning_rate", "lr")

    def __init_subclass__(cls) -> None:
        if "__init__" in vars(cls):
            hinted = checks.with_hints(cls.__name__, HINTS)(cls.__init__)
            cls.__init__ = hinted  # type: ignore[method-assign]

    def __init__(self, params: Parameters | Iterable[Any], **settings: Any) -> None:
        name = type(self).__name__
        if self.kind < 0:
            raise TypeError(f"{name}: choose one of its kinds, such as SGD or Adam")
        self._where, self._zeroing = f"{name}.step", f"{name}.zero_grad"
        chosen = choose(name, params)
        self.params, self.items, self.owner = chosen.given, chosen.items, chosen.owner
        self.spans = chosen.spans
        self.state: dict[str, Any] = {}
        self.param_groups = []
        self.c = c = new_struct(self.kind, core.ISA_CODE)
        self.following: list[Holder] = []
        self.settings = Holder(c, self.following)
        if self.owner is not None:
            c.dtype, c.n = self.owner.dtype_code, self.owner.size
            c.parameters, c.gradients = self.owner.data_pointer, self.owner.grad_pointer
        for slot, array in enumerate(self.arrays):
            self.add_state(slot, array)
        for setting, value in settings.items():
            setattr(self, setting, value)
        self._make_groups(chosen.groups)

    # ---- groups ----

    @classmethod
    @cache
    def known_settings(cls) -> dict[str, Setting]:
        """The settings that groups may have of their own, by name."""
        names = list(inspect.signature(cls).parameters)[1:]
        found = {name: getattr(cls, name, None) for name in names}
        return {name: x for name, x in found.items() if isinstance(x, Setting)}

    def followers(self, name: str) -> list[Group]:
        """The groups that have no setting of their own of this name."""
        return [g for g in self.param_groups if not g.alone and name not in g.own]

    def _make_groups(self, groups: Sequence[tuple[list[int], dict[str, Any]]]) -> None:
        whole = self.spans is None and len(groups) == 1
        values = self.owner is None and len(groups) == 1
        for numbers, own in groups:
            c = self.c if whole or values else new_struct(self.kind, core.ISA_CODE)
            group = Group(self, numbers, c)
            self.param_groups.append(group)
            if not group.alone:
                for name, setting in self.known_settings().items():
                    group.put(setting.parse(type(self).__name__, getattr(self, name)))
            for name, value in own.items():
                self._set_own(group, name, value)
        if self.owner is not None and not whole:
            self._make_slices(self.owner)

    def _set_own(self, group: Group, name: str, value: Any) -> None:
        if name not in group:
            known = ", ".join(name for name in group if name != "params")
            raise ValueError(
                f"{type(self).__name__}: a group has the setting {name!r}; there are {known}"
            )
        group[name] = value

    def _make_slices(self, owner: Parameters) -> None:
        """Tells the C core which group each part of the flat arrays belongs to."""
        group_of = {id(self.items[i]): g for g in self.param_groups for i in g.members}
        slices: list[tuple[int, int, Any]] = []
        start = 0
        for p in owner:
            group, stop = group_of.get(id(p)), start + p.data.size
            if group is not None and slices and slices[-1][1:] == (start, group.c):
                slices[-1] = (slices[-1][0], stop, group.c)
            elif group is not None and stop > start:
                slices.append((start, stop, group.c))
            start = stop
        self._slices = ffi.new("mg_slice[]", slices)  # the struct does not keep it alive
        self.c.slices, self.c.n_slices = self._slices, len(slices)

    def add_state(self, slot: int, name: str) -> None:
        """An array of zeros under this name, and in this place of the C core's struct."""
        if self.owner is None:
            self.state[name] = [0.0] * len(self.items)
            return
        self.state[name] = core.aligned_empty(self.owner.size, self.owner.dtype)
        self.state[name].fill(0)
        self.c.state[slot] = ffi.from_buffer(self.state[name], require_writable=True)

    # ---- steps ----

    @property
    def steps(self) -> int:
        """How many steps have been made."""
        return self.c.steps  # type: ignore[no-any-return]

    @steps.setter
    def steps(self, value: int) -> None:
        self.c.steps = value
        for group in self.param_groups:
            group.c.steps = value

    @property
    def epsilon_hat(self) -> bool:
        """Of Adam: eps is added to sqrt(s) before its correction, as scikit-learn has it."""
        return bool(self.c.epsilon_hat)

    @epsilon_hat.setter
    def epsilon_hat(self, value: bool) -> None:
        for group in self.param_groups:
            group.c.epsilon_hat = bool(value)
        self.c.epsilon_hat = bool(value)

    @property
    def scheduled(self) -> bool:
        """Whether a setting is a function of the step, so that each step has to ask for it."""
        return bool(self.following)

    def current_lr(self) -> float:
        """The learning rate of the next step."""
        schedule = self.settings.schedules.get("lr")
        return self.settings.numbers["lr"] if schedule is None else float(schedule(self.c.steps))

    def arguments(self) -> Any:
        """The C core's struct, ready for the next step."""
        for holder in self.following:
            holder.follow(self.c.steps)
        return self.c

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates the parameters from their gradients.

        Gradients that are not finite make parameters that are not, as in PyTorch; `fit` checks.

        Args:
            closure: is called first, to compute the loss and leave its gradients.

        Returns:
            What the closure returned, else None.

        Raises:
            RuntimeError: another thread is training the model.
        """
        loss = None if closure is None else closure()
        c, owner = self.arguments() if self.following else self.c, self.owner
        if owner is not None:
            access = owner.access
            free = access.free
            try:  # access.begin_write and end_write, written out: a small step is short
                if access.owner is None:
                    free.pop()
                else:
                    access.enter(self._where)
            except IndexError:
                access.contend(self._where)
            try:
                access.holder = get_ident()
                access.written = True
                if access.readers:
                    access.wait_for_readers()
                if owner.stale:
                    owner.settle()
                optimizer_step(c, core.threads)
            finally:
                access.written = False
                if access.waiting:
                    access.let_in()
                if access.owner is None:
                    access.holder = None
                    if not free:
                        free.append(None)
            return loss
        for group in self.param_groups:
            group.c.steps = c.steps
            self._step_values(group.c, [(i, self.items[i]) for i in group.members])
        c.steps += 1
        return loss

    def _step_values(self, c: Any, pairs: Pairs) -> None:
        raise NotImplementedError

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Sets the gradients of its parameters to zero.

        `set_to_none`, which PyTorch has, changes nothing: gradients are arrays here, or numbers.

        Raises:
            RuntimeError: another thread is training the model.
        """
        if self.owner is None:
            for p in self.items:
                p.grad = 0.0
        elif self.spans is None:
            self.owner.zero_grad(self._zeroing)
        else:
            zero_spans(self._zeroing, self.owner, self.spans)

    # ---- state ----

    def schedules(self) -> dict[str, Any]:
        """The schedules that follow something, by the place that they have in a state."""
        found = {name: f for name, f in self.settings.schedules.items()}
        named = {"schedule" if n == "lr" else f"schedule.{n}": f for n, f in found.items()}
        for i, group in enumerate(self.param_groups):
            if not group.alone:
                own = {n: f for n, f in group.schedules.items() if found.get(n) is not f}
                named |= {f"schedule.{i}.{n}": f for n, f in own.items()}
        return {name: f for name, f in named.items() if hasattr(f, "state_dict")}

    def memories(self) -> list[Any]:
        """The schedules that remember something of a run: the outer ones, and those within."""
        outer = self.schedules().values()
        found = [
            part for f in outer for part in (f.with_inner() if hasattr(f, "with_inner") else [f])
        ]
        return list({id(f): f for f in found if f.state_dict()}.values())

    def update_schedules(self, metric: float) -> None:
        """Tells the schedules that follow a metric of an epoch's; each of them once."""
        found = {id(f): f for f in self.schedules().values() if hasattr(f, "update")}
        for schedule in found.values():
            schedule.update(metric)

    def state_dict(self) -> dict[str, Any]:
        """The number of steps, the state arrays, copied, and what schedules have to remember.

        Settings are not part of it: who loads it makes the optimizer as it was made before.
        """
        with nullcontext() if self.owner is None else self.owner.access.reading():
            state: dict[str, Any] = {"steps": self.steps}
            state |= {name: np.array(values) for name, values in self.state.items()}
        remembered = {name: f.state_dict() for name, f in self.schedules().items()}
        return state | {name: inner for name, inner in remembered.items() if inner}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what state_dict returned.

        Raises:
            ValueError: the state is not one of this optimizer; nothing has changed then.
            RuntimeError: another thread is training the model.
        """
        where = f"{type(self).__name__}.load_state_dict"
        own = self.state_dict()
        odd = sorted(own.keys() ^ state.keys())
        if odd:
            raise ValueError(f"{where}: {odd[0]!r} is missing or is not of this optimizer")
        try:
            steps = checks.count(where, "steps", state["steps"], 0, 2**63)
        except TypeError as error:  # a state that is not one is a bad value, whatever it holds
            raise ValueError(str(error)) from None
        taken = {}
        for name in self.state:
            taken[name] = checks.reals(where, name, state[name], own[name].dtype)
            if taken[name].shape != own[name].shape:
                raise ValueError(
                    f"{where}: {name} has shape {taken[name].shape}, {own[name].shape} is wanted: "
                    "a number for each parameter"
                )
        with nullcontext() if self.owner is None else self.owner.access.writing(where):
            schedules = {name: f for name, f in self.schedules().items() if name in own}
            try:
                for name, schedule in schedules.items():
                    schedule.load_state_dict(state[name])
            except BaseException:  # the ones before it have changed
                for name, schedule in schedules.items():
                    schedule.load_state_dict(own[name])
                raise
            for name, values in taken.items():
                self.state[name][:] = values.tolist() if self.owner is None else values
            self.steps, self.c.largest = steps, math.inf

    def numbers_of_groups(self) -> list[tuple[list[int], dict[str, Any]]]:
        """The groups as numbers of parameters of the model, or of the Values, and own settings."""
        places = {id(p): i for i, p in enumerate(self.owner or self.items)}
        return [
            ([places[id(self.items[i])] for i in group.members], group.own_settings())
            for group in self.param_groups
        ]

    def __reduce__(self) -> Any:
        names = list(inspect.signature(type(self)).parameters)[1:]
        settings = {name: getattr(self, name) for name in names}
        base = self.items if self.owner is None else self.owner
        return _again, (type(self), base, settings, self.numbers_of_groups(), self.state_dict())

    def __repr__(self) -> str:
        names = list(inspect.signature(type(self)).parameters)[1:]
        values = ((name, getattr(self, name)) for name in names)
        texts = (f"{n}={v:g}" if isinstance(v, float) else f"{n}={v}" for n, v in values)
        text = f"{type(self).__name__}({', '.join(texts)})"
        return text if self.param_groups[0].alone else f"{text} in {len(self.param_groups)} groups"


def zero_spans(where: str, owner: Parameters, spans: Sequence[tuple[int, int]]) -> None:
    """Sets the gradients of some parameters of a model to zero.

    Raises:
        RuntimeError: another thread is training the model.
    """
    with owner.access.training(where):
        for first, last in spans:
            owner.flat_grad[first:last] = 0


def grouped(
    base: Sequence[Parameter | Any], groups: Sequence[tuple[list[int], dict[str, Any]]]
) -> Any:
    """What a constructor makes the same groups of: `base` itself, where it is one whole group."""
    numbers, own = groups[0]
    if len(groups) == 1 and not own and numbers == list(range(len(base))):
        return base
    return [{"params": [base[i] for i in numbers], **own} for numbers, own in groups]


def _again(
    kind: Any, base: Any, settings: dict[str, Any], groups: Any, state: dict[str, Any]
) -> Optimizer:
    """The optimizer that __reduce__ took apart, with arrays of its own."""
    optimizer: Optimizer = kind(grouped(base, groups), **settings)
    optimizer.load_state_dict(state)
    return optimizer


LearningRate = Rate
