"""Files that are there whole or not at all, whoever else writes, and whatever they are called."""

import os
import stat
import tempfile
import threading
import time
from pathlib import Path

import pytest
from support.processes import run_python

from micrograd.atomic import Own, checked_target, replacing, write_bytes


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_exception_leaves_what_was_there(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), replacing(path) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old" and names(tmp_path) == ["a"]


def test_many_may_write_one_file_at_once(tmp_path):
    path, contents = tmp_path / "a", [bytes([65 + i]) * 300_000 for i in range(6)]
    faults = []

    def work(content):
        for _ in range(10):
            write_bytes(path, content)
            if path.read_bytes() not in contents:
                faults.append(content[:1])

    threads = [threading.Thread(target=work, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults and names(tmp_path) == ["a"]


@pytest.mark.parametrize("name", ["a" * 255, "ä" * 127, "b" * 250 + ".onnx"])
def test_the_longest_names(tmp_path, name):
    write_bytes(tmp_path / name, b"1")
    write_bytes(os.fsencode(tmp_path / name), b"2")
    assert (tmp_path / name).read_bytes() == b"2" and names(tmp_path) == [name]


def test_links_and_permissions_stay(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o640


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path):
    old = time.time() - 3 * 24 * 3600
    for name in (".a.0123456789abcdef.tmp", ".a.999.tmp", ".a.b.999.tmp", ".other.1.tmp", "a.tmp"):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (old, old))
    (tmp_path / ".a.fedcba9876543210.tmp").write_bytes(b"being written")
    write_bytes(tmp_path / "a", b"1")
    left = [".a.b.999.tmp", ".a.fedcba9876543210.tmp", ".other.1.tmp", "a", "a.tmp"]
    assert names(tmp_path) == left


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_what_is_no_file_is_written_to(tmp_path):
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write_bytes(pipe, b"through")
    reader.join()
    assert got == [b"through"] and names(tmp_path) == ["pipe"]
    with pytest.raises(IsADirectoryError):
        checked_target(tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        checked_target(tmp_path / "no" / "a")


def test_the_bytes_are_on_the_disk_before_they_take_the_place(tmp_path, monkeypatch):
    """What a power failure asks for: the whole file is flushed, renamed, and the folder flushed."""
    said, flush, rename = [], os.fsync, os.replace

    def flushed(descriptor):
        found = os.fstat(descriptor)
        said.append("folder" if stat.S_ISDIR(found.st_mode) else f"{found.st_size} bytes")
        flush(descriptor)

    def renamed(old, new):
        said.append("rename")
        rename(old, new)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "replace", renamed)
    write_bytes(tmp_path / "m", b"12345")
    assert said == ["5 bytes", "rename", *([] if os.name == "nt" else ["folder"])]


@pytest.mark.parametrize("how", ["renamed", "rewritten"])
def test_a_file_of_another_is_known_though_it_is_as_long(tmp_path, how):
    path, other = tmp_path / "m", tmp_path / "other"
    path.write_bytes(b"mine")
    own = Own(path, "f")
    own.check("f")
    if how == "renamed":  # with the same time, as a coarse clock gives it
        other.write_bytes(b"else")
        found = os.stat(path)
        os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
        os.replace(other, path)
    else:
        path.write_bytes(b"else")
        os.utime(path, ns=(0, os.stat(path).st_mtime_ns + 1))
    with pytest.raises(RuntimeError, match=r"^f: .*m has been written by something else"):
        own.check("f")
    own.note()
    own.check("f")


READ_ONLY = """
import os, sys
from micrograd.atomic import write_bytes
if os.geteuid() == 0:  # who may write everywhere
    os.setuid(65534)
for name in ("m", "m2"):
    try:
        write_bytes(os.path.join({folder!r}, name), b"new")
    except PermissionError as error:
        print(error)
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="folders have no such rights there")
def test_a_folder_that_may_only_be_read():
    with tempfile.TemporaryDirectory() as folder:  # tmp_path lies where nobody else may look
        path = Path(folder, "m")
        path.write_bytes(b"old")
        os.chmod(folder, 0o555)
        try:
            said = run_python(READ_ONLY.format(folder=folder)).stdout.splitlines()
            assert names(Path(folder)) == ["m"] and path.read_bytes() == b"old"
        finally:
            os.chmod(folder, 0o755)
    assert said == [
        f"{folder}/{name}: the folder {folder} cannot be written to" for name in ("m", "m2")
    ]
