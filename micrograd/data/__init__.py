"""Data to train on: the embedded digits, point clouds, MNIST IDX files, CSV tables, splits and
minibatches.

Every reader checks what it reads. A file that is truncated, mislabelled or not numeric raises a
ValueError that names the file and the line or byte at fault, never a wrong number.
"""

from micrograd.data.batching import batches, train_test_split
from micrograd.data.embedded import digits
from micrograd.data.idx import read_idx
from micrograd.data.images import mnist, read_images
from micrograd.data.shapes import circles, moons, spirals
from micrograd.data.table import Table, read_csv

__all__ = [
    "Table",
    "batches",
    "circles",
    "digits",
    "mnist",
    "moons",
    "read_csv",
    "read_idx",
    "read_images",
    "spirals",
    "train_test_split",
]
