"""Programs in a process of their own."""

import os
import subprocess
import sys


def run_python(source, timeout=120, check=True, **environment):
    """Runs a program in a process of its own; returns it with its output."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MICROGRAD_", "OMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", source],
        env=env | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    return done
