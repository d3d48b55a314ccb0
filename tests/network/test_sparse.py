"""Sparse rows in C: what the same rows give when they are dense, and nothing outside the arrays."""

import numpy as np
import pytest

import micrograd as mg

sparse = pytest.importorskip("scipy.sparse")

# Sums of as many products as a row, or a column, has numbers: relative to the largest result.
TOLERANCE = {"float32": 3e-5, "float64": 1e-13}
SHAPES = [(70, 300, 0.05, 40), (3, 50, 0.3, 7), (300, 9000, 0.003, 150), (600, 64, 0.9, 130)]


def rows_of(rows, columns, density, seed=0):
    """CSR rows with numbers in [-0.5, 0.5)."""
    rng = np.random.default_rng(seed)
    X = sparse.random_array((rows, columns), density=density, rng=rng).tocsr()
    X.data -= 0.5
    return X


def network(columns, hidden, dtype="float32", **options):
    layers = mg.Linear(columns, hidden), mg.Tanh(), mg.Linear(hidden, 4)
    return mg.Network(*layers, seed=0, dtype=dtype, **options)


def labels_of(rows):
    return np.random.default_rng(1).integers(0, 4, rows)


def assert_close(actual, wanted, dtype):
    scale = max(np.abs(wanted).max(), 1e-30)
    np.testing.assert_allclose(actual / scale, wanted / scale, atol=TOLERANCE[dtype], rtol=0)


@pytest.fixture(params=[1, 2])
def threads(request):
    before = mg.get_num_threads()
    mg.set_num_threads(request.param)
    yield request.param
    mg.set_num_threads(before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [*SHAPES, (2, 10, 0.0, 5)])
def test_a_pass_is_that_of_dense_rows(shape, dtype, threads):
    rows, columns, density, hidden = shape
    X, y = rows_of(rows, columns, density), labels_of(rows)
    dense = X.toarray().astype(dtype)
    ours, theirs = network(columns, hidden, dtype), network(columns, hidden, dtype)
    for _ in range(2):  # the second pass adds to the gradients of the first
        for net, data in ((ours, X), (theirs, dense)):
            net.loss(data, y)
            net.backward()
        assert_close(ours.parameters().flat_grad, theirs.parameters().flat_grad, dtype)
    assert_close(ours.predict(X), theirs.predict(dense), dtype)
    weights = np.arange(rows) % 3 + 1.0
    assert_close(
        np.array(ours.evaluate(X, y, weights)), np.array(theirs.evaluate(dense, y, weights)), dtype
    )


def test_the_same_bits_for_any_number_of_threads():
    X, y = rows_of(2500, 8000, 0.004), labels_of(2500)
    found = []
    for count in (1, 2, 3):
        mg.set_num_threads(count)
        net = network(8000, 200)
        net.loss(X, y)
        net.backward()
        found.append((net.parameters().flat_grad.tobytes(), net.predict(X).tobytes()))
    mg.set_num_threads(1)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [1, 3, 70, 3000])
def test_a_frozen_network_gives_what_it_gave(rows, dtype, threads):
    for hidden in (40, 130, 9):
        X, net = rows_of(rows, 2000, 0.01), network(2000, hidden, dtype)
        predictor = net.freeze()
        assert_close(predictor(X), net.predict(X.toarray()), dtype)
        out = np.empty((rows, 4), dtype)
        assert predictor(X, out=out) is out
        assert out.tobytes() == predictor(X).tobytes()
    with pytest.raises(
        ValueError, match=r"Predictor: row \d+ of sparse X is not valid: column 9000"
    ):
        X.indices[X.nnz // 2] = 9000
        predictor(X)


def test_a_row_gives_the_same_bits_alone_and_among_others():
    X, net = rows_of(300, 2000, 0.01), network(2000, 40)
    for outputs in (net.predict, net.freeze()):
        alone = np.concatenate([outputs(X[[i]]) for i in range(300)])
        assert alone.tobytes() == outputs(X).tobytes()


def test_order_and_index_types_do_not_matter_and_doubles_add_up():
    X, rng = rows_of(70, 300, 0.05), np.random.default_rng(2)
    net = network(300, 40, "float64")
    wanted = net.predict(X)
    spans = [np.arange(*X.indptr[i : i + 2]) for i in range(70)]
    order = np.concatenate([rng.permutation(span) for span in spans])
    mixed = sparse.csr_array((X.data[order], X.indices[order], X.indptr), X.shape)
    mixed.has_sorted_indices = False
    assert net.predict(mixed).tobytes() == wanted.tobytes()
    wide = sparse.csr_array((70, 300))
    wide.data, wide.indices, wide.indptr = X.data, X.indices.astype(np.int64), X.indptr.astype(int)
    assert net.predict(wide).tobytes() == wanted.tobytes()
    for form in (sparse.csc_array(X), sparse.coo_array(X), sparse.csr_matrix(X)):
        assert net.predict(form).tobytes() == wanted.tobytes()
    twice = sparse.csr_array(
        (np.repeat(X.data / 2, 2), np.repeat(X.indices, 2), X.indptr * 2), X.shape
    )
    np.testing.assert_allclose(net.predict(twice), wanted, rtol=1e-12)


def spoiled(name, place, value):
    X = rows_of(50, 100, 0.1)
    getattr(X, name)[place] = value
    return X


@pytest.mark.parametrize(
    ("X", "text"),
    [
        (spoiled("indices", 3, 100), "row 0 of sparse X is not valid: column 100, there are 100"),
        (spoiled("indices", 3, -1), "row 0 of sparse X is not valid: its entries"),
        (spoiled("indptr", 7, 10**6), "row 6 of sparse X is not valid: its entries"),
        (spoiled("indptr", 7, -3), "row 6 of sparse X is not valid"),
        (spoiled("indptr", 50, 2**31 - 1), "row 49 of sparse X is not valid"),
        (spoiled("data", 5, np.nan), r"X\[0, \d+\] is nan; finite numbers are wanted"),
        (spoiled("data", -1, np.inf), r"X\[49, \d+\] is inf; finite numbers are wanted"),
    ],
)
def test_what_is_corrupt_is_refused_and_changes_nothing(X, text):
    good, y = rows_of(50, 100, 0.1, seed=3), labels_of(50)
    net, other = network(100, 8), network(100, 8)
    for one in (net, other):
        one.loss(good, y)
    for call in (
        lambda: net.predict(X),
        lambda: net.loss(X, y),
        lambda: net.evaluate(X, y),
        lambda: net.checked_batch("here", X, y),
    ):
        with pytest.raises(ValueError, match=text):
            call()
    net.backward()  # of the loss before
    other.backward()
    assert net.parameters().flat_grad.tobytes() == other.parameters().flat_grad.tobytes()


def test_rows_that_are_written_over_while_fit_gathers_them():
    """Checked when training began, and corrupt afterwards: refused, never read outside."""
    X, y = rows_of(50, 100, 0.1), labels_of(50)
    net = network(100, 8)
    optimizer = mg.optim.SGD(net.parameters(), lr=0.1)
    from micrograd.optim.constraints import Constraints

    constraints = Constraints(net.parameters())
    batch = net.checked_batch("here", X.astype(np.float32), y)
    index = np.arange(50, dtype=np.int64)
    net.train_step(batch, index, optimizer, constraints)
    before = net.parameters().flat.tobytes()
    batch.x.columns[7] = 5000
    with pytest.raises(ValueError, match="of sparse X is not valid: column 5000"):
        net.train_step(batch, index, optimizer, constraints)
    assert net.parameters().flat.tobytes() == before


def test_what_takes_no_sparse_rows_says_so():
    X = rows_of(5, 10, 0.5)
    for layers in ((mg.Residual(mg.Linear(10, 10)),), (mg.Scale(10), mg.Linear(10, 2))):
        with pytest.raises(TypeError, match=r"only Linear takes one, layer 0 .*X\.toarray"):
            mg.Network(*layers, loss="mse", seed=0).predict(X)
    with pytest.raises(ValueError, match=r"X has 10 features, layer 0 Linear\(7, 8\) takes 7"):
        network(7, 8).predict(X)
    with pytest.raises(TypeError, match=r"Network.fit: X is a sparse matrix.*X\.toarray"):
        network(10, 8).fit(X, labels_of(5), progress=False)
    with pytest.raises(ValueError, match="X has no rows"):
        network(10, 8).predict(X[:0])


def test_explain_and_forward_take_them_too():
    X, y, net = rows_of(20, 30, 0.2), labels_of(20), network(30, 8, "float64")
    explained, dense = net.explain(X, y), network(30, 8, "float64").explain(X.toarray(), y)
    assert explained.keys() == dense.keys()
    for name, value in dense.items():
        np.testing.assert_allclose(explained[name], value, atol=1e-13)
    np.testing.assert_allclose(net.forward(X), net.predict(X.toarray()), atol=1e-13)


def test_passes_of_sparse_and_dense_rows_may_alternate():
    X, y = rows_of(60, 90, 0.1), labels_of(60)
    dense = X.toarray().astype(np.float32)
    net = network(90, 20)
    for data in (X, dense, X[:7], dense[:50], X):
        net.zero_grad()
        net.loss(data, y[: data.shape[0]])
        net.backward()
        gradient = net.parameters().flat_grad.copy()
        other = network(90, 20)
        rows = data if isinstance(data, np.ndarray) else data.toarray().astype(np.float32)
        other.loss(rows, y[: len(rows)])
        other.backward()
        assert_close(gradient, other.parameters().flat_grad, "float32")
