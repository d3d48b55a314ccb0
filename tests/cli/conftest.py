"""Files for the commands to read."""

import numpy as np
import pytest
from support.commands import write_csv, write_idx

from micrograd import core


@pytest.fixture(autouse=True)
def same_threads():
    before = core.threads
    yield
    core.set_num_threads(before)


@pytest.fixture
def quantity_csv(tmp_path):
    """price = 1000 + 50 * area - 30 * age, exactly, in 200 rows; the `constant` is no help."""
    rng = np.random.default_rng(0)
    area, age = rng.uniform(20, 200, 200), rng.uniform(0, 50, 200)
    rows = zip(area, 1000 + 50 * area - 30 * age, age, [7] * 200, strict=True)
    return write_csv(tmp_path / "houses.csv", "area,price,age,constant", rows)


@pytest.fixture
def classes_csv(tmp_path):
    """Three groups of points that lie far apart, on very different scales."""
    rng = np.random.default_rng(0)
    rows = [
        (x + 0.1 * rng.normal(), 1e6 * (y + 0.1 * rng.normal()), name)
        for x, y, name in [(0, 0, "oak"), (1, 0, "ash"), (0, 1, "elm")] * 50
    ]
    return write_csv(tmp_path / "trees.csv", "x,y,tree", rows)


@pytest.fixture
def idx_folder(tmp_path):
    """Images of 4 x 4 pixels, one bright quarter in each; the label says which."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for part, count in (("train", 400), ("t10k", 60)):
        labels = rng.integers(0, 4, count)
        images = rng.integers(0, 100, (count, 4, 4))
        for image, label in zip(images, labels, strict=True):
            row, column = 2 * (label // 2), 2 * (label % 2)
            image[row : row + 2, column : column + 2] += 100
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)
    return folder
