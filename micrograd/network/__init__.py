"""Networks: layers, blocks and losses, lowered to a plan of the C core."""

from micrograd.network.blocks import DenseBlock, Highway, Residual
from micrograd.network.columns import Embedding, Parametric, Periodic, PiecewiseLinear, Scale
from micrograd.network.layers import (
    ELU,
    GELU,
    SELU,
    Dropout,
    Identity,
    Layer,
    LeakyReLU,
    Linear,
    Map,
    Mish,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from micrograd.network.loss_functions import Poisson, Quantile
from micrograd.network.many import predict_many
from micrograd.network.network import Network
from micrograd.network.predictor import Predictor

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "DenseBlock",
    "Dropout",
    "Embedding",
    "Highway",
    "Identity",
    "Layer",
    "LeakyReLU",
    "Linear",
    "Map",
    "Mish",
    "Network",
    "Parametric",
    "Periodic",
    "PiecewiseLinear",
    "Poisson",
    "Predictor",
    "Quantile",
    "ReLU",
    "Residual",
    "Scale",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "predict_many",
]
