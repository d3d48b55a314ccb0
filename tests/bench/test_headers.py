"""The benchmark of C headers: that it times what it says, on headers that are right."""

import shutil

import numpy as np
import pytest

from micrograd.bench import headers

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, headers.COMPILERS)), reason="neither gcc nor clang"
)
COMPILER = next(filter(shutil.which, headers.COMPILERS), "")


def test_three_headers_of_a_network_are_timed_and_their_instructions_counted(tmp_path):
    headers.write(tmp_path, [24, 16, 5])
    assert "rows_predict_linear_rows(x, 24" in (tmp_path / "rows.h").read_text()
    assert "float_predict_linear(x, 24" in (tmp_path / "float.h").read_text()
    assert "int8_t int8_predict_0_weight[384]" in (tmp_path / "int8.h").read_text()
    row = headers.timed(tmp_path, COMPILER, "-O2", calls=50, stretches=9)
    for of in row.values():
        low, middle, high = of["ns"]
        assert 0 < low <= middle <= high
        if shutil.which("valgrind"):
            assert (
                24 * 16 / 16 < of["instructions"] < 100_000
            )  # 16 products an instruction, no more
        else:
            assert of["instructions"] is None
    assert row["rows"]["ratio"] == 1
    assert "24-16-5, gcc\n  rows" in headers.told("24-16-5", "gcc", row)


def test_a_header_that_is_wrong_is_not_timed(tmp_path):
    headers.write(tmp_path, [6, 5, 4])
    text = (tmp_path / "float.h").read_text()
    start = text.index("{", text.index("float_predict_2_bias[4]")) + 1
    (tmp_path / "float.h").write_text(f"{text[:start]} 9.0f + {text[start:]}")
    with pytest.raises(RuntimeError, match="float_predict: 8 of 8 stored rows differ"):
        headers.timed(tmp_path, COMPILER, "-O2", calls=1, stretches=1)


def test_what_integers_cost_is_measured_on_rows_that_nobody_has_seen():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 6)).astype(np.float32)
    y = (X[:, 0] > 0).astype(np.int64) + 2 * (X[:, 1] > 0)
    before, after = headers.held_out(X, y, [6, 16, 4], seeds=1)
    assert 85 < before <= 100 and abs(before - after) < 5
    noise, _ = headers.held_out(X, rng.integers(0, 4, 3000), [6, 64, 4], seeds=2)
    assert noise < 50  # of rows that it was trained on it would know more


def test_a_missed_bar_is_named(capsys):
    def found(fast, integers, lost):
        row = {"float": {"ratio": fast}, "int8": {"ratio": integers}}
        return {
            "times": {"64-64-10": row},
            "accuracy": {"digits": {"float": 97, "int8": 97 - lost}},
        }

    assert headers.bars_met(found(1.8, 1.0, 0.5))
    for missed in (found(1.7, 1, 0), found(2, 0.9, 0), found(2, 1, 0.6)):
        assert not headers.bars_met(missed)
    assert "int8 0.90 times rows" in capsys.readouterr().out
