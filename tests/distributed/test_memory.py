"""Data larger than the memory that a rank takes: mapped, and read as batches need them.

Quick: a sparse file of 600 MB, which would break the limit if a rank held its rows. With
MICROGRAD_TEST_FULL set: 4 GB.
"""

import os
import sys

import numpy as np
import pytest
from support.ranks import run_ranks

LIMIT = 300_000_000  # bytes of anonymous memory of a rank
BYTES = 4_000_000_000 if os.environ.get("MICROGRAD_TEST_FULL") else 600_000_000
FEATURES = 784

EPOCH = """
import sys, numpy as np, micrograd as mg
folder, how = sys.argv[1:]
def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))
most = [0]
class Watch:
    def on_step(self, state): most[0] = max(most[0], anonymous())
net = mg.Network(mg.Linear(784, 16), mg.ReLU(), mg.Linear(16, 10), seed=0)
if how == "mapped":
    X, y = (np.load(f"{folder}/{name}.npy", mmap_mode="r") for name in "Xy")
else:
    X, y = mg.distributed.shard(f"{folder}/X.npy", f"{folder}/y.npy")
model = mg.distributed.DataParallel(net, sharded=how == "shard")
history = model.fit(X, y, epochs=1, batch_size=4096, seed=1, callbacks=[Watch()])
assert len(history.loss) == 1 and np.isfinite(history.loss[0])
found = model.wire.all(np.array(most))[:, 0]
if model.rank == 0: print("most", *found, "steps", net.step)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc")
@pytest.mark.parametrize("how", ["mapped", "shard"])
def test_an_epoch_of_mapped_rows_takes_little_memory(tmp_path, how):
    rows = BYTES // (4 * FEATURES)
    for name, dtype, shape in (("X", "<f4", (rows, FEATURES)), ("y", "<i8", (rows,))):
        np.lib.format.open_memmap(tmp_path / f"{name}.npy", "w+", dtype, shape)  # sparse: no pages
    assert os.stat(tmp_path / "X.npy").st_blocks * 512 < BYTES / 100
    done = run_ranks(2, EPOCH, tmp_path, how, timeout=500)
    _, *most, _, steps = done.stdout.split()
    print(done.stdout)
    assert int(steps) == -(-rows // 4096)
    assert all(0 < int(found) < LIMIT for found in most)
