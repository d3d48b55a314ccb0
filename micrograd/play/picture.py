"""What is sent as bytes: the answers over the plane, and the weights.

A message begins with 16 bytes, little-endian; `assets/wire.js` reads them.

    answers   u8 1, u8 run, u16 columns, u16 lines, u16 0, f64 step; then for each cell, line by
              line from the top, u8 class, u8 how sure (255: certainty; of a number: how far from
              the middle, two standard deviations being 255, and class 1 above it)
    weights   u8 2, u8 run, u8 layer, u8 how many layers, u32 rows, u32 columns, f32 the largest
              size; then i8 weights, row by row, 127 being that size
"""

from __future__ import annotations

import struct

import numpy as np

from micrograd.core import Array
from micrograd.play.run import Run

ANSWERS, WEIGHTS = 1, 2
FINEST, COARSEST = 110, 36  # cells along a side of the plane
WORK = 3e7  # multiplications that a picture may cost: about a millisecond on one core
WIDE = 2.0  # standard deviations from the middle where a number's colour is full


def side_of(run: Run) -> int:
    """How many cells along a side: as many as can be drawn many times a second."""
    cost = max(1, run.net.parameters().size)
    return int(np.clip((WORK / cost) ** 0.5, COARSEST, FINEST))


def answers(number: int, run: Run, grid: Array, side: int) -> bytes:
    """What the network says at each place of the plane. grid: the plane's rows(side, side)."""
    z = run.net.predict(grid)
    cells = np.empty((len(z), 2), np.uint8)
    with np.errstate(all="ignore"):
        if not run.data.classes:
            cells[:, 0] = z[:, 0] > 0
            cells[:, 1] = 255 * np.clip(np.nan_to_num(np.abs(z[:, 0])) / WIDE, 0, 1)
        elif z.shape[1] == 2:
            apart = np.nan_to_num(z[:, 1] - z[:, 0])
            cells[:, 0] = apart > 0
            cells[:, 1] = 255 * np.tanh(np.abs(apart) / 2)  # 2 p - 1
        else:
            p = np.exp(z - z.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            cells[:, 0] = z.argmax(axis=1)
            least = 1 / z.shape[1]
            sure = np.nan_to_num((p.max(axis=1) - least) / (1 - least))
            cells[:, 1] = 255 * np.clip(sure, 0, 1)
    head = struct.pack("<BBHHHd", ANSWERS, number, side, side, 0, run.step)
    return head + cells.tobytes()


def weights(number: int, run: Run) -> list[bytes]:
    """A message for each weight matrix."""
    matrices = [p.data for p in run.net.parameters() if p.data.ndim == 2]
    found = []
    for layer, matrix in enumerate(matrices):
        largest = float(np.abs(matrix).max())
        scaled = np.rint(matrix * (127 / largest if largest else 0.0)).astype(np.int8)
        rows, columns = matrix.shape
        head = struct.pack(
            "<BBBBIIf", WEIGHTS, number, layer, len(matrices), rows, columns, largest
        )
        found.append(head + scaled.tobytes())
    return found
