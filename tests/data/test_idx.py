"""IDX files and the four of MNIST: written by hand, by chance, cut short, too large."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from micrograd import data

# The files are overwritten by each example, so that one temporary folder serves them all.
reuses_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def idx_bytes(values, code=0x08):
    values = np.asarray(values)
    header = struct.pack(f">HBB{values.ndim}I", 0, code, values.ndim, *values.shape)
    return header + values.astype(IDX_TYPES[code]).tobytes()


def read_bytes_as_idx(tmp_path, content):
    path = tmp_path / "some.idx"
    path.write_bytes(content)
    return data.read_idx(path)


def test_idx_written_by_hand(tmp_path):
    content = bytes.fromhex("00000b02 00000002 00000003 0001 0002 0003 ffff 7fff 8000")
    values = read_bytes_as_idx(tmp_path, content)
    assert values.dtype == np.int16 and values.dtype.isnative and values.flags.writeable
    np.testing.assert_array_equal(values, [[1, 2, 3], [-1, 32767, -32768]])


@reuses_folder
@given(
    st.sampled_from(sorted(IDX_TYPES)).flatmap(
        lambda code: st.tuples(
            st.just(code),
            hnp.arrays(
                np.dtype(IDX_TYPES[code]).newbyteorder("="),
                hnp.array_shapes(max_dims=4, min_side=0, max_side=5),
            ),
        )
    ),
    st.booleans(),
)
def test_idx_round_trip(tmp_path, coded, zipped):
    code, values = coded
    content = idx_bytes(values, code)
    back = read_bytes_as_idx(tmp_path, gzip.compress(content) if zipped else content)
    assert back.dtype == values.dtype and back.dtype.isnative
    np.testing.assert_array_equal(back, values)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "byte 0: the data ends, wanted 4 magic bytes"),
        (b"\0\0\x08", "byte 3: the data ends, wanted 4 magic bytes"),
        (b"PK\x03\x04rest", "byte 0: the magic number is 50 4b 03 04"),
        (b"\0\0\x0a\x01\0\0\0\0", "byte 2: type code 0a, wanted one of 08, 09, 0b, 0c, 0d, 0e"),
        (b"\0\0\x08\0", "byte 3: 0 dimensions, wanted 1 to 32"),
        (b"\0\0\x08\x21" + bytes(33 * 4), "byte 3: 33 dimensions, wanted 1 to 32"),
        (b"\0\0\x08\x02\0\0\0\1\0", "byte 9: the data ends, wanted 2 sizes of 4 bytes each"),
        (idx_bytes([[1, 2], [3, 4]])[:-1], "byte 15: the data ends after 3 bytes of values, want"),
        (idx_bytes([1.5], 0x0E)[:-1], "byte 15: the data ends after 7 bytes of values, wanted 8"),
        (idx_bytes([1, 2]) + b"x", "byte 10: more data follows, wanted the end after 2 bytes"),
        (b"\0\0\x08\x03" + bytes(4) + b"\xff" * 8, "byte 4: the header claims 0 x 4294967295"),
    ],
)
def test_idx_faults_name_file_and_byte(tmp_path, content, complaint):
    with pytest.raises(ValueError, match=complaint) as caught:
        read_bytes_as_idx(tmp_path, content)
    assert str(caught.value).startswith(f"read_idx: {tmp_path / 'some.idx'}: byte ")


def test_idx_faults_inside_gzip_count_decompressed_bytes(tmp_path):
    with pytest.raises(ValueError, match="byte 10 of the decompressed data: more data follows"):
        read_bytes_as_idx(tmp_path, gzip.compress(idx_bytes([1, 2]) + b"x"))


def peak_memory(action):
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("zipped", [False, True])
def test_idx_claim_of_a_huge_size_allocates_nothing(tmp_path, zipped):
    content = b"\0\0\x0e\x02" + struct.pack(">2I", 1 << 20, 1 << 20) + bytes(100)  # 8 TiB

    def read():
        with pytest.raises(ValueError, match="after 100 bytes of values, wanted 8796093022208"):
            read_bytes_as_idx(tmp_path, gzip.compress(content) if zipped else content)

    assert peak_memory(read) < 2_000_000


def test_idx_gzip_bomb_is_not_inflated(tmp_path):
    bomb = gzip.compress(idx_bytes([1, 2, 3]) + bytes(200_000_000), 1)

    def read():
        with pytest.raises(ValueError, match="byte 11 of the decompressed data: more data"):
            read_bytes_as_idx(tmp_path, bomb)

    assert peak_memory(read) < 10_000_000


def random_idx():
    return idx_bytes(np.random.default_rng(0).integers(0, 256, (300, 1000)))


def test_idx_larger_than_any_buffer(tmp_path):
    """3 MB: several file chunks and several inflated pieces."""
    values = np.random.default_rng(1).integers(0, 4, (3, 1000, 1000)).astype(np.uint8)
    for content in (idx_bytes(values), gzip.compress(idx_bytes(values))):
        np.testing.assert_array_equal(read_bytes_as_idx(tmp_path, content), values)


@pytest.mark.parametrize("missing", [1, 4, 8, 9, 1000, 250_000])
def test_truncated_gzip(tmp_path, missing):
    content = gzip.compress(random_idx())[:-missing]
    with pytest.raises(ValueError, match=f"byte {len(content)}: the gzip data ends before"):
        read_bytes_as_idx(tmp_path, content)


def test_corrupt_gzip_is_caught_by_its_checksum(tmp_path):
    content = bytearray(gzip.compress(random_idx()))
    content[-8] ^= 1  # of the CRC, whose 4 bytes precede the 4 of the length
    with pytest.raises(ValueError, match="the gzip data is corrupt") as caught:
        read_bytes_as_idx(tmp_path, bytes(content))
    assert f"some.idx: byte {len(content) - 5}: " in str(caught.value)  # where the CRC is complete


def test_corrupt_gzip_names_the_first_byte_that_cannot_be(tmp_path):
    content = bytearray(gzip.compress(b"", 0))
    content[10] = 0b111  # last block, type 3, which does not exist
    with pytest.raises(ValueError, match="byte 10: the gzip data is corrupt"):
        read_bytes_as_idx(tmp_path, bytes(content))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_flipped_bit_in_gzip_data_is_a_valueerror_or_harmless(tmp_path, draws):
    values = np.arange(600).reshape(20, 30) % 251
    content = bytearray(gzip.compress(idx_bytes(values)))
    place = draws.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << draws.draw(st.integers(0, 7))
    try:
        back = read_bytes_as_idx(tmp_path, bytes(content))
    except ValueError as error:
        assert "some.idx: byte " in str(error)
    else:  # gzip has bits that mean nothing, such as the time and the padding of the last byte
        assert place < 10 or place == len(content) - 9
        np.testing.assert_array_equal(back, values)


def test_gzip_members_in_a_row_and_padding_are_one_stream(tmp_path):
    content = idx_bytes([1, 2, 3])
    joined = gzip.compress(content[:9]) + bytes(5) + gzip.compress(content[9:]) + bytes(3)
    assert read_bytes_as_idx(tmp_path, joined).tolist() == [1, 2, 3]


def test_gzip_with_a_tail_that_is_no_gzip(tmp_path):
    content = gzip.compress(idx_bytes([1, 2, 3]))
    with pytest.raises(ValueError, match=f"byte {len(content) + 1}: the gzip data is corrupt"):
        read_bytes_as_idx(tmp_path, content + b"<html>")


def test_idx_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        data.read_idx(tmp_path / "nowhere")


# ----------------------------------------------------------------------------------------- MNIST

TRAIN_IMAGES = np.arange(3 * 2 * 4).reshape(3, 2, 4) * 11  # 0 to 253
TEST_IMAGES = np.full((2, 2, 4), 255)
MNIST_FILES = {
    "train-images-idx3-ubyte": idx_bytes(TRAIN_IMAGES),
    "train-labels-idx1-ubyte": idx_bytes([5, 0, 255]),
    "t10k-images-idx3-ubyte": idx_bytes(TEST_IMAGES),
    "t10k-labels-idx1-ubyte": idx_bytes([9, 1]),
}


def write_mnist(folder, **changes):
    for name, content in MNIST_FILES.items():
        stem = name.split("-idx")[0].replace("-", "_")
        (folder / name).write_bytes(changes.get(stem, content))
    return folder


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("before_idx", ["-", "."])
def test_mnist_in_every_spelling(tmp_path, before_idx, suffix):
    for name, content in MNIST_FILES.items():
        path = tmp_path / (name.replace("-idx", before_idx + "idx") + suffix)
        path.write_bytes(gzip.compress(content) if suffix else content)
    X_train, y_train, X_test, y_test = data.mnist(str(tmp_path))
    assert X_train.dtype == X_test.dtype == np.float32
    assert y_train.dtype == y_test.dtype == np.int64
    np.testing.assert_array_equal(X_train, np.float32(TRAIN_IMAGES.reshape(3, 8)) / np.float32(255))
    np.testing.assert_array_equal(X_test, np.ones((2, 8)))
    assert y_train.tolist() == [5, 0, 255] and y_test.tolist() == [9, 1]


def test_mnist_gz_name_over_plain_content(tmp_path):
    """Browsers and proxies inflate .gz downloads and keep the name."""
    for name, content in MNIST_FILES.items():
        (tmp_path / f"{name}.gz").write_bytes(content)
    assert data.mnist(tmp_path)[1].tolist() == [5, 0, 255]


def test_mnist_prefers_the_plain_file(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(b"not looked at")
    assert data.mnist(tmp_path)[3].tolist() == [9, 1]


@pytest.mark.parametrize(
    ("changes", "file", "complaint"),
    [
        (
            {"train_labels": idx_bytes(TRAIN_IMAGES)},
            "train-labels-idx1-ubyte",
            "byte 3: 3 dimension.s., wanted 1 for labels",
        ),
        (
            {"t10k_images": idx_bytes([9, 1])},
            "t10k-images-idx3-ubyte",
            "byte 3: 1 dimension.s., wanted 3 for images",
        ),
        (
            {"train_labels": idx_bytes([1, 2, 3], 0x0C)},
            "train-labels-idx1-ubyte",
            "byte 2: values of type int32, wanted uint8 labels",
        ),
        (
            {"t10k_labels": idx_bytes([1, 2, 3])},
            "t10k-labels-idx1-ubyte",
            "byte 4: 3 labels, wanted 2, one for each image in .*t10k-images-idx3-ubyte",
        ),
        (
            {"t10k_images": idx_bytes(np.zeros((2, 3, 5)))},
            "t10k-images-idx3-ubyte",
            "byte 8: the images are 3 x 5, wanted 2 x 4",
        ),
        (
            {"train_images": idx_bytes(TRAIN_IMAGES)[:-1]},
            "train-images-idx3-ubyte",
            "byte 39: the data ends after 23 bytes of values, wanted 24.*3 x 2 x 4 values",
        ),
        (
            {"train_images": gzip.compress(idx_bytes(TRAIN_IMAGES))[:-5]},
            "train-images-idx3-ubyte",
            "the gzip data ends before its end mark",
        ),
    ],
)
def test_mnist_faults(tmp_path, changes, file, complaint):
    with pytest.raises(ValueError, match=complaint) as caught:
        data.mnist(write_mnist(tmp_path, **changes))
    assert str(caught.value).startswith(f"mnist: {tmp_path / file}: byte ")


def test_mnist_missing_file_and_folder(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match="holds none of t10k-labels-idx1-ubyte, t10k-lab"):
        data.mnist(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        data.mnist(tmp_path / "nowhere")
