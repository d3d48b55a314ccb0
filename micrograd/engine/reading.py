"""Reading a node: its number, where it came from, how it prints; what is refused in a recording."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from micrograd.engine import modes, rules
from micrograd.engine.arrays import apply_to_elements
from micrograd.engine.backward import push_down
from micrograd.engine.grad_fn import GradFn
from micrograd.engine.node import OWN_OP, Node, number


def read(x: Node, how: str) -> float:
    """The data of x, unless what happens is being recorded, for other data than these."""
    if modes.active and (recorder := modes.recorder.get()) is not None:
        recorder.refuse(how)
    return x._data


class Readable(Node):
    """What `Value` says of itself."""

    __slots__ = ()

    @property
    def data(self) -> float:
        """The number. Assigning to it (an optimizer's step) changes no result computed earlier."""
        return read(self, ".data") if modes.active else self._data

    @data.setter
    def data(self, data: Any) -> None:
        self._data = number(data, "Value.data", "a real number")

    @property
    def grad_fn(self) -> GradFn | None:
        """The backward step of the op that made this Value, None for a leaf."""
        return GradFn(self) if self._rule else None

    # As in karpathy/micrograd and its lecture: to read, and `_backward` to call.

    @property
    def _prev(self) -> set[Node]:
        return set(self.parents)

    @property
    def _op(self) -> str:
        if not self._rule:
            return ""
        constant_power = self._rule is rules.POW and type(self._b) is float
        return f"**{self._b:g}" if constant_power else self._rule.symbol

    @property
    def _backward(self) -> Callable[[], None]:
        return lambda: push_down(self)

    @_backward.setter
    def _backward(self, backward: Any) -> None:
        raise AttributeError(f"Value._backward: cannot be assigned; {OWN_OP}")

    def __repr__(self) -> str:
        return f"Value(data={self._data}, grad={self.grad})"

    def __float__(self) -> float:
        if modes.active and self.requires_grad and modes.differentiating.get():
            raise TypeError(
                f"{modes.differentiating.get()}: float() of a Value, or a function of math, is a "
                "constant to the derivative being recorded; use the methods of Value, such as "
                "x.exp(), or float(x.detach()) if a constant is meant"
            )
        return read(self, "float()")

    def __bool__(self) -> bool:
        return read(self, "bool()") != 0.0

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        """What numpy's functions make of a Value; see `arrays`."""
        return apply_to_elements(ufunc, method, inputs, keywords)
