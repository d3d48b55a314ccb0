"""Plots: the numbers drawn are scikit-learn's, names are text, nothing is shown by itself."""

import sys

import numpy as np
import pytest

import micrograd as mg
from micrograd import plot
from micrograd.plot.style import PALETTE, marks, text

pytest.importorskip("matplotlib")

RNG = np.random.default_rng(7)
NASTY = ["$x_1$ and $y$", "<script>alert(1)</script>", '_"quoted" & more', "a\nb\\$c$d$"]


def labelled(rows=300, classes=4):
    y_true = RNG.integers(0, classes, rows)
    y_pred = np.where(RNG.random(rows) < 0.7, y_true, RNG.integers(0, classes, rows))
    return y_true, y_pred


def shown(figure):
    """Every text of a figure, after it has been drawn."""
    import matplotlib.text

    figure.draw_without_rendering()
    return [t for t in figure.findobj(matplotlib.text.Text) if t.get_text()]


def rendered(figure):
    """The texts as a reader sees them; the test is red where one is taken for a formula."""
    out = []
    for t in shown(figure):
        line, is_formula = t._preprocess_math(t.get_text())
        if not is_formula:
            out.append(line)
    return out


# ---- confusion matrix ----


@pytest.mark.parametrize("normalize", [None, "true", "pred", "all"])
def test_confusion_matrix_is_scikit_learns(normalize):
    metrics = pytest.importorskip("sklearn.metrics")
    y_true, y_pred = labelled()
    (axes, _) = plot.confusion_matrix(y_true, y_pred, normalize=normalize).axes
    wanted = metrics.confusion_matrix(y_true, y_pred, normalize=normalize)
    cells = np.array([t.get_text() for t in axes.texts]).reshape(wanted.shape)
    if normalize is None:
        assert (cells.astype(int) == wanted).all()
        wanted = metrics.confusion_matrix(y_true, y_pred, normalize="true")
    else:
        assert np.abs(cells.astype(float) - wanted).max() <= 0.005 + 1e-12
    np.testing.assert_allclose(axes.images[0].get_array(), wanted, rtol=1e-15)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")


def test_confusion_matrix_of_names_in_a_given_order():
    metrics = pytest.importorskip("sklearn.metrics")
    y_true, y_pred = labelled(classes=3)
    names = np.array(["cat", "dog", "eel"])
    order = ["eel", "cat", "dog"]
    figure = plot.confusion_matrix(names[y_true].tolist(), names[y_pred], labels=order)
    wanted = metrics.confusion_matrix(names[y_true], names[y_pred], labels=order)
    cells = [int(t.get_text()) for t in figure.axes[0].texts]
    assert cells == wanted.ravel().tolist()
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == order


def test_confusion_matrix_with_a_class_that_is_never_true():
    figure = plot.confusion_matrix([0, 0, 2], [0, 1, 2], normalize="true")
    assert figure.axes[0].images[0].get_array().tolist() == [[0.5, 0.5, 0], [0, 0, 0], [0, 0, 1]]


def test_confusion_matrix_of_a_hundred_classes():
    y = np.arange(100)
    axes = plot.confusion_matrix(y, y[::-1].copy()).axes[0]
    assert not axes.texts and len(axes.get_xticklabels()) <= 40
    assert axes.images[0].get_array().sum() == 100


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (([0, 1], [0]), ValueError, "y_true has 2 rows, y_pred has 1"),
        (([], []), ValueError, "there are no rows"),
        (([0, 1], ["a", "b"]), TypeError, "y_true holds int 0, y_pred str 'a'"),
        (([0, "a"], [0, 0]), TypeError, "y_true holds text and numbers"),
        (([0, 1], [0, float("nan")]), TypeError, r"y_pred\[1\] is nan, a class is wanted"),
        (([0, None], [0, 1]), TypeError, r"y_true\[1\] is None"),
        ((np.eye(2), np.eye(2)), ValueError, r"y_true has shape \(2, 2\)"),
        (([0, 1], [0, 2], [0, 1]), ValueError, r"y_pred\[1\] is 2, which labels do not have"),
        (([0, 1], [0, 1], [0, 1, 1]), ValueError, "stands twice"),
        (([0, 1], [0, 1], None, "rows"), ValueError, "normalize is 'rows'"),
        (([0, 1], [0, 1], None, None, ["a"]), ValueError, "display_labels has 1 names"),
    ],
)
def test_confusion_matrix_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        plot.confusion_matrix(*arguments)


# ---- calibration ----


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@pytest.mark.parametrize("bins", [5, 10, 15])
def test_calibration_is_scikit_learns(strategy, bins):
    reference = pytest.importorskip("sklearn.calibration")
    prob = RNG.beta(0.6, 0.8, 2000)
    y = (RNG.random(2000) < prob**1.5).astype(int)
    figure = plot.calibration(y, prob, bins, strategy)
    shares, means = reference.calibration_curve(y, prob, n_bins=bins, strategy=strategy)
    line = figure.axes[0].lines[1]
    np.testing.assert_allclose(line.get_xdata(), means, rtol=1e-12)
    np.testing.assert_allclose(line.get_ydata(), shares, rtol=1e-12)
    heights = [bar.get_height() for bar in figure.axes[1].patches]
    assert sum(heights) == 2000 and len(heights) == bins


def test_calibration_of_many_classes_and_its_error():
    """The largest class's probability against its truth; the error worked out row by row."""
    z = RNG.normal(size=(500, 5)) * 2
    prob = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    y = np.array([RNG.choice(5, p=p) for p in prob])
    names = np.array(list("edcba"))  # columns in an order that is not the sorted one
    figure = plot.calibration(names[y], prob, labels=list(names))
    top, hit = prob.max(axis=1), prob.argmax(axis=1) == y
    error = 0.0
    for k in range(10):
        rows = (top > k / 10) & (top <= (k + 1) / 10)
        error += abs(hit[rows].sum() - top[rows].sum()) / 500
    assert f"expected error {error:.3f}" in " ".join(rendered(figure))


def test_calibration_of_two_columns_is_that_of_the_second():
    prob = RNG.random(100)
    y = RNG.integers(0, 2, 100)
    one, two = plot.calibration(y, prob), plot.calibration(y, np.stack([1 - prob, prob], 1))
    for a, b in zip(one.axes[0].lines, two.axes[0].lines, strict=True):
        assert np.array_equal(a.get_xydata(), b.get_xydata())


@pytest.mark.parametrize(
    "y, prob, message",
    [
        ([0, 1], [0.2, 1.2], r"y_prob\[1\] is 1.2, probabilities are wanted"),
        ([0, 1], [0.2, float("nan")], r"y_prob\[1\] is nan"),
        ([0, 1], [[3.0, -2.0], [1.0, 0.0]], r"y_prob\[0, 1\] is -2|y_prob\[0, 0\] is 3"),
        ([0, 1], [[0.5, 0.2], [0.5, 0.5]], r"y_prob\[0\] adds up to 0.7"),
        ([0, 1, 1], [0.2, 0.2], "y_true has 3 rows, y_prob has 2"),
        ([1, 2], [0.2, 0.2], None),
        ([0, 1, 2], [0.2, 0.2, 0.3], "y_prob is of 2 classes"),
        (["a", "a"], [0.2, 0.2], "labels says which class"),
    ],
)
def test_calibration_refuses(y, prob, message):
    if message is None:  # two classes of any name: the second in their order is the one
        plot.calibration(y, prob)
        return
    with pytest.raises(ValueError, match=message):
        plot.calibration(y, prob)
    with pytest.raises(ValueError, match="strategy"):
        plot.calibration([0, 1], [0.1, 0.9], strategy="equal")


# ---- decision boundary ----


def moons():
    t = np.linspace(0, np.pi, 60)
    a, b = np.stack([np.cos(t), np.sin(t)], 1), np.stack([1 - np.cos(t), 0.5 - np.sin(t)], 1)
    return np.concatenate([a, b]), np.repeat([0, 1], 60)


def plane_of(figure):
    """(points (n, n, 2), colours (n, n, 3)) of the drawn plane."""
    axes = figure.axes[0]
    colors = np.asarray(axes.images[0].get_array())
    left, right, bottom, top = axes.images[0].get_extent()
    first = np.linspace(left, right, colors.shape[1])
    second = np.linspace(bottom, top, colors.shape[0])
    return np.stack(np.meshgrid(first, second), axis=-1), colors


@pytest.mark.parametrize("kind", ["network", "predictor", "bce", "estimator", "function"])
def test_decision_boundary_is_the_models(kind):
    from matplotlib.colors import to_rgb

    X, y = moons()
    if kind == "estimator":
        model = pytest.importorskip("micrograd.sklearn").MLPClassifier(
            hidden_layer_sizes=(8,), max_iter=300, tol=0.0, n_iter_no_change=1000, random_state=0
        )
        with pytest.warns(UserWarning):
            model.fit(X, y)
        classify = model.predict
    else:
        loss, outputs = ("bce", 1) if kind == "bce" else ("cross_entropy", 2)
        net = mg.Network(mg.Linear(2, 8), mg.Tanh(), mg.Linear(8, outputs), loss=loss, seed=0)
        net.fit(X, y, epochs=30, batch_size=16, seed=0)
        classify = net.classify
        model = {"predictor": net.freeze(), "function": net.classify}.get(kind, net)
    figure = plot.decision_boundary(model, X, y, resolution=41)
    points, colors = plane_of(figure)
    wanted = np.asarray(classify(points.reshape(-1, 2))).reshape(41, 41)
    hues = np.array([to_rgb(marks(i)["color"]) for i in (0, 1)])
    for i in (0, 1):  # 1 - depth * (1 - hue): the same depth in all three channels
        depth = (1 - colors[wanted == i]) / (1 - hues[i])
        assert np.ptp(depth, axis=1).max() < 1e-9 and depth.min() > 0.1
    assert 0 < wanted.mean() < 1
    for drawn, i in zip(figure.axes[0].collections[-2:], (0, 1), strict=True):
        assert np.array_equal(np.asarray(drawn.get_offsets()), X[y == i])


def test_decision_boundary_of_a_frame_keeps_its_columns():
    pandas = pytest.importorskip("pandas")
    X, y = moons()
    frame = pandas.DataFrame(X, columns=["width, $m$", "height"])
    seen = []

    def classify(points):
        seen.append(list(points.columns))
        return np.where(points["height"] > 0.25, "high", "low")

    figure = plot.decision_boundary(classify, frame, np.where(y > 0, "low", "high"), 21)
    assert seen == [["width, $m$", "height"]]
    assert "width, $m$" in rendered(figure)


def test_a_regression_is_a_surface():
    X, _ = moons()
    target = X[:, 0] - X[:, 1]
    net = mg.Network(mg.Linear(2, 1), loss="mse", dtype="float64", seed=0)
    for model in (net, net.freeze()):
        figure = plot.decision_boundary(model, X, target, 11)
        points, numbers = plane_of(figure)
        np.testing.assert_allclose(numbers.ravel(), net.predict(points.reshape(-1, 2))[:, 0])


@pytest.mark.parametrize(
    "model, X, message",
    [
        (lambda p: p[:, 0] > 0, np.zeros((3, 3)), "X has 3 features, a plane has two"),
        (lambda p: p[:5, 0] > 0, np.eye(2), "one class or one number for each is wanted"),
        (7, np.eye(2), "model is int 7"),
        (lambda p: p[:, 0] > 0, [[0, float("nan")]], r"X\[0\] is"),
    ],
)
def test_decision_boundary_refuses(model, X, message):
    with pytest.raises((TypeError, ValueError), match=message):
        plot.decision_boundary(model, X)


# ---- weights ----


def test_weights_are_the_models():
    net = mg.Network(mg.Linear(12, 5), mg.ReLU(), mg.Linear(5, 3), seed=0)
    matrix = net.parameters()[0].data
    for model in (net, net.freeze()):
        figure = plot.weights(model, shape=(3, 4))
        images = [axes.images[0].get_array() for axes in figure.axes if axes.images][:5]
        assert np.array_equal(np.stack(images).reshape(5, 12), matrix)
        low, high = figure.axes[0].images[0].get_clim()
        assert low == -high == -float(np.abs(matrix).max())
    for layer in (1, "2"):
        whole = plot.weights(net, layer).axes[0].images[0].get_array()
        assert np.array_equal(whole, net.parameters()[2].data)


def test_weights_of_an_estimator():
    sklearn = pytest.importorskip("micrograd.sklearn")
    X, y = mg.data.digits()
    model = sklearn.MLPClassifier(hidden_layer_sizes=(70,), max_iter=2, random_state=0)
    with pytest.warns(UserWarning):
        model.fit(X[:200], y[:200])
    figure = plot.weights(model)
    assert "coefs_[0]: 64 of 70 units" in rendered(figure)
    image = figure.axes[3].images[0].get_array()
    assert np.array_equal(image, model.coefs_[0][:, 3].reshape(8, 8))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"layer": 2}, "layer is 2, the model has 2 weight matrices"),
        ({"layer": "1"}, "layer is '1', there are 0, 2"),
        ({"shape": (5, 5)}, "shape \\(5, 5\\) has 25 pixels, the layer has 12 inputs"),
        ({"shape": 12}, "shape is 12"),
        ({"units": 0}, "units is 0"),
    ],
)
def test_weights_refuses(options, message):
    net = mg.Network(mg.Linear(12, 5), mg.ReLU(), mg.Linear(5, 3), seed=0)
    with pytest.raises(ValueError, match=message):
        plot.weights(net, **options)


def test_weights_of_what_has_none():
    with pytest.raises(TypeError, match="model is list"):
        plot.weights([1.0])
    with pytest.raises(ValueError, match="no weight matrix"):
        plot.weights(mg.Network(mg.Scale(3), seed=0))


# ---- all of them ----


def every_figure(names, path=None):
    y_true, y_pred = labelled(classes=4)
    prob = np.full((300, 4), 0.25)
    X = RNG.normal(size=(300, 2))
    net = mg.Network(mg.Linear(4, 4), seed=0)
    title = names[0]
    yield plot.confusion_matrix(y_true, y_pred, display_labels=names, title=title, path=path)
    yield plot.calibration(np.array(names)[y_true], prob, labels=names, title=title, path=path)
    points = {"display_labels": names, "title": title, "path": path}
    yield plot.decision_boundary(lambda p: (p[:, 0] > 0) * 1, X, y_true, **points)
    yield plot.weights(net, title=title, path=path)
    lists = {"loss": [2.0, 1.0], names[1]: [1.0, 2.0]}
    yield plot.training_curves(lists, path, title, best_epoch=2)
    numbers = dict.fromkeys(("ratio", "bound", "gradient", "norm", "update"), [1.0] * 4)
    shares = {"saturated": [0.5] * 4, "dead": [0.1] * 4}
    yield plot.gradient_flow(names, numbers | shares, (0.1, 10), path, title)
    yield plot.monitored_flow([1, 2], names, [[1.0, 2.0]] * 4, [[1.0, 2.0]] * 4, path, title)
    yield plot.scaling([1, 2, 4], [1, 1.9, 3.5], title, path)


def test_names_are_text():
    for figure in every_figure(NASTY):
        texts = rendered(figure)
        assert any(text(NASTY[0]).replace(r"\$", "$") in line for line in texts), texts
    matrix = rendered(next(every_figure(NASTY)))
    for name in ("$x_1$ and $y$", '_"quoted" & m…', "<script>alert…"):
        assert any(line.startswith(name[:13]) for line in matrix), matrix
    boundary = list(every_figure(NASTY))[2]
    legend = [t.get_text() for t in boundary.axes[0].get_legend().get_texts()]
    assert len(legend) == 4 and legend[2].startswith("_")  # matplotlib would have left it out


def test_names_are_text_in_svg(tmp_path):
    from xml.etree import ElementTree

    for figure in every_figure(NASTY, tmp_path / "x.svg"):
        assert figure is not None
        written = (tmp_path / "x.svg").read_text()
        ElementTree.fromstring(written)
        assert "<script" not in written
    again = tmp_path / "y.svg"
    for _ in every_figure(NASTY, again):
        pass
    assert again.read_bytes() == (tmp_path / "x.svg").read_bytes()  # scaling, the last: no date


def test_nothing_is_shown(monkeypatch):
    """pyplot, which opens windows, is not even loaded."""
    import matplotlib

    loaded = "matplotlib.pyplot" in sys.modules
    assert len(list(every_figure(list("abcd")))) == 8
    assert loaded or "matplotlib.pyplot" not in sys.modules
    assert matplotlib.rcParams["font.size"] == matplotlib.rcParamsDefault["font.size"]


def test_a_setting_of_the_reader_makes_no_formula():
    import matplotlib

    with matplotlib.rc_context({"text.usetex": True}):
        figure = plot.confusion_matrix([0, 1], [0, 1], display_labels=["$a", "b_"])
        assert not any(t.get_usetex() for t in figure.axes[0].get_xticklabels())


def test_a_file_that_cannot_be_written_changes_nothing(tmp_path):
    path = tmp_path / "x.gif"
    with pytest.raises(ValueError, match="ends in none of"):
        plot.confusion_matrix([0], [0], path=path)
    with pytest.raises(FileNotFoundError, match="the folder does not exist"):
        plot.weights(mg.Network(mg.Linear(2, 2), seed=0), path=tmp_path / "no" / "x.png")
    assert not list(tmp_path.iterdir())


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"micrograd-core\[plot\]"):
        plot.calibration([0, 1], [0.1, 0.9])


# Machado, Oliveira and Fernandes 2009: how colours look without one of the three cones.
DEFICIENCIES = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.01182, 0.04294, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.3039]],
}  # fmt: skip


@pytest.mark.parametrize("kind", DEFICIENCIES)
def test_colours_differ_for_colour_blind_readers(kind):
    """The first six stay apart in CIELAB, whose unit is about a difference just seen."""
    from matplotlib.colors import to_rgb

    rgb = np.array([to_rgb(color) for color in PALETTE[:6]])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(DEFICIENCIES[kind]).T, 0, 1)
    xyz = (
        seen
        @ np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).T
    )
    f = np.cbrt(xyz / np.array([0.9505, 1.0, 1.089]))
    lab = np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1)[np.triu_indices(6, 1)]
    assert apart.min() > 11, apart.min()


# ---- the rooms that draw with it ----


@pytest.mark.parametrize("depth", [2, 60])
def test_a_diagnosis_of_any_depth(depth, tmp_path):
    sizes = [mg.Linear(6, 6) for _ in range(depth)]
    net = mg.Network(*(x for linear in sizes for x in (linear, mg.ReLU())), mg.Linear(6, 3), seed=0)
    net.parameters()[1].data[0] = -100.0  # a unit that is dead
    found = mg.diagnose(net, RNG.normal(size=(40, 6)), RNG.integers(0, 3, 40), lr=0.1)
    figure = found.plot(tmp_path / "flow.png", "flow")
    assert (tmp_path / "flow.png").stat().st_size > 5000
    ratios = figure.axes[0].lines[0].get_ydata()
    assert list(ratios) == [layer.ratio for layer in found.layers]
    (dead,) = figure.axes[2].containers
    np.testing.assert_array_equal(
        [bar.get_height() for bar in dead], [100 * layer.dead for layer in found.layers]
    )
    labels = [t.get_text() for t in figure.axes[0].get_xticklabels()]
    assert len(labels) <= 24 and labels[0] == "0"


def test_the_weights_of_a_predictor_are_copies():
    net = mg.Network(mg.Linear(3, 2), seed=0)
    predictor = net.freeze()
    weights = predictor.weights()
    assert list(weights) == ["0.weight", "0.bias"]
    weights["0.weight"][:] = 0
    assert np.array_equal(predictor.weights()["0.weight"], net.parameters()[0].data)
