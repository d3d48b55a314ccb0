"""The machinery of `micrograd bench`: the same work for all, checked first. Asserts no times."""

import json
from dataclasses import replace
from statistics import median

import numpy as np
import pytest

from micrograd import bench, core
from micrograd.bench import machine, report, threshold
from micrograd.bench.check import Outcome, difference, first_step
from micrograd.bench.contenders import CONTENDERS, OURS, find
from micrograd.bench.rounds import Entry, Row, Settings
from micrograd.bench.workers import Worker, WorkerError, environment
from micrograd.bench.workloads import WORKLOADS, Workload, make, parse
from micrograd.core import lib

SMALL = Workload((5, 7, 6, 3), 16)
TWO_CLASSES = Workload((3, 5, 2), 16)

STRANGERS = '''
import os
from micrograd.bench.contenders import Numpy

class Wrong(Numpy):
    """Its first update goes 5 % too far."""
    def weights(self):
        out, first = super().weights(), self.first
        return [(W + 0.05 * (W - V), b) for (W, b), (V, _) in zip(out, first)]
    def load(self, weights):
        self.first = weights
        super().load(weights)

class Dies(Numpy):
    def __init__(self, problem, threads):
        os.write(2, b"some noise\\nlast words\\n")
        os._exit(3)

class Noisy(Numpy):
    def __init__(self, problem, threads):
        print("a banner that nobody asked for", flush=True)
        os.write(1, b"and one from C")
        super().__init__(problem, threads)

class Tells(Numpy):
    @classmethod
    def refuses(cls, workload):
        return " ".join(os.environ[v] for v in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"))
'''


@pytest.fixture
def strangers(tmp_path, monkeypatch):
    """A module of contenders for the workers."""
    (tmp_path / "strangers.py").write_text(STRANGERS)
    before = environment(1).get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{before}".rstrip(":"))


# ---- workloads ----


def test_flops_by_hand():
    # 2 B m n for each product: 2*100*4*8 = 6400, three times but for delta W: 2 of them;
    # 2*100*8*3 = 4800, three times.
    assert Workload((4, 8, 3), 100).flops == 2 * 6400 + 3 * 4800
    assert Workload((4, 8, 3), 100).parameters == 4 * 8 + 8 + 8 * 3 + 3


def test_workloads_of_the_design():
    names = [f"{w.layers}/{w.batch}" for w in WORKLOADS]
    assert names == [
        "4-8-3/100",
        "2-16-16-2/100",
        "64-32-10/64",
        "784-128-10/64",
        "784-512-256-10/128",
        "1024-1024-1024-10/512",
    ]


def test_parse():
    assert parse("784-128-10") == Workload((784, 128, 10), 64)
    assert parse("5-7-6-3/16") == SMALL
    for text in ("", "4-8-4", "4-8-3/", "4/2", "4-0-3/2", "4--3/2", "4-x/2"):
        with pytest.raises(ValueError, match="LAYERS/BATCH"):
            parse(text)


def test_problem_is_always_the_same():
    a, b = make(SMALL, "float64"), make(SMALL, "float64")
    assert a.X.shape == (16, 5) and a.X.dtype == np.float64 and a.labels.dtype == np.int64
    assert np.array_equal(a.X, b.X) and np.array_equal(a.weights[1][0], b.weights[1][0])
    assert set(a.labels) == {0, 1, 2}
    assert [(W.shape, x.shape) for W, x in a.weights] == [
        ((7, 5), (7,)),
        ((6, 7), (6,)),
        ((3, 6), (3,)),
    ]
    assert np.all(a.one_hot.argmax(axis=1) == a.labels) and a.one_hot.sum() == 16


# ---- the same step ----


@pytest.mark.parametrize("workload", [SMALL, TWO_CLASSES], ids=str)
@pytest.mark.parametrize("name", [n for n in CONTENDERS if n not in (OURS, "torch.compile")])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_contenders_agree(name, workload, dtype):
    if name == "jax" and dtype == "float64":
        pytest.skip("would set jax to 64 bits for the rest of this process")
    pytest.importorskip(find(name).module)
    problem = make(workload, dtype)
    ours, other = find(OURS)(problem, 1), find(name)(problem, 1)
    wanted = first_step(ours)
    assert difference(problem, first_step(other), wanted) is None
    other.step()
    other.load(problem.weights)
    assert difference(problem, first_step(other), wanted) is None


def test_difference_sees_what_is_wrong():
    problem = make(SMALL)
    wanted = first_step(find(OURS)(problem, 1))
    assert difference(problem, wanted, wanted) is None

    def changed(number, W=None, b=None):
        weights = list(wanted.weights)
        old = weights[number]
        weights[number] = (old[0] if W is None else W, old[1] if b is None else b)
        return Outcome(wanted.loss, weights)

    W = wanted.weights[1][0]
    start_W, start_b = problem.weights[1]
    assert "loss" in difference(problem, replace(wanted, loss=wanted.loss * 1.001), wanted)
    assert "loss" in difference(problem, replace(wanted, loss=float("nan")), wanted)
    assert "W2" in difference(problem, changed(1, W=W + 0.05 * (W - start_W)), wanted)
    assert "W2" in difference(problem, changed(1, W=W * np.nan), wanted)
    assert "shape" in difference(problem, changed(1, W=W.T), wanted)
    assert "b2" in difference(problem, changed(1, b=start_b), wanted)


def test_scalar_engine_refuses_what_takes_too_long():
    value = find("value")
    assert value.refuses(WORKLOADS[0]) is None
    assert "2 s" in value.refuses(WORKLOADS[-1])


# ---- the command ----


def test_command(strangers, tmp_path, capsys):
    file = tmp_path / "out.json"
    names = "numpy,strangers:Wrong,strangers:Dies,strangers:Noisy,nosuchmodule:Thing"
    options = ["--quick", "--rounds", "2", "--threads", "1", "--json", str(file)]
    status = bench.main([*options, "--workloads", "4-8-3,3-5-2/16", "--contenders", names])
    assert status == 0
    found = json.loads(file.read_text())
    assert found["settings"] == {"rounds": 2, "dtype": "float32", "quick": True}
    assert [row["workload"] for row in found["rows"]] == ["4-8-3", "3-5-2"]
    for row in found["rows"]:
        ours, numpys = row["contenders"][OURS], row["contenders"]["numpy"]
        assert len(ours["seconds"]) == len(numpys["seconds"]) == 2 and min(ours["seconds"]) > 0
        ratios = [a / b for a, b in zip(numpys["seconds"], ours["seconds"], strict=True)]
        assert numpys["ratio_to_micrograd"] == pytest.approx(median(ratios))
        assert row["gflop_s"] == pytest.approx(row["flops"] / ours["median_seconds"] / 1e9)
        assert "seconds" in row["contenders"]["strangers:Noisy"]
        assert "update of W1 is off by 0.05" in row["contenders"]["strangers:Wrong"]["error"]
    first, second = (row["contenders"] for row in found["rows"])
    assert first["strangers:Dies"]["error"] == "ended with status 3: last words"
    assert "strangers:Dies" not in second
    assert sum("nosuchmodule" in line for line in found["problems"]) == 1

    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split()[:3] == ["one", "SGD", "step"]
    assert printed[1].startswith("4-8-3, batch 100") and printed[2].startswith("3-5-2, batch 16")
    assert any("No module named 'nosuchmodule'" in line for line in printed)


def test_threads_are_in_the_environment_first(strangers):
    worker = Worker("strangers:Tells", 3)
    worker.start()
    try:
        worker.wait()
        assert worker.failure is None and worker.version == ("numpy", np.__version__)
        with pytest.raises(WorkerError, match="3 3"):
            worker.ask("setup", SMALL, "float32", True)
    finally:
        worker.stop()


def test_silent_worker_is_given_up(strangers):
    worker = Worker("numpy", 1)
    worker.start()
    try:
        worker.wait()
        worker.ask("setup", SMALL, "float32", True)
        with pytest.raises(WorkerError, match="no answer within 0 s"):
            worker.ask("time", patience=0)
        with pytest.raises(WorkerError, match="no answer"):
            worker.ask("time")
    finally:
        worker.stop()


def test_step_overhead(capsys):
    assert bench.main(["--step-overhead", "--threads", "1"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["total", "zero_grad", "loss", "backward", "step"]


def test_threads_threshold(capsys, monkeypatch):
    monkeypatch.setattr(threshold, "ROWS", (1, 40))
    monkeypatch.setattr(threshold, "PAUSES", 1)
    assert bench.main(["--threads-threshold", "--threads", "2", "--rounds", "1"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in out[1:-1]] == ["16,384", "655,360"]
    assert bench.main(["--threads-threshold", "--threads", "1"]) == 2


def test_threshold_is_where_threads_pay_for_good():
    sizes = [
        threshold.Size(1, 2.0, 1.0, 1.0, 3.0),  # a lucky one, then they do not pay
        threshold.Size(2, 2.0, 1.9, 2.0, 3.0),
        threshold.Size(4, 4.0, 2.0, 4.0, 4.0),
        threshold.Size(8, 8.0, 4.0, 8.0, 6.0),
    ]
    last = threshold.lines(sizes, 2)[-1]
    assert last == (
        "2 threads are 1.1× faster or more from 65,536 multiply-adds on; "
        "after a pause, from 131,072 multiply-adds on"
    )
    assert "after a pause, nowhere" in threshold.lines(sizes[:3], 2)[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--threads", "0"], "numbers of threads"),
        (["--threads", "two"], "numbers of threads"),
        (["--rounds", "0"], "1 or more"),
        (["--workloads", "4-8"], "LAYERS/BATCH"),
        (["--contenders", "tensorflow"], "module:Class"),
        (["--dtype", "float16"], "float32"),
    ],
)
def test_bad_options(arguments, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        bench.main(arguments)
    assert stopped.value.code == 2 and words in capsys.readouterr().err


def test_unwritable_file_is_found_out_before_the_run(tmp_path, capsys):
    assert bench.main(["--json", str(tmp_path / "no" / "file.json")]) == 2
    assert "no folder" in capsys.readouterr().err


# ---- the report ----


def made_up_report():
    rows = []
    for threads, ours in ((1, 2e-3), (2, 1e-3)):
        entries = [
            Entry(OURS, [ours, ours, 2 * ours], [1.0] * 3),
            Entry("numpy", [6e-3, 3e-3, 6e-3], [1.0] * 3),
            Entry("torch", [0.5e-3] * 3, [threads + 1.0] * 3),
            Entry("jax", error="gone"),
        ]
        passes = [(1.0, 2.0), (2.0, 3.0), (1.0, 1.0)]
        rows.append(Row(WORKLOADS[3], threads, entries, [100.0, 50.0, 100.0], passes))
    found = report.Report(Settings(3), machine.description(), {"numpy": "2"}, rows)
    found.bandwidth = {1: 10.0, 2: 20.0}
    return found


def test_ratios_are_medians_of_the_rounds():
    row = made_up_report().rows[0]
    assert row.ratio(row.entries[1]) == 1.5  # of 3, 1.5, 1.5; that of the medians is 3
    assert row.ratio(row.entries[2]) == 0.25  # of 1/4, 1/4, 1/8
    flops = WORKLOADS[3].flops / 1e9
    assert row.fraction == pytest.approx(flops / 2e-3 / 100)  # of 1/100, 1/50 and 1/200
    assert row.gflops == pytest.approx(flops / 2e-3)


def test_report_in_words():
    found = made_up_report()
    lines = report.lines(found, markdown=True)
    assert (
        lines[0] == "| one SGD step | threads | micrograd | GFLOP/s | of FMA peak | numpy | torch |"
    )
    assert lines[1].count("---:") == 6
    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert cells[:3] == ["784-128-10, batch 64", "1", "2.00 ms"]
    assert cells[5:] == ["6.00 ms, 1.50×", "500 µs, 0.25×"]
    assert "784-128-10, batch 64, 1 thread: torch 0.25×" in report.losses(found)
    assert report.speedups(found) == ["784-128-10, batch 64: 2.0× from 1 to 2"]
    assert report.backward_costs(found)[1] == "784-128-10, batch 64, 2 threads: 1.50×"
    problems = "\n".join(report.problems(found))
    assert "jax (784-128-10, batch 64, 1 thread): gone" in problems
    assert "torch (784-128-10, batch 64, 2 threads): kept 3.0 processors busy" in problems
    text = report.text_table(report.table(found))
    assert len({len(line) for line in text}) == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3.084e-6, "3.08 µs"),
        (12.06e-6, "12.1 µs"),
        (0.9999e-3, "1.00 ms"),
        (123.4e-3, "123 ms"),
        (2.5, "2.50 s"),
        (123.4e-9, "123 ns"),
        (1234.0, "1234 s"),
    ],
)
def test_duration(seconds, text):
    assert report.duration(seconds) == text


def test_plots(tmp_path):
    pytest.importorskip("matplotlib")
    from micrograd.bench import plots
    from micrograd.bench.scaling import Scan

    found = made_up_report()
    scans = [Scan("made up", "threads", [1, 2], found.rows)] * 3
    paths = plots.draw(found, scans, tmp_path / "new" / "folder")
    assert [p.name for p in paths] == ["roofline-1.png", "roofline-2.png", "scaling.png"]
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in paths)
    (axes,) = plots.roofline(found, 1).axes  # a Figure, and no file
    rows = [row for row in found.rows if row.threads == 1]
    entries = [e for row in rows for e in row.entries if e.error is None]
    rates = [y for line in axes.lines if line.get_marker() != "None" for y in line.get_ydata()]
    assert len(rates) == len(entries) and plots.roofline(found, 99) is None


# ---- the machine ----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fma_peak(dtype):
    rate = machine.fma_peak(dtype, 2)
    assert rate is not None and 0.01 < rate < 1e6


def test_measuring_refuses_nonsense():
    assert lib.mg_measure_fma(core.ISA_CODE, 7, 1) == -1
    assert lib.mg_measure_fma(99, 0, 1) == -1
    assert lib.mg_measure_fma(core.ISA_CODE, 0, 0) == -1
    assert lib.mg_measure_triad(0) == -1
