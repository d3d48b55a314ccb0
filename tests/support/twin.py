"""The same network in PyTorch."""

import numpy as np


def torch_twin(net):
    """The same network in PyTorch, with the same weights."""
    import torch

    kinds = {
        "Linear": lambda x: torch.nn.Linear(x.in_features, x.out_features, x.bias),
        "ReLU": lambda x: torch.nn.ReLU(),
        "LeakyReLU": lambda x: torch.nn.LeakyReLU(x.negative_slope),
        "Sigmoid": lambda x: torch.nn.Sigmoid(),
        "Tanh": lambda x: torch.nn.Tanh(),
        "GELU": lambda x: torch.nn.GELU(),
        "SiLU": lambda x: torch.nn.SiLU(),
        "Softplus": lambda x: torch.nn.Softplus(threshold=40),
        "ELU": lambda x: torch.nn.ELU(x.alpha),
        "SELU": lambda x: torch.nn.SELU(),
        "Mish": lambda x: torch.nn.Mish(),
        "Softmax": lambda x: torch.nn.Softmax(dim=1),
        "Identity": lambda x: torch.nn.Identity(),
    }
    twin = torch.nn.Sequential(*(kinds[type(layer).__name__](layer) for layer in net.layers))
    twin = twin.to(getattr(torch, net.dtype))
    state = {p.name: torch.from_numpy(p.data.copy()) for p in net.parameters()}
    twin.load_state_dict(state, strict=True)
    return twin


def torch_loss(net, twin, X, y, sample_weight=None):
    """The loss of the twin, a tensor, by PyTorch's functions."""
    import torch
    from torch.nn import functional

    kind = getattr(torch, net.dtype)
    z = twin(torch.as_tensor(np.ascontiguousarray(X)).to(kind))
    y = torch.as_tensor(np.ascontiguousarray(y))
    if y.is_floating_point() or net.loss_name != "cross_entropy":
        y = y.to(kind).reshape(z.shape)
    function = {
        "cross_entropy": functional.cross_entropy,
        "mse": functional.mse_loss,
        "bce": functional.binary_cross_entropy_with_logits,
        "mae": functional.l1_loss,
        "huber": functional.huber_loss,
    }[net.loss_name]
    if sample_weight is None:
        return function(z, y)
    rows = function(z, y, reduction="none")
    rows = rows if rows.ndim == 1 else rows.mean(dim=1)
    w = torch.as_tensor(np.asarray(sample_weight)).to(kind)
    return (w * rows).sum() / w.sum()


def torch_gradients(net, X, y, sample_weight=None):
    """loss and {name: gradient} of the twin."""
    twin = torch_twin(net)
    loss = torch_loss(net, twin, X, y, sample_weight)
    loss.backward()
    return loss.item(), {name: p.grad.numpy() for name, p in twin.named_parameters()}
