"""Every rank reads the rows that are its own, of npy, IDX and Parquet files."""

import gzip
import struct
from itertools import pairwise

import numpy as np
import pytest
from support.ranks import run_ranks

import micrograd as mg
from micrograd.distributed import shard

rng = np.random.default_rng(0)
X = rng.normal(size=(23, 3)).astype("float32")
Y = rng.integers(0, 4, 23)
CUTS = (0, 4, 5, 16, 23)  # rows of the files


def write_npy(folder, cuts=CUTS):
    for i, (a, b) in enumerate(pairwise(cuts), 8):  # 8, 9, 10, 11
        np.save(folder / f"x-{i}.npy", X[a:b])
        np.save(folder / f"y-{i}.npy", Y[a:b])


def write_idx(path, array, code):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    path.write_bytes(header + array.tobytes())


@pytest.mark.parametrize("ranks", [1, 2, 3, 7, 23])
def test_ranks_have_all_rows_between_them(tmp_path, ranks):
    """Files named 8 to 11 come in the order of their numbers, not of their letters."""
    write_npy(tmp_path)
    np.save(tmp_path / "all-x.npy", X)
    np.save(tmp_path / "all-y.npy", Y)
    for names in (("x-*.npy", "y-*.npy"), ("all-x.npy", "all-y.npy"), ("all-x.npy", "y-*")):
        parts = [shard(*(tmp_path / n for n in names), part=(r, ranks)) for r in range(ranks)]
        sizes = [len(x) for x, _ in parts]
        assert sum(sizes) == 23 and max(sizes) - min(sizes) <= 1
        assert np.array_equal(np.concatenate([x[:] for x, _ in parts]), X)
        assert np.array_equal(np.concatenate([y[:] for _, y in parts]), Y)
        for x, y in parts:
            assert x.shape == (len(x), 3) and y.shape == (len(y),) and x.dtype == np.float32


def test_rows_in_any_order(tmp_path):
    write_npy(tmp_path)
    x, _ = shard(tmp_path / "x-*", tmp_path / "y-*", part=(0, 1))
    index = rng.integers(0, 23, 50)
    assert np.array_equal(x[index], X[index]) and np.array_equal(x[3:17:2], X[3:17:2])
    for index in ([-1], [23]):
        with pytest.raises(IndexError):
            x[index]
    with pytest.raises(TypeError, match="a slice or row numbers are wanted"):
        x[3]


def test_files_of_other_ranks_are_not_read(tmp_path):
    """Of files that only other ranks have rows of, all bytes behind the header are missing."""
    write_npy(tmp_path)
    for i in (10, 11):
        path = tmp_path / f"x-{i}.npy"
        path.write_bytes(path.read_bytes()[:128])
    for rank, ok in ((0, True), (1, True), (2, False), (4, False)):
        paths = tmp_path / "x-*", tmp_path / "y-*"
        if ok:
            x, _ = shard(*paths, part=(rank, 10))
            assert np.array_equal(x[:], X[23 * rank // 10 : 23 * (rank + 1) // 10])
        else:
            with pytest.raises(ValueError, match=r"x-10\.npy has 128 bytes, its header wants 260"):
                shard(*paths, part=(rank, 10))


def test_idx_images_and_labels(tmp_path):
    images, labels = rng.integers(0, 256, (9, 4, 5)).astype("u1"), rng.integers(0, 3, 9)
    for i, rows in enumerate((slice(0, 4), slice(4, 9))):
        write_idx(tmp_path / f"images-{i}", images[rows], 8)
        write_idx(tmp_path / f"labels-{i}", labels[rows].astype("u1"), 8)
    parts = [shard(tmp_path / "im*", tmp_path / "la*", part=(r, 2)) for r in range(2)]
    whole = np.concatenate([x[:] for x, _ in parts])
    assert whole.dtype == np.float32 and whole.shape == (9, 20) == (9, parts[0][0].shape[1])
    assert np.array_equal(whole, images.reshape(9, 20) / np.float32(255))
    y = np.concatenate([y[:] for _, y in parts])
    assert y.dtype == np.int64 and np.array_equal(y, labels)
    write_idx(tmp_path / "big", labels.astype(">i4"), 12)
    assert np.array_equal(shard(tmp_path / "im*", tmp_path / "big", part=(0, 1))[1][:], labels)
    write_idx(tmp_path / "reals", rng.normal(size=(9, 2)).astype(">f4"), 13)
    x, _ = shard(tmp_path / "reals", tmp_path / "big", part=(0, 1))
    assert x[:].dtype == np.dtype("float32") and x[:].dtype.isnative
    assert np.array_equal(x[:], mg.data.read_idx(tmp_path / "reals"))


def test_parquet_row_groups(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for i, (a, b) in enumerate(pairwise(CUTS)):
        table = pa.table({"a": X[a:b, 0], "kind": Y[a:b], "b": X[a:b, 1].astype("float64")})
        pq.write_table(table, tmp_path / f"{i}.parquet", row_group_size=3)
    for ranks in (1, 2, 5):
        parts = [shard(tmp_path, target="kind", part=(r, ranks)) for r in range(ranks)]
        assert np.array_equal(np.concatenate([x for x, _ in parts]), X[:, :2])
        assert np.array_equal(np.concatenate([y for _, y in parts]), Y)
        assert all(x.dtype == np.float32 for x, _ in parts)
    with pytest.raises(ValueError, match=r"has no column 'price'; it has \['a', 'kind', 'b'\]"):
        shard(tmp_path, target="price", part=(0, 1))
    with pytest.raises(TypeError, match="give target="):
        shard(tmp_path, tmp_path, part=(0, 1))
    holes = pa.table({"a": pa.array([1.0, None]), "kind": [0, 1]})
    pq.write_table(holes, tmp_path / "holes")
    with pytest.raises(ValueError, match=r"column 'a' has 1 missing"):
        shard(tmp_path / "holes", target="kind", part=(0, 1))
    pq.write_table(pa.table({"a": ["x", "y"], "kind": [0, 1]}), tmp_path / "words")
    with pytest.raises(TypeError, match=r"column 'a' is string; numbers are wanted"):
        shard(tmp_path / "words", target="kind", part=(0, 1))


def test_what_cannot_be(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y[:20])
    np.save(tmp_path / "words.npy", np.array(["a"] * 23))
    np.save(tmp_path / "turned.npy", np.asfortranarray(X))
    np.save(tmp_path / "number.npy", np.float32(3))
    (tmp_path / "z.gz").write_bytes(gzip.compress(b"1"))
    (tmp_path / "z.txt").write_text("hello")
    for x, y, said in (
        ("x.npy", "y.npy", r"X has 23 rows in 1 file\(s\), y 20 in 1"),
        ("[xy].npy", "y.npy", r"shards of one kind are wanted"),
        ("words.npy", "y.npy", r"words.npy holds <U1 of shape \(23,\); rows of numbers"),
        ("turned.npy", "y.npy", r"\(23, 3\) in the order of columns"),
        ("number.npy", "y.npy", r"holds float32 of shape \(\)"),
        ("z.gz", "y.npy", r"z.gz is gzipped"),
        ("z.txt", "y.npy", r"no npy, IDX or Parquet file; it begins with b'hello'"),
    ):
        with pytest.raises(ValueError, match=said):
            shard(tmp_path / x, tmp_path / y, part=(0, 1))
    paths = tmp_path / "x.npy", tmp_path / "x.npy"
    with pytest.raises(FileNotFoundError, match="nothing-"):
        shard(tmp_path / "nothing-*", paths[1], part=(0, 1))
    with pytest.raises(ValueError, match="23 rows in all for 24 ranks"):
        shard(*paths, part=(0, 24))
    with pytest.raises(ValueError, match="rank 2 of 2; 0 to 1 is wanted"):
        shard(*paths, part=(2, 2))
    with pytest.raises(TypeError, match=r"part is int 3, \(rank, ranks\) is wanted"):
        shard(*paths, part=3)
    with pytest.raises(TypeError, match="either y or target"):
        shard(paths[0], part=(0, 1))


def test_training_from_shards_of_two_ranks(tmp_path):
    """A batch of all rows: the step of one network in memory."""
    write_npy(tmp_path)
    source = """
import sys, numpy as np, micrograd as mg
net = mg.Network(mg.Linear(3, 4), dtype="float64", seed=1)
X, y = mg.distributed.shard(sys.argv[1] + "/x-*", sys.argv[1] + "/y-*")
model = mg.distributed.DataParallel(net, sharded=True)
model.fit(X, y, epochs=3, batch_size=23, seed=2)
if model.rank == 0: np.save(sys.argv[2], net.parameters().flat)
"""
    run_ranks(2, source, tmp_path, tmp_path / "flat.npy")
    net = mg.Network(mg.Linear(3, 4), dtype="float64", seed=1)
    net.fit(X, Y, epochs=3, batch_size=23, seed=2)
    np.testing.assert_allclose(np.load(tmp_path / "flat.npy"), net.parameters().flat, rtol=1e-10)
