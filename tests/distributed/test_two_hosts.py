"""A job across two network namespaces, 5 ms apart: as two machines, by TCP and nothing else."""

import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from support.ranks import env_of, mpiexec, run_ranks
from support.two_hosts import DEVICE, available, two_hosts

DELAY = 0.005

# A training job, and the seconds of its steps beside what a message between the two takes.
TRAIN = """
import sys, time, numpy as np, micrograd as mg
from mpi4py import MPI
comm = MPI.COMM_WORLD
rng = np.random.default_rng(0)
X, y = rng.normal(size=(640, 20)).astype("float32"), rng.integers(0, 3, 640)
net = mg.Network(mg.Linear(20, 16), mg.ReLU(), mg.Dropout(0.2), mg.Linear(16, 3), seed=4)
model = mg.distributed.DataParallel(net, comm, reduction="ordered")
adam = mg.optim.Adam(net.parameters(), 0.01)
model.fit(X, y, epochs=2, batch_size=128, optimizer=adam, seed=5)
if model.rank == 0: np.save(sys.argv[1], net.parameters().flat)
byte, trips = np.zeros(1, "u1"), []
for _ in range(10 if model.ranks > 1 else 0):
    started = time.perf_counter()
    comm.Sendrecv(byte, 1 - model.rank, 0, byte.copy(), 1 - model.rank, 0)
    trips.append(time.perf_counter() - started)
if model.rank == 0: print("exchange", np.mean(trips or [0]))
"""


def test_hosts_apart_train_the_same_model(tmp_path):
    launcher = mpiexec()
    if reason := available():
        pytest.skip(reason)
    far, near = tmp_path / "far.npy", tmp_path / "near.npy"
    with two_hosts(DELAY, tmp_path, launcher) as start:
        env = env_of({"UCX_TLS": "tcp", "UCX_NET_DEVICES": DEVICE, "MPIR_CVAR_NOLOCAL": "1"})
        done = subprocess.run(
            [*start, sys.executable, "-c", TRAIN, str(far)],
            env=env | {"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        shown = subprocess.run(
            [*start[:4], "ip", "-s", "link", "show", DEVICE],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    assert float(done.stdout.split()[-1]) >= DELAY  # the link was in between
    lines = [line.split() for line in shown.splitlines()]
    sent = next(int(after[0]) for line, after in pairwise(lines)
                if line[0] == "TX:")  # fmt: skip
    assert sent > 10 * 4 * (21 * 16 + 17 * 3)  # ten gradients at least went over it
    run_ranks(1, TRAIN, near)
    assert np.array_equal(np.load(far), np.load(near))
