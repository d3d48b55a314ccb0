"""Threads of ranks that share a machine."""

import os
import re

import pytest
from support.ranks import run_ranks

SHOW = """
import os, sys, micrograd as mg
from micrograd import core
if len(sys.argv) > 1 and sys.argv[1] == "bound":
    from mpi4py import MPI
    own = sorted(os.sched_getaffinity(0))[MPI.COMM_WORLD.Get_rank()]
    os.sched_setaffinity(0, {own})
elif len(sys.argv) > 1:
    mg.set_num_threads(int(sys.argv[1]))
mg.distributed.DataParallel(mg.Network(mg.Linear(2, 2)))
print(f"<{mg.get_num_threads()}>", flush=True)
"""


pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="the system binds no processes"
)


def threads(ranks, *arguments, **environment):
    done = run_ranks(ranks, SHOW, *arguments, MICROGRAD_NUM_THREADS="", **environment)
    return [int(number) for number in re.findall(r"<(\d+)>", done.stdout)]


def test_ranks_of_one_machine_share_its_processors():
    processors = len(os.sched_getaffinity(0))
    for ranks in (1, 2, processors + 1):
        assert threads(ranks) == [max(1, processors // ranks)] * ranks


def test_what_was_said_counts():
    assert threads(2, OMP_NUM_THREADS="3") == [3, 3]
    assert threads(2, "1") == [1, 1]


def test_ranks_bound_to_processors_of_their_own():
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one processor")
    assert threads(2, "bound") == [1, 1]


def test_ranks_without_a_processor_of_their_own_give_way():
    source = """
import os, sys, micrograd as mg
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[1])])
model = mg.distributed.DataParallel(mg.Network(mg.Linear(2, 2)))
print(f"<{model.wire.crowded}>", flush=True)
"""
    processors = len(os.sched_getaffinity(0))
    for shared, crowded in ((1, True), (processors, processors < 2)):
        done = run_ranks(2, source, shared)
        assert re.findall(r"<(\w+)>", done.stdout) == [str(crowded)] * 2
