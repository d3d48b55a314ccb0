"""micrograd bench --tabular: its figures by hand, its data sets, and a small run."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from support.commands import error_line

from micrograd.bench.tabular import report
from micrograd.bench.tabular.command import measured
from micrograd.bench.tabular.contenders import KNOWN, installed
from micrograd.bench.tabular.datasets import Dataset, available


def runs(*errors):
    return [report.Result(error, 1.0, 0.5, 2000) for error in errors]


RESULTS = {
    "a": {"default": runs(0.1, 0.3), "HistGB": runs(0.4, 0.4)},
    "b": {"default": runs(0.2), "HistGB": runs(0.1)},
    "c": {"default": runs(0.0), "HistGB": runs(0.0)},
}


def test_ranks_and_relative_errors_by_hand():
    errors = report.mean_errors(RESULTS, ["default", "HistGB"])
    np.testing.assert_allclose(errors, [[0.2, 0.4], [0.2, 0.1], [0.0, 0.0]])
    np.testing.assert_array_equal(report.ranks(errors), [[1, 2], [2, 1], [1.5, 1.5]])
    shares = report.relative(errors, errors[:, [1]])
    np.testing.assert_allclose(shares[:, 0], [0.5, 2.0, 1.0])
    text = report.table(RESULTS, ["default", "HistGB"])
    assert "default loses to HistGB on b" in text
    assert report.critical_difference(12, 4) == pytest.approx(2.569 * np.sqrt(20 / 72))


def test_a_run_counts_wrong_answers_and_never_sees_the_test_rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    columns = {"x": x, "word": np.where(x > 0, "a", "b").astype(object)}
    data = Dataset("made", columns, np.where(x > 0, "yes", "no"))
    train, y, test, test_y = data.split(0)
    assert len(y) == 320 and len(test_y) == 80
    assert not set(train["x"].tolist()) & set(test["x"].tolist())
    for name in ("fast", "sklearn MLP", "HistGB"):
        result = measured(data, 0, KNOWN[name][1](False, 0, 1))
        assert result.error < 0.05 and result.fit > 0 and result.size > 100
    assert {"fast", "default", "best"} <= set(installed())


def test_the_sets_that_are_there_have_4000_rows():
    sets, missing = available()
    assert bool(sets) != (len(missing) == 3)
    for name in ("phoneme", "mushroom", "diamonds"):
        if name in sets:
            data = sets[name]()
            assert len(data.y) >= 4000 and all(len(c) == len(data.y) for c in data.columns.values())
            assert data.quantity == (name == "diamonds")


def test_names_that_are_not_there(capsys):
    line = error_line(capsys, 1, "bench", "--tabular", "--models", "slow")
    assert "no model 'slow', there are fast, default" in line


def test_critical_difference_plot(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "ranks.svg"
    report.critical_difference_plot(RESULTS, ["default", "HistGB"], str(path))
    assert "<svg" in path.read_text()
