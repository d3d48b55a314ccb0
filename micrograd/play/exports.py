"""What a run can be taken away as: a program, a model file, ONNX, C, a page to step through."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from micrograd import convert
from micrograd.draw.models import of_network
from micrograd.draw.unrolled import Names
from micrograd.network.network import Network
from micrograd.play.dataset import Dataset
from micrograd.play.program import program
from micrograd.play.session import Session

STEPPED = 24  # rows that the page to step through offers as samples
LARGEST_PAGE = 20_000  # parameters of a network that a page shows one by one


@dataclass(frozen=True)
class Taken:
    """A run as it is to be exported: a copy of its network, for any thread, its data, and the
    program that made it."""

    net: Network
    data: Dataset
    program: str


def take(session: Session, number: int) -> Taken:
    """Takes a run out of a session; in the session's thread.

    Raises:
        ValueError: there is no such run.
    """
    if not 0 <= number < len(session.sides):
        raise ValueError(f"export: there is no run {number}")
    run = session.sides[number].run
    if run is None:
        raise ValueError(f"export: nothing is trained yet: {session.sides[number].trouble}")
    return Taken(run.frozen(), run.data, program(run, session.table))


def _file(taken: Taken, name: str, write: Callable[[str], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        write(str(path))
        return path.read_bytes()


def _model(taken: Taken) -> bytes:
    return _file(taken, "model.safetensors", taken.net.save)


def _onnx(taken: Taken) -> bytes:
    schema = taken.data.schema
    if schema is not None:
        return _file(taken, "model.onnx", lambda p: convert.table_to_onnx(taken.net, schema, p))
    return _file(taken, "model.onnx", lambda path: convert.to_onnx(taken.net, path))


def _c(taken: Taken) -> bytes:
    schema, data = taken.data.schema, taken.data
    if schema is not None:
        return _file(
            taken, "model.h", lambda p: convert.table_to_c(taken.net, schema, p, prefix="model_")
        )
    return _file(
        taken, "model.h", lambda path: convert.to_c(taken.net, path, prefix="model_", X=data.X)
    )


def _page(taken: Taken) -> bytes:
    net, data = taken.net, taken.data
    names = Names(list(data.features), list(data.classes))
    small = net.parameters().size <= LARGEST_PAGE
    X, y = data.X[:STEPPED], data.y[:STEPPED]
    return of_network(net, X, y, None if small else True, names).html.encode()


# name of the file: its media type, and what writes it.
EXPORTS: dict[str, tuple[str, Callable[[Taken], bytes]]] = {
    "program.py": ("text/x-python; charset=utf-8", lambda taken: taken.program.encode()),
    "model.safetensors": ("application/octet-stream", _model),
    "model.onnx": ("application/octet-stream", _onnx),
    "model.h": ("text/plain; charset=utf-8", _c),
    "network.html": ("text/html; charset=utf-8", _page),
}
