"""The same seed, data and instruction set give the same parameters after 1000 steps: for any number
of threads, with and without recomputation, in any process; stored hashes guard it."""

import json
import platform
import re
import sys

import pytest
from support.processes import run_python

from micrograd import core

TRAIN = """
import hashlib, json
import numpy as np
import micrograd as mg
from micrograd import core

X = (np.arange(200 * 12).reshape(200, 12) * 37 % 101 - 50) / 64
y = np.arange(200) * 7 % 5
hashes = {}
for dtype in ("float32", "float64"):
    for threads, checkpoint in ((1, None), (2, None), (3, "sqrt")):
        core.set_num_threads(threads)
        net = mg.Network(
            mg.Linear(12, 33), mg.GELU(), mg.Residual(mg.Linear(33, 33), mg.Tanh()),
            mg.Dropout(0.1), mg.Linear(33, 5), dtype=dtype, seed=1, checkpoint=checkpoint,
        )
        adam = mg.optim.Adam(net.parameters(), lr=1e-3)
        net.fit(X, y, epochs=50, batch_size=10, optimizer=adam, seed=0, progress=False)
        assert adam.steps == 1000
        flat = net.parameters().flat
        assert np.isfinite(flat).all()
        hashes[f"{dtype} {threads} {checkpoint}"] = hashlib.sha256(flat.tobytes()).hexdigest()[:16]
print(json.dumps([core.build(), hashes]))
"""

# By processor, instruction set and dtype, as gcc 12 compiles the kernels with the flags of a wheel;
# another compiler may contract and reorder elsewhere, and gcc too with -O1 and sanitizers: such
# builds of our tools have a word in place of the hash of their sources. On ARM even the generic
# kernels multiply and add with one rounding. They change where a kernel changes its sums: then say
# so in the commit.
STORED = {
    ("x86_64", "generic", "float32"): "2fc67beb4288d696",
    ("x86_64", "generic", "float64"): "b02eb61ccce24488",
    ("x86_64", "avx2", "float32"): "4128fdb40bf0abad",
    ("x86_64", "avx2", "float64"): "269157ac7591da20",
    ("x86_64", "avx512", "float32"): "4128fdb40bf0abad",
    ("x86_64", "avx512", "float64"): "8b658847284d110a",
    ("aarch64", "generic", "float32"): "b91f96da22bf6d76",
    ("aarch64", "generic", "float64"): "c5082f1292b12ec5",
    ("aarch64", "neon", "float32"): "b91f96da22bf6d76",
    ("aarch64", "neon", "float64"): "c5082f1292b12ec5",
}
HASH = re.compile("[0-9a-f]{12}")


@pytest.mark.parametrize("isa", core.supported_isas())
def test_the_same_bits_after_1000_steps(isa):
    build, hashes = json.loads(run_python(TRAIN, MICROGRAD_ISA=isa).stdout)
    build = core.Build(*build)
    as_in_a_wheel = build.compiler.startswith("gcc 12.") and HASH.fullmatch(build.source_hash)
    for dtype in ("float32", "float64"):
        found = {value for name, value in hashes.items() if name.startswith(dtype)}
        assert len(found) == 1, hashes
        processor = platform.machine()
        if as_in_a_wheel and processor in {"x86_64", "aarch64"} and sys.platform == "linux":
            assert found == {STORED[processor, isa, dtype]}
