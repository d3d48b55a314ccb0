"""checks: what is a number, a count and a seed, everywhere; what an error says of the others."""

import subprocess
import sys
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

import micrograd as mg
from micrograd import checks

NUMBERS = [0.25, Fraction(1, 4), np.float16(0.25), np.float32(0.25), np.float64(0.25),
           np.longdouble(0.25)]  # fmt: skip
COUNTS = [3, np.int8(3), np.uint64(3), np.int64(3), np.array(3)]
BOOLS = [True, False, np.True_, np.False_]


@pytest.mark.parametrize("value", [*NUMBERS, *COUNTS[:4]], ids=repr)
def test_scalars_of_python_and_numpy_are_numbers(value):
    found = checks.number("f", "x", value)
    assert type(found) is float and found == float(value)


@pytest.mark.parametrize("value", COUNTS, ids=repr)
def test_integers_of_python_and_numpy_are_counts_and_seeds(value):
    assert checks.count("f", "n", value) == 3 and type(checks.count("f", "n", value)) is int
    assert checks.seed("f", value) == 3 and checks.seed("f", None) is None


@pytest.mark.parametrize("value", [*BOOLS, "1", None, 1j, np.array([1.0]), mg.Value(1.0)], ids=repr)
def test_what_is_no_number(value):
    with pytest.raises(TypeError, match=r"^f: x is .*, a number is wanted$"):
        checks.number("f", "x", value)
    with pytest.raises(TypeError, match=r"^f: x is .*, an integer is wanted$"):
        checks.count("f", "x", value)
    if value is not None:
        with pytest.raises(TypeError, match=r"^f: x is .*, an integer, 0 or more, or None is"):
            checks.seed("f", value, "x")


@pytest.mark.parametrize(
    ("value", "bounds", "wanted"),
    [
        (-1, {}, "a finite number, 0 or more,"),
        (np.nan, {}, "a finite number, 0 or more,"),
        (np.inf, {}, "a finite number, 0 or more,"),
        (1, {"below": 1}, "a finite number, 0 or more and less than 1,"),
        (0, {"above": 0}, "a finite number, more than 0,"),
        (1.5, {"most": 1}, "a finite number, 0 or more and at most 1,"),
        (-np.inf, {"above": -np.inf}, "a finite number"),
        (np.nan, {"most": np.inf}, "a number, 0 or more,"),
    ],
)
def test_ranges_in_words(value, bounds, wanted):
    with pytest.raises(ValueError, match=rf"^f: x is .*, {wanted} is wanted$"):
        checks.number("f", "x", value, **bounds)


def test_infinity_where_it_is_let_through():
    assert checks.number("f", "x", np.inf, most=np.inf) == np.inf
    assert checks.number("f", "x", -1e300, above=-np.inf) == -1e300


def test_counts_out_of_range():
    with pytest.raises(ValueError, match=r"^f: n is 0, 1 or more is wanted$"):
        checks.count("f", "n", 0)
    with pytest.raises(ValueError, match=r"^f: n is 8, 1 or more and less than 8 is wanted$"):
        checks.count("f", "n", 8, below=8)
    with pytest.raises(ValueError, match=r"^f: seed is int -1, an integer, 0 or more, or None"):
        checks.seed("f", -1)


FLOAT, TRUE = np.float32(0.25), np.True_
SETTINGS = {
    "Dropout": lambda x: mg.Dropout(x).p,
    "LeakyReLU": lambda x: mg.LeakyReLU(x).negative_slope,
    "Highway": lambda x: mg.Highway(mg.Linear(2, 2), gate_bias=x).gate_bias,
    "EarlyStopping": lambda x: mg.EarlyStopping(min_delta=x).min_delta,
    "Constant": lambda x: mg.schedule.Constant(x)(0),
    "SGD": lambda x: mg.optim.SGD([mg.Value(1.0)], lr=x).lr,
    "Adam": lambda x: mg.optim.Adam([mg.Value(1.0)], betas=(x, 0.5)).betas[0],
    "LBFGS": lambda x: mg.optim.LBFGS([mg.Value(1.0)], tol=x).tol,
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_take_scalars_of_numpy_and_no_bool(name):
    if name == "LBFGS":
        pytest.importorskip("scipy")
    assert SETTINGS[name](FLOAT) == 0.25
    for value in (True, TRUE):
        with pytest.raises(TypeError, match=rf"^{name}: .*, a number is wanted$"):
            SETTINGS[name](value)


COUNTED = {
    "Linear": lambda n: mg.Linear(n, 1).in_features,
    "EarlyStopping": lambda n: mg.EarlyStopping(n).patience,
    "checkpoint.every": lambda n: mg.checkpoint.every(n).k,
    "Monitor": lambda n: mg.diagnose.Monitor(None, None, every=n).every,
    "Cosine": lambda n: mg.schedule.Cosine(0.1, n).steps,
    "LBFGS": lambda n: mg.optim.LBFGS([mg.Value(1.0)], max_iter=n).max_iter,
}


@pytest.mark.parametrize("name", COUNTED)
def test_counts_take_integers_of_numpy_and_no_bool(name):
    if name == "LBFGS":
        pytest.importorskip("scipy")
    assert COUNTED[name](np.int16(3)) == 3
    for value in (True, np.True_, 3.0):
        with pytest.raises(TypeError, match=rf"^{name}: .*, an integer is wanted$"):
            COUNTED[name](value)


def test_fit_takes_scalars_of_numpy_and_no_bool():
    net = mg.Network(mg.Linear(2, 2), seed=np.int64(0))
    X, y = np.eye(4, 2), np.arange(4) % 2
    net.fit(X, y, epochs=np.int64(1), batch_size=np.uint8(2), validation=np.float32(0.5),
            clip_norm=np.float32(1), seed=np.int32(0), label_smoothing=np.float16(0.1),
            class_weight={np.int64(1): np.float32(2)}, early_stopping=np.int8(3))  # fmt: skip
    for option in ("epochs", "batch_size", "accumulate", "seed"):
        with pytest.raises(TypeError, match=rf"^Network\.fit: {option} is bool True, an integer"):
            net.fit(X, y, **{option: True})
    for option in ("l1", "l2", "clip_norm", "clip_value", "max_norm", "label_smoothing"):
        with pytest.raises(TypeError, match=rf"^Network\.fit: {option} is bool.* a number is wan"):
            net.fit(X, y, **{option: np.True_} if option == "l1" else {option: True})
    with pytest.raises(TypeError, match=r"^Network\.fit: class_weight\[1\] is bool True, a number"):
        net.fit(X, y, class_weight={1: True})


def test_an_extra_that_is_missing_and_one_that_is_broken(monkeypatch, tmp_path):
    with pytest.raises(ImportError, match=r"^f needs Nothing: pip install 'micrograd-core\[x\]'$"):
        checks.require("f", "Nothing", "no_such_module_at_all.sub", "x")
    (tmp_path / "broken_extra.py").write_text("import another_missing_module")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=r"'micrograd-core\[x\]' \(.*another_missing_module"):
        checks.require("f", "Broken", "broken_extra", "x")
    assert checks.require("f", "math", "math", "x").pi > 3


@pytest.mark.parametrize("kind", ["f", "d"])
def test_arrays_that_begin_between_two_elements_are_copied(kind):
    """The C core may not be handed one: where a processor reads it all the same, C does not."""

    def odd(values):
        array = np.asarray(values)
        moved = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
        moved[...] = array
        assert not moved.flags.aligned and not checks.is_plain(moved)
        return moved

    dtype = np.dtype(kind)
    X, y = odd(np.arange(12.0).astype(dtype).reshape(4, 3)), odd(np.arange(4))
    for given, taken in (
        (X, checks.plain(X, dtype)),
        (X, checks.reals("f", "X", X, dtype)),
        (X, checks.matrix("f", "X", X, 3, dtype, "")),
        (y, checks.labels("f", y, 4, 4)),
    ):
        assert checks.is_plain(taken) and np.array_equal(taken, given)
    whole = np.zeros((4, 3), dtype)
    assert checks.plain(whole, dtype) is whole and checks.is_plain(whole)
    strided = whole[:, ::2]
    assert not checks.is_plain(strided) and checks.is_plain(checks.plain(strided, dtype))


def test_checks_import_no_numpy():
    code = "import sys, micrograd.checks; assert 'numpy' not in sys.modules; " \
           "print(micrograd.checks.describe([1.5]))"  # fmt: skip
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "list [1.5]\n"


def test_counts_and_numbers_beyond_what_the_c_core_holds():
    assert checks.count("f", "n", 2**63 - 1) == 2**63 - 1
    for huge in (2**63, 2**64, 10**400, 10**5000):
        wanted = r"^f: n is (\d+|of 16610 bits), 1 or more and less than 2\*\*63 is wanted$"
        with pytest.raises(ValueError, match=wanted):
            checks.count("f", "n", huge)
    with pytest.raises(ValueError, match=r"^f: x is int 1000*\.\.\., too large for a float$"):
        checks.number("f", "x", 10**400)


HUGE = {
    "set_num_threads": lambda net, n: mg.set_num_threads(n),
    "fit_many": lambda net, n: mg.fit_many([net, net.twin()], *DATA, epochs=1, n_threads=n),
    "Network.fit: batch_size": lambda net, n: net.fit(*DATA, epochs=1, batch_size=n),
    "Network.fit: accumulate": lambda net, n: net.fit(*DATA, epochs=1, accumulate=n),
    "Network: step": lambda net, n: setattr(net, "step", n),
    "clip_grad_norm_": lambda net, n: mg.clip_grad_norm_(net.parameters(), n**17),
    "SGD: lr": lambda net, n: mg.optim.SGD(net.parameters(), lr=n**17),
}
DATA = np.zeros((4, 3)), [0, 1, 0, 1]


@pytest.mark.parametrize("where", HUGE)
@pytest.mark.parametrize("n", [2**63, 2**64, 10**400])
def test_huge_numbers_are_refused_by_name(where, n):
    net, threads = mg.Network(mg.Linear(3, 2), seed=0), mg.get_num_threads()
    with pytest.raises(ValueError, match=f"^{where}"):
        HUGE[where](net, n)
    assert mg.get_num_threads() == threads


def test_more_parameters_than_any_memory_holds():
    with pytest.raises(MemoryError, match=r"^Network: \d+ parameters are more than"):
        mg.Network(mg.Linear(2**31 - 1, 2**31 - 1))


@pytest.mark.parametrize("sizes", [[2**20] * 2, [2**15] * 1025])
def test_2_to_the_40_parameters_are_refused_before_any_is_drawn(sizes, monkeypatch):
    drawn = []
    monkeypatch.setattr(np.random, "default_rng", lambda *_: drawn.append(1))
    layers = [mg.Linear(n, m, bias=False) for n, m in pairwise(sizes)]
    with pytest.raises(MemoryError, match=rf"^Network: .* {2**40} parameters .* {2**43} bytes"):
        mg.Network(*layers, seed=0)
    assert not drawn


def test_2_to_the_40_rows_are_refused_before_they_are_copied():
    net = mg.Network(mg.Linear(3, 2), seed=0)
    before = net.parameters().flat.copy()
    X, y = np.broadcast_to(np.float32(0.5), (2**40, 3)), np.broadcast_to(0, (2**40,))
    for call in (net.predict, net.freeze(), mg.compile(lambda xs: xs[0] * xs[1])):
        with pytest.raises(MemoryError):
            call(X)
    for call in (net.loss, net.evaluate, net.explain, net.fit):
        with pytest.raises(MemoryError):
            call(X, y)
    assert np.array_equal(net.parameters().flat, before)
