"""To ONNX: a file that onnxruntime and other runtimes run."""

from __future__ import annotations

from typing import Any

from micrograd import checks
from micrograd.atomic import write_bytes
from micrograd.convert.checks import Path, probability_function
from micrograd.convert.models import scaled_network
from micrograd.convert.onnx.network import Builder
from micrograd.convert.onnx.table import table_to_onnx
from micrograd.convert.tables import is_tabular, parts_of

LARGEST = 2**31 - 2**20  # bytes: protobuf ends at 2 GiB


def to_onnx(net: Any, path: Path, *, probabilities: bool = False) -> None:
    """Writes the network, as `predict` computes it, to an ONNX file.

    Its input is "X" (batch, in_features), with a batch of any size, in the network's dtype, or in
    double for a Pipeline, whose scaling becomes part of the file. Its
    output is (batch, out_features) and named "logits" for the losses cross_entropy and bce,
    "output" for the others. The names of classes, where the model knows them, are a JSON list under
    "classes" in the metadata of the file.

    In float64, GELU rounds to float32 inside: onnxruntime has its Erf in that dtype alone.

    Args:
        net: the network, dtype float32 or float64, a fitted estimator of micrograd.sklearn or
            scikit-learn's MLP, or a Pipeline of scalers and such an estimator; of a
            TabularClassifier or TabularRegressor the file is that of table_to_onnx.
        path: the file to write; it is there whole or not at all.
        probabilities: the output goes through softmax (cross_entropy) or sigmoid (bce) and is named
            "probabilities"; those of a binary network are (batch, 2), of the second class last.

    Raises:
        ImportError: the onnx package is not installed.
        TypeError: net is none of these, or a layer has no form in ONNX.
        ValueError: a parameter is not finite, there are 2 GiB of them, or the loss has no
            probabilities.
        OSError: the file cannot be written.

    >>> mg.convert.to_onnx(net, "digits.onnx")
    """
    if is_tabular(net):
        networks, table, clamp = parts_of("to_onnx", net)
        table_to_onnx(networks, table, path, clamp=clamp)
        return
    onnx = checks.require("to_onnx", "onnx", "onnx", "onnx")
    net, schema = scaled_network("to_onnx", net)
    function = probability_function("to_onnx", net) if probabilities else None
    if net.parameters().flat.nbytes > LARGEST:
        raise ValueError(
            f"to_onnx: {net.parameters().flat.nbytes} bytes of parameters, but an ONNX file "
            "has at most 2 GiB"
        )
    with net.parameters().access.reading():
        model = Builder(onnx, net, schema).model(function)
    onnx.checker.check_model(model, full_check=True)
    write_bytes(path, model.SerializeToString())
