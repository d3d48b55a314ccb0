"""The kernels of optimizers: by hand, on every instruction set, with threads, in float32."""

import itertools

import numpy as np
import pytest
from support.bits import same_bits
from support.kernels import address, code
from support.optimizers import data, every_setting, network, step

from micrograd.core import ffi, lib
from micrograd.optim import (
    SGD,
    Adam,
    AdamW,
    RMSprop,
)
from micrograd.parameters import Parameters


def struct(kind, p, g, states, isa, **settings):
    c = ffi.new("mg_optimizer *", {"kind": kind, "isa": isa, "dtype": code(p), "n": len(g)})
    c.parameters, c.gradients, c.largest = address(p), address(g), np.inf
    for i, state in enumerate(states):
        c.state[i] = ffi.NULL if state is None else address(state)
    for name, value in settings.items():
        setattr(c, name, value)
    return c


@pytest.mark.parametrize("n", [1, 5, 16, 50])
def test_sgd_by_hand(isa, dtype, n):
    """p = 1, g = 2, v = 4, weight decay 1/2, momentum 1/4, lr 1/8: exact in binary."""

    def one(steps=1, **settings):
        p, g, v = np.full(n + 1, 1, dtype), np.full(n, 2, dtype), np.full(n + 1, 4, dtype)
        state = [v] if settings.get("momentum") else []
        c = struct(lib.MG_SGD, p, g, state, isa, steps=steps, lr=0.125, **settings)
        assert lib.mg_optimizer_step(c, 1) == lib.MG_OK
        assert p[n] == 1 and v[n] == 4 and (g == 2).all() and c.steps == steps + 1
        assert len(set(p[:n])) == len(set(v[:n])) == 1
        return p[0], v[0]

    assert one() == (0.75, 4)
    assert one(weight_decay=0.5) == (1 - 2.5 / 8, 4)
    assert one(momentum=0.25) == (1 - 3 / 8, 3)
    assert one(momentum=0.25, steps=0) == (0.75, 2)
    assert one(momentum=0.25, weight_decay=0.5) == (1 - 3.5 / 8, 3.5)
    assert one(momentum=0.25, nesterov=1) == (1 - 2.75 / 8, 3)


@pytest.mark.parametrize("n", [1, 15, 16, 17, 100, 5000])
def test_every_instruction_set_takes_the_same_steps(isa, dtype, n):
    """All kinds and states against the formulas in float64: a few roundings each step."""
    eps = np.finfo(dtype).eps
    shared = {"lr": 0.01, "weight_decay": 0.1, "eps": 1e-3}
    for kind, three, momentum in itertools.product(
        (lib.MG_RMSPROP, lib.MG_ADAM, lib.MG_ADAMW), (False, True), (0.0, 0.5)
    ):
        rng = np.random.default_rng(n)
        p, g = (rng.normal(size=n).astype(dtype) for _ in range(2))
        s, m, most = np.zeros(n, dtype), np.zeros(n, dtype), np.zeros(n, dtype)
        rms = kind == lib.MG_RMSPROP
        v = np.zeros(n, dtype)
        states = [s, v if momentum else None, m if three else None] if rms else [m, s]
        states += [most] if three and not rms else []
        settings = {"alpha": 0.75, "beta1": 0.75, "beta2": 0.875, "momentum": momentum, **shared}
        c = struct(kind, p, g, states, isa, **settings)
        P, S, M, V, MOST = p.astype(float), *np.zeros((4, n))
        for t in range(1, 4):
            assert lib.mg_optimizer_step(c, 1) == lib.MG_OK
            G = g.astype(float) + (0 if kind == lib.MG_ADAMW else 0.1 * P)
            if rms:
                S, M = 0.75 * S + 0.25 * G * G, 0.75 * M + 0.25 * G
                U = G / (np.sqrt(S - M * M if three else S) + 1e-3)
                V = momentum * V + U
                P = P - 0.01 * V
            else:
                P = P * (1 - 0.001) if kind == lib.MG_ADAMW else P
                M, S = 0.75 * M + 0.25 * G, 0.875 * S + 0.125 * G * G
                MOST = np.maximum(MOST, S)
                root = np.sqrt((MOST if three else S) / (1 - 0.875**t)) + 1e-3
                P = P - 0.01 * M / (1 - 0.75**t) / root
        np.testing.assert_allclose(p, P, rtol=40 * eps, atol=40 * eps)
        np.testing.assert_allclose(s, S, rtol=20 * eps, atol=20 * eps)


@pytest.mark.parametrize("kind", [SGD, RMSprop, Adam, AdamW])
def test_threads_change_no_bit(kind, threads):
    rng, n, ends = np.random.default_rng(0), 1_000_003, []
    start, g = rng.normal(size=(2, n)).astype("float32")
    for count in (1, 2, 3):
        threads(count)
        params = Parameters([("w", (n,))], np.dtype("float32"))
        params.flat[:] = start
        params.flat_grad[:] = g
        optimizer = kind(params, lr=0.01)
        for _ in range(3):
            optimizer.step()
        ends.append(params.flat.copy())
    assert same_bits(ends[0], ends[1]) and same_bits(ends[0], ends[2])
    assert (ends[0] != start).mean() > 0.99


def test_bad_structs(isa):
    p = np.zeros(3)
    for kind, states in [(-1, []), (lib.MG_OPTIMIZERS, []), (lib.MG_RMSPROP, []),
                         (lib.MG_ADAM, [p]), (lib.MG_ADAMW, [p])]:  # fmt: skip
        c = struct(kind, p, p, states, isa)
        assert lib.mg_optimizer_step(c, 1) == lib.MG_BAD_ARGUMENT and c.steps == 0


@every_setting
def test_float32_follows_float64(kind, settings):
    """Each step rounds a weight once; tanh and the sums add a few roundings: 100 steps, 1e-4.

    Where g nearly vanishes, its sign is what an adaptive rule sees: 100 steps of lr then.
    """
    (X, y), ends = data(), {}
    for dtype in ("float32", "float64"):
        net = network(dtype)
        optimizer = kind(net.parameters(), **settings)
        for _ in range(100):
            step(net, optimizer, X.astype(dtype), y.astype(dtype))
        ends[dtype] = net.parameters().flat.copy()
    np.testing.assert_allclose(ends["float32"], ends["float64"], atol=1e-3)
    assert np.abs(ends["float64"] - network().parameters().flat).max() > 0.05
