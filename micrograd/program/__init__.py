"""Scalar functions in C: recorded once, run over whole batches."""

from micrograd.program.program import Program, compile
from micrograd.program.recorder import RecordingError

__all__ = ["Program", "RecordingError", "compile"]
