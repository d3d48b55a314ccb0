"""mg_matmul against numpy: tile edges, strides, transposes, padding, threads.

Small whole numbers make every product and sum exact, so that most tests compare without a
tolerance; rounding has tests of its own.
"""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided
from support.bits import same_bits
from support.kernels import ISAS, address, lanes, matmul, tile_rows

from micrograd import core
from micrograd.core import lib

BLOCK_ROWS = 168  # of csrc/kernels/gemm_pack_template.h


def block_depth(isa, dtype):
    """Of csrc/kernels/gemm_pack_template.h; k is cut from 1.5 times that on."""
    return 192 if dtype == "float64" and isa != "avx512" else 384


def whole(rng, shape, dtype):
    return rng.integers(-8, 9, shape).astype(dtype)


def layout(values, transposed=False, padding=0):
    """The same matrix in a larger array full of NaN: column-major if transposed."""
    rows, columns = values.shape[::-1] if transposed else values.shape
    store = np.full((rows, columns + padding), np.nan, values.dtype)
    view = store[:, :columns]
    view = view.T if transposed else view
    view[...] = values
    return view


def strided(values, row, column):
    """The same matrix with these strides (in elements, negative ones too), NaN in between."""
    (m, n), size = values.shape, values.itemsize
    span_row, span_column = abs(row) * max(m - 1, 0), abs(column) * max(n - 1, 0)
    store = np.full(span_row + span_column + 1, np.nan, values.dtype)
    start = (span_row if row < 0 else 0) + (span_column if column < 0 else 0)
    view = as_strided(store[start:], (m, n), (row * size, column * size))
    view[...] = values
    return view


def exact(a, b):
    return a.astype(np.float64) @ b.astype(np.float64)


def padded_output(m, n, dtype, padding=3):
    """C full of NaN inside an array whose margins hold 77."""
    store = np.full((m + 2, n + 2 * padding), 77, dtype)
    c = store[1 : m + 1, padding : padding + n]
    c[...] = np.nan
    return store, c


def margins_untouched(store, m, n, padding=3):
    inside = np.zeros(store.shape, bool)
    inside[1 : m + 1, padding : padding + n] = True
    return (store[~inside] == 77).all()


@pytest.mark.parametrize("a_transposed", [False, True])
@pytest.mark.parametrize("b_transposed", [False, True])
def test_tile_edges(isa, dtype, a_transposed, b_transposed):
    rng = np.random.default_rng(0)
    rows, columns, depth = tile_rows(isa), 2 * lanes(isa, dtype), block_depth(isa, dtype)
    ms = sorted({1, 2, 3, rows - 1, rows, rows + 1, 2 * rows - 1, 4 * rows, 4 * rows + 1, 63})
    ns = sorted(
        {1, columns // 2, columns // 2 + 1, columns - 1, columns, columns + 1, 3 * columns + 2}
    )
    depths = [1, 2, 7, depth - 1, depth, depth + 1, 3 * depth // 2, 3 * depth // 2 + 1]
    for m, n, k in itertools.product(ms, ns, depths):
        a, b = whole(rng, (m, k), dtype), whole(rng, (k, n), dtype)
        store, c = padded_output(m, n, dtype)
        matmul(isa, layout(a, a_transposed, 5), layout(b, b_transposed, 1), c)
        assert np.array_equal(c, exact(a, b)), (m, n, k)
        assert margins_untouched(store, m, n), (m, n, k)


def test_several_blocks(isa, dtype):
    """More rows than a block of A and more depth than two blocks, all four transposes."""
    rng = np.random.default_rng(1)
    n, depth = 6 * lanes(isa, dtype) + 1, block_depth(isa, dtype)
    for m, k in [
        (BLOCK_ROWS - 1, 2 * depth + 5),
        (BLOCK_ROWS, 5 * depth // 2),
        (BLOCK_ROWS + 1, 5 * depth // 2 + 1),
        (2 * BLOCK_ROWS + 17, 3 * depth + 1),
    ]:
        a, b = whole(rng, (m, k), dtype), whole(rng, (k, n), dtype)
        want = exact(a, b)
        for ta, tb, threads in itertools.product([False, True], [False, True], [1, 3]):
            store, c = padded_output(m, n, dtype)
            matmul(isa, layout(a, ta), layout(b, tb), c, threads=threads)
            assert np.array_equal(c, want) and margins_untouched(store, m, n)


@pytest.mark.parametrize("stride", [512, 1024, 2048, 5000])
def test_strides_that_make_copies(isa, dtype, stride):
    """Strides that fall on one set of the cache, or on too many pages: A and B are copied,
    each in both layouts."""
    rng = np.random.default_rng(2)
    for m, n, k in [(70, 50, 33), (200, 40, 9), (9, 130, block_depth(isa, dtype) + 3)]:
        a, b = whole(rng, (m, k), dtype), whole(rng, (k, n), dtype)
        want = exact(a, b)
        for ta, tb in itertools.product([False, True], repeat=2):
            a_view = layout(a, ta, stride - (m if ta else k))
            b_view = layout(b, tb, stride - (k if tb else n))
            store, c = padded_output(m, n, dtype)
            matmul(isa, a_view, b_view, c, threads=2)
            assert np.array_equal(c, want) and margins_untouched(store, m, n)


@pytest.mark.parametrize(
    "a_strides", [(3, 2), (2, 51), (-40, 1), (1, -90), (-2, -99), (0, 1), (1, 0)]
)
@pytest.mark.parametrize("b_strides", [(2, 3), (71, 2), (-70, 1), (1, -45), (0, 1), (0, 0)])
def test_any_stride(isa, dtype, a_strides, b_strides):
    rng = np.random.default_rng(3)
    for m, n, k in [(31, 35, 37), (1, 20, 40), (30, 1, 1)]:
        # Overlapping elements (small strides, stride 0) are one number: read back what A and B are.
        a, b = (
            strided(whole(rng, (m, k), dtype), *a_strides),
            strided(whole(rng, (k, n), dtype), *b_strides),
        )
        store, c = padded_output(m, n, dtype)
        matmul(isa, a, b, c)
        assert np.array_equal(c, exact(a, b)) and margins_untouched(store, m, n)


@pytest.mark.parametrize("accumulate", [False, True])
def test_no_depth_no_rows_no_columns(isa, dtype, accumulate):
    for m, n, k in [(5, 40, 0), (0, 7, 3), (6, 0, 3), (0, 0, 0)]:
        for transposed in (False, True):
            store, c = padded_output(m, n, dtype)
            if accumulate:
                c[...] = 5
            a, b = np.zeros((m, k), dtype), np.zeros((k, n), dtype)
            b = np.asfortranarray(b) if transposed else b
            for threads in (1, 2):
                matmul(isa, a, b, c, accumulate=accumulate, threads=threads)
                assert (c == (5 if accumulate else 0)).all()
                assert margins_untouched(store, m, n)


def test_alpha_and_accumulate(isa, dtype):
    rng = np.random.default_rng(4)
    for m, n, k in [(17, 35, 20), (1, 3, 1), (40, 33, 2 * block_depth(isa, dtype) + 1)]:
        a, b, c0 = (whole(rng, shape, dtype) for shape in ((m, k), (k, n), (m, n)))
        for alpha, transposed in itertools.product([1.0, -2.0, 0.25, 0.0], [False, True]):
            b_view = layout(b, transposed)
            c = layout(c0, padding=2)
            matmul(isa, a, b_view, c, alpha, accumulate=True)
            assert np.array_equal(c, c0 + alpha * exact(a, b))
            matmul(isa, a, b_view, c, alpha)
            assert np.array_equal(c, alpha * exact(a, b))


def test_nan_and_infinity_stay_in_their_row_and_column(isa, dtype):
    rng = np.random.default_rng(5)
    m, n, k = 23, 41, 29
    for ta, tb in itertools.product([False, True], repeat=2):
        a, b = whole(rng, (m, k), dtype), whole(rng, (k, n), dtype)
        a[5, k - 1], b[k - 1, 33] = np.nan, np.inf
        b[k - 1, np.arange(n) != 33] = 1
        a[np.arange(m) != 5, k - 1] = 1
        c = matmul(isa, layout(a, ta), layout(b, tb), np.zeros((m, n), dtype))
        assert np.isnan(c[5]).all() and np.isposinf(np.delete(c[:, 33], 5)).all()
        assert np.isfinite(np.delete(np.delete(c, 5, axis=0), 33, axis=1)).all()


def rounding_bound(a, b, alpha, c0, dtype):
    """A chain of k multiply-adds, a sum of blocks, alpha and C: at most k + blocks + 3 roundings,
    each eps/2 of a partial sum that |A||B| bounds; the reference makes as many in float64."""
    k = a.shape[1]
    roundings = k + k // 192 + 4  # no block is less deep
    size = abs(alpha) * exact(np.abs(a), np.abs(b)) + np.abs(c0)
    return roundings * (np.finfo(dtype).eps / 2 + np.finfo(np.float64).eps / 2) * size * 1.01


@pytest.mark.parametrize("shape", [(64, 64, 64), (3, 100, 1000), (200, 5, 500), (97, 101, 389)])
def test_rounding_is_bounded(isa, dtype, shape):
    rng = np.random.default_rng(6)
    m, n, k = shape
    a, b, c0 = (rng.normal(size=s).astype(dtype) for s in ((m, k), (k, n), (m, n)))
    for ta, tb in itertools.product([False, True], repeat=2):
        c = c0.copy()
        matmul(isa, layout(a, ta), layout(b, tb), c, 0.3, accumulate=True)
        alpha = np.dtype(dtype).type(0.3).astype(np.float64)
        error = np.abs(c - (c0 + alpha * exact(a, b)))
        assert (error <= rounding_bound(a, b, alpha, c0, dtype)).all()


@pytest.mark.parametrize(
    "shape", [(130, 70, 400), (5, 300, 50), (300, 3, 20), (1, 1, 9), (29, 65, 1)]
)
def test_same_bits_for_any_number_of_threads(isa, dtype, shape):
    rng = np.random.default_rng(7)
    m, n, k = shape
    a, b, c0 = (rng.normal(size=s).astype(dtype) for s in ((m, k), (k, n), (m, n)))
    for ta, tb in itertools.product([False, True], repeat=2):
        a_view, b_view = layout(a, ta), layout(b, tb)
        results = [
            matmul(isa, a_view, b_view, c0.copy(), 0.7, accumulate=True, threads=threads)
            for threads in (1, 2, 3, 5)
        ]
        assert all(same_bits(results[0], c) for c in results[1:])


def test_an_element_has_the_same_bits_in_any_tile(isa, dtype):
    """gemm.h: one chain in the order of k, whatever tile or panel an element falls in."""
    rng = np.random.default_rng(8)
    m, n, k = 61, 75, 2 * block_depth(isa, dtype) + 50
    a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
    for tb in (False, True):
        b_view = layout(b, tb)
        full = matmul(isa, a, b_view, np.zeros((m, n), dtype))
        for rows, columns in [
            (slice(7, 8), slice(None)),
            (slice(3, 20), slice(5, 6)),
            (slice(20, 61), slice(1, 74)),
            (slice(0, 2), slice(70, 75)),
        ]:
            part = full[rows, columns]
            again = matmul(isa, a[rows], b_view[:, columns], np.zeros(part.shape, dtype))
            assert same_bits(part, again)


def test_refuses_what_it_cannot_do():
    a, b, c = np.ones((2, 3), "float32"), np.ones((3, 2), "float32"), np.full((2, 2), 9, "float32")
    absent = next((i for i in range(lib.MG_ISAS) if not lib.mg_isa_supported(i)), 99)
    good = [core.ISA_CODE, lib.MG_FLOAT32, 2, 2, 3]
    for place, value in [(0, absent), (0, -1), (0, 99), (1, 2), (1, -1), (2, -1), (3, -1), (4, -1)]:
        bad = list(good)
        bad[place] = value
        status = lib.mg_matmul(*bad, 1.0, address(a), 3, 1, address(b), 2, 1, 0, address(c), 2, 1)
        assert status == lib.MG_BAD_ARGUMENT and (c == 9).all()
    assert lib.mg_matmul(*good, 1.0, address(a), 3, 1, address(b), 2, 1, 0, address(c), 2, 0) == (
        lib.MG_BAD_ARGUMENT
    )


sizes = st.integers(1, 20) | st.integers(1, 90) | st.sampled_from([167, 168, 169, 191, 193, 385])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(ISAS),
    dtype=st.sampled_from(["float32", "float64"]),
    m=sizes,
    n=sizes,
    k=sizes,
    transposed=st.tuples(st.booleans(), st.booleans()),
    padding=st.tuples(st.integers(0, 40), st.integers(0, 40)),
    spread=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    alpha=st.sampled_from([1.0, -0.5, 3.0]),
    accumulate=st.booleans(),
    threads=st.integers(1, 3),
    seed=st.integers(0, 2**31),
)
def test_random_shapes(
    name, dtype, m, n, k, transposed, padding, spread, alpha, accumulate, threads, seed
):
    rng = np.random.default_rng(seed)
    a, b, c0 = (whole(rng, shape, dtype) for shape in ((m, k), (k, n), (m, n)))
    views = []
    for x, flipped, pad, step in zip((a, b), transposed, padding, spread, strict=True):
        fast, slow = (x.shape[0], x.shape[1]) if flipped else (x.shape[1], x.shape[0])
        apart = fast * step + pad
        views.append(strided(x, *((step, apart) if flipped else (apart, step))))
        assert slow == 1 or np.array_equal(views[-1], x)
    store, c = padded_output(m, n, dtype)
    if accumulate:
        c[...] = c0
    matmul(core.ISA_CODES[name], *views, c, alpha, accumulate, threads)
    assert np.array_equal(c, alpha * exact(a, b) + accumulate * c0)
    assert margins_untouched(store, m, n)
