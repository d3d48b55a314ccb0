"""The header of a model file: a name that stands twice and a flood of tensors are refused."""

import json
import struct

import pytest

pytest.importorskip("safetensors")

import micrograd as mg
from micrograd.saving.header import MOST_TENSORS, MOST_TEXTS


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "m.safetensors"
    mg.Network(mg.Linear(3, 2), seed=0).save(path)
    return path


def parts_of(path):
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    return content[8 : 8 + size].decode(), content[8 + size :]


def write(path, header, tensors):
    path.write_bytes(struct.pack("<Q", len(header.encode())) + header.encode() + tensors)


def test_a_tensor_that_stands_twice(saved):
    header, tensors = parts_of(saved)
    again = json.dumps(json.loads(header)["0.bias"])
    write(saved, f'{header.rstrip()[:-1]}, "0.bias": {again}}}', tensors)
    with pytest.raises(ValueError, match=r"m\.safetensors: its description has '0.bias' twice"):
        mg.load(saved)


def test_a_setting_that_stands_twice(saved):
    header, tensors = parts_of(saved)
    header = json.loads(header)
    text = header["__metadata__"]["micrograd"]
    header["__metadata__"]["micrograd"] = f'{text[:-1]}, "seed": 7}}'
    write(saved, json.dumps(header), tensors)
    with pytest.raises(ValueError, match="its description has 'seed' twice"):
        mg.load(saved)
    net = mg.Network(mg.Linear(3, 2), seed=0)
    with pytest.raises(ValueError, match="its description has 'seed' twice"):
        net.fit([[1, 2, 3]], [0], epochs=1, resume=saved)


@pytest.mark.parametrize("border", [4, 12])
def test_a_tensor_whose_bytes_are_not_those_of_its_shape(saved, border):
    """They follow one another and fill the file, and each shape is the architecture's."""
    header, tensors = parts_of(saved)
    header = json.loads(header)
    del header["__metadata__"]["digest"]
    header["0.bias"]["data_offsets"][1] = header["0.weight"]["data_offsets"][0] = border
    write(saved, json.dumps(header), tensors)
    with pytest.raises(ValueError, match=r"'0\.bias' has \d+ bytes, its shape \(2,\) wants others"):
        mg.load(saved)


def test_hundreds_of_thousands_of_tensors(saved):
    header, tensors = parts_of(saved)
    header, end = json.loads(header), len(tensors)
    for i in range(300_000):
        header[f"t{i}"] = {"dtype": "F32", "shape": [0], "data_offsets": [end, end]}
    write(saved, json.dumps(header), tensors)
    with pytest.raises(ValueError, match=f"300002 tensors, {MOST_TENSORS} is the most"):
        mg.load(saved)


def test_tensors_whose_keys_are_written_in_escapes(saved, monkeypatch):
    """Refused all the same before the header is parsed, which takes seconds."""
    header, tensors = parts_of(saved)
    header, end = json.loads(header), len(tensors)
    for i in range(300_000):
        header[f"t{i}"] = {"dtype": "F32", "shape": [0], "data_offsets": [end, end]}
    text = json.dumps(header).replace('"data_offsets"', r'"data\u005foffsets"')
    write(saved, text, tensors)
    monkeypatch.setattr("micrograd.saving.header.parsed", None)
    with pytest.raises(ValueError, match=f"150001. names and texts, {MOST_TEXTS} is the most"):
        mg.load(saved)


def test_a_header_that_claims_to_be_huge(saved, tmp_path):
    with open(saved, "r+b") as file:
        file.write(struct.pack("<Q", 1 << 40))
    with pytest.raises(ValueError, match="damaged"):
        mg.load(saved)
    with open(saved, "r+b") as file:  # a sparse file, which is as long as it says
        file.write(struct.pack("<Q", 1 << 33))
        file.truncate((1 << 33) + 8)
    with pytest.raises(ValueError, match="its header has 8589934592 bytes"):
        mg.load(saved)


def test_what_a_file_could_not_say_apart_is_not_written(tmp_path):
    net = mg.Network(mg.Linear(3, 2), seed=0)
    net.metadata = {1: "one", "1": "another"}
    with pytest.raises(ValueError, match="metadata has the key 1"):
        net.save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_the_same_network_gives_the_same_bytes(tmp_path):
    net = mg.Network(mg.Linear(3, 2), seed=0)
    contents = set()
    for _ in range(12):
        net.save(tmp_path / "m")
        contents.add((tmp_path / "m").read_bytes())
    assert len(contents) == 1
