"""Trees: lists, tuples, dicts and numpy arrays of numbers and Values, nested as one likes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from micrograd.engine.node import Node, operand

Tree: TypeAlias = Any  # an Operand, or a list, tuple, dict or array of Trees


def _array(x: object) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(x, numpy.ndarray) and x.ndim > 0


def _branches(tree: Tree) -> Iterable[Any] | None:
    """What a tree consists of, in order; None for a leaf."""
    if isinstance(tree, (list, tuple)):
        return tree
    if isinstance(tree, dict):
        return tree.values()
    return list(tree.flat) if _array(tree) else None


def _rebuilt(tree: Tree, branches: list[Any]) -> Tree:
    """A tree like this one, of these branches."""
    if isinstance(tree, dict):
        return dict(zip(tree, branches, strict=True))
    if isinstance(tree, tuple):
        named = hasattr(tree, "_fields")
        return type(tree)(*branches) if named else tuple(branches)
    if isinstance(tree, list):
        return branches
    out = sys.modules["numpy"].empty(tree.shape, dtype=object)
    for i, branch in enumerate(branches):
        out.flat[i] = branch
    return out


def leaves_of(tree: Tree, where: str) -> list[Any]:
    """The numbers and Values of a tree, in order. Raises TypeError at anything else."""
    branches = _branches(tree)
    if branches is None:
        return [operand(tree, where)]
    return [leaf for branch in branches for leaf in leaves_of(branch, where)]


def like(tree: Tree, leaves: Iterable[Any]) -> Tree:
    """A tree of the same structure, with these leaves; arrays become arrays of objects."""
    left = iter(leaves)

    def rebuild(branch: Tree) -> Tree:
        branches = _branches(branch)
        return next(left) if branches is None else _rebuilt(branch, [rebuild(b) for b in branches])

    return rebuild(tree)


def same_structure(a: Tree, b: Tree) -> bool:
    """Whether b can be laid over a: lists and tuples alike, dicts with equal keys, arrays of one
    shape.
    """
    if isinstance(a, dict) or isinstance(b, dict):
        both = isinstance(a, dict) and isinstance(b, dict)
        return both and list(a) == list(b) and all(same_structure(a[k], b[k]) for k in a)
    if _array(a) and _array(b) and a.shape != b.shape:
        return False
    one, other = _branches(a), _branches(b)
    if one is None or other is None:
        return one is None and other is None
    one, other = list(one), list(other)
    return len(one) == len(other) and all(map(same_structure, one, other))


def values_in(tree: Tree) -> Iterator[Node]:
    """The Values of a tree that may hold anything else as well."""
    if isinstance(tree, Node):
        yield tree
    for branch in _branches(tree) or ():
        yield from values_in(branch)


def with_values(tree: Tree, replace: Callable[[Node], Any]) -> Tree:
    """The tree with something in the place of each of its Values; whatever else stays."""
    if isinstance(tree, Node):
        return replace(tree)
    branches = _branches(tree)
    if branches is None or (_array(tree) and tree.dtype != object):
        return tree
    return _rebuilt(tree, [with_values(b, replace) for b in branches])
