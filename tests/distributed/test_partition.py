"""The rows of ranks, and a sum that does not depend on their number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from micrograd.distributed.partition import (
    LEAF,
    even_part,
    leaf_count,
    leaf_part,
    leaf_range,
    leaf_rows,
    subtrees,
    tree_sum,
)


@given(st.integers(0, 3000), st.integers(1, 40))
def test_every_row_belongs_to_one_rank(rows, ranks):
    for part in (even_part, leaf_part):
        parts = [part(rows, rank, ranks) for rank in range(ranks)]
        assert [row for p in parts for row in range(p.first, p.last)] == list(range(rows))
    sizes = [len(even_part(rows, rank, ranks)) for rank in range(ranks)]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 3000), st.integers(1, 40))
def test_leaves_of_a_rank_are_its_rows(rows, ranks):
    for rank in range(ranks):
        part = leaf_part(rows, rank, ranks)
        leaves = [leaf_rows(rows, leaf) for leaf in leaf_range(rows, rank, ranks)]
        assert sum(map(len, leaves)) == len(part)
        assert all(0 < len(leaf) <= LEAF for leaf in leaves)


@given(st.integers(1, 300), st.integers(1, 40))
def test_the_sum_has_the_same_bits_for_any_number_of_ranks(leaves, ranks):
    rng = np.random.default_rng(leaves)
    x = rng.normal(size=leaves) * 10.0 ** rng.integers(-8, 8, leaves)

    def add(a, b):
        return a + b

    def of_ranks(ranks):
        nodes, values = [], []
        for rank in range(ranks):
            mine = range(leaves * rank // ranks, leaves * (rank + 1) // ranks)
            for level, place in subtrees(mine):
                inside = range(place << level, (place + 1) << level)
                assert inside.start in mine and inside[-1] in mine
                nodes.append((level, place))
                values.append(tree_sum([(0, i) for i in inside], [x[i] for i in inside], add))
        return tree_sum(nodes, values, add)

    one = tree_sum([(0, i) for i in range(leaves)], list(x), add)
    assert of_ranks(ranks) == of_ranks(1) == one
    assert one == pytest.approx(np.sum(x), rel=1e-9, abs=1e-6)


def test_the_tree_of_five():
    text = tree_sum([(0, i) for i in range(5)], list("abcde"), lambda a, b: f"({a}{b})")
    assert text == "(((ab)(cd))e)"


def test_a_batch_of_no_rows():
    assert leaf_count(0) == 0 and len(leaf_part(0, 1, 3)) == 0
