"""Files that are there whole or not at all, whoever else writes, and whatever they are called."""

import os
import stat
import threading
import time

import pytest

from micrograd.atomic import checked_target, replacing, write_bytes


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
