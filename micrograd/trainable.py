"""What trains and is saved: fit() with its options and save(), once, for Network and Program.

This module is the one door that goes up: a model is below the rooms that train and save it, and yet
is asked to. So each method imports its room when it is called, and no sooner.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, cast

from micrograd import checks

if TYPE_CHECKING:
    from micrograd.atomic import Own
    from micrograd.saving.read import Saved
    from micrograd.training.history import History
    from micrograd.training.model import Model


_OPTIMIZER = "give optimizer=micrograd.optim.SGD(net.parameters(), lr=...)"
HINTS = {
    **dict.fromkeys(("lr", "learning_rate", "momentum", "weight_decay"), _OPTIMIZER),
    **dict.fromkeys(("verbose", "disp", "quiet"), "progress"),
    **dict.fromkeys(("validation_data", "validation_split", "validation_fraction"), "validation"),
    **dict.fromkeys(("n_epochs", "max_iter", "num_epochs", "nb_epoch"), "epochs"),
    **dict.fromkeys(("sample_weights", "weights"), "sample_weight"),
    **dict.fromkeys(("patience", "n_iter_no_change"), "early_stopping"),
    "random_state": "seed",
    "accumulate_steps": "accumulate",
}  # what others call the options of fit


class Trainable:
    """A model that fit() trains; what training asks of it is micrograd.training.model.Model."""

    @checks.with_hints("fit", HINTS)
    def fit(
        self,
        X: Any,
        y: Any = None,
        epochs: int = 10,
        batch_size: int = 64,
        optimizer: Any = None,
        validation: Any = None,
        clip_norm: float | None = None,
        callbacks: Any = (),
        progress: bool | None = None,
        seed: int | None = None,
        resume: str | os.PathLike[str] | None = None,
        *,
        shuffle: bool = True,
        sample_weight: Any = None,
        class_weight: Any = None,
        label_smoothing: float = 0.0,
        dropout_factor: Any = None,
        metrics: Any = None,
        early_stopping: Any = None,
        accumulate: int = 1,
        l1: float = 0.0,
        l2: float = 0.0,
        max_norm: float | None = None,
        clip_value: float | None = None,
    ) -> History:
        """Trains on minibatches: a network, or a compiled function of two arguments.

        Args:
            X, y: as for loss(). A C-contiguous X of the model's dtype, and y of int64 or of that
                dtype, are used as they are: do not write into them before fit returns. A label that
                is no class any more, or a number that is not finite, is an error then. All else is
                copied, once, at the start. Every epoch goes over all rows once, in a new order.
                Arrays mapped from files (numpy.memmap) are never copied whole: each batch is
                gathered, converted and checked by itself. pandas frames and series are taken.
                Without y, X is an iterable of (X, y) or (X, y, sample_weight) batches that can be
                gone through once an epoch, or a function that returns one, of no argument or of the
                number of the epoch (0, 1, ...); batch_size, shuffle and validation fractions do not
                apply then.
            epochs, batch_size: 1 or more; the last batch of an epoch may be smaller.
            optimizer: default SGD(lr=0.05, momentum=0.9). It keeps its state from call to call.
            validation: (X, y) or (X, y, sample_weight) to measure on after each epoch, or the
                fraction of the rows to set aside for that, at random, of each class its share. The
                loss there has no class weights and no smoothing.
            clip_norm: gradients of a larger Euclidean norm are scaled down to it (section 9).
            callbacks: objects with on_step(state) or on_epoch(state), or functions of the state
                after an epoch; `state` is a TrainingState, whose stop() ends training.
            progress: True or False; None shows it on a terminal only. It goes to standard error.
            seed: of the shuffling and of what is set aside; None draws one. Same data, weights and
                seed: same bits.
            resume: a model file. If it exists, training goes on from there; it is written after
                every epoch. A run that was killed and started again ends with the bits of one that
                was not. Data, seed, batch_size, shuffle, the optimizer's settings and whatever else
                shapes a step have to be those of that run; other epochs, lengths of schedules,
                callbacks, metrics, validation data and early stopping may be given. Dropout takes
                the seed of the file's network. A file that another run has written meanwhile is
                left as it is: RuntimeError.
            shuffle: False keeps the rows in their order.
            sample_weight: (rows,), 0 or more; the loss of a batch is sum_i w_i L_i / sum_i w_i.
            class_weight: {class: weight}, (classes,) weights, or "balanced"; multiplied into the
                sample weights. For cross_entropy, and bce with one output.
            label_smoothing: the share of the target that goes to all classes alike; for
                cross_entropy and bce.
            dropout_factor: what the rates of all Dropout layers are multiplied by, from 0 to 1, or
                a function of the step (0, 1, 2, ...), such as those of micrograd.schedule; None:
                net.dropout_factor, which afterwards is what it was.
            metrics: names ("accuracy", "balanced_accuracy", "mae", "mse", "rmse", "r2") or
                functions of (y_true, output), output as predict() gives it; measured after each
                epoch on the validation data, else on the training data, with their sample weights
                (a function gets them as `sample_weight`, if it has such a parameter). None:
                accuracy for classes, in validation.
            early_stopping: a patience in epochs or an EarlyStopping.
            accumulate: batches whose gradients are added up for one step: that of one batch of so
                many times the rows, in the memory of a small one.
            l1, l2: penalties l1 ||W||_1 + l2/2 ||W||^2 on the weight matrices, not the biases; the
                losses in the history are without them.
            max_norm: the longest that the weights into a unit, a row of W, may be after a step.
            clip_value: after clip_norm, each gradient is held within +-clip_value.

        Returns:
            The History.

        Raises:
            TypeError, ValueError: input that does not fit; nothing has changed then.
            FloatingPointError: loss or gradient are no longer finite; names step, layer and the
                losses that led there. The weights are those before that step.

        >>> history = net.fit(X, y, epochs=20, validation=0.2, early_stopping=5)
        """
        arguments = {name: value for name, value in locals().items() if name != "self"}
        from micrograd.training.arguments import Arguments
        from micrograd.training.fit import fit

        return fit(cast("Model", self), Arguments(**arguments))

    # ---- what training asks, and a model that is shared out over processes answers otherwise ----

    first_row = 0  # of a batch's rows that this process works on
    dropout_factor: Any = None  # None where there is no Dropout to multiply the rates of

    def names_in(self, where: str, y: Any) -> list[str] | None:
        """The names of the classes where y has names; None where it has numbers."""
        return None

    def numbered(self, where: str, y: Any, names: list[str]) -> Any:
        """y with the number of each name; y itself where it has numbers."""
        return y

    def keep_names(self, names: list[str]) -> None:
        """Notes the names of the classes."""

    def part(self, rows: int) -> slice:
        """Which of a batch's rows this process works on: all of them."""
        return slice(0, rows)

    def epoch_mean(self, total: float, weight: float) -> float:
        """The mean loss of an epoch from its weighted sum over the batches; NaN of none."""
        return total / weight if weight else math.nan

    def read_progress(self, path: str | os.PathLike[str], optimizer: Any) -> Saved | None:
        """What fit(resume=path) goes on from; None where there is no file."""
        from micrograd.saving.read import read_progress

        return read_progress(cast("Model", self), path, optimizer)

    def write_progress(self, file: Own) -> None:
        """Writes what fit(resume=path) goes on from, unless another run writes there too."""
        from micrograd.saving.write import save_progress

        file.check(f"{type(self).__name__}.fit: resume")
        save_progress(cast("Model", self), cast("str", file.path))
        file.note()

    # In notebooks.

    def _repr_svg_(self) -> str | None:
        from micrograd.draw import notebook

        return notebook.svg(self)

    def _repr_html_(self) -> str | None:
        from micrograd.draw import notebook

        return notebook.html(self)


class Storable(Trainable):
    """A model that a file can hold whole."""

    metadata: dict[str, Any]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the network, its optimizer and its training position to a safetensors file.

        Architecture, loss, dtype, seed, checkpoint schedule and `metadata` go along; after `fit` or
        `load`, so do `optimizer` with its state and `position`. mg.load reads it back. The file is
        written beside `path` under another name, flushed to the disk and renamed.

        Raises:
            ImportError: the safetensors package is not installed.
            ValueError: a layer or loss is a function, or a parameter is not finite.
            OSError: the file cannot be written; the one that was there still is.
        """
        from micrograd.saving.write import save

        save(self, path)
