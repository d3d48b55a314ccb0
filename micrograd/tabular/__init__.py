"""Tables as people have them: what each column is, and how it becomes numbers.

    frame = mg.tabular.read_table("houses.csv")
    schema = mg.tabular.Schema.infer(frame, target="price")
    print(schema)

Reading files wants pandas (extra "table"); frames and arrays that are there already do not.
"""

from micrograd.data.frame import Frame
from micrograd.data.reading import Reading, read_table
from micrograd.data.target import Target
from micrograd.tabular.column import Column
from micrograd.tabular.schema import Schema

__all__ = ["Column", "Frame", "Reading", "Schema", "Target", "read_table"]
