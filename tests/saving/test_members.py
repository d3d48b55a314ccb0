"""Several networks in one file: all come back, and nobody takes one of them for the model."""

import json

import numpy as np
import pytest
from support.bits import same_bits

import micrograd as mg
from micrograd.saving import load_members, save_members

safetensors = pytest.importorskip("safetensors")
from safetensors.numpy import load_file, save_file  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)
Y = RNG.integers(0, 2, 40)


def networks(count, dtype="float32"):
    nets = [
        mg.Network(mg.Linear(3, 5), mg.Tanh(), mg.Linear(5, 2), dtype=dtype, seed=i)
        for i in range(count)
    ]
    for net in nets:
        net.fit(X, Y, epochs=2, seed=0)
    nets[0].metadata["schema"] = {"columns": ["a", "b"]}
    return nets


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_all_come_back(tmp_path, count, dtype):
    nets = networks(count, dtype)
    save_members(nets, tmp_path / "m")
    found = load_members(tmp_path / "m")
    assert len(found) == count
    for net, own in zip(found, nets, strict=True):
        assert net.layers == own.layers and net.dtype == dtype
        assert net.metadata == nets[0].metadata
        assert same_bits(net.predict(X), own.predict(X))
    save_members(nets, tmp_path / "again")
    assert (tmp_path / "m").read_bytes() == (tmp_path / "again").read_bytes()


def test_a_file_of_one_network_is_read_as_one_member(tmp_path):
    (net,) = networks(1)
    net.save(tmp_path / "m")
    (found,) = load_members(tmp_path / "m")
    assert same_bits(found.predict(X), net.predict(X))


def test_one_of_several_is_never_taken_for_the_model(tmp_path):
    nets = networks(3)
    save_members(nets, tmp_path / "m")
    with pytest.raises(ValueError, match=r"m: it holds 3 networks, .*load_members gives them all"):
        mg.load(tmp_path / "m")
    before = (tmp_path / "m").read_bytes()
    with pytest.raises(ValueError, match="it holds 3 networks, training goes on with one"):
        nets[0].fit(X, Y, epochs=3, seed=0, resume=tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == before


def test_what_cannot_be_one_model_is_not_written(tmp_path):
    nets = networks(2)
    with pytest.raises(ValueError, match="network 1 has other layers"):
        save_members([nets[0], mg.Network(mg.Linear(3, 2), seed=0)], tmp_path / "m")
    with pytest.raises(ValueError, match="one Network or more is wanted"):
        save_members([], tmp_path / "m")
    nets[1].parameters().flat[4] = np.nan
    with pytest.raises(ValueError, match=r"member\.1\[4\] is nan"):
        save_members(nets, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def changed(path, change):
    """The file with another description or other tensors, and the digest left out."""
    with safetensors.safe_open(path, framework="np") as file:
        text = json.loads(file.metadata()["micrograd"])
    tensors = load_file(path)
    change(text, tensors)
    save_file(tensors, path, metadata={"micrograd": json.dumps(text)})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text, _: text.update(members=2), "'member.2' belongs to no parameter"),
        (lambda text, _: text.pop("members"), "'member.1' belongs to no parameter"),
        (lambda text, _: text.update(members=10**9), "members is int 1000000000, 1 to 1000"),
        (lambda text, _: text.update(members=True), "members is bool True"),
        (lambda text, _: text.update(members=0), "members is int 0"),
        (lambda _, tensors: tensors.pop("member.2"), "the tensor 'member.2' of 3 is missing"),
        (
            lambda _, tensors: tensors.update({"member.2": np.zeros(3, np.float32)}),
            r"the tensor 'member.2' is F32 with shape \(3,\)",
        ),
        (
            lambda _, tensors: tensors["member.1"].__setitem__(0, np.inf),
            r"damaged: member\.1\[0\] is inf",
        ),
    ],
)
def test_a_file_that_is_not_trusted(tmp_path, change, complaint):
    save_members(networks(3), tmp_path / "m")
    changed(tmp_path / "m", change)
    with pytest.raises(ValueError, match=complaint):
        load_members(tmp_path / "m")


def test_a_bit_of_a_member_that_flips_is_told(tmp_path):
    save_members(networks(3), tmp_path / "m")
    content = bytearray((tmp_path / "m").read_bytes())
    content[-400] ^= 1
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        load_members(tmp_path / "m")
