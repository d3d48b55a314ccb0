"""Runs trainings: one, or several at once, whose steps the C core makes together.

A training is a generator. It yields what Network.train_epochs takes, the network first, goes on
when that has been done, and is thrown what went wrong.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from time import perf_counter
from typing import Any

from micrograd import core
from micrograd.network.network import Network

Training = Generator[Any, None, None]


class Rhythm:
    """How many batches a call of the C core has, so that it takes between `shortest` and `longest`
    seconds: an interrupt is heard only between two calls. It changes no number."""

    def __init__(self, shortest: float = 5e-3, longest: float = 2e-2) -> None:
        self.shortest, self.longest = shortest, longest
        self.batches = 1

    def took(self, seconds: float) -> None:
        """A call of so many batches has taken so long."""
        if seconds < self.shortest:
            self.batches *= 2
        elif seconds > self.longest:
            self.batches = max(1, self.batches // 2)


def alone(training: Training, rhythm: Rhythm) -> None:
    """One training, to its end.

    Raises:
        Exception: what the training raises.
    """
    call = next(training, None)
    while call is not None:
        started = perf_counter()
        try:
            call[0].train_epochs(*call[1:])
        except BaseException as error:  # an interrupt, too: the training knows what it means
            call = _thrown(training, error)
        else:
            rhythm.took(perf_counter() - started)
            call = next(training, None)


def _thrown(training: Training, error: BaseException) -> Any:
    """What it yields next, or None."""
    try:
        return training.throw(error)
    except StopIteration:
        return None


def together(
    trainings: Iterable[Training], rhythm: Rhythm, threads: int, interrupt_all: bool = True
) -> list[BaseException | None]:
    """Trainings of different networks, to their ends, each with the bits of `alone`; what each has
    raised, or None.

    All go on from call to call, a thread has one network or one group of small equal ones.

    Raises:
        KeyboardInterrupt: it has come between two calls; with `interrupt_all` it has been thrown
            into each of them instead.
    """
    everyone = list(trainings)
    outcomes: list[BaseException | None] = [None] * len(everyone)
    calls: dict[int, Any] = {}
    thrown: dict[int, BaseException] = {}
    live = list(range(len(everyone)))
    with core.limited_threads(threads):
        while live:
            calls = {}
            for i in live:
                call, outcomes[i] = _next(everyone[i], thrown.get(i))
                if call is not None:
                    calls[i] = call
            live = list(calls)
            try:
                thrown = _made(calls, rhythm, threads) if calls else {}
            except KeyboardInterrupt as interrupt:
                if not interrupt_all:
                    raise
                thrown = dict.fromkeys(calls, interrupt)
    return outcomes


def _next(training: Training, error: BaseException | None) -> tuple[Any, BaseException | None]:
    """What it yields next, or None where it has ended; and what it has raised."""
    try:
        return (next(training, None) if error is None else _thrown(training, error)), None
    except Exception as raised:
        return None, raised


def _made(calls: dict[int, Any], rhythm: Rhythm, threads: int) -> dict[int, BaseException]:
    """Makes all calls; what went wrong in which."""
    started = perf_counter()
    if len(calls) < threads:  # each has all threads in turn
        errors = [_one(call) for call in calls.values()]
    else:
        errors = Network.train_many(list(calls.values()), threads)
    rhythm.took(perf_counter() - started)
    return {i: e for i, e in zip(calls, errors, strict=True) if e is not None}


def _one(call: Any) -> BaseException | None:
    try:
        call[0].train_epochs(*call[1:])
    except Exception as error:
        return error
    return None
