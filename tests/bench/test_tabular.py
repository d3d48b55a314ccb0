"""micrograd bench --tabular: its figures by hand, its data sets, and a small run."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from support.commands import error_line

from micrograd.bench.tabular import command, report
from micrograd.bench.tabular.command import measured
from micrograd.bench.tabular.contenders import KNOWN, installed
from micrograd.bench.tabular.datasets import Dataset, available
from micrograd.bench.tabular.rows import Rows
from micrograd.cli.main import main


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
        result = measured(data, 0, KNOWN[name][1](False, 0, 1), 1)
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


KEY = ("a", "HistGB", "1.0", 0, 1)


def test_runs_in_a_file_are_not_made_twice(tmp_path, monkeypatch, capsys):
    x = np.random.default_rng(0).normal(size=200)
    data = Dataset("made", {"x": x}, np.where(x > 0, "yes", "no"))
    calls = []

    class Model:
        def __init__(self, seed):
            calls.append(seed)

        def fit(self, columns, y):
            return self

        def predict(self, columns):
            return np.where(columns["x"] > 0, "yes", "no")

    def makers():
        return {"HistGB": lambda quantity, seed, threads: Model(seed)}

    monkeypatch.setattr(command, "available", lambda: ({"made": lambda: data}, []))
    monkeypatch.setattr(command, "installed", makers)
    monkeypatch.setattr(command, "pickle", type("Pickle", (), {"dumps": lambda model: b"12345"}))
    path = tmp_path / "rows.jsonl"
    arguments = ["bench", "--tabular", "--models", "HistGB", "--results", str(path)]
    assert main([*arguments, "--seeds", "1"]) == 0 and calls == [0]
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"set": "made", "mod')  # a process was killed here
    assert main([*arguments, "--seeds", "3"]) == 0 and calls == [0, 1, 2]
    assert path.read_bytes().startswith(whole) and path.read_bytes().count(b"\n") == 3
    capsys.readouterr()
    assert main([*arguments, "--report"]) == 0 and calls == [0, 1, 2]
    shown = capsys.readouterr().out
    assert "3 seed(s)" in shown and "made" in shown


def test_a_line_that_is_no_run_is_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = Rows(str(path))
    rows.add(KEY, report.Result(0.1, 1.0, 0.5, 10))
    again = Rows(str(path))
    assert again.get(KEY) == report.Result(0.1, 1.0, 0.5, 10)
    assert again.get(("a", "HistGB", "1.1", 0, 1)) is None
    for line in ("{}", "nonsense", '{"set": 1}', "[]"):
        path.write_text(path.read_text().splitlines()[0] + "\n" + line + "\n")
        with pytest.raises(ValueError, match=r"rows.jsonl, line 2 is no run of the benchmark"):
            Rows(str(path))


def test_a_report_takes_sets_and_seeds_that_all_models_have():
    rows = Rows(None)
    for each, model, seed in (
        ("a", "HistGB", 0), ("a", "HistGB", 1), ("a", "default", 1), ("b", "HistGB", 0),
    ):  # fmt: skip
        rows.add((each, model, "1", seed, 1), report.Result(0.1 + seed, 1.0, 1.0, 1))
    rows.add(("a", "default", "2", 0, 1), report.Result(9, 1.0, 1.0, 1))  # of another version
    models = ["default", "HistGB", "CatBoost"]
    results, names = rows.standing(["a", "b"], models, 5, 1, lambda name: "1")
    assert names == ["default", "HistGB"] and list(results) == ["a"]
    assert [run.error for run in results["a"]["default"]] == [1.1]
    assert [run.error for run in results["a"]["HistGB"]] == [1.1]


def test_a_report_needs_a_file(capsys):
    line = error_line(capsys, 1, "bench", "--tabular", "--report")
    assert "--report shows a file: name it with --results" in line
