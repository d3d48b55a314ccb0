"""Optimizers, clipping and penalties."""

from micrograd.optim.clip import clip_grad_norm_, clip_grad_value_
from micrograd.optim.lbfgs import LBFGS
from micrograd.optim.methods import SGD, Adam, AdamW, RMSprop
from micrograd.optim.optimizer import Optimizer

__all__ = [
    "LBFGS",
    "SGD",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "clip_grad_norm_",
    "clip_grad_value_",
]
