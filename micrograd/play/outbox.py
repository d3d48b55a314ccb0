"""What pages are to see: of each thing only its newest state, so that nothing piles up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock

Payload = str | bytes


class Outbox:
    """Newest messages by name; written by the thread that trains, read by those that send."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._count = 0
        self._newest: dict[str, tuple[int, Payload]] = {}
        self._listeners: set[Callable[[], None]] = set()

    def put(self, messages: Iterable[tuple[str, Payload]], forget: str = "") -> None:
        """Replaces messages by name; those whose name begins with `forget` go first."""
        with self._lock:
            if forget:
                self._newest = {k: v for k, v in self._newest.items() if not k.startswith(forget)}
            for name, payload in messages:
                self._count += 1
                self._newest[name] = (self._count, payload)
            listeners = list(self._listeners)
        for call in listeners:
            call()

    def since(self, count: int) -> tuple[int, list[tuple[str, Payload]]]:
        """What is newer than a count that this returned before, oldest first, and the new count."""
        with self._lock:
            newer = sorted(
                (n, name, payload) for name, (n, payload) in self._newest.items() if n > count
            )
            return self._count, [(name, payload) for _, name, payload in newer]

    def listen(self, call: Callable[[], None]) -> None:
        """Calls this whenever there is something new, from the thread that put it there."""
        with self._lock:
            self._listeners.add(call)

    def leave(self, call: Callable[[], None]) -> None:
        """Calls it no more."""
        with self._lock:
            self._listeners.discard(call)

    @property
    def listeners(self) -> int:
        """How many listen."""
        with self._lock:
            return len(self._listeners)

    @property
    def size(self) -> int:
        """Characters and bytes that are kept."""
        with self._lock:
            return sum(len(payload) for _, payload in self._newest.values())
