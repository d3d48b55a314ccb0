"""Instruction sets, threads, environment variables, forks, and what an import loads."""

import os
import sys
import threading as python_threads

import numpy as np
import pytest
from support.bits import same_bits
from support.kernels import DTYPES, ISAS
from support.processes import run_python

import micrograd as mg
from micrograd import core
from micrograd.core import lib

NEVER_HERE = next(name for name in core.ISA_CODES if name not in ISAS)
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
POOL = pytest.mark.skipif(not lib.mg_has_threads(), reason="built without threads")


# ---- instruction sets ----


def test_the_best_instruction_set_is_the_default():
    best = next(name for name in ("avx512", "avx2", "neon", "generic") if name in ISAS)
    assert run_python("import micrograd as mg; print(mg.isa())").stdout.strip() == best
    assert "generic" in ISAS and mg.isa() in ISAS


@pytest.mark.parametrize("name", ISAS)
def test_micrograd_isa_chooses(name):
    for spelling in (name, name.upper(), f" {name} "):
        done = run_python("import micrograd as mg; print(mg.isa())", MICROGRAD_ISA=spelling)
        assert done.stdout.strip() == name


@pytest.mark.parametrize("value", [NEVER_HERE, "avx1024", "sse2", "1"])
def test_an_instruction_set_that_is_not_there(value):
    done = run_python("import micrograd as mg; mg.isa()", check=False, MICROGRAD_ISA=value)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError") and value in last
    assert all(name in last for name in ISAS)


TRAIN = """
import sys
import numpy as np, micrograd as mg
rng = np.random.default_rng(0)
X, y = rng.normal(size=(90, 33)), rng.integers(0, 9, 90)
out = {}
for dtype in ("float32", "float64"):
    net = mg.Network(mg.Linear(33, 70), mg.GELU(), mg.Linear(70, 35), mg.Tanh(), mg.Linear(35, 20),
                     mg.Sigmoid(), mg.Linear(20, 9), mg.Softmax(), mg.Linear(9, 9),
                     dtype=dtype, seed=1)
    out["loss " + dtype] = net.loss(X, y)
    net.backward()
    out["gradient " + dtype] = net.parameters().flat_grad.copy()
    net.fit(X, y, epochs=2, batch_size=32, seed=3, progress=False)
    out["weights " + dtype] = net.parameters().flat
    out["output " + dtype] = net.predict(X)
np.savez(sys.argv[1] if len(sys.argv) > 1 else PATH, **out)
"""


def test_every_instruction_set_gives_the_same_numbers(tmp_path):
    """They differ in the order of sums and in fused multiply-adds: some hundred roundings."""
    results = {}
    for name in ISAS:
        path = tmp_path / f"{name}.npz"
        run_python(f"PATH = {str(path)!r}\n{TRAIN}", MICROGRAD_ISA=name)
        results[name] = np.load(path)
    first = results["generic"]
    assert sorted(first.files) == sorted(
        f"{what} {d}" for what in ("loss", "gradient", "weights", "output") for d in DTYPES
    )
    for name in ISAS:
        for key in first.files:
            want, got = first[key], results[name][key]
            tolerance = 400 * np.finfo(key.split()[1]).eps
            assert np.abs(got - want).max() <= tolerance * np.abs(want).max(), (name, key)
    distinct = {r["gradient float64"].tobytes() for r in results.values()}
    assert len(ISAS) == 1 or len(distinct) > 1  # the variable did choose other code


# ---- threads ----

COUNT = """
import os
import numpy as np, micrograd as mg
def tasks():
    return len(os.listdir("/proc/self/task"))
small = mg.Network(mg.Linear(4, 8), mg.ReLU(), mg.Linear(8, 3), seed=0)
large = mg.Network(mg.Linear(300, 300), mg.ReLU(), mg.Linear(300, 10), seed=0)
before = tasks()
small.fit(np.ones((100, 4)), np.zeros(100, int), epochs=2, progress=False)
after_small = tasks() - before
large.loss(np.ones((200, 300)), np.zeros(200, int))
print(mg.get_num_threads(), after_small, tasks() - before)
"""


@LINUX
@POOL
@pytest.mark.parametrize(
    "environment, want",
    [
        ({"MICROGRAD_NUM_THREADS": "1"}, "1 0 0"),
        ({"MICROGRAD_NUM_THREADS": "2"}, "2 0 1"),
        ({"MICROGRAD_NUM_THREADS": "3"}, "3 0 2"),
        ({"OMP_NUM_THREADS": "2"}, "2 0 1"),
        ({"OMP_NUM_THREADS": "3,2"}, "3 0 2"),
        ({"OMP_NUM_THREADS": "4", "MICROGRAD_NUM_THREADS": "2"}, "2 0 1"),
        ({"MICROGRAD_NUM_THREADS": "", "OMP_NUM_THREADS": "2"}, "2 0 1"),
    ],
)
def test_threads_from_the_environment(environment, want):
    """Also that a large batch uses them, and a small one starts none."""
    assert run_python(COUNT, **environment).stdout.strip() == want


@LINUX
@POOL
def test_without_variables_there_are_as_many_threads_as_processors():
    cpus = len(os.sched_getaffinity(0))
    assert run_python("import micrograd as mg; print(mg.get_num_threads())").stdout.strip() == str(
        cpus
    )


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "9" * 12, "9" * 40])
def test_a_number_of_threads_that_is_none(value):
    done = run_python("import micrograd as mg; mg.isa()", check=False, MICROGRAD_NUM_THREADS=value)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError") and "MICROGRAD_NUM_THREADS" in last and value in last


@pytest.mark.parametrize("value", ["0", "two", "9" * 25, "9" * 5000])
def test_a_number_of_openmp_threads_that_is_none_is_not_ours_to_judge(value):
    count = "import micrograd as mg; print(mg.get_num_threads())"
    assert run_python(count, OMP_NUM_THREADS=value).stdout == run_python(count).stdout


@POOL
def test_set_num_threads(threads):
    for n in (1, 2, 5, np.int64(3)):
        mg.set_num_threads(n)
        assert mg.get_num_threads() == n
    for bad, error in [(0, ValueError), (-2, ValueError), (1.0, TypeError), ("2", TypeError),
                       (True, TypeError), (None, TypeError)]:  # fmt: skip
        with pytest.raises(error, match="set_num_threads"):
            mg.set_num_threads(bad)
        assert mg.get_num_threads() == 3


def trained(seed, dtype="float64", rows=256):
    """The weights after some steps of a network that is large enough for a team."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(rows, 128)).astype(dtype), rng.integers(0, 10, rows)
    net = mg.Network(mg.Linear(128, 128), mg.GELU(), mg.Linear(128, 10), dtype=dtype, seed=seed)
    net.fit(X, y, epochs=15, batch_size=rows // 2, clip_norm=0.5, seed=seed, progress=False)
    net.loss(X, y)
    net.backward()
    return np.concatenate(
        [net.parameters().flat, net.parameters().flat_grad, net.predict(X).ravel()]
    )


@pytest.mark.parametrize("team", [1, 2])
def test_two_python_threads_train_two_networks(threads, team):
    threads(team)
    want = [trained(seed) for seed in range(4)]
    got = [None] * 4

    def work(seed):
        got[seed] = trained(seed)

    workers = [python_threads.Thread(target=work, args=(seed,)) for seed in range(4)]
    for w in workers:
        w.start()
    for w in workers:
        w.join(timeout=120)
        assert not w.is_alive()
    assert all(same_bits(a, b) for a, b in zip(got, want, strict=True))


FORK = """
import multiprocessing as mp, sys
import numpy as np, micrograd as mg
rng = np.random.default_rng(0)
X, y = rng.normal(size=(256, 300)), rng.integers(0, 10, 256)
net = mg.Network(mg.Linear(300, 300), mg.ReLU(), mg.Linear(300, 10), dtype="float64", seed=0)
want = net.loss(X, y)  # the team of threads exists now
net.backward()
flat = net.parameters().flat_grad.copy()

def child(queue):
    net.zero_grad()
    loss = net.loss(X, y)
    net.backward()
    same = loss == want and net.parameters().flat_grad.tobytes() == flat.tobytes()
    if MORE_THREADS:
        mg.set_num_threads(2)
    again = net.loss(X, y) == want
    net.fit(X, y, epochs=1, progress=False)
    queue.put((same, again))

if __name__ == "__main__":
    context = mp.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    try:
        print(queue.get(timeout=20))
    except Exception as error:
        print("the child hangs or died:", repr(error), process.exitcode)
        process.kill()
    process.join()
    print(net.loss(X, y) == want)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
@pytest.mark.parametrize("more_threads", [False, True])
def test_a_forked_child_works(more_threads):
    """After the parent has used threads, of which the child has none; also if it asks for more."""
    program = f"MORE_THREADS = {more_threads}\n{FORK}"
    done = run_python(program, MICROGRAD_NUM_THREADS="2", timeout=120)
    assert done.stdout.split("\n")[:2] == ["(True, True)", "True"], done.stdout + done.stderr


# ---- imports ----


@pytest.mark.parametrize(
    "statement",
    [
        "import micrograd",
        "from micrograd import Value; Value(1.0) * 2",
        "from micrograd.engine.value import Value; (Value(2.0) ** 3).backward()",
        "from micrograd.nn import MLP; MLP(2, [3, 1])([1.0, 2.0])",
    ],
)
def test_the_scalar_side_loads_no_numpy(statement):
    code = (
        f"import sys\n{statement}\nprint(sorted({{'numpy', 'micrograd._core'}} & set(sys.modules)))"
    )
    assert run_python(code).stdout.strip() == "[]"


def test_a_network_loads_only_what_it_needs():
    code = """
import sys
import micrograd as mg
mg.Network(mg.Linear(2, 2)).fit([[1, 2], [3, 4]], [0, 1], epochs=1)
heavy = {"torch", "scipy", "sklearn", "matplotlib", "pandas", "jax", "onnx", "mpi4py"}
print(sorted(heavy & set(sys.modules)))
"""
    assert run_python(code).stdout.strip() == "[]"


def test_every_public_name_is_there():
    for name in mg.__all__:
        assert getattr(mg, name) is not None and name in dir(mg)
    with pytest.raises(AttributeError, match="no_such_name"):
        mg.no_such_name  # noqa: B018
    assert mg.Network is sys.modules["micrograd.network.network"].Network


def test_a_missing_extension_says_how_to_build_it():
    code = """
import sys
sys.modules["micrograd._core"] = None
import micrograd as mg
mg.Network
"""
    done = run_python(code, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError") and "micrograd._core" in last and "pip install" in last
