"""The weights and biases of a model, and their gradients: named views into two flat arrays."""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np

from micrograd import checks, core
from micrograd.core import Array
from micrograd.sharing import Access


class Parameter:
    """One weight matrix or bias: `name`, `data` and `grad`, both arrays of one shape.

    The arrays are views: writing into them changes the model, and so does assigning to `data` or
    `grad`, which copies into them.

    >>> weight = net.parameters()[0]
    >>> weight.name, weight.shape
    ('0.weight', (32, 64))
    >>> weight.data *= 0.5  # changes the network
    """

    __slots__ = ("_data", "_grad", "_owner", "name")

    def __init__(self, name: str, data: Array, grad: Array, owner: Parameters) -> None:
        self.name = name
        self._data = data
        self._grad = grad
        self._owner = owner

    @property
    def data(self) -> Array:
        """The numbers, a view; an array of the same shape that is assigned is copied into it."""
        return self._data

    @data.setter
    def data(self, values: Any) -> None:
        self._owner.write(self._data, f"{self.name}.data", values)

    @property
    def owner(self) -> Parameters:
        """All parameters of its model."""
        return self._owner

    @property
    def grad(self) -> Array:
        """dL/d(data), accumulated over the backward passes since zero_grad; assigned as `data`."""
        self._owner.expose_gradients()
        return self._grad

    @grad.setter
    def grad(self, values: Any) -> None:
        self._owner.write(self._grad, f"{self.name}.grad", values)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of data and grad."""
        return self._data.shape

    def __reduce__(self) -> tuple[Any, ...]:
        return operator.getitem, (self._owner, self._owner.index(self))  # a view, wherever it goes

    def __repr__(self) -> str:
        return f"Parameter({self.name!r}, shape={self.shape}, dtype={self._data.dtype})"


class Parameters(Sequence[Parameter]):
    """All parameters of a model in order; `flat` and `flat_grad` are the arrays they lie in.

    Assigning to one of these copies into it. `access` says who of all threads reads and who trains.

    Setting the gradients to zero is put off where nobody can tell: until somebody has asked for a
    gradient array, zero_grad only notes that the next backward pass overwrites instead of adding.

    >>> params = net.parameters()
    >>> len(params), params.flat.shape, [p.name for p in params][:2]
    (4, (2410,), ['0.weight', '0.bias'])
    """

    def __init__(self, shapes: Sequence[tuple[str, tuple[int, ...]]], dtype: np.dtype[Any]) -> None:
        sizes = [math.prod(shape) for _, shape in shapes]
        self.dtype = dtype
        self.dtype_code = core.DTYPES[dtype.name]
        self._flat = core.aligned_empty(sum(sizes), dtype)
        self._flat_grad = core.aligned_empty(sum(sizes), dtype)
        self._flat[:] = 0
        self._flat_grad[:] = 0
        self.data_pointer = core.address(self._flat)
        self.grad_pointer = core.address(self._flat_grad)
        self.access = Access()
        self.size = self._flat.size
        self.stale = False  # zeroing has been put off: what lies in the gradients means nothing
        self._exposed = False  # somebody may hold an array of the gradients
        self._items = []
        start = 0
        for (name, shape), size in zip(shapes, sizes, strict=True):
            part = slice(start, start + size)
            data, grad = self._flat[part].reshape(shape), self._flat_grad[part].reshape(shape)
            self._items.append(Parameter(name, data, grad, self))
            start += size

    @property
    def flat(self) -> Array:
        """The numbers of all parameters, (size,); what is assigned is copied into it."""
        return self._flat

    @flat.setter
    def flat(self, values: Any) -> None:
        self.write(self._flat, "flat", values)

    @property
    def flat_grad(self) -> Array:
        """The gradients of all parameters, (size,), in the order of `flat`; assigned as that."""
        self.expose_gradients()
        return self._flat_grad

    @flat_grad.setter
    def flat_grad(self, values: Any) -> None:
        self.write(self._flat_grad, "flat_grad", values)

    def write(self, view: Array, name: str, values: Any) -> None:
        """Copies values into one of the arrays, while nobody reads them.

        Raises:
            TypeError, ValueError: they are no real numbers, or not of its shape.
            RuntimeError: another thread is training the model.
        """
        array = checks.reals("parameters", name, values, self.dtype)
        if array.shape != view.shape:
            raise ValueError(
                f"parameters: {name} has shape {view.shape}, an array of shape {array.shape} came"
            )
        with self.access.writing(f"parameters: {name}"):
            self.settle()
            view[...] = array

    # ---- copies, made while nobody writes: each has arrays and an Access of its own ----

    def __getstate__(self) -> dict[str, Any]:
        with self.access.reading():
            return {
                "shapes": [(p.name, p.shape) for p in self],
                "dtype": self.dtype.name,
                "flat": self._flat.copy(),
                "flat_grad": None if self.stale else self._flat_grad.copy(),
            }

    def __setstate__(self, state: dict[str, Any]) -> None:
        Parameters.__init__(self, state["shapes"], np.dtype(state["dtype"]))
        self._flat[...] = state["flat"]
        if state["flat_grad"] is not None:
            self._flat_grad[...] = state["flat_grad"]

    def __copy__(self) -> Parameters:
        other = type(self).__new__(type(self))
        Parameters.__init__(other, [(p.name, p.shape) for p in self], self.dtype)
        with self.access.reading():
            other._flat[...] = self._flat
            if not self.stale:
                other._flat_grad[...] = self._flat_grad
        return other

    def zeros(self) -> Parameters:
        """Others of the same names, shapes and dtype, all of them 0."""
        return Parameters([(p.name, p.shape) for p in self], self.dtype)

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameters:
        memo[id(self)] = other = copy.copy(self)
        return other

    def settle(self) -> None:
        """Carries out a zeroing that was put off: for those who train or write."""
        if self.stale:
            self._flat_grad.fill(0)
            self.stale = False

    def expose_gradients(self) -> None:
        """Called before anybody outside gets an array of the gradients.

        Raises:
            RuntimeError: another thread is training the model, and is about to set them.
        """
        if self.stale:
            with self.access.training("parameters: gradients"):
                self.settle()
        self._exposed = True

    def zero_grad(self, where: str = "zero_grad") -> None:
        """Sets all gradients to zero.

        Raises:
            RuntimeError: another thread is training the model.
        """
        free = self.access.free
        if self._exposed or not free:
            with self.access.training(where):
                self.stale = True
                if self._exposed:
                    self.settle()
            return
        try:  # access.enter and leave, written out: it is a hundredth of a small step
            free.pop()
        except IndexError:
            return self.zero_grad(where)
        try:
            self.stale = True
        finally:
            free.append(None)

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
