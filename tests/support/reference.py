"""Forward and backward pass of an MLP in numpy float64, with a bound on float32's rounding.

Beside each quantity runs a bound on the error that float32 arithmetic makes in it, to first order:
a sum of k products adds k + 2 roundings of eps/2 of the sum of absolute values, and an error that
comes in is passed on by the derivative of what it goes through.
"""

import math

import numpy as np

EPS = float(np.finfo(np.float32).eps)
LOCAL = 4 * EPS  # of an element-wise function: at most 4 ulps (test_kernels.py)
SQRT_2PI = math.sqrt(2 * math.pi)


def phi(z):
    return np.exp(-z * z / 2) / SQRT_2PI


def normal_cdf(z):
    return np.vectorize(lambda v: math.erfc(-v / math.sqrt(2)) / 2, otypes=[np.float64])(z)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def silu_slope(z, _):
    return sigmoid(z) * (1 + z * sigmoid(-z))


def mish_slope(z, _):
    w = np.tanh(np.logaddexp(0, z))
    return w + z * sigmoid(z) * (1 - w * w)


SCALE, ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. 2017, section 3

# layer -> f(z), f'(z), the largest |f''|; None where f' jumps at 0
ELEMENTWISE = {
    "ReLU": (lambda z, s: np.maximum(z, 0), lambda z, s: (z > 0) * 1.0, None),
    "LeakyReLU": (lambda z, s: np.where(z > 0, z, s * z), lambda z, s: np.where(z > 0, 1, s), None),
    "Sigmoid": (lambda z, s: sigmoid(z), lambda z, s: sigmoid(z) * sigmoid(-z), 0.1),
    "Tanh": (lambda z, s: np.tanh(z), lambda z, s: 1 - np.tanh(z) ** 2, 0.77),
    "SiLU": (lambda z, s: z * sigmoid(z), silu_slope, 0.5),
    "Softplus": (lambda z, s: np.logaddexp(0, z), lambda z, s: sigmoid(z), 0.25),
    "ELU": (
        lambda z, s: np.where(z > 0, z, s * np.expm1(z)),
        lambda z, s: np.where(z > 0, 1, s * np.exp(z)),
        None,
    ),
    "SELU": (
        lambda z, s: SCALE * np.where(z > 0, z, ALPHA * np.expm1(z)),
        lambda z, s: SCALE * np.where(z > 0, 1, ALPHA * np.exp(z)),
        None,
    ),
    "Mish": (lambda z, s: z * np.tanh(np.logaddexp(0, z)), mish_slope, 1.0),
    "GELU": (lambda z, s: z * normal_cdf(z), lambda z, s: normal_cdf(z) + z * phi(z), 0.8),
}


def slope_of(layer):
    return getattr(layer, "negative_slope", getattr(layer, "alpha", 0))


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def loss_and_delta(name, z, y):
    """The loss of each row, its gradient, and the largest second derivative."""
    n = z.shape[1]
    if name == "cross_entropy":
        p = softmax(z)
        log_p = z - z.max(axis=1, keepdims=True)
        log_p = log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))
        return -(y * log_p).sum(axis=1), p - y, 0.5
    d = z - y
    rows = {
        "mse": lambda: (d * d, 2 * d, 2.0),
        "bce": lambda: (np.logaddexp(0, z) - z * y, sigmoid(z) - y, 0.25),
        "mae": lambda: (np.abs(d), np.sign(d), None),
        "huber": lambda: (
            np.where(np.abs(d) <= 1, d * d / 2, np.abs(d) - 0.5), np.clip(d, -1, 1), 1.0
        ),
    }  # fmt: skip
    loss, delta, curvature = rows[name]()
    return loss.mean(axis=1), delta / n, None if curvature is None else curvature / n


def one_hot(net, y, rows):
    y = np.asarray(y)
    if net.loss_name == "cross_entropy" and y.ndim == 1:
        return np.eye(net.out_features)[y]
    return y.astype(np.float64).reshape(rows, net.out_features)


def reference_pass(net, X, y):
    """loss, {name: gradient}, float32's bound of the loss, {name: bound of the gradient}."""
    weights = {p.name: p.data.astype(np.float64) for p in net.parameters()}
    a = np.asarray(X, np.float64)
    error, tape = np.zeros(a.shape), []
    for i, layer in enumerate(net.layers):
        kind = type(layer).__name__
        if kind == "Linear":
            W, b = weights[f"{i}.weight"], weights.get(f"{i}.bias", np.zeros(layer.out_features))
            tape.append((kind, i, a, error))
            size = np.abs(a) @ np.abs(W).T + np.abs(b)
            error = error @ np.abs(W).T + (layer.in_features + 2) * EPS / 2 * size
            a = a @ W.T + b
        elif kind == "Softmax":
            p = softmax(a)
            spread = np.abs(a - a.max(axis=1, keepdims=True))
            relative = 2 * error.max(axis=1, keepdims=True) + (spread + a.shape[1] + 8) * EPS
            a, error = p, p * relative
            tape.append((kind, i, a, error))
        elif kind != "Identity":
            f, df, _ = ELEMENTWISE[kind]
            slope = slope_of(layer)
            tape.append((kind, i, a, error))
            out = f(a, slope)
            error = 1.76 * error + LOCAL * np.maximum(np.abs(a), np.abs(out))
            a = out
    m, y = len(a), one_hot(net, y, len(a))
    rows, delta, curvature = loss_and_delta(net.loss_name, a, y)
    loss = rows.mean()
    local = (a.shape[1] + 40) * EPS  # as for the losses in test_kernels.py
    loss_bound = (np.abs(delta) * error).sum(axis=1).mean() + (error**2).sum() + local * (1 + loss)
    delta_error = local * (np.abs(delta) + np.abs(y) + (net.loss_name == "cross_entropy"))
    if curvature is None:  # the sign may turn
        delta_error += 2 * np.abs(delta) * (np.abs(a - y) <= error)
    elif net.loss_name == "cross_entropy":
        delta_error += softmax(a) * 2 * error.max(axis=1, keepdims=True)
    else:
        delta_error += curvature * error
    gradients, bounds = {}, {}
    for kind, i, a, error in reversed(tape):
        if kind == "Linear":
            W = weights[f"{i}.weight"]
            gradients[f"{i}.weight"] = delta.T @ a / m
            bounds[f"{i}.weight"] = (
                delta_error.T @ np.abs(a)
                + np.abs(delta).T @ error
                + (m + 3) * EPS / 2 * np.abs(delta).T @ np.abs(a)
            ) / m
            gradients[f"{i}.bias"] = delta.mean(axis=0)
            bounds[f"{i}.bias"] = (delta_error + (m + 3) * EPS / 2 * np.abs(delta)).mean(axis=0)
            rounding = (W.shape[0] + 2) * EPS / 2 * np.abs(delta) @ np.abs(W)
            delta, delta_error = delta @ W, delta_error @ np.abs(W) + rounding
        elif kind == "Softmax":
            size = np.abs(delta) + (np.abs(delta) * a).sum(axis=1, keepdims=True)
            delta_error = (
                a * (delta_error + (delta_error * a).sum(axis=1, keepdims=True))
                + error * size
                + a * (error * np.abs(delta)).sum(axis=1, keepdims=True)
                + (a.shape[1] + 4) * EPS * a * size
            )
            delta = a * (delta - (delta * a).sum(axis=1, keepdims=True))
        else:
            _, df, curvature = ELEMENTWISE[kind]
            slope = slope_of(net.layers[i])
            gate = df(a, slope)
            turn = (np.abs(a) <= error) * 1.0 if curvature is None else curvature * error + LOCAL
            delta_error = delta_error * np.abs(gate) + np.abs(delta) * (turn + LOCAL)
            delta = delta * gate
    return loss, gradients, loss_bound, bounds
