"""What a drawing's page shows, and what the engine says that it should."""

import pytest

import micrograd as mg
from micrograd.draw.text import number


def numbers_of(page):
    """The table: (name, data, grad) of every row."""
    return page.evaluate(
        """() => [...document.querySelectorAll('#numbers tbody tr')].map((row) => {
          const input = row.querySelector('input');
          const cells = [...row.cells].map((cell) => cell.textContent);
          return [cells[0], input ? input.value : cells[2], cells[3]];
        })"""
    )


def drawn(page, kind, place):
    return page.evaluate(f"document.getElementById('mg-{kind}{place}')?.textContent ?? null")


def in_order(root):
    """The graph's nodes as a drawing numbers them."""
    from micrograd.draw.graph import of_values

    return of_values([root]).nodes


def expected(root):
    """What the engine says, digit for digit."""
    rows = []
    for node in in_order(root):
        takes = node.kind not in ("number", "constant")
        rows.append([number(node.data), number(node.grad) if takes else ""])
    return rows


def small_network(dtype="float64"):
    np = pytest.importorskip("numpy")
    rng = np.random.default_rng(0)
    net = mg.Network(mg.Linear(2, 4), mg.ReLU(), mg.Linear(4, 3), dtype=dtype, seed=0)
    return net, rng.normal(size=(5, 2)), np.arange(5) % 3
