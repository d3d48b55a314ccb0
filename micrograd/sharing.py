"""One model and many threads: who may be at work at the same time, and what each works in."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, get_ident
from time import sleep
from typing import Any, Generic, TypeVar
from weakref import ref

GRACE = 0.1  # seconds after which a write looks again whether its readers have left
NAPS = 2000  # of a millisecond, after which what nobody holds is lost, and not just being taken
KEPT = 16  # idle workspaces of a pool: as many threads take turns without making new ones

T = TypeVar("T")


class Pool(Generic[T]):
    """Workspaces for callers that run side by side: each takes one, and gives it back.

    make: makes another one when all are taken; it may be called by several threads at once.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._idle: deque[T] = deque(maxlen=KEPT)

    def take(self) -> T:
        """An idle one, the last that was given back, else a new one."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._make()

    def give(self, item: T) -> None:
        """Puts one back; of more than KEPT the oldest is dropped."""
        self._idle.append(item)

    def idle(self) -> list[T]:
        """Those that nobody uses right now."""
        return list(self._idle)


class Access:
    """Who is at work on the parameters of a model.

    Training (loss, backward, forward, fit, step) belongs to one thread at a time: another thread's
    attempt is a RuntimeError. Reading (predict, evaluate, a program's call) is for any number of
    threads side by side. Writing the parameters is training that keeps readers out: it waits for
    those that are at work, and those that come meanwhile wait for it. The next write lets them go
    first, so nobody starves.

    A call of the C core is surrounded by `enter` and `leave` (training), `begin_write` and
    `end_write`, or `begin_read` and `end_read`: these take some tens of nanoseconds, and a step of
    a small network takes a few thousand. A run of many such calls is a `training` block.

    Attributes:
        free: holds one thing, and nothing while somebody trains: deque.pop is atomic, and keeps
            the memory that append needs, so that leaving cannot fail (a list's, from CPython 3.12
            on, is freed when it is empty).
        owner: the thread that is in a `training` block, or None.
        holder: the thread that has taken what was in `free`, or None.
        written: somebody writes, or waits for readers to leave so that it can.
        readers: the threads that read.
        waiting: a gate for each reader that a write keeps out.
    """

    __slots__ = (
        "__weakref__",
        "_depth",
        "_drained",
        "free",
        "holder",
        "owner",
        "readers",
        "waiting",
        "written",
    )

    def __init__(self) -> None:
        self.free: deque[None] = deque([None])
        self.owner: int | None = None
        self.holder: int | None = None
        self._depth = 0  # of the owner's blocks
        self.written = False
        self.readers: list[int] = []
        self.waiting: deque[Any] = deque()
        self._drained = _allocated(Event)  # a reader has left while a write waits
        _ALL[id(self)] = ref(self)

    # ---- training ----

    def enter(self, where: str) -> None:
        """Takes the right to train for one call, which `leave` ends.

        Raises:
            RuntimeError: another thread has it.
        """
        me = get_ident()  # it takes memory: before anything is claimed
        if self.owner is None:
            try:
                self.free.pop()
            except IndexError:
                self.contend(where)
            self.holder = me
        elif self.owner != me:
            raise in_use(where)

    def contend(self, where: str) -> None:
        """Nothing is in `free`: somebody trains, or an interrupt (Ctrl-C) has struck between two
        instructions and what was taken is lost. Returns where it was, and is this thread's now.

        Raises:
            RuntimeError: another thread trains.
        """
        if self.holder == get_ident():  # a call of this thread that an interrupt has ended
            return
        naps = 0  # not the clock: on a busy machine, or in a process that is stopped for a while,
        while self.holder is None:  # the other thread may be late in saying that it is the holder
            try:
                self.free.pop()
                return
            except IndexError:
                if naps == NAPS:
                    break
                naps += 1
                sleep(0.001)
        else:  # it trains, or did a moment ago: what it has put back is not for this thread too
            raise in_use(where)
        with _LOST:
            if self.holder is not None or self.owner is not None:
                raise in_use(where)
            self.holder = get_ident()

    def leave(self) -> None:
        """Ends what `enter` began."""
        if self.owner is None:
            self.holder = None
            if not self.free:
                self.free.append(None)

    @contextmanager
    def training(self, where: str) -> Iterator[None]:
        """Only this thread trains inside the block, which may hold further blocks and calls.

        Raises:
            RuntimeError: another thread trains.
        """
        if self.owner != get_ident():
            self.enter(where)
            self.owner = get_ident()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self.owner = None
                self.leave()

    # ---- writing ----

    def begin_write(self, where: str) -> None:
        """As `enter`, and waits until nobody reads.

        Raises:
            RuntimeError: another thread trains.
        """
        me = get_ident()
        if self.owner is None:  # `enter`, written out: a step of an optimizer is short
            try:
                self.free.pop()
            except IndexError:
                self.contend(where)
            self.holder = me
        elif self.owner != me:
            raise in_use(where)
        try:
            self.written = True  # before `readers` is looked at; a reader does it the other way
            if self.readers:
                self.wait_for_readers()
        except BaseException:
            self.end_write()
            raise

    def wait_for_readers(self) -> None:
        """Of a write that has said so in `written`: returns when nobody reads."""
        me = get_ident()
        while me in self.readers:  # a call of this thread that an interrupt has ended
            self.readers.remove(me)
        while self.readers:
            self._drained.wait(GRACE)
            self._drained.clear()

    def end_write(self) -> None:
        """Ends what `begin_write` began: the readers that have come meanwhile are let in."""
        self.written = False
        if self.waiting:
            self.let_in()
        if self.owner is None:
            self.holder = None
            if not self.free:
                self.free.append(None)

    def let_in(self) -> None:
        """Counts those that a write has kept out as readers, and lets them go on."""
        while self.waiting:
            try:
                gate = self.waiting.popleft()
            except IndexError:  # it has gone by itself
                break
            self.readers.append(gate.thread)
            gate.lock.release()

    @contextmanager
    def writing(self, where: str) -> Iterator[None]:
        """`begin_write` and `end_write`.

        Raises:
            RuntimeError: another thread trains.
        """
        self.begin_write(where)
        try:
            yield
        finally:
            self.end_write()

    # ---- reading ----

    def begin_read(self) -> None:
        """Waits until nobody writes; `end_read` has to follow. Who reads already does not wait: a
        write that waits for it would wait for ever. Nor does who writes: it would wait for itself,
        where a schedule or a signal's handler looks at the model between two calls of the C core.
        """
        me = get_ident()
        try:
            self.readers.append(me)
            if self.written and self.holder != me and self.readers.count(me) == 1:
                self.end_read()
                self._wait(me)
        except BaseException:  # an interrupt while it stood in line, or before
            if me in self.readers:
                self.end_read()
            raise

    def end_read(self) -> None:
        """Ends what `begin_read` began."""
        self.readers.remove(get_ident())
        if self.written:
            self._drained.set()

    def _wait(self, me: int) -> None:
        """Stands in line until a write has ended, which then counts this thread as a reader."""
        gate = _Gate(me)
        self.waiting.append(gate)
        try:
            if self.written or not self._gone(gate):
                gate.lock.acquire()
                return
        except BaseException:
            self._gone(gate)
            raise
        self.begin_read()  # the write had ended before it could see the gate

    def _gone(self, gate: _Gate) -> bool:
        """Takes a gate out of the line; False where a write has let it in already."""
        try:
            self.waiting.remove(gate)
        except ValueError:
            return False
        return True

    @contextmanager
    def reading(self) -> Iterator[None]:
        """`begin_read` and `end_read`."""
        self.begin_read()
        try:
            yield
        finally:
            self.end_read()

    def after_fork(self) -> None:
        """In a forked child the other threads are gone, and what they held is free: locks too, that
        of an event which one of them was just setting among them."""
        self._drained = _allocated(Event)
        if self.owner != get_ident():
            self.free, self.owner, self.holder, self._depth = deque([None]), None, None, 0
        self.written = False
        self.readers.clear()
        self.waiting.clear()


def new_lock() -> Any:
    """A Lock.

    Raises:
        MemoryError: there is no memory for it; Python says RuntimeError then.
    """
    return _allocated(Lock)


def _allocated(kind: Callable[[], T]) -> T:
    try:
        return kind()
    except RuntimeError as error:
        raise MemoryError(str(error)) from None


class _Gate:
    """What a reader waits at that a write keeps out."""

    __slots__ = ("lock", "thread")

    def __init__(self, thread: int) -> None:
        self.thread = thread
        self.lock = new_lock()
        self.lock.acquire()


def in_use(where: str) -> RuntimeError:
    """What a second thread is told that wants to train a model."""
    return RuntimeError(
        f"{where}: another thread is training this model right now, and one at a time can; give "
        "each thread a copy of its own (copy.deepcopy), or let them take turns (threading.Lock)"
    )


# By address, which another takes over in time. A WeakSet hears of each that goes by a callback in
# Python, and an interrupt that comes in one of those is printed and forgotten.
_ALL: dict[int, ref[Access]] = {}
_LOST = Lock()  # held while somebody decides that a claim is lost


def _after_fork() -> None:
    global _LOST
    _LOST = Lock()
    for known in list(_ALL.values()):
        access = known()
        if access is not None:
            access.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
