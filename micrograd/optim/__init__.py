"""Optimizers, clipping and penalties."""

from micrograd.optim.adam import Adam, Adamax, AdamW, NAdam, RAdam
from micrograd.optim.clip import clip_grad_norm_, clip_grad_value_
from micrograd.optim.lbfgs import LBFGS
from micrograd.optim.methods import SGD, Adagrad, RMSprop
from micrograd.optim.optimizer import Optimizer

__all__ = [
    "LBFGS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "clip_grad_norm_",
    "clip_grad_value_",
]
