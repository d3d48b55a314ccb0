"""Ctrl-C while `micrograd train` runs: nothing that was complete is lost, and it can go on."""

import re
import signal

import numpy as np
import pytest
from support.commands import printed

import micrograd as mg
from micrograd.cli import main
from micrograd.cli.interrupt import LastEpoch

pytest.importorskip("safetensors")


def interrupt_in(monkeypatch, epoch):
    """A SIGINT after so many batches of this epoch; 0 comes before the end of the first."""
    plain, step = LastEpoch.on_epoch, mg.Network.train_step
    seen = {"epochs": 0, "steps": 0}

    def on_epoch(self, state):
        plain(self, state)
        seen["epochs"], seen["steps"] = state.epoch, 0

    def train_step(self, *arguments):
        seen["steps"] += 1
        if seen == {"epochs": epoch, "steps": 5}:
            signal.raise_signal(signal.SIGINT)
        return step(self, *arguments)

    monkeypatch.setattr(LastEpoch, "on_epoch", on_epoch)
    monkeypatch.setattr(mg.Network, "train_step", train_step)


@pytest.mark.parametrize("extra", [(), ("--patience", "3"), ("--optimizer", "adam")], ids=str)
def test_the_last_whole_epoch_is_saved_and_training_goes_on_from_it(
    capsys, monkeypatch, tmp_path, extra
):
    whole, broken = str(tmp_path / "whole"), str(tmp_path / "broken")
    argv = ("train", "digits", "--epochs", "5", "--dropout", "0.1", "--quiet", *extra)
    want = printed(capsys, *argv, "--save", whole)
    with monkeypatch.context() as patch:
        interrupt_in(patch, 3)
        assert main([*argv, "--save", broken]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(r"interrupted; 3 whole epochs are in .*broken; to go on: .* --resume", err)
    assert printed(capsys, *argv, "--resume", broken) == want
    one, other = mg.load(whole), mg.load(broken)
    np.testing.assert_array_equal(one.parameters().flat, other.parameters().flat)


def test_nothing_is_written_before_an_epoch_is_complete(capsys, monkeypatch, tmp_path):
    interrupt_in(monkeypatch, 0)
    path = tmp_path / "model"
    path.write_bytes(b"before")
    assert main(["train", "digits", "--quiet", "--save", str(path)]) == 130
    assert "nothing is saved" in capsys.readouterr().err
    assert path.read_bytes() == b"before"


def test_without_a_file_it_says_what_would_have_kept_it(capsys, monkeypatch):
    interrupt_in(monkeypatch, 2)
    assert main(["train", "digits", "--quiet"]) == 130
    assert "with --save the last whole epoch would be kept" in capsys.readouterr().err


def test_the_most_frequent_class_stands_beside_the_accuracy(capsys):
    out = printed(capsys, "train", "digits", "--epochs", "1")
    _, _, y, y_test = mg.data.train_test_split(*mg.data.digits(), 0.2, 0)
    most = np.bincount(y).argmax()
    share = 100 * (y_test == most).mean()
    assert f"always {most}: accuracy {share:.2f} %" in out
