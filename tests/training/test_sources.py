"""Where batches come from: iterables, frames, loaders, memory-mapped files."""

import os
import subprocess
import sys

import numpy as np
import pytest
from support.bits import same_bits
from support.fits import X, Y, by_hand, chunks, fitted
from support.runs import network

# ---- iterables ----


@pytest.mark.parametrize(
    "source",
    [
        chunks(),
        tuple(chunks()),
        lambda: iter(chunks()),
        lambda epoch: chunks(),
        [(x.tolist(), y.tolist()) for x, y in chunks()],
    ],
)
def test_an_iterable_of_batches(source):
    one, two = network(), network()
    history = fitted(one, source, validation=(X, Y))
    by_hand(two, [(x, y, None) for x, y in chunks()] * 3)
    assert same_bits(one.parameters().flat, two.parameters().flat)
    assert len(history.loss) == len(history.val_loss) == 3


def test_a_function_of_the_epoch_and_batches_with_weights():
    epochs, w = [], np.linspace(0, 1, len(X))

    def source(epoch):
        epochs.append(epoch)
        for i in range(0, len(X), 20):
            yield X[i : i + 20], Y[i : i + 20], w[i : i + 20]

    one, two = network(), network()
    fitted(one, source)
    fitted(two, X, Y, sample_weight=w, shuffle=False, batch_size=20)
    assert epochs == [0, 1, 2] and same_bits(one.parameters().flat, two.parameters().flat)


def test_batches_of_sparse_rows():
    sparse = pytest.importorskip("scipy.sparse")
    one, two = network(), network()
    fitted(one, [(sparse.csr_matrix(x), y) for x, y in chunks()])
    fitted(two, chunks())
    assert same_bits(one.parameters().flat, two.parameters().flat)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (lambda: None, r"the function X gives None for epoch 0; an iterable of \(X, y\) batches"),
        (lambda epoch: 5, r"the function X gives int 5 for epoch 0"),
        (
            lambda epoch, rank: [],
            r"the function X wants epoch, rank; it is called with no argument",
        ),
        (lambda *, size: [], r"the function X wants size; it is called with no argument, or with"),
    ],
)
def test_functions_that_make_no_batches_are_named(source, says):
    net = network()
    before = net.parameters().flat.copy()
    with pytest.raises(TypeError, match=rf"^Network\.fit: {says}"):
        net.fit(source, epochs=1, progress=False)
    assert same_bits(net.parameters().flat, before)


def test_a_torch_loader():
    torch = pytest.importorskip("torch")
    dataset = torch.utils.data.TensorDataset(torch.as_tensor(X), torch.as_tensor(Y))
    loader = torch.utils.data.DataLoader(dataset, batch_size=20)
    one, two = network(), network()
    fitted(one, loader)
    fitted(two, chunks())
    assert same_bits(one.parameters().flat, two.parameters().flat)


def test_pandas():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcde"))
    series = pd.Series(Y, index=np.arange(len(Y))[::-1], dtype="Int64")  # nullable, odd index
    one, two = network(), network()
    weights = pd.Series(np.linspace(0.1, 1, len(X)))
    fitted(one, frame, series, validation=(frame, series), sample_weight=weights)
    fitted(two, X, Y, sample_weight=weights.to_numpy())
    assert same_bits(one.parameters().flat, two.parameters().flat)
    mixed = frame.assign(a=[True] * len(X), b=np.arange(len(X)))
    fitted(network(), mixed, series)
    with pytest.raises(TypeError, match=r"Network\.fit: column 'c' of X has values such as 'x'"):
        network().fit(frame.assign(c="x"), series)
    with pytest.raises(ValueError, match=r"Network\.fit: y has 1 missing value"):
        network().fit(frame, series.where(series.index != 3))


# ---- memory-mapped files ----


@pytest.fixture
def mapped(tmp_path):
    """X and Y in files, X as float64 and as float32."""
    files = {}
    for name, array in (("X", X), ("Xf", X.astype("f")), ("Y", Y)):
        np.save(tmp_path / f"{name}.npy", array)
        files[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    return files


@pytest.mark.parametrize("kind", ["X", "Xf"])
def test_mapped_arrays_train_as_others_do(mapped, kind, dtype):
    one, two = network(dtype=dtype), network(dtype=dtype)
    a = fitted(one, mapped[kind], mapped["Y"], validation=0.2, class_weight="balanced")
    b = fitted(two, np.array(mapped[kind]), Y, validation=0.2, class_weight="balanced")
    assert same_bits(one.parameters().flat, two.parameters().flat)
    assert a.val_loss == b.val_loss and a.loss == b.loss
    fitted(one, mapped[kind], Y, validation=(mapped[kind], mapped["Y"]), label_smoothing=0.1)


def test_a_bad_number_in_a_mapped_file_is_named(tmp_path):
    bad = X.copy()
    bad[41, 3] = np.nan
    np.save(tmp_path / "bad.npy", bad)
    mapped = np.load(tmp_path / "bad.npy", mmap_mode="r")
    with pytest.raises(ValueError, match=r"^Network\.fit: X\[41, 3\] is nan"):
        fitted(network(), mapped, Y)
    labels = Y.copy()
    labels[17] = 9
    with pytest.raises(ValueError, match=r"^Network\.fit: y\[17\] is 9"):
        fitted(network(), mapped, labels)
    with pytest.raises(ValueError, match="as many rows"):
        fitted(network(), mapped, Y[:-1])


CHILD = """
import sys, numpy as np, micrograd as mg
path, kind, rows, columns, dtype, validation = sys.argv[1:7]
rows, columns = int(rows), int(columns)
X = np.memmap(path, kind, "r", shape=(rows, columns))
y = np.zeros(rows, np.int8)
net = mg.Network(mg.Linear(columns, 8), mg.ReLU(), mg.Linear(8, 3), dtype=dtype, seed=0)
stop = type("Stop", (), {"on_step": lambda self, s: s.stop() if s.step == 300 else None})()
val = {"pair": (X[:9000], y[:9000]), "fraction": 2e-5}[validation]
history = net.fit(X, y, epochs=1, batch_size=64, callbacks=stop, validation=val, progress=False)
assert len(history.val_loss) == 1 and net.optimizer.steps == 300
peak = [int(line.split()[1]) for line in open("/proc/self/status") if "RssAnon" in line]
print(peak[0])
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads /proc")
@pytest.mark.parametrize(
    "kind, columns, dtype, validation",
    [
        ("f4", 1024, "float32", "pair"),
        ("f8", 512, "float32", "fraction"),
        ("u1", 4096, "float64", "pair"),
        ("f4", 8, "float32", "fraction"),  # 134 million rows, whose order alone would take 1 GB
    ],
)
def test_four_gigabytes_in_little_memory(tmp_path, kind, columns, dtype, validation):
    path = tmp_path / "X.bin"
    size = 4 << 30
    with open(path, "wb") as file:
        file.truncate(size)  # a sparse file: no disk is used
    rows = size // np.dtype(kind).itemsize // columns
    arguments = [path, kind, rows, columns, dtype, validation]
    run = subprocess.run([sys.executable, "-c", CHILD, *map(str, arguments)], check=True,
                         capture_output=True, text=True)  # fmt: skip
    labels = rows / 1024  # y itself, one byte a row
    assert int(run.stdout) - labels < 150_000  # KB
