"""Model files: what is in them, how they are written, what comes back."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.bits import same_bits
from support.saved import RNG, X, Y, network, trained

import micrograd as mg
from micrograd import atomic
from micrograd.network import Layer
from micrograd.optim import SGD
from micrograd.saving import parts

safetensors = pytest.importorskip("safetensors")
from safetensors.numpy import load_file, save_file  # noqa: E402


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture
def saved(path):
    trained().save(path)
    return path


# ---- what comes back ----


@pytest.mark.parametrize("loss", ["cross_entropy", "mse", "bce", "mae", "huber"])
def test_round_trip(path, loss, dtype):
    net = network(loss=loss, dtype=dtype)
    net.save(path)
    back = mg.load(path)
    assert back.layers == net.layers and repr(back) == repr(net)
    assert (back.dtype, back.loss_name, back.seed) == (dtype, loss, 3)
    assert same_bits(back.parameters().flat, net.parameters().flat)
    assert [p.name for p in back.parameters()] == [p.name for p in net.parameters()]
    assert same_bits(back.predict(X), net.predict(X))
    assert back.optimizer is back.position is None and back.metadata == {}


def test_training_goes_on_from_a_file_as_if_there_were_none(path, dtype):
    net = trained(dtype=dtype)
    net.save(path)
    back = mg.load(path)
    assert back.metadata == net.metadata
    assert back.optimizer.steps == 2 and repr(back.optimizer) == repr(net.optimizer)
    for each in (net, back):
        each.fit(X, Y, epochs=3, optimizer=each.optimizer, seed=1, progress=False)
    assert same_bits(back.parameters().flat, net.parameters().flat)
    assert same_bits(
        back.optimizer.state_dict()["velocity"], net.optimizer.state_dict()["velocity"]
    )


def test_the_file_is_plain_safetensors(saved):
    """Read by the package, and its header by hand as the format's description has it."""
    net = mg.load(saved)
    arrays = load_file(saved)
    assert set(arrays) == {p.name for p in net.parameters()} | {"optimizer.velocity"}
    for p in net.parameters():
        assert same_bits(arrays[p.name], p.data)
    raw = saved.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    text = json.loads(header["__metadata__"]["micrograd"])
    assert text["layers"][1] == {"kind": "LeakyReLU", "negative_slope": 0.2}
    assert (text["loss"], text["dtype"], text["seed"]) == ("cross_entropy", "float32", 3)
    assert text["optimizer"] == {
        "kind": "SGD", "lr": 0.1, "momentum": 0.9, "nesterov": False, "weight_decay": 0.0,
        "dampening": 0.0, "maximize": False,
    }  # fmt: skip
    assert text["metadata"] == {"scaling": [1.5, 2.0], "é": "ü"}


def test_a_learning_rate_that_is_a_function(path):
    """It cannot be in the file; the optimizer says so when it is used, and can be given another."""
    net = network()
    net.optimizer = SGD(net.parameters(), lr=lambda step: 0.1 / (1 + step))
    net.fit(X, Y, epochs=1, optimizer=net.optimizer, progress=False)
    net.save(path)
    back = mg.load(path)
    assert back.optimizer.steps == 1
    with pytest.raises(RuntimeError, match=r"function .*lambda.*set optimizer\.lr"):
        back.fit(X, Y, optimizer=back.optimizer, progress=False)
    assert same_bits(back.parameters().flat, net.parameters().flat)
    back.save(path)  # and once more
    back = mg.load(path)
    back.optimizer.lr = 0.1
    back.fit(X, Y, epochs=1, optimizer=back.optimizer, progress=False)


@pytest.mark.parametrize(
    "checkpoint",
    [None, "sqrt", mg.checkpoint.every(2), mg.checkpoint.binomial(2), mg.checkpoint.budget(10**6)],
)
def test_blocks_dropout_and_checkpoints(path, checkpoint):
    net = mg.Network(
        mg.Linear(4, 8), mg.ReLU(),
        mg.Residual(mg.Linear(8, 8), mg.ReLU(), mg.Highway(mg.Linear(8, 8), mg.Tanh())),
        mg.Dropout(0.3), mg.DenseBlock(mg.Linear(8, 3), mg.ReLU(), mg.Linear(11, 2)),
        mg.Residual(mg.Linear(13, 3), projection=True), seed=0, checkpoint=checkpoint,
    )  # fmt: skip
    for _ in range(3):
        net.loss(X, Y)
    net.save(path)
    back = mg.load(path)
    assert back.layers == net.layers and back.checkpoint == net.checkpoint
    assert back.step == net.step == 3
    for each in (net, back):  # the masks go on where they were
        each.zero_grad()
        each.loss(X, Y)
        each.backward()
    assert same_bits(net.parameters().flat_grad, back.parameters().flat_grad)


LEAVES = st.sampled_from(
    [mg.ReLU(), mg.Sigmoid(), mg.Tanh(), mg.GELU(), mg.ELU(0.5), mg.SiLU(),
     mg.Identity(), mg.Softmax(), mg.Dropout(0.25),
     mg.LeakyReLU(0.3), mg.Linear(4, 4), mg.Linear(4, 4, bias=False, init="xavier")]
)  # fmt: skip
TREES = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda kind, layers: kind(mg.Linear(4, 4), *layers),
        st.sampled_from([mg.Residual, lambda *x: mg.Highway(*x, gate_bias=-2.5)]),
        st.lists(inner, max_size=3),
    ),
    max_leaves=12,
)


@given(TREES)
def test_any_layers_survive_json(layer):
    data = json.loads(json.dumps(parts.encode(layer)))
    assert parts.decode(data, parts.LAYERS) == layer


def test_blocks_survive_json():
    for block in (
        mg.DenseBlock(mg.Linear(4, 2), mg.ReLU(), mg.Linear(6, 3)),
        mg.Residual(mg.Linear(8, 4), mg.Residual(mg.Linear(4, 4)), projection=True),
        mg.Highway(mg.Linear(4, 4), gate_bias=-3.0),
    ):
        assert parts.decode(parts.encode(block), parts.LAYERS) == block


def test_every_layer_can_be_saved_or_says_why():
    """A layer that is new in mg. and missing in the registry is found here."""
    public = {getattr(mg, name) for name in mg.__all__}
    layers = {x for x in public if isinstance(x, type) and issubclass(x, Layer)}
    assert layers == set(parts.LAYERS.values())


# ---- writing ----


def test_the_old_file_stays_when_the_new_one_cannot_be_written(saved, monkeypatch):
    before = saved.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        network().save(saved)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]  # nothing lies about


def test_it_is_flushed_before_it_is_renamed(path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: calls.append("fsync") or fsync(fd))
    monkeypatch.setattr(os, "replace", lambda a, b: calls.append("rename") or replace(a, b))
    network().save(path)
    assert calls == ["fsync", "rename", "fsync"]


def test_a_link_and_permissions_stay(tmp_path, path):
    network().save(path)
    path.chmod(0o640)
    link = tmp_path / "latest"
    link.symlink_to(path)
    trained().save(link)
    assert link.is_symlink() and mg.load(path).metadata
    assert path.stat().st_mode & 0o777 == 0o640


def test_where_it_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        network().save(tmp_path / "nowhere" / "m.safetensors")
    with pytest.raises(IsADirectoryError):
        network().save(tmp_path)


def test_a_network_that_is_not_finite_is_not_saved(saved):
    before, net = saved.read_bytes(), network()
    net.parameters()[2].data[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"Network\.save: 2\.weight\[3, 1\] is nan"):
        net.save(saved)
    assert saved.read_bytes() == before


def test_metadata_that_json_does_not_have(path):
    net = network()
    net.metadata = {"when": object()}
    with pytest.raises(ValueError, match=r"Network\.save: metadata"):
        net.save(path)
    assert not path.exists()


@pytest.mark.parametrize("loss", [mg.Quantile([0.1, 0.5, 0.9]), mg.Poisson()], ids=str)
def test_losses_that_are_called_are_saved(path, loss):
    net = mg.Network(mg.Linear(4, 3), loss=loss, dtype="float64", seed=0)
    y = RNG.integers(0, 5, 40).astype(float)
    y = y if isinstance(loss, mg.Quantile) else np.column_stack([y, y + 1, y + 2])
    net.fit(X, y, epochs=2, seed=0, progress=False)
    net.save(path)
    back = mg.load(path)
    assert back.loss_kind.function == loss
    assert back.evaluate(X, y) == net.evaluate(X, y)
    history = back.fit(X, y, epochs=1, seed=1, resume=None, progress=False)
    assert history.loss == net.fit(X, y, epochs=1, seed=1, progress=False).loss


def test_a_loss_of_ones_own_is_not_taken_for_the_named_one(path):
    def mse(z, y):
        return (z - y) ** 4

    net = mg.Network(mg.Linear(4, 1), loss=mse, dtype="float64", seed=0)
    assert net.loss_name == "function mse"
    with pytest.raises(ValueError, match="the loss function mse is a function"):
        net.save(path)
    assert not path.exists()


@pytest.mark.parametrize(
    "loss", [{"kind": "Linear", "in_features": 1, "out_features": 1}, {"kind": "eval"}, 5, None,
             {"kind": "Quantile", "levels": [2.0]}, {"kind": "Poisson", "levels": 1}],
    ids=str,
)  # fmt: skip
def test_losses_that_no_file_may_name(path, loss):
    network().save(path)
    with safetensors.safe_open(path, framework="np") as file:
        text = json.loads(file.metadata()["micrograd"])
    save_file(load_file(path), path, metadata={"micrograd": json.dumps(text | {"loss": loss})})
    with pytest.raises(ValueError, match="load: "):
        mg.load(path)


def test_functions_are_not_saved(path):
    mapped = mg.Network(mg.Linear(4, 3), mg.Map(lambda v: v * v.sigmoid()), seed=0)
    with pytest.raises(ValueError, match=r"^Network\.save: Map: f is function .*no code"):
        mapped.save(path)
    own = mg.Network(mg.Linear(4, 1), loss=lambda z, y: (z - y) ** 2, seed=0)
    with pytest.raises(ValueError, match=r"^Network\.save: the loss .* is a function"):
        own.save(path)
    assert not path.exists()


def test_without_the_package(path):
    code = (
        "import sys; sys.modules['safetensors'] = None\n"
        "import importlib.util; importlib.util.find_spec = lambda *a: None\n"
        "import micrograd as mg\n"
        "net = mg.Network(mg.Linear(1, 1))\n"
        f"for f in (net.save, mg.load):\n"
        f"    try: f({str(path)!r})\n"
        "    except ImportError as error: print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [
        f"{where} needs safetensors: pip install 'micrograd-core[save]'"
        for where in ("Network.save", "load")
    ]


def test_the_folder_is_flushed_too(path, monkeypatch):
    flushed = []
    flush = atomic._flush_folder
    monkeypatch.setattr(atomic, "_flush_folder", lambda p, t: flushed.append(p) or flush(p, t))
    network().save(path)
    assert flushed == [str(path.parent)]
