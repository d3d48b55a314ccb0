"""sharing: many threads read, one trains, and a write keeps the readers out."""

import os
import signal
import threading
import time
import weakref

import pytest
from support.threads import run_all

from micrograd import sharing
from micrograd.sharing import KEPT, Access, Pool


def in_another_thread(function):
    caught = []

    def call():
        try:
            function()
        except RuntimeError as error:
            caught.append(error)

    run_all(call)
    return caught


def test_another_threads_attempt_to_train_is_refused_by_name():
    access = Access()
    with access.training("Network.fit"):
        access.enter("Network.loss")  # the thread that has it may go on
        access.leave()
        with access.training("Network.fit"):
            pass
        (error,) = in_another_thread(lambda: access.enter("Network.loss"))
        assert "Network.loss: another thread" in str(error)
        (error,) = in_another_thread(lambda: access.begin_write("SGD.step"))
        assert "SGD.step: another thread" in str(error)
    access.enter("Network.loss")
    assert in_another_thread(lambda: access.training("Network.fit").__enter__())
    access.leave()
    assert not in_another_thread(lambda: access.enter("Network.loss"))


def test_a_write_sees_no_reader_and_a_reader_no_write(eager_switches):
    """A pair of numbers that only a write may find unequal."""
    access, pair, reads, writes = Access(), [0, 0], [0], [0]
    end = time.monotonic() + 1.0

    def read():
        while time.monotonic() < end:
            with access.reading():
                first = pair[0]
                time.sleep(0)
                assert pair[1] == first
            reads[0] += 1

    def write():
        while time.monotonic() < end:
            with access.writing("w"):
                pair[0] += 1
                time.sleep(0)
                pair[1] += 1
            writes[0] += 1

    run_all(read, read, read, write)
    assert reads[0] > 50  # neither side starves the other
    assert writes[0] > 50
    assert pair == [writes[0], writes[0]]


def test_readers_are_side_by_side():
    access, both = Access(), threading.Barrier(2, timeout=30)

    def read():
        with access.reading():
            both.wait()

    run_all(read, read)


def test_writes_of_two_threads_never_overlap(eager_switches):
    access, inside, refused, done = Access(), [0], [0], [0]
    end = time.monotonic() + 0.5

    def write():
        while time.monotonic() < end:
            try:
                access.begin_write("w")
            except RuntimeError:
                refused[0] += 1
                continue
            inside[0] += 1
            assert inside[0] == 1
            time.sleep(0)
            inside[0] -= 1
            done[0] += 1
            access.end_write()

    run_all(write, write)
    assert refused[0]
    assert done[0]


def test_who_is_late_in_saying_that_it_holds_is_waited_for():
    """A thread that has taken the claim and then got no processor, on a busy machine."""
    access = Access()
    access.free.pop()  # the late thread's, which says so after a third of a second
    late = threading.Timer(0.3, setattr, (access, "holder", -1))
    late.start()
    with pytest.raises(RuntimeError, match="another thread is training"):
        access.enter("a")
    late.join()
    assert access.holder == -1


def test_what_an_interrupt_has_cut_off_is_taken_up_again(monkeypatch):
    """Ctrl-C may strike after a claim has been taken, and before anybody knows of it."""
    monkeypatch.setattr(sharing, "NAPS", 20)  # nobody is late here
    access = Access()
    access.free.pop()  # struck in enter
    access.enter("a")
    access.leave()
    access.enter("b")  # struck in leave: this thread held it, and comes again
    access.enter("b")
    access.leave()
    assert list(access.free) == [None]
    access.begin_read()  # struck in end_read
    with access.writing("w"):
        pass
    access.begin_read()
    access.end_read()
    access.free.pop()
    refused = []

    def takes():  # lost, and whoever comes may have it; the next one, while this thread lives, not
        access.enter("c")
        refused.extend(in_another_thread(lambda: access.enter("d")))

    assert not in_another_thread(takes)
    assert refused


def test_an_interrupted_wait_leaves_nothing_behind(monkeypatch):
    access = Access()

    def interrupted(*_):
        raise KeyboardInterrupt

    reading, done = threading.Event(), threading.Event()

    def read():
        with access.reading():
            reading.set()
            done.wait(60)

    thread = threading.Thread(target=read)
    thread.start()
    assert reading.wait(60)
    with monkeypatch.context() as patch:
        patch.setattr(access._drained, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            access.begin_write("w")
    with access.reading():
        pass
    done.set()
    thread.join(60)
    with access.writing("w"):
        pass


def test_nothing_in_python_is_called_when_one_goes():
    """An interrupt that comes in a weak reference's callback is forgotten by Python."""
    access = Access()
    assert all(each.__callback__ is None for each in weakref.getweakrefs(access))


def test_a_pool_gives_each_caller_its_own():
    made = []
    pool = Pool(lambda: made.append(object()) or made[-1])
    first, second = pool.take(), pool.take()
    assert first is not second
    pool.give(first)
    assert pool.take() is first
    for _ in range(KEPT + 5):
        pool.give(object())
    assert len(pool.idle()) == KEPT


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_is_free_of_what_other_threads_hold():
    access, held, forked = Access(), threading.Event(), threading.Event()

    def hold():
        with access.training("Network.fit"):
            held.set()
            forked.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    pid = os.fork()
    if pid == 0:
        try:
            with access.writing("SGD.step"):
                os._exit(0)
        finally:
            os._exit(1)
    forked.set()
    thread.join(30)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("lock", ["that a reader leaves", "that a claim is lost"])
def test_a_child_waits_for_no_lock_of_a_thread_that_it_does_not_have(lock, monkeypatch):
    """Forked while another thread was just saying that it had left, or looking for a lost claim."""
    monkeypatch.setattr(sharing, "NAPS", 1)
    access, held, forked = Access(), threading.Event(), threading.Event()
    locked = sharing._LOST if lock == "that a claim is lost" else access._drained._cond

    def hold():
        with locked:
            held.set()
            forked.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(20)  # ends a child that waits for ever
            access.free.pop()  # lost
            access.enter("f")
            access.leave()
            access.begin_read()
            run_all(lambda: setattr(access, "written", True))
            access.end_read()
            os._exit(0)
        finally:
            os._exit(1)
    forked.set()
    thread.join(30)
    assert os.waitpid(pid, 0)[1] == 0
