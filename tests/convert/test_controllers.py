"""Headers on controllers without a float unit, in simulators: the same integers, sooner."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import micrograd as mg

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("controllers", ROOT / "tools/controllers.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("chip", ["avr", "arm"])
def test_a_controller_says_what_the_host_says_in_a_quarter_of_the_time(chip, tool, tmp_path):
    tools = tool.AVR if chip == "avr" else tool.ARM
    if tool.missing(tools):
        pytest.skip(f"no {' and '.join(tool.missing(tools))}")
    run = getattr(tool, chip)
    sizes = (37, 18, 5)  # neither a multiple of what is unrolled
    cost, outputs = run(sizes, "int8")
    assert outputs == tool.write(tmp_path, sizes, "int8")
    assert len(set(outputs)) > 2
    assert 4 * cost < run(sizes, "float")[0]


needs_avr = pytest.mark.skipif(shutil.which("avr-gcc") is None, reason="no avr-gcc")


@needs_avr
def test_a_model_fits_an_atmega328p(tmp_path):
    net = mg.Network(mg.Linear(64, 16), mg.ReLU(), mg.Linear(16, 10), seed=0)
    X = mg.data.digits()[0]
    mg.convert.to_c(net, tmp_path / "net.h", quantize="int8", X=X)
    (tmp_path / "a.c").write_text(
        '#define INT8_ONLY\n#include "net.h"\n'
        "volatile int8_t in[PREDICT_INPUTS], out[PREDICT_INT8_OUTPUTS];\n"
        "int main(void) { for (;;) predict_int8((const int8_t *)in, (int8_t *)out); }\n"
    )
    command = ["avr-gcc", "-mmcu=atmega328p", "-Os", "-std=c99", "-Wall", "-Wextra", "-Wconversion",
               "-Werror", "a.c", "-o", "a.elf"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    size = subprocess.run(["avr-size", "a.elf"], cwd=tmp_path, capture_output=True, text=True)
    text, data, bss = (int(v) for v in size.stdout.splitlines()[1].split()[:3])
    assert text < 4000 and data + bss < 150  # of 32768 and 2048; the weights are in flash
    symbols = subprocess.run(["avr-nm", "a.elf"], cwd=tmp_path, capture_output=True, text=True)
    assert not [name for name in ("__mulsf3", "__divmodsi4", "__muldi3") if name in symbols.stdout]


ARDUINO = """
#ifndef ARDUINO_H
#define ARDUINO_H
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
struct Port {
    void begin(long) {}
    template <class T> void print(T v) { put(v); }
    template <class T> void println(T v) { put(v); put('\\n'); }
    void put(const char *v) { printf("%s", v); }
    void put(char v) { printf("%c", v); }
    void put(unsigned long v) { printf("%lu", v); }
    void put(int8_t v) { printf("%d", v); }
    void put(float v) { printf("%.6g", (double)v); }
};
static Port Serial;
static inline unsigned long micros() { return 7; }
static inline void delay(int) { exit(0); }
#endif
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
@pytest.mark.parametrize("quantize", ["int8", None])
def test_an_arduino_library_runs(quantize, tmp_path):
    X, _ = mg.data.digits()
    net = mg.Network(mg.Linear(64, 16), mg.Tanh(), mg.Linear(16, 10), seed=0)
    net.metadata["classes"] = [f"digit {i}" for i in range(10)]
    folder = tmp_path / "Digits"
    report = mg.convert.to_c(
        net, tmp_path / "d.h", prefix="d_", quantize=quantize, X=X, arduino=folder
    )
    properties = dict(
        line.split("=", 1) for line in (folder / "library.properties").read_text().splitlines()
    )
    assert properties["name"] == "Digits" and properties["includes"] == "Digits.h"
    assert set(properties) >= {"version", "author", "maintainer", "sentence", "paragraph",
                               "category", "url", "architectures"}  # fmt: skip
    assert (folder / "src/Digits.h").read_text() == (tmp_path / "d.h").read_text()
    (tmp_path / "Arduino.h").write_text(ARDUINO)
    (tmp_path / "main.cpp").write_text(
        '#include "Digits/examples/Digits/Digits.ino"\nint main() { setup(); for (;;) loop(); }\n'
    )
    command = ["g++", "-std=c++11", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-I.",
               "-IDigits/src", "main.cpp", "-o", "main"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout
    numbers = [float(v) for v in said.split("largest")[0].split()]
    if quantize:
        row = report.int8.input.stored(X[:1])
        assert numbers == report.int8.predict_int8(row)[0].tolist()
    else:
        assert numbers == pytest.approx(net.predict(X[:1])[0].tolist(), rel=1e-4)
    best = int(np.argmax(numbers))
    assert f"largest {best} digit {best} microseconds 0" in said
    with pytest.raises(ValueError, match=r"arduino is .*whose last part names the library"):
        mg.convert.to_c(net, tmp_path / "d.h", X=X, arduino=tmp_path / "no name")
