"""Tables: read and made into finite numbers, or refused with ValueError."""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas  # noqa: F401  on a busy machine its import looks like an input that hangs

from fuzz.numbers import Numbers
from micrograd import tabular

CELLS = [
    "1", "2.5", "-3e4", "1,5", "1.234,5", "", "NA", "nan", "inf", "yes", "no", "true",
    "2024-01-31", "31.1.24", "12:30", "50 %", "$ 3", "red", "blue", "001", '"a,b"', '"', "ä",
    "\x00", "1e999", "=1+1", "-", "0x10",
]  # fmt: skip
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "cp1252"]


def content(data):
    """Rows of cells such as tables have, or any bytes."""
    numbers = Numbers(data)
    if numbers.below(5) == 0:
        return numbers.rest()
    delimiter, end = numbers.choice(",;\t|"), numbers.choice(["\n", "\r\n", "\r"])
    columns, rows = 1 + numbers.below(4), numbers.below(12)
    kinds = [[numbers.choice(CELLS) for _ in range(3)] for _ in range(columns)]
    lines = [delimiter.join(numbers.choice(["a", "b", "", "x y", "1"]) for _ in range(columns))]
    for _ in range(rows):
        cells = [numbers.choice(kind) for kind in kinds]
        if numbers.below(16) == 1:
            cells.append(numbers.choice(CELLS))
        lines.append(delimiter.join(cells))
    return end.join(lines).encode(numbers.choice(ENCODINGS), "replace")


def check(data):
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder, "t.csv")
        path.write_bytes(content(data))
        try:
            frame = tabular.read_table(path)
            schema = tabular.Schema.infer(frame, target=list(frame.names)[-1])
            numbers = schema.transform(frame)
        except ValueError:
            return
        assert numbers.ndim == 2 and np.isfinite(numbers).all()
        again = tabular.Schema.from_dict(schema.to_dict())
        assert np.array_equal(again.transform(frame), numbers)
