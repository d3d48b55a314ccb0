"""A model for a table of numbers as one C99 header: rows as they are in the file, answers out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np

from micrograd.atomic import write_bytes
from micrograd.convert.c import source
from micrograd.convert.c.arduino import write_library
from micrograd.convert.c.network import NOTICEABLE, checked_prefix, checked_quantize, header_of
from micrograd.convert.c.parts import CHeader
from micrograd.convert.checks import Path, check_of_table, probability_function
from micrograd.convert.models import class_names, through
from micrograd.core import Array
from micrograd.network.network import Network
from micrograd.tabular.column import NUMBER
from micrograd.tabular.schema import Schema

TEST_ROWS = 8


@dataclass(frozen=True)
class CTable:
    """What was written: the network's header, and what rows in float cost, as a share of the spread
    of the answers.

    >>> frame = {"area": [50.0, 70.0, 90.0], "price": [1.0, 1.4, 1.8]}
    >>> schema = mg.tabular.Schema.infer(frame, target="price")
    >>> houses = mg.Network(mg.Linear(schema.transform(frame).shape[1], 1), loss="mse")
    >>> mg.convert.table_to_c(houses, schema, "houses.h", prefix="houses_").function
    'houses_predict'
    """

    network: CHeader
    function: str
    rounding: float

    def __str__(self) -> str:
        text = (
            f"{self.function}: {self.network.parameter_bytes} bytes of parameters, "
            f"{self.network.scratch_bytes} bytes of static memory"
        )
        if self.network.loss is not None:
            text += f"\n{self.network.loss}"
        if self.rounding > NOTICEABLE:
            text += (
                f"\nrows in float are off by {100 * self.rounding:.2g} % of the answers' spread: a "
                f"column is far from zero; call {self.function}_row, which takes doubles"
            )
        return text


def table_to_c(
    net: Network,
    schema: Schema,
    path: Path,
    *,
    prefix: str | None = None,
    quantize: bool | str | None = None,
    probabilities: bool = False,
    X: Any = None,
    y: Any = None,
    clamp: bool = False,
    arduino: Path | None = None,
) -> CTable:
    """Writes a network and the schema of its table of numbers to one C99 header.

    Beside what to_c writes for the network, as `network_predict`, it declares for prefix "houses_"

        houses_predict_row(row, out)    row: HOUSES_PREDICT_INPUTS doubles, as in the table, NAN
                                        for a missing one; out: HOUSES_PREDICT_OUTPUTS doubles
        houses_predict(row, out)        the same in float

    Columns are centred in double before they are multiplied, so that one far from zero keeps its
    digits in predict_row. With the macro HOUSES_PREDICT_MAIN there is a main() that compares with
    stored answers.

    Args:
        net, schema: of a model for a table whose features are all numbers.
        path, prefix, quantize, probabilities, arduino: as for to_c.
        X: rows as they are in the table, to test and to measure on; None draws some as wide as the
            training rows were. y: the right answers for them, as net.loss takes them.
        clamp: hold quantities within what the training rows had.

    Raises:
        ValueError: a feature is not a number; names it. Else as for to_c.

    >>> schema = mg.tabular.Schema.infer({"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.0]}, "y")
    >>> line = mg.convert.table_to_c(mg.Network(mg.Linear(1, 1), loss="mse"), schema, "line.h")
    """
    _check(net, schema)
    checked_quantize("table_to_c", quantize, X)
    rows = _rows(schema, X)
    encoded = _encoded(schema, rows)
    prefix = checked_prefix("table_to_c", prefix)
    text, header = header_of(
        "table_to_c", net, prefix=f"{prefix}network_", quantize=quantize,
        probabilities=probabilities, X=encoded, y=y,
    )  # fmt: skip
    name = f"{prefix}predict"
    single = _encoded(schema, _as_float(rows))
    answers, rounded = (_answers(net, schema, each, probabilities) for each in (encoded, single))
    spread = float(answers.std(axis=0).max()) or 1.0
    lost = float(np.sqrt(((answers - rounded) ** 2).mean())) / spread
    tolerance, network = 1e-4 if quantize is None else 10.0, f"{prefix}network_predict"
    held = clamp and not schema.targets[0].classes
    if held:
        answers = _held(schema, answers)
    functions = _functions(name, network, net, schema, probabilities, answers.shape[1], held)
    test = _main(name, rows[:TEST_ROWS], answers[:TEST_ROWS], tolerance, quantize)
    written = CTable(header, name, lost)
    return _write(path, arduino, _guarded(name, [text, functions, test]), written, rows[0])


def _held(schema: Schema, answers: Array) -> Array:
    """Within what the training rows had."""
    least, most = ([getattr(t, end) for t in schema.targets] for end in ("least", "most"))
    return np.clip(answers, least, most)


def _write(path: Path, arduino: Path | None, text: str, table: CTable, row: Array) -> CTable:
    """The file, and the library where one is asked for."""
    write_bytes(path, text.encode("ascii"))
    if arduino is not None:
        example = row.astype(np.float32)
        own = replace(table.network, function=table.function, int8=None, example=example)
        write_library("table_to_c", arduino, text, own, table.network.function)
    return table


def _check(net: Network, schema: Schema) -> None:
    check_of_table("table_to_c", net)
    other = [c.name for c in schema.features if c.kind != NUMBER or c.unit]
    if other:
        raise ValueError(
            f"table_to_c: column {', '.join(map(repr, other[:5]))} is no plain number, and a C "
            "header is for tables of numbers; write an ONNX file, or train without it (--drop)"
        )


def _rows(schema: Schema, X: Any) -> Array:
    if X is not None:
        return np.asarray(X, np.float64)
    spread = np.array([1 / c.scale[0] if c.scale[0] else 1.0 for c in schema.features])
    centre = np.array([c.centre[0] for c in schema.features])
    rng = np.random.default_rng(0)
    return np.asarray(centre + spread * rng.normal(size=(256, len(centre))))


def _as_float(rows: Array) -> Array:
    return rows.astype(np.float32).astype(np.float64)


def _encoded(schema: Schema, rows: Array) -> Array:
    names = [column.name for column in schema.features]
    return schema.transform({name: rows[:, i] for i, name in enumerate(names)})


def _answers(net: Network, schema: Schema, encoded: Array, probabilities: bool) -> Array:
    z = net.predict(encoded).astype(np.float64)
    if schema.targets[0].classes or probabilities:
        return through(probability_function("table_to_c", net) if probabilities else None, z)
    scale, centre = (np.array([getattr(t, k) for t in schema.targets]) for k in ("scale", "centre"))
    return np.asarray(centre + scale * z)


def _doubles(name: str, values: Any) -> str:
    listed = ", ".join("NAN" if v != v else f"{v:.17g}" for v in np.ravel(values).tolist())
    return f"static const double {name}[] = {{{listed}}};\n"


def _functions(
    name: str,
    network: str,
    net: Network,
    schema: Schema,
    probabilities: bool,
    outputs: int,
    held: bool,
) -> str:
    """Both predict functions and the constants of the scaling."""
    guard, columns = name.upper(), schema.features
    classes = schema.targets[0].classes
    body = [
        "float x[@_ENCODED], z[@_OUTPUTS];",
        "for (size_t i = 0; i < @_INPUTS; i++) {",
        "    double u = (row[i] - $_centre[i]) * $_scale[i];",
    ]
    if any(c.clip for c in columns):
        body.append("    if ($_clip[i] > 0) u /= sqrt(1 + (u / $_clip[i]) * (u / $_clip[i]));")
    body += ["    x[i] = row[i] == row[i] ? (float)u : 0.0f;", "}"]
    flag = len(columns)
    for i, column in enumerate(columns):
        if column.missing:
            body.append(f"x[{flag}] = row[{i}] == row[{i}] ? 0.0f : 1.0f; /* missing */")
            flag += 1
    body += [f"{network}(x, z);", "for (size_t i = 0; i < @_OUTPUTS; i++)"]
    answer = "z[i]" if classes else "$_shift[i] + $_unit[i] * z[i]"
    if held:
        answer = f"fmin(fmax({answer}, $_least[i]), $_most[i])"
    body.append(f"    out[i] = {answer};")
    constants = _constants(schema, held)
    gives = "probabilities" if probabilities else "logits"
    gives = (
        f"{gives} of {', '.join(classes)}" if classes else ", ".join(t.name for t in schema.targets)
    )
    said = source.comment(f"row: {', '.join(c.name for c in columns)}; out: {gives}")
    text = (
        f"#include <math.h>\n/* {said}.\n   A missing number is NAN. For one thread. */\n"
        f"#define @_INPUTS {len(columns)}\n#define @_ENCODED {net.in_features}\n"
        f"#define @_OUTPUTS {outputs}\n{constants}\n"
        "static inline void $_row(const double *row, double *out)\n{\n    "
        + "\n    ".join(body)
        + "\n}\n\nstatic inline void $(const float *row, float *out)\n{\n"
        "    double in[@_INPUTS], answer[@_OUTPUTS];\n"
        "    for (size_t i = 0; i < @_INPUTS; i++) in[i] = row[i];\n"
        "    $_row(in, answer);\n"
        "    for (size_t i = 0; i < @_OUTPUTS; i++) out[i] = (float)answer[i];\n}\n"
    )
    if class_names(net):
        text += (
            f"/* The name of class i, in UTF-8. */\nstatic inline const char *$_class(size_t i)\n"
            f"{{\n    return {network}_class(i);\n}}\n"
        )
    return text.replace("@", guard).replace("$", name)


def _constants(schema: Schema, held: bool) -> str:
    """The numbers of the scaling; $ stands for the name of the function."""
    constants = _doubles("$_centre", [c.centre for c in schema.features])
    constants += _doubles("$_scale", [c.scale for c in schema.features])
    if any(c.clip for c in schema.features):
        constants += _doubles("$_clip", [3.0 * c.clip for c in schema.features])
    if held:
        constants += _doubles("$_least", [t.least for t in schema.targets])
        constants += _doubles("$_most", [t.most for t in schema.targets])
    if not schema.targets[0].classes:
        constants += _doubles("$_shift", [t.centre for t in schema.targets])
        constants += _doubles("$_unit", [t.scale for t in schema.targets])
    return constants


def _main(name: str, rows: Array, answers: Array, tolerance: float, quantize: Any) -> str:
    """The self-test: what 8 bits change is measured elsewhere, and only has to stay in sight."""
    size = max(1.0, float(np.abs(answers).max())) * tolerance
    text = f"""
#ifdef @_MAIN
#include <stdio.h>
{_doubles("$_test_rows", rows)}{_doubles("$_test_answers", answers)}
int main(void)
{{
    double out[@_OUTPUTS], worst = 0;
    for (size_t i = 0; i < {len(rows)}; i++) {{
        $_row($_test_rows + i * @_INPUTS, out);
        for (size_t j = 0; j < @_OUTPUTS; j++) {{
            double off = fabs(out[j] - $_test_answers[i * @_OUTPUTS + j]);
            if (!(off <= worst)) worst = off;
        }}
    }}
    printf("largest difference %g\\n", worst);
    return !(worst <= {size:.6g});
}}
#endif
"""
    return text.replace("@", name.upper()).replace("$", name)


def _guarded(name: str, parts: list[str]) -> str:
    """A guard of its own for each content: two models of one name do not hide one another."""
    body = "\n".join(parts)
    guard = f"{name.upper()}_TABLE_{sha256(body.encode()).hexdigest()[:12].upper()}_H"
    return (
        f"#ifndef {guard}\n#define {guard}\n#ifdef {name.upper()}_ENCODED\n"
        f'#error "two models are called {name}: export one of them with another prefix"\n#endif\n'
        f"{body}\n#endif /* {guard} */\n"
    )
