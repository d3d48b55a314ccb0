"""A rank that fails, dies, stalls or drifts: the job ends soon, says why, and can go on."""

import re

import numpy as np
import pytest
from support.ranks import ended_soon, run_ranks

pytest.importorskip("safetensors")

# Trains with a model file; rank 1 comes to harm in the midst of epoch 3 if it is told to.
TRAIN = """
import os, signal, sys, time, numpy as np, micrograd as mg
path, out, harm = sys.argv[1:4]
rng = np.random.default_rng(0)
X, y = rng.normal(size=(200, 5)).astype("float32"), rng.integers(0, 3, 200)
net = mg.Network(mg.Linear(5, 8), mg.ReLU(), mg.Dropout(0.2), mg.Linear(8, 3), seed=4)
model = mg.distributed.DataParallel(net, reduction="ordered", timeout=4.0)
class Harm:
    def on_step(self, state):
        if harm == "none" or model.rank != 1 or state.step != 14: return
        if harm == "kill": os.kill(os.getpid(), signal.SIGKILL)
        if harm == "raise": raise KeyError("the cat")
        if harm == "stall": time.sleep(60)
        if harm == "drift": net.parameters()[2].data[0] += 1e-3
mg.distributed.data_parallel.DRIFT_STEPS = 5
model.fit(X, y, epochs=8, batch_size=40, seed=5, resume=path, callbacks=[Harm()])
if model.rank == 0: np.save(out, net.parameters().flat)
"""


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("kill", r"."),  # by mpiexec, in its own words
        ("raise", r"rank 1 of 2 stopped with KeyError: 'the cat'; the job ends"),
        ("stall", r"rank 0 of 2 has waited 4\.\d s for the others to"),
        ("drift", r"DriftError: .*3\.weight of rank 1 differs from rank 0's"),
    ],
)
def test_harm_ends_the_job_and_the_file_goes_on(tmp_path, harm, said):
    path, out = tmp_path / "run.safetensors", tmp_path / "flat.npy"
    done = run_ranks(2, TRAIN, path, out, harm, check=False)
    assert ended_soon(done, 2)
    assert re.search(said, done.stderr + done.stdout)
    assert path.exists() and not out.exists()
    run_ranks(2, TRAIN, path, out, "none")
    whole = tmp_path / "whole.npy"
    run_ranks(2, TRAIN, tmp_path / "other.safetensors", whole, "none")
    assert np.array_equal(np.load(out), np.load(whole))


def test_another_number_of_ranks_goes_on(tmp_path):
    path, out = tmp_path / "run.safetensors", tmp_path / "flat.npy"
    run_ranks(2, TRAIN, path, out, "raise", check=False)
    run_ranks(3, TRAIN, path, out, "none")
    whole = tmp_path / "whole.npy"
    run_ranks(1, TRAIN, tmp_path / "other.safetensors", whole, "none")
    assert np.array_equal(np.load(out), np.load(whole))
