"""Fixtures for the tests of all rooms."""

import os
import shutil
import signal
import sys
from importlib.util import find_spec

import pytest
from support.kernels import DTYPES, ISAS

from micrograd import core

# Where scikit-learn is not installed, the folder of our tests of that name would pass for it.
if "sklearn" not in sys.modules and getattr(find_spec("sklearn"), "origin", None) is None:
    sys.modules["sklearn"] = None

# A shell that starts its jobs behind it lets them ignore Ctrl-C, which tests send to themselves.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# fixtures that make one file or process, which the threads of a test would all write to
OF_ONE_THREAD = {"path", "saved", "saver", "large"}


def pytest_collection_modifyitems(items):
    """For pytest-run-parallel: it gives each thread a tmp_path of its own, and nothing else."""
    unsafe = pytest.mark.thread_unsafe(reason="threads of one test would write one file")
    for item in items:
        if OF_ONE_THREAD & {*getattr(item, "fixturenames", ())}:
            item.add_marker(unsafe)


# of Chromium, in the tests of pages
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run"]
ARGUMENTS += [f"--disable-{what}" for what in ("background-networking", "component-update", "sync")]


@pytest.fixture(params=ISAS)
def isa(request):
    """Every instruction set of this machine, as the C core's number."""
    return core.ISA_CODES[request.param]


@pytest.fixture(params=DTYPES)
def dtype(request):
    return request.param


@pytest.fixture(autouse=True, scope="session")
def whole_teams():
    """Calls that ask for two threads get them, however busy the machine is."""
    core.lib.mg_set_patient(True)


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


@pytest.fixture(scope="module")
def browser():
    """Debian's chromium, driven by playwright; skipped where either is missing.

    Gone at the end of a file: while it runs, no other event loop can in this process. A library in
    front of Python's (a sanitizer's) is not for it: with AddressSanitizer's it never starts.
    """
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    env = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS, env=env)
        yield running
        running.close()
