"""A trained network becomes one C header: no library, no files, static memory, any C99 compiler.

The digits again. The network is written twice, with float weights and with 8-bit ones; both
headers are compiled with every warning an error, test themselves, and read the digits that the
network has not been trained on.

Run: python demos/14_export_c.py [--save FOLDER], which draws the network, 14_export_c.svg
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

import common
import numpy as np

import micrograd as mg

options = common.options(__doc__)
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2"]
PROGRAM = """
#include <stdio.h>
#include <time.h>
#include "digits.h"

int main(void)
{
    float x[DIGITS_PREDICT_INPUTS], z[DIGITS_PREDICT_OUTPUTS];
    clock_t busy = 0;
    int rows = 0;
    for (; fread(x, sizeof x, 1, stdin) == 1; rows++) {
        clock_t start = clock();
        digits_predict(x, z);
        busy += clock() - start;
        fwrite(z, sizeof z, 1, stdout);
    }
    fprintf(stderr, "%.1f", 1e6 * (double)busy / CLOCKS_PER_SEC / rows);
    return 0;
}
"""

# %%
X, y = mg.data.digits()
X_train, X, y_train, y = mg.data.train_test_split(X, y, 0.2, seed=0)
net = mg.Network(
    mg.Linear(64, 64), mg.ReLU(), mg.Linear(64, 32), mg.GELU(), mg.Linear(32, 10), seed=0
)
sgd = mg.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
net.fit(X_train, y_train, 20, 32, sgd, progress=False, seed=0)
z = net.predict(X)
print(f"accuracy on {len(y)} digits that it has not seen: {(z.argmax(axis=1) == y).mean():.2%}")
common.save(options, "14_export_c.svg", mg.draw(net))
compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
if compiler is None:
    raise SystemExit("no C compiler here; this demo needs one")


# %%
def compiled(source, folder, *flags):
    """The program that the compiler makes of a C file."""
    program = folder / f"{source.stem}_{source.suffix[1:]}"
    command = [compiler, *STRICT, *flags, "-x", "c", source, "-o", program, "-lm"]
    subprocess.run(command, check=True)
    return program


for quantize in (None, "int8"):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        header = folder / "digits.h"
        report = mg.convert.to_c(net, header, prefix="digits_", quantize=quantize, X=X, y=y)
        print(f"\n{quantize or 'float'}: {header.name}, {header.stat().st_size} characters")
        print(report)
        (folder / "read.c").write_text(PROGRAM)
        test = compiled(header, folder, "-DDIGITS_PREDICT_MAIN")
        print(subprocess.run([test], check=True, capture_output=True, text=True).stdout, end="")
        program = compiled(folder / "read.c", folder)
        done = subprocess.run([program], input=X.tobytes(), capture_output=True, check=True)
    got = np.frombuffer(done.stdout, np.float32).reshape(z.shape)
    apart = np.abs(got - z).max() / np.abs(z).max()
    accuracy = (got.argmax(axis=1) == y).mean()
    print(f"the program in C: {done.stderr.decode()} µs a digit, accuracy {accuracy:.2%}, "
          f"outputs differ by {apart:.1e} of the largest")  # fmt: skip
    assert apart < (0.05 if quantize else 1e-5) and accuracy > 0.95
