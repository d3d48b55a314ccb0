"""TabularClassifier and TabularRegressor beside scikit-learn's rules and on tables as they are."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.utils.estimator_checks import parametrize_with_checks

import micrograd as mg
from micrograd.sklearn import TabularClassifier, TabularRegressor
from micrograd.sklearn.tabular_recipe import PRESETS, Recipe

SAMPLE_WEIGHTS = """A row of weight 2 gets one dropout mask, and that row twice two; and which rows
share a batch is drawn among the rows that are there. Without dropout and with all rows in each
batch both are one model: test_a_row_of_weight_2_is_that_row_twice_but_for_what_is_drawn."""
ROWS = 900


def ships(rows=ROWS, seed=0):
    """A table with words, gaps, dates, yes and no; what is asked for depends on all of them."""
    rng = np.random.default_rng(seed)
    port = rng.choice(["Oslo", "Porto", "Genoa"], rows)
    width, crew = rng.normal(20, 5, rows), rng.integers(1, 40, rows)
    flag = rng.random(rows) < 0.5
    day = rng.integers(0, 1500, rows)
    load = (
        3 * width + np.where(port == "Oslo", 30, np.where(port == "Porto", -20, 0))
        + 15 * flag + 10 * np.sin(2 * np.pi * day / 365.2425)
    )  # fmt: skip
    width[rng.random(rows) < 0.1] = np.nan
    table = {
        "port": port.astype(object),
        "width": width,
        "crew": crew,
        "night": np.where(flag, "yes", "no").astype(object),
        "sailed": np.datetime64("2020-01-01") + day,
        "name": np.array([f"ship {i}" for i in range(rows)], dtype=object),
    }
    return table, load


def part(table, rows):
    return {name: column[rows] for name, column in table.items()}


@parametrize_with_checks(
    [TabularClassifier("fast"), TabularRegressor("fast")],
    expected_failed_checks=lambda estimator: {
        "check_sample_weight_equivalence_on_dense_data": SAMPLE_WEIGHTS,
    },
)
def test_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_a_table_as_it_is_with_its_columns_in_another_order():
    table, load = ships()
    y = np.where(load > 70, "heavy", np.where(load > 45, "middle", "light"))
    train, test = np.arange(700), np.arange(700, ROWS)
    model = TabularClassifier(random_state=0).fit(part(table, train), y[train])
    kinds = {column.name: column.kind for column in model.schema_.columns}
    assert kinds == {"port": "category", "width": "number", "crew": "number", "night": "yes/no",
                     "sailed": "date", "name": "left out"}  # fmt: skip
    assert model.score(part(table, test), y[test]) > 0.7
    other = {"more": np.zeros(200), **{k: table[k][test] for k in reversed(table)}}
    expected = model.predict_proba(part(table, test))
    np.testing.assert_array_equal(model.predict_proba(other), expected)
    np.testing.assert_allclose(expected.sum(axis=1), 1)
    with pytest.raises(ValueError, match="no column 'crew', which the model was trained on"):
        model.predict({name: column for name, column in other.items() if name != "crew"})
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(other), expected)


def test_a_quantity_in_its_units_and_within_what_was_seen():
    table, load = ships()
    train, test = np.arange(700), np.arange(700, ROWS)
    model = TabularRegressor(random_state=0).fit(part(table, train), load[train])
    assert model.score(part(table, test), load[test]) > 0.75
    far = {**part(table, test), "width": np.full(200, 1e6)}
    assert model.predict(far).max() <= load[train].max()
    both = TabularRegressor("fast", random_state=0).fit(table, np.stack([load, -2 * load], axis=1))
    assert both.predict(table).shape == (ROWS, 2)
    assert both.score(table, np.stack([load, -2 * load], axis=1)) > 0.75


def test_quantiles_hold_their_share_of_the_rows():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (3000, 2))
    y = X[:, 0] + (0.2 + 0.5 * (X[:, 1] > 0)) * rng.normal(size=3000)
    model = TabularRegressor(loss="quantile", random_state=1).fit(X[:2000], y[:2000])
    low, high = model.predict_interval(X[2000:]).T
    assert (low < high).all()
    inside = ((y[2000:] > low) & (y[2000:] < high)).mean()
    assert 0.8 < inside < 0.97
    wide, narrow = ((high - low)[(X[2000:, 1] > 0) == side].mean() for side in (True, False))
    assert wide / narrow == pytest.approx(0.7 / 0.2, rel=0.4)
    middle = model.predict(X[2000:])
    assert 0.4 < (y[2000:] < middle).mean() < 0.6
    with pytest.raises(ValueError, match="fit with loss='quantile'"):
        TabularRegressor("fast").fit(X, y).predict_interval(X)


def test_counts_by_their_mean():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (3000, 2))
    mean = np.exp(1 + 1.2 * X[:, 0])
    model = TabularRegressor(loss="poisson", random_state=0).fit(X, rng.poisson(mean))
    np.testing.assert_allclose(model.predict(X), mean, rtol=0.7)
    assert np.corrcoef(model.predict(X), mean)[0, 1] > 0.97
    with pytest.raises(ValueError, match="y has -1, loss 'poisson' takes 0 or more"):
        TabularRegressor(loss="poisson").fit(X, -np.ones(3000))


@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
def test_losses_that_outliers_move_less(loss):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (1000, 1))
    y = X[:, 0].copy()
    y[::10] += 30
    plain = TabularRegressor(random_state=0).fit(X, y).predict(X)
    model = TabularRegressor(loss=loss, random_state=0).fit(X, y).predict(X)
    assert np.abs(model - X[:, 0]).mean() < np.abs(plain - X[:, 0]).mean()


def test_probabilities_are_calibrated():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 3))
    p = 1 / (1 + np.exp(-2 * X[:, 0]))
    y = (rng.random(4000) < p).astype(int)
    model = TabularClassifier(random_state=0).fit(X[:3000], y[:3000])
    assert np.abs(model.predict_proba(X[3000:])[:, 1] - p[3000:]).mean() < 0.06


def test_weights_of_rows_and_classes():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 2))
    y = (X[:, 0] + 1.5 + 0.7 * rng.normal(size=1000) > 0).astype(int)
    plain = TabularClassifier("fast", random_state=0).fit(X, y)
    even = TabularClassifier("fast", random_state=0, class_weight="balanced").fit(X, y)
    rows = TabularClassifier("fast", random_state=0).fit(X, y, np.where(y == 0, 9.0, 1.0))
    shares = [(model.predict(X) == 0).mean() for model in (plain, even, rows)]
    assert shares[0] < shares[1] and shares[0] < shares[2]


def test_importances_and_explanations_find_what_matters():
    rng = np.random.default_rng(0)
    X = {name: rng.normal(size=1500) for name in ("first", "second", "noise")}
    y = 3 * X["first"] - X["second"]
    model = TabularRegressor(random_state=0).fit(X, y)
    found = model.permutation_importances(X, y, random_state=0)
    assert list(found) == ["first", "second", "noise"]
    assert found["first"] > 1 and abs(found["noise"]) < 0.02
    names, moved = model.explain({name: column[:200] for name, column in X.items()})
    assert names == ["first", "second", "noise"] and moved.shape == (200, 3)
    assert np.corrcoef(moved[:, 0], X["first"][:200])[0, 1] > 0.9
    assert np.corrcoef(moved[:, 1], X["second"][:200])[0, 1] < -0.9
    assert np.abs(moved[:, 2]).mean() < 0.1 * np.abs(moved[:, 0]).mean()


def test_same_seed_same_model_for_any_number_of_threads():
    table, load = ships()
    models = [
        TabularRegressor("fast", random_state=3, n_jobs=jobs).fit(table, load) for jobs in (1, 2)
    ]
    np.testing.assert_array_equal(*(model.predict(table) for model in models))


def test_a_time_limit_ends_training():
    table, load = ships()
    model = TabularRegressor("best", time_limit=1e-9, random_state=0).fit(table, load)
    assert 1 <= len(model.networks_) <= mg.get_num_threads() and model.n_iter_ == 1


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"preset": "slow"}, "preset is 'slow', one of fast, default, best"),
        ({"time_limit": 0}, "time_limit is 0"),
        ({"loss": "mse"}, "loss is 'mse', one of squared_error"),
        ({"loss": "quantile", "quantiles": (0.9, 0.1)}, "rising levels"),
        ({"kinds": {"depth": "number"}}, "kinds names the column 'depth', X has port, width"),
        ({"kinds": {"crew": "date"}}, "column 3 .'crew'.: .* is no date"),
    ],
)
def test_parameters_that_do_not_fit(settings, complaint):
    table, load = ships(100)
    with pytest.raises(ValueError, match=complaint):
        TabularRegressor(**settings).fit(table, load)


@pytest.mark.parametrize("kind", ["classes", "quantity", "counts"])
def test_derivatives_beside_central_differences(kind):
    table, load = ships()
    fit = {"random_state": 0, "epochs": 3}
    if kind == "classes":
        y = np.where(load > 70, "heavy", np.where(load > 45, "middle", "light"))
        model = TabularClassifier("fast", **fit).fit(table, y)
    else:
        loss = "poisson" if kind == "counts" else "absolute_error"
        model = TabularRegressor("fast", loss=loss, **fit).fit(table, load - load.min())
    rows = part(table, np.arange(40))
    names, found = model.derivatives(rows)
    assert names == ["width", "crew", "sailed"]
    assert found.shape == ((40, 3, 3) if kind == "classes" else (40, 3))

    def answers(moved):
        """The outputs in float64, by the network's own forward pass."""
        net = model.networks_[0]
        twin = mg.Network(*net.layers, dtype="float64", loss="mse")
        twin.parameters().flat[...] = net.parameters().flat
        z = twin.predict(model.schema_.transform(moved)) * (
            1 if kind != "quantity" else model._scale
        )
        return z if kind == "classes" else z[:, 0]

    days = np.array([24 * 3600], "timedelta64[s]")
    for i, (name, step) in enumerate(zip(names, (1e-3, 1e-3, 1e-3), strict=True)):
        moved = []
        for sign in (1, -1):
            if name == "sailed":
                seconds = (sign * step * days.astype(float) * 1e6).astype("timedelta64[us]")
                cells = rows[name].astype("datetime64[us]") + seconds
            else:
                cells = rows[name] + sign * step
            moved.append(answers({**rows, name: cells}))
        want = (moved[0] - moved[1]) / (2 * step)
        missing = np.isnan(rows["width"]) if name == "width" else np.zeros(40, bool)
        np.testing.assert_allclose(found[~missing, i], want[~missing], rtol=2e-3, atol=1e-6)
        assert not found[missing, i].any()


def test_explanations_are_the_gradient_times_the_distance_from_the_usual():
    table, load = ships()
    y = np.where(load > 60, "heavy", "light")
    model = TabularClassifier("fast", random_state=0, epochs=3).fit(table, y)
    rows = part(table, np.arange(30))
    names, moved = model.explain(rows)
    encoded = model.schema_.transform(rows)
    net = model.networks_[0]
    twin = mg.Network(*net.layers, dtype="float64", loss="mse")
    twin.parameters().flat[...] = net.parameters().flat
    expected = np.zeros_like(moved)
    place = {column: names.index(column.split("=")[0].split(".")[0].removesuffix(" missing"))
             for column in model.schema_.encoded_names}  # fmt: skip
    for i, column in enumerate(model.schema_.encoded_names):
        ends = []
        for sign in (1e-5, -1e-5):
            there = encoded.astype(np.float32).astype(float)
            there[:, i] += sign
            ends.append(twin.predict(there))
        slope = (ends[0] - ends[1]) / 2e-5
        expected[:, place[column]] += encoded[:, i : i + 1] * slope
    np.testing.assert_allclose(moved, expected, rtol=1e-4, atol=1e-6)


def test_members_are_trained_at_once_with_the_bits_of_one_after_the_other():
    table, load = ships(400)
    y = np.where(load > 60, "heavy", "light")
    fits = [
        TabularClassifier("best", random_state=0, epochs=3, n_jobs=jobs).fit(table, y)
        for jobs in (1, 2)
    ]
    one, two = (model.predict_proba(table) for model in fits)
    np.testing.assert_array_equal(one, two)
    nets = fits[0].networks_
    assert len(nets) == 5 and len({float(net.parameters().flat[0]) for net in nets}) == 5
    encoded = fits[0].schema_.transform(table).astype(np.float32)
    mean = np.mean([net.predict_proba(encoded) for net in nets], axis=0)
    np.testing.assert_allclose(one, mean, atol=1e-6)


@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
def test_a_row_of_weight_2_is_that_row_twice_but_for_what_is_drawn(kind, monkeypatch):
    class WholeBatches(Recipe):
        def sized(self, rows):
            return Recipe(width=16, depth=2, epochs=50, batch_size=1000, dropout=0.0)

    monkeypatch.setitem(PRESETS, "fast", WholeBatches())
    rng = np.random.default_rng(0)
    X, times = rng.random((60, 4)), rng.integers(0, 5, 60)
    y = (2 * X[:, 0] + rng.random(60)).round().astype(int)
    weighted = kind("fast", random_state=0).fit(X, y, sample_weight=times)
    repeated = kind("fast", random_state=0).fit(X.repeat(times, axis=0), y.repeat(times))
    answers = [
        model.predict_proba(X) if kind is TabularClassifier else model.predict(X)
        for model in (weighted, repeated)
    ]
    np.testing.assert_allclose(*answers, atol=2e-5)
    scaled = kind("fast", random_state=0).fit(X, y, sample_weight=0.25 * times)
    for one, other in zip(scaled.schema_.columns, repeated.schema_.columns, strict=True):
        np.testing.assert_allclose(one.centre, other.centre, rtol=1e-12)
        np.testing.assert_allclose(one.scale, other.scale, rtol=1e-12)
    for zeros in (0 * times, [0.0] * 60, 0):
        with pytest.raises(
            ValueError, match=r"Tabular\w+\.fit: sample_weight is 0 in all rows, at"
        ):
            kind("fast").fit(X, y, sample_weight=zeros)
