"""predict_many: of each network the bits of its own predict, whoever computes them."""

import numpy as np
import pytest

import micrograd as mg

rng = np.random.default_rng(0)
X = rng.normal(size=(9000, 20))


def networks():
    """Of different shapes, dtypes and losses; two frozen."""
    nets = [
        mg.Network(mg.Linear(20, 300), mg.ReLU(), mg.Linear(300, 3), seed=0),
        mg.Network(mg.Linear(20, 40), mg.Tanh(), mg.Linear(40, 1), loss="mse", seed=1),
        mg.Network(mg.Linear(20, 64), mg.GELU(), mg.Linear(64, 2), dtype="float64", seed=2),
        mg.Network(mg.Residual(mg.Linear(20, 20)), mg.Linear(20, 5), seed=3),
    ]
    return [*nets, nets[0].freeze(), nets[2].freeze(), nets[1]]


def own(net, rows):
    return net.predict(rows) if isinstance(net, mg.Network) else net(rows)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("rows", [1, 50, 9000])
def test_bits_are_those_of_predict(n_threads, rows, threads):
    threads(n_threads)
    nets = networks()
    found = mg.predict_many(nets, X[:rows])
    for net, output in zip(nets, found, strict=True):
        wanted = own(net, X[:rows])
        assert output.dtype == net.dtype and output.shape == wanted.shape
        assert np.array_equal(output, wanted)


def test_rows_of_any_kind():
    sparse = pytest.importorskip("scipy.sparse")
    nets = networks()
    few = np.where(rng.random((30, 20)) < 0.2, X[:30], 0)
    linear = [net for i, net in enumerate(nets) if i != 3]
    for given in (few.tolist(), few.astype(np.float32), sparse.csr_matrix(few)):
        which = linear if sparse.issparse(given) else nets
        for net, output in zip(which, mg.predict_many(which, given), strict=True):
            assert np.array_equal(output, own(net, given))


def test_rows_are_converted_once(monkeypatch):
    """For all networks of a dtype."""
    given, own = [], mg.Network.outputs

    def watched(self, where, rows):
        given.append(rows)
        return own(self, where, rows)

    nets = [net for net in networks() if isinstance(net, mg.Network)]
    monkeypatch.setattr(mg.Network, "outputs", watched)
    mg.predict_many(nets, X[:5].tolist())
    assert {id(rows) for rows in given} == {id(given[0]), id(given[2])}
    assert [rows.dtype for rows in given] == [net.dtype for net in nets]


@pytest.mark.parametrize("rows", [3, 9000])
def test_what_does_not_fit_says_which_network(rows):
    nets = networks()
    other = mg.Network(mg.Linear(19, 3))
    bad = X[:rows].copy()
    bad[2, 1] = np.nan
    for change, error in (
        ({"networks": []}, "networks is .* a list of networks is wanted"),
        ({"networks": nets[0]}, "a list of networks is wanted"),
        ({"networks": [nets[0], mg.Linear(2, 2)]}, r"networks\[1\] is .* freeze\(\) gives"),
        ({"networks": [nets[0], other]}, "network 1: X has 20 features"),
        ({"networks": [nets[0], other.freeze()]}, "network 1: Predictor: X has 20 features"),
        ({"X": bad}, r"network 0: X\[2, 1\] is nan"),
        ({"X": 1.0}, "network 0: X "),
        ({"X": "rows"}, "predict_many: X is"),
    ):
        arguments = {"networks": nets, "X": X[:rows]} | change
        with pytest.raises((TypeError, ValueError), match=error):
            mg.predict_many(**arguments)
