"""What is not installed is asked for in one go, by the names of the extras."""

import pytest
from support.processes import run_python

WITHOUT = {
    "predict m.safetensors t.csv": (
        "pandas, scikit-learn, safetensors", "table,save", "predict"),
    "predict m.safetensors digits": ("safetensors", "save", "predict"),
    "train t.csv --target y": ("pandas, scikit-learn", "table", "train"),
    "train t.csv --target y --save m --plot p.png": (
        "pandas, scikit-learn, safetensors, matplotlib", "table,save,plot", "train"),
    "train digits --save m": ("safetensors", "save", "train"),
    "export m.safetensors --c m.h": ("safetensors", "save", "export"),
    "export m.safetensors --c m.h --data t.csv": (
        "pandas, scikit-learn, safetensors", "table,save", "export"),
    "export m.safetensors --onnx m.onnx": ("safetensors, onnx", "save,onnx", "export"),
    "export m.safetensors --torch m.pt": ("safetensors, PyTorch", "save,torch", "export"),
}  # fmt: skip


@pytest.mark.parametrize("line", WITHOUT)
def test_all_that_a_command_needs_is_named_at_once(line, tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n1,2\n3,5\n")
    names, extras, command = WITHOUT[line]
    program = f"""
import os, sys
os.chdir({str(tmp_path)!r})
for name in ("pandas", "sklearn", "safetensors", "matplotlib", "onnx", "torch"):
    sys.modules[name] = None
from micrograd.cli import main
sys.exit(main({line.split()!r}))
"""
    done = run_python(program, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == (
        f"micrograd: error: micrograd {command} needs {names}: "
        f"pip install 'micrograd-core[{extras}]'\n"
    )


def test_what_needs_nothing_runs_without(tmp_path):
    program = """
import sys
for name in ("pandas", "sklearn", "safetensors", "matplotlib", "onnx", "torch"):
    sys.modules[name] = None
from micrograd.cli import main
sys.exit(main(["train", "digits", "--epochs", "1", "--quiet"]))
"""
    assert run_python(program).stdout.startswith("test accuracy ")
