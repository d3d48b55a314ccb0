"""The plans of a network: made for training, predicting and explaining, and what they take."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Sequence
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from micrograd.checkpoint.chain import replay
from micrograd.checkpoint.policies import Checkpoint, every
from micrograd.network import reverse
from micrograd.network.c_plan import NULL, Plan
from micrograd.network.functions import Functions
from micrograd.network.graph import Graph
from micrograd.network.initial import draw, starts
from micrograd.network.layers import Layer
from micrograd.network.losses import Loss
from micrograd.network.lowering import Purpose, lower
from micrograd.parameters import Parameters
from micrograd.sharing import Pool

_Passes = dict[int, tuple[reverse.Passes, int]]  # and the network's output in them


class Planner:
    """Makes plans of the C core for some layers, all of which use the same `parameters`.

    A plan never changes: other targets or more rows take another one. checkpoint: the schedule of
    recomputation, or None; where it depends on the rows of a batch (`depends_on_rows`), a training
    plan is for so many rows at most. parameters: of a network like this, or None to draw them.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        in_features: int,
        loss: Loss,
        dtype: str,
        seed: int,
        checkpoint: Checkpoint | None,
        parameters: Parameters | None = None,
    ) -> None:
        self._layers, self._in_features, self._dtype = layers, in_features, dtype
        self._seed, self._checkpoint = seed, checkpoint
        self._starts = tuple(starts(layers))
        self.out_features = in_features
        for layer in layers:
            self.out_features = layer.gives(self.out_features)
        first_scalar = sum(math.prod(shape) for s in self._starts for _, shape in s.shapes())
        self.functions = Functions(layers, loss, self.out_features, first_scalar, dtype)
        self.parameters = self._initial_parameters() if parameters is None else parameters
        self.depends_on_rows = checkpoint is not None and checkpoint.depends_on_rows
        self._predicting: dict[int, Pool[Plan]] = {}  # by the columns of the targets
        # by the same, of training and of predicting: those that several plans may share
        self._passes: tuple[_Passes, _Passes] = ({}, {})

    def twin(self) -> Planner:
        """One for parameters of its own, which are 0; it shares what never changes."""
        other = copy.copy(self)
        other.parameters, other._predicting = self.parameters.zeros(), {}
        return other

    def _initial_parameters(self) -> Parameters:
        """The first values of all parameters, drawn in float64."""
        shapes = [shape for start in self._starts for shape in start.shapes()]
        shapes += [(name, ()) for name in self.functions.names()]
        size = sum(math.prod(shape) for _, shape in shapes)
        if size > sys.maxsize // 8:
            raise MemoryError(f"Network: {size} parameters are more than any memory holds")
        try:  # before any is drawn: that takes minutes, and the memory of other programs
            parameters = Parameters(shapes, np.dtype(self._dtype))
        except MemoryError:
            bytes_wanted = 2 * size * np.dtype(self._dtype).itemsize
            raise MemoryError(
                f"Network: there is no memory for {size} parameters and their gradients in "
                f"{self._dtype}, {bytes_wanted} bytes"
            ) from None
        leaves = (v.data for v in self.functions.leaves)
        firsts = chain(draw(self._starts, self._seed), leaves)
        for parameter, first in zip(parameters, firsts, strict=True):
            parameter.data[...] = first
        return parameters

    def graph(self, purpose: Purpose, isolate: bool = False) -> Graph:
        """The graph of the layers; see micrograd.network.lowering."""
        programs = self.functions.programs()
        return lower(self._layers, self._in_features, self._starts, purpose, programs, isolate)

    def reseed(self, seed: int) -> None:
        """The seed of the dropout masks of plans to come."""
        self._seed = seed

    # ---- plans ----

    def training(self, targets: int, rows: int, step: int) -> Plan:
        """A plan with a backward pass, for such targets and batches of so many rows or fewer.

        Raises:
            RecordingError: the loss is a function that cannot do with such targets.
            ValueError: there is no order of recomputation within a budget.
            MemoryError: there is no memory for it.
        """
        found = self._passes[0].get(targets)
        passes, output = found or self._training_passes(targets, rows)
        if self._checkpoint is None:
            self._keep(self._passes[0], targets, passes, output)
        return Plan(
            passes,
            output,
            self.parameters,
            self.parameters.grad_pointer,
            seed=self._seed,
            step=step,
            targets=targets,
            rows=rows if self.depends_on_rows else None,
        )

    def _keep(self, kept: _Passes, targets: int, passes: reverse.Passes, output: int) -> None:
        """For plans to come, unless each wants programs of its own."""
        if not any(op.program for op in passes.ops):
            kept[targets] = passes, output

    def _training_passes(self, targets: int, rows: int) -> tuple[reverse.Passes, int]:
        """The passes of such a plan, and the network's output in them."""
        graph = self.graph("training", isolate=self._checkpoint is not None)
        order = None
        if self._checkpoint is not None:
            order = self._checkpoint.order(self._stages(graph, rows))
        passes = reverse.training(graph, self.functions.loss(targets), order)
        return passes, passes.values[graph.output]

    def explaining(
        self, targets: int, step: int, gradients: Any, inputs: bool = False
    ) -> tuple[Graph, Plan]:
        """A graph whose every value and gradient can be read after a pass, and a plan for it; its
        gradients go to `gradients`, an address. With `inputs` the input has one, too.

        Raises:
            RecordingError, MemoryError: as `training`.
        """
        graph = self.graph("explaining")
        passes = reverse.training(graph, self.functions.loss(targets), keep_all=True, inputs=inputs)
        plan = Plan(
            passes,
            passes.values[graph.output],
            self.parameters,
            gradients,
            seed=self._seed,
            step=step,
            targets=targets,
            share=False,
        )
        return graph, plan

    def predicting(self, targets: int) -> Pool[Plan]:
        """Plans without a backward pass and without dropout, one for each caller at a time.

        Raises:
            RecordingError, MemoryError: as `training`, when one is taken.
        """
        pool = self._predicting.get(targets)
        if pool is None:
            pool = self._predicting.setdefault(targets, Pool(partial(self._forward_only, targets)))
        return pool

    def _forward_only(self, targets: int) -> Plan:
        if targets in self._passes[1]:
            passes, output = self._passes[1][targets]
        else:
            graph = self.graph("predicting")
            passes = reverse.forward_only(graph, self.functions.loss(targets))
            output = passes.values[graph.output]
            self._keep(self._passes[1], targets, passes, output)
        return Plan(passes, output, self.parameters, NULL, seed=self._seed, targets=targets)

    # ---- memory ----

    def _stages(self, graph: Graph, rows: int) -> list[Any]:
        return reverse.stages_of(graph, np.dtype(self._dtype).itemsize * rows)

    def memory(self, training: Plan | None) -> dict[str, int]:
        """See Network.memory."""
        rows = 0 if training is None else training.capacity()
        stages = self._stages(self.graph("training", isolate=True), max(rows, 1))
        checkpoint = every(len(stages)) if self._checkpoint is None else self._checkpoint
        cost = replay(stages, checkpoint.order(stages))
        kept = cost.kept_bytes if rows else 0
        plans = [plan for pool in list(self._predicting.values()) for plan in pool.idle()]
        if training is not None:
            plans.append(training)
        used = sum(plan.workspace_bytes() for plan in plans)
        return {
            "parameter_bytes": self.parameters.flat.nbytes,
            "gradient_bytes": self.parameters.flat.nbytes,
            "activation_bytes": kept,
            "workspace_bytes": max(0, used - kept),
            "recomputed_layers": cost.recomputed,
        }
