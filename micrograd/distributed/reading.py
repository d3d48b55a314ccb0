"""Data that lie in files, of which every rank reads the rows that are its own."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from micrograd import checks
from micrograd.core import Array
from micrograd.distributed.partition import even_part
from micrograd.distributed.pieces import Piece, Pieces, open_piece
from micrograd.distributed.wire import world

Source = str | os.PathLike[str]
WHERE = "distributed.shard"


def shard(
    X: Source,
    y: Source | None = None,
    *,
    target: str | None = None,
    comm: Any = None,
    part: tuple[int, int] | None = None,
) -> tuple[Any, Any]:
    """This rank's rows of data in files, for DataParallel(net, sharded=True).fit(X, y).

    All rows of all files, in the order of their names (x-2 before x-10), are shared out as evenly
    as can be; of files that hold rows of other ranks only, a header is read. What a file is its
    content says:

        npy       mapped: rows are read when a batch needs them
        IDX       mapped; not gzipped. Images of bytes become float32 (rows, pixels) from 0 to 1
        Parquet   the rank's row groups are read at once; all columns but the target are X, float32

    Args:
        X: a file, a folder whose files are all shards, or a pattern such as "data/x-*.npy".
        y: the same for labels or targets, with as many rows in all.
        target: of Parquet files, which hold y too: the name of its column.
        comm: an mpi4py communicator; MPI.COMM_WORLD unless given.
        part: (rank, ranks), where there is no MPI to ask.

    Returns:
        X (rows, ...) and y (rows,) or (rows, targets): arrays, or what can be indexed as them by
        numbers of rows. float32 and whole numbers as they lie in the files.

    Raises:
        ImportError: mpi4py, or pyarrow for Parquet, is not installed.
        OSError: there is no such file.
        TypeError, ValueError: a file is of another kind, damaged, or does not fit the others.

    >>> import numpy as np, os, tempfile, micrograd as mg
    >>> folder = tempfile.mkdtemp()
    >>> for i in range(3):
    ...     np.save(os.path.join(folder, f"x-{i}.npy"), np.full((4, 2), i, "float32"))
    ...     np.save(os.path.join(folder, f"y-{i}.npy"), np.full(4, i))
    >>> X, y = mg.distributed.shard(folder + "/x-*", folder + "/y-*", part=(1, 2))
    >>> y[:].tolist()
    [1, 1, 2, 2, 2, 2]
    """
    rank, ranks = _part(comm, part)
    if (y is None) == (target is None):
        raise TypeError(f"{WHERE}: either y or target is wanted: where the labels are")
    if y is None:
        assert target is not None
        return _tables(_pieces(X, target), rank, ranks)
    features, labels = _pieces(X), _pieces(y)
    counts = [sum(piece.rows for piece in each) for each in (features, labels)]
    if counts[0] != counts[1]:
        raise ValueError(
            f"{WHERE}: X has {counts[0]} rows in {len(features)} file(s), y {counts[1]} in "
            f"{len(labels)}; as many are wanted"
        )
    first, last = _own(features, rank, ranks)
    return _mapped(features, first, last), _mapped(labels, first, last)


def _tables(pieces: Sequence[Piece], rank: int, ranks: int) -> tuple[Array, Array]:
    first, last = _own(pieces, rank, ranks)
    rows = [piece.table(a, b) for piece, a, b in _overlap(pieces, first, last)]
    return np.concatenate([x for x, _ in rows]), np.concatenate([t for _, t in rows])


def _part(comm: Any, part: Any) -> tuple[int, int]:
    if part is None:
        comm = world() if comm is None else comm
        return int(comm.Get_rank()), int(comm.Get_size())
    if not isinstance(part, (tuple, list)) or len(part) != 2:
        raise TypeError(f"{WHERE}: part is {checks.describe(part)}, (rank, ranks) is wanted")
    ranks = checks.count(WHERE, "part's ranks", part[1])
    rank = checks.count(WHERE, "part's rank", part[0], least=0)
    if rank >= ranks:
        raise ValueError(f"{WHERE}: part is rank {rank} of {ranks}; 0 to {ranks - 1} is wanted")
    return rank, ranks


def files_of(source: Source) -> list[str]:
    """The files that a path, a folder or a pattern names, numbers in names in their order.

    Raises:
        FileNotFoundError: there is none.
    """
    text = os.fspath(source)
    if os.path.isdir(text):
        paths = [entry.path for entry in os.scandir(text) if entry.is_file()]
        paths = [path for path in paths if not os.path.basename(path).startswith(".")]
    elif os.path.exists(text):
        return [text]
    else:
        paths = [path for path in glob.glob(text) if os.path.isfile(path)]
    if not paths:
        raise FileNotFoundError(f"{WHERE}: no file is or matches {text!r}")
    return sorted(paths, key=_natural)


def _natural(path: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", path)
    return [(1, int(p), p) if p.isdecimal() else (0, 0, p) for p in parts]


def _pieces(source: Source, target: str | None = None) -> list[Piece]:
    pieces = [open_piece(path, target) for path in files_of(source)]
    first = pieces[0]
    for piece in pieces[1:]:
        if piece.layout != first.layout:
            raise ValueError(
                f"{WHERE}: {piece.path} holds {piece.layout}, {first.path} {first.layout}; shards "
                'of one kind are wanted: name them by a pattern, such as "x-*.npy"'
            )
    return pieces


def _own(pieces: Sequence[Piece], rank: int, ranks: int) -> tuple[int, int]:
    """The rows of this rank, counted over all files."""
    rows = sum(piece.rows for piece in pieces)
    if rows < ranks:
        raise ValueError(f"{WHERE}: {pieces[0].path}: {rows} rows in all for {ranks} ranks")
    own = even_part(rows, rank, ranks)
    return own.first, own.last


def _overlap(pieces: Sequence[Piece], first: int, last: int) -> list[tuple[Piece, int, int]]:
    """The pieces that hold rows [first, last), and which of theirs these are."""
    found, start = [], 0
    for piece in pieces:
        a, b = max(first - start, 0), min(last - start, piece.rows)
        if a < b:
            found.append((piece, a, b))
        start += piece.rows
    return found


def _mapped(pieces: Sequence[Piece], first: int, last: int) -> Any:
    own: list[Array] = [piece.mapped(a, b) for piece, a, b in _overlap(pieces, first, last)]
    kind = pieces[0]
    if len(own) == 1 and kind.as_they_are:
        return own[0]
    return Pieces(own, kind.converted)
