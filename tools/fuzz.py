#!/usr/bin/env python3
"""Runs the fuzzing targets of tests/fuzz, each for so many seconds; what they find is printed.

    tools/fuzz.py --seconds 30              # all of them, as CI does
    tools/fuzz.py plan program --seconds 3600

The targets in C (plan, program, train) want clang with libFuzzer and run under AddressSanitizer and
UBSan; those in Python (model, idx, table, lowering, play) want
`pip install 'micrograd-core[fuzz,save,table]'`.
They start from tests/fuzz/corpus. --keep merges what reaches new code into it, and an input that
fails is written there too, where tests/fuzz/test_targets.py runs it from then on.
"""

from __future__ import annotations

import argparse
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FUZZ = ROOT / "tests" / "fuzz"
IN_C = ("plan", "program", "train")
IN_PYTHON = ("model", "idx", "table", "lowering", "play")
LONGEST = {
    "plan": 400, "program": 400, "train": 600,
    "model": 60, "idx": 80, "table": 200, "lowering": 90, "play": 120,
}  # fmt: skip

MOST_KEPT = 100  # inputs of a target: the shortest


def compiled(names: list[str], folder: Path) -> dict[str, list[str]]:
    """The commands of the C targets, compiled into `folder`."""
    flags = [f for f in runpy.run_path(str(ROOT / "build_ffi.py"))["FLAGS"] if f != "-O3"]
    flags += ["-O1", "-g1", "-pthread", f"-I{ROOT / 'csrc'}", f"-I{FUZZ}", "-DMG_SOURCE_HASH=fuzz"]
    flags += ["-Wno-pass-failed", "-fno-sanitize-recover=all"]
    sources = sorted((ROOT / "csrc").rglob("*.c"))
    objects = [str(folder / f"{number}.o") for number in range(len(sources))]

    def compile_one(source: Path, to: str) -> None:
        # Of a kernel's file both sanitizers at once take clang 14 four minutes instead of half a
        # one. UBSan sees the kernels in tests/c/run.
        undefined = "" if source.name.startswith("isa_") else "undefined,"
        sanitizers = f"-fsanitize=address,{undefined}fuzzer-no-link"
        subprocess.run(["clang", *flags, sanitizers, "-c", str(source), "-o", to], check=True)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(compile_one, sources, objects))
    commands = {}
    for name in names:
        program = str(folder / name)
        sanitizers = "-fsanitize=address,undefined,fuzzer"
        command = ["clang", *flags, sanitizers, str(FUZZ / f"{name}.c"), *objects, "-o", program]
        subprocess.run([*command, "-lm"], check=True)
        commands[name] = [program]
    return commands


def fuzz(name: str, command: list[str], seconds: int, keep: bool) -> bool:
    """Runs one target; whether it found nothing."""
    corpus = FUZZ / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as grown:
        options = [
            f"-max_total_time={seconds}",
            f"-max_len={LONGEST[name]}",
            "-timeout=100",
            "-report_slow_units=100",
        ]
        options += ["-rss_limit_mb=3000", "-print_final_stats=1", "-verbosity=1"]
        options += [f"-artifact_prefix={corpus}/"]
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "MICROGRAD_NUM_THREADS": "1",
        }
        done = subprocess.run(
            [*command, *options, grown, str(corpus)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            env=environment,
        )
        found = re.search(r"number_of_executed_units: *(\d+)", done.stdout)
        executed = int(found.group(1)) if found else 0
        if done.returncode == 0 and keep and name in IN_PYTHON:  # atheris has no merge
            for new in sorted(Path(grown).iterdir(), key=lambda path: path.stat().st_size):
                if len(list(corpus.iterdir())) < MOST_KEPT:
                    shutil.copy(new, corpus)
        elif done.returncode == 0 and keep:
            with tempfile.TemporaryDirectory() as small:
                merge = [*command, "-set_cover_merge=1", f"-max_len={LONGEST[name]}"]
                merge += [small, grown, str(corpus)]
                subprocess.run(merge, check=True, capture_output=True, env=environment)
                for old in corpus.iterdir():
                    old.unlink()
                kept = sorted(Path(small).iterdir(), key=lambda path: path.stat().st_size)
                for new in kept[:MOST_KEPT]:
                    shutil.copy(new, corpus)
    size = len(list(corpus.iterdir()))
    print(f"{name}: {executed} executions, corpus of {size}", flush=True)
    if done.returncode or not executed:
        print(done.stdout[-8000:])
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("targets", nargs="*", choices=[*IN_C, *IN_PYTHON, []])
    parser.add_argument("--seconds", type=int, default=30, help="for each target")
    parser.add_argument("--keep", action="store_true", help="keep what reaches new code")
    options = parser.parse_args()
    chosen = options.targets or [*IN_C, *IN_PYTHON]
    with tempfile.TemporaryDirectory() as folder:
        commands = (
            compiled([n for n in IN_C if n in chosen], Path(folder))
            if set(IN_C) & set(chosen)
            else {}
        )
        for name in IN_PYTHON:
            commands[name] = [sys.executable, str(FUZZ / "run.py"), name]
        with ThreadPoolExecutor(2) as pool:  # side by side: most of them leave a core to another
            results = list(
                pool.map(lambda n: fuzz(n, commands[n], options.seconds, options.keep), chosen)
            )
    if not all(results):
        sys.exit("fuzz: there are findings")


if __name__ == "__main__":
    main()
