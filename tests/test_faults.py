"""Memory that runs out at any allocation of the C core; a disk that fails at any call of a save."""

import sys

import pytest
from support import faulty

pytest.importorskip("safetensors")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the shim is for glibc")


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    library = faulty.compiled(tmp_path_factory.mktemp("shim"))
    if library is None:
        pytest.skip("no compiler for the shim")
    return library


EVERYTHING = """
X = np.linspace(-1, 1, 60).reshape(20, 3)
y = np.arange(20) % 2

def everything():
    net = mg.Network(
        mg.Linear(3, 6), mg.GELU(), mg.Residual(mg.Linear(6, 6), mg.Tanh()), mg.Dropout(0.2),
        mg.Linear(6, 2), dtype="float64", seed=0, checkpoint="sqrt",
    )
    net.fit(X, y, epochs=2, batch_size=7, clip_norm=1.0, validation=(X, y), seed=0, progress=False)
    net.loss(X, y, sample_weight=np.ones(20))
    net.backward()
    net.explain(X, y)
    net.save("m.safetensors")
    back = mg.load("m.safetensors")
    p = mg.Value(0.5)
    own = mg.Network(
        mg.Linear(3, 2), mg.Map(lambda z: z * (p * z).sigmoid()),
        loss=lambda z, y: (z[0] - y[0]) ** 2 + (z[1] - p) ** 2, seed=0,
    )
    own.loss(X, X[:, :2])
    own.backward()
    program = mg.compile(lambda xs: (xs[0] * p + xs[1]).tanh())
    program(X)
    program.loss(X)
    program.backward()
    score = back.evaluate(X, y)
    mg.convert.to_c(mg.Network(mg.Linear(3, 2), mg.ReLU(), seed=0), "m.h")
    return back.predict(X), score, program.parameters().flat_grad.copy()
"""

OUT_OF_MEMORY = """
wanted = everything()
saved = mg.load("m.safetensors").parameters().flat.copy()
gc.collect()
before = shim.fault_live()
n = refused = 0
while True:
    n += 1
    arm(ALLOCATIONS, n)
    try:
        everything()
    except MemoryError:
        refused += 1
    seen = shim.fault_disarm()
    gc.collect()
    assert shim.fault_live() == before, (n, shim.fault_live(), before)
    assert np.array_equal(mg.load("m.safetensors").parameters().flat, saved), n
    if seen < n:
        break
again = everything()
assert all(np.array_equal(a, b) for a, b in zip(wanted, again, strict=True))
print(n - 1, refused)
"""


def test_out_of_memory_at_each_allocation(shim, tmp_path):
    allocations, refused = map(int, faulty.run(shim, EVERYTHING + OUT_OF_MEMORY, tmp_path).split())
    assert allocations > 30
    print(f"{allocations} allocations of the C core failed, {refused} with a MemoryError")
    assert refused == allocations  # each is a MemoryError, and none is passed over in silence


SAVES = """
old, new = (mg.Network(mg.Linear(3, 2), seed=s) for s in (0, 1))
new.save("new"); old.save("m")
contents = {name: open(name, "rb").read() for name in ("new", "m")}
for error in (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS):
    n = 0
    while True:
        n += 1
        open("m", "wb").write(contents["m"])
        raised = None
        arm(FILES, n, error)
        try:
            new.save("m")
        except OSError as e:
            raised = e
        seen = shim.fault_disarm()
        there = open("m", "rb").read()
        assert there in contents.values(), (n, error, "neither the old file nor the new one")
        if raised is None:
            assert there == contents["new"], (n, error, "a save that says nothing has not saved")
        mg.load("m")
        left = sorted(set(os.listdir()) - {"m", "new"})
        assert not left, (n, error, left)
        if seen < n:
            break
    assert raised is None
print(n - 1)
"""


def test_a_disk_that_fails_at_each_call_of_a_save(shim, tmp_path):
    calls = int(faulty.run(shim, SAVES, tmp_path))
    print(f"{calls} calls of a save failed, with each of four errors")
    assert calls > 8
