"""The command line from within: what it prints, and the files it is given."""

import gzip
import re

import numpy as np
import pytest

from micrograd.cli import main


def printed(capsys, *argv):
    """What a command that succeeds prints on standard output."""
    assert main(argv) == 0
    out, err = capsys.readouterr()
    assert err == ""  # no terminal, so no progress line
    return out


def error_line(capsys, code, *argv):
    """The one line of a command that fails with this exit code."""
    assert main(argv) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("micrograd: error: ") and err.endswith("\n") and err.count("\n") == 1
    return err


def accuracy(text):
    match = re.search(r"^test accuracy ([\d.]+) % \((\d+) of (\d+)\)$", text, re.MULTILINE)
    percent, right, rows = match.groups()
    assert float(percent) == pytest.approx(100 * int(right) / int(rows), abs=0.005)
    return int(right) / int(rows), int(rows)


def write_csv(path, header, rows):
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def write_idx(path, values):
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + values.astype("u1").tobytes()))
