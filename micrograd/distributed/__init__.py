"""Data-parallel training over MPI (extra `mpi`), and how far it scales."""

from micrograd.distributed.data_parallel import DataParallel
from micrograd.distributed.drift import DriftError
from micrograd.distributed.reading import shard
from micrograd.distributed.simulate import Prediction, Scaling, simulate

__all__ = ["DataParallel", "DriftError", "Prediction", "Scaling", "shard", "simulate"]
