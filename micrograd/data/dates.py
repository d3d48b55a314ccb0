"""Dates and times in cells: one format for a column, and the numbers that a date becomes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone

import numpy as np
from numpy.typing import NDArray

DAY, YEAR = 86400.0, 365.2425  # seconds, days
_EPOCH = datetime(1970, 1, 1)
ISO = "ISO 8601"
_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
)
_DAY_FIRST = ("%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%y", "%d/%m/%y")
_MONTH_FIRST = ("%m/%d/%Y", "%m-%d-%Y", "%m/%d/%y")
_OTHER = ("%Y/%m/%d", "%Y.%m.%d", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y",
          "%d-%b-%y", "%H:%M", "%H:%M:%S")  # fmt: skip
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_MAYBE = re.compile(r"[A-Za-z]{0,9}[ .]?\d{1,4}[-/.: ,]")


def seconds(text: str, form: str) -> float | None:
    """Seconds from 1970-01-01T00:00 UTC to the time that a cell names, None if it is none.

    A time without a zone is taken as UTC.
    """
    text = text.strip()
    try:
        if form == ISO:
            if not _ISO.fullmatch(text):
                return None
            found = _iso(text)
        else:
            found = datetime.strptime(text, form)
    except ValueError:
        return None
    if found.tzinfo is not None:
        found = found.astimezone(timezone.utc).replace(tzinfo=None)
    return (found - _EPOCH) / timedelta(seconds=1)


def _iso(text: str) -> datetime:
    """As datetime.fromisoformat of Python 3.11, which 3.10 cannot do yet."""
    text = text.replace(",", ".").replace("Z", "+00:00")
    zone = re.search(r"[+-]\d{2}:?\d{2}$", text[10:])
    form = "%Y-%m-%d"
    if len(text) > 10:
        clock = text[11 : len(text) - len(zone[0]) if zone else None]
        text = f"{text[:10]} {clock}" + (zone[0] if zone else "")
        form += " %H:%M" + ":%S" * (clock.count(":") > 1) + ".%f" * ("." in clock)
        if "." in clock:  # strptime knows microseconds
            head, _, fraction = clock.partition(".")
            text = f"{text[:10]} {head}.{fraction[:6]}" + (zone[0] if zone else "")
        form += "%z" if zone else ""
    return datetime.strptime(text, form)


def find_formats(cells: Iterable[str]) -> list[str]:
    """The formats in which most of these cells are dates, nine of ten at least.

    Two that differ in the order of day and month are both given where the cells fit both and mean
    different days.
    """
    distinct = sorted(set(cells))
    likely = [cell for cell in distinct if _MAYBE.match(cell.strip())]
    if not distinct or len(likely) < 0.8 * len(distinct):
        return []
    sample = likely[:: max(1, len(likely) // 200)]
    best: list[tuple[int, str]] = []
    for form in _formats():
        fits = sum(seconds(cell, form) is not None for cell in sample)
        if fits and fits >= 0.8 * len(sample):
            best.append((fits, form))
    most = max((fits for fits, _ in best), default=0)
    forms = [form for fits, form in best if fits == most]
    return [form for i, form in enumerate(forms) if i == 0 or _differs(sample, forms[0], form)]


def mixed_formats(cells: Iterable[str]) -> str | None:
    """Where most of these cells, eight of ten, are dates, but of several formats: that of most."""
    distinct = sorted(set(cells))
    likely = [cell for cell in distinct if _MAYBE.match(cell.strip())]
    if not distinct or len(likely) < 0.8 * len(distinct):
        return None
    sample = likely[:: max(1, len(likely) // 60)]
    fits = {form: [seconds(cell, form) is not None for cell in sample] for form in _formats()}
    dated = sum(map(any, zip(*fits.values(), strict=True)))
    if dated < 0.8 * len(sample):
        return None
    return max(fits, key=lambda form: sum(fits[form]))


def _formats() -> list[str]:
    dated = [form + time for form in (*_DAY_FIRST, *_MONTH_FIRST, *_OTHER[:8]) for time in _TIMES]
    return [ISO, *dated, *_OTHER[8:]]


def _differs(cells: Sequence[str], one: str, other: str) -> bool:
    return any(seconds(cell, one) != seconds(cell, other) for cell in cells)


def parts(form: str, times: NDArray[np.float64]) -> list[str]:
    """What to make of these times: days, and as far as they span it season, weekday, hour."""
    known = times[np.isfinite(times)]
    span = float(np.ptp(known)) / DAY if len(known) else 0.0
    found = ["days"]
    if span > 0.8 * YEAR:
        found.append("season")
    if span >= 14:
        found.append("weekday")
    if np.any(known % DAY) and span > 0.1:
        found.append("hour")
    return found


PERIODS = {"season": YEAR, "weekday": 7.0, "hour": 1.0}  # days


def rates(times: NDArray[np.float64], chosen: Sequence[str]) -> list[NDArray[np.float64]]:
    """How fast what `encode` makes of times changes, in a day."""
    days = times / DAY
    found = []
    for part in chosen:
        if part == "days":
            found.append(np.where(np.isnan(days), np.nan, 1.0))
            continue
        turn = 2 * np.pi / PERIODS[part]
        angle = 2 * np.pi * np.remainder(days / PERIODS[part], 1.0)
        found += [turn * np.cos(angle), -turn * np.sin(angle)]
    return found


def encode(times: NDArray[np.float64], chosen: Sequence[str]) -> list[NDArray[np.float64]]:
    """A column each for days, and sine and cosine for what comes again; NaN stays NaN."""
    days = times / DAY
    found = []
    for part in chosen:
        if part == "days":
            found.append(days)
            continue
        angle = 2 * np.pi * np.remainder(days / PERIODS[part], 1.0)
        found += [np.sin(angle), np.cos(angle)]
    return found
