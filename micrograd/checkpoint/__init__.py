"""Recomputation: which activations are kept for the way back, and which are computed again."""

from micrograd.checkpoint.policies import Checkpoint, binomial, budget, every, sqrt

__all__ = ["Checkpoint", "binomial", "budget", "every", "sqrt"]
