"""`python -m micrograd.bench.search`: equal scores first, then ratios."""

import numpy as np
import pytest

pytest.importorskip("sklearn")
from micrograd.bench import search

SMALL = {"hidden_layer_sizes": [(4,)], "alpha": [1e-4, 1e-2], "learning_rate_init": [1e-2]}


def test_all_search_the_same_grid_and_a_line_says_how_fast(monkeypatch, capsys):
    monkeypatch.setattr(search, "GRID", SMALL)
    status = search.main(["--task", "iris", "--rounds", "1", "--max-iter", "20"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "iris, 150 rows, 2 candidates, 5 folds, max_iter=20"
    assert [line.split("  ")[0] for line in lines[2:6]] == [search.OURS, *search.WANTED]
    assert status in (0, 1) and float(lines[2].split()[2]) > 0  # seconds in joint calls


def test_other_scores_are_an_error(monkeypatch):
    found = iter(range(100))
    monkeypatch.setattr(
        search, "timed", lambda make, X, y: search.Found(1.0, 0.0, np.full((5, 2), next(found)))
    )
    with pytest.raises(RuntimeError, match="iris: GridSearchCV has other scores than MLPSearchCV"):
        search.compare("iris", 1, 1)


def test_what_makes_no_sense_is_refused(capsys):
    with pytest.raises(SystemExit):
        search.main(["--rounds", "0"])
    assert "1 or more is wanted" in capsys.readouterr().err
