"""The data set that comes with the package: 1797 handwritten digits of 8 x 8 pixels."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from micrograd.data.idx import read_idx

_FILE = os.path.join(os.path.dirname(__file__), "digits.idx.gz")
_DARKEST = 16  # pixels are counts of dark dots in a 4 x 4 block


def digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the optical-digits data set that is embedded in the package: no download.

        X, y = mg.data.digits()

    Returns:
        X: float32 (1797, 64), each row an image of 8 x 8 pixels in row-major order. The range is
            0 (paper) to 1 (ink), in exact sixteenths.
        y: int64 (1797,), the digit that was written, 0 to 9, each about 180 times.

    The rows and their order are those of scikit-learn's ``load_digits``, whose pixels are ours
    times 16. Each call returns new arrays, yours to change.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine
    Learning Repository, doi:10.24432/C50P49, CC BY 4.0 (see digits.md beside this file).

    >>> X, y = mg.data.digits()
    >>> X.shape, y.shape
    ((1797, 64), (1797,))
    """
    columns = read_idx(_FILE)  # (65, 1797): 64 pixels and the label, each over all images
    X = np.ascontiguousarray(columns[:-1].T, dtype=np.float32)
    X /= _DARKEST
    return X, columns[-1].astype(np.int64)
