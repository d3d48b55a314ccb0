"""dropout_factor: rates of dropout that change over a run, beside networks of fixed rates."""

import numpy as np
import pytest

import micrograd as mg

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 5)).astype(np.float32), RNG.integers(0, 3, 60)


def network(rate=0.5, seed=1):
    hidden = [mg.Linear(5, 16), mg.Tanh(), mg.Dropout(rate)]
    return mg.Network(*hidden, mg.Linear(16, 3), seed=seed)


def falling(step):
    return max(0.0, 1 - step / 20)


def adam(net):
    return mg.optim.AdamW(net.parameters(), 0.01)


def fitted(net, epochs=4, **options):
    options = {"optimizer": adam(net), "seed": 0, "progress": False, **options}
    net.fit(X, Y, epochs=epochs, batch_size=20, **options)
    return net.parameters().flat.copy()


def test_a_factor_makes_the_masks_of_that_rate():
    halved, quarter, none = network(0.5), network(0.25), network(0)
    halved.dropout_factor = 0.5
    assert halved.loss(X, Y) == quarter.loss(X, Y)
    halved.backward()
    quarter.backward()
    np.testing.assert_array_equal(halved.parameters().flat_grad, quarter.parameters().flat_grad)
    halved.dropout_factor = 0
    assert halved.loss(X, Y) == pytest.approx(none.loss(X, Y), rel=1e-6)
    assert halved.explain(X, Y)["loss"] == pytest.approx(none.loss(X, Y), rel=1e-6)


def test_fit_sets_the_factor_before_each_step_and_puts_it_back():
    net, twin = network(), network()
    net.dropout_factor = 0.75
    found = fitted(net, epochs=8, dropout_factor=falling, shuffle=False)
    assert net.dropout_factor == 0.75
    optimizer = adam(twin)
    for step in range(24):
        rows = slice(20 * (step % 3), 20 * (step % 3) + 20)
        twin.dropout_factor = falling(step)
        twin.loss(X[rows], Y[rows])
        twin.zero_grad()
        twin.backward()
        optimizer.step()
    np.testing.assert_allclose(found, twin.parameters().flat, atol=1e-6)
    assert np.abs(found - fitted(network(), epochs=8, shuffle=False)).max() > 1e-3


def test_a_number_is_for_all_steps_and_fit_many_has_the_bits_of_fit():
    np.testing.assert_array_equal(fitted(network(0.5), dropout_factor=0.5), fitted(network(0.25)))
    nets = [network(0.5), network(0.5, seed=2)]
    for net in nets:
        net.dropout_factor = 0.5
    optimizers = [adam(net) for net in nets]
    mg.fit_many(nets, X, Y, epochs=4, batch_size=20, optimizers=optimizers, seeds=0)
    np.testing.assert_array_equal(nets[0].parameters().flat, fitted(network(0.25)))


def test_with_accumulation_and_after_going_on_from_a_file(tmp_path):
    pytest.importorskip("safetensors")
    path, options = tmp_path / "net", {"dropout_factor": falling, "accumulate": 2}
    whole = fitted(network(), epochs=6, **options)
    fitted(network(), epochs=3, resume=path, **options)
    np.testing.assert_array_equal(fitted(network(), epochs=6, resume=path, **options), whole)


def test_what_is_no_factor():
    net = network()
    before = net.parameters().flat.copy()
    for factor, complaint in ((1.5, "dropout_factor is 1.5"), (-1, "dropout_factor is -1")):
        with pytest.raises(ValueError, match=complaint):
            fitted(net, dropout_factor=factor)
        with pytest.raises(ValueError, match=complaint):
            net.dropout_factor = factor
    with pytest.raises(TypeError, match="dropout_factor is str 'half', a number"):
        fitted(net, dropout_factor="half")
    np.testing.assert_array_equal(net.parameters().flat, before)
    w = mg.Value(1.0)
    program = mg.compile(lambda x, y: (w * x - y) ** 2)
    with pytest.raises(TypeError, match="a model without layers has no dropout"):
        program.fit(X[:, 0], X[:, 1], epochs=1, dropout_factor=0.5, progress=False)
