"""Several headers in one program, C++, and controllers with their constants in flash."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from support.c_compiler import COMPILER, STRICT, compile_c
from support.every_network import batch, every_kind, filled

import micrograd as mg

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler")


def refused(source):
    """What the compiler says of a file that it does not take."""
    done = subprocess.run(
        [COMPILER, *STRICT, "-c", source, "-o", source.with_suffix(".o")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    return done.stderr


def test_two_models_of_one_name_are_an_error_of_the_compiler(tmp_path):
    for i in range(2):
        mg.convert.to_c(filled(mg.Linear(2, 5), seed=i), tmp_path / f"m{i}.h")
    both = tmp_path / "both.c"
    both.write_text('#include "m0.h"\n#include "m1.h"\n')
    assert "two models are called predict: export one of them with another" in refused(both)
    twice = tmp_path / "twice.c"
    twice.write_text('#include "m0.h"\n#include "m0.h"\nint main(void) { return 0; }\n')
    compile_c(twice)


def test_headers_are_cpp_too(tmp_path):
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    net = every_kind()
    net.metadata["classes"] = ["a", "b", "c"]
    mg.convert.to_c(net, tmp_path / "net.h", probabilities=True)
    source = tmp_path / "main.cc"
    source.write_text(
        '#include "net.h"\n'
        "int main() { static float x[PREDICT_INPUTS], y[PREDICT_OUTPUTS]; predict(x, y);\n"
        "return predict_class(0)[0] != 'a'; }\n"
    )
    flags = ["-std=c++11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2"]
    program = tmp_path / "main"
    subprocess.run([compiler, *flags, source, "-o", program], check=True)
    assert subprocess.run([program], check=False).returncode == 0


AVR_MAIN = """
#include "net.h"
volatile float sink;
int main(void)
{
    static float x[NET_PREDICT_INPUTS], y[NET_PREDICT_OUTPUTS];
    net_predict(x, y);
    sink = y[0];
    return 0;
}
"""


def sections(program):
    """The bytes in flash and in memory of a program for an AVR."""
    told = subprocess.run(["avr-size", program], capture_output=True, text=True, check=True)
    text, data, bss, *_ = told.stdout.splitlines()[1].split()
    return int(text) + int(data), int(data) + int(bss)


@pytest.mark.skipif(shutil.which("avr-gcc") is None, reason="no compiler for AVR")
def test_constants_lie_in_an_avrs_flash(tmp_path):
    layers = [mg.Linear(64, 16), mg.GELU(), mg.Linear(16, 10)]
    net = filled(*layers)
    report = mg.convert.to_c(net, tmp_path / "net.h", prefix="net_", probabilities=True)
    source, program = tmp_path / "main.c", tmp_path / "main.elf"
    source.write_text(AVR_MAIN)
    flags = ["-mmcu=atmega328p", "-std=c99", "-Os", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run(["avr-gcc", *flags, source, "-o", program, "-lm"], check=True)
    flash, memory = sections(program)
    assert report.parameter_bytes < flash < 32768
    assert memory < report.scratch_bytes + 4 * (64 + 10) + 100 < 2048


@pytest.mark.skipif(shutil.which("avr-gcc") is None, reason="no compiler for AVR")
@pytest.mark.skipif(shutil.which("simavr") is None, reason="no simulator of AVR")
def test_an_avr_computes_the_same(tmp_path):
    """Written to its serial port as hexadecimal words, for networks with what avr-libc lacks."""
    layers = [mg.Linear(5, 9), mg.GELU(), mg.Linear(9, 6), mg.Map(lambda x: x.softplus())]
    net = filled(*layers, mg.Linear(6, 4), mg.Linear(4, 2))
    x = batch(net, 1)
    mg.convert.to_c(net, tmp_path / "net.h", prefix="net_")
    numbers = ", ".join(f"{value:.9g}f" for value in x[0])
    (tmp_path / "main.c").write_text(
        "#include <avr/io.h>\n#include <avr/sleep.h>\n#include <avr/interrupt.h>\n"
        '#include "net.h"\n'
        "static void put(char c) { while (!(UCSR0A & (1 << UDRE0))) {} UDR0 = c; }\n"
        "int main(void)\n{\n"
        f"    float x[] = {{{numbers}}}, y[NET_PREDICT_OUTPUTS];\n"
        "    UCSR0B = 1 << TXEN0;\n    net_predict(x, y);\n"
        "    for (size_t i = 0; i < NET_PREDICT_OUTPUTS; i++) {\n"
        "        union { float f; uint32_t u; } bits;\n        bits.f = y[i];\n"
        "        for (int k = 28; k >= 0; k -= 4)\n"
        '            put("0123456789abcdef"[(bits.u >> k) & 15]);\n'
        "        put('\\n');\n    }\n    put('\\n');\n    cli();\n    sleep_enable();\n"
        "    sleep_cpu();\n    return 0;\n}\n"
    )
    program = tmp_path / "main.elf"
    flags = ["-mmcu=atmega328p", "-DF_CPU=16000000UL", "-std=gnu99", "-Os"]
    subprocess.run(["avr-gcc", *flags, tmp_path / "main.c", "-o", program, "-lm"], check=True)
    run = subprocess.run(
        ["simavr", "-m", "atmega328p", "-f", "16000000", program],
        capture_output=True,
        timeout=60,
        check=False,
    )
    words = re.findall(rb"\b([0-9a-f]{8})\.", re.sub(rb"\x1b\[\d*m", b"", run.stdout + run.stderr))
    got = np.array([int(word, 16) for word in words], np.uint32).view(np.float32)
    np.testing.assert_allclose(got, net.predict(x)[0], rtol=1e-4, atol=1e-5)
