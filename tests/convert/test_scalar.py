"""Functions of a Value as C99, ONNX nodes and PyTorch: every op, against the compiled function."""

import math
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.c_compiler import COMPILER, compile_c
from support.programs import on_values, programs, run

import micrograd as mg
from micrograd.convert.c.scalar import c_function
from micrograd.convert.c.source import FUNCTIONS, NEEDS
from micrograd.convert.scalar_function import scalar_function
from micrograd.engine import rules

SLOPE = mg.Value(0.3)  # a leaf that takes a gradient
BELOW = mg.Value(-0.5, requires_grad=False)
EXAMPLES = {
    "add": lambda x: x + 0.1,
    "sub": lambda x: 1 - x,
    "mul": lambda x: x * SLOPE,
    "div": lambda x: 1 / x,
    "pow": lambda x: (x * x + 0.5) ** 1.5,
    "pow of a negative number": lambda x: x**3.5,
    "2 to the x": lambda x: mg.Value(2.0, requires_grad=False) ** x,
    "maximum": lambda x: mg.maximum(x, 0.25),
    "minimum": lambda x: mg.minimum(BELOW, x),
    "leaky_relu": lambda x: x.leaky_relu(SLOPE),
    "neg": lambda x: -x,
    "abs": abs,
    "exp": lambda x: x.exp(),
    "log": lambda x: x.log(),
    "sqrt": lambda x: x.sqrt(),
    "sin": lambda x: x.sin(),
    "cos": lambda x: x.cos(),
    "tanh": lambda x: x.tanh(),
    "sigmoid": lambda x: x.sigmoid(),
    "relu": lambda x: x.relu(),
    "softplus": lambda x: x.softplus(),
    "gelu": lambda x: x.gelu(),
    "erfc": lambda x: mg.grad(x.gelu(), x, create_graph=True)[0],
    "dot": lambda x: mg.dot([x, 0.2, 3.0], [x, x, BELOW], SLOPE),
    "sum": lambda x: mg.sum([x, 0.3, x * x, x]),
    "where": lambda x: mg.where(x < -0.5, x, 2.0),
    "where of a number": lambda x: mg.where(x.relu(), x, 2.0),
    "less": lambda x: mg.where(x > 0.5, x.sin(), x.cos()) * mg.where(x > 0.5, 2.0, x),
    "less_equal": lambda x: mg.where(x >= 0.5, x, -x),
    "detach": lambda x: x.exp().detach() * x,
    "a constant": lambda x: mg.Value(4.0, requires_grad=False) * 2.0,
    "itself": lambda x: x,
    "no number": lambda x: x + math.nan,
    "log1p": lambda x: x.log1p() + (x * 1e-6).log1p() * 1e6,
    "expm1": lambda x: (x * 0.1).expm1() + (x * 1e-6).expm1() * 1e6,
    "log2": lambda x: x.log2(),
    "log10": lambda x: x.log10(),
    "tan": lambda x: (x * 0.01).tan(),
    "asin": lambda x: x.asin(),
    "acos": lambda x: x.acos(),
    "atan": lambda x: x.atan(),
    "sinh": lambda x: (x * 0.1).sinh(),
    "cosh": lambda x: (x * 0.1).cosh(),
    "asinh": lambda x: x.asinh(),
    "acosh": lambda x: x.acosh(),
    "atanh": lambda x: (x * 0.5).atanh(),
    "cbrt": lambda x: x.cbrt(),
    "erf": lambda x: x.erf(),
    "lgamma": lambda x: x.lgamma(),
    "digamma": lambda x: x.digamma(),
    "sign": lambda x: x.sign(),
    "floor": lambda x: x.floor(),
    "ceil": lambda x: x.ceil(),
    "round": lambda x: x.round(),
    "hypot": lambda x: x.hypot(SLOPE) + x.hypot(0.0),
    "atan2": lambda x: x.atan2(SLOPE) + x.atan2(-0.5) + BELOW.atan2(x),
    "clamp": lambda x: x.clamp(-0.5, SLOPE) + x.clamp(max=1.0) + x.clamp(2.0, 1.0),
    "swish": lambda x: x * x.sigmoid(),
    "mish": lambda x: x * x.softplus().tanh(),
    "hard swish": lambda x: x * mg.minimum(mg.maximum(x + 3, 0), 6) / 6,
    "snake": lambda x: x + (x * 2).sin() ** 2 / 2,
}
X = np.array([-100, -20.5, -3, -1, -0.5, -0.25, -0.0, 0, 0.1, 0.25, 0.5, 1, 2.5, 3, 20.5, 100])


def recorded(f):
    return scalar_function(f, [SLOPE], [SLOPE.data])


def ops_of(name):
    return {op for op, _, _ in recorded(EXAMPLES[name]).ops}


def expected(name, dtype):
    with np.errstate(over="ignore"):
        return mg.compile(EXAMPLES[name])(X.astype(np.float64)).astype(dtype)


def assert_near(got, want, tolerance):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape and got.dtype == want.dtype
    odd = ~np.isfinite(want)
    assert np.array_equal(got[odd], want[odd], equal_nan=True)
    assert (np.abs(got[~odd] - want[~odd]) <= tolerance * np.maximum(1, np.abs(want[~odd]))).all()


def test_the_examples_have_every_op():
    """An op that is added to `rules` has to be added to each target."""
    seen = set().union(*map(ops_of, EXAMPLES))
    assert {*rules.RULES, "less", "less_equal", "detach", "input", "constant"} - seen == {
        "polygamma"
    }


def test_what_a_target_lacks_is_refused_with_its_name():
    order_one = recorded(lambda x: x.polygamma(1))
    with pytest.raises(ValueError, match="to_c: an activation uses polygamma"):
        c_function("f", order_one, str)
    onnx = pytest.importorskip("onnx")
    from micrograd.convert.onnx.network import Builder
    from micrograd.convert.onnx.scalar import write_function

    with pytest.raises(ValueError, match="to_onnx: an activation uses polygamma"):
        write_function(Builder(onnx, mg.Network(mg.Linear(1, 1)), None), "f", order_one, "X")
    torch = pytest.importorskip("torch")
    from micrograd.convert.torch.scalar import Map

    x = torch.tensor([0.5, 3.0])
    assert torch.equal(Map(order_one, "f")(x), torch.polygamma(1, x))


@pytest.mark.skipif(COMPILER is None, reason="no C compiler")
def test_c(tmp_path):
    needed, functions = {}, []

    def use(name):
        for other in NEEDS.get(name, ()):
            use(other)
        needed[name] = FUNCTIONS[name].replace("@", "net")
        return f"net_{name}"

    for i, name in enumerate(EXAMPLES):
        functions.append(c_function(f"f{i}", recorded(EXAMPLES[name]), use))
    calls = "\n".join(f"y = f{i}(x); fwrite(&y, 4, 1, stdout);" for i in range(len(EXAMPLES)))
    source = tmp_path / "functions.c"
    source.write_text(
        "#include <math.h>\n#include <stddef.h>\n#include <stdio.h>\n"
        + "\n".join([*needed.values(), *functions])
        + "int main(void)\n{\n    float x, y;\n    while (fread(&x, 4, 1, stdin) == 1) {\n"
        + f"{calls}\n    }}\n    return 0;\n}}\n"
    )
    program = compile_c(source)
    stdin = X.astype(np.float32).tobytes()
    done = subprocess.run([program], input=stdin, capture_output=True, check=True)
    got = np.frombuffer(done.stdout, np.float32).reshape(len(X), len(EXAMPLES))
    for i, name in enumerate(EXAMPLES):
        if name in ("sin", "cos", "snake", "less"):  # float32's x of 20.5 and 100 is exact, 0.1 not
            assert_near(got[:, i], expected(name, np.float32), 1e-5)
        else:
            assert_near(got[:, i], expected(name, np.float32), 2e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch(dtype):
    torch = pytest.importorskip("torch")
    from micrograd.convert.torch.scalar import Map

    x = torch.from_numpy(X.astype(dtype))
    for name, f in EXAMPLES.items():
        got = Map(recorded(f), name)(x).numpy()
        assert_near(got, expected(name, dtype), 1e-13 if dtype == "float64" else 5e-6)


@settings(deadline=None, max_examples=100)
@given(programs(), st.integers(0, 9))
def test_torch_on_random_programs_and_their_gradients(program, seed):
    torch = pytest.importorskip("torch")
    from micrograd.convert.torch.scalar import Map

    steps, numbers = program
    constants = [mg.Value(c, requires_grad=False) for c in numbers[1:]]

    def f(x):
        return run(steps, [x, *constants], on_values)[-1]

    x = np.random.default_rng(seed).normal(size=5)
    tensor = torch.from_numpy(x).requires_grad_()
    out = Map(recorded(f), "f")(tensor)
    want = mg.compile(f)(x)
    assert out.detach().numpy() == pytest.approx(want, rel=1e-9, abs=1e-9, nan_ok=True)
    if np.isfinite(want).all() and out.requires_grad:
        out.sum().backward()
        slopes = [float(mg.func.grad(f)(each)) for each in x.tolist()]
        assert tensor.grad.numpy() == pytest.approx(slopes, rel=1e-6, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_onnx(dtype):
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    from onnx.reference import ReferenceEvaluator

    from micrograd.convert.onnx.network import IR_VERSION, OPSET, Builder
    from micrograd.convert.onnx.scalar import FLOAT32_ALONE, write_function

    helper = onnx.helper
    to = Builder(onnx, mg.Network(mg.Linear(1, 1), dtype=dtype), None)
    ends = []
    for i, f in enumerate(EXAMPLES.values()):
        out = write_function(to, f"{i}", recorded(f), "X")
        to.node("Identity", [out], f"out{i}")
        ends.append(helper.make_tensor_value_info(f"out{i}", to.element, ["batch", 1]))
    start = helper.make_tensor_value_info("X", to.element, ["batch", 1])
    graph = helper.make_graph(to.nodes, "all", [start], ends, list(to.initializers.values()))
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    feed = {"X": X.astype(dtype)[:, None]}
    session = runtime.InferenceSession(model.SerializeToString())
    reference = ReferenceEvaluator(model)
    with np.errstate(all="ignore"):
        results = session.run(None, feed), reference.run(None, feed)
    rounded = {"gelu", "erfc", "erf", "atan2", *FLOAT32_ALONE}  # to float32 inside
    for outputs in results:
        for name, got in zip(EXAMPLES, outputs, strict=True):
            exact = dtype == "float64" and not ops_of(name) & rounded
            assert_near(got[:, 0], expected(name, dtype), 1e-12 if exact else 1e-5)


def test_leaves_have_other_values_or_stay_parameters():
    f = EXAMPLES["mul"]
    assert ("constant", (), 7.0) in scalar_function(f, [mg.Value(1), SLOPE], [0.0, 7.0]).ops
    assert ("parameter", (1,), 0.0) in scalar_function(f, [mg.Value(1), SLOPE]).ops
