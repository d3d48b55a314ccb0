"""Ctrl-C that strikes a call on its way out: the model is free for other threads all the same."""

import threading

import numpy as np
import pytest

import micrograd as mg
from micrograd.sharing import Access

LONG = 30.0  # seconds that nothing here takes
X, Y = np.random.default_rng(0).normal(size=(6, 5)), np.arange(6) % 3


def network():
    return mg.Network(mg.Linear(5, 4), mg.ReLU(), mg.Linear(4, 3), seed=0)


def struck(monkeypatch, name, call):
    """Makes a call that an interrupt ends where it begins to leave."""

    def interrupted(self, *_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Access, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            call()


def in_a_thread(action):
    found = []

    def work():
        try:
            found.append(action())
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(LONG)
    assert found, "it waits for ever"
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def trained(net):
    loss = net.loss(X, Y)
    net.backward()
    mg.optim.SGD(net.parameters(), lr=0.1).step()
    net.fit(X, Y, epochs=1)
    return loss


LEAVING = {
    "end_write": lambda net: setattr(net.parameters(), "flat", np.ones(39)),
    "leave": lambda net: net.fit(X, Y, epochs=1),
    "end_read": lambda net: net.predict(X),
}


@pytest.mark.parametrize("name", LEAVING)
@pytest.mark.parametrize("use", [lambda net: net.predict(X), trained, lambda net: net.freeze()(X)])
def test_other_threads_go_on(name, use, monkeypatch):
    net = network()
    struck(monkeypatch, name, lambda: LEAVING[name](net))
    assert np.isfinite(in_a_thread(lambda: use(net))).all()
    assert np.isfinite(trained(net))  # and so does this one
    assert np.isfinite(in_a_thread(lambda: trained(net)))
    access = net.parameters().access
    assert (list(access.free), access.readers, access.written) == ([None], [], False)


def test_a_write_in_a_block_that_has_ended_since(monkeypatch):
    net = network()
    access = net.parameters().access

    def writes():
        with access.training("here"):
            net.parameters().flat = np.ones(39)

    struck(monkeypatch, "end_write", writes)
    assert access.written and access.owner is None and access.free
    assert np.isfinite(in_a_thread(lambda: net.predict(X))).all()
    assert not access.written and np.isfinite(in_a_thread(lambda: trained(net)))


def test_one_whose_exit_was_never_run():
    net = network()
    block = net.parameters().access.training("here")
    in_a_thread(block.__enter__)
    assert net.parameters().access.owner is not None
    assert np.isfinite(trained(net))


def test_who_is_in_a_call_is_not_robbed():
    """However deep in code of its own."""
    net, refused = network(), []

    def other(state):
        for each in (trained, lambda net: mg.clip_grad_norm_(net.parameters(), 1.0)):
            with pytest.raises(RuntimeError, match="another thread is training") as caught:
                in_a_thread(lambda each=each: each(net))
            refused.append(caught.value)

    net.fit(X, Y, epochs=2, callbacks=other)
    assert len(refused) == 4
