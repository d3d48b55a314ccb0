"""A table of numbers, end to end: breast cancer (two classes) and diabetes (a quantity).

Both tables come with scikit-learn, whose MLP with the same layers, optimizer, batches and early
stopping runs beside ours on the same splits. Wants scikit-learn. As a table is, with gaps, words
and dates, is the matter of TabularClassifier and of `micrograd train`.

Run: python demos/12_tabular.py [--save FOLDER] [--seeds 5], which plots 12_tabular.png
"""

import time
import warnings
from functools import partial

import common
import numpy as np

import micrograd as mg

options = common.options(__doc__, seeds=5)
try:
    from sklearn.datasets import load_breast_cancer, load_diabetes
    from sklearn.metrics import accuracy_score, r2_score
    from sklearn.neural_network import MLPClassifier, MLPRegressor
except ImportError:
    raise SystemExit(
        "This demo takes its tables from scikit-learn: pip install scikit-learn"
    ) from None
HIDDEN, BATCH, EPOCHS, PATIENCE, ASIDE = 64, 32, 200, 10, 0.15


# %%
def ours(X, y, seed, classes):
    """A trained network; the first layer starts as scikit-learn's."""
    net = mg.Network(
        mg.Linear(X.shape[1], HIDDEN, init="xavier"),
        mg.ReLU(),
        mg.Linear(HIDDEN, 2 if classes else 1),
        loss="cross_entropy" if classes else "mse",
        seed=seed,
    )
    adam = mg.optim.Adam(net.parameters(), lr=1e-3)
    stop = {"validation": ASIDE, "early_stopping": PATIENCE}
    stop["metrics"] = "accuracy" if classes else "r2"
    net.fit(X, y, EPOCHS, BATCH, adam, seed=seed, progress=False, **stop)
    return net


def theirs(X, y, seed, classes):
    """scikit-learn's MLP with the same settings."""
    kind = MLPClassifier if classes else MLPRegressor
    mlp = kind(
        hidden_layer_sizes=(HIDDEN,), alpha=0.0, batch_size=BATCH, max_iter=EPOCHS,
        early_stopping=True, tol=0.0, validation_fraction=ASIDE, n_iter_no_change=PATIENCE,
        random_state=seed,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that max_iter was reached
        return mlp.fit(X, y)


# %%
for load, classes in ((load_breast_cancer, True), (load_diabetes, False)):
    X, y = load(return_X_y=True)
    scores, seconds = {"micrograd": [], "scikit-learn": []}, {"micrograd": [], "scikit-learn": []}
    score = accuracy_score if classes else r2_score
    for seed in range(options.seeds):
        X_train, X_test, y_train, y_test = mg.data.train_test_split(X, y, 0.25, seed)
        mean, std = X_train.mean(axis=0), X_train.std(axis=0)
        X_train, X_test = (X_train - mean) / std, (X_test - mean) / std
        centre, unit = (0, 1) if classes else (y_train.mean(), y_train.std())
        target = y_train if classes else (y_train - centre) / unit
        for library, train in (("micrograd", ours), ("scikit-learn", theirs)):
            start = time.perf_counter()
            model = train(X_train, target, seed, classes)
            seconds[library].append(time.perf_counter() - start)
            if library == "micrograd":
                output = model.classify(X_test) if classes else model.predict(X_test)[:, 0]
            else:
                output = model.predict(X_test)
            scores[library].append(score(y_test, output if classes else centre + unit * output))
    what = "accuracy" if classes else "R^2"
    print(f"{load.__name__}: {len(X)} rows; {what} on the test rows, {options.seeds} splits")
    for library, found in scores.items():
        spent = 1000 * np.median(seconds[library])
        print(f"  {library:13} {np.mean(found):.4f} +- {np.std(found):.4f}   {spent:7.1f} ms a fit")
    ratio = np.median(seconds["scikit-learn"]) / np.median(seconds["micrograd"])
    print(f"  {ratio:.1f} times as fast")
    assert np.mean(scores["micrograd"]) > np.mean(scores["scikit-learn"]) - 0.02
    if classes:
        proba = ours(X_train, y_train, 0, True).predict_proba(X_test)
        draw = partial(mg.plot.calibration, y_test, proba, n_bins=5)
        common.save(options, "12_tabular.png", draw)
