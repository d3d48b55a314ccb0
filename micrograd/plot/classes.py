"""Pictures of what a classifier gets right: the confusion matrix, the reliability diagram."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

from micrograd import checks
from micrograd.plot.style import PALETTE, SIZE, picture, text

WRITTEN = 25  # classes up to which every cell shows its number
NAMED = 40  # classes up to which every row and column shows its name
DARK = 0.55  # share of the deepest colour from which on numbers are white


def confusion_matrix(
    y_true: Any,
    y_pred: Any,
    labels: Sequence[Any] | None = None,
    normalize: Literal["true", "pred", "all"] | None = None,
    display_labels: Sequence[object] | None = None,
    title: str = "",
    path: str | os.PathLike[str] | None = None,
) -> Any:
    """Draws how often each class (a row) was taken for each class (a column).

    The colour of a cell is its share of the row, so that rare classes are as legible as frequent
    ones; the number in it is the count or, with `normalize`, the share, which the colour then
    shows too.

    Args:
        y_true, y_pred: the true and the predicted class of each row, (rows,): integers or text.
        labels: the classes in the order to show; None takes those that occur, sorted.
        normalize: shares of the true class (rows), of the predicted one (columns) or of all rows.
        display_labels: names to show for `labels`.
        title: stands above; path: the file to write, .png, .svg or .pdf; None writes none.

    Returns:
        The matplotlib Figure.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError, ValueError: the two do not fit each other or the labels.

    >>> figure = mg.plot.confusion_matrix(y, net.classify(X))
    """
    where = "plot.confusion_matrix"
    import numpy as np

    counts, classes = count_confusions(where, y_true, y_pred, labels)
    if normalize not in (None, "true", "pred", "all"):
        raise ValueError(f"{where}: normalize is {normalize!r}, 'true', 'pred' or 'all' is wanted")
    names = classes if display_labels is None else list(display_labels)
    if len(names) != len(classes):
        raise ValueError(
            f"{where}: display_labels has {len(names)} names, there are {len(classes)} classes"
        )
    axis: Any = {"true": 1, "pred": 0, "all": None, None: 1}[normalize]
    totals = counts.sum(axis=axis, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    n = len(classes)
    side = min(9.0, max(4.2, 0.55 * n + 2.0))
    with picture(path, size=(side + 0.8, side), title=title) as (figure, (axes,)):
        top = 1.0 if normalize != "all" else float(shares.max())
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=top)
        what = {"pred": "share of the predicted class", "all": "share of all rows"}
        bar = figure.colorbar(image, label=what.get(str(normalize), "share of the true class"))
        bar.ax.tick_params(labelsize=SIZE - 1)
        _name(axes, names)
        if n <= WRITTEN:
            _write(axes, counts, shares, normalize is None, top)
    return figure


def _name(axes: Any, names: Sequence[object]) -> None:
    """The classes along both sides: every name where they fit, every so many where not."""
    n = len(names)
    every = 1 if n <= NAMED else -(-n // 20)
    shown = [text(names[i], 14) for i in range(0, n, every)]
    long = n > 12 or any(len(name) > 3 for name in shown)
    axes.set_xticks(range(0, n, every), shown, rotation=90 if long else 0)
    axes.set_yticks(range(0, n, every), shown)
    axes.set(xlabel="predicted", ylabel="true")


def _write(axes: Any, counts: Any, shares: Any, whole: bool, top: float) -> None:
    """A number in each cell; none where it is 0 and there are many."""
    n = len(counts)
    size = SIZE if n <= 12 else 8.0
    for i in range(n):
        for j in range(n):
            if counts[i, j] or n <= 5:
                shown = str(counts[i, j]) if whole else f"{shares[i, j]:.2f}"
                color = "white" if shares[i, j] > DARK * top else "black"
                axes.text(j, i, shown, ha="center", va="center", color=color, fontsize=size)


def count_confusions(
    where: str, y_true: Any, y_pred: Any, labels: Sequence[Any] | None
) -> tuple[Any, list[Any]]:
    """Counts, int64 (true classes, predicted classes), and the classes.

    Raises:
        TypeError, ValueError: the two do not fit each other or the labels.
    """
    import numpy as np

    true, pred = (class_column(where, n, y) for n, y in (("y_true", y_true), ("y_pred", y_pred)))
    if len(true) != len(pred):
        raise ValueError(f"{where}: y_true has {len(true)} rows, y_pred has {len(pred)}")
    if not len(true):
        raise ValueError(f"{where}: there are no rows")
    if isinstance(true[0], str) != isinstance(pred[0], str):
        raise TypeError(
            f"{where}: y_true holds {checks.describe(true[0])}, y_pred {checks.describe(pred[0])}; "
            "both have to be names of classes, or both numbers"
        )
    classes = sorted({*true, *pred}) if labels is None else class_column(where, "labels", labels)
    places = {label: i for i, label in enumerate(classes)}
    if len(places) < len(classes):
        raise ValueError(f"{where}: a class stands twice in labels")
    counts = np.zeros((len(classes), len(classes)), np.int64)
    for row, pair in enumerate(zip(true, pred, strict=True)):
        for name, label in zip(("y_true", "y_pred"), pair, strict=True):
            if label not in places:
                raise ValueError(f"{where}: {name}[{row}] is {label!r}, which labels do not have")
        counts[places[pair[0]], places[pair[1]]] += 1
    return counts, classes


def class_column(where: str, name: str, y: Any) -> list[Any]:
    """The class of each row: Python's int, float, bool or str, all numbers or all text.

    Raises:
        TypeError, ValueError: it is no column of classes.
    """
    import numpy as np

    array = np.asarray(y, dtype=object if isinstance(y, (list, tuple)) else None)
    if array.ndim != 1:
        raise ValueError(f"{where}: {name} has shape {array.shape}, classes (rows,) are wanted")
    found = [x.item() if isinstance(x, np.generic) else x for x in array.tolist()]
    for row, label in enumerate(found):
        if not isinstance(label, (bool, int, float, str)) or label != label:
            raise TypeError(f"{where}: {name}[{row}] is {label!r}, a class is wanted")
        if isinstance(label, str) != isinstance(found[0], str):
            raise TypeError(f"{where}: {name} holds text and numbers: {found[0]!r} and {label!r}")
    return found


def calibration(
    y_true: Any,
    y_prob: Any,
    n_bins: int = 10,
    strategy: Literal["uniform", "quantile"] = "uniform",
    labels: Sequence[Any] | None = None,
    title: str = "",
    path: str | os.PathLike[str] | None = None,
) -> Any:
    """Draws how often a predicted probability comes true: the reliability diagram.

    Rows are put into bins by their probability; for each bin that is not empty stands the mean
    probability against the share that came true. On the diagonal the model is calibrated, below it
    too sure of itself. The expected calibration error, the mean distance from the diagonal weighted
    by rows (Guo et al. 2017, equation 3), stands in the legend, the rows of each bin below.

    Args:
        y_true: the class of each row, (rows,).
        y_prob: of two classes, the probability of the second: (rows,) or (rows, 2). Of more,
            (rows, classes): drawn is the largest of each row, against whether that class is true.
        n_bins: bins between 0 and 1, of equal width ("uniform") or of equally many rows
            ("quantile").
        labels: the classes in the order of y_prob's columns; None takes those that occur, sorted.
        title: stands above; path: the file to write, .png, .svg or .pdf; None writes none.

    Returns:
        The matplotlib Figure.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError, ValueError: the arguments do not fit each other; a probability is outside 0..1.

    >>> figure = mg.plot.calibration(y, net.predict_proba(X))
    """
    where = "plot.calibration"
    import numpy as np

    n_bins = checks.count(where, "n_bins", n_bins)
    if strategy not in ("uniform", "quantile"):
        raise ValueError(f"{where}: strategy is {strategy!r}, 'uniform' or 'quantile' is wanted")
    hits, prob, top = _predictions(where, y_true, y_prob, labels)
    edges, rows, means, shares = _bins(hits, prob, n_bins, strategy)
    error = float((rows[rows > 0] * np.abs(shares - means)).sum() / len(prob))
    options: Any = {"height_ratios": [3, 1], "sharex": True}
    with picture(path, rows=2, size=(5.4, 2.9), title=title, **options) as (figure, (upper, lower)):
        upper.plot([0, 1], [0, 1], "--", color="0.4", label="calibrated")
        upper.plot(means, shares, "o-", label=f"model, expected error {error:.3f}")
        said = "share whose largest class is true" if top else "share that is of the class"
        upper.set(ylabel=said, ylim=(-0.03, 1.03), xlim=(-0.03, 1.03))
        upper.legend(loc="upper left")
        lower.bar(edges[:-1], rows, np.diff(edges), align="edge", color=PALETTE[5], ec="black")
        told = "probability of the largest class" if top else "predicted probability of the class"
        lower.set(xlabel=told, ylabel="rows")
        for axes in (upper, lower):
            axes.grid(alpha=0.3)
    return figure


def _bins(hits: Any, prob: Any, n_bins: int, strategy: str) -> tuple[Any, Any, Any, Any]:
    """Edges and rows of all bins; mean probability and share of hits of those that have rows."""
    import numpy as np

    steps = np.linspace(0.0, 1.0, n_bins + 1)
    edges = steps if strategy == "uniform" else np.percentile(prob, 100 * steps)
    bins = np.searchsorted(edges[1:-1], prob)
    rows = np.bincount(bins, minlength=n_bins)
    used = rows > 0
    means = np.bincount(bins, prob, n_bins)[used] / rows[used]
    return edges, rows, means, np.bincount(bins, hits, n_bins)[used] / rows[used]


def _predictions(where: str, y_true: Any, y_prob: Any, labels: Any) -> tuple[Any, Any, bool]:
    """Whether what was predicted is true, with what probability, and whether it is the largest."""
    import numpy as np

    prob = checks.reals(where, "y_prob", y_prob, np.dtype(np.float64))
    if prob.ndim not in (1, 2) or (prob.ndim == 2 and prob.shape[1] < 2) or not prob.size:
        raise ValueError(
            f"{where}: y_prob has shape {prob.shape}, (rows,) or (rows, classes) is wanted"
        )
    bad = np.argwhere(~((prob >= 0) & (prob <= 1 + 1e-6)))
    if len(bad):
        at = tuple(int(i) for i in bad[0])
        raise ValueError(
            f"{where}: y_prob{list(at)} is {prob[at]:g}, probabilities are wanted: "
            "predict_proba(X) gives them"
        )
    prob = np.minimum(prob, 1.0)
    n = 2 if prob.ndim == 1 else prob.shape[1]
    if prob.ndim == 2 and np.abs(prob.sum(axis=1) - 1).max() > 1e-3:
        row = int(np.abs(prob.sum(axis=1) - 1).argmax())
        raise ValueError(f"{where}: y_prob[{row}] adds up to {prob[row].sum():.4g}, 1 is wanted")
    true = class_column(where, "y_true", y_true)
    if len(true) != len(prob):
        raise ValueError(f"{where}: y_true has {len(true)} rows, y_prob has {len(prob)}")
    numbers = all(not isinstance(x, str) and x in range(n) for x in true)
    if labels is None:
        classes = list(range(n)) if numbers else sorted(set(true))
    else:
        classes = class_column(where, "labels", labels)
    if len(classes) != n or not set(true) <= set(classes):
        raise ValueError(
            f"{where}: y_prob is of {n} classes, y_true has {len(set(true))} of {classes[:5]}; "
            "labels says which class each column is of"
        )
    index = np.array([classes.index(x) for x in true])
    if n == 2:
        return (index == 1).astype(float), prob if prob.ndim == 1 else prob[:, 1], False
    return (prob.argmax(axis=1) == index).astype(float), prob.max(axis=1), True
