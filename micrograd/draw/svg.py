"""SVG: a drawing in one file, light and dark by the reader's setting, light on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from micrograd.draw import palette
from micrograd.draw.layout import Point
from micrograd.draw.scene import HEAD, LABEL, NAME, PAD, ROW, TITLE, VALUE, Card, Scene, Wire
from micrograd.draw.scene import outline as path_of
from micrograd.draw.text import width, xml

EDGE = 16.0  # around the drawing
LINE = 16.0  # of a note
NOTE = 11.5
TINT = 0.4  # how opaque the strongest colour behind a number is


def colours(of: Mapping[str, str]) -> str:
    """The rules that say which colour each class has."""
    tints = {"p": of["positive"], "n": of["negative"], "z": of["line"]}
    rules = [
        f".mg-paper{{fill:{of['paper']}}}",
        f".mg-card{{fill:{of['card']};stroke:{of['line']}}}",
        f".mg-leaf,.mg-input{{fill:{of['leaf']};stroke:{of['leaf-line']}}}",
        f".mg-cache{{fill:{of['cache']};stroke:{of['cache-line']}}}",
        f".mg-loss,.mg-result{{stroke:{of['ink']}}}",
        f".mg-ink{{fill:{of['ink']}}}",
        f".mg-muted{{fill:{of['muted']}}}",
        f".mg-badge{{fill:{of['ink']}}}.mg-symbol{{fill:{of['paper']}}}",
        f".mg-band{{fill:none;stroke:{of['line']}}}",
        f".mg-halo{{stroke:{of['paper']}}}",
    ]
    for name, colour in tints.items():
        rules.append(f".mg-w{name}{{stroke:{colour}}}.mg-t{name}{{fill:{colour}}}")
    return "".join(rules)


def style() -> str:
    """The style sheet of a drawing."""
    shapes = (
        f".mg-drawing text{{font-family:{palette.SANS}}}"
        f".mg-drawing .mg-mono{{font-family:{palette.MONO}}}"
        f".mg-title{{font-size:{TITLE}px;font-weight:600}}"
        f".mg-name{{font-size:{NAME}px}}.mg-value{{font-size:{VALUE}px}}"
        f".mg-label{{font-size:{LABEL}px;paint-order:stroke;stroke-width:3px;"
        "stroke-linejoin:round}"
        f".mg-note{{font-size:{NOTE}px}}.mg-head{{font-size:15px;font-weight:600}}"
        ".mg-symbol{font-size:12px}.mg-wire{fill:none}.mg-tip{stroke:none}"
        ".mg-band{stroke-dasharray:2 5;stroke-width:1}"
    )
    dark = f"@media screen and (prefers-color-scheme:dark){{{colours(palette.DARK)}}}"
    return f"<style>{shapes}{colours(palette.LIGHT)}{dark}</style>"


def coordinate(x: float) -> str:
    """A coordinate with one decimal, as short as it can be."""
    return f"{x:.1f}".removesuffix(".0").replace("-0", "0", 1 if abs(x) < 0.05 else 0)


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{coordinate(x)},{coordinate(y)}" for x, y in points)


def text_at(
    x: float, y: float, classes: str, text: str, anchor: str = "", identity: str = ""
) -> str:
    """A line of text, escaped; anchor: "middle" or "end"; identity: an attribute."""
    end = f' text-anchor="{anchor}"' if anchor else ""
    place = f'x="{coordinate(x)}" y="{coordinate(y)}"'
    return f'<text{identity} {place} class="{classes}"{end}>{xml(text)}</text>'


def _id(key: str, suffix: str = "") -> str:
    return f' id="mg-{key}{suffix}"' if key else ""


def tone(sign: int) -> str:
    """The last letter of the classes that colour by sign."""
    return {1: "p", -1: "n", 0: "z"}[sign]


def card(box: Card) -> str:
    """One card."""
    w, h = coordinate(box.w), coordinate(box.h)
    parts = [f'<g{_id(box.key)} transform="translate({coordinate(box.x)} {coordinate(box.y)})">']
    if box.tooltip:
        parts.append(f"<title>{xml(box.tooltip)}</title>")
    kinds = f"mg-card mg-{box.kind}"
    dash = ' stroke-dasharray="4 3"' if box.kind == "constant" else ""
    bold = ' stroke-width="2"' if box.kind in ("loss", "result") else ""
    radius = "11" if box.kind in ("number", "cache") else "6"
    parts.append(f'<rect class="{kinds}" width="{w}" height="{h}" rx="{radius}"{dash}{bold}/>')
    inner = (HEAD if box.has_head else 0) + ROW * len(box.rows) + 8
    y = (box.h - inner) / 2 + 4
    if box.has_head:
        if box.badge:
            pill = coordinate(box.badge_width)
            parts.append(
                f'<rect class="mg-badge" x="{coordinate(PAD - 3)}" y="{coordinate(y + 1)}" '
                f'width="{pill}" height="18" rx="9"/>'
            )
            middle = PAD - 3 + box.badge_width / 2
            parts.append(text_at(middle, y + 14.2, "mg-symbol mg-mono", box.badge, "middle"))
        if box.title:
            left = PAD + box.title_left - (3 if box.badge else 0)
            parts.append(text_at(left, y + 14.5, "mg-title mg-ink", box.title))
        y += HEAD
    for row in box.rows:
        if row.sign or row.key:
            opacity = coordinate(TINT * row.strength * 100)
            parts.append(
                f'<rect{_id(row.key, "-tint")} class="mg-t{tone(row.sign)}" x="3" '
                f'y="{coordinate(y)}" width="{coordinate(box.w - 6)}" height="16" rx="3" '
                f'fill-opacity="{opacity}%"/>'
            )
        if row.name:
            parts.append(text_at(PAD, y + 12.2, "mg-name mg-muted", row.name))
        classes = "mg-value mg-mono mg-ink"
        parts.append(text_at(box.w - PAD, y + 12.2, classes, row.value, "end", _id(row.key)))
        y += ROW
    return "".join([*parts, "</g>"])


def wire(line: Wire) -> str:
    """One wire with its arrowhead and label."""
    path = "".join(f"{command}{_points(points)}" for command, points in path_of(line))
    letter = tone(line.sign)
    thick = coordinate(1.1 + 2.2 * line.strength)
    parts = [f"<g{_id(line.key)}>"]
    if line.tooltip:
        parts.append(f"<title>{xml(line.tooltip)}</title>")
    dash = ' stroke-dasharray="1 5" stroke-linecap="round"' if line.dashed else ""
    faint = f' stroke-opacity="{coordinate(45 + 55 * line.strength)}%"' if line.sign else ""
    parts.append(
        f'<path class="mg-wire mg-w{letter}" d="{path}" stroke-width="{thick}"{dash}{faint}/>'
    )
    x, y = line.route[-1]
    if line.vertical:
        back = -6 if y > line.route[0][1] else 6
        head = [(x, y), (x - 3.5, y + back), (x + 3.5, y + back)]
    else:
        back = -6 if not line.lead < 0 else 6
        head = [(x, y), (x + back, y - 3.5), (x + back, y + 3.5)]
    parts.append(f'<path class="mg-tip mg-t{letter}" d="M{_points(head)}z"/>')
    if line.label:
        classes = "mg-label mg-mono mg-muted mg-halo"
        identity = _id(line.key, "-label")
        parts.append(text_at(x - 9, y - 4, classes, line.label, "end", identity))
    return "".join([*parts, "</g>"])


def wrapped(sentences: Sequence[str], room: float) -> list[str]:
    """The sentences, cut into lines that fit."""
    lines: list[str] = []
    for sentence in sentences:
        line = ""
        for word in sentence.split():
            longer = f"{line} {word}".strip()
            if line and width(longer, NOTE) > room:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines


def body(scene: Scene) -> str:
    """The bands, wires and cards; wires lie below."""
    parts = ['<g class="mg-bands">']
    for band in scene.bands:
        place = f'x="{coordinate(band.x)}" y="{coordinate(band.y)}"'
        size = f'width="{coordinate(band.w)}" height="{coordinate(band.h)}"'
        parts.append(f'<rect class="mg-band" {place} {size} rx="8"/>')
        parts.append(text_at(band.x + 10, band.y + 16, "mg-note mg-muted", band.name))
    parts.append('</g><g class="mg-wires">')
    parts += [wire(line) for line in scene.wires]
    parts.append('</g><g class="mg-cards">')
    parts += [card(box) for box in scene.cards]
    return "".join([*parts, "</g>"])


def picture(scene: Scene) -> str:
    """The drawing alone, for a page that has title and notes of its own and tells its numbers."""
    w, h = coordinate(scene.width + 2 * EDGE), coordinate(scene.height + 2 * EDGE)
    place = f"translate({coordinate(EDGE)} {coordinate(EDGE)})"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="mg-drawing" aria-hidden="true" '
        f'viewBox="0 0 {w} {h}" preserveAspectRatio="xMidYMid meet">{style()}'
        f'<g transform="{place}">{body(scene)}</g></svg>'
    )


def render(scene: Scene) -> str:
    """The whole file."""
    w = max(scene.width, 320.0) + 2 * EDGE
    notes = wrapped(scene.notes, w - 2 * EDGE)
    legend = wrapped(scene.legend, w - 2 * EDGE)
    top = EDGE + 22
    below = LINE * (len(notes) + len(legend)) + (10 if notes or legend else 0)
    h = top + scene.height + below + EDGE
    size = f'width="{coordinate(w)}" height="{coordinate(h)}"'
    box = f'viewBox="0 0 {coordinate(w)} {coordinate(h)}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="mg-drawing" role="img" {size} {box} '
        f'aria-label="{xml(scene.title)}">',
        style(),
        '<rect class="mg-paper" width="100%" height="100%"/>',
        text_at(EDGE, EDGE + 9, "mg-head mg-ink", scene.title),
        f'<g transform="translate({coordinate(EDGE)} {coordinate(top)})">{body(scene)}</g>',
    ]
    y = top + scene.height + 10
    for kind, lines in (("mg-ink", notes), ("mg-muted", legend)):
        for line in lines:
            y += LINE
            parts.append(text_at(EDGE, y, f"mg-note {kind}", line))
    return "".join([*parts, "</svg>\n"])
