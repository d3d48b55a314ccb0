"""A network in 8 bits: its scales from rows that it is shown, and its integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from micrograd.convert.checks import leaves_of
from micrograd.convert.int8.ops import Blend, Dense, Factors, Join, Op, Sum, Table
from micrograd.convert.int8.quant import (
    FEWEST,
    HIGH,
    LARGEST_WEIGHT,
    LOW,
    STEPS,
    Quant,
    calibrated,
    factors,
    itself,
)
from micrograd.convert.steps import INPUT, Add, Concat, Gate, Graph, Step, graph_of
from micrograd.core import Array
from micrograd.network import columns, layers
from micrograd.network.network import Network

SHOWN = 2048  # rows, of those given, that scales are calibrated on
MOST_INPUTS = 32768  # of a Linear: its sums then have 31 bits
MOST_BIAS = 1 << 29
HEADROOM = 1.1  # of the outputs: a row may give a little more than the rows that were shown
SHARE = Quant(1 / 255, LOW)  # of the gate of a Highway

REFUSED: dict[type, str] = {
    layers.Softmax: "end the network with its logits (loss='cross_entropy'), whose largest is the "
    "class",
}


@dataclass(frozen=True)
class Int8Network:
    """A network in integers; `predict_int8` is what the C header computes, to the bit.

    graph: its steps; ops: what each does; quants: how the numbers of each value are stored.
    """

    graph: Graph
    ops: list[Op]
    quants: list[Quant]

    @property
    def input(self) -> Quant:
        """Scale and zero of the rows."""
        return self.quants[INPUT]

    @property
    def output(self) -> Quant:
        """Scale and zero of what predict_int8 gives."""
        return self.quants[self.graph.output]

    def predict_int8(self, x: Array) -> Array:
        """The outputs (rows, n) of rows (rows, in_features), int8 both."""
        values: dict[int, Array] = {INPUT: x}
        for step, op in zip(self.graph.steps, self.ops, strict=True):
            values[step.output] = op.run([values[i] for i in step.inputs])
        return values[self.graph.output]

    def predict(self, X: Array) -> Array:
        """The same of real rows, in float64."""
        blocks = np.array_split(X, max(1, len(X) // SHOWN))
        parts = [self.predict_int8(self.input.stored(block)) for block in blocks]
        return self.output.restored(np.concatenate(parts))


class Scaling:
    """Kind of a step: (x - centre) * factor for each column of the rows."""


def int8_network(
    where: str, net: Network, X: Array, scaling: tuple[Array, Array] | None = None
) -> Int8Network:
    """The network in 8 bits, for rows like X (rows, in_features), real.

    scaling: (centre, factor) of the columns, where rows are scaled before the network.

    Raises:
        TypeError: a layer has no form in 8 bits; says which, and what to do.
        ValueError: X is not finite or makes a number that is not; a layer has too many inputs.
    """
    bad = np.argwhere(~np.isfinite(X))
    if len(bad):
        row, column = bad[0].tolist()
        raise ValueError(
            f"{where}: X[{row}, {column}] is {X[row, column]}; finite numbers are wanted"
        )
    return _Builder(where, net, X, scaling).built()


class _Builder:
    """Carries rows through the steps in float64, and finds each value's scale on the way."""

    def __init__(
        self, where: str, net: Network, X: Array, scaling: tuple[Array, Array] | None
    ) -> None:
        self.where, self.net, self.scaling = where, net, scaling
        self.parameters = {p.name: p.data.astype(np.float64) for p in net.parameters()}
        self.graph = _fused(graph_of(where, net), scaling is not None)
        self.functions = {
            step.output: self._function(step) for step in self.graph.steps if _is_table(step)
        }
        self.values = {INPUT: X[:: max(1, len(X) // SHOWN)].astype(np.float64)}
        first = self.values[INPUT]
        self.quants = [Quant.between(float(first.min()), float(first.max()))]

    def built(self) -> Int8Network:
        """All steps."""
        ops = []
        for step in self.graph.steps:
            inputs = [self.values[i] for i in step.inputs]
            assert step.output == len(self.quants)
            values, op = self._step(step, inputs)
            if not np.isfinite(values).all():
                raise ValueError(
                    f"{self.where}: layer {step.path} {step.layer} gives a number that is not "
                    "finite for a row of X; quantize='int8' wants rows on which none does"
                )
            self.values[step.output] = values
            ops.append(op())
        return Int8Network(self.graph, ops, self.quants)

    def _step(self, step: Step, inputs: list[Array]) -> tuple[Array, Callable[[], Op]]:
        """What the step gives, and what makes its op once that is known to be finite."""
        with np.errstate(all="ignore"):
            if step.kind is layers.Linear:
                z = self._linear(step, inputs[0])
                return z, lambda: self._dense(step, z)
            if _is_table(step):
                a = self.functions[step.output](inputs[0])
                return a, lambda: self._table(step, a)
            if step.kind is Add:
                total = inputs[0] + inputs[1]
                return total, lambda: self._sum(step, total)
            if step.kind is Gate:
                t, f, x = inputs
                mixed = t * f + (1 - t) * x
                return mixed, lambda: self._blend(step, mixed)
            if step.kind is Concat:
                together = np.concatenate(inputs, axis=1)
                return together, lambda: self._join(step, together)
            if step.kind is columns.Scale:
                factor = self.parameters[f"{step.path}.weight"]
                scaled = inputs[0] * factor
                return scaled, lambda: self._factors(step, factor, np.zeros_like(factor), scaled)
            if step.kind is Scaling:
                assert self.scaling is not None
                centre, factor = self.scaling
                scaled = (inputs[0] - centre) * factor
                return scaled, lambda: self._factors(step, factor, centre, scaled)
        advice = REFUSED.get(
            step.kind, "quantize='int8-weights' (--int8-weights) keeps its arithmetic in float"
        )
        raise TypeError(
            f"{self.where}: layer {step.path} {step.layer} has no form in 8-bit integers; {advice}"
        )

    def _give(self, step: Step, values: Array, least: float = 0.0) -> Quant:
        """The scale of what a step gives: that which serves the one that reads it."""
        readers = [each for each in self.graph.steps if step.output in each.inputs]
        if step.output == self.graph.output:
            low, high = float(values.min()), float(values.max())
            quant = Quant.between(HEADROOM * low, HEADROOM * high, least)
        elif len(readers) == 1 and _is_table(readers[0]):
            quant = calibrated(values, self.functions[readers[0].output], least)
        elif len(readers) == 1 and readers[0].kind is layers.Linear:
            weight = self.parameters[f"{readers[0].path}.weight"].T
            quant = calibrated(values, lambda x: x @ weight, least)
        else:
            quant = calibrated(values, itself, least)
        self.quants.append(quant)
        return quant

    def _linear(self, step: Step, x: Array) -> Array:
        z: Array = x @ self.parameters[f"{step.path}.weight"].T
        z += self.parameters.get(f"{step.path}.bias", 0.0)
        return np.maximum(z, 0.0) if isinstance(step.layer, layers.ReLU) else z

    def _dense(self, step: Step, z: Array) -> Op:
        weight = self.parameters[f"{step.path}.weight"]
        if weight.shape[1] > MOST_INPUTS:
            raise ValueError(
                f"{self.where}: layer {step.path} has {weight.shape[1]} inputs, quantize='int8' "
                f"takes up to {MOST_INPUTS}, of which 32 bits hold the sum"
            )
        bias = self.parameters.get(f"{step.path}.bias", np.zeros(len(weight)))
        came = self.quants[step.inputs[0]]
        scale = np.abs(weight).max(axis=1) / LARGEST_WEIGHT
        scale = np.maximum(scale, np.abs(bias) / (came.scale * MOST_BIAS))
        gives = self._give(step, z, STEPS * float(scale.max()) * came.scale)
        scale = np.maximum(scale, FEWEST * gives.scale / came.scale)
        q = np.rint(weight / scale[:, None])
        start = np.rint(bias / (scale * came.scale)) - came.zero * q.sum(axis=1)
        multiplier, shift = factors(scale * came.scale / gives.scale)
        return Dense(q.astype(np.int8), start.astype(np.int32), multiplier, shift, gives.zero)

    def _function(self, step: Step) -> Callable[[Array], Array]:
        """A layer that works on each number by itself, as a function of an array, in float64."""
        assert step.layer is not None
        alone = Network(layers.Linear(1, 1, bias=False), step.layer, loss="mse", dtype="float64")
        parameters = alone.parameters()
        parameters[0].data[...] = 1.0
        known = dict(zip(*leaves_of(self.net), strict=True))
        for leaf, own in zip(*leaves_of(alone), strict=True):
            own.data[...] = known[leaf].data
        return lambda values: alone.predict(values.reshape(-1, 1)).reshape(values.shape)

    def _table(self, step: Step, a: Array) -> Op:
        every = np.arange(LOW, HIGH + 1).astype(np.int8)
        came = self.quants[step.inputs[0]].restored(every)
        gate = any(each.kind is Gate and each.inputs[0] == step.output for each in self.graph.steps)
        if gate:
            self.quants.append(SHARE)
        gives = SHARE if gate else self._give(step, a)
        with np.errstate(all="ignore"):
            made = self.functions[step.output](came)
        # a number beside those that X makes may have no value: that of the nearest that has one
        known = np.flatnonzero(np.isfinite(made))
        nearest = np.abs(np.arange(len(made))[:, None] - known).argmin(axis=1)
        return Table(gives.stored(made[known][nearest]))

    def _sum(self, step: Step, total: Array) -> Op:
        zeros, multipliers, shift, zero = self._pair(step, step.inputs, total, 20, 1.0)
        return Sum(zeros, multipliers, shift, zero)

    def _blend(self, step: Step, mixed: Array) -> Op:
        return Blend(*self._pair(step, step.inputs[1:], mixed, 12, 1 / 255))

    def _pair(
        self, step: Step, inputs: tuple[int, ...], values: Array, bits: int, factor: float
    ) -> tuple[tuple[int, int], tuple[int, int], int, int]:
        """Two factors with a common shift, so that the larger has so many bits."""
        a, b = (self.quants[i] for i in inputs)
        gives = self._give(step, values, max(a.scale, b.scale) * 2.0**-8)
        real = factor * np.array([a.scale, b.scale]) / gives.scale
        shift = bits - int(np.ceil(np.log2(real.max())))
        m, n = (int(each) for each in np.rint(real * 2.0**shift))
        return (a.zero, b.zero), (m, n), shift, gives.zero

    def _factors(self, step: Step, weight: Array, centre: Array, values: Array) -> Op:
        """weight (x - centre): 31 bits hold 128 times a factor of 21, and a bias of 30."""
        came = self.quants[step.inputs[0]]
        gives = self._give(step, values, came.scale * float(np.abs(weight).max()) * 2.0**-8)
        real = weight * came.scale / gives.scale
        start = gives.zero - real * (came.zero + centre / came.scale)
        largest = max(float(np.abs(real).max()), float(np.abs(start).max()) * 2.0**-8, 2.0**-8)
        shift = max(0, 21 - int(np.ceil(np.log2(largest))))
        multiplier, bias = (
            np.clip(np.rint(each * 2.0**shift), -MOST_BIAS, MOST_BIAS).astype(np.int32)
            for each in (real, start)
        )
        return Factors(multiplier, bias, shift)

    def _join(self, step: Step, together: Array) -> Op:
        gives = self._give(step, together)
        every = np.arange(LOW, HIGH + 1).astype(np.int8)
        quants = [self.quants[i] for i in step.inputs]
        first, second = (
            None if quant == gives else Table(gives.stored(quant.restored(every)))
            for quant in quants
        )
        return Join((first, second))


def _is_table(step: Step) -> bool:
    """Whether it works on each number by itself."""
    return isinstance(step.layer, (layers.Activation, layers.Map)) and step.kind not in (
        layers.Linear,
        layers.Softmax,
    )


def _fused(graph: Graph, scaled: bool) -> Graph:
    """The same, after a Scaling if there is one, with each ReLU part of the Linear before it, which
    nothing else reads: what is clipped at -128 is clipped at zero. Such a step has the ReLU for its
    layer."""
    readers: dict[int, int] = {}
    for step in graph.steps:
        for value in step.inputs:
            readers[value] = readers.get(value, 0) + 1
    fused = Graph(columns=[graph.columns[INPUT]])
    place = {INPUT: INPUT}
    if scaled:
        place[INPUT] = fused.add(Scaling, [INPUT], graph.columns[INPUT], None, "rows")
    made: dict[int, Step] = {}
    for step in graph.steps:
        before = made.get(step.inputs[0])
        relu = step.kind is layers.ReLU and before is not None and before.kind is layers.Linear
        if relu and before is not None and readers[step.inputs[0]] == 1:
            place[step.output] = before.output
            merged = Step(before.kind, before.inputs, before.output, step.layer, before.path)
            fused.steps[before.output - 1] = merged
            continue
        inputs = [place[i] for i in step.inputs]
        columns_ = graph.columns[step.output]
        place[step.output] = fused.add(step.kind, inputs, columns_, step.layer, step.path)
        made[step.output] = fused.steps[-1]
    fused.output = place[graph.output]
    return fused
