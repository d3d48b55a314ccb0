"""A Python without its lock stays without it when the C core has been imported."""

import sysconfig

import pytest
from support.processes import run_python


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has one")
def test_the_core_leaves_the_lock_off():
    said = run_python(
        "import sys; before = sys._is_gil_enabled()\n"
        "import micrograd as mg; mg.Network(mg.Linear(2, 1), loss='mse').predict([[1.0, 2.0]])\n"
        "print(before, sys._is_gil_enabled())"
    ).stdout.split()
    assert said[1] == said[0]
