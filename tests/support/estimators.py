"""A small table with answers of every kind, and what is the same in two fitted estimators."""

import numpy as np

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 6))
LABELS = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(int)
CLASSES = np.digitize(X[:, 0] + X[:, 1], [-0.7, 0.7])
MULTILABEL = (X @ RNG.normal(size=(6, 4)) > 0).astype(int)
NUMBERS = X[:, 0] - X[:, 1] ** 2
TABLE = np.stack([NUMBERS, X[:, 2], 10 * X[:, 3]], axis=1)
WEIGHTS = RNG.uniform(0, 2, size=150)
SMALL = {"hidden_layer_sizes": (9, 7), "max_iter": 12, "random_state": 0}


def assert_same(theirs, ours, rtol=1e-9):
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(theirs, name) == getattr(ours, name), name
    for name in ("loss_", "best_loss_", "best_validation_score_", "loss_curve_"):
        want = getattr(theirs, name, None)
        if want is not None:
            np.testing.assert_allclose(getattr(ours, name), want, rtol=rtol, err_msg=name)
    for name in ("coefs_", "intercepts_"):
        for want, got in zip(getattr(theirs, name), getattr(ours, name), strict=True):
            assert got.shape == want.shape and got.dtype == want.dtype
            np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-11, err_msg=name)
