"""A table of numbers, end to end: breast cancer (two classes) and diabetes (a quantity).

Both tables come with scikit-learn, whose MLP with the same layers, optimizer, batches and early
stopping runs beside ours: 10 splits, the same rows for both. Wants scikit-learn; takes pandas
frames where it is installed.
"""

import os
import tempfile
import time
import warnings

import numpy as np

import micrograd as mg

SEEDS, HIDDEN, BATCH, EPOCHS, PATIENCE, ASIDE = 10, 64, 32, 200, 10, 0.15


def tables():
    """(name, X, y): frames and series if pandas is there, else arrays."""
    from importlib.util import find_spec

    from sklearn import datasets

    frames = find_spec("pandas") is not None
    for load in (datasets.load_breast_cancer, datasets.load_diabetes):
        table = load(as_frame=frames)
        yield load.__name__.removeprefix("load_"), table.data, table.target


class Scaler:
    """Mean 0 and standard deviation 1 over the training rows."""

    def __init__(self, X):
        self.mean, self.std = X.mean(axis=0), X.std(axis=0)

    def __call__(self, X):
        return (X - self.mean) / self.std


def ours(X, y, seed):
    """A trained network, and what it took."""
    classes = y.dtype.kind == "i"
    net = mg.Network(
        mg.Linear(X.shape[1], HIDDEN, init="xavier"),  # as scikit-learn starts
        mg.ReLU(),
        mg.Linear(HIDDEN, int(y.max()) + 1 if classes else 1),
        loss="cross_entropy" if classes else "mse",
        seed=seed,
    )
    history = net.fit(
        X,
        y,
        EPOCHS,
        BATCH,
        mg.optim.Adam(net.parameters(), lr=1e-3),
        validation=ASIDE,
        metrics="accuracy" if classes else "r2",
        early_stopping=PATIENCE,
        seed=seed,
        progress=False,
    )
    return net, history


def theirs(X, y, seed):
    """scikit-learn's MLP with the same settings."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    kind = MLPClassifier if y.dtype.kind == "i" else MLPRegressor
    mlp = kind(
        hidden_layer_sizes=(HIDDEN,), alpha=0.0, batch_size=BATCH, max_iter=EPOCHS,
        early_stopping=True, tol=0.0, validation_fraction=ASIDE, n_iter_no_change=PATIENCE,
        random_state=seed,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that max_iter was reached
        return mlp.fit(X, y)


def score(y, output):
    """Accuracy for classes, else R^2."""
    if y.dtype.kind == "i":
        return float((output == y).mean())
    return float(1 - ((output - y) ** 2).sum() / ((y - y.mean()) ** 2).sum())


def compare(name, X, y):
    """Both libraries on the same splits; returns the mean scores and the ratio of the times."""
    X, y = np.asarray(X), np.asarray(y)
    scores, seconds = {"micrograd": [], "scikit-learn": []}, {"micrograd": [], "scikit-learn": []}
    for seed in range(SEEDS):
        X_train, X_test, y_train, y_test = mg.data.train_test_split(X, y, 0.25, seed)
        scale = Scaler(X_train)
        X_train, X_test = scale(X_train), scale(X_test)
        centre, unit = (0, 1) if y.dtype.kind == "i" else (y_train.mean(), y_train.std())
        target = y_train if unit == 1 else (y_train - centre) / unit
        for library, train in (("micrograd", ours), ("scikit-learn", theirs)):
            start = time.perf_counter()
            model = train(X_train, target, seed)
            seconds[library].append(time.perf_counter() - start)
            if library == "micrograd":
                z = model[0].predict(X_test)
                output = z.argmax(axis=1) if unit == 1 else centre + unit * z[:, 0]
            else:
                output = (
                    centre + unit * model.predict(X_test) if unit != 1 else model.predict(X_test)
                )
            scores[library].append(score(y_test, output))
    what = "accuracy" if y.dtype.kind == "i" else "R^2"
    print(f"{name}: {len(X)} rows, {X.shape[1]} columns; {what} on the test rows, {SEEDS} splits")
    for library in scores:
        mean, spread = np.mean(scores[library]), np.std(scores[library])
        median = np.median(seconds[library])
        print(f"  {library:13} {mean:.4f} +- {spread:.4f}   {1000 * median:7.1f} ms a fit")
    ratio = np.median(seconds["scikit-learn"]) / np.median(seconds["micrograd"])
    print(f"  {ratio:.1f} times as fast\n")
    return np.mean(scores["micrograd"]), np.mean(scores["scikit-learn"])


def one_model(X, y):
    """One network from the frame to a file and back, the way a user goes."""
    scale = Scaler(X)
    target = y if y.dtype.kind == "i" else Scaler(y)(y)
    net, history = ours(scale(X), target, seed=0)
    print(f"{net}\n  stopped after {len(history.loss)} epochs, the best was {history.best_epoch}")
    print(f"  then: {', '.join(f'{k} {v:.3f}' for k, v in history.last().items())}")
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.safetensors")
            net.metadata = {
                "mean": list(map(float, scale.mean)),
                "std": list(map(float, scale.std)),
            }
            net.save(path)
            back = mg.load(path)
            same = np.array_equal(back.predict(scale(X)), net.predict(scale(X)))
            print(f"  saved and loaded, {os.path.getsize(path)} bytes: same predictions: {same}\n")
    except ImportError as error:
        print(f"  not saved: {error}\n")


def main():
    try:
        import sklearn  # noqa: F401
    except ImportError:
        print("This demo takes its tables from scikit-learn: pip install scikit-learn")
        return
    results = {}
    for name, X, y in tables():
        one_model(X, y)
        results[name] = compare(name, X, y)
    for name, (mine, other) in results.items():
        if mine < other - 0.01:
            raise SystemExit(f"{name}: {mine:.4f} is below scikit-learn's {other:.4f}")


if __name__ == "__main__":
    main()
