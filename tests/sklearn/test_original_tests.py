"""scikit-learn's own tests of its MLPs, run on ours in float64: only the import is changed."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

neural_network = pytest.importorskip("sklearn.neural_network")

# those that touch a private name, or the text of a message
PRIVATE = ("test_fit", "test_gradient")
TEXT = (
    "test_nonfinite_params",
    "test_warm_start",
    "test_early_stopping_stratified",
    "test_mlp_partial_fit_after_fit",
    "test_minimum_input_sample_size",
)
# wants float32 weights for float32 rows, which dtype="float64" is not to give
NARROW = (
    "test_mlp_param_dtypes[MLPClassifier-float32]",
    "test_mlp_param_dtypes[MLPRegressor-float32]",
)

IMPORT = "from sklearn.neural_network import MLPClassifier, MLPRegressor\n"
OURS = """\
from micrograd.sklearn import MLPClassifier, MLPRegressor

for kind in (MLPClassifier, MLPRegressor):
    kind.__init__.__kwdefaults__["dtype"] = "float64"
"""
SEED = """\
import pytest


@pytest.fixture
def global_random_seed():
    return 42
"""


def test_scikit_learns_own_tests_pass(tmp_path):
    source = Path(inspect.getfile(neural_network)).parent / "tests" / "test_mlp.py"
    if not source.is_file():
        pytest.skip("scikit-learn is installed without its tests")
    text = source.read_text(encoding="utf-8")
    assert text.count(IMPORT) == 1
    (tmp_path / "test_theirs.py").write_text(text.replace(IMPORT, OURS), encoding="utf-8")
    (tmp_path / "conftest.py").write_text(SEED)
    left_out = [f"--deselect=test_theirs.py::{name}" for name in (*PRIVATE, *TEXT, *NARROW)]
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "test_theirs.py",
            *left_out,
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-5000:]
    assert int(run.stdout.split(" passed")[0].split()[-1]) > 40
