"""The plans of a network: training, predicting, and what they take in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from micrograd.checkpoint.chain import replay
from micrograd.checkpoint.policies import Checkpoint, every
from micrograd.core import ffi, lib
from micrograd.network import reverse
from micrograd.network.functions import Functions
from micrograd.network.initial import draw, starts
from micrograd.network.layers import Layer
from micrograd.network.losses import Loss
from micrograd.network.lowering import Graph, Purpose, lower
from micrograd.network.reverse import Passes
from micrograd.network.storage import make_plan
from micrograd.parameters import Parameters


class Plans:
    """Makes plans of the C core for some layers, all of which use the same `parameters`.

    checkpoint: the schedule of recomputation, or None. Where it depends on the rows of a batch,
    `training` is None until they are known, and made anew for more of them (`depends_on_rows`).
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        in_features: int,
        loss: Loss,
        dtype: str,
        seed: int,
        checkpoint: Checkpoint | None,
    ) -> None:
        self._layers, self._in_features, self._dtype = layers, in_features, dtype
        self._seed, self._checkpoint = seed, checkpoint
        self._starts = tuple(starts(layers))
        self.out_features = in_features
        for layer in layers:
            self.out_features = layer.gives(self.out_features)
        first_scalar = sum(math.prod(shape) for s in self._starts for _, shape in s.shapes())
        self.functions = Functions(layers, loss, self.out_features, first_scalar, dtype)
        self.parameters = self._initial_parameters()
        self.depends_on_rows = checkpoint is not None and checkpoint.depends_on_rows
        self.training: Any = None
        self.passes = Passes()  # those of `training`
        self.output = 0  # the buffer of the network's output in them
        self._predicting: Any = None
        self._rows, self._step = 1, 0
        if not self.depends_on_rows:
            self._make_training(1)

    def _initial_parameters(self) -> Parameters:
        """The first values of all parameters, drawn in float64."""
        shapes = [shape for start in self._starts for shape in start.shapes()]
        shapes += [(name, ()) for name in self.functions.names()]
        firsts = [*draw(self._starts, self._seed), *(v.data for v in self.functions.leaves)]
        parameters = Parameters(shapes, np.dtype(self._dtype))
        for parameter, first in zip(parameters, firsts, strict=True):
            parameter.data[...] = first
        return parameters

    def graph(self, purpose: Purpose, isolate: bool = False) -> Graph:
        """The graph of the layers; see micrograd.lowering."""
        programs = self.functions.programs()
        return lower(self._layers, self._in_features, self._starts, purpose, programs, isolate)

    def bound(self, ops: Passes, gradients: Any, share: bool = True, step: int = 0) -> Any:
        """A plan of these ops that works on the parameters, and on `gradients`, an address."""
        plan = make_plan(ops, self.parameters.size, self._dtype, share)
        lib.mg_plan_bind(plan, self.parameters.data_pointer, gradients)
        lib.mg_plan_set_random(plan, self._seed % 2**64, step)
        return plan

    @property
    def step(self) -> int:
        """Training passes so far."""
        return self._step if self.training is None else int(lib.mg_plan_step(self.training))

    @step.setter
    def step(self, step: int) -> None:
        self._step = step
        if self.training is not None:
            lib.mg_plan_set_random(self.training, self._seed % 2**64, step)

    def _make_training(self, rows: int) -> None:
        graph = self.graph("training", isolate=self._checkpoint is not None)
        order = None
        if self._checkpoint is not None:
            order = self._checkpoint.order(self._stages(graph, rows))
        ops = reverse.training(graph, self.functions.loss(), order)
        self.training = self.bound(ops, self.parameters.grad_pointer, step=self.step)
        self.passes, self.output = ops, ops.values[graph.output]
        self._rows = rows

    def _stages(self, graph: Graph, rows: int) -> list[Any]:
        return reverse.stages_of(graph, np.dtype(self._dtype).itemsize * rows)

    def make_for(self, rows: int) -> None:
        """Makes a training plan for batches of so many rows, or of more."""
        self._make_training(max(rows, self._rows))

    def fits(self, rows: int) -> bool:
        """Whether the training plan is one for so many rows."""
        return self.training is not None and (not self.depends_on_rows or rows <= self._rows)

    def predicting(self) -> Any:
        """The plan without a backward pass and without dropout, made when it is first wanted."""
        if self._predicting is None:
            ops = reverse.forward_only(self.graph("predicting"), self.functions.loss())
            self._predicting = self.bound(ops, ffi.NULL)
        return self._predicting

    def retarget(self, columns: int) -> None:
        """Records a loss that is a function for so many columns of targets.

        Raises:
            RecordingError: it cannot do with them; nothing has changed then.
        """
        before = self.functions.targets
        self.functions.targets = columns
        try:
            self.functions.loss()
        except Exception:
            self.functions.targets = before
            raise
        self._predicting = None
        if self.training is not None:
            self._make_training(self._rows)

    def memory(self) -> dict[str, int]:
        """See Network.memory."""
        rows = 0 if self.training is None else int(lib.mg_plan_rows(self.training))
        stages = self._stages(self.graph("training", isolate=True), max(rows, 1))
        checkpoint = every(len(stages)) if self._checkpoint is None else self._checkpoint
        cost = replay(stages, checkpoint.order(stages))
        kept = cost.kept_bytes if rows else 0
        plans = [plan for plan in (self.training, self._predicting) if plan is not None]
        used = sum(int(lib.mg_plan_workspace_bytes(plan)) for plan in plans)
        return {
            "parameter_bytes": self.parameters.flat.nbytes,
            "gradient_bytes": self.parameters.flat.nbytes,
            "activation_bytes": kept,
            "workspace_bytes": max(0, used - kept),
            "recomputed_layers": cost.recomputed,
        }
