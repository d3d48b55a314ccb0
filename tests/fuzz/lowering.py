"""Scalar functions of any ops: what `compile` makes of one gives the eager engine's numbers."""

import math

import numpy as np

import micrograd as mg
from fuzz.numbers import Numbers
from micrograd import Value

ONE = ["exp", "log", "sqrt", "sin", "cos", "tanh", "sigmoid", "relu", "softplus", "gelu", "abs"]
CONSTANTS = [0.0, 1.0, -1.0, 0.5, 2.0, 3.0, -0.25, 1e3]


def function(data):
    """f(xs, parameters), the same at each call: a stack machine that the bytes drive."""

    def f(xs, parameters):
        numbers, stack = Numbers(data), [*xs, *parameters]
        for _ in range(1 + numbers.below(20)):
            a, b, c = (numbers.choice(stack) for _ in range(3))
            kind = numbers.below(20)
            if kind < len(ONE):
                stack.append(getattr(a, ONE[kind])() if isinstance(a, Value) else a)
            elif kind < 15:
                stack.append([a + b, a - b, a * b, a / b][kind - 11] if has_value(a, b) else a)
            elif kind == 15:
                stack.append(mg.maximum(a, b) if has_value(a, b) else a)
            elif kind == 16:
                stack.append(mg.dot([a, b], [b, c], c))
            elif kind == 17:
                stack.append(mg.sum([a, b, c]))
            elif kind == 18:
                stack.append(a ** numbers.choice([2, 3, -1, 0.5]) if isinstance(a, Value) else a)
            else:
                stack.append(numbers.choice(CONSTANTS))
        return mg.sum([x for x in stack[-3:] if isinstance(x, Value)] or [stack[0]])

    return f


def has_value(*operands):
    return any(isinstance(x, Value) for x in operands)


def eager(f, X, parameters):
    """The mean over the rows, the outputs, and the parameters' gradients."""
    leaves = [Value(p) for p in parameters]
    outputs = [f([Value(x, requires_grad=False) for x in row], leaves) for row in X]
    mean = mg.sum(outputs) / len(outputs)
    if mean.requires_grad:
        mean.backward()
    return np.array([mean.data, *(o.data for o in outputs), *(p.grad for p in leaves)])


def check(data):
    numbers = Numbers(data)
    X = np.array([[(numbers.byte() - 128) / 32 for _ in range(2)] for _ in range(3)])
    parameters = [(numbers.byte() - 100) / 64 for _ in range(2)]
    f = function(numbers.rest())
    leaves = [Value(p) for p in parameters]
    try:
        program = mg.compile(lambda xs: f(xs, leaves))
        outputs = np.asarray(program(X), dtype=np.float64).reshape(-1)
        loss = program.loss(X)
    except ValueError:
        return  # as a function that uses no argument
    program.backward()
    program.write_back()
    got = np.array([loss, *outputs, *(v.grad for v in leaves)])
    wanted = eager(f, X, parameters)
    near = eager(f, X * (1 + 2.0**-40), [p * (1 - 2.0**-40) for p in parameters])
    for g, w, n in zip(got, wanted, near, strict=True):
        if not math.isfinite(w) or abs(w) > 1e12 or abs(w - n) > 1e-7 * (1 + abs(w)):
            continue  # rounding alone may change it
        assert abs(g - w) <= 1e-6 * (1 + abs(w)), (g, w)
