"""A disk that fails: every system call of a save fails once, the disk is full, folders are gone."""

import errno
import os
import shutil
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

import micrograd as mg

pytest.importorskip("safetensors")

# Between the two calls of getppid, which nothing else makes, lies one save.
SAVER = """
import gc, os, sys
import micrograd as mg

old, new = (mg.Network(mg.Linear(3, 2), seed=s) for s in (0, 1))
old.save("old"), new.save("new"), new.save("m")
gc.disable()
print("ready", flush=True)
for _ in sys.stdin:
    os.getppid()
    try:
        new.save("m")
        said = "saved"
    except (OSError, MemoryError) as error:
        said = f"{type(error).__name__}: {error}"
    os.getppid()
    print(said, flush=True)
"""
# What waits or starves the process itself: no error of the disk can come from it.
NOT_OF_FILES = {
    "getppid",
    "futex",
    "rt_sigprocmask",
    "rt_sigaction",
    "rt_sigreturn",
    "restart_syscall",
}
MUST_MATTER = {"write", "fsync", "rename", "renameat", "renameat2"}  # never passed over in silence
MUST_NOT_MATTER = {
    "chmod",
    "ioctl",
    "lseek",
    "getdents64",
}  # an old file's rights, what is left of one
# What an allocator asks for, and other errors than a disk's.
ERRORS = {"mmap": ["ENOMEM"], "brk": ["ENOMEM"], "munmap": ["EINVAL"], "madvise": ["EINVAL"]}
if "asan" in os.environ.get("LD_PRELOAD", ""):  # it ends a process whose memory is refused
    NOT_OF_FILES |= ERRORS.keys()


class Saver:
    """A process that saves whenever it is asked to, and strace on it."""

    def __init__(self, folder):
        self.folder = folder
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SAVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=folder, env=environment,
        )  # fmt: skip
        assert self.process.stdout.readline() == "ready\n"

    def save(self, *options):
        """What one save says under strace with these options, and the calls that were seen."""
        log = self.folder / "log"
        command = ["strace", "-o", str(log), *options, "-p", str(self.process.pid)]
        tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        if "attached" not in tracer.stderr.readline():
            tracer.wait()
            pytest.skip("strace may not attach to a process here")
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        said = self.process.stdout.readline().strip()
        assert said, f"the process that saves has ended, under strace {options}"
        tracer.terminate()
        tracer.communicate()
        return said, log.read_text().splitlines()

    def end(self):
        self.process.communicate()


@pytest.fixture
def saver(tmp_path):
    made = Saver(tmp_path)
    yield made
    made.end()


def calls_of_a_save(saver):
    """(call, which of that name since strace came), for each call of a save."""
    said, lines = saver.save()
    assert said == "saved"
    counts, inside, found = Counter(), False, []
    for name in (line.partition("(")[0] for line in lines if "(" in line):
        counts[name] += 1
        if name == "getppid":
            inside = not inside
        elif inside and name not in NOT_OF_FILES:
            found.append((name, counts[name]))
    return found


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace here")
def test_each_system_call_of_a_save_fails_once(saver, tmp_path):
    calls = calls_of_a_save(saver)
    kinds = {name for name, _ in calls}
    assert len(calls) > 12 and {"write", "fsync", "close"} <= kinds, calls
    assert {"rename", "renameat", "renameat2"} & kinds, calls
    contents = {name: (tmp_path / name).read_bytes() for name in ("old", "new")}
    refused = Counter()
    for name, n in calls:
        for error in ERRORS.get(name, ["EIO", "ENOSPC", "EACCES"]):
            case = name, n, error
            (tmp_path / "m").write_bytes(contents["old"])
            said, lines = saver.save("-e", f"inject={name}:error={error}:when={n}")
            if not any("(INJECTED)" in line for line in lines):  # memory is not asked for each time
                assert name in ERRORS and said == "saved", (case, "it was not reached")
                continue
            written = said == "saved" or "has been written, whole" in said
            assert (tmp_path / "m").read_bytes() == contents["new" if written else "old"], (
                case,
                said,
            )
            assert said == "saved" or name not in MUST_NOT_MATTER, (case, said)
            assert said != "saved" or name not in MUST_MATTER or after_rename(calls, name, n), case
            left = {p.name for p in tmp_path.iterdir()} - {"m", "old", "new", "log"}
            assert not left, (case, left)
            refused[said.partition(":")[0]] += 1
    assert refused["OSError"] + refused["PermissionError"] > 10, refused
    print(f"{len(calls)} system calls failed {sum(refused.values())} times: {dict(refused)}")


def after_rename(calls, name, n):
    """Whether the file is whole in its place already when this call comes."""
    renamed = next(i for i, (other, _) in enumerate(calls) if other.startswith("rename"))
    return calls.index((name, n)) > renamed


def network():
    return mg.Network(mg.Linear(3, 2), seed=0)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk():
    with pytest.raises(OSError) as caught:
        network().save("/dev/full")
    assert caught.value.errno == errno.ENOSPC


def test_the_working_folder_is_gone(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    try:
        gone.rmdir()
    except OSError:
        pytest.skip("this system keeps a folder that a process works in")
    with pytest.raises(FileNotFoundError, match=r"^m: the folder that this process works in does"):
        network().save("m")


def test_the_folder_vanishes_in_the_midst_of_training(tmp_path):
    folder, net = tmp_path / "runs", network()
    folder.mkdir()
    X, y = np.eye(3), np.arange(3) % 2

    def vanish(state):
        if state.epoch == 2:
            shutil.rmtree(folder)

    with pytest.raises(FileNotFoundError, match="runs does not exist"):
        net.fit(X, y, epochs=4, seed=0, resume=folder / "m", callbacks=vanish, progress=False)
    alone = network()
    alone.fit(X, y, epochs=2, seed=0, progress=False)
    assert np.array_equal(net.parameters().flat, alone.parameters().flat)  # two whole epochs
    folder.mkdir()
    net.save(folder / "m")  # and can be saved once there is a folder
    assert np.array_equal(mg.load(folder / "m").parameters().flat, net.parameters().flat)
