"""What exported headers cost on processors without a float unit, and that they say there what they
say here.

    python tools/controllers.py             the table: cycles on an ATmega2560 in simavr,
                                            instructions on a Cortex-M3 in QEMU

Wants avr-gcc and simavr, arm-none-eabi-gcc and qemu-system-arm (Debian: gcc-avr avr-libc simavr
gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm); leaves out what is not there.
"""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import micrograd as mg

SMALL = (64, 64, 10)
AUTOENCODER = (640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640)  # MLPerf Tiny's
HERE = Path(__file__).parent / "controllers"
AVR = ("avr-gcc", "simavr")
ARM = ("arm-none-eabi-gcc", "qemu-system-arm")
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Werror", "-std=gnu99"]


def network(sizes: tuple[int, ...]) -> tuple[mg.Network, np.ndarray]:
    """A network of these sizes with ReLUs, and rows for it."""
    layers: list[mg.Linear | mg.ReLU] = []
    for a, b in itertools.pairwise(sizes):
        layers += [mg.Linear(a, b), mg.ReLU()]
    net = mg.Network(*layers[:-1], loss="mse", seed=0)
    return net, np.random.default_rng(0).normal(size=(300, sizes[0])).astype(np.float32)


def missing(tools: tuple[str, ...]) -> list[str]:
    """Those of the tools that are not installed."""
    return [tool for tool in tools if shutil.which(tool) is None]


def write(folder: Path, sizes: tuple[int, ...], kind: str) -> list[int]:
    """Writes model.h and model.inc; returns what predict_int8 says of the row."""
    net, X = network(sizes)
    quantize = "int8" if kind == "int8" else None
    report = mg.convert.to_c(net, folder / "model.h", prefix="m_", quantize=quantize, X=X)
    if report.int8 is None:
        (folder / "row.h").write_text(f"#define ROW {', '.join(f'{v:.9g}f' for v in X[0])}\n")
        return []
    row = report.int8.input.stored(X[:1])
    (folder / "row.h").write_text(f"#define ROW {', '.join(map(str, row[0].tolist()))}\n")
    return [int(v) for v in report.int8.predict_int8(row)[0]]


def avr(sizes: tuple[int, ...], kind: str, chip: str = "atmega2560") -> tuple[int, list[int]]:
    """Cycles of one row on an AVR, and the outputs, for "int8" and "float"."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, sizes, kind)
        options = ["-O2", *WARNINGS, f"-DINT8={int(kind == 'int8')}", f"-I{folder}"]
        _run(["avr-gcc", f"-mmcu={chip}", "-DF_CPU=16000000UL", *options, HERE / "avr.c", "-o",
              folder / "a.elf", "-lm"])  # fmt: skip
        said = _run(["simavr", "-m", chip, "-f", "16000000", folder / "a.elf"])
        return _read(re.sub(r"\x1b\[[0-9;]*m|\.\.?$", "", said, flags=re.M))


def arm(sizes: tuple[int, ...], kind: str) -> tuple[int, list[int]]:
    """Instructions of one row on a Cortex-M3, and the outputs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, sizes, kind)
        options = ["-O2", *WARNINGS, f"-DINT8={int(kind == 'int8')}", f"-I{folder}"]
        options += ["-nostartfiles", "--specs=nosys.specs", "-T", str(HERE / "arm.ld")]
        _run(["arm-none-eabi-gcc", "-mcpu=cortex-m3", "-mthumb", *options, HERE / "arm.c", "-o",
              folder / "a.elf", "-lm"])  # fmt: skip
        machine = ["-M", "mps2-an385", "-cpu", "cortex-m3", "-nographic", "-icount", "shift=0"]
        machine += ["-semihosting-config", "enable=on,target=native"]
        streams = ["-monitor", "none", "-serial", "stdio"]
        return _read(_run(["qemu-system-arm", *machine, *streams, "-kernel", folder / "a.elf"]))


def _run(command: list[object]) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{command[0]}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def _read(text: str) -> tuple[int, list[int]]:
    cost = re.search(r"cost (\d+)", text)
    outputs = re.search(r"out ((?:-?\d+ )*)", text)
    if cost is None or outputs is None:
        raise SystemExit(f"the controller said nothing: {text[-500:]}")
    return int(cost.group(1)), [int(v) for v in outputs.group(1).split()]


def main() -> None:
    """The table."""
    rows = [("ATmega2560, cycles", avr, AVR, SMALL), ("Cortex-M3, instructions", arm, ARM, SMALL),
            ("Cortex-M3, instructions", arm, ARM, AUTOENCODER)]  # fmt: skip
    for title, run, tools, sizes in rows:
        absent = missing(tools)
        name = f"{title}, {'-'.join(map(str, sizes))}"
        if absent:
            print(f"{name}: not measured, {' and '.join(absent)} not installed")
            continue
        integers, outputs = run(sizes, "int8")
        floats, _ = run(sizes, "float")
        with tempfile.TemporaryDirectory() as folder:
            same = outputs == write(Path(folder), sizes, "int8")
        print(f"{name}: int8 {integers}, float {floats}, ratio {floats / integers:.1f}, "
              f"outputs {'the same' if same else 'DIFFERENT'}")  # fmt: skip
        if not same:
            sys.exit(1)


if __name__ == "__main__":
    main()
