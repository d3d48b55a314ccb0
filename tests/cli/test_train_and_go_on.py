"""What `micrograd train --save` wrote, Python loads and trains on with its optimizer."""

import pytest

import micrograd as mg
from micrograd.cli.main import main

pytest.importorskip("safetensors")


def test_the_saved_optimizer_goes_on(tmp_path, capsys):
    path = str(tmp_path / "m")
    assert main(["train", "digits", "--epochs", "2", "--save", path, "--quiet"]) == 0
    net = mg.load(path)
    assert isinstance(net.optimizer.lr, mg.schedule.Cosine)
    steps, (X, y) = net.optimizer.steps, mg.data.digits()
    history = net.fit(X, y, epochs=1, optimizer=net.optimizer, seed=0)
    assert net.optimizer.steps > steps and len(history.loss) == 1
    capsys.readouterr()
