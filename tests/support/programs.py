"""Random programs over all ops, as data and on Values."""

from hypothesis import strategies as st

from micrograd.engine import dot, maximum, minimum, where
from micrograd.engine import sum as n_ary_sum

OPS = [
    *("exp", "sin", "cos", "tanh", "sigmoid", "relu", "leaky_relu", "softplus", "gelu", "abs"),
    *("neg", "add", "sub", "mul", "div", "pow", "maximum", "minimum", "where", "dot", "sum"),
]


@st.composite
def programs(draw):
    """Four leaves and a list of (op, three indices into the leaves and the earlier results)."""
    steps = []
    for i in range(draw(st.integers(1, 14))):
        op = draw(st.sampled_from(OPS))
        steps.append((op, [draw(st.integers(0, 3 + i)) for _ in range(3)]))
    leaf = st.floats(-2, 2).map(lambda v: round(v, 3))
    return steps, [draw(leaf) for _ in range(4)]


def run(steps, operands, ops):
    values = list(operands)
    for op, indices in steps:
        a, b, c = (values[i] for i in indices)
        values.append(ops(op, a, b, c))
    return values


def on_values(op, a, b, c):
    table = {
        "neg": lambda: -a,
        "add": lambda: a + b,
        "sub": lambda: a - b,
        "mul": lambda: a * b,
        "div": lambda: a / (b * b + 1.0),
        "pow": lambda: a**2.0 if a is b else (a * a + 0.5) ** b,
        "maximum": lambda: maximum(a, b),
        "minimum": lambda: minimum(a, b),
        "where": lambda: where(a < b, b, c),
        "dot": lambda: dot([a, b], [c, a], b),
        "sum": lambda: n_ary_sum([a, b, c, a]),
    }
    return table[op]() if op in table else getattr(a, op)()
