"""What fit offers besides the loop: accumulation, divergence, options, penalties, resuming."""

import numpy as np
import pytest
from support.bits import same_bits
from support.fits import QUIET, SETTINGS, X, Y, chunks, fitted, steps_of
from support.runs import data, network
from support.twin import torch_twin

import micrograd as mg
from micrograd.optim import SGD

# ---- accumulation ----


def test_accumulated_batches_are_one_large_batch():
    one, two = network(), network()
    a = fitted(one, X, Y, batch_size=5, accumulate=4, shuffle=False, clip_norm=0.1)
    b = fitted(two, X, Y, batch_size=20, shuffle=False, clip_norm=0.1)
    np.testing.assert_allclose(one.parameters().flat, two.parameters().flat, rtol=1e-11)
    np.testing.assert_allclose(a.loss, b.loss, rtol=1e-12)
    one, two, w = network(), network(), np.random.default_rng(0).uniform(size=len(X))
    fitted(one, X, Y, batch_size=5, accumulate=4, sample_weight=w)
    fitted(two, X, Y, batch_size=20, sample_weight=w)
    np.testing.assert_allclose(one.parameters().flat, two.parameters().flat, rtol=1e-10)


def test_accumulated_batches_of_other_sources(tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    ends = []
    for source in (
        (X, Y),
        (mapped, Y),
        ([(X[i : i + 10], Y[i : i + 10]) for i in range(0, 53, 10)],),
    ):
        net = network()
        fitted(net, *source, shuffle=False, accumulate=4)  # the last step of an epoch has 2
        ends.append(net.parameters().flat.copy())
    assert same_bits(ends[0], ends[1]) and same_bits(ends[0], ends[2])


def test_nothing_stays_accumulated_behind_a_run_that_was_broken_off():
    def batches():
        yield from chunks(10)[:2]
        raise RuntimeError("no more")

    one, two = network(), network()
    with pytest.raises(RuntimeError, match="no more"):
        fitted(one, batches, accumulate=5, epochs=1)
    for net in (one, two):
        fitted(net, X, Y)
    assert same_bits(one.parameters().flat, two.parameters().flat)


def test_divergence_while_accumulating():
    net = network("mse")
    x, y = data("mse")
    net.parameters()[0].data[...] = 1e200
    before = net.parameters().flat.copy()
    with pytest.raises(
        FloatingPointError, match=r"^Network\.fit: .*at step 0 \(epoch 1\).*(layer|gradient of)"
    ):
        net.fit(x, y, batch_size=5, accumulate=4, **QUIET)
    assert same_bits(net.parameters().flat, before)


# ---- divergence ----


def test_divergence_names_step_layer_and_losses():
    net = network("mse")
    x, y = data("mse")
    with pytest.raises(FloatingPointError) as caught:
        net.fit(x, y, epochs=500, batch_size=10, optimizer=SGD(net.parameters(), lr=1e6), **QUIET)
    message = str(caught.value)
    assert message.startswith("Network.fit: ")
    for word in ("at step ", "(epoch ", "losses before were", "gradient norms before", "rate"):
        assert word in message, message
    assert "layer" in message or "gradient of" in message
    assert np.isfinite(net.parameters().flat).all()


# ---- what goes wrong ----


@pytest.mark.parametrize(
    "keywords, error, words",
    [
        ({"validation": 0.0}, ValueError, "validation is 0.0"),
        ({"validation": 1.0}, ValueError, "validation is 1.0"),
        ({"validation": "x"}, TypeError, "validation"),
        ({"callbacks": [3]}, TypeError, "callback"),
        ({"callbacks": 3}, TypeError, "callback"),
        ({"callbacks": [mg.TrainingState]}, TypeError, "callback"),
        ({"accumulate": 0}, ValueError, "accumulate"),
        ({"label_smoothing": 1.0}, ValueError, "label_smoothing"),
        ({"label_smoothing": "x"}, TypeError, "label_smoothing"),
        ({"class_weight": {3: 1.0}}, ValueError, "class_weight has the class 3"),
        ({"class_weight": {"a": 1.0}}, ValueError, "class_weight has the class 'a'"),
        ({"class_weight": {0: -1.0}}, ValueError, r"class_weight\[0\] is -1"),
        ({"class_weight": {0: "x"}}, TypeError, "class_weight"),
        ({"class_weight": [1, 2]}, ValueError, "class_weight has shape"),
        ({"class_weight": "even"}, ValueError, "balanced"),
        ({"metrics": "r2"}, ValueError, "'r2' is unknown for the loss 'cross_entropy'"),
        ({"metrics": [3]}, TypeError, "metric"),
        ({"early_stopping": 0}, ValueError, "early_stopping"),
        ({"early_stopping": "soon"}, TypeError, "early_stopping"),
        ({"early_stopping": mg.EarlyStopping(3, monitor="val_loss")}, ValueError, "not measured"),
        ({"sample_weight": np.zeros(53)}, ValueError, "sample_weight"),
        ({"sample_weight": np.ones(52)}, ValueError, "sample_weight"),
    ],
)  # fmt: skip
def test_bad_options(keywords, error, words):
    net = network()
    before = net.parameters().flat.copy()
    with pytest.raises(error, match=words):
        net.fit(X, Y, epochs=2, **QUIET, **keywords)
    assert same_bits(net.parameters().flat, before)


@pytest.mark.parametrize(
    "source, error, words",
    [
        (5, TypeError, "iterable"),
        ("abc", TypeError, "iterable"),
        ({1: 2}, TypeError, "iterable"),
        ([], ValueError, "no batches"),
        ([3], TypeError, "batch 0 is"),
        ([(X, Y), (X[:, :4], Y)], ValueError, r"batch 1: X has 4 features"),
        (iter(chunks()), ValueError, "only once"),
        (lambda: [], ValueError, "no batches"),
    ],
)
def test_bad_iterables(source, error, words):
    with pytest.raises(error, match=rf"^Network\.fit.*{words}"):
        network().fit(source, epochs=2, **QUIET)


def test_options_that_an_iterable_cannot_have():
    for keywords in ({"validation": 0.2}, {"sample_weight": Y}, {"class_weight": "balanced"},
                     {"metrics": "accuracy"}):  # fmt: skip
        with pytest.raises(ValueError, match=r"^Network\.fit"):
            network().fit(chunks(), **QUIET, **keywords)
    for keywords in ({"class_weight": {0: 1}}, {"label_smoothing": 0.1}):
        with pytest.raises(ValueError, match="cross_entropy"):
            network("mse").fit(*data("mse"), **QUIET, **keywords)


def test_a_program_has_the_same_fit(tmp_path):
    def program():
        w, b = mg.Value(0.5), mg.Value(0.0)
        return mg.compile(lambda x, y: (w * x + b - y) ** 2)

    x = np.linspace(-1, 1, 40)
    y = 3 * x + 1
    one, steps = program(), []

    class Count:
        def on_step(self, state):
            steps.append(state.loss)

    history = one.fit(x, y, epochs=30, batch_size=8, validation=0.2, early_stopping=50,
                      callbacks=Count(), **QUIET)  # fmt: skip
    assert history.val_loss[-1] < 1e-3 and len(steps) == 30 * 4
    with pytest.raises(ValueError, match="no metrics"):
        program().fit(x, y, metrics="mae", **QUIET)
    with pytest.raises(ValueError, match="sample weights"):
        program().fit(x, y, sample_weight=x + 2, **QUIET)
    two = program()
    two.fit(x, y, epochs=3, batch_size=8, accumulate=2, **QUIET)
    three = program()
    three.fit(x, y, epochs=3, batch_size=16, **QUIET)
    np.testing.assert_allclose(two.parameters().flat, three.parameters().flat, rtol=1e-12)


# ---- penalties and constraints ----


def test_penalties_clipping_and_max_norm_are_torchs():
    """The order of things: penalty, norm, value, step, rows."""
    torch = pytest.importorskip("torch")
    ours = network()
    twin = torch_twin(ours)
    theirs = torch.optim.SGD(twin.parameters(), **SETTINGS)
    fitted(ours, X, Y, l1=0.01, l2=0.1, clip_norm=0.5, clip_value=0.1, max_norm=1.1)
    for x, y, _ in steps_of(X, Y):
        theirs.zero_grad()
        loss = torch.nn.functional.cross_entropy(twin(torch.as_tensor(x)), torch.as_tensor(y))
        weights = [p for p in twin.parameters() if p.ndim == 2]
        loss = loss + sum(0.05 * (w**2).sum() + 0.01 * w.abs().sum() for w in weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), 0.5)
        torch.nn.utils.clip_grad_value_(twin.parameters(), 0.1)
        theirs.step()
        with torch.no_grad():
            for w in weights:
                norms = w.norm(dim=1, keepdim=True)
                w *= torch.clamp(1.1 / norms, max=1.0)
    for p, q in zip(ours.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-9, atol=1e-12)
    for keywords in ({"l1": -1}, {"l2": "x"}, {"max_norm": 0}, {"clip_value": float("nan")}):
        with pytest.raises((TypeError, ValueError), match=r"^Network\.fit"):
            network().fit(X, Y, **QUIET, **keywords)


def test_callbacks_see_the_norm_of_the_gradient():
    norms = []

    class Watch:
        def on_step(self, state):
            norms.append(state.gradient_norm)

    net, twin = network(), network()
    fitted(net, X, Y, epochs=1, callbacks=Watch(), clip_norm=0.01)
    x, y, _ = next(steps_of(X, Y))
    twin.loss(x, y)
    twin.backward()
    assert len(norms) == 6
    assert norms[0] == pytest.approx(np.linalg.norm(twin.parameters().flat_grad), rel=1e-12)


@pytest.mark.parametrize("kind", ["RMSprop", "Adam", "AdamW"])
def test_every_optimizer_resumes(tmp_path, kind):
    pytest.importorskip("safetensors")
    ends = []
    for epochs in ([6], [2, 6]):
        path = tmp_path / f"{kind}{len(epochs)}"
        for n in epochs:
            net = network(dtype="float32")
            optimizer = getattr(mg.optim, kind)(net.parameters(), lr=0.01, weight_decay=0.1)
            net.fit(X, Y, epochs=n, batch_size=10, optimizer=optimizer, resume=path, **QUIET)
        ends.append(net.parameters().flat.copy())
        assert repr(mg.load(path).optimizer) == repr(optimizer)
    assert same_bits(*ends)
