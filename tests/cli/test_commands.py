"""The micrograd command: what it prints, its exit codes, and its errors of one line."""

import argparse
import hashlib
import math
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from support.commands import accuracy, error_line, printed, write_csv

import micrograd
from micrograd import core
from micrograd.cli import info
from micrograd.cli.main import IMPORTED, main, process_start
from micrograd.cli.parser import commands
from micrograd.cli.train_options import add_options, settle

ROOT = Path(__file__).resolve().parents[2]


# ---- train ----


def test_digits_reach_97_percent_and_the_time_is_accounted_for(capsys):
    out = printed(capsys, "train", "digits")
    share, rows = accuracy(out)
    assert rows == 359  # a fifth of 1797
    assert share >= 0.97
    assert "digits: 1438 training rows, 359 test rows, 10 classes" in out
    assert "Linear(64, 192) > ReLU() > Linear(192, 10): 14410 parameters" in out
    laps = re.findall(r"^  ([a-z ]+?) +([\d.]+) s +(\d+)%$", out, re.MULTILINE)
    names = ["start and imports", "loading data", "training", "evaluating", "total"]
    assert [name for name, _, _ in laps] == names
    *parts, total = [float(seconds) for _, seconds, _ in laps]
    assert math.isclose(sum(parts), total, abs_tol=0.0005 * len(laps))
    assert sum(int(percent) for _, _, percent in laps[:-1]) == pytest.approx(100, abs=2)


def test_the_process_trains_on_digits():
    command = [sys.executable, "-m", "micrograd", "train", "digits"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert accuracy(done.stdout)[0] >= 0.97
    assert done.stderr == ""
    seconds = re.search(r"start and imports +([\d.]+) s", done.stdout)
    assert float(seconds.group(1)) > 0


def test_nothing_slow_is_imported():
    code = (
        "import sys; from micrograd.cli.main import main; assert 'numpy' not in sys.modules; "
        "main(['train', 'digits', '--epochs', '1', '--quiet']); "
        "print({'matplotlib', 'sklearn', 'torch', 'scipy', 'cffi'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1:] == ["set()"]


def test_same_seed_same_result_for_any_number_of_threads(capsys):
    runs = [
        printed(capsys, "train", "digits", "--epochs", "2", "--quiet", *extra)
        for extra in ([], ["--threads", "1"], ["--threads", "2", "--seed", "0"], ["--seed", "5"])
    ]
    assert runs[0] == runs[1] == runs[2] != runs[3]


def test_quiet_prints_the_result_only(capsys):
    out = printed(capsys, "train", "digits", "--epochs", "1", "--quiet")
    assert out.count("\n") == 1
    accuracy(out)


@pytest.mark.parametrize(
    ("option", "layer"),
    [
        ("leaky_relu", "LeakyReLU(0.01)"),
        ("sigmoid", "Sigmoid()"),
        ("tanh", "Tanh()"),
        ("gelu", "GELU()"),
        ("silu", "SiLU()"),
        ("elu", "ELU(1)"),
    ],
)
def test_layers_and_activation(capsys, option, layer):
    argv = ["--layers", "32,16", "--activation", option, "--dtype", "float64", "--epochs", "15"]
    out = printed(capsys, "train", "digits", *argv)
    assert f"Linear(64, 32) > {layer} > Linear(32, 16) > {layer} > Linear(16, 10): 2778" in out
    assert accuracy(out)[0] > 0.9


def test_options_reach_the_training(capsys, monkeypatch):
    seen = {}

    def fit(net, X, y, **settings):
        seen.update(settings, net=net, rows=len(X))
        return micrograd.History(loss=[1.0])

    monkeypatch.setattr(micrograd.Network, "fit", fit)
    argv = "--epochs 4 --batch 100 --lr 0.5 --momentum 0.25 --weight-decay 0.125 --seed 3"
    argv += " --dtype float64 --layers none --threads 3"
    printed(capsys, "train", "digits", *argv.split())
    assert core.threads == (3 if core.lib.mg_has_threads() else 1)
    sgd = seen["optimizer"]
    assert (seen["epochs"], seen["batch_size"], seen["seed"]) == (4, 100, 3)
    assert (sgd.momentum, sgd.weight_decay) == (0.25, 0.125)
    assert (seen["net"].dtype, len(seen["net"].layers), seen["net"].seed) == ("float64", 1, 3)
    steps = 4 * 15  # 1438 rows are 15 batches
    assert [sgd.lr(0), sgd.lr(steps // 2), sgd.lr(steps)] == pytest.approx([0.5, 0.25, 0.0])


def test_csv_with_classes(capsys, classes_csv):
    out = printed(capsys, "train", classes_csv, "--target", "tree")
    assert f"{classes_csv}, tree: 120 training rows, 30 test rows, 3 classes" in out
    assert accuracy(out) == (1.0, 30)


@pytest.mark.parametrize("target", ["price", "1", "-3"])
def test_csv_with_a_quantity_is_reported_in_its_units(capsys, quantity_csv, target):
    out = printed(capsys, "train", quantity_csv, "--target", target, "--quiet")
    match = re.fullmatch(r"test R\^2 ([\d.]+), RMSE ([\d.]+) in the target's units\n", out)
    r2, rmse = map(float, match.groups())
    assert 0.99 < r2 < 1
    # The prices spread by 50 * 180 / sqrt(12) and 30 * 50 / sqrt(12): 2634. R^2 has 4 decimals.
    prices = np.loadtxt(quantity_csv, delimiter=",", skiprows=1)[:, 1]
    _, test = micrograd.data.train_test_split(prices, prices, 0.2, 0)[:2]
    assert rmse**2 == pytest.approx((1 - r2) * test.var(), abs=0.6e-4 * test.var())


def test_whole_numbers_can_be_a_quantity(capsys, tmp_path):
    path = write_csv(tmp_path / "n.csv", "a,n", [(i, i % 10) for i in range(50)])
    assert "test accuracy" in printed(capsys, "train", path, "--target", "n", "--quiet")
    argv = ["--target", "n", "--quiet", "--kind", "numbers"]
    assert "RMSE" in printed(capsys, "train", path, *argv)


def test_constant_quantity(capsys, tmp_path):
    path = write_csv(tmp_path / "c.csv", "a,b", [(i, 0.5) for i in range(20)])
    assert "R^2 undefined" in printed(capsys, "train", path, "--target", "b", "--epochs", "1")


def test_folder_of_idx_files_has_its_own_test_part(capsys, idx_folder):
    out = printed(capsys, "train", str(idx_folder), "--layers", "16")
    assert "400 training rows, 60 test rows, 4 classes" in out
    assert "Linear(16, 16) > ReLU() > Linear(16, 4)" in out
    share, rows = accuracy(out)
    assert rows == 60
    assert share > 0.95


@pytest.mark.parametrize("target", [None, "price"])
def test_plot(capsys, tmp_path, quantity_csv, target):
    pytest.importorskip("matplotlib")
    file = tmp_path / "curves.png"
    data = ["digits"] if target is None else [quantity_csv, "--target", target]
    out = printed(capsys, "train", *data, "--epochs", "2", "--plot", str(file))
    assert file.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert re.search(r"^  plotting +[\d.]+ s", out, re.MULTILINE)


# ---- info and help ----


def test_info(capsys):
    out = printed(capsys, "info")
    facts = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert facts["micrograd"].startswith(micrograd.__version__)
    assert facts["instruction"].startswith(f"set {core.isa()} (")
    assert all(name in facts["instruction"] for name in core.supported_isas())
    assert facts["threads"].startswith(str(core.get_num_threads()))
    assert facts["compiler"].startswith(("gcc", "clang"))
    assert f"numpy {np.__version__}" in facts["Python"]


def test_info_compares_the_sources_with_the_build(capsys, tmp_path, monkeypatch):
    if not (ROOT / "csrc").is_dir():
        pytest.skip("the C sources are not here")
    monkeypatch.setattr(micrograd, "__file__", str(tmp_path / "micrograd" / "__init__.py"))
    built = core.ffi.string(core.lib.mg_source_hash()).decode()
    assert f"{built}, sources not installed" in printed(capsys, "info")
    shutil.copytree(ROOT / "csrc", tmp_path / "csrc")
    shutil.copy(ROOT / "build_ffi.py", tmp_path)
    (tmp_path / "csrc" / "new.c").write_text("int unused;\n")
    digest = hashlib.sha256()
    csrc = tmp_path / "csrc"
    for path in sorted(csrc.rglob("*.[ch]")):
        digest.update(path.relative_to(csrc).as_posix().encode() + b"\0" + path.read_bytes())
    current = digest.hexdigest()[:12]
    stale = f"{current}, but the extension is built from {built}: pip install -e {tmp_path}"
    assert stale in printed(capsys, "info")
    assert info.source_state(current, tmp_path) == f"{current}, the extension is built from them"


def test_digits_have_a_recipe_that_any_option_of_training_ends(capsys):
    def trained(*options):
        parser = argparse.ArgumentParser()
        add_options(parser)
        known = parser.parse_args(["digits", *options])
        assert settle(known, is_table=False) is False
        return known.layers, known.epochs, known.lr, known.batch, known.optimizer

    assert trained() == trained("--quiet", "--seed", "3") == ((192,), 15, 0.3, 32, "sgd")
    assert trained("--lr", "0.1") == ((256,), 30, 0.1, 32, "sgd")
    assert trained("--weight-decay", "0") == ((256,), 30, None, 32, "sgd")
    out = printed(capsys, "train", "digits")
    assert "> Linear(192, 10)" in out
    assert accuracy(out)[0] > 0.975


def test_a_command_loads_neither_the_others_nor_what_they_need():
    code = (
        "import sys; from micrograd.cli.main import main; main(['train', 'digits', '--quiet']); "
        "print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    others = (
        "program cli.play cli.diagnose cli.installed plot draw convert tabular sklearn distributed"
    )
    wanted = {f"micrograd.{name}" for name in others.split()} | {"numpy.ma", "concurrent.futures"}
    assert not wanted & set(loaded.stdout.split())


def test_version_and_help(capsys):
    assert printed(capsys, "--version") == f"micrograd {micrograd.__version__}\n"
    for argv in (["--help"], ["-h"]):
        assert all(name in printed(capsys, *argv) for name in commands())
    for name in commands():
        out = printed(capsys, name, "--help")
        assert re.search(rf"example:\n  .*micrograd {name}", out)
    assert "default: 0.9" in printed(capsys, "train", "--help")


def test_help_is_a_command_too(capsys):
    assert main(["--help"]) == 0
    overview = capsys.readouterr().out
    assert printed(capsys, "help") == overview and "micrograd help COMMAND" in overview
    for name in commands():
        assert main([name, "--help"]) == 0
        explained = capsys.readouterr().out
        assert printed(capsys, "help", name) == explained
    assert "usage: micrograd train DATA" in printed(capsys, "help", "train")
    assert "did you mean train?" in error_line(capsys, 2, "help", "trian")


def test_no_arguments_print_help(capsys):
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: micrograd COMMAND")


# ---- errors ----


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("trian digits", "no command 'trian', did you mean train?"),
        ("nonsense", "no command 'nonsense'; see micrograd --help"),
        ("--versoin", "'--versoin', did you mean --version?"),
        ("train", "required: DATA; see micrograd train --help"),
        ("train digits --epoch 3", "'--epoch', did you mean --epochs?"),
        ("train digits --weight_decay=0", "did you mean --weight-decay?"),
        ("train digits more", "unexpected argument 'more'"),
        ("train digits --epochs 0", "argument --epochs: '0' is not a whole number, 1 or more"),
        ("train digits --epochs 1.5", "'1.5' is not a whole number"),
        ("train digits --lr nan", "argument --lr: 'nan' is not a number, 0 or more"),
        ("train digits --lr -1", "argument --lr"),
        ("train digits --momentum 1", "'1' is not a number, 0 or more and less than 1"),
        ("train digits --layers 20,x", "'20,x' is no list of sizes"),
        ("train digits --layers 20,0", "'20,0' is no list of sizes"),
        ("train digits --activation rule", "invalid choice: 'rule'"),
        ("train digits --target x", "--target and --kind are for CSV files, digits is none"),
        ("info more", "unexpected argument 'more'"),
    ],
)
def test_usage_errors(capsys, argv, says):
    assert says in error_line(capsys, 2, *argv.split())


def test_unknown_data(capsys, tmp_path):
    assert "'digts', did you mean digits?" in error_line(capsys, 1, "train", "digts")
    missing = str(tmp_path / "missing.csv")
    assert repr(missing) in error_line(capsys, 1, "train", missing, "--target", "x")


def test_bad_csv(capsys, tmp_path, classes_csv):
    line = error_line(capsys, 1, "train", classes_csv, "--target", "bush")
    assert "no column is named 'bush', the columns are x, y, tree" in line
    bad = write_csv(
        tmp_path / "bad.csv", "a,b", [("?", 3), *((i, i * 1.5) for i in range(9)), ("<5", 3)]
    )
    line = error_line(capsys, 1, "train", bad, "--target", "b")
    assert "bad.csv: line 12, column 1 ('a'): the cell '<5' is not a number" in line
    one = write_csv(tmp_path / "one.csv", "a,b", [(1, "same"), (2, "same")])
    assert "every row is 'same'" in error_line(capsys, 1, "train", one, "--target", "b")


def test_bad_folder(capsys, tmp_path, idx_folder):
    assert "holds none of train-" in error_line(capsys, 1, "train", str(tmp_path))
    labels = idx_folder / "t10k-labels-idx1-ubyte.gz"
    labels.write_bytes(labels.read_bytes()[:-9])
    assert labels.name in error_line(capsys, 1, "train", str(idx_folder))


def test_unreadable_file_is_named(capsys, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", "secret.csv")

    monkeypatch.setattr("micrograd.data.reading.read_bytes", refuse)
    line = error_line(capsys, 1, "train", __file__, "--target", "x")
    assert line == "micrograd: error: secret.csv: Permission denied\n"


def test_divergence(capsys, quantity_csv):
    argv = ["--target", "price", "--lr", "1e30", "--quiet"]
    line = error_line(capsys, 1, "train", quantity_csv, *argv)
    assert "the loss is" in line and "smaller learning rate" in line


def test_plot_errors_come_before_the_training(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(micrograd.Network, "fit", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    argv = ["train", "digits", "--plot"]
    assert "pip install 'micrograd-core[plot]'" in error_line(capsys, 1, *argv, "a.png")
    monkeypatch.setitem(sys.modules, "matplotlib", ModuleType("matplotlib"))
    assert "'a.doc': its name ends in none of .png" in error_line(capsys, 1, *argv, "a.doc")
    missing = str(tmp_path / "no" / "a.png")
    assert "the folder does not exist" in error_line(capsys, 1, *argv, missing)


def test_interrupt(capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(micrograd.Network, "fit", interrupt)
    assert main(["train", "digits", "--quiet"]) == 130
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("micrograd: interrupted") and err.count("\n") == 1


def test_unsupported_instruction_set():
    command = [sys.executable, "-m", "micrograd", "info"]
    environment = {**os.environ, "MICROGRAD_ISA": "mmx", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("micrograd: error: MICROGRAD_ISA='mmx' is unknown; valid here:")
    assert done.stderr.count("\n") == 1


def test_time_counts_from_the_start_of_python():
    """Not from that of a shell that became this process: its waiting is no processor time."""
    assert IMPORTED - time.process_time() <= process_start() < IMPORTED


@pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX")
def test_where_standard_output_is_closed():
    command = 'exec "$0" -m micrograd info >&-'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_terminal_that_cannot_print_a_name_loses_no_model(tmp_path):
    """A report shows the name by its numbers; predictions, which are data, are as they are or an
    error that says so."""
    rows = "".join(f"{i % 7},{'süß' if i % 7 > 3 else 'sauer'}\n" for i in range(40))
    (tmp_path / "t.csv").write_text("größe,geschmack\n" + rows, encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}

    def run(*command):
        return subprocess.run(
            [sys.executable, "-m", "micrograd", *command], cwd=tmp_path, env=environment,
            capture_output=True, check=False,
        )  # fmt: skip

    target = ("--target", "geschmack", "--epochs", "2")
    done = run("train", "t.csv", *target, "--save", "m.safetensors")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "m.safetensors").exists() and rb"\xf6" in done.stdout + done.stderr
    done = run("predict", "m.safetensors", "t.csv")
    assert done.returncode == 1 and done.stderr.startswith(b"micrograd: error: "), done.stderr
    assert not done.stdout
    assert run("predict", "m.safetensors", "t.csv", "--output", "p.csv").returncode == 0
    assert "süß" in (tmp_path / "p.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--target=", "--target COLUMN has to say what to predict"),
        ("--target price --balanced", "--balanced is for classes, "),
        ("--target price --label-smoothing 0.1", "--label-smoothing is for classes, "),
        ("--target price --layers 8 --label-smoothing 0.1", "--label-smoothing is for classes, "),
        ("--target price --preset best --layers 8", "--layers is for one without a preset; leave"),
        ("--target price --preset fast --lr 0.1", "--lr is for one without a preset; leave one"),
        ("--target price --optimizer adam --momentum 0.5", "--momentum is for sgd and rmsprop, "),
    ],
)
def test_options_that_would_do_nothing_are_refused(capsys, quantity_csv, options, said):
    assert said in error_line(capsys, 2, "train", quantity_csv, *options.split())


def test_a_preset_is_for_tables(capsys):
    line = error_line(capsys, 2, "train", "digits", "--preset", "fast")
    assert "--preset is for tables, digits is none" in line
