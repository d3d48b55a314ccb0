"""Probabilities, classes and their names, score, and the tables of summary and explain."""

import math

import numpy as np
import pytest

import micrograd as mg

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 4))
NUMBERS = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 0)
NAMES = np.array(["cat", "dog", "eel"])[NUMBERS]


def network(loss="cross_entropy", outputs=3, **options):
    layers = mg.Linear(4, 6), mg.Tanh(), mg.Linear(6, outputs)
    return mg.Network(*layers, loss=loss, dtype="float64", seed=0, **options)


def fit(net, y, **options):
    return net.fit(X, y, epochs=2, batch_size=16, seed=0, progress=False, **options)


# ---- probabilities and classes ----


def test_probabilities_are_the_softmax_of_the_outputs():
    net = network()
    z = net.predict(X)
    wanted = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(net.predict_proba(X), wanted, rtol=1e-13)
    assert net.classify(X).tolist() == wanted.argmax(axis=1).tolist()


@pytest.mark.parametrize("outputs", [1, 3])
def test_probabilities_of_bce_are_sigmoids(outputs):
    net = network("bce", outputs)
    p = 1 / (1 + np.exp(-net.predict(X)))
    wanted = np.hstack([1 - p, p]) if outputs == 1 else p
    np.testing.assert_allclose(net.predict_proba(X), wanted, rtol=1e-13)
    classes = (p > 0.5).astype(int)
    assert net.classify(X).tolist() == (classes[:, 0] if outputs == 1 else classes).tolist()


def test_other_losses_have_no_classes():
    for call in ("predict_proba", "classify"):
        with pytest.raises(ValueError, match=rf"Network\.{call}: the loss 'mse' is of no classes"):
            getattr(network("mse"), call)(X)


# ---- names ----


@pytest.mark.parametrize("kind", [np.array, list, lambda y: np.array(y, object)])
def test_names_are_trained_as_their_numbers_are(kind):
    numbered, named = network(), network()
    wanted = fit(numbered, NUMBERS, validation=(X, NUMBERS), class_weight={1: 2.0})
    found = fit(named, kind(NAMES), validation=(X, kind(NAMES)), class_weight={"dog": 2.0})
    assert np.array_equal(numbered.parameters().flat, named.parameters().flat)
    assert found.val_loss == wanted.val_loss
    assert found.val_accuracy == wanted.val_accuracy
    assert named.metadata["classes"] == ["cat", "dog", "eel"]
    assert named.classify(X).tolist() == [["cat", "dog", "eel"][k] for k in numbered.classify(X)]
    assert named.loss(X, kind(NAMES)) == numbered.loss(X, NUMBERS)
    assert named.evaluate(X, kind(NAMES)) == numbered.evaluate(X, NUMBERS)
    assert named.score(X, kind(NAMES)) == numbered.score(X, NUMBERS)
    fit(named, kind(NAMES[::-1]))  # the order of the classes stays
    assert named.class_names == ["cat", "dog", "eel"]


def test_names_in_a_column_of_pandas():
    pandas = pytest.importorskip("pandas")
    named, numbered = network(), network()
    fit(named, pandas.Series(NAMES))
    fit(numbered, NUMBERS)
    assert np.array_equal(numbered.parameters().flat, named.parameters().flat)


def test_names_of_two_classes_with_bce():
    y = np.where(X[:, 0] > 0, "yes", "no")
    named, numbered = network("bce", 1), network("bce", 1)
    fit(named, y)
    fit(numbered, (y == "yes").astype(float))
    assert np.array_equal(numbered.parameters().flat, named.parameters().flat)
    assert set(named.classify(X)) <= {"yes", "no"}


def test_names_of_an_estimator_or_the_command_line_are_found():
    net = network()
    net.metadata["schema"] = {"targets": [{"classes": ["x", "y", "z"]}]}
    assert net.class_names == ["x", "y", "z"]
    net.metadata["schema"] = {"targets": [{"classes": []}]}
    assert net.class_names is None


def test_names_that_do_not_fit_are_errors_and_change_nothing():
    net = network()
    with pytest.raises(ValueError, match=r"Network\.fit: y has 2 different names"):
        fit(net, np.array(["a", "b"] * 30))
    with pytest.raises(
        TypeError, match=r"Network\.loss: y is .*<U3.*no names of classes yet; fit them"
    ):
        net.loss(X, NAMES)
    with pytest.raises(TypeError, match=r"real numbers are wanted; names .* this is mse with 3"):
        network("mse").loss(X, NAMES)
    with pytest.raises(TypeError, match=r"y\[1\] is int 3"):
        fit(net, ["cat", 3, *NAMES[2:]])
    with pytest.raises(ValueError, match="batch_size"):
        net.fit(X, NAMES, batch_size=0)
    fresh = network()
    with pytest.raises(ValueError, match="epochs"):
        fresh.fit(X, NAMES, epochs=0)
    assert fresh.metadata == {}
    fit(net, NAMES)
    with pytest.raises(
        ValueError, match=r"Network.loss: y\[0\] is 'cow', the classes are cat, dog"
    ):
        net.loss(X, ["cow", *NAMES[1:]])


# ---- score ----


def test_score_of_classes():
    net, weights = network(), rng.uniform(0, 1, 60)
    right = net.classify(X) == NUMBERS
    assert net.score(X, NUMBERS) == pytest.approx(right.mean(), rel=1e-12)
    assert net.score(X, NUMBERS, weights) == pytest.approx(np.average(right, weights=weights))
    assert net.score(X, np.eye(3)[NUMBERS]) == pytest.approx(right.mean(), rel=1e-12)


def test_score_of_quantities_is_r_squared():
    net = network("huber", 2)
    y = X[:, :2] * 3 + 1
    z = net.predict(X)
    wanted = 1 - ((y - z) ** 2).sum(axis=0) / ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    assert net.score(X, y) == pytest.approx(wanted.mean(), rel=1e-12)
    metrics = pytest.importorskip("sklearn.metrics")
    weights = rng.uniform(0, 1, 60)
    assert net.score(X, y, weights) == pytest.approx(metrics.r2_score(y, z, sample_weight=weights))
    with pytest.raises(ValueError, match=r"Network\.score: column 1 of y is the same in all rows"):
        net.score(X, np.column_stack([y[:, 0], np.ones(60)]))
    with pytest.raises(ValueError, match=r"Network.score: y\[0, 0\] is nan"):
        net.score(X, np.full((60, 2), math.nan))


def test_outputs_of_a_loss_that_is_a_function_have_no_score():
    with pytest.raises(ValueError, match=r"the loss 'poisson' is a function"):
        network(mg.Poisson(), 1).score(X, np.abs(X[:, 0]))


# ---- tables ----


def test_summary_is_a_table_of_layers_shapes_and_parameters():
    slope = mg.Value(0.2, "slope")
    net = mg.Network(
        mg.Linear(4, 8),
        mg.Residual(mg.Linear(8, 8), mg.Map(lambda z: z * slope)),
        mg.DenseBlock(mg.Linear(8, 2), mg.Tanh()),
        mg.Linear(10, 3),
        seed=0,
    )
    text = str(net.summary())
    assert repr(net.summary()) == text
    lines = [line.split() for line in text.splitlines()]
    assert ["0", "Linear(4,", "8)", "4", "8", "40"] in lines
    assert ["1.0", "Linear(8,", "8)", "8", "8", "72"] in lines
    assert ["2", "DenseBlock", "8", "10"] in lines
    assert ["2.1", "Tanh()", "2", "2"] in lines
    assert ["3", "Linear(10,", "3)", "10", "3", "33"] in lines
    assert "164 + " not in text
    assert text.splitlines()[-1].startswith("164 parameters in float32 (656 bytes)")


def test_explain_prints_a_table_and_is_a_dict():
    net = network()
    seen = net.explain(X, NUMBERS)
    assert isinstance(seen, dict)
    text = str(seen)
    assert len(text.splitlines()) == len(seen) + 1
    assert max(map(len, text.splitlines())) < 80
    W = net.parameters()[0].data
    line = next(line for line in text.splitlines() if line.startswith("W1 "))
    assert line.split() == ["W1", "6", "x", "4", f"{W.min():.4g}", f"{W.max():.4g}",
                            f"{np.sqrt((W**2).mean()):.4g}"]  # fmt: skip
