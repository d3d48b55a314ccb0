"""The page in a browser: it trains, is wound back, compared, cured, drawn on, reloaded, read aloud.

How many pictures a second it gets is measured and printed (pytest -s), not asserted: machines that
run tests are busy.
"""

import json
import time
from urllib.parse import unquote

import pytest
from support.play import until

from micrograd.play.config import from_fragment

MARKUP = '<script>window.odd=1</script><img src=x onerror="window.odd=1">'


def number(page, place):
    """A figure of run A, or None where there is none yet."""
    text = page.locator(f"#run0 .{place}").inner_text()
    return float(text.removesuffix(" %").replace("−", "-")) if text[0].isdigit() else None


def step(page):
    return int(page.locator("#now").inner_text().replace(",", ""))


def settled(page, look):
    """What a page that is paused shows, once what was still under way has been shown: pictures,
    weights and figures come one after the other."""
    shown = None
    while shown != (shown := look(page)):
        page.wait_for_timeout(400)
    return shown


def reaches(page, place, least, run=0):
    until(
        page,
        f"parseFloat(document.querySelector('#run{run} .{place}').textContent) > {least}",
    )


def steps_on(page, to):
    until(
        page,
        f"parseInt(document.getElementById('now').textContent.replaceAll(',', '')) >= {to}",
    )


def configs(page):
    return from_fragment(unquote(page.evaluate("location.hash.slice(1)")))


def says(page, fragment):
    until(page, f"location.hash.includes({json.dumps(fragment)})")


def test_a_spiral_is_learnt_and_seen_while_it_is(served, opened):
    page = opened(served())
    page.get_by_label("Speed").select_option("0")
    page.get_by_role("button", name="Play").click()
    steps_on(page, 500)
    before, started = page.evaluate("playground.frames()[0]"), time.perf_counter()
    page.wait_for_timeout(3000)
    drawn = page.evaluate("playground.frames()[0]") - before
    print(f"\n{drawn / (time.perf_counter() - started):.0f} pictures a second")
    assert drawn > 3
    reaches(page, "test", 95)
    reaches(page, "training", 95)
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Play").wait_for()
    colours = page.evaluate(
        """() => { const c = document.querySelector('#run0 .answers'); const p = c.getContext('2d');
        const d = p.getImageData(0, 0, c.width, c.height).data; const found = new Set();
        for (let i = 0; i < d.length; i += 400) found.add(d[i] > d[i + 2]); return found.size; }"""
    )
    assert colours == 2  # both answers are painted


def test_a_reload_in_the_middle_changes_nothing(served, opened):
    page = opened(served(), fragment="#data=moons&noise=0.2&layers=8,8&lr=0.003")
    says(page, "layers=8,8")
    page.get_by_role("button", name="Play").click()
    steps_on(page, 200)
    address, before = page.evaluate("location.href"), step(page)
    page.reload()
    until(page, "window.playground && playground.frames()[0] > 0")
    steps_on(page, before + 50)  # it went on, and did not start anew
    assert page.evaluate("location.href") == address
    assert page.get_by_role("button", name="Pause").is_visible()
    assert page.get_by_label("Hidden layers").input_value() == "8, 8"
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Play").wait_for()
    paused = settled(page, step)
    page.reload()
    until(page, "window.playground && playground.frames()[0] > 0")
    steps_on(page, paused)
    assert step(page) == paused and page.get_by_role("button", name="Play").is_visible()


def test_winding_back_brings_the_weights_of_then(served, opened):
    page = opened(served(), fragment="#data=circles&noise=0.1&layers=6")
    says(page, "layers=6")
    picture = "document.querySelector('#run0 tbody canvas').toDataURL()"
    page.get_by_role("button", name="Step", exact=True).click()
    steps_on(page, 1)

    def shown(page):
        return page.evaluate(picture), number(page, "loss")

    one = settled(page, shown)
    for _ in range(30):
        page.get_by_role("button", name="Step", exact=True).click()
    steps_on(page, 31)
    late = settled(page, shown)
    assert late != one
    page.locator("#time").focus()
    page.keyboard.press("Home")
    until(page, "document.getElementById('now').textContent === '0'")
    page.keyboard.press("ArrowRight")
    until(page, "document.getElementById('now').textContent === '1'")
    until(page, f"{picture} === {json.dumps(one[0])}")
    assert settled(page, shown) == one
    page.keyboard.press("End")
    until(page, f"{picture} === {json.dumps(late[0])}")
    assert settled(page, shown) == late and step(page) == 31


def test_vanishing_gradients_are_cured_by_a_click(served, opened):
    page = opened(served())
    page.get_by_label("See", exact=True).select_option("vanishing")
    page.locator("#run0 .verdict b", has_text="vanishing").wait_for()
    page.get_by_label("Speed").select_option("0")
    bars = "[...document.querySelectorAll('#run0 .track span')].map((x) => x.offsetWidth)"
    widths = page.evaluate(bars)[::2]
    assert widths[0] < 0.5 * widths[-1]  # the first layer's gradient is far shorter
    page.get_by_role("button", name="Cure: skip connections").click()
    reaches(page, "test", 95)
    assert page.get_by_role("checkbox", name="Skip connections").is_checked()
    assert configs(page)[0].skip


def test_two_runs_side_by_side(served, opened):
    page = opened(served())
    page.keyboard.press("c")
    page.locator("#run1").wait_for(state="visible")
    page.get_by_role("radio", name="Run B").check()
    page.get_by_label("Activation").select_option("tanh")
    says(page, "b.activation=tanh")
    one, two = configs(page)
    assert (one.activation, two.activation) == ("relu", "tanh")
    page.get_by_role("radio", name="Run A").check()
    assert page.get_by_label("Activation").input_value() == "relu"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Play").click()
    until(page, "playground.frames().every((n) => n > 5)")
    boxes = [page.locator(f"#run{k} .stack").bounding_box() for k in (0, 1)]
    assert boxes[0]["y"] == boxes[1]["y"] and boxes[0]["x"] + boxes[0]["width"] < boxes[1]["x"]
    page.get_by_role("button", name="Compare").click()
    page.locator("#run1").wait_for(state="hidden")


def test_points_by_hand_and_by_keyboard(served, opened):
    page = opened(served())
    page.get_by_label("Data", exact=True).select_option("hand")
    page.get_by_text("points of two colours at least").wait_for()
    plane = page.locator("#run0 .points")
    box = plane.bounding_box()
    middle = {"x": box["width"] / 2, "y": box["height"] / 2}
    plane.click(position=middle)
    says(page, "points=0.0.0")
    page.get_by_role("radio", name="B", exact=True).check()
    plane.click(position={"x": box["width"] / 4, "y": box["height"] / 4})
    until(page, "location.hash.includes('_')")
    (one,) = configs(page)
    assert [k for _, _, k in one.points] == [0, 1]
    assert abs(one.points[1][0] + 80) <= 1 and abs(one.points[1][1] - 80) <= 1
    plane.click(position=middle, modifiers=["Shift"])
    until(page, "!location.hash.includes('_')")
    assert [k for _, _, k in configs(page)[0].points] == [1]
    plane.focus()
    for key in ("ArrowRight", "ArrowRight", "1", "Enter"):
        page.keyboard.press(key)
    until(page, "location.hash.includes('_')")
    assert configs(page)[0].points[-1] == (16, 0, 0)
    plane.click(position={"x": middle["x"] + 20, "y": middle["y"]}, button="right")
    until(page, "!location.hash.includes('_')")


def test_by_keyboard_alone(served, opened):
    page = opened(served())
    page.keyboard.press("ArrowRight")
    steps_on(page, 1)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "play"
    page.keyboard.press("Enter")
    steps_on(page, 20)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Play").wait_for()
    reached = []
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.className")
        )
    assert {"step", "time", "speed", "compare", "preset", "layers", "lr", "points"} <= set(reached)
    outlined = page.evaluate(
        "(() => { document.getElementById('step').focus(); return getComputedStyle("
        "document.getElementById('step')).outlineStyle; })()"
    )
    assert outlined in ("solid", "none")


def test_what_a_table_says_is_text(served, opened, tmp_path):
    pytest.importorskip("pandas")
    quoted = MARKUP.replace('"', '""')
    rows = [f"{i},{(7 * i) % 13},{MARKUP.replace(chr(34), '')}{i % 2}" for i in range(40)]
    file = tmp_path / "own <b>.csv"
    file.write_text("\n".join([f'"{quoted}",b,kind', *rows]))
    page = opened(served("--data", str(file), "--target", "kind"))
    page.locator("#run0 .classes li").first.wait_for()
    classes = page.locator("#run0 .classes li").all_inner_texts()
    assert classes == [f"{MARKUP.replace(chr(34), '')}{k}" for k in (0, 1)]
    assert MARKUP in page.locator("#run0 .axes").inner_text()
    assert page.locator("#target option").all_inner_texts() == [MARKUP, "b", "kind"]
    assert "own <b>.csv" in page.locator("#about-table").inner_text()
    page.get_by_label("Hidden layers").fill(f"<b>{MARKUP}")
    page.keyboard.press("Enter")
    page.locator("#message", has_text="layers").wait_for()
    assert page.evaluate("window.odd") is None
    assert page.locator("#runs script, #runs img, #controls img, #controls b").count() == 0


def test_a_table_is_pasted_and_its_column_chosen(served, opened):
    pytest.importorskip("pandas")
    page = opened(served())
    page.get_by_label("Data", exact=True).select_option("table")
    page.get_by_text("there is no table").wait_for()
    page.get_by_text("Paste a table").click()
    text = "size,weight,kind\n" + "".join(f"{i},{3 * i},{'ab'[i > 20]}\n" for i in range(40))
    page.get_by_label("Lines of cells").fill(text)
    page.get_by_role("button", name="Take it").click()
    page.locator("#run0 .classes li", has_text="a").first.wait_for()
    page.get_by_label("What to predict").select_option("weight")
    page.locator("#run0 .classes li", has_text="below the mean").wait_for()
    assert configs(page)[0].target == "weight"
    page.get_by_role("button", name="Play").click()
    loss = "document.querySelector('#run0 .loss').textContent"
    until(page, f"parseFloat({loss}.replace('−', '-')) < 0.3", 180)  # 9.2e−5 is no 9.2


def test_a_run_is_taken_away(served, opened):
    page = opened(served())
    page.get_by_role("button", name="Step", exact=True).click()
    steps_on(page, 1)
    page.get_by_role("button", name="Python program").click()
    page.locator("#code").wait_for()
    text = page.locator("#code pre").inner_text()
    assert "net = mg.Network(" in text and "state.step == 1" in text
    compile(text, "program.py", "exec")
    page.keyboard.press("Escape")
    with page.expect_download() as download:
        page.get_by_role("button", name="C header").click()
    assert download.value.suggested_filename == "model.h"
    assert "model_predict" in download.value.path().read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_wide_and_narrow_light_and_dark(served, opened, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(served(), width=width, scheme=scheme)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    for preset in ("arms", "cured", "digits"):
        page.get_by_label("See", exact=True).select_option(preset)
        page.wait_for_timeout(600)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = axe.run(page)
        assert found.violations_count == 0, found.generate_report()
    page.get_by_role("button", name="Python program").first.click()
    page.locator("#code").wait_for()
    found = axe.run(page)
    assert found.violations_count == 0, found.generate_report()
