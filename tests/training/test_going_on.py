"""resume= goes on as the run began, or says what is another: never silently with something else."""

import numpy as np
import pytest
from support.bits import same_bits
from support.runs import data, network

import micrograd as mg
from micrograd import schedule
from micrograd.optim import SGD, Adam

pytest.importorskip("safetensors")
X, Y = data()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run"


def fit(net, path, X=X, y=Y, optimizer=None, **options):
    optimizer = optimizer or SGD(net.parameters(), lr=0.1, momentum=0.9)
    options = {"epochs": 2, "batch_size": 10, "seed": 5} | options
    return net.fit(X, y, optimizer=optimizer, resume=path, progress=False, **options)


CHANGED = {
    "batch_size": {"batch_size": 20},
    "accumulate": {"accumulate": 2},
    "shuffle": {"shuffle": False},
    "seed": {"seed": 6},
    "l1": {"l1": 0.1},
    "l2": {"l2": 0.1},
    "clip_norm": {"clip_norm": 1.0},
    "clip_value": {"clip_value": 1.0},
    "max_norm": {"max_norm": 1.0},
    "label_smoothing": {"label_smoothing": 0.1},
    "class_weight": {"class_weight": "balanced"},
    "dropout_factor was": {"dropout_factor": 0.5},
    "dropout_factor": {"dropout_factor": schedule.Exponential(1.0, 0.9)},
    "dropout_factor was 1.0, here": {"dropout_factor": lambda step: 0.5},
    "validation": {"validation": 0.3},
    "X, y or sample_weight are": {"X": X[::-1].copy()},
    "X, y or sample_weight": {"y": (Y + 1) % 3},
    "X, y or sample_weight are not": {"sample_weight": np.ones(len(X))},
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_has_to_be_the_same(path, name):
    fit(network(), path)
    before, net = path.read_bytes(), network()
    start = net.parameters().flat.copy()
    with pytest.raises(ValueError, match=rf"Network\.fit: resume: .*run: {name} .*as it began"):
        fit(net, path, epochs=4, **CHANGED[name])
    assert path.read_bytes() == before and same_bits(net.parameters().flat, start)
    assert net.optimizer is None


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (lambda p: SGD(p, lr=0.2, momentum=0.9), "the optimizer's lr was 0.1, here it is 0.2"),
        (lambda p: SGD(p, lr=0.1, momentum=0.5), "the optimizer's momentum"),
        (lambda p: SGD(p, 0.1, 0.9, weight_decay=0.1), "the optimizer's weight_decay"),
        (lambda p: SGD(p, schedule.Cosine(0.1, 9), 0.9), "the optimizer's lr"),
        (lambda p: SGD(list(p)[:2], 0.1, 0.9), "the optimizer's groups"),
        (lambda p: Adam(p), "its optimizer is SGD, here it is Adam"),
    ],
)
def test_the_optimizer_has_to_be_the_same(path, other, name):
    fit(network(), path)
    net = network()
    with pytest.raises(ValueError, match=name):
        fit(net, path, epochs=4, optimizer=other(net.parameters()))


def test_what_may_be_another(path):
    """Epochs, the length of a schedule, callbacks, metrics, validation data, early stopping."""
    net = network()
    fit(net, path, optimizer=SGD(net.parameters(), schedule.Cosine(0.1, 20), 0.9))
    again, seen = network(), []
    optimizer = SGD(again.parameters(), schedule.Cosine(0.1, 40), 0.9)
    history = fit(again, path, epochs=5, optimizer=optimizer, validation=(X[:9], Y[:9]),
                  metrics="accuracy", early_stopping=50, callbacks=seen.append)  # fmt: skip
    assert len(history.loss) == 5 and len(seen) == 3


@pytest.mark.parametrize("factor", [schedule.Linear(1.0, 0.1, 50), lambda step: 1 / (1 + step)])
def test_a_dropout_factor_that_is_a_function_goes_on(path, factor):
    def dropping():
        return mg.Network(mg.Linear(5, 9), mg.Dropout(0.5), mg.Linear(9, 3), seed=1)

    first, again, whole = dropping(), dropping(), dropping()
    fit(first, path, epochs=2, dropout_factor=factor)
    fit(again, path, epochs=4, dropout_factor=factor)
    fit(whole, path.with_name("whole"), epochs=4, dropout_factor=factor)
    assert same_bits(again.parameters().flat, whole.parameters().flat)
    with pytest.raises(ValueError, match=r"dropout_factor was .*, here it is 1\.0; a run goes on"):
        fit(dropping(), path, epochs=6)


MEASURED = {
    "validation": {"validation": (X[:9], Y[:9])},
    "metrics": {"metrics": ["balanced_accuracy"]},
    "nothing": {},
}


@pytest.mark.parametrize("first", MEASURED)
@pytest.mark.parametrize("then", MEASURED)
def test_what_is_measured_may_be_another_and_the_file_stays_one(path, first, then, capsys):
    """The lists of the history keep one length: NaN where something was not measured."""
    fit(network(), path, **MEASURED[first])
    net, seen = network(), []
    history = fit(net, path, epochs=4, callbacks=lambda s: seen.append(s.position()),
                  **MEASURED[then])  # fmt: skip
    own = {"validation": {"val_loss", "val_accuracy"}, "metrics": {"balanced_accuracy"}}
    lists = {name: x for name, x in history.to_dict().items() if x}
    both = own.get(first, set()) | own.get(then, set())
    assert lists.keys() == {"loss", "seconds"} | both
    for name in both:
        measured = [name in own.get(first, ())] * 2 + [name in own.get(then, ())] * 2
        assert [not np.isnan(x) for x in lists[name]] == measured
    assert all(len(x) == 4 for x in lists.values())
    if "val_loss" in both:
        pytest.importorskip("matplotlib")
        assert history.plot().axes[0].get_yscale() == "log"  # all losses that there are: above 0
    np.testing.assert_equal(mg.load(path).position.history, history.to_dict())
    net.position = seen[0]  # of the third epoch, as a callback may save it
    net.save(path)
    back = mg.load(path).position
    assert all(len(x) in (0, 3) for x in back.history.values())
    twin = network()
    fit(twin, path.with_name("whole"), epochs=4)
    assert same_bits(net.parameters().flat, twin.parameters().flat)


def test_a_schedule_follows_what_is_measured_now(path):
    def trained(path, epochs, **options):
        net = network()
        plateau = schedule.ReduceOnPlateau(0.1, factor=0.5, patience=1)
        fit(net, path, epochs=epochs, optimizer=SGD(net.parameters(), plateau), **options)
        return plateau.state_dict()

    trained(path, 2, validation=(X[:9], Y[:9]))
    seen = []
    state = trained(path, 4, callbacks=lambda s: seen.append(s.history.loss[-1]))
    assert seen[-1] in state.values()  # the best so far: of the loss, which still falls


def test_progress_shows_what_is_measured_now(path, capsys):
    fit(network(), path, validation=(X[:9], Y[:9]))
    net = network()
    optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9)
    net.fit(X, Y, 4, 10, optimizer, seed=5, resume=path, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all("loss" in x and "val_" not in x for x in lines)


def test_a_position_that_could_not_be_read_is_not_written(path):
    """Numbers of a callback's own, of another length than the run."""
    net = network()

    def note(state):
        if state.epoch == 2:
            state.history.metrics["noted"] = [1.0]

    with pytest.raises(ValueError, match=r"Network\.fit: the training position: .*'noted' has 1"):
        fit(net, path, epochs=3, callbacks=note)
    assert mg.load(path).position.epoch == 1


def test_early_stopping_that_is_new_waits_from_where_it_begins(path):
    fit(network(), path, epochs=8)
    history = fit(network(), path, epochs=20, early_stopping=3)
    assert len(history.loss) > 8
    stubborn = mg.EarlyStopping(3, min_delta=100.0)  # the first epoch is the best, then none
    other = path.with_name("other")
    fit(network(), other, epochs=8)
    history = fit(network(), other, epochs=40, early_stopping=stubborn)
    assert len(history.loss) == 12 and history.best_epoch == 9


@pytest.mark.parametrize("then", [None, mg.EarlyStopping(50, restore_best=False)])
def test_the_best_of_before_comes_back_only_where_it_is_asked_for(path, then):
    worse = {"validation": (X, (Y + 1) % 3)}
    fit(network(), path, epochs=8, early_stopping=50, **worse)
    assert mg.load(path).position.last is not None  # the best are in place of the last
    again, whole = network(), network()
    found = fit(again, path, epochs=12, early_stopping=then, **worse)
    want = fit(whole, path.with_name("whole"), epochs=12, early_stopping=then, **worse)
    assert same_bits(again.parameters().flat, whole.parameters().flat)
    assert found.best_epoch == want.best_epoch and found.val_loss == want.val_loss


def test_mapped_arrays_are_compared_too(path, tmp_path):
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=X.shape)
    mapped[...] = X
    fit(network(), path, X=mapped)
    fit(network(), path, X=mapped, epochs=3)
    mapped[3, 1] += 1
    with pytest.raises(ValueError, match="X, y or sample_weight are not those of that run"):
        fit(network(), path, X=mapped, epochs=4)


def test_labels_of_another_integer_type_are_the_same(path):
    fit(network(), path)
    again, whole = network(), network()
    fit(again, path, X=X.astype(np.float64), y=Y.astype(np.int8), epochs=3)
    fit(whole, path.with_name("whole"), epochs=3)
    assert same_bits(again.parameters().flat, whole.parameters().flat)


def test_a_file_of_before_has_nothing_to_compare(path):
    net = network()
    fit(net, path)
    net.position.settings = None
    net.save(path)
    assert len(fit(network(), path, epochs=3, batch_size=20).loss) == 3
