"""A Python target under atheris: python tests/fuzz/run.py NAME [options of libFuzzer] CORPUS..."""

import importlib
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])  # not this folder: Python has numbers too

import atheris  # noqa: E402

if __name__ == "__main__":
    with atheris.instrument_imports(include=["micrograd"]):
        check = importlib.import_module(f"fuzz.{sys.argv[1]}").check
        for byte in range(0, 256, 16):  # the package imports much of itself when it is first used
            check(bytes([byte]) * 60)
    atheris.Setup([sys.argv[0], *sys.argv[2:]], check)
    atheris.Fuzz()
