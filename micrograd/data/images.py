"""Sets of labelled images in files named as MNIST's, in the layouts in which they are handed out.

A set is a training and a test part, each of images and labels:

    train-images-idx3-ubyte, t10k-labels-idx1-ubyte, ...    MNIST, Fashion-MNIST, KMNIST
    emnist-letters-train-images-idx3-ubyte, ...             EMNIST: `test` for `t10k`
    qmnist-train-labels-idx2-int, ...                       QMNIST: eight numbers for each label
    kmnist-train-imgs.npz, kmnist-test-labels.npz, ...      KMNIST and Kuzushiji-49
    mnist.npz                                               all four, as Keras has them

An IDX file may have a dot for the hyphen before `idx`, and `.gz` added. EMNIST's images lie on
their side, which is mended here, and its letters are numbered from 1, here from 0.

Sources: G. Cohen et al., EMNIST: an extension of MNIST to handwritten letters (2017); C. Yadav and
L. Bottou, Cold Case: the Lost MNIST Digits (2019); T. Clanuwat et al., Deep Learning for Classical
Japanese Literature (2018).
"""

from __future__ import annotations

import os
import re
import zipfile
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micrograd.data.bounded import BoundedReader
from micrograd.data.idx import read_header, read_values

Labelled = tuple[NDArray[np.float32], NDArray[np.int64]]

_NAME = re.compile(
    r"(?P<set>.*?)(?P<part>train|t10k|test)-(?P<what>images|labels|imgs)"
    r"(?:[-.]idx(?P<dimensions>[123])-(?:ubyte|int)(?P<gz>\.gz)?|\.npz)"
)
_WHOLE = "mnist.npz"  # one file with all four arrays
_USUAL = [
    f"{part}-{what}-ubyte" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")
]
_DIGITS = tuple("0123456789")
_MERGED = (*_DIGITS, *ascii_uppercase, *"abdefghnqrt")  # small letters that look like no capital
_NAMES_OF_CLASSES = {
    "emnist-letters-": tuple(ascii_uppercase),
    "emnist-byclass-": (*_DIGITS, *ascii_uppercase, *ascii_uppercase.lower()),
    "emnist-bymerge-": _MERGED,
    "emnist-balanced-": _MERGED,
}


@dataclass(frozen=True)
class ImageSet:
    """Images and what is on them.

    train, test: X float32 (n, rows * columns), from 0 to 1, and y int64 (n,). size: (rows, columns)
    of an image. classes: a name for each label.
    """

    train: Labelled
    test: Labelled
    size: tuple[int, int]
    classes: tuple[str, ...]


def mnist(
    folder: str | os.PathLike[str],
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Reads MNIST, or a set of images that comes the same, from a folder.

        X_train, y_train, X_test, y_test = mg.data.mnist("path/to/folder")

    MNIST, Fashion-MNIST, KMNIST, QMNIST and EMNIST under the names of their files; the folder may
    also be the one above `raw`, `gzip` or `MNIST/raw`. Where a file is there twice, the one that is
    not compressed is taken.

    Returns:
        X_train: float32 (n, rows * columns), (60000, 784) for MNIST. Pixels are divided by 255:
            the range is 0 to 1. Images are in row-major order and upright, those of EMNIST too.
        y_train: int64 (n,), the labels as they are: 0 to 9 for MNIST, other sets may hold any of 0
            to 255. EMNIST's letters are 0 to 25, 1 to 26 in the file; of QMNIST's eight numbers it
            is the first, the class.
        X_test, y_test: the same for the test part, (10000, 784) and (10000,) for MNIST.

    Raises:
        FileNotFoundError: the folder lacks one of the files; names the spellings looked for.
        ValueError: as `read_idx`, and also for labels where images belong or images where labels
            belong, unequal numbers of images and labels, test images of another size, and a
            folder with several sets.

    >>> X_train, y_train, X_test, y_test = mg.data.mnist("path/to/folder")  # doctest: +SKIP
    """
    found = read_images(folder)
    return *found.train, *found.test


def read_images(folder: str | os.PathLike[str]) -> ImageSet:
    """As `mnist`, with the size of the images and the names of the classes.

    >>> images = mg.data.read_images("path/to/folder")  # doctest: +SKIP
    >>> images.size, images.classes  # doctest: +SKIP
    """
    place = os.fsdecode(folder)
    name, paths = _find(place)
    if paths.keys() == {_WHOLE}:
        parts = [_read_whole(paths[_WHOLE], part) for part in ("train", "test")]
    else:
        parts = [_read_part(paths, part) for part in ("train", "test")]
    (train, size), (test, test_size) = parts
    if test_size != size:
        image, other = (
            paths.get(f"{part} images", paths.get(_WHOLE)) for part in ("test", "train")
        )
        raise ValueError(
            f"mnist: {image}: byte 8: the images are {test_size[0]} x {test_size[1]}, wanted "
            f"{size[0]} x {size[1]} as in {other}"
        )
    if name.startswith("emnist-"):
        train, test = ((_upright(X, size), y) for X, y in (train, test))
        size = size[::-1]
    if name == "emnist-letters-":
        train, test = ((X, _from_zero(y, paths)) for X, y in (train, test))
    most = 1 + max(int(y.max(initial=0)) for _, y in (train, test))
    classes = _NAMES_OF_CLASSES.get(name, ())[:most]
    if len(classes) < most:
        classes = tuple(map(str, range(most)))
    return ImageSet(train, test, size, classes)


def _upright(X: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Images whose columns lie in the file where rows belong."""
    images = X.reshape(len(X), *size).transpose(0, 2, 1)
    return np.ascontiguousarray(images).reshape(X.shape)


def _from_zero(y: NDArray[np.int64], paths: dict[str, str]) -> NDArray[np.int64]:
    if y.min(initial=1) < 1:
        raise ValueError(
            f"mnist: {paths['train labels']}: a label is 0, EMNIST's letters are 1 to 26; is this "
            "another set?"
        )
    return y - 1


# ---- which files ----


def _find(folder: str) -> tuple[str, dict[str, str]]:
    """What the names begin with, and the path of "train images", "test labels", ..."""
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"mnist: {folder} is not a folder")
    sets = _sets_in(folder)
    if not sets:
        for place in _inner_folders(folder):
            sets |= _sets_in(place)
    whole = {key: paths for key, paths in sets.items() if len(paths) == 4 or _WHOLE in paths}
    if len(whole) > 1:
        listed = ", ".join(sorted(os.path.join(*key) for key in whole))
        raise ValueError(
            f"mnist: {folder} holds {len(whole)} sets: {listed}; put the files of one of them into "
            "a folder of its own"
        )
    if not whole:
        raise FileNotFoundError(_what_is_missing(folder, sets))
    ((_, name), paths) = next(iter(whole.items()))
    return name, paths


def _sets_in(folder: str) -> dict[tuple[str, str], dict[str, str]]:
    """The files of each set in one folder, by the folder and what their names begin with."""
    sets: dict[tuple[str, str], dict[str, str]] = {}
    for file in sorted(os.listdir(folder), key=lambda name: (name.endswith(".gz"), name)):
        match, path = _NAME.fullmatch(file), os.path.join(folder, file)
        if not os.path.isfile(path):
            continue
        if file == _WHOLE:
            sets[folder, file] = {_WHOLE: path}
        elif match is not None:
            part = "train" if match["part"] == "train" else "test"
            what = "labels" if match["what"] == "labels" else "images"
            sets.setdefault((folder, match["set"]), {}).setdefault(f"{part} {what}", path)
    return sets


def _inner_folders(folder: str) -> list[str]:
    """Where others put the files inside it: raw, gzip, MNIST/raw, ..."""
    places = [folder, *(os.path.join(folder, each) for each in sorted(os.listdir(folder)))]
    inner = [os.path.join(place, name) for place in places for name in ("raw", "gzip")]
    return [place for place in inner if os.path.isdir(place)]


def _what_is_missing(folder: str, sets: dict[tuple[str, str], dict[str, str]]) -> str:
    if not sets:
        names = [f"{_USUAL[0]}{gz}" for gz in ("", ".gz")]
        names += [name.replace("-idx", ".idx") for name in names]
        names.insert(2, names.pop(1))
        return (
            f"mnist: {folder} holds none of {', '.join(names)}, nor EMNIST, QMNIST or KMNIST under "
            "the names they come with"
        )
    (place, name), paths = max(sets.items(), key=lambda item: len(item[1]))
    wanted = [f"{part} {what}" for part in ("train", "test") for what in ("images", "labels")]
    missing = next(each for each in wanted if each not in paths)
    part, what = missing.split()
    part = "t10k" if part == "test" and not name else part
    stem = f"{name}{part}-{what}"
    if any(path.endswith(".npz") for path in paths.values()):
        return f"mnist: {place} holds no {stem.replace('images', 'imgs')}.npz"
    dimensions = 3 if what == "images" else 1
    names = [f"{stem}{mark}idx{dimensions}-ubyte{gz}" for gz in ("", ".gz") for mark in ("-", ".")]
    return f"mnist: {place} holds none of {', '.join(names)}"


# ---- what is in them ----


def _read_part(paths: dict[str, str], part: str) -> tuple[Labelled, tuple[int, int]]:
    """X (n, rows * columns) and y (n,), and (rows, columns)."""
    label_path, image_path = paths[f"{part} labels"], paths[f"{part} images"]
    labels = _read_labels(label_path)
    images = _read_array(image_path, 3, np.dtype(np.uint8), "images")
    return _labelled(images, labels, image_path, label_path)


def _labelled(
    images: NDArray[Any], labels: NDArray[np.int64], image_path: str, label_path: str
) -> tuple[Labelled, tuple[int, int]]:
    count, rows, columns = images.shape
    if len(labels) != count:
        raise ValueError(
            f"mnist: {label_path}: byte 4: {len(labels)} labels, wanted {count}, one for each "
            f"image in {image_path}"
        )
    pixels = images.reshape(count, rows * columns)
    X: NDArray[np.float32] = np.divide(pixels, 255, dtype=np.float32)
    return (X, labels), (rows, columns)


def _read_labels(path: str) -> NDArray[np.int64]:
    match = _NAME.fullmatch(os.path.basename(path))
    if match is None or match["dimensions"] != "2":
        return _read_array(path, 1, np.dtype(np.uint8), "labels").astype(np.int64)
    table = _read_array(path, 2, np.dtype(np.int32), "labels")
    if not table.shape[1] or not ((table[:, 0] >= 0) & (table[:, 0] < 256)).all():
        raise ValueError(f"mnist: {path}: its first column has no classes from 0 to 255")
    return table[:, 0].astype(np.int64)


def _read_array(path: str, dimensions: int, dtype: np.dtype[Any], what: str) -> NDArray[Any]:
    """The values of an IDX or .npz file that must be of that type, in that many dimensions."""
    name = f"mnist: {path}"
    if path.endswith(".npz"):
        return _read_npz(path, "arr_0", dimensions, what)
    with open(path, "rb") as file:
        reader = BoundedReader(file, name)
        header = read_header(reader, name)
        if header.dtype.newbyteorder("=") != dtype:
            raise ValueError(
                f"{name}: {reader.at(2)}: values of type {header.dtype.name}, wanted {dtype} {what}"
            )
        if len(header.shape) != dimensions:
            raise ValueError(
                f"{name}: {reader.at(3)}: {len(header.shape)} dimension(s), wanted {dimensions} "
                f"for {what}; is the file under the wrong name?"
            )
        return read_values(reader, name, header)


def _read_whole(path: str, part: str) -> tuple[Labelled, tuple[int, int]]:
    images = _read_npz(path, f"x_{part}", 3, "images")
    labels = _read_npz(path, f"y_{part}", 1, "labels").astype(np.int64)
    return _labelled(images, labels, path, path)


def _read_npz(path: str, key: str, dimensions: int, what: str) -> NDArray[Any]:
    """An array of uint8 in numpy's archive; an object in it is refused, for it could run code."""
    name = f"mnist: {path}"
    try:
        with np.load(path, allow_pickle=False) as archive:
            if key not in archive.files:
                raise ValueError(f"it holds {', '.join(archive.files) or 'nothing'}, no {key}")
            array: NDArray[Any] = archive[key]
    except (ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile) as error:
        raise ValueError(f"{name}: {error}; the file is damaged or is no .npz of images") from None
    if array.dtype != np.uint8 or array.ndim != dimensions:
        raise ValueError(
            f"{name}: {key} is {array.dtype} in {array.ndim} dimension(s), wanted uint8 in "
            f"{dimensions} for {what}"
        )
    return array
