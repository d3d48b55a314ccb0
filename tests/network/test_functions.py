"""Map and scalar losses in a Network, against the same written with the C core's own kinds, and
against the graph of Values."""

import numpy as np
import pytest

import micrograd as mg
from micrograd.program import RecordingError


def data(rows=33, features=5, outputs=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, features)), rng.normal(size=(rows, outputs))


def passed(net, X, y, weights=None):
    net.zero_grad()
    loss = net.loss(X, y, weights)
    net.backward()
    return loss, net.parameters().flat_grad.copy()


MAPS = {
    "relu": (mg.ReLU(), lambda z: z.relu()),
    "tanh": (mg.Tanh(), lambda z: z.tanh()),
    "sigmoid": (mg.Sigmoid(), lambda z: 1 / (1 + (-z).exp())),
    "leaky": (mg.LeakyReLU(0.1), lambda z: mg.where(z > 0, z, 0.1 * z)),
}


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("place", ["chain", "residual", "dense", "first"])
def test_a_map_is_the_activation_it_writes_down(name, place):
    X, y = data()
    nets = []
    for activation in (MAPS[name][0], mg.Map(MAPS[name][1])):
        layers = {
            "chain": [mg.Linear(5, 7), activation, mg.Linear(7, 3)],
            "residual": [mg.Residual(mg.Linear(5, 5), activation), activation, mg.Linear(5, 3)],
            "dense": [mg.DenseBlock(mg.Linear(5, 4), activation), mg.Linear(9, 3)],
            "first": [activation, mg.Linear(5, 3)],
        }[place]
        nets.append(mg.Network(*layers, loss="mse", dtype="float64", seed=1))
    nets[1].parameters().flat[:] = nets[0].parameters().flat
    (loss, gradient), (own_loss, own_gradient) = (passed(net, X, y) for net in nets)
    assert own_loss == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(own_gradient, gradient, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(nets[1].predict(X), nets[0].predict(X), rtol=1e-12)
    assert nets[1].evaluate(X, y)[0] == pytest.approx(loss, rel=1e-12)
    explained = nets[1].explain(X, y)
    assert explained["loss"] == own_loss


def test_a_learned_slope_is_a_parameter_that_all_its_maps_share():
    torch = pytest.importorskip("torch")
    X, y = data()
    slope = mg.Value(0.25, label="slope")
    prelu = mg.Map(lambda z: mg.where(z > 0, z, slope * z))
    net = mg.Network(
        mg.Linear(5, 4), prelu, mg.Linear(4, 3), prelu, loss="mse", dtype="float64", seed=0
    )
    assert [p.name for p in net.parameters()][-1] == "slope"
    assert net.parameters()[-1].data == 0.25
    module = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Linear(4, 3)).double()
    with torch.no_grad():
        for p, ours in zip(module.parameters(), net.parameters()[:4], strict=True):
            p.copy_(torch.tensor(ours.data))
    a = torch.tensor([0.25], dtype=torch.float64, requires_grad=True)
    functional = torch.nn.functional
    out = functional.prelu(module[1](functional.prelu(module[0](torch.tensor(X)), a)), a)
    expected = functional.mse_loss(out, torch.tensor(y))
    expected.backward()
    for _ in range(2):
        loss, _ = passed(net, X, y)
        assert loss == pytest.approx(expected.item(), rel=1e-12)
        assert net.parameters()[-1].grad == pytest.approx(a.grad.item(), rel=1e-10)
    net.loss(X, y)
    net.backward()  # adds up
    assert net.parameters()[-1].grad == pytest.approx(2 * a.grad.item(), rel=1e-10)
    before = float(net.parameters()[-1].data)
    net.fit(X, y, epochs=2, seed=0)
    assert net.parameters()[-1].data != before and slope.data == 0.25


def test_losses_of_ones_own():
    X, y = data()
    by_name = mg.Network(mg.Linear(5, 3), loss="mse", dtype="float64", seed=0)
    own = mg.Network(
        mg.Linear(5, 3),
        loss=lambda z, y: mg.sum((a - b) ** 2 for a, b in zip(z, y, strict=True)) / 3,
        dtype="float64",
        seed=0,
    )
    weights = np.arange(33.0)
    for w in (None, weights):
        (loss, gradient), (own_loss, own_gradient) = passed(by_name, X, y, w), passed(own, X, y, w)
        assert own_loss == pytest.approx(loss, rel=1e-12)
        np.testing.assert_allclose(own_gradient, gradient, rtol=1e-10, atol=1e-14)
        assert own.evaluate(X, y, w)[0] == pytest.approx(by_name.evaluate(X, y, w)[0], rel=1e-12)
    for net in (by_name, own):
        net.fit(X, y, epochs=3, batch_size=8, seed=0)
    np.testing.assert_allclose(
        own.parameters().flat, by_name.parameters().flat, rtol=1e-9, atol=1e-12
    )


def test_labels_come_as_numbers():
    X, _ = data()
    labels = np.arange(33) % 3

    def cross_entropy(z, y):
        picked = mg.sum(mg.where(mg.maximum(y - k, k - y) < 0.5, z[k], 0.0) for k in range(3))
        return mg.sum(a.exp() for a in z).log() - picked

    own = mg.Network(mg.Linear(5, 3), loss=cross_entropy, dtype="float64", seed=0)
    by_name = mg.Network(mg.Linear(5, 3), dtype="float64", seed=0)
    (loss, gradient), (own_loss, own_gradient) = passed(by_name, X, labels), passed(own, X, labels)
    assert own_loss == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(own_gradient, gradient, rtol=1e-9, atol=1e-13)


def test_the_hinge_loss_against_values():
    X, _ = data()
    signs = np.where(np.arange(33) % 2, 1.0, -1.0)
    net = mg.Network(mg.Linear(5, 1), loss=lambda z, y: (1 - y * z).relu(), dtype="float64", seed=0)
    w = [mg.Value(v) for v in net.parameters()[0].data[0]]
    b = mg.Value(float(net.parameters()[1].data[0]))
    loss = mg.sum((1 - s * mg.dot(w, x, b)).relu() for x, s in zip(X.tolist(), signs, strict=True))
    (loss / 33).backward()
    own_loss, gradient = passed(net, X, signs)
    assert own_loss == pytest.approx(loss.data / 33, rel=1e-12)
    np.testing.assert_allclose(gradient, [v.grad for v in (*w, b)], rtol=1e-10, atol=1e-14)


def test_any_number_of_target_columns():
    X, y = data(outputs=2)
    net = mg.Network(
        mg.Linear(5, 2), loss=lambda z, y: (z[0] - y[0]) ** 2 + z[1] * 0, dtype="float64", seed=0
    )
    three = np.concatenate([y, y[:, :1]], axis=1)
    assert net.loss(X, y) == net.loss(X, three)
    with pytest.raises((RecordingError, TypeError)):
        net.loss(X, y[:, 0])  # one number for each row cannot be indexed
    assert net.loss(X, y) == net.loss(X, three)


def test_masks_threads_and_recomputation_keep_the_bits(threads):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1200, 64)), rng.normal(size=(1200, 64))
    swish = mg.Map(lambda z: z * z.sigmoid())
    slope = mg.Value(0.1, label="slope")
    prelu = mg.Map(lambda z: mg.where(z > 0, z, slope * z))
    results = []
    for n, checkpoint in ((1, None), (2, None), (1, "sqrt"), (2, mg.checkpoint.binomial(1))):
        threads(n)
        layers = [x for _ in range(4) for x in (mg.Linear(64, 64), swish, prelu)]
        net = mg.Network(*layers, loss="mse", dtype="float64", seed=0, checkpoint=checkpoint)
        results.append((passed(net, X, y)[1].tobytes(), net.predict(X).tobytes()))
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: mg.Map(3), TypeError, "int 3 is no function"),
        (
            lambda: mg.Network(mg.Linear(2, 2), mg.Map(lambda z: z if z > 0 else 0 * z)),
            RecordingError,
            "layer 1 Map",
        ),
        (lambda: mg.Network(mg.Linear(2, 2), mg.Map(lambda z: [z, z])), RecordingError, "more"),
        (lambda: mg.Network(mg.Linear(2, 2), loss=lambda z: z), TypeError, "2 arguments"),
        (lambda: mg.Network(mg.Linear(2, 2), loss="mce"), ValueError, "'mce'"),
    ],
)
def test_what_cannot_be_recorded_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
