"""Model files: whatever is in one, `load` gives a network that works or raises ValueError."""

import copy
import json
import struct
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np

import micrograd as mg
from fuzz.numbers import Numbers

WILD = [
    None, True, False, 0, -1, 1, 2**31 - 1, 2**31, 2**40, 2**63, 2**64, -(2**63), 1e308, -0.5,
    1e-320, "", "relu", "Linear", "he", "adam", "SGD", "F32", "F64", "I64", "\x00", "ü" * 9, [], {},
    [0],
    [1, 2], [2**40, 2**40], {"kind": "Linear"}, {"kind": []}, [[[[[[]]]]]], "9" * 400,
]  # fmt: skip


@lru_cache
def bases():
    """Some model files: (header, bytes of the tensors)."""
    X = np.linspace(-1, 1, 24).reshape(8, 3)
    nets = [
        mg.Network(mg.Linear(3, 2), seed=0),
        mg.Network(
            mg.Linear(3, 4), mg.ReLU(), mg.Residual(mg.Linear(4, 4), mg.Tanh()),
            mg.Highway(mg.Linear(4, 4), mg.Dropout(0.2)), mg.DenseBlock(mg.Linear(4, 1), mg.GELU()),
            mg.Linear(5, 2), loss="mse", dtype="float64", seed=1, checkpoint="sqrt",
        ),
    ]  # fmt: skip
    net = mg.Network(mg.Linear(3, 2), mg.LeakyReLU(0.1), mg.Linear(2, 2), loss="mse", seed=2)
    adam = mg.optim.Adam(net.parameters(), lr=mg.schedule.Cosine(0.01, 100))
    net.fit(X, X[:, :2], epochs=2, batch_size=4, optimizer=adam, validation=0.25, seed=0)
    files = []
    with tempfile.TemporaryDirectory() as folder:
        for each in (*nets, net):
            each.save(Path(folder, "m"))
            content = Path(folder, "m").read_bytes()
            (size,) = struct.unpack("<Q", content[:8])
            files.append((json.loads(content[8 : 8 + size]), content[8 + size :]))
    return files


def places(node, path=()):
    """The paths of all parts of a JSON value."""
    yield path
    items = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, value in items:
        yield from places(value, (*path, key))


def edit(root, numbers):
    """Changes one part: another value, one more, gone, a copy of another part, a renamed key."""
    path = numbers.choice(list(places(root)))
    if not path:
        return
    parent = root
    for key in path[:-1]:
        parent = parent[key]
    key, kind = path[-1], numbers.below(5)
    if kind == 0:
        del parent[key]
    elif kind == 1:
        parent[key] = copy.deepcopy(numbers.choice(WILD))
    elif kind == 2 and isinstance(parent[key], (int, float)):
        parent[key] += numbers.choice([1, -1, 0.5, 2**33])
    elif kind == 3:
        other = root
        for step in numbers.choice(list(places(root))):
            other = other[step]
        parent[key] = copy.deepcopy(other)
    elif isinstance(parent, dict):
        parent[str(numbers.choice(WILD))] = parent.pop(key)


def content(data):
    """A damaged model file."""
    numbers = Numbers(data)
    header, tensors = copy.deepcopy(numbers.choice(bases()))
    kind = numbers.below(4)
    if kind == 3:  # bytes of the whole file
        head = json.dumps(header).encode()
        whole = bytearray(struct.pack("<Q", len(head)) + head + tensors)
        for _ in range(1 + numbers.below(6)):
            whole[numbers.below(len(whole))] = numbers.byte()
        return bytes(whole[: len(whole) - numbers.below(len(whole)) * (numbers.below(4) == 1)])
    text = json.loads(header["__metadata__"]["micrograd"])
    for _ in range(1 + numbers.below(4)):
        edit(text if kind < 2 else header, numbers)
    if kind < 2:
        header["__metadata__"]["micrograd"] = json.dumps(text)
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + tensors


def check(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "m.safetensors")
        path.write_bytes(content(data))
        try:
            net = mg.load(path)
        except ValueError as error:
            assert str(path) in str(error), error
            return
        assert np.isfinite(net.parameters().flat).all()
        out = net.predict(np.zeros((2, net.in_features)))
        assert out.shape == (2, net.out_features)
        net.save(path)
        again = mg.load(path)
        assert np.array_equal(again.parameters().flat, net.parameters().flat)
        repr(net)
        X, y = np.zeros((4, net.in_features)), np.zeros((4, net.out_features))
        if net.loss_name != "cross_entropy":
            with suppress(ValueError, ArithmeticError):
                net.fit(X, y, epochs=1, resume=path)
