"""The weights and biases of a model, and their gradients: named views into two flat arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np

from micrograd import core
from micrograd.core import Array
from micrograd.sharing import Access


class Parameter:
    """One weight matrix or bias: `name`, `data` and `grad`, both arrays of one shape.

    The arrays are views: writing into them changes the model.
    """

    __slots__ = ("_grad", "_owner", "data", "name")

    def __init__(self, name: str, data: Array, grad: Array, owner: Parameters) -> None:
        self.name = name
        self.data = data
        self._grad = grad
        self._owner = owner

    @property
    def grad(self) -> Array:
        """dL/d(data), accumulated over the backward passes since zero_grad."""
        self._owner.expose_gradients()
        return self._grad

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of data and grad."""
        return self.data.shape

    def __repr__(self) -> str:
        return f"Parameter({self.name!r}, shape={self.data.shape}, dtype={self.data.dtype})"


class Parameters(Sequence[Parameter]):
    """All parameters of a model in order; `flat` and `flat_grad` are the arrays they lie in.

    Setting the gradients to zero is put off where nobody can tell: until somebody has asked for a
    gradient array, zero_grad only notes that the next backward pass overwrites instead of adding.
    """

    def __init__(self, shapes: Sequence[tuple[str, tuple[int, ...]]], dtype: np.dtype[Any]) -> None:
        sizes = [int(np.prod(shape)) for _, shape in shapes]
        self.dtype = dtype
        self.dtype_code = core.DTYPES[dtype.name]
        self.flat = core.aligned_empty(sum(sizes), dtype)
        self._flat_grad = core.aligned_empty(sum(sizes), dtype)
        self.flat[:] = 0
        self._flat_grad[:] = 0
        self.data_pointer = core.address(self.flat)
        self.grad_pointer = core.address(self._flat_grad)
        self.access = Access()  # who reads and who trains, of all threads
        self.size = self.flat.size
        self.stale = False  # zeroing has been put off: what lies in the gradients means nothing
        self._exposed = False  # somebody may hold an array of the gradients
        self._items = []
        start = 0
        for (name, shape), size in zip(shapes, sizes, strict=True):
            part = slice(start, start + size)
            data, grad = self.flat[part].reshape(shape), self._flat_grad[part].reshape(shape)
            self._items.append(Parameter(name, data, grad, self))
            start += size

    @property
    def flat_grad(self) -> Array:
        """The gradients of all parameters, (size,), in the order of `flat`."""
        self.expose_gradients()
        return self._flat_grad

    def settle(self) -> None:
        """Carries out a zeroing that was put off."""
        if self.stale:
            self._flat_grad.fill(0)
            self.stale = False

    def expose_gradients(self) -> None:
        """Called before anybody outside gets an array of the gradients."""
        self.settle()
        self._exposed = True

    def zero_grad(self) -> None:
        """Sets all gradients to zero."""
        if self._exposed:
            self._flat_grad.fill(0)
        else:
            self.stale = True

    @overload
    def __getitem__(self, index: int) -> Parameter: ...
    @overload
    def __getitem__(self, index: slice) -> list[Parameter]: ...
    def __getitem__(self, index: int | slice) -> Parameter | list[Parameter]:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._items)

    def __repr__(self) -> str:
        return f"Parameters({', '.join(p.name for p in self)}; {self.size} numbers)"
