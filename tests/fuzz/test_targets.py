"""The fuzzing targets in Python, on what the fuzzer has found so far and on some random bytes.

tools/fuzz.py runs them under a coverage-guided fuzzer, and the targets in C as well.
"""

import importlib
import random
from pathlib import Path

import pytest

TARGETS = ["model", "idx", "table", "lowering", "play"]
CORPUS = Path(__file__).parent / "corpus"
NEEDS = {"model": "safetensors", "table": "pandas"}


@pytest.fixture(params=TARGETS)
def target(request):
    if request.param in NEEDS:
        pytest.importorskip(NEEDS[request.param])
    return request.param, importlib.import_module(f"fuzz.{request.param}").check


def test_what_was_found_before(target):
    name, check = target
    for path in sorted((CORPUS / name).glob("*")):
        check(path.read_bytes())


def test_random_bytes(target):
    name, check = target
    rng = random.Random(f"fuzz {name}")
    for _ in range(60):
        check(rng.randbytes(rng.choice([0, 5, 20, 60, 150])))
