"""`micrograd bench --predict`, `--many`, `--instructions`, `--isa`: all compute the same."""

import shutil

import numpy as np
import pytest

from micrograd import core
from micrograd.bench import beside, command, instructions, many, predict, report, workers
from micrograd.bench.report import times
from micrograd.bench.workloads import Workload

NEEDS = {"torch": "torch", "torch.func": "torch", "jax": "jax", "jax.vmap": "jax"}


def has(kind):
    return pytest.importorskip(NEEDS.get(kind, kind)) if kind in {*NEEDS, "onnxruntime"} else None


@pytest.mark.parametrize("kind", predict.KINDS)
@pytest.mark.parametrize("rows", [1, 13])
def test_everybody_predicts_what_the_matrices_say(kind, rows):
    has(kind)
    if kind == "onnxruntime":
        pytest.importorskip("onnx")
    contender = predict.make(f"7-6-5-3/{rows}/{kind}")
    a = predict.problem_of(Workload((7, 6, 5, 3), rows))
    first, second, third = [(W.astype(float), b.astype(float)) for W, b in a.weights]
    hidden = np.maximum(a.X @ first[0].T + first[1], 0)
    hidden = np.maximum(hidden @ second[0].T + second[1], 0)
    wanted = hidden @ third[0].T + third[1]
    np.testing.assert_allclose(np.asarray(contender.step()), wanted, rtol=1e-4, atol=1e-4)
    assert len(contender.outcome()) == 3 * min(rows, 8)


@pytest.mark.parametrize("kind", many.KINDS)
def test_everybody_trains_all_networks_alike(kind):
    has(kind)
    contender, ours = (many.make(f"3x5-4-3/8/{k}") for k in (kind, "one by one"))
    first = contender.weights()[1].copy()
    np.testing.assert_allclose(contender.outcome(), ours.outcome(), rtol=1e-4, atol=1e-5)
    assert np.abs(contender.weights()[1] - first).max() > 1e-4  # the last network has moved
    assert np.abs(contender.weights()[0] - contender.weights()[1]).max() > 1e-3
    before = contender.weights()[0].copy()
    contender.step()
    assert np.isfinite(contender.weights()[0]).all()
    assert np.abs(contender.weights()[0] - before).max() > 1e-3  # many steps go further than one


def test_those_that_compute_something_else_are_not_timed(monkeypatch, tmp_path):
    (tmp_path / "stranger.py").write_text(
        "class One:\n"
        "    def __init__(self, wrong): self.wrong = wrong\n"
        "    def outcome(self): return [1.0, 2.0 + self.wrong]\n"
        "    def step(self): pass\n"
        "def make(text):\n"
        "    if text.endswith('/absent'): import no_such_library\n"
        "    return One(text.endswith('/wrong'))\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{workers.environment(1).get('PYTHONPATH', '')}")
    kinds = ("right", "wrong", "absent", "as right")
    found = beside.measure("stranger", kinds, "a problem", rounds=2, tolerance=1e-6)
    assert [len(process.seconds) for process in found] == [2, 0, 0, 2]
    said = list(beside.lines(found))
    assert "left out: its numbers are not those of right" in said[1]
    assert "left out: No module named 'no_such_library'" in said[2]
    assert said[3].endswith("× of right") or said[3].endswith("of right")


def test_a_band_is_shown_where_rounds_differ():
    assert report.band([2.0, 2.01, 1.99, 2.0], times) == "2.0×"
    assert report.band([1.0, 1.2, 1.4, 1.6, 1.8], times) == "1.40× (1.20× to 1.60×)"
    assert report.band([1.0, 3.0], times) == "2.0×"


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="no valgrind")
def test_instructions_grow_with_the_work():
    few, more = (instructions.of_a_step(Workload((16, n, 4), 32), "float32") for n in (16, 64))
    assert few > Workload((16, 16, 4), 32).flops / 32  # 8 lanes, 2 operations each: 16 at most
    assert 1.5 * few < more < 5 * few


def test_without_valgrind_it_says_so(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    said = list(instructions.run([Workload((2, 2), 4)], "float32"))
    assert said == ["instructions are left out: valgrind is not installed"]


@pytest.mark.skipif(core.isa() not in ("avx2", "avx512"), reason="no AVX2")
def test_held_to_avx2(monkeypatch, capsys):
    for name in (*workers.AVX2, "XLA_FLAGS"):
        monkeypatch.setenv(name, "")  # so that it is put back
    arguments = "--isa avx2 --quick --rounds 1 --threads 1 --workloads 3-4-2/8 --contenders numpy"
    assert command.main(arguments.split()) == 0
    assert ", avx2, " in capsys.readouterr().out
    assert workers.environment(1)["XLA_FLAGS"].startswith("--xla_cpu_max_isa=AVX2")
