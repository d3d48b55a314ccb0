"""The backward pass: the order in which a graph is walked, and the chain rule along it.

dL/dx is the sum, over all z that used x, of dL/dz * dz/dx. A node may pass on its gradient only
when that sum is complete, so nodes are visited in reverse topological order: results before
operands.
This module knows of a node what `node` says of it, and of an op what its `Rule` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, TypeVar

from micrograd.engine.modes import Watcher, hooks
from micrograd.engine.node import FROZEN, LEAF, Node, Operand, number_of
from micrograd.engine.rules import ADD, DOT, MUL

Graph = TypeVar("Graph", bound=Node)


def topological(roots: Sequence[Graph]) -> list[Graph]:
    """Every inner node the roots depend on, operands before results.

    Depth first with an explicit stack, one operand further down without it. A node whose operands
    are all in the list is added and marked done. Any other is marked opened and stacked below the
    operands that are missing: back at it, it is added. Met as an operand of yet another node, it is
    skipped. The marks are new objects in each call, so that nothing needs to be wiped, not even
    after an interrupt.
    """
    opened, done = object(), object()
    order: list[Graph] = []
    stack = [root for root in reversed(roots) if root._rule]
    finished: tuple[Graph, ...] = ()  # inputs that the neurons of a layer share: looked at once
    push, pop, add = stack.append, stack.pop, order.append
    while stack:
        v = pop()
        while v._mark is not done:
            if v._mark is opened:
                v._mark = done
                add(v)
                if v._rule is DOT:
                    finished = v._b
                break
            rule: Any = v._rule
            if rule.arity == 2:
                a, b = v._a, v._b
                if type(b) is not float and b._rule and b._mark is not done:
                    v._mark = opened
                    push(v)
                    if type(a) is not float and a._rule and a._mark is not done:
                        push(a)
                    v = b
                elif type(a) is not float and a._rule and a._mark is not done:
                    v._mark = opened
                    push(v)
                    v = a
                else:
                    v._mark = done
                    add(v)
                    break
            elif rule.arity == 1:
                a = v._a
                if a._rule and a._mark is not done:
                    v._mark = opened
                    push(v)
                    v = a
                else:
                    v._mark = done
                    add(v)
                    break
            else:
                v._mark = opened
                push(v)
                if v._b:
                    for x in v._a:
                        if x._rule and x._mark is not done:
                            push(x)
                    if v._b is not finished:
                        for x in v._b:
                            if x._rule and x._mark is not done:
                                push(x)
                else:
                    for x in v._a:
                        if type(x) is not float and x._rule and x._mark is not done:
                            push(x)
                break
    return order


def leaves(order: Sequence[Node]) -> set[Any]:
    """The leaves that take a gradient, among the operands of these nodes."""
    found: set[Any] = set()
    for z in order:
        rule: Any = z._rule
        if rule.arity == 2:
            operands: tuple[Operand, ...] = (z._a, z._b)
        else:
            operands = (z._a,) if rule.arity == 1 else (*z._a, *z._b)
        for x in operands:
            if type(x) is not float and x._rule is LEAF:  # type: ignore[union-attr]
                found.add(x)
    return found


def accumulate(order: Sequence[Node], root: Node, seed: float) -> None:
    """The chain rule on floats, from root to leaves: x.grad += (dL/dz) * (dz/dx).

    This is `gradients` with `.grad` for the sums, unrolled by arity because it is the inner loop.
    """
    for z in order:
        z.grad = 0.0
    if root._rule:
        root.grad = seed
    else:
        root.grad += seed
    for z in reversed(order):
        g = z.grad
        rule: Any = z._rule
        if not g and rule.bounded and isfinite(z._data):
            continue  # exact: 0 times finite derivatives (half of all ReLU units are like this)
        if rule is MUL or rule is ADD:  # most of many graphs: their rules, without a call
            a, b = z._a, z._b
            if type(b) is float:
                a.grad += g * b if rule is MUL else g
            elif type(a) is float:
                b.grad += g * a if rule is MUL else g
            elif rule is MUL:
                x, y = a._data, b._data
                if a._rule is not FROZEN:
                    a.grad += g * y
                if b._rule is not FROZEN:
                    b.grad += g * x
            else:
                if a._rule is not FROZEN:
                    a.grad += g
                if b._rule is not FROZEN:
                    b.grad += g
        elif rule.arity == 2:
            a, b = z._a, z._b
            if type(b) is float:
                a.grad += rule.dx(g, z._data, a._data, b)
            elif type(a) is float:
                b.grad += rule.dy(g, z._data, a, b._data)
            else:
                x, y = a._data, b._data
                if a._rule is not FROZEN:
                    a.grad += rule.dx(g, z._data, x, y)
                if b._rule is not FROZEN:
                    b.grad += rule.dy(g, z._data, x, y)
        elif rule.arity == 1:
            a = z._a
            a.grad += rule.dx(g, z._data, a._data)
        elif z._b:  # a dot of Values
            ws, xs = z._a, z._b
            for w, x in zip(ws, xs):  # noqa: B905 (the bias is left over; see dot)
                if w._rule is not FROZEN:
                    w.grad += g * x._data
                if x._rule is not FROZEN:
                    x.grad += g * w._data
            if len(ws) > len(xs) and ws[-1]._rule is not FROZEN:
                ws[-1].grad += g  # the bias
        else:
            values = [x if type(x) is float else x._data for x in z._a]
            for x, dx in zip(z._a, rule.pull(g, z._data, values), strict=True):
                if type(x) is not float and x._rule is not FROZEN:
                    x.grad += dx


def gradients(
    order: Sequence[Node],
    outputs: Sequence[Node],
    seeds: Sequence[Operand],
    create_graph: bool,
    watchers: Sequence[Watcher] = (),
) -> dict[Any, Any]:
    """d(sum of seed * output)/dx for every x on the way, leaves included; `.grad` is not touched.

    With create_graph the rules run on the Values themselves, so the gradients are Values. A node's
    hooks see its gradient when the sum is complete, and what they make of it is passed on.
    """
    hooked = with_hooks(order, outputs) if hooks else ()
    grads: dict[Any, Any] = {}

    def receive(x: Node, g: Operand) -> None:
        grads[x] = grads[x] + g if x in grads else g

    for output, seed in zip(outputs, seeds, strict=True):
        receive(output, seed)
    for z in reversed(order):
        rule: Any = z._rule
        if z in hooked:
            grads[z] = _hooked(z, grads[z], create_graph)
        g, operands = grads[z], z.operands
        if watchers or not create_graph:
            number = number_of(g)
            contributions = rule.contributions(number, z._data, [*map(number_of, operands)])
            for watcher in watchers:
                watcher.pulled(z, number, contributions)
        if create_graph:
            contributions = rule.contributions(g, z, operands)
        for x, dx in zip(operands, contributions, strict=True):
            if not isinstance(x, float) and x._rule is not FROZEN:
                receive(x, dx)
    for x in hooked:
        if not x._rule and x in grads:
            grads[x] = _hooked(x, grads[x], create_graph)
    for watcher in watchers:
        watcher.finished(grads)
    return grads


def with_hooks(order: Sequence[Node], roots: Sequence[Node]) -> dict[Any, None]:
    """The nodes that have hooks, among those of a graph and its leaves."""
    nodes = (*order, *roots, *leaves(order))
    return {x: None for x in nodes if getattr(x, "_hooks", None)}


def _hooked(x: Node, g: Operand, create_graph: bool) -> Operand:
    for hook in tuple(x._hooks.values()):
        g = hook(g)
    return g if create_graph else number_of(g)


def push_down(z: Node) -> None:
    """One node's step of a backward pass by hand: its `.grad`, times the derivatives of its op, is
    added to the operands' `.grad`.
    """
    rule: Any = z._rule
    if not rule:
        return
    operands = z.operands
    shares = rule.contributions(number_of(z.grad), z._data, [*map(number_of, operands)])
    for x, dx in zip(operands, shares, strict=True):
        if isinstance(x, Node) and x._rule is not FROZEN:
            x.grad = x.grad + dx


def check_requires_grad(value: Node, where: str) -> None:
    """Raises RuntimeError about a constant, which has no derivative, in the name of `where`."""
    if value._rule is FROZEN and not value.is_derivative:
        raise RuntimeError(
            f"{where}: {value!r} does not require grad; it was made from constants, by detach() or "
            "under no_grad(). Create the inputs to differentiate with requires_grad=True"
        )
