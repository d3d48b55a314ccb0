"""All contenders of this suite run with one thread; `micrograd bench` is the one for more."""

import pytest

import micrograd as mg


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    before = mg.get_num_threads()
    mg.set_num_threads(1)
    with threadpoolctl.threadpool_limits(1):
        yield
    mg.set_num_threads(before)
