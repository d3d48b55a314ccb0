"""What is written can be read, and what was changed on the way is not: names, digests, refusals."""

import json
import os
import struct

import numpy as np
import pytest
from support.bits import same_bits

import micrograd as mg
from micrograd.optim import SGD, Adam
from micrograd.saving.tensors import Tensors

pytest.importorskip("safetensors")


def network(seed=0):
    return mg.Network(mg.Linear(4, 8), mg.Tanh(), mg.Linear(8, 3), seed=seed)


def trained():
    net = network()
    X, y = np.random.default_rng(0).normal(size=(20, 4)), np.arange(20) % 3
    net.fit(X, y, epochs=2, optimizer=Adam(net.parameters(), lr=0.01), seed=0,
            early_stopping=5, progress=False)  # fmt: skip
    net.metadata["classes"] = ["a", "b", "c"]
    return net


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "m"
    trained().save(path)
    return path


# ---- names ----

LABELS = ["p1", "", "0.weight", "optimizer.velocity", "training.best", "__metadata__", "", "p1",
          "parameter.0", "x", "x", "p9"]  # fmt: skip


def test_leaves_of_any_label_are_resumed(tmp_path):
    """A Program's leaves, two of a name, and names that a file has other uses for."""

    def program():
        leaves = [mg.Value(0.1 * i, label) for i, label in enumerate(LABELS)]
        return mg.compile(lambda x, y: (mg.dot(leaves, x) - y) ** 2)

    X, y = np.random.default_rng(0).normal(size=(30, len(LABELS))), np.arange(30.0)
    whole, first, second = program(), program(), program()
    for model, epochs, path in ((whole, 6, None), (first, 3, tmp_path / "r"),
                                (second, 6, tmp_path / "r")):  # fmt: skip
        model.record(X, y)
        model.fit(X, y, epochs=epochs, optimizer=SGD(model.parameters(), 0.01, momentum=0.9),
                  early_stopping=50, resume=path, seed=0, progress=False)  # fmt: skip
    assert same_bits(second.parameters().flat, whole.parameters().flat)


def test_leaves_of_a_network_of_any_label_are_resumed(tmp_path):
    def net():
        slopes = [mg.Value(0.1, label) for label in ("0.weight", "optimizer.velocity", "a", "a")]
        maps = [mg.Map(lambda z, s=s: mg.maximum(z, s * z)) for s in slopes]
        return mg.Network(mg.Linear(4, 3), *maps, seed=0)

    X, y = np.random.default_rng(0).normal(size=(30, 4)), np.arange(30) % 3
    whole, first, second = net(), net(), net()
    for model, epochs, path in ((whole, 6, None), (first, 3, tmp_path / "r"),
                                (second, 6, tmp_path / "r")):  # fmt: skip
        model.fit(X, y, epochs=epochs, resume=path, seed=0, progress=False)
    assert same_bits(second.parameters().flat, whole.parameters().flat)


# ---- refused when it is saved ----


def test_metadata_that_would_not_come_back(tmp_path):
    for metadata, word in (([1], "list"), ("text", "str"), (None, "None"), ({1: "a"}, "key 1"),
                           ({"a": [{"b": {2.5: 1}}]}, "key 2.5")):  # fmt: skip
        net = network()
        net.metadata = metadata
        with pytest.raises(ValueError, match=rf"^Network\.save: metadata .*{word}"):
            net.save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_classes_of_ones_own(tmp_path):
    class Steeper(mg.ReLU):
        pass

    class Mine(SGD):
        pass

    net = mg.Network(mg.Linear(2, 2), Steeper(), mg.Linear(2, 2))
    with pytest.raises(ValueError, match=r"^Network\.save: Steeper is a subclass of ReLU, which"):
        net.save(tmp_path / "m")
    net = network()
    net.optimizer = Mine(net.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=r"^Network\.save: the optimizer Mine is a subclass of SG"):
        net.save(tmp_path / "m")
    with pytest.raises(ValueError, match=r"the optimizer Mine is a subclass of SGD"):
        net.fit(np.ones((3, 4)), [0, 1, 2], optimizer=net.optimizer, resume=tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_a_state_with_an_infinity(tmp_path):
    net = network()
    net.optimizer = Adam(net.parameters(), lr=0.1)
    net.optimizer.state["exp_avg_sq"][5] = np.inf
    with pytest.raises(ValueError, match=r"^Network\.save: the optimizer's exp_avg_sq\[5\] is inf"):
        net.save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_network():
    with pytest.raises(TypeError, match=r"^save: dict \{\} is no Network"):
        mg.save({}, "never")


def test_save_is_a_function_too(tmp_path):
    net = network()
    mg.save(net, tmp_path / "m")
    assert same_bits(mg.load(tmp_path / "m").parameters().flat, net.parameters().flat)


def test_an_optimizer_of_another_version_leaves_the_weights(saved):
    rewrite(saved, lambda text: text["optimizer"].update(kind="Lion"))
    with pytest.warns(UserWarning, match="the optimizer str 'Lion' is unknown; the network is"):
        net = mg.load(saved)
    assert net.optimizer is None and same_bits(net.parameters().flat, trained().parameters().flat)


# ---- changed on the way ----


def parts_of(path):
    raw = path.read_bytes()
    end = 8 + int.from_bytes(raw[:8], "little")
    return json.loads(raw[8:end]), raw[end:]


def join(path, header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def rewrite(path, change):
    """Changes the description, and leaves a file without a digest, as before there was one."""
    header, data = parts_of(path)
    text = json.loads(header["__metadata__"]["micrograd"])
    change(text)
    header["__metadata__"] = {"micrograd": json.dumps(text)}
    join(path, header, data)


def test_no_flipped_bit_loads_as_other_weights(saved):
    whole, net = saved.read_bytes(), mg.load(saved)
    want = [net.parameters().flat.copy(), *net.optimizer.state.values(), net.position.best]
    rng, refused = np.random.default_rng(0), 0
    places = {*map(int, rng.integers(0, len(whole), 300)), *range(len(whole) - 40, len(whole))}
    for place in places:
        raw = bytearray(whole)
        raw[place] ^= 1 << int(rng.integers(8))
        saved.write_bytes(raw)
        try:
            found = mg.load(saved)
        except ValueError as error:
            refused += 1
            assert str(saved) in str(error) and "\n" not in str(error)
        else:  # only what says nothing can be another: white space, the name of the digest
            same = [found.parameters().flat, *found.optimizer.state.values(), found.position.best]
            assert all(map(same_bits, same, want)) and found.layers == net.layers
    assert refused > 0.9 * len(places)


def test_a_file_without_a_digest_is_one_of_before(saved):
    rewrite(saved, lambda text: None)
    assert same_bits(mg.load(saved).parameters().flat, trained().parameters().flat)


@pytest.mark.parametrize("where", ["tensor", "description", "header"])
def test_a_name_that_comes_twice(saved, where):
    header, data = parts_of(saved)
    if where == "description":
        text = header["__metadata__"]["micrograd"]
        header["__metadata__"] = {"micrograd": text.replace("{", '{"seed": 5, ', 1)}
        raw = json.dumps(header).encode()
    elif where == "tensor":
        raw = json.dumps(header).encode()
        name = b'"0.bias": '
        again = name + json.dumps(header["0.bias"]).encode() + b", "
        raw = raw.replace(name, again + name, 1)
    else:
        raw = json.dumps(header).encode()
        raw = raw.replace(b'{"__metadata__": {', b'{"__metadata__": {"micrograd": "{}", ', 1)
    join(saved, raw, data)
    with pytest.raises(ValueError, match=r"its description has '.*' twice"):
        mg.load(saved)


# ---- another process writes the file meanwhile ----


@pytest.fixture
def large(tmp_path):
    """A file that no buffer holds whole, and its parameters."""
    path = tmp_path / "large"
    net = mg.Network(mg.Linear(90, 200), mg.ReLU(), mg.Linear(200, 90), seed=2)
    net.save(path)
    return path, net.parameters().flat


def before_each_tensor(monkeypatch, what):
    read = Tensors.read

    def after_that(self, name):
        what()
        return read(self, name)

    monkeypatch.setattr(Tensors, "read", after_that)


@pytest.mark.parametrize("part", [0.0, 0.2, 0.6, 0.999])
def test_a_file_that_is_cut_short_while_it_is_read(large, part, monkeypatch):
    """A file that is mapped into memory would end this process."""
    path, _ = large
    size = int(part * path.stat().st_size)
    before_each_tensor(monkeypatch, lambda: os.truncate(path, size))
    with pytest.raises(
        ValueError, match=r"large: it is damaged .*: it became shorter while it was"
    ):
        mg.load(path)


def test_a_file_that_is_replaced_while_it_is_read_is_the_old_one(large, monkeypatch):
    path, wanted = large

    def replace():
        other = path.with_name("other")
        other.write_bytes(b"\xff" * path.stat().st_size)
        os.replace(other, path)

    before_each_tensor(monkeypatch, replace)
    assert same_bits(mg.load(path).parameters().flat, wanted)
