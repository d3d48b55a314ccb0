"""Runs: the bits of fit, back to any step, in bounded memory; the program that does the same."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import micrograd as mg
from micrograd.data.reading import table_of_bytes
from micrograd.play.bounded import Bounded
from micrograd.play.config import KINDS, SHARED, Config, fragment, from_fragment
from micrograd.play.dataset import Table, dataset
from micrograd.play.presets import CURES, PRESETS, cures, preset
from micrograd.play.program import program
from micrograd.play.run import Run
from micrograd.play.session import ACTIONS, Session


def made(table=None, **values):
    config = Config().changed(values)
    return Run(config, dataset(config, table))


def bits(run):
    return run.net.parameters().flat.tobytes()


PLAIN = {"data": "moons", "samples": 100, "layers": "6"}
VARIED = [
    {},
    {"data": "circles", "skip": True, "layers": "8,8,8", "activation": "sigmoid"},
    {"data": "digits", "layers": "24,12", "skip": True, "dropout": 0.25, "optimizer": "rmsprop"},
    {"dropout": 0.5, "schedule": "warmup", "horizon": 90, "clip": 0.5, "l2": 0.003, "batch": 7},
    {"arms": 3, "optimizer": "nesterov", "schedule": "cosine", "lr": 0.3, "test": 0},
    {"optimizer": "momentum", "schedule": "steps", "init": "xavier", "gain": 0.5, "noise": 0.2},
    {"optimizer": "adagrad", "schedule": "exponential", "layers": "", "seed": 77},
    {"optimizer": "adamw", "activation": "leaky_relu", "init": "he", "batch": 500},
    {"data": "hand", "points": [[-100, 50, 0], [90, 20, 1], [30, -70, 2], [0, 0, 0], [5, 9, 1]],
     "test": 0, "batch": 2},
]  # fmt: skip


# ---- the same as fit, and as the program ----


@pytest.mark.parametrize("steps", [0, 1, 95])
@pytest.mark.parametrize("values", VARIED)
def test_the_program_makes_the_same_bits(values, steps):
    run = made(**values)
    assert run.advance(steps) == steps
    text = program(run, None)
    assert max(map(len, text.splitlines())) <= 110
    names = {}
    exec(compile(text, "program.py", "exec"), names)
    assert names["net"].parameters().flat.tobytes() == bits(run)
    assert names["loss"] == run.measure()[2 if len(run.data.X_test) else 0]
    if steps:
        assert names["optimizer"].state_dict()["steps"] == steps


def test_the_program_stops_at_the_end_of_an_epoch_without_help():
    run = made(**PLAIN)  # 80 training rows: 3 batches
    run.advance(9)
    text = program(run, None)
    assert "StopAt" not in text and "epochs=3," in text


ROWS = 60
CSV = "width,colour,<script>alert(1)</script>,price\n" + "".join(
    f"{i},{'red' if i % 3 else 'blue'},{i * i % 17},{3.5 * i + (i % 5)}\n" for i in range(ROWS)
)


def own_table(path=""):
    pytest.importorskip("pandas")
    return Table(table_of_bytes(CSV.encode(), "own.csv"), "own.csv", CSV, path)


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("target, test", [("price", 0.25), ("colour", 0.25), ("price", 0)])
def test_the_program_of_a_table_makes_the_same_bits(tmp_path, held, target, test):
    file = tmp_path / "own.csv"
    file.write_text(CSV)
    table = own_table("" if held else str(file))
    run = made(table, data="table", target=target, test=test, layers="8", batch=16)
    run.advance(31)
    script = tmp_path / "program.py"
    ending = "import sys\nsys.stdout.flush()\nnet.parameters().flat.tofile('flat')\n"
    script.write_text(program(run, table) + ending)
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(mg.__path__[0]).removesuffix("micrograd")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "flat").read_bytes() == bits(run)
    assert ("accuracy" in done.stdout) == (target == "colour")


def test_two_moons_are_learnt():
    run = made(data="moons", noise=0.1, layers="8", test=0.25)
    start = run.measure()
    run.advance(800)
    end = run.measure()
    assert start.accuracy < 0.9 < 0.97 < end.accuracy and end.test_accuracy > 0.95
    assert end.loss < 0.2 * start.loss


# ---- back ----


@pytest.mark.parametrize("values", VARIED[:5])
def test_going_back_gives_the_weights_of_that_step(values):
    run, seen = made(**values), {}
    for _ in range(60):
        seen[run.step] = bits(run)
        run.advance(1 + run.step % 7)
    last, end = run.step, bits(run)
    for step in [max(seen), 0, 5, 1, max(seen), *list(seen)[::9]]:
        near = max(s for s in seen if s <= step)
        run.seek(near)
        assert run.step == near and bits(run) == seen[near]
    assert run.furthest == last
    run.seek(last)
    assert bits(run) == end


def test_a_run_that_goes_on_from_the_past_goes_the_same_way():
    run = made(**PLAIN, dropout=0.2)
    run.advance(700)
    end, curve = bits(run), list(run.curve.kept)
    run.seek(123)
    run.advance(700 - 123)
    assert bits(run) == end and run.curve.kept == curve


def test_a_step_that_is_not_finite_is_told_and_can_be_undone():
    run = made(data="moons", layers="8,8,8,8", activation="relu", gain=60, lr=1000, optimizer="sgd")
    run.advance(500)
    assert "not finite" in run.failure or "nan" in run.failure or "inf" in run.failure
    stopped = run.step
    assert run.advance(10) == 0
    assert np.isfinite(run.net.parameters().flat).all()
    run.seek(0)
    assert run.failure == "" and run.step == 0
    run.advance(500)
    assert run.step == stopped and run.failure


# ---- bounded ----


@pytest.mark.parametrize("most", [2, 3, 64, 400])
def test_a_history_of_a_million_steps_stays_small(most):
    kept = Bounded(most)
    for step in range(1_000_000):
        if kept.wants(step):
            kept.add(step, step)
        assert step % 9973 or len(kept.steps) <= most
    assert kept.steps == kept.kept and kept.steps[0] == 0
    assert most / 2 <= len(kept.steps) <= most
    gaps = {b - a for a, b in zip(kept.steps, kept.steps[1:], strict=False)}
    assert gaps == {kept.stride} and 1_000_000 - kept.steps[-1] <= kept.stride
    assert kept.before(kept.steps[1]) == (kept.steps[1],) * 2
    assert kept.before(kept.steps[1] - 1) == (0, 0)


def kept_by(session):
    """Bytes of all that a session keeps but its networks, whose size does not change."""
    total = session.outbox.size
    for side in session.sides:
        run = side.run
        total += len(pickle.dumps((run.snapshots, run.curve, run._order, run._rng_state)))
        total += len(pickle.dumps(run.optimizer.state_dict()))
    return total


def test_a_session_does_not_grow():
    session = Session()
    values = {"data": "moons", "samples": 24, "layers": "4", "batch": 24, "optimizer": "momentum"}
    session.handle(json.dumps({"do": "config", "set": values}))
    session.handle('{"do":"compare","on":true}')
    sizes, names = [], set()
    for _ in range(16):
        session.handle('{"do":"step","steps":2000}')
        session.handle(json.dumps({"do": "rewind", "step": session.step - 7}))
        session.handle('{"do":"play"}')
        session.train(0.001)
        session.publish(everything=True)
        sizes.append(kept_by(session))
        names.add(tuple(sorted(name for name, _ in session.outbox.since(0)[1])))
    assert session.step > 30_000 and len(names) == 1
    assert max(sizes[2:]) <= 1.15 * max(sizes[:2])
    for side in session.sides:
        assert len(side.run.snapshots.kept) <= 64 and len(side.run.curve.kept) <= 400


def test_snapshots_of_a_large_network_take_no_more_memory_than_they_may():
    run = made(data="digits", layers="512,512,512", samples=20)
    assert run.snapshots.most * 3 * run.net.parameters().flat.nbytes <= 48 << 20
    assert run.snapshots.most >= 2


# ---- configurations ----


def test_an_address_holds_the_configuration():
    for values in VARIED:
        one = Config().changed(values)
        assert from_fragment(fragment([one])) == [one]
        assert from_fragment(f"http://127.0.0.1:80/?token=a#{fragment([one])}") == [one]
        two = one.changed({"lr": 0.123456789, "layers": "3,2", "target": "a&b=c#d <x>"})
        two = two.changed({name: getattr(one, name) for name in SHARED})
        assert from_fragment(fragment([one, two])) == [one, two]
    assert fragment([Config()]) == ""
    named = Config().changed({"data": "table", "target": "a&b=c#d <\u00e4>"})
    assert from_fragment(fragment([named])) == [named]


@pytest.mark.parametrize(
    "values, said",
    [
        ({"lr": "nan"}, "lr"), ({"lr": True}, "lr"), ({"lr": -1}, "0 or more"),
        ({"layers": [0]}, r"layers\[0\]"), ({"layers": "8,x"}, r"layers\[1\]"),
        ({"layers": [8] * 25}, "at most 24"), ({"layers": 8}, "list of sizes"),
        ({"activation": "step"}, "one of"), ({"data": ["moons"]}, "one of"),
        ({"skip": 1}, "true or false"), ({"samples": 10**6}, "samples"), ({"bogus": 1}, "bogus"),
        ({"points": [[0, 0]]}, r"points\[0\]"), ({"points": [[0, 0, 5]]}, r"points\[0\]"),
        ({"points": [[0, 0, 1]] * 501}, "500"), ({"points": 3}, "points"),
        ({"target": "x" * 501}, "500 at most"), ({"target": 1}, "text"), ([1], "names and values"),
        ({"seed": 2**31}, "seed"), ({"batch": 1.5}, "integer"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_words(values, said):
    with pytest.raises((TypeError, ValueError), match=said):
        Config().changed(values)


def test_every_field_has_a_control_or_a_place_on_the_page():
    from micrograd.play import page

    shown = {name for fields in page.FIELDS.values() for name, _, _ in fields}
    assert shown | {"points", "target"} == set(KINDS)
    text = page.render()
    assert all(f'id="{name}"' in text for name in shown | {"target"})


@pytest.mark.parametrize("name", PRESETS)
def test_presets_run(name):
    session = Session()
    assert session.handle(json.dumps({"do": "preset", "name": name})) == {"kind": "done"}
    session.handle('{"do":"step","steps":5}')
    assert [side.config for side in session.sides] == preset(name)
    assert all(side.run and not side.trouble for side in session.sides)


def told(session):
    session.publish(everything=True)
    return json.loads(dict(session.outbox.since(0)[1])["figures"])["runs"]


@pytest.mark.parametrize("which", [0, 1])
def test_vanishing_gradients_are_seen_and_cured_by_a_click(which):
    session = Session()
    session.handle('{"do":"preset","name":"vanishing"}')
    session.handle('{"do":"step","steps":600}')
    (sick,) = told(session)
    gradients = [x["gradient"] for x in sick["layers"]]
    assert sick["verdict"] == "vanishing" and gradients[0] < 1e-3 * gradients[-1]
    assert sick["accuracy"] < 0.7
    cure = sick["cures"][which]
    session.handle(json.dumps({"do": "config", "run": 0, "set": cure["set"]}))
    session.handle('{"do":"step","steps":600}')
    (cured,) = told(session)
    assert cured["accuracy"] > 0.95
    assert session.sides[0].config != preset("vanishing")[0]


def test_every_cure_is_offered_only_while_it_changes_something():
    config = Config()
    for trouble in CURES:
        for cure in cures(trouble, config):
            after = config.changed(cure["set"])
            assert after != config
            if set(cure["set"]) != {"lr"}:
                assert cure["set"] not in [each["set"] for each in cures(trouble, after)]


# ---- two runs ----


def test_two_runs_keep_step_and_share_their_data():
    session = Session()
    session.handle('{"do":"compare","on":true}')
    session.handle('{"do":"config","run":1,"set":{"activation":"gelu","data":"moons"}}')
    session.handle('{"do":"step","steps":40}')
    one, two = (side.run for side in session.sides)
    assert one.step == two.step == 40
    assert one.config.data == two.config.data == "moons"
    assert (one.config.activation, two.config.activation) == ("relu", "gelu")
    assert np.array_equal(one.data.X, two.data.X)
    session.handle('{"do":"rewind","step":13}')
    assert one.step == two.step == 13
    alone = Run(two.config, two.data)
    alone.advance(13)
    assert bits(alone) == bits(two)
    session.handle('{"do":"compare","on":false}')
    assert session.sides[0].run is one and len(session.sides) == 1


def test_a_run_that_starts_anew_goes_the_same_way():
    session = Session()
    session.handle('{"do":"step","steps":21}')
    end = bits(session.sides[0].run)
    session.handle('{"do":"reset"}')
    assert session.step == session.furthest == 0
    session.handle('{"do":"step","steps":21}')
    assert bits(session.sides[0].run) == end


def test_points_are_set_and_taken_by_hand():
    session = Session()
    session.handle('{"do":"clear"}')
    assert "two colours" in session.sides[0].trouble and session.sides[0].run is None
    for x, y, k in [(0.5, 0.5, 0), (-0.5, -0.5, 1), (0.1, 0.2, 1), (99, -99, 0)]:
        session.handle(json.dumps({"do": "point", "x": x, "y": y, "class": k}))
    assert session.sides[0].config.points == (
        (50, 50, 0),
        (-50, -50, 1),
        (10, 20, 1),
        (160, -160, 0),
    )
    assert session.sides[0].run.data.outputs == 2
    session.handle('{"do":"erase","x":0.12,"y":0.2}')
    session.handle('{"do":"erase","x":-1.5,"y":1.5}')  # nothing is near
    assert session.sides[0].config.points == ((50, 50, 0), (-50, -50, 1), (160, -160, 0))
    refused = session.handle('{"do":"point","x":NaN,"y":0,"class":0}')
    assert refused["kind"] == "error" and len(session.sides[0].config.points) == 3


def test_the_answers_over_the_plane_are_the_networks():
    run = made(arms=3, activation="relu")
    run.advance(300)
    from micrograd.play import picture

    side = picture.side_of(run)
    grid = run.data.plane.rows(side, side)
    frame = picture.answers(1, run, grid, side)
    assert frame[:2] == bytes([1, 1]) and np.frombuffer(frame[8:16], "<f8")[0] == 300
    cells = np.frombuffer(frame[16:], np.uint8).reshape(side, side, 2)
    x0, x1, y0, y1 = run.data.plane.box
    for line, column in [(0, 0), (3, side - 1), (side // 2, 7)]:
        place = [x0 + (column + 0.5) * (x1 - x0) / side, y1 - (line + 0.5) * (y1 - y0) / side]
        p = run.net.predict_proba(np.array([place], np.float32))[0]
        assert cells[line, column, 0] == p.argmax()
        assert cells[line, column, 1] == pytest.approx(255 * (p.max() * 3 - 1) / 2, abs=1.5)


def test_the_plane_of_many_features_goes_through_their_mean():
    decomposition = pytest.importorskip("sklearn.decomposition")
    found = dataset(Config().changed({"data": "digits", "layers": "8"}), None)
    plane = found.plane
    both = np.stack([plane.along, plane.up])
    np.testing.assert_allclose(both @ both.T, np.eye(2), atol=1e-9)
    rows = np.concatenate([found.X, found.X_test])[: len(found.places)]
    np.testing.assert_allclose(plane.origin, rows.mean(axis=0, dtype=np.float64), atol=1e-9)
    theirs = np.abs(decomposition.PCA(2).fit(rows).transform(rows))
    np.testing.assert_allclose(np.abs(found.places), theirs, atol=2e-3)


def test_every_message_has_a_test_here_or_with_the_server():
    files = [Path(__file__), Path(__file__).with_name("test_server.py")]
    told_of = "".join(file.read_text() for file in files)
    assert [name for name in ACTIONS if f'"{name}"' not in told_of.replace("\\", "")] == []
