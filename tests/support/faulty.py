"""Scripts that run with tests/support/faults.c: `arm(kind, n)` has the n-th such call fail."""

import os
import subprocess
import sys
from pathlib import Path

PRELUDE = """
import ctypes, errno, gc, os, sys
import numpy as np
import micrograd as mg

shim = ctypes.CDLL(None)
shim.fault_disarm.restype = shim.fault_live.restype = ctypes.c_long
ALLOCATIONS, FILES = 1, 2

def arm(kind, n, error=errno.ENOMEM):
    shim.fault_arm(kind, ctypes.c_long(n), error)

"""
SHIM = Path(__file__).with_name("faults.c")


def compiled(folder):
    """The shim as a library; None where this machine cannot make it."""
    library = folder / "faults.so"
    command = ["cc", "-shared", "-fPIC", "-O1", str(SHIM), "-o", str(library), "-ldl"]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return library if done.returncode == 0 else None


def run(library, script, folder):
    """Runs a script behind PRELUDE; what it prints."""
    others = os.environ.get("LD_PRELOAD", "").split(":")  # a sanitizer's
    environment = {**os.environ, "LD_PRELOAD": ":".join([str(library), *filter(None, others)])}
    environment["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + script],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
