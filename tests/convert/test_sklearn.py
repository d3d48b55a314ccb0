"""Fitted estimators of scikit-learn as networks: the same predictions."""

import warnings

import numpy as np
import pytest

import micrograd as mg

neural = pytest.importorskip("sklearn.neural_network")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 5))


def fitted(kind, y, X=X, **settings):
    estimator = getattr(neural, kind)(
        **{"hidden_layer_sizes": (7, 6), "max_iter": 15, "random_state": 0, **settings}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged
        return estimator.fit(X, y)


def probabilities(net, X):
    z = net.predict(X)
    if net.loss_name == "bce":
        return 1 / (1 + np.exp(-z))
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_classes(activation):
    mlp = fitted("MLPClassifier", np.array(list("abc"))[RNG.integers(0, 3, 80)],
                 activation=activation)  # fmt: skip
    net = mg.convert.from_sklearn(mlp)
    assert (net.loss_name, net.dtype, net.out_features) == ("cross_entropy", "float64", 3)
    assert probabilities(net, X) == pytest.approx(mlp.predict_proba(X), rel=1e-12)
    assert (mlp.classes_[net.predict(X).argmax(axis=1)] == mlp.predict(X)).all()


def test_two_classes_have_one_logit():
    mlp = fitted("MLPClassifier", RNG.integers(0, 2, 80), hidden_layer_sizes=(4,))
    net = mg.convert.from_sklearn(mlp)
    assert (net.loss_name, net.out_features) == ("bce", 1)
    assert probabilities(net, X)[:, 0] == pytest.approx(mlp.predict_proba(X)[:, 1], rel=1e-12)


def test_several_labels():
    mlp = fitted("MLPClassifier", RNG.integers(0, 2, (80, 3)))
    net = mg.convert.from_sklearn(mlp)
    assert (net.loss_name, net.out_features) == ("bce", 3)
    assert probabilities(net, X) == pytest.approx(mlp.predict_proba(X), rel=1e-12)


@pytest.mark.parametrize("outputs", [1, 3])
def test_quantities(outputs):
    y = RNG.normal(size=(80, outputs))
    mlp = fitted("MLPRegressor", y[:, 0] if outputs == 1 else y)
    net = mg.convert.from_sklearn(mlp)
    assert (net.loss_name, net.out_features) == ("mse", outputs)
    assert net.predict(X) == pytest.approx(mlp.predict(X).reshape(80, outputs), rel=1e-12)


def test_float32_and_no_hidden_layer():
    mlp = fitted("MLPRegressor", RNG.normal(size=80), X.astype(np.float32), hidden_layer_sizes=())
    net = mg.convert.from_sklearn(mlp)
    assert net.dtype == mlp.coefs_[0].dtype.name == "float32"
    want = mlp.predict(X.astype(np.float32))
    assert net.predict(X)[:, 0] == pytest.approx(want, rel=1e-5, abs=1e-6)


def test_what_it_refuses():
    with pytest.raises(ValueError, match="MLPClassifier is not fitted"):
        mg.convert.from_sklearn(neural.MLPClassifier())
    with pytest.raises(TypeError, match="no MLPClassifier or MLPRegressor"):
        mg.convert.from_sklearn(neural.BernoulliRBM())
    mlp = fitted("MLPRegressor", RNG.normal(size=80))
    mlp.out_activation_ = "exp"
    with pytest.raises(ValueError, match="output function 'exp'"):
        mg.convert.from_sklearn(mlp)
