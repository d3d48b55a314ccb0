"""To C99: one header with the weights and a function that computes the network's output."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from micrograd.atomic import write_bytes
from micrograd.convert.c.arduino import write_library
from micrograd.convert.c.network import NOTICEABLE, checked_quantize, header_of
from micrograd.convert.c.parts import CHeader
from micrograd.convert.c.table import table_to_c
from micrograd.convert.checks import Path
from micrograd.convert.models import scaled_network
from micrograd.convert.tables import is_tabular, parts_of, single

if TYPE_CHECKING:
    from micrograd.tabular.schema import Schema


def to_c(
    net: Any,
    path: Path,
    *,
    prefix: str | None = None,
    quantize: bool | str | None = None,
    probabilities: bool = False,
    X: Any = None,
    y: Any = None,
    arduino: Path | None = None,
) -> CHeader:
    """Writes a C99 header that computes what `predict` does, one row at a time, in float32.

    It holds the weights and needs nothing but the C library's <math.h> (link with -lm); all its
    memory is static. For prefix "digits_" it declares

        digits_predict(x, out)                    x: DIGITS_PREDICT_INPUTS floats, out:
                                                  DIGITS_PREDICT_OUTPUTS floats
        digits_predict_with(x, out, scratch)      the same in the caller's memory, of
                                                  DIGITS_PREDICT_SCRATCH floats: for threads
        digits_predict_class(i)                   where the model knows them: the i-th class's name

    and with the macro DIGITS_PREDICT_MAIN a main() that compares with stored outputs, those of
    predict in float64:

        cc -std=c99 -O3 -DDIGITS_PREDICT_MAIN -x c digits.h -lm && ./a.out

    Of a Pipeline, whose scaling becomes part of the header, there is digits_predict_row(x, out) in
    double too: for columns far from zero, which float rounds.

    On an AVR the constants lie in flash; for other machines that keep them apart, define
    DIGITS_PREDICT_FLASH and the macros beside it before the include. Headers with different
    prefixes go into one program, C or C++; two with the same one are an error of the compiler.

    Args:
        net: the network, a fitted estimator of micrograd.sklearn or scikit-learn's MLP, or a
            Pipeline of scalers and such an estimator; float64 is rounded to float32.
        path: the file to write; it is there whole or not at all.
        prefix: what all names begin with; None is nothing.
        quantize: "int8", or True, computes in 8-bit integers, see below. "int8-weights" stores the
            weight matrices as 8-bit integers with one scale for each output; activations and biases
            stay float32. What either costs is measured on X.
        probabilities: the output goes through softmax (cross_entropy) or sigmoid (bce); a binary
            network gives both, that of the second class last.
        X: rows (n, in_features), some of which the self-test takes, and on which int8 is
            calibrated and measured; None draws 256 from a normal distribution, for anything but
            "int8".
        y: the right answers for X, as net.loss takes them; then the loss of accuracy is measured
            (cross_entropy, bce), or the root of the mean squared error (other losses).
        arduino: a folder to make an Arduino library in, with the header and an example sketch.

    With quantize="int8" weights are int8 with a scale for each output, activations int8 with a
    scale and a zero for each layer (calibrated on X), sums int32, and what brings them back to 8
    bits are multiplications and shifts: no float, no libm, no division. Activations but ReLU are
    tables of 256 bytes. The header then declares

        digits_predict_int8(x, out)               x, out: int8_t; a number is SCALE * (int - ZERO),
                                                  with DIGITS_INPUT_SCALE, DIGITS_INPUT_ZERO,
                                                  DIGITS_OUTPUT_SCALE and DIGITS_OUTPUT_ZERO; of a
                                                  classifier the largest of the logits is the class
        digits_predict_int8_with(x, out, scratch) DIGITS_PREDICT_SCRATCH int8_t
        digits_predict(x, out)                    the same in float; the macro DIGITS_INT8_ONLY
                                                  leaves it out

    and the int8 attribute of what is returned computes the same in numpy, to the bit. The scaling
    of a Pipeline becomes part of the first layer, or integers before it where that loses less.

    Returns:
        What was written; its str says what int8 costs. There is a warning where float costs more
        than 0.1 % of the spread of the outputs.

    Raises:
        TypeError: net is none of these, or a layer has no form in C.
        ValueError: prefix is no C identifier, quantize is unknown, X or y do not fit, a parameter
            is not finite in float32, the loss has no probabilities, or quantize="int8" has no X.
        OSError: the file cannot be written.

    >>> header = mg.convert.to_c(net, "digits.h", prefix="digits_", quantize="int8", X=X, y=y)
    >>> header.function
    'digits_predict'
    """
    clamp, kind = False, checked_quantize("to_c", quantize, X)
    tabular = is_tabular(net)
    if tabular:
        networks, known, clamp = parts_of("to_c", net)
        net, schema = single("to_c", networks), cast("Schema | None", known)
    else:
        net, schema = scaled_network("to_c", net)
    scaling = None
    if kind == "int8" and not tabular:
        schema, scaling = None, schema
    if schema is not None:
        table = table_to_c(
            net, schema, path, prefix=prefix, quantize=quantize, probabilities=probabilities, X=X,
            y=y, clamp=clamp, arduino=arduino,
        )  # fmt: skip
        if table.rounding > NOTICEABLE:
            warnings.warn(f"to_c: {str(table).splitlines()[-1]}", stacklevel=2)
        return replace(table.network, function=table.function, rounding=table.rounding)
    with net.parameters().access.reading():
        text, header = header_of(
            "to_c", net, prefix=prefix, quantize=quantize, probabilities=probabilities, X=X, y=y,
            scaling=scaling,
        )  # fmt: skip
    write_bytes(path, text.encode("ascii"))
    if arduino is not None:
        write_library("to_c", arduino, text, header, header.function)
    return header
