"""To and from PyTorch: modules, and state_dicts of the parameters alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from micrograd import checks, core
from micrograd.convert.checks import check_network, leaves_of
from micrograd.convert.scalar_function import scalar_function
from micrograd.convert.steps import no_form
from micrograd.core import Array
from micrograd.engine.value import Value
from micrograd.network import blocks, columns, layers
from micrograd.network.layers import Layer
from micrograd.network.network import Network
from micrograd.program.ops import PARAMETER

if TYPE_CHECKING:
    import torch


def to_torch(net: Network) -> torch.nn.Module:
    """A torch.nn.Sequential of the same layers, dtype and parameters, in evaluation mode.

    The names in its state_dict are those of net.parameters(). Weights are copied. `.train()`
    switches Dropout on.

    Raises:
        ImportError: PyTorch is not installed.
        TypeError: net is no Network.

    >>> import torch
    >>> module = mg.convert.to_torch(net)
    >>> bool(np.allclose(module(torch.from_numpy(X)).detach(), net.predict(X), atol=1e-4))
    True
    """
    torch = checks.require("to_torch", "PyTorch", "torch", "torch")
    check_network("to_torch", net)
    state = state_dict(net)
    leaves, parameters = leaves_of(net)
    shared = {
        leaf: (p.name, torch.nn.Parameter(state[p.name]))
        for leaf, p in zip(leaves, parameters, strict=True)
    }
    made = _Modules({leaf: parameter for leaf, (_, parameter) in shared.items()})
    module = torch.nn.Sequential(*made.sequence(net.layers, ""))
    module.to(getattr(torch, net.dtype))
    for leaf in made.used:
        name, parameter = shared[leaf]
        try:
            module.register_parameter(name, parameter)
        except KeyError as error:
            raise ValueError(
                f"to_torch: the label {name!r} cannot name a parameter in PyTorch: {error.args[0]}"
            ) from None
    module.load_state_dict({name: state[name] for name in module.state_dict()})
    return module.eval()


class _Modules:
    """Makes the modules; leaves: parameters that Maps share, of which some are used."""

    def __init__(self, leaves: Mapping[Value, Any]) -> None:
        self.leaves = leaves
        self.used: list[Value] = []

    def sequence(self, body: Sequence[Layer], prefix: str) -> list[torch.nn.Module]:
        """The modules of layers, whose paths begin with the prefix."""
        return [self.module(layer, f"{prefix}{i}") for i, layer in enumerate(body)]

    def module(self, layer: Layer, path: str) -> torch.nn.Module:
        """The module of one layer."""
        from torch import nn

        from micrograd.convert.torch import blocks as torch_blocks
        from micrograd.convert.torch import columns as torch_columns

        def body(x: blocks.Block) -> list[nn.Module]:
            return self.sequence(x.layers, f"{path}.")

        def extra(x: blocks.Block, name: str) -> nn.Module | None:
            found = x.extra().get(name)
            return None if found is None else _linear(found)

        table: dict[type, Callable[[Any], nn.Module]] = {
            layers.Linear: _linear,
            layers.ReLU: lambda _: nn.ReLU(),
            layers.LeakyReLU: lambda x: nn.LeakyReLU(x.negative_slope),
            layers.Sigmoid: lambda _: nn.Sigmoid(),
            layers.Tanh: lambda _: nn.Tanh(),
            layers.GELU: lambda _: nn.GELU(),
            layers.SiLU: lambda _: nn.SiLU(),
            layers.Softplus: lambda _: nn.Softplus(threshold=40),  # 20, its default, is seen
            layers.ELU: lambda x: nn.ELU(x.alpha),
            layers.SELU: lambda _: nn.SELU(),
            layers.Mish: lambda _: nn.Mish(),
            layers.Softmax: lambda _: nn.Softmax(dim=1),
            layers.Identity: lambda _: nn.Identity(),
            layers.Dropout: lambda x: nn.Dropout(x.p),
            layers.Map: self.map,
            columns.Scale: lambda x: torch_columns.Scale(x.features),
            columns.Parametric: lambda x: torch_columns.Parametric(
                self.module(x.activation, path), x.features
            ),
            columns.Periodic: lambda x: torch_columns.Periodic(
                x.takes, x.worked_on, x.frequencies, x.width, x.sigma
            ),
            columns.PiecewiseLinear: lambda x: torch_columns.PiecewiseLinear(x.edges, x.takes),
            columns.Embedding: lambda x: torch_columns.Embedding(x.pairs, x.takes),
            blocks.Residual: lambda x: torch_blocks.Residual(body(x), extra(x, "projection")),
            blocks.Highway: lambda x: torch_blocks.Highway(body(x), extra(x, "gate")),
            blocks.DenseBlock: lambda x: torch_blocks.DenseBlock(
                body(x), list(map(len, x.groups()))
            ),
        }
        if type(layer) not in table:
            no_form("to_torch", layer, path)
        return table[type(layer)](layer)

    def map(self, layer: layers.Map) -> torch.nn.Module:
        """A Map, which notes the leaves that it uses."""
        from micrograd.convert.torch import scalar as torch_scalar

        function = scalar_function(layer.f, list(self.leaves))
        numbers = {operands[0] for name, operands, _ in function.ops if name == PARAMETER.name}
        self.used += [leaf for i, leaf in enumerate(self.leaves) if i in numbers]
        return torch_scalar.Map(function, str(layer)[4:-1], list(self.leaves.values()))


def _linear(layer: layers.Linear) -> torch.nn.Module:
    from torch import nn

    return nn.utils.skip_init(nn.Linear, layer.in_features, layer.out_features, layer.bias)


def from_torch(
    module: torch.nn.Module, loss: Any = "cross_entropy", seed: int | None = None
) -> Network:
    """A Network of the same layers, dtype and parameters as a PyTorch module.

    Args:
        module: Sequential, nested at will, of Linear, the activations of this package (GELU the
            exact one), Softmax over features, Identity, Dropout, Flatten (nothing to do for rows of
            features), the blocks and the layers for columns that to_torch makes; or one Linear.
            Inner Sequentials are flattened, so the parameters after one get other names.
        loss: what the Network is trained with; a module does not say.
        seed: the Network's.

    Weights are copied; a Linear that stands twice becomes two.

    Raises:
        ImportError: PyTorch is not installed.
        TypeError, ValueError: a module that has no counterpart, named with its path; parameters
            that are neither all float32 nor all float64.

    >>> import torch
    >>> module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> mg.convert.from_torch(module).predict(np.ones((1, 4))).shape
    (1, 3)
    """
    torch = checks.require("from_torch", "PyTorch", "torch", "torch")
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"from_torch: {checks.describe(module)} is no torch.nn.Module")
    pairs = list(_pairs(module, ""))
    dtype = _dtype(module)
    net = Network(*(layer for layer, _ in pairs), loss=loss, dtype=dtype, seed=seed)
    state = {
        f"{i}.{name}": tensor
        for i, (_, source) in enumerate(pairs)
        for name, tensor in source.state_dict().items()
    }
    load_state_dict(net, state)
    return net


def _pairs(module: Any, path: str) -> Iterator[tuple[Layer, Any]]:
    """The layers, each with the module it comes from."""
    from torch import nn

    if module._forward_hooks or module._forward_pre_hooks:
        raise ValueError(f"from_torch: {_named(module, path)} has forward hooks; remove them first")
    if type(module) is nn.Sequential:
        for name, child in module.named_children():
            yield from _pairs(child, f"{path}.{name}" if path else name)
    elif not (type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1)):
        yield _layer(module, path), module


def _layer(module: Any, path: str) -> Layer:
    from torch import nn

    from micrograd.convert.torch import blocks as torch_blocks
    from micrograd.convert.torch import columns as torch_columns

    def body(x: torch_blocks.Block) -> list[Layer]:
        return [_layer(child, f"{path}.{i}") for i, child in enumerate(x.body())]

    table: dict[type, Callable[[Any], Layer]] = {
        nn.Linear: lambda x: layers.Linear(x.in_features, x.out_features, x.bias is not None),
        nn.ReLU: lambda _: layers.ReLU(),
        nn.LeakyReLU: lambda x: layers.LeakyReLU(x.negative_slope),
        nn.Sigmoid: lambda _: layers.Sigmoid(),
        nn.Tanh: lambda _: layers.Tanh(),
        nn.GELU: lambda _: layers.GELU(),
        nn.SiLU: lambda _: layers.SiLU(),
        nn.Softplus: lambda _: layers.Softplus(),
        nn.ELU: lambda x: layers.ELU(x.alpha),
        nn.SELU: lambda _: layers.SELU(),
        nn.Mish: lambda _: layers.Mish(),
        nn.Softmax: lambda _: layers.Softmax(),
        nn.Identity: lambda _: layers.Identity(),
        nn.Dropout: lambda x: layers.Dropout(x.p),
        torch_blocks.Residual: lambda x: blocks.Residual(
            *body(x), projection=x.projection is not None
        ),
        torch_blocks.Highway: lambda x: blocks.Highway(*body(x)),
        torch_blocks.DenseBlock: lambda x: blocks.DenseBlock(*body(x)),
        torch_columns.Scale: lambda x: columns.Scale(len(x.weight)),
        torch_columns.Parametric: lambda x: columns.Parametric(
            cast("layers.Activation", _layer(x.activation, path)), len(x.weight)
        ),
        torch_columns.Periodic: lambda x: columns.Periodic(
            x.in_features, len(x.frequency), x.frequency.shape[1], x.weight.shape[1], x.sigma
        ),
        torch_columns.PiecewiseLinear: lambda x: columns.PiecewiseLinear(x.edges, x.in_features),
        torch_columns.Embedding: lambda x: columns.Embedding(
            tuple(n for n, _ in x.pairs), tuple(m for _, m in x.pairs), x.in_features
        ),
    }
    named = _named(module, path)
    if type(module) not in table:
        raise TypeError(
            f"from_torch: {named} has no counterpart; Sequential, Flatten() and "
            f"{', '.join(kind.__name__ for kind in table)} have"
        )
    if type(module) is nn.GELU and module.approximate != "none":
        raise ValueError(f"from_torch: {named} is an approximation; GELU() is exact here")
    if type(module) is nn.Softplus and (module.beta != 1 or module.threshold < 20):
        raise ValueError(f"from_torch: {named} is not log(1 + exp(z)), which Softplus() is here")
    if type(module) is nn.Softmax and module.dim not in (None, 1, -1):
        raise ValueError(f"from_torch: {named} is not over the features; Softmax(dim=1) is")
    return table[type(module)](module)


def _named(module: Any, path: str) -> str:
    text = " ".join(repr(module).split())
    return f"module {path} {text:.80}" if path else f"{text:.80}"


def _dtype(module: Any) -> str:
    names = {str(tensor.dtype).removeprefix("torch.") for tensor in module.parameters()}
    if len(names) > 1 or not names <= set(core.DTYPES):
        raise ValueError(
            f"from_torch: parameters are {' and '.join(sorted(names))}; "
            f"all {' or all '.join(core.DTYPES)} is wanted, module.float() makes them float32"
        )
    return names.pop() if names else "float32"


def state_dict(net: Network) -> dict[str, torch.Tensor]:
    """The parameters by name, copied into tensors: what `module.load_state_dict` takes.

    Raises:
        ImportError: PyTorch is not installed.
        TypeError: net is no Network.

    >>> list(mg.convert.state_dict(net))
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """
    torch = checks.require("state_dict", "PyTorch", "torch", "torch")
    check_network("state_dict", net)
    with net.parameters().access.reading():
        return {p.name: torch.from_numpy(p.data.copy()) for p in net.parameters()}


def load_state_dict(net: Network, mapping: Mapping[str, Any]) -> None:
    """Copies parameters into a network, converting them to its dtype.

    Args:
        net: takes every parameter; is unchanged if there is an error.
        mapping: name to tensor or array, with exactly the names and shapes of net.parameters():
            the state_dict of a module with the same layers.

    Raises:
        TypeError: net is no Network, mapping no mapping, or a value no array of real numbers.
        ValueError: names are missing or not known, or a shape differs.
        RuntimeError: another thread is training the network.

    >>> twin = mg.Network(mg.Linear(64, 32), mg.ReLU(), mg.Linear(32, 10))
    >>> mg.convert.load_state_dict(twin, mg.convert.state_dict(net))
    >>> np.array_equal(twin.predict(X), net.predict(X))
    True
    """
    check_network("load_state_dict", net)
    if not isinstance(mapping, Mapping):
        raise TypeError(f"load_state_dict: {checks.describe(mapping)} is no mapping of names")
    parameters = {p.name: p for p in net.parameters()}
    missing = [name for name in parameters if name not in mapping]
    unknown = [str(name) for name in mapping if name not in parameters]
    if missing or unknown:
        parts = [("misses", missing), ("has no place for", unknown)]
        told = "; ".join(f"{verb} {_listed(names)}" for verb, names in parts if names)
        raise ValueError(f"load_state_dict: the network {told}")
    arrays = {name: _array(name, mapping[name]) for name in parameters}
    for name, parameter in parameters.items():
        if arrays[name].shape != parameter.shape:
            raise ValueError(
                f"load_state_dict: {name} has shape {arrays[name].shape}, "
                f"the network's is {parameter.shape}"
            )
    with net.parameters().access.writing("load_state_dict"):
        for name, parameter in parameters.items():
            parameter.data[...] = arrays[name]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _array(name: str, value: Any) -> Array:
    if hasattr(value, "detach"):  # a tensor, which may be elsewhere, or bfloat16
        value = value.detach().cpu()
        if value.is_floating_point() and value.element_size() < 4:
            value = value.float()
        value = value.numpy()
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"load_state_dict: {name} is {checks.describe(value)}, no array of numbers")
    return array
