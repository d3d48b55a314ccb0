"""Programs on several ranks of a real MPI job."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "import sys; from micrograd.cli import main; sys.exit(main())"  # `micrograd`


def mpiexec():
    """The launcher that belongs to the installed MPI; skips the test where there is none."""
    pytest.importorskip("mpi4py")
    beside = Path(sys.executable).with_name("mpiexec")
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None:
        pytest.skip("no mpiexec")
    return found


def env_of(environment):
    """The environment of a job: one thread a rank unless it says otherwise."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MICROGRAD_", "OMP_"))}
    return env | {"MICROGRAD_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | environment


def run_ranks(ranks, source, *arguments, check=True, timeout=120, **environment):
    """Runs a program on so many ranks; returns it with its output and the seconds it took."""
    command = [mpiexec(), "-n", str(ranks), sys.executable, "-c", source, *map(str, arguments)]
    started = time.monotonic()
    done = subprocess.run(
        command, env=env_of(environment), capture_output=True, text=True, timeout=timeout,
        check=False,
    )  # fmt: skip
    done.seconds = time.monotonic() - started
    assert not check or done.returncode == 0, done.stderr
    return done


START = "from mpi4py import MPI; import micrograd as mg; mg.data.digits(); MPI.COMM_WORLD.Barrier()"


def ended_soon(done, ranks):
    """Whether a job that was harmed ended within ten seconds, beyond what it takes here and now to
    start: three times as long as a job that does nothing else, which a busy machine draws out."""
    return done.returncode != 0 and done.seconds < 10 + 3 * run_ranks(ranks, START).seconds
