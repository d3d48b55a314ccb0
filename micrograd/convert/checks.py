"""What all conversions check and share: optional packages, the network, its numbers."""

from __future__ import annotations

import os

import numpy as np

from micrograd import checks
from micrograd.core import Array
from micrograd.engine.value import Value
from micrograd.network.network import Network
from micrograd.parameters import Parameter

Path = str | os.PathLike[str]


def check_network(where: str, net: object) -> None:
    """Raises TypeError where net is no Network."""
    if not isinstance(net, Network):
        raise TypeError(f"{where}: {checks.describe(net)} is no Network")


def check_of_table(where: str, net: Network) -> None:
    """Raises ValueError where outputs are no quantities on the scale of their targets."""
    if net.loss_name.startswith(("poisson", "quantile")):
        raise ValueError(
            f"{where}: loss {net.loss_name!r} has outputs that are no quantities of one scale; "
            "write the network alone (to_onnx, to_c; --unscaled), and scale the answers yourself"
        )


def finite_parameters(where: str, net: Network, dtype: str) -> dict[str, Array]:
    """The parameters by name, as C-contiguous arrays of this dtype.

    Raises:
        ValueError: one is not finite, or is not in this dtype.
    """
    out = {}
    for parameter in net.parameters():
        with np.errstate(over="ignore"):
            data = np.ascontiguousarray(parameter.data, dtype)
        bad = np.argwhere(~np.isfinite(data))
        if len(bad):
            at = tuple(bad[0].tolist())
            raise ValueError(
                f"{where}: {parameter.name}{list(at)} is {parameter.data[at]}, which is no finite "
                f"{dtype}; a network with such a parameter computes nothing"
            )
        out[parameter.name] = data
    return out


def leaves_of(net: Network) -> tuple[list[Value], list[Parameter]]:
    """The Values that the network's Maps and its loss close over, and their parameters."""
    leaves = net.leaves()
    return leaves, net.parameters()[len(net.parameters()) - len(leaves) :]


def probability_function(where: str, net: Network) -> str:
    """What makes probabilities of the network's output: "softmax", "sigmoid" for each output by
    itself, or "binary": those of both classes, of one output.

    Raises:
        ValueError: its loss takes no logits.
    """
    function = net.loss_kind.output
    if function is None:
        raise ValueError(
            f"{where}: probabilities=True, but the loss {net.loss_name!r} has none; "
            "cross_entropy and bce have"
        )
    return "binary" if function == "sigmoid" and net.out_features == 1 else function
