"""The thread that a session belongs to: it does what is asked, and trains in between."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from micrograd.play.session import Session

T = TypeVar("T")
SLICE = 0.012  # seconds of training between two pictures
ALONE = 60.0  # seconds after which a session that nobody looks at pauses


class Engine:
    """Runs a session in a thread of its own: a model belongs to one thread at a time."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._asked: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(target=self._work, name="micrograd play", daemon=True)
        self._thread.start()

    def ask(self, call: Callable[[], T]) -> Future[T]:
        """Has something done in the session's thread; what it raises, the Future raises."""
        future: Future[T] = Future()
        self._asked.put((call, future))
        return future

    def close(self) -> None:
        """Ends the thread."""
        self._asked.put(None)
        self._thread.join()

    def _work(self) -> None:
        session, wait, seen = self.session, 0.0, time.monotonic()
        while True:
            try:
                if session.playing:
                    asked = self._asked.get(timeout=wait) if wait else self._asked.get_nowait()
                else:
                    asked = self._asked.get()
            except queue.Empty:
                wait = session.train(SLICE)
                session.publish()
                if session.outbox.listeners:
                    seen = time.monotonic()
                elif time.monotonic() - seen > ALONE:
                    session.handle('{"do": "pause"}')
                continue
            if asked is None:
                return
            seen = time.monotonic()
            call, future = asked
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:
                    future.set_exception(error)
