"""Who is answered, and with what: token, Host, Origin, odd messages, tables, exports."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.c_compiler import compile_c
from support.play import HOST, TOKEN, WITH

import micrograd as mg
from micrograd.play.config import Config
from micrograd.play.dataset import dataset
from micrograd.play.engine import Engine
from micrograd.play.guard import Guard
from micrograd.play.session import ACTIONS, Session

# ---- who is answered ----


def refused_at_the_door(client, path, headers):
    from starlette.websockets import WebSocketDisconnect

    connecting = client.websocket_connect(path, headers=headers)
    with pytest.raises(WebSocketDisconnect) as error, connecting as line:
        line.receive()
    assert error.value.code == 1008


@pytest.mark.parametrize("path", ["/", "/export/0/program.py", "/nothing"])
@pytest.mark.parametrize(
    "query", ["", "token=", "token=wrong", f"token={TOKEN}x", f"{WITH}&{WITH}", "token=%ff%00"]
)
def test_without_the_token_nothing_is_told(client, path, query):
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == 403
    assert TOKEN not in answer.text and "<html" not in answer.text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8123", "127.0.0.1:80", "localhost"])
def test_a_foreign_host_is_refused(client, host):
    assert client.get(f"/?{WITH}", headers={"host": host}).status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:8123", ""])
def test_a_foreign_origin_is_refused(client, origin):
    headers = {"origin": origin}
    assert client.get(f"/?{WITH}", headers=headers).status_code == 403
    assert client.post(f"/table?{WITH}", content=b"a,b\n1,2", headers=headers).status_code == 403
    refused_at_the_door(client, f"/live?{WITH}", headers | {"host": HOST})


@pytest.mark.parametrize("query", ["", "token=wrong"])
def test_a_socket_without_the_token_is_refused(client, query):
    refused_at_the_door(client, f"/live?{query}", {"host": HOST})


def test_its_own_origin_is_answered(client):
    answer = client.get(f"/?{WITH}", headers={"origin": f"http://{HOST}"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert TOKEN not in answer.text


def test_the_page_is_one_piece(client):
    text = client.get(f"/?{WITH}").text
    for word in ("src=", "@import", "url(", "http://", "https://"):
        assert word not in text, word


def test_two_hosts_in_one_request_are_refused():
    async def never(scope, receive, send):
        raise AssertionError

    guard = Guard(never, TOKEN, frozenset([HOST]))
    scope = {"type": "http", "query_string": WITH.encode()}
    host, origin = (b"host", HOST.encode()), (b"origin", f"http://{HOST}".encode())
    assert guard.reason(scope | {"headers": [host]}) == ""
    assert guard.reason(scope | {"headers": [host, origin]}) == ""
    assert "Host" in guard.reason(scope | {"headers": [host, host]})
    assert "Origin" in guard.reason(scope | {"headers": [host, origin, origin]})
    assert "Host" in guard.reason(scope | {"headers": []})
    assert "none" in guard.reason(scope | {"headers": [host], "query_string": b"\xff"})


def test_it_listens_on_this_machine_only(served):
    address = served().address
    assert address.startswith("http://127.0.0.1:")
    assert len(address.partition("token=")[2]) >= 32


# ---- messages ----

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
NAMES = st.sampled_from([*ACTIONS, "drawn", "__init__", ""])
MESSAGES = st.one_of(
    st.text(max_size=60),
    VALUES.map(json.dumps),
    st.builds(
        lambda name, more: json.dumps({**more, "do": name}),
        NAMES,
        st.dictionaries(
            st.sampled_from(["run", "set", "on", "steps", "step", "speed", "name", "x", "y",
                             "class", "fragment"]),
            VALUES,
        ),
    ),
    st.dictionaries(st.sampled_from([*Config().plain(), "bogus"]), VALUES).map(
        lambda values: json.dumps({"do": "config", "run": 0, "set": values})
    ),
)  # fmt: skip


@settings(
    max_examples=150, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(message=MESSAGES)
def test_any_message_is_done_or_refused(message):
    session = SESSION
    reply = session.handle(message)
    assert reply["kind"] in ("done", "error")
    if reply["kind"] == "error":
        assert reply["error"]
    session.train(0.001)
    session.publish(everything=True)
    assert 1 <= len(session.sides) <= 2
    json.loads(dict(session.outbox.since(0)[1])["figures"])


SESSION = Session()


def replies(line, *messages):
    """What comes back for each message, whatever else is sent."""
    found = []
    for message in messages:
        if isinstance(message, bytes):
            line.send_bytes(message)
        else:
            line.send_text(message)
        while True:
            answer = line.receive()
            text = answer.get("text")
            kind = json.loads(text)["kind"] if text else "picture"
            if kind == "draw":
                line.send_text('{"do":"drawn"}')
            if kind in ("done", "error"):
                found.append(json.loads(text))
                break
    return found


def test_garbage_is_answered_with_an_error_and_the_socket_lives(client):
    with client.websocket_connect(f"/live?{WITH}", headers={"host": HOST}) as line:
        garbage = ["", "{", "[]", "null", '{"do":null}', '{"do":"nothing"}', b"\xff\xfe", b"[1]",
                   "[" * 50_000, "9" * 5000, '{"do":"rewind","step":1e999}',
                   '{"do":"config","set":{"layers":"4096"}}']  # fmt: skip
        for answer in replies(line, *garbage):
            assert answer["kind"] == "error" and len(answer["error"]) > 5
        assert replies(line, '{"do":"step","steps":3}', b'{"do":"pause"}') == [{"kind": "done"}] * 2


def test_what_is_refused_changes_nothing(client, engine):
    before = [side.config for side in engine.session.sides]
    run = engine.session.sides[0].run
    with client.websocket_connect(f"/live?{WITH}", headers={"host": HOST}) as line:
        refused = ['{"do":"config","set":{"lr":0.5,"layers":"a"}}', '{"do":"preset","name":"x"}',
                   '{"do":"open","fragment":"lr=1&b.data=moons"}', '{"do":"point","x":0,"y":null}',
                   '{"do":"speed","speed":true}', '{"do":"compare","on":1}']  # fmt: skip
        assert all(answer["kind"] == "error" for answer in replies(line, *refused))
    assert [side.config for side in engine.session.sides] == before
    assert engine.session.sides[0].run is run


# ---- tables ----

MARKUP = '<script>alert("1")</script>'
TABLE = f'"{MARKUP.replace(chr(34), chr(34) * 2)}",size,kind\n' + "".join(
    f"{i},{(i * 7) % 11},{'<b>' if i % 2 else '<i>'}\n" for i in range(40)
)


def test_a_table_of_ones_own(client, engine):
    pytest.importorskip("pandas")
    name = "../../<img src=x onerror=alert(1)>.csv"
    answer = client.post(f"/table?{WITH}", params={"name": name, "token": TOKEN}, content=TABLE)
    assert answer.json() == {"kind": "done"}
    run = engine.session.sides[0].run
    assert run.data.features == (MARKUP, "size") and run.data.classes == ("<b>", "<i>")
    assert engine.session.table.name == "<img src=x onerror=alert(1)>.csv"
    assert MARKUP not in client.get(f"/?{WITH}").text
    state = json.loads(dict(engine.session.outbox.since(0)[1])["state"])
    assert state["table"]["columns"] == [MARKUP, "size", "kind"]


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "empty"),
        (b"\x00\x01\x02", ""),
        (b"a,b\n1,2,3\n", "column"),
        (b"PK\x03\x04nonsense", ""),
        (b"a\n1\n2\n", "feature"),
    ],
)
def test_an_odd_table_is_refused_in_words(client, engine, content, said):
    pytest.importorskip("pandas")
    answer = client.post(
        f"/table?{WITH}", params={"name": "t.csv", "token": TOKEN}, content=content
    )
    if answer.status_code == 200:  # a table, but none to learn from: the run says so
        assert said in engine.session.sides[0].trouble and engine.session.sides[0].trouble
    else:
        assert answer.status_code == 400 and said in answer.json()["error"]


def test_a_table_too_large_is_refused(client):
    answer = client.post(f"/table?{WITH}", content=b"1," * (5 << 20))
    assert answer.status_code == 413 and "8 MB" in answer.json()["error"]


# ---- exports ----


def trained(engine, **config):
    def train():
        engine.session.handle(json.dumps({"do": "config", "set": config}))
        engine.session.handle('{"do":"step","steps":57}')
        return engine.session.sides[0].run

    return engine.ask(train).result()


def fetched(client, name):
    answer = client.get(f"/export/0/{name}?{WITH}")
    assert answer.status_code == 200, answer.text
    assert name in answer.headers["content-disposition"]
    return answer.content


def test_the_model_file_is_the_run(client, engine, tmp_path):
    pytest.importorskip("safetensors")
    run = trained(engine, data="moons", noise=0.1)
    path = tmp_path / "m.safetensors"
    path.write_bytes(fetched(client, "model.safetensors"))
    net = mg.load(path)
    assert net.parameters().flat.tobytes() == run.net.parameters().flat.tobytes()
    assert net.class_names == ["A", "B"]


def test_onnx_says_what_the_run_says(client, engine, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    run = trained(engine, layers="12, 12, 12", skip=True, activation="gelu", dropout=0.2)
    session = runtime.InferenceSession(fetched(client, "model.onnx"))
    X = run.data.X[:50]
    told = session.run(None, {session.get_inputs()[0].name: X})[0]
    np.testing.assert_allclose(told, run.net.predict(X), rtol=1e-4, atol=1e-5)


def test_the_c_header_passes_its_own_test(client, engine, tmp_path):
    trained(engine, data="digits", layers="16", activation="silu")
    header = tmp_path / "model.h"
    header.write_bytes(fetched(client, "model.h"))
    subprocess.run([compile_c(header, "-DMODEL_PREDICT_MAIN")], check=True)


def test_the_page_to_step_through(client, engine):
    trained(engine, layers="4")
    text = fetched(client, "network.html").decode()
    assert text.startswith("<!doctype html>") and "Linear" in text


def test_exports_that_are_none(client, engine):
    assert client.get(f"/export/0/model.exe?{WITH}").status_code == 404
    assert client.get(f"/export/7/model.h?{WITH}").status_code == 400
    engine.ask(lambda: engine.session.handle('{"do":"clear"}')).result()
    answer = client.get(f"/export/0/program.py?{WITH}")
    assert answer.status_code == 400 and "two colours" in answer.json()["error"]


# ---- what pages see ----


def test_a_page_that_comes_later_sees_the_same(client, engine):
    trained(engine, lr=0.125)
    seen = []
    for _ in range(2):
        with client.websocket_connect(f"/live?{WITH}", headers={"host": HOST}) as line:
            texts, pictures = {}, 0
            while not {"state", "figures", "points", "draw"} <= set(texts):
                answer = line.receive()
                if answer.get("text"):
                    message = json.loads(answer["text"])
                    texts[message["kind"]] = message
                else:
                    pictures += answer["bytes"][0] == 1
            seen.append((texts["state"]["configs"], texts["figures"]["step"], pictures))
    assert seen[0] == seen[1] and seen[0][1] == 57 and seen[0][2] == 1


def test_a_slow_page_gets_few_pictures_and_the_newest(client, engine):
    from micrograd.play.server import AHEAD

    with client.websocket_connect(f"/live?{WITH}", headers={"host": HOST}) as line:
        line.send_text('{"do":"speed","speed":0}')
        line.send_text('{"do":"play"}')
        pictures = kinds = 0
        while kinds < AHEAD:  # none of them is said to be drawn
            answer = line.receive()
            kinds += answer.get("text") == '{"kind":"draw"}'
        engine.ask(lambda: engine.session.handle('{"do":"pause"}')).result()
        step = engine.session.step
        for _ in range(AHEAD):
            line.send_text('{"do":"drawn"}')
        last = 0.0
        while last < step:
            answer = line.receive()
            if answer.get("bytes") and answer["bytes"][0] == 1:
                pictures += 1
                last = float(np.frombuffer(answer["bytes"][8:16], "<f8")[0])
        assert last == step and pictures <= AHEAD


def test_the_engine_keeps_errors_for_who_asked():
    engine = Engine(Session())
    try:
        with pytest.raises(ZeroDivisionError):
            engine.ask(lambda: 1 // 0).result()
        assert engine.ask(lambda: dataset(engine.session.sides[0].config, None)).result().classes
    finally:
        engine.close()


def test_without_the_extra_it_says_what_to_install():
    code = (
        "import sys; sys.modules['starlette'] = None\n"
        "from micrograd.cli import main\n"
        "raise SystemExit(main(['play', '--no-browser']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and "pip install 'micrograd-core[play]'" in done.stderr
