"""Fixtures for the tests of all rooms."""

import sys

import pytest
from support.kernels import DTYPES, ISAS

from micrograd import core


@pytest.fixture(params=ISAS)
def isa(request):
    """Every instruction set of this machine, as the C core's number."""
    return core.ISA_CODES[request.param]


@pytest.fixture(params=DTYPES)
def dtype(request):
    return request.param


@pytest.fixture
def threads():
    """Restores the number of threads after a test that changes it."""
    before = core.threads
    yield core.set_num_threads
    core.set_num_threads(before)


@pytest.fixture
def eager_switches():
    """Threads take turns every few bytecodes."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
