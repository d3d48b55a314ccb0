"""How many threads a rank uses where several share a machine."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from micrograd import core

CHOSEN = ("MICROGRAD_NUM_THREADS", "OMP_NUM_THREADS")  # by whoever started the job


def share_processors(comm: Any) -> bool:
    """Lets each of the ranks on one machine use its share of the processors; all have to call it.
    Returns whether there are more ranks than processors, so that they have to take turns.

    Without it every rank would use as many threads as there are processors, and they would wait for
    each other at every barrier. Nothing changes where the environment says how many threads there
    are to be (MICROGRAD_NUM_THREADS, OMP_NUM_THREADS), or set_num_threads has said fewer. A rank
    that the launcher has bound to processors of its own uses all of those.

    comm: an mpi4py communicator.
    """
    if comm.Get_size() == 1:
        return False
    from mpi4py import MPI

    here = comm.Split_type(MPI.COMM_TYPE_SHARED)
    every = here.allgather(core.processors())
    here.Free()
    own = core.processors()
    users = Counter(processor for each in every for processor in each)
    share = sum(1 / users[processor] for processor in own) + 1e-9
    chosen = any(os.environ.get(name) for name in CHOSEN)
    if not chosen and core.get_num_threads() >= len(own):
        core.set_num_threads(max(1, int(share)))
    return share < 1
