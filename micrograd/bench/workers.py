"""The parent's end of the workers: a process for each contender and number of threads.

Each is started once, with its number of threads in the environment before Python and any library
load; they run one at a time, when they are asked to.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from multiprocessing.connection import Connection
from typing import Any

from micrograd.bench.contenders import OURS

START_SECONDS = 120.0  # for the import of a framework
PATIENCE_SECONDS = 300.0  # for any answer: compiling a step is the longest

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",  # OpenMP: torch, scikit-learn; ours heeds it, too
    "MKL_NUM_THREADS",  # torch's BLAS
    "OPENBLAS_NUM_THREADS",  # numpy's and scipy's BLAS
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",  # numpy's BLAS on macOS
    "MICROGRAD_NUM_THREADS",
    "NPROC",  # the thread pool of XLA, so of jax
)


# What keeps a library from the instruction sets beyond AVX2: read when it is loaded.
AVX2 = {
    "MICROGRAD_ISA": "avx2",
    "OPENBLAS_CORETYPE": "Haswell",  # numpy's and scipy's BLAS
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's own loops
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # torch
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",  # torch
}


def held_to(isa: str) -> dict[str, str]:
    """The environment in which workers do without AVX-512: settings of each library, and of XLA.

    The products of jax 0.10 do not obey: see tools/without_avx512.c.
    """
    assert isa == "avx2"
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_max_isa=AVX2".strip()
    return {**AVX2, "XLA_FLAGS": flags}


class WorkerError(RuntimeError):
    """A worker said no, or nothing, or is gone; the message is one line."""


def environment(threads: int) -> dict[str, str]:
    """The environment of a worker: this process's, and how many threads to use, for each library.

    Beyond it torch is told by torch.set_num_threads. Whether they obey is measured: see `cores`
    in the report.
    """
    settings = dict.fromkeys(THREAD_VARIABLES, str(threads))
    if threads == 1:
        flags = os.environ.get("XLA_FLAGS", "")
        settings["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    return {**os.environ, "JAX_PLATFORMS": "cpu", **settings}


class Worker:
    """One contender in a process of its own.

    Use start() for all of them first and wait() then, so that they load side by side.
    """

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        self.threads = threads
        self.version: tuple[str, str] | None = None  # of its module
        self.failure: str | None = None  # why it is of no more use
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the process."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "micrograd.bench.worker", self.name, str(self.threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment(self.threads),
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._requests = Connection(os.dup(self._process.stdin.fileno()), readable=False)
        self._replies = Connection(os.dup(self._process.stdout.fileno()), writable=False)
        self._process.stdin.close()
        self._process.stdout.close()

    def wait(self) -> None:
        """Waits until it is ready; `failure` says why if it is not going to be."""
        try:
            self.version = self._reply(START_SECONDS)
        except WorkerError as error:
            self.failure = str(error)

    def ask(self, method: str, *arguments: Any, patience: float = PATIENCE_SECONDS) -> Any:
        """The result of one of the public methods of `micrograd.bench.worker.Server`.

        Raises:
            WorkerError: it failed; if the process is gone or silent, `failure` is set too.
        """
        if self.failure:
            raise WorkerError(self.failure)
        with contextlib.suppress(OSError):  # it is gone: _reply tells what its last words were
            self._requests.send((method, arguments))
        return self._reply(patience)

    def _reply(self, patience: float) -> Any:
        try:
            if not self._replies.poll(patience):
                self.failure = f"no answer within {patience:g} s"
                self.stop()
                raise WorkerError(self.failure)
            status, value = self._replies.recv()
        except (EOFError, OSError):
            self.failure = self._last_words()
            raise WorkerError(self.failure) from None
        if status == "error":
            raise WorkerError(value)
        return value

    def _last_words(self) -> str:
        assert self._process is not None
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"ended with status {code}" + (f": {lines[-1].strip()[:200]}" if lines else "")

    def dismiss(self) -> None:
        """Tells the process to end."""
        if self._process is not None and not self._requests.closed:
            self._requests.close()
            self._replies.close()

    def stop(self) -> None:
        """Ends the process."""
        if self._process is None or self._errors.closed:
            return
        self.dismiss()
        try:
            self._process.wait(2.0 if self.failure is None else 0.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()


class Team:
    """All workers of a run, as a context manager: each contender with each number of threads."""

    def __init__(self, contenders: list[str], threads: list[int]) -> None:
        names = [OURS, *(name for name in contenders if name != OURS)]
        self.workers = {(name, n): Worker(name, n) for n in threads for name in names}

    def __enter__(self) -> Team:
        try:
            for worker in self.workers.values():
                worker.start()
            for worker in self.workers.values():
                worker.wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        for worker in self.workers.values():
            worker.dismiss()
        for worker in self.workers.values():
            worker.stop()

    def of(self, threads: int) -> list[Worker]:
        """The workers with that many threads that still work; ours always, and first."""
        return [
            w
            for (name, n), w in self.workers.items()
            if n == threads and (name == OURS or not w.failure)
        ]

    def failures(self) -> list[str]:
        """One line for each worker that is of no use."""
        return [
            f"{name} ({n} thread{'s' * (n > 1)}): {w.failure}"
            for (name, n), w in self.workers.items()
            if w.failure
        ]

    def versions(self) -> dict[str, str]:
        """The version of each module that takes part."""
        return dict(w.version for w in self.workers.values() if w.version)
