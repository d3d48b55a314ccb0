"""Sets of images under the names, and in the layouts, in which they are handed out."""

import gzip
import io
import struct
import zipfile

import numpy as np
import pytest

from micrograd import data

RNG = np.random.default_rng(0)
IMAGES = {"train": RNG.integers(0, 256, (12, 4, 4)), "test": RNG.integers(0, 256, (6, 4, 4))}
LABELS = {"train": np.arange(12) % 10, "test": np.arange(6)[::-1]}


def idx(values, code=0x08, kind="u1"):
    values = np.asarray(values)
    sizes = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes([0, 0, code, values.ndim]) + sizes + values.astype(f">{kind}").tobytes()


def write(folder, before, test="test", images=IMAGES, labels=LABELS, gz=True):
    """Files of a set whose names begin with `before`."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, called in (("train", "train"), ("test", test)):
        for what, content in (("images-idx3", images[part]), ("labels-idx1", labels[part])):
            packed = gzip.compress(idx(content)) if gz else idx(content)
            (folder / f"{before}{called}-{what}-ubyte{'.gz' * gz}").write_bytes(packed)


def assert_is_the_set(found, labels=LABELS):
    for part, X, y in (("train", found[0], found[1]), ("test", found[2], found[3])):
        want = IMAGES[part].reshape(len(X), 16) / np.float32(255)
        np.testing.assert_array_equal(X, want.astype(np.float32))
        assert y.dtype == np.int64
        np.testing.assert_array_equal(y, labels[part])


def test_emnist_is_turned_upright_and_its_letters_count_from_0(tmp_path):
    lying = {part: images.transpose(0, 2, 1) for part, images in IMAGES.items()}
    letters = {part: labels + 1 for part, labels in LABELS.items()}
    write(tmp_path / "letters", "emnist-letters-", images=lying, labels=letters)
    assert_is_the_set(data.mnist(tmp_path / "letters"))
    assert data.read_images(tmp_path / "letters").classes == tuple("ABCDEFGHIJ")
    write(tmp_path / "digits", "emnist-digits-", images=lying)
    assert_is_the_set(data.mnist(tmp_path / "digits"))
    assert data.read_images(tmp_path / "digits").classes == tuple("0123456789")
    write(tmp_path / "zero", "emnist-letters-", images=lying)
    with pytest.raises(ValueError, match="a label is 0, EMNIST's letters are 1 to 26"):
        data.mnist(tmp_path / "zero")


@pytest.mark.parametrize("inside", ["raw", "MNIST/raw", "FashionMNIST/raw", "gzip"])
def test_the_folder_above_will_do(tmp_path, inside):
    write(tmp_path / inside, "", "t10k", gz=False)
    assert_is_the_set(data.mnist(tmp_path))
    assert_is_the_set(data.mnist(tmp_path / inside))


def test_several_sets_are_not_guessed_between(tmp_path):
    for name in ("MNIST", "KMNIST"):
        write(tmp_path / name / "raw", "", "t10k")
    with pytest.raises(ValueError, match=r"holds 2 sets: .*KMNIST.*, .*MNIST.*; put the files"):
        data.mnist(tmp_path)
    assert_is_the_set(data.mnist(tmp_path / "MNIST"))


def test_qmnist_has_its_classes_in_the_first_of_eight_columns(tmp_path):
    write(tmp_path, "qmnist-")
    for part, labels in LABELS.items():
        table = np.concatenate([labels[:, None], RNG.integers(0, 5000, (len(labels), 7))], axis=1)
        (tmp_path / f"qmnist-{part}-labels-idx1-ubyte.gz").unlink()
        packed = gzip.compress(idx(table, 0x0C, "i4"))
        (tmp_path / f"qmnist-{part}-labels-idx2-int.gz").write_bytes(packed)
    assert_is_the_set(data.mnist(tmp_path))


def test_numpy_archives(tmp_path):
    (tmp_path / "k").mkdir()
    for part in ("train", "test"):
        images, labels = IMAGES[part].astype("u1"), LABELS[part].astype("u1")
        np.savez_compressed(tmp_path / "k" / f"kmnist-{part}-imgs.npz", images)
        np.savez_compressed(tmp_path / "k" / f"kmnist-{part}-labels.npz", labels)
    assert_is_the_set(data.mnist(tmp_path / "k"))
    whole = {
        f"{letter}_{part}": values[part].astype("u1")
        for letter, values in (("x", IMAGES), ("y", LABELS))
        for part in ("train", "test")
    }
    (tmp_path / "keras").mkdir()
    np.savez(tmp_path / "keras" / "mnist.npz", **whole)
    assert_is_the_set(data.mnist(tmp_path / "keras"))
    (tmp_path / "k" / "kmnist-test-labels.npz").unlink()
    with pytest.raises(FileNotFoundError, match=r"k holds no kmnist-test-labels\.npz"):
        data.mnist(tmp_path / "k")


def an_object():
    held = io.BytesIO()
    np.savez(held, np.array([{}], dtype=object))
    return held.getvalue()


def a_claim_of_8_tebibytes():
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 43, 1, 1)}
        )
        archive.writestr("arr_0.npy", header.getvalue() + bytes(100))
    return held.getvalue()


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 not a zip", an_object(), a_claim_of_8_tebibytes()]
)
def test_a_damaged_archive_is_named(tmp_path, content):
    for part in ("train", "test"):
        for what in ("imgs", "labels"):
            (tmp_path / f"kmnist-{part}-{what}.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"^mnist: .*kmnist-train-labels\.npz: .*damaged"):
        data.mnist(tmp_path)
