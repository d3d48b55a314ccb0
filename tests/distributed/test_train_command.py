"""`mpiexec -n N micrograd train DATA --distributed`: one voice, one file, one message."""

import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from support.ranks import COMMAND, ended_soon, env_of, mpiexec, run_ranks

import micrograd as mg

pytest.importorskip("safetensors")

ORDERED = ("--distributed", "--reduction", "ordered")

# The command, but rank 1 comes to harm: it cannot read the data, or fails in its 40th step.
HARMED = """
import sys, micrograd as mg
from mpi4py import MPI
from micrograd.cli import main, train
harm = sys.argv.pop(1)
def cannot_read(options): raise FileNotFoundError(2, "No such file", "shard.csv")
plain, steps = mg.Network.accumulate_step, [0]
def step(self, *arguments):
    steps[0] += 1
    if steps[0] == 40: raise ValueError("the cat")
    return plain(self, *arguments)
if MPI.COMM_WORLD.Get_rank() == 1:
    if harm == "load": train.load = cannot_read
    if harm == "step": mg.Network.accumulate_step = step
sys.exit(main())
"""


def lines_of_errors(done):
    return [line for line in done.stderr.splitlines() if line.startswith("micrograd")]


def test_ranks_speak_once_and_leave_the_model_of_one(tmp_path):
    found = []
    for ranks in (1, 2, 4):
        path, log = tmp_path / f"{ranks}.safetensors", tmp_path / f"{ranks}.csv"
        done = run_ranks(
            ranks, COMMAND, "train", "digits", *ORDERED, "--epochs", 2, "--dropout", 0.1,
            "--batch", 256, "--save", path, "--log", log,
        )  # fmt: skip
        assert done.stdout.count("test accuracy") == 1
        assert len(re.findall("^epoch", done.stderr, re.MULTILINE)) == 2
        assert f"{ranks} ranks, threads of each: 1" in done.stdout
        assert len(log.read_text().splitlines()) == 3
        accuracy = re.search("test accuracy.*", done.stdout).group()
        found.append((mg.load(path).parameters().flat, accuracy))
    for flat, accuracy in found[1:]:
        assert np.array_equal(flat, found[0][0]) and accuracy == found[0][1]


def test_the_network_of_a_table(tmp_path):
    """The preset's network, its epoch chosen by held-out rows: two ranks as one."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 300))
    kinds = np.where(a + b > 0, "up", "down")
    rows = "".join(f"{x:.6f},{z:.6f},{kind}\n" for x, z, kind in zip(a, b, kinds, strict=True))
    table = tmp_path / "table.csv"
    table.write_text("a,b,kind\n" + rows)
    argv = ("train", table, "--target", "kind", "--preset", "fast", "--epochs", 3, *ORDERED)
    for ranks in (1, 2):
        run_ranks(ranks, COMMAND, *argv, "--quiet", "--save", tmp_path / f"{ranks}.safetensors")
    one, two = (mg.load(tmp_path / f"{ranks}.safetensors") for ranks in (1, 2))
    assert np.array_equal(one.parameters().flat, two.parameters().flat)
    assert one.metadata["schema"] == two.metadata["schema"]


def test_a_rank_that_fails_ends_the_job_and_others_go_on(tmp_path):
    path, whole = tmp_path / "run.safetensors", tmp_path / "whole.safetensors"
    argv = ("train", "digits", *ORDERED, "--epochs", 3, "--batch", 128, "--quiet", "--resume")
    done = run_ranks(2, HARMED, "step", *argv, path, check=False)
    assert ended_soon(done, 2)
    said = "micrograd: rank 1 of 2: error: the cat; the job ends"
    assert lines_of_errors(done) == [said]
    assert mg.load(path).position.epoch == 1
    run_ranks(3, COMMAND, *argv, path)
    run_ranks(1, COMMAND, *argv, whole)
    one, other = mg.load(whole).parameters(), mg.load(path).parameters()
    assert np.array_equal(one.flat, other.flat)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("train", "absent.csv", "--target", "x"), 1, "no file or folder 'absent.csv'"),
        (("train", "digits", "--epoch", "3"), 2, "unexpected argument '--epoch'"),
        (("train", "digits", "--lr", "1e30", "--clip-norm", "0"), 1, "the loss is nan at step 0"),
    ],
)
def test_an_error_of_all_ranks_is_one_line(arguments, code, said):
    done = run_ranks(3, COMMAND, *arguments, "--distributed", check=False)
    (line,) = lines_of_errors(done)
    assert line.startswith("micrograd: error: ") and said in line
    assert done.returncode in (code, 1)  # mpiexec ends with the code of one of the ranks


def test_data_that_one_rank_cannot_read():
    done = run_ranks(3, HARMED, "load", "train", "digits", "--distributed", check=False)
    assert ended_soon(done, 3)
    said = "micrograd: rank 1 of 3: error: shard.csv: No such file; the job ends"
    assert lines_of_errors(done) == [said]


def test_interrupted_by_the_user(tmp_path):
    path = tmp_path / "kept.safetensors"
    command = [mpiexec(), "-n", "2", sys.executable, "-c", COMMAND, "train", "digits",
               "--distributed", "--epochs", "3000", "--save", str(path)]  # fmt: skip
    job = subprocess.Popen(
        command, env=env_of({}), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    try:
        for line in job.stderr:
            if line.startswith("epoch") and int(line.split()[1].partition("/")[0]) == 2:
                break
        job.send_signal(signal.SIGINT)
        _, said = job.communicate(timeout=60)
    finally:
        job.kill()
    assert job.returncode == 130
    epochs = int(re.search(r"interrupted; (\d+) whole epochs are in .* --resume", said).group(1))
    assert mg.load(path).position.epoch == epochs >= 2


def test_the_order_is_for_ranks():
    done = run_ranks(1, COMMAND, "train", "digits", "--reduction", "ordered", check=False)
    assert done.returncode == 2 and "--reduction is for --distributed" in done.stderr
