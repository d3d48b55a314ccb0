"""One model and many threads: who may be at work at the same time, and what each works in."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, get_ident
from typing import Any, Generic, TypeVar
from weakref import WeakSet

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
        free: holds one thing, and nothing while somebody trains: list.pop is atomic.
        owner: the thread that is in a `training` block, or None.
    """

    __slots__ = (
        "__weakref__",
        "_depth",
        "_drained",
        "_readers",
        "_waiting",
        "_writing",
        "free",
        "owner",
    )

    def __init__(self) -> None:
        self.free: list[None] = [None]
        self.owner: int | None = None
        self._depth = 0  # of its blocks
        self._writing = False
        self._readers: list[None] = []
        self._waiting: deque[Any] = deque()  # a locked Lock for each reader that a write keeps out
        self._drained = Event()  # a reader has left while a write waits
        _ALL.add(self)

    # ---- training ----

    def enter(self, where: str) -> None:
        """Takes the right to train for one call, which `leave` ends.

        Raises:
            RuntimeError: another thread has it.
        """
        if self.owner is None:
            try:
                self.free.pop()
            except IndexError:
                raise in_use(where) from None
        elif self.owner != get_ident():
            raise in_use(where)

    def leave(self) -> None:
        """Ends what `enter` began."""
        if self.owner is None:
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
                self.free.append(None)

    # ---- writing ----

    def begin_write(self, where: str) -> None:
        """As `enter`, and waits until nobody reads.

        Raises:
            RuntimeError: another thread trains.
        """
        self.enter(where)
        self._writing = True  # set before `_readers` is looked at; a reader does it the other way
        while self._readers:
            self._drained.wait()
            self._drained.clear()

    def end_write(self) -> None:
        """Ends what `begin_write` began: the readers that have come meanwhile are let in."""
        self._writing = False
        while self._waiting:
            self._readers.append(None)  # for the one that is let in
            try:
                gate = self._waiting.popleft()
            except IndexError:  # it has gone by itself
                self._readers.pop()
                break
            gate.release()
        self.leave()

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
        """Waits until nobody writes; `end_read` has to follow."""
        self._readers.append(None)
        if self._writing:
            self.end_read()
            self._wait()

    def end_read(self) -> None:
        """Ends what `begin_read` began."""
        self._readers.pop()
        if self._writing:
            self._drained.set()

    def _wait(self) -> None:
        """Stands in line until a write has ended, which then counts this thread as a reader."""
        gate = Lock()
        gate.acquire()
        self._waiting.append(gate)
        if not self._writing:  # it may have ended before it could see the gate
            try:
                self._waiting.remove(gate)
            except ValueError:
                pass
            else:
                self.begin_read()
                return
        gate.acquire()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """`begin_read` and `end_read`."""
        self.begin_read()
        try:
            yield
        finally:
            self.end_read()

    def after_fork(self) -> None:
        """In a forked child the other threads are gone, and what they held is free."""
        if self.owner != get_ident():
            self.free, self.owner, self._depth = [None], None, 0
        self._writing = False
        self._readers.clear()
        self._waiting.clear()


def in_use(where: str) -> RuntimeError:
    """What a second thread is told that wants to train a model."""
    return RuntimeError(
        f"{where}: another thread is training this model right now, and one at a time can; give "
        "each thread a copy of its own (copy.deepcopy), or let them take turns (threading.Lock)"
    )


_ALL: WeakSet[Access] = WeakSet()


def _after_fork() -> None:
    for access in _ALL:
        access.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
