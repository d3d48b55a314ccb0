"""Networks: layers, blocks and losses, lowered to a plan of the C core."""

from micrograd.network.blocks import DenseBlock, Highway, Residual
from micrograd.network.columns import Embedding, Periodic, PiecewiseLinear, Scale
from micrograd.network.layers import (
    GELU,
    Dropout,
    Identity,
    Layer,
    LeakyReLU,
    Linear,
    Map,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from micrograd.network.loss_functions import Poisson, Quantile
from micrograd.network.network import Network
from micrograd.network.predictor import Predictor

__all__ = [
    "GELU",
    "DenseBlock",
    "Dropout",
    "Embedding",
    "Highway",
    "Identity",
    "Layer",
    "LeakyReLU",
    "Linear",
    "Map",
    "Network",
    "Periodic",
    "PiecewiseLinear",
    "Poisson",
    "Predictor",
    "Quantile",
    "ReLU",
    "Residual",
    "Scale",
    "Sigmoid",
    "Softmax",
    "Tanh",
]
