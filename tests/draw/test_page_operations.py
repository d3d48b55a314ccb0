"""The page's own evaluator: every op, its derivatives, printed numbers."""

import json
import math
import random

from micrograd.draw import evaluator
from micrograd.draw.text import number
from micrograd.engine.rules import ANY, RULES


def test_every_op_of_the_table_is_in_the_page():
    assert set(RULES) <= evaluator.known()


POINTS = [-2.5, -1.0, -0.3, 0.0, 0.4, 1.0, 1.7, 12.0, math.inf, -math.inf, math.nan]


def test_values_and_derivatives_are_the_tables(browser):
    page = browser.new_page()
    page.evaluate(
        evaluator.script().replace("const ", "var ").replace("function ", "var x_;function ")
    )
    wrong = []
    for name, rule in RULES.items():
        arity = {"dot": 5, "sum": 3, "where": 3}.get(name, 3) if rule.arity == ANY else rule.arity
        rng = random.Random(name)
        cases = (
            [[x] for x in POINTS]
            if arity == 1
            else [rng.choices(POINTS, k=arity) for _ in range(30)]
        )
        found = page.evaluate(
            f"""(cases) => cases.map((x) => {{
              const z = VALUES.{name}(...x);
              return JSON.stringify([z, PULLS.{name}(0.75, z, ...x)],
                                    (_, v) => typeof v === 'number' ? String(v) : v);
            }})""",
            cases,
        )
        for x, text in zip(cases, found, strict=True):
            z, shares = json.loads(text)
            value = rule.value(*x)
            pairs = [(value, float(z.replace("Infinity", "inf")))]
            wanted = rule.contributions(0.75, value, x)
            pairs += [
                (a, float(b.replace("Infinity", "inf")))
                for a, b in zip(wanted, shares, strict=True)
            ]
            for a, b in pairs:
                close = a == b or (a != a and b != b) or math.isclose(a, b, rel_tol=1e-11)
                if not close and abs(a - b) > 1e-14:  # five digits are printed
                    wrong.append((name, x, a, b))
    page.close()
    assert wrong == []


def test_printed_numbers_are_the_same_in_both_languages(browser):
    page = browser.new_page()
    page.evaluate(
        evaluator.asset("numbers.js").replace("const ", "var ") + ";window.f = showNumber"
    )
    rng = random.Random(5)
    xs = [rng.uniform(-1, 1) * 10.0 ** rng.randint(-9, 9) for _ in range(3000)]
    xs += [round(rng.uniform(0, 2) * 2**k) / 2.0**k for k in range(30) for _ in range(30)]  # ties
    xs += [0.0, 1e22, 5e-324, 1.7e308, 99999.5, 99999.4, 0.99999499, 0.999995]
    assert page.evaluate("(xs) => xs.map(f)", xs) == [number(x) for x in xs]
    page.close()
