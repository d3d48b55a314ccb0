"""Numbers and names as drawings write them: the same digits in Python and in the page's script."""

from __future__ import annotations

import math
import re
from decimal import ROUND_HALF_UP, Context

DIGITS = 5  # significant digits of a printed number; assets/numbers.js has the same
_ROUND = Context(prec=DIGITS, rounding=ROUND_HALF_UP)  # JavaScript's toExponential rounds so
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

# Advance widths in thousandths of the font size: of DejaVu Sans, one of the widest a reader has.
_WIDTHS = {
    **dict.fromkeys("ijl'|.,:;", 340),
    **dict.fromkeys('fIrt()[]-/\\!" ', 400),
    **dict.fromkeys("mwMW%@", 980),
    **dict.fromkeys("<>=+~^#∂⊙→←", 860),
}


def number(x: float) -> str:
    """x with five significant digits: 0.70711, -8, 1.2346e5, 6.02e-7, inf, nan.

    Halves are rounded away from zero, so that the page's script, which writes the same numbers,
    comes to the same digits.
    """
    if x == 0:
        return "0"
    if not math.isfinite(x):
        return "nan" if x != x else "inf" if x > 0 else "-inf"
    sign, digits, exponent = _ROUND.create_decimal_from_float(x).as_tuple()
    assert isinstance(exponent, int)
    power = exponent + len(digits) - 1
    text = "".join(map(str, digits)).rstrip("0")
    minus = "-" if sign else ""
    if -DIGITS < power < 0:
        return f"{minus}0.{'0' * (-power - 1)}{text}"
    if 0 <= power < DIGITS:
        whole, rest = text[: power + 1].ljust(power + 1, "0"), text[power + 1 :]
        return f"{minus}{whole}.{rest}" if rest else f"{minus}{whole}"
    return f"{minus}{text[0]}{'.' if text[1:] else ''}{text[1:]}e{power}"


def plain(text: str) -> str:
    """One line that any format can hold: what XML forbids becomes U+FFFD, white space a blank."""
    return " ".join(_UNPRINTABLE.sub("\ufffd", str(text)).split())


def shorten(text: str, length: int) -> str:
    """At most `length` characters, the last an ellipsis where something is left out."""
    return text if len(text) <= length else text[: length - 1] + "…"


def xml(text: str) -> str:
    """Text for XML and HTML, between tags or in a quoted attribute."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(character, entity)
    return text.replace("'", "&#39;")


def width(text: str, size: float, mono: bool = False) -> float:
    """How wide a text is at most, in the fonts that palette.SANS and palette.MONO name."""
    if mono:
        return 0.61 * size * sum(1 if ord(c) < 0x1100 else 2 for c in text)
    return size / 1000 * sum(_WIDTHS.get(c, 680 if ord(c) < 0x1100 else 1050) for c in text)
