"""mg.draw beside graphviz, for karpathy's neuron: both pictures into a folder, to look at.

His helper's way: a set of nodes and a set of edges by `_prev`, a record for each Value, a node for
each `_op`. Wants the Python package graphviz and graphviz itself.
Usage: python tools/side_by_side.py FOLDER
"""

import argparse
from pathlib import Path

import graphviz

import micrograd as mg
from micrograd import Value


def neuron():
    """o = tanh(x1 w1 + x2 w2 + b), at the numbers of his lecture."""
    x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
    w1, w2 = Value(-3.0, label="w1"), Value(1.0, label="w2")
    b = Value(6.8813735870195432, label="b")
    x1w1, x2w2 = x1 * w1, x2 * w2
    total = x1w1 + x2w2
    n = total + b
    o = n.tanh()
    names = {"x1*w1": x1w1, "x2*w2": x2w2, "x1*w1 + x2*w2": total, "n": n, "o": o}
    for name, value in names.items():
        value.label = name
    o.backward()
    return o


def by_graphviz(root):
    """The digraph that a walk over `_prev` gives."""
    nodes, edges, stack = {root}, set(), [root]
    while stack:
        v = stack.pop()
        for child in v._prev:
            edges.add((child, v))
            if child not in nodes:
                nodes.add(child)
                stack.append(child)
    dot = graphviz.Digraph(format="svg", graph_attr={"rankdir": "LR"})
    for v in nodes:
        text = f"{{ {v.label} | data {v.data:.4f} | grad {v.grad:.4f} }}"
        dot.node(str(id(v)), text, shape="record")
        if v._op:
            dot.node(f"{id(v)}{v._op}", v._op)
            dot.edge(f"{id(v)}{v._op}", str(id(v)))
    for child, v in edges:
        dot.edge(str(id(child)), f"{id(v)}{v._op}")
    return dot


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    root = neuron()
    mg.draw(root).save(folder / "neuron-micrograd.svg")
    by_graphviz(root).render(folder / "neuron-graphviz", cleanup=True)
    print(f"wrote neuron-micrograd.svg and neuron-graphviz.svg to {folder}")


if __name__ == "__main__":
    main()
