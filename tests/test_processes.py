"""Threads that train networks of their own, forked and spawned processes, loky, asyncio, Ctrl-C."""

import asyncio
import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from support.processes import run_python

import micrograd as mg
from micrograd import core


def trained(seed):
    """The digest of a network after training; the same for the same seed, wherever it runs."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(300, 12)), rng.integers(0, 3, 300)
    net = mg.Network(
        mg.Linear(12, 40), mg.GELU(), mg.Dropout(0.2), mg.Linear(40, 3), dtype="float64", seed=seed
    )
    net.fit(X, y, epochs=5, batch_size=20, seed=seed, clip_norm=1.0, progress=False)
    predictor = net.freeze()
    content = net.parameters().flat.tobytes() + predictor(X).tobytes() + net.predict(X).tobytes()
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("inner", [1, 2])
def test_networks_trained_side_by_side_have_the_bits_of_serial_runs(inner):
    before, found = core.get_num_threads(), {}
    core.set_num_threads(inner)
    try:
        wanted = {seed: trained(seed) for seed in range(4)}
        started = threading.Barrier(4)

        def work(seed):
            started.wait(60)
            found[seed] = [trained(seed) for _ in range(3)]

        threads = [threading.Thread(target=work, args=(seed,)) for seed in wanted]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
    finally:
        core.set_num_threads(before)
    assert found == {seed: [digest] * 3 for seed, digest in wanted.items()}


METHODS = [
    m for m in ("fork", "spawn", "forkserver") if m in multiprocessing.get_all_start_methods()
]
POOL = "multiprocessing.get_context({!r}).Pool(2)"
LOKY = "loky.ProcessPoolExecutor(2)"


@pytest.mark.parametrize("method", [*METHODS, "loky"])
def test_children_compute_what_their_parent_does(method, tmp_path):
    """Its threads are at work before: a forked child has none of them."""
    if method == "loky":
        pytest.importorskip("loky")
    imports, pool = ("loky", LOKY) if method == "loky" else ("multiprocessing", POOL.format(method))
    script = tmp_path / "children.py"
    source = (
        f"import sys, {imports}\n"
        f"sys.path[:0] = {[os.path.dirname(__file__), *filter(None, sys.path)]!r}\n"
        "from test_processes import trained\n"
        "from micrograd import core\n"
        "if __name__ == '__main__':\n"
        "    core.set_num_threads(2)\n"
        "    wanted = [trained(0), trained(1)]\n"
        f"    with {pool} as pool:\n"
        "        assert list(pool.map(trained, [0, 1, 0, 1])) == wanted * 2\n"
        "    assert [trained(0), trained(1)] == wanted\n"
    )
    script.write_text(source)
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


INTERPRETERS = """
import os
import micrograd as mg
mg.Network(mg.Linear(2, 1), loss="mse", seed=0).predict([[1.0, 2.0]])  # this one has numpy
scalars = (
    "import os; from micrograd import Value; from micrograd.nn import MLP\\n"
    "x = Value(3.0); (x * x).backward(); net = MLP(2, [4, 1]); net([1.0, 2.0]).backward()\\n"
    "os.write(1, f'{x.grad} {len(net.parameters())} '.encode())\\n"
)
try:
    from concurrent import interpreters  # from CPython 3.14 on
    for _ in range(2):
        interpreters.create().exec(scalars)
except ImportError:
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    for _ in range(2):
        interpreters.run_string(interpreters.create(), scalars)
os.write(1, str(mg.Value(2.0) * 3).encode())
"""


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="interpreters of CPython")
def test_other_interpreters_of_the_process_have_the_scalar_engine():
    said = run_python(INTERPRETERS).stdout
    assert said == "6.0 17 " * 2 + "Value(data=6.0, grad=0.0)"


def test_asyncio_goes_on_while_a_network_trains():
    net = mg.Network(mg.Linear(64, 256), mg.Tanh(), mg.Linear(256, 3), seed=0)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2000, 64)).astype(np.float32), rng.integers(0, 3, 2000)
    frozen = net.freeze()
    wanted = frozen(X[:5])

    async def both():
        training = asyncio.create_task(
            asyncio.to_thread(net.fit, X, y, epochs=30, batch_size=50, seed=0, progress=False)
        )
        answers = 0
        while not training.done():
            assert np.array_equal(frozen(X[:5]), wanted)
            answers += 1
            await asyncio.sleep(0)
        await training
        return answers

    assert asyncio.run(both()) > 1
    assert len(net.position.history["loss"]) == 30


INTERRUPTED = """
import signal, sys, threading
import numpy as np
import micrograd as mg

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
rng = np.random.default_rng(0)
X, y = rng.normal(size=(200, 6)), rng.integers(0, 3, 200)
net = mg.Network(
    mg.Linear(6, 30), mg.GELU(), mg.Residual(mg.Linear(30, 30), mg.Tanh()), mg.Dropout(0.1),
    mg.Linear(30, 3), dtype="float64", seed=1)
adam = mg.optim.Adam(net.parameters(), lr=1e-3)
program = mg.compile(lambda xs: (xs[0] * xs[1]).tanh() + xs[2].exp())
wanted = program(X)
done = 0
try:
    while True:
        net.fit(X, y, epochs=2, batch_size=20, optimizer=adam, progress=False, seed=done)
        net.loss(X, y)
        net.backward()
        adam.step()
        adam.zero_grad()
        net.freeze()(X)
        net.evaluate(X, y)
        program(X)
        net.save(sys.argv[1])
        done += 1
        if done == 1:  # all is imported: an import that is interrupted can keep Python's own lock
            print("go", flush=True)
except KeyboardInterrupt:
    pass
# All of it can be used as if nothing had been: no claim is kept, nothing is half written.
assert np.isfinite(net.parameters().flat).all() and np.isfinite(net.parameters().flat_grad).all()
adam.zero_grad()
before = net.parameters().flat.copy()
first = net.loss(X, y), net.backward(), net.parameters().flat_grad.copy()
assert np.array_equal(net.parameters().flat, before)
adam.step()
errors = []
def other():
    try:
        net.fit(X, y, epochs=1, batch_size=50, optimizer=adam, progress=False, seed=0)
    except BaseException as error:
        errors.append(error)
thread = threading.Thread(target=other)
thread.start(); thread.join(60)
assert not errors and not thread.is_alive(), errors
assert np.array_equal(net.freeze()(X), net.predict(X))
assert np.array_equal(program(X), wanted)
mg.load(sys.argv[1]).predict(X)
net.save(sys.argv[1])
assert np.array_equal(mg.load(sys.argv[1]).parameters().flat, net.parameters().flat)
print("well", done)
"""


def interrupted(child):
    """What a process prints that gets Ctrl-C, and gets it again where Python has dropped it: one
    that comes in a callback of a weak reference is printed and forgotten there."""
    for _ in range(6):
        child.send_signal(signal.SIGINT)
        try:
            return child.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            continue
    child.kill()
    raise AssertionError(child.communicate()[1][-3000:])


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_at_any_moment_leaves_everything_fit_for_use(tmp_path):
    """MICROGRAD_INTERRUPTS says how often (default 6)."""
    pytest.importorskip("safetensors")
    times = int(os.environ.get("MICROGRAD_INTERRUPTS", "6"))
    moments = np.random.default_rng(0).uniform(0, 0.2, times)
    for number, moment in enumerate(moments):
        path = tmp_path / f"m{number}"
        child = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED, str(path)], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert child.stdout.readline() == "go\n", child.stderr.read()
        time.sleep(moment)
        out, err = interrupted(child)
        assert child.returncode == 0 and out.startswith("well"), (number, moment, err[-3000:])
        assert not [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]
