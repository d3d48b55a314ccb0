"""An Arduino library of one header: library.properties, src/ and an example sketch.

The format is that of "Arduino library specification", revision 1.5 to 2.2.
"""

from __future__ import annotations

import os
from pathlib import Path

from micrograd.atomic import write_bytes
from micrograd.convert.c import source
from micrograd.convert.c.parts import CHeader

PROPERTIES = """\
name=%NAME
version=1.0.0
author=micrograd
maintainer=micrograd
sentence=A neural network: %FUNCTION.
paragraph=%ABOUT
category=Data Processing
url=https://www.arduino.cc/reference/en/libraries/
architectures=*
includes=%NAME.h
"""

SKETCH = """\
/* One of the rows that the network was exported with, and what it says of it, again and again. */
#include <Arduino.h>
#include <%NAME.h>

static const %TYPE row[%GUARD_INPUTS] %PLACE_FLASH = {
    %ROW
};
static %TYPE x[%GUARD_INPUTS], out[%OUTPUTS];

void setup()
{
    Serial.begin(9600);
}

void loop()
{
    size_t i, largest = 0;
    for (i = 0; i < %GUARD_INPUTS; i++)
        x[i] = %READ(row + i);
    const unsigned long start = micros();
    %FUNCTION(x, out);
    const unsigned long took = micros() - start;
    for (i = 0; i < %OUTPUTS; i++) {
        if (out[i] > out[largest])
            largest = i;
        Serial.print(out[i]);
        Serial.print(' ');
    }
    Serial.print("largest ");
    Serial.print((unsigned long)largest);
%CLASS    Serial.print(" microseconds ");
    Serial.println(took);
    delay(1000);
}
"""

CLASS = """\
    Serial.print(' ');
    Serial.print(%NETWORK_class(largest));
"""


def write_library(
    where: str, folder: str | os.PathLike[str], text: str, header: CHeader, network: str
) -> None:
    """Makes the folder of a library called like it, or writes over one that it has made.

    text: of the header. header: what is said of it. network: the function that its macros are
    called after.

    Raises:
        ValueError: the folder's name is no name of a library.
        OSError: a file cannot be written.
    """
    at = Path(folder)
    name = at.resolve().name
    if not source.IDENTIFIER.fullmatch(name) or len(name) > 63:
        raise ValueError(
            f"{where}: arduino is {str(folder)!r}, whose last part names the library: letters, "
            "digits and underscores are wanted"
        )
    files = {
        "library.properties": _properties(name, header),
        f"src/{name}.h": text,
        f"examples/{name}/{name}.ino": _sketch(name, header, network.upper()),
    }
    for path, content in files.items():
        (at / path).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(at / path, content.encode("ascii"))


def _properties(name: str, header: CHeader) -> str:
    about = source.comment(" ".join(str(header).split()))
    text = PROPERTIES.replace("%NAME", name).replace("%ABOUT", about)
    return text.replace("%FUNCTION", _function(header))


def _function(header: CHeader) -> str:
    return f"{header.function}_int8" if header.int8 is not None else header.function


def _sketch(name: str, header: CHeader, place: str) -> str:
    assert header.example is not None
    guard, integers = header.function.upper(), header.int8 is not None
    numbers = header.example.tolist()
    written = [str(v) if integers else source.literal(v) for v in numbers]
    lines = [", ".join(written[i : i + 12]) for i in range(0, len(written), 12)]
    text = SKETCH.replace("%CLASS", CLASS if header.classes else "")
    for mark, meant in {
        "%NAME": name,
        "%TYPE": "int8_t" if integers else "float",
        "%READ": f"{place}_INT8" if integers else f"{place}_FLOAT",
        "%PLACE": place,
        "%ROW": ",\n    ".join(lines),
        "%OUTPUTS": f"{guard}_INT8_OUTPUTS" if integers else f"{guard}_OUTPUTS",
        "%FUNCTION": _function(header),
        "%GUARD": guard,
        "%NETWORK": header.function,
    }.items():
        text = text.replace(mark, meant)
    return text
