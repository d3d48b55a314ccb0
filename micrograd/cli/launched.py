"""Which rank of a job this process is, before there is MPI to ask."""

from __future__ import annotations

from collections.abc import Mapping

RANK_VARIABLES = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID")  # of the usual launchers


def is_first(environment: Mapping[str, str]) -> bool:
    """Whether this process is rank 0, as its launcher says, or was started by none."""
    return all(environment.get(name, "0") == "0" for name in RANK_VARIABLES)
