"""Columns of many categories: each gets learned numbers, and all that leaves agrees."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

import micrograd as mg
from micrograd.sklearn import TabularClassifier, TabularRegressor

ROWS, TOWNS = 1200, 40


def towns(seed=0):
    """A table whose answer depends on one of forty towns, on a number, and on one of two words."""
    rng = np.random.default_rng(seed)
    town = rng.integers(0, TOWNS, ROWS)
    x = rng.normal(size=ROWS)
    word = rng.choice(["a", "b"], ROWS)
    worth = np.random.default_rng(9).normal(size=TOWNS) * 3
    table = {
        "town": np.array([f"t{i}" for i in town], dtype=object),
        "x": x,
        "word": word.astype(object),
    }
    return table, worth[town] + x + 2 * (word == "a")


@pytest.fixture(scope="module")
def model():
    table, y = towns()
    kept = {name: column[:1000] for name, column in table.items()}
    return TabularRegressor("fast", random_state=0).fit(kept, y[:1000])


def last(rows=200):
    table, y = towns()
    return {name: column[-rows:] for name, column in table.items()}, y[-rows:]


def test_many_categories_are_embedded_and_few_are_flags(model):
    first = model.networks_[0].layers[0]
    assert first == mg.Embedding((TOWNS,), 8, in_features=4)
    names = model.schema_.encoded_names
    assert [n.split("=")[0] for n in names] == ["x", "word", "word", "town code"]
    assert model.schema_.tables == (TOWNS,)
    assert "an embedding of 40, zeros for others" in str(model.schema_)
    assert model.score(*last()) > 0.95
    table, y = towns()
    flags = TabularRegressor("fast", random_state=0, epochs=1, embed_above=None).fit(table, y)
    assert len(flags.schema_.encoded_names) == 3 + TOWNS and flags.schema_.tables == ()
    assert not isinstance(flags.networks_[0].layers[0], mg.Embedding)
    with pytest.raises(ValueError, match="embed_above is 0"):
        TabularRegressor(embed_above=0).fit(table, y)


def by_hand(model, table):
    """The answer, with the rows of the embedding taken from its table by numpy."""
    net = model.networks_[0]
    parameters = list(net.parameters())
    rest = mg.Network(*net.layers[1:], loss="mse")
    for mine, own in zip(rest.parameters(), parameters[1:], strict=True):
        mine.data[...] = own.data
    column = next(c for c in model.schema_.columns if c.name == "town")
    rows = np.zeros((len(table["x"]), 8), np.float32)
    for i, town in enumerate(table["town"]):
        if town in column.categories:
            rows[i] = parameters[0].data[column.categories.index(town)]
    before = model.schema_.transform(table)[:, :3].astype(np.float32)
    target = model.schema_.targets[0]
    z = rest.predict(np.concatenate([before, rows], axis=1))[:, 0].astype(float)
    return np.clip(target.centre + target.scale * z, target.least, target.most)


def test_the_answer_by_hand_with_a_town_that_was_not_seen(model):
    table, _ = last(50)
    table["town"] = table["town"].copy()
    table["town"][:2] = ["nowhere", ""]
    np.testing.assert_allclose(model.predict(table), by_hand(model, table), rtol=1e-5)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(table), model.predict(table))


def test_one_row_of_a_frame(model):
    pd = pytest.importorskip("pandas")
    table, _ = last(20)
    frame = pd.DataFrame(table)
    frame.loc[3, "town"] = "nowhere"
    together = model.schema_.transform(frame)
    for i in range(20):
        row = frame.iloc[[i]]
        np.testing.assert_array_equal(model.schema_._one_row(row), together[[i]])


def test_onnx_torch_and_the_file_say_the_same(model, tmp_path):
    table, _ = last(60)
    table["town"] = table["town"].copy()
    table["town"][0] = "nowhere"
    other = {"more": np.zeros(60), **{name: table[name][::-1] for name in reversed(table)}}
    expected = model.predict(table)
    np.testing.assert_array_equal(model.predict(other), expected[::-1])
    pytest.importorskip("safetensors")
    model.save(tmp_path / "model.safetensors")
    net = mg.load(tmp_path / "model.safetensors")
    schema = mg.tabular.Schema.from_dict(net.metadata["schema"])
    inputs = schema.transform(other).astype(np.float32)
    np.testing.assert_array_equal(net.predict(inputs), model.networks_[0].predict(inputs))
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    mg.convert.to_onnx(model, tmp_path / "model.onnx")
    run = runtime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    (found,) = run.run(None, mg.convert.onnx_inputs(model.schema_, other))
    np.testing.assert_allclose(found[::-1, 0], expected, rtol=1e-5, atol=1e-5)
    torch = pytest.importorskip("torch")
    with torch.no_grad():
        said = mg.convert.to_torch(net).eval()(torch.from_numpy(inputs)).numpy()
    np.testing.assert_allclose(said, net.predict(inputs), rtol=1e-5, atol=1e-5)


def test_explanations_go_through_the_embedding(model):
    """sum of e_k d answer / d e_k is how the answer changes as the town's numbers grow together."""
    table, _ = last(25)
    names, moved = model.explain(table)
    net = model.networks_[0]
    encoded = model.schema_.transform(table).astype(np.float32).astype(float)
    twin = mg.Network(*net.layers, dtype="float64", loss="mse")
    ends = []
    for factor in (1 + 1e-5, 1 - 1e-5):
        for mine, own in zip(twin.parameters(), net.parameters(), strict=True):
            mine.data[...] = own.data
        next(iter(twin.parameters())).data[...] *= factor
        ends.append(twin.predict(encoded)[:, 0])
    slope = (ends[0] - ends[1]) / 2e-5 * model.schema_.targets[0].scale
    np.testing.assert_allclose(moved[:, names.index("town")], slope, rtol=1e-4, atol=1e-5)
    assert np.abs(moved[:, names.index("town")]).mean() > 0.5
    names, found = model.derivatives(table)
    assert names == ["x"] and found.mean() == pytest.approx(1, abs=0.2)


def test_a_classifier_and_the_best_of_five(tmp_path):
    table, y = towns()
    named = np.where(y > 0, "dear", "cheap")
    model = TabularClassifier("best", random_state=0, epochs=4).fit(table, named)
    assert all(net.layers[0].sizes == (TOWNS,) for net in model.networks_)
    assert model.score(table, named) > 0.8
    names, moved = model.explain({name: column[:10] for name, column in table.items()})
    assert moved.shape == (10, 3, 2) and names == ["town", "x", "word"]
    np.testing.assert_allclose(
        model.permutation_importances(table, named, 2, 0)["town"], 0.3, atol=0.2
    )


def test_a_damaged_schema_is_refused(model):
    plain = model.schema_.to_dict()
    for column in plain["columns"]:
        if column["name"] == "x":
            column["embedded"] = True
    with pytest.raises(ValueError, match="embedded is True, which is for a category"):
        mg.tabular.Schema.from_dict(plain)
