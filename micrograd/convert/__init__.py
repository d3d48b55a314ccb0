"""Networks to and from other libraries and formats; `mg.convert`.

    to_torch, from_torch            a PyTorch module and back; extra `torch`
    state_dict, load_state_dict     the parameters alone, under PyTorch's names
    from_sklearn                    a fitted MLPClassifier or MLPRegressor; extra `sklearn`
    to_onnx                         an ONNX file, which onnxruntime runs; extra `onnx`
    table_to_onnx, table_to_c       a network with the schema of its table: columns in, answers out
    to_c                            one C99 header: weights and a predict function, nothing else

What is converted is the network as `predict` computes it, so Dropout is absent, except in to_torch.
"""

from __future__ import annotations

from micrograd.convert.c.header import to_c
from micrograd.convert.c.parts import CHeader
from micrograd.convert.c.table import CTable, table_to_c
from micrograd.convert.onnx.file import to_onnx
from micrograd.convert.onnx.table import onnx_inputs, table_to_onnx
from micrograd.convert.sklearn import from_sklearn
from micrograd.convert.torch.modules import from_torch, load_state_dict, state_dict, to_torch

__all__ = [
    "CHeader",
    "CTable",
    "from_sklearn",
    "from_torch",
    "load_state_dict",
    "onnx_inputs",
    "state_dict",
    "table_to_c",
    "table_to_onnx",
    "to_c",
    "to_onnx",
    "to_torch",
]
