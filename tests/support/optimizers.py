"""Optimizers with settings worth testing, and a small network to step with each."""

import numpy as np
import pytest

import micrograd as mg
from micrograd.optim import (
    SGD,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    NAdam,
    RAdam,
    RMSprop,
)

SETTINGS = [
    (SGD, {"lr": 0.1}),
    (SGD, {"lr": 0.1, "weight_decay": 0.01}),
    (SGD, {"lr": 0.05, "momentum": 0.9}),
    (SGD, {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.03}),
    (SGD, {"lr": 0.05, "momentum": 0.8, "nesterov": True}),
    (SGD, {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.02}),
    (RMSprop, {}),
    (RMSprop, {"lr": 0.02, "alpha": 0.9, "eps": 1e-5, "weight_decay": 0.01}),
    (RMSprop, {"lr": 0.003, "momentum": 0.9}),
    (RMSprop, {"lr": 0.003, "centered": True, "eps": 1e-4}),
    (RMSprop, {"lr": 0.003, "centered": True, "eps": 1e-4, "momentum": 0.5, "weight_decay": 0.1}),
    (Adam, {}),
    (Adam, {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.01}),
    (Adam, {"lr": 0.02, "betas": (0.5, 0.9), "amsgrad": True}),
    (AdamW, {}),
    (AdamW, {"lr": 0.02, "weight_decay": 0.3, "betas": (0.8, 0.99)}),
    (AdamW, {"lr": 0.01, "amsgrad": True, "betas": (0.9, 0.5)}),
    (SGD, {"lr": 0.02, "momentum": 0.9, "dampening": 0.3}),
    (SGD, {"lr": 0.001, "momentum": 0.5, "weight_decay": 0.4, "maximize": True}),
    (RMSprop, {"lr": 0.001, "maximize": True, "weight_decay": 0.1}),
    (Adam, {"lr": 0.001, "maximize": True, "weight_decay": 0.1}),
    (AdamW, {"lr": 0.001, "maximize": True}),
    (Adagrad, {}),
    (Adagrad, {"lr": 0.05, "lr_decay": 0.01, "weight_decay": 0.02, "eps": 1e-6}),
    (Adagrad, {"lr": 0.05, "initial_accumulator_value": 0.4, "maximize": True}),
    (Adamax, {}),
    (Adamax, {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-5, "weight_decay": 0.1}),
    (Adamax, {"lr": 0.001, "maximize": True}),
    (NAdam, {}),
    (NAdam, {"lr": 0.003, "betas": (0.8, 0.99), "weight_decay": 0.01, "momentum_decay": 0.02}),
    (NAdam, {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    (NAdam, {"lr": 0.001, "maximize": True}),
    (RAdam, {"lr": 0.005}),
    (RAdam, {"lr": 0.01, "betas": (0.8, 0.9), "eps": 1e-5, "weight_decay": 0.1}),
    (RAdam, {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    (RAdam, {"lr": 0.005, "maximize": True}),
]
IDS = [f"{kind.__name__}({', '.join(settings)})-{i}" for i, (kind, settings) in enumerate(SETTINGS)]
every_setting = pytest.mark.parametrize("kind, settings", SETTINGS, ids=IDS)


def network(dtype="float64", seed=0):
    return mg.Network(
        mg.Linear(3, 7), mg.Tanh(), mg.Linear(7, 2), loss="mse", dtype=dtype, seed=seed
    )


def data(rows=12, dtype="float64"):
    rng = np.random.default_rng(1)
    return rng.normal(size=(rows, 3)).astype(dtype), rng.normal(size=(rows, 2)).astype(dtype)


def step(net, optimizer, X, y):
    optimizer.zero_grad()
    loss = net.loss(X, y)
    net.backward()
    optimizer.step()
    return loss
