"""What is given as the path of a model file: anything; and what is found there."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest

import micrograd as mg
from micrograd.saving.tensors import Tensors

pytest.importorskip("safetensors")

X, Y = np.zeros((4, 3)), [0, 1, 0, 1]


def network():
    return mg.Network(mg.Linear(3, 2), seed=0)


class Odd:
    def __fspath__(self):
        return 3

    def __repr__(self):
        return "Odd()"


USES = {
    "Network.save": lambda path: network().save(path),
    "load": mg.load,
    "Network.fit": lambda path: network().fit(X, Y, epochs=1, resume=path),
}


@pytest.mark.parametrize("where", USES)
@pytest.mark.parametrize(
    ("path", "kind", "words"),
    [
        (3, TypeError, "int 3 came"),
        (True, TypeError, "bool True came"),
        (1.5, TypeError, "float 1.5 came"),
        (["a"], TypeError, r"list \['a'\] came"),
        (Odd(), TypeError, r"Odd Odd\(\) came"),
        ("", ValueError, "'': the path is empty"),
        ("a\0b", ValueError, r"'a\\x00b': the path holds a zero byte"),
        (b"a\0b", ValueError, r"'a\\x00b': the path holds a zero byte"),
        ("\ud800", ValueError, r"'\\ud800': no file can have this name"),
    ],
)
def test_what_is_no_path_is_told_by_name(where, path, kind, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=f"^{where}: {words}"):
        USES[where](path)
    assert not list(tmp_path.iterdir())


def test_a_name_that_ends_as_a_folders_is_none_of_a_file(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder; the name of a file is wanted"):
        network().save(f"{tmp_path}/models/")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
@pytest.mark.parametrize("name", [b"\xff\xfe", os.fsdecode(b"\xff"), "a\nb", "\u00e4 b", "-"])
def test_names_of_any_bytes(name, tmp_path):
    path = os.path.join(os.fsencode(tmp_path), os.fsencode(name))
    for each in (path, os.fsdecode(path), Path(os.fsdecode(path))):
        network().save(each)
        assert np.array_equal(mg.load(each).predict(X), network().predict(X))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_an_error_of_the_disk_names_the_file():
    with pytest.raises(OSError, match=r"No space left on device: '/dev/full'"):
        network().save("/dev/full")


def test_an_error_of_reading_names_the_file(tmp_path, monkeypatch):
    network().save(tmp_path / "m")

    def broken(self, name):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Tensors, "read", broken)
    with pytest.raises(OSError, match=r"Input/output error: '.*m'"):
        mg.load(tmp_path / "m")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_that_comes_in_a_files_place_is_not_waited_for(tmp_path, monkeypatch):
    path, real, found, swaps = tmp_path / "m", os.stat, [], []
    network().save(path)

    def swapped(name, *more, **named):
        answer = real(name, *more, **named)
        if os.fspath(name) == os.fspath(path) and not swaps:
            swaps.append(name)
            path.unlink()
            os.mkfifo(path)
        return answer

    def work():
        try:
            mg.load(path)
        except ValueError as error:
            found.append(str(error))

    monkeypatch.setattr(os, "stat", swapped)
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(10)
    assert found and found[0].endswith("it is no regular file")
