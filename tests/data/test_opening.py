"""What is no plain file: packed ones in little memory, pipes, devices without an end."""

import os
import pickle
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from support.processes import run_python

from micrograd.tabular import read_table

ODD = Path(__file__).with_name("odd")
POSIX = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such pipes here")

pytest.importorskip("pandas")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_AS")
def test_a_packed_file_takes_no_more_memory_than_it_needs():
    program = """
import resource, sys
from micrograd.tabular import read_table
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
for path in sys.stdin.read().split():
    print(len(read_table(path)))
"""
    packed = ["gzip.csv.gz", "bzip2.csv.bz2", "xz.csv.xz", "zip.zip"]
    program = program.replace("sys.stdin.read().split()", repr([str(ODD / n) for n in packed]))
    done = run_python(program, OPENBLAS_NUM_THREADS="1")
    assert done.stdout.split() == ["12"] * 4


@pytest.fixture
def pipe(tmp_path):
    """Makes a pipe with a name, into which `pieces` are written, until nobody reads any more."""
    path = tmp_path / "pipe"

    def made(pieces):
        os.mkfifo(path)

        def write():
            try:
                with open(path, "wb") as file:
                    for piece in pieces:
                        file.write(piece)
            except BrokenPipeError:
                pass

        thread = threading.Thread(target=write)
        thread.start()
        threads.append(thread)
        return path

    threads = []
    yield made
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


@POSIX
@pytest.mark.parametrize("name", ["plain.csv", "gzip.csv.gz", "columns.parquet", "sheet.xlsx"])
def test_a_pipe_is_read_as_the_file_is(name, pipe):
    frame, wanted = read_table(pipe([(ODD / name).read_bytes()])), read_table(ODD / name)
    assert frame.names == wanted.names
    assert all(str(frame[n].tolist()) == str(wanted[n].tolist()) for n in wanted.names)


@POSIX
def test_a_pipe_without_an_end_is_given_up(pipe, monkeypatch):
    monkeypatch.setattr("micrograd.data.opening.LARGEST", 1 << 22)
    path = pipe(b"1,2\n" * 1000 for _ in iter(int, 1))
    with pytest.raises(ValueError, match=r"pipe: more than .* GiB came through this pipe"):
        read_table(path)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no /dev/zero here")
@pytest.mark.parametrize("path", ["/dev/zero", "/dev/urandom"])
def test_a_device_without_an_end_is_refused(path):
    with pytest.raises(ValueError, match=rf"^{path}: a device, which may have no end; wanted a"):
        read_table(path)


def test_the_device_without_a_byte_is_an_empty_file():
    with pytest.raises(ValueError, match="the file is empty, wanted rows of cells"):
        read_table(os.devnull)


OTHERS = {
    "feather": (b"ARROW1\0\0\xff\xff\xff\xff", "an Arrow or Feather file, no table of text; save"),
    "pickle": (pickle.dumps({"a": [1.5, 2.5]}), "a pickle of Python's, no table of text; save it"),
    "numpy": (b"\x93NUMPY\x01\0v\0{'descr': '<f8'}", "an array of numpy's, no table of text; save"),
    "hdf5": (b"\x89HDF\r\n\x1a\n\0\0\0\0", "an HDF5 file, no table of text; save it as CSV"),
    "zstd": (b"\x28\xb5\x2f\xfd\x24\x00", "packed by zstd, no table of text; save it as CSV"),
    "rows": (b"[[1, 2], [3, 4]]", "line 1: JSON, not a table; write it as one"),
    "html": (b'<table border="1">\n<tr><td>1</td></tr></table>', "line 1: a web page or XML"),
    "unknown": (b"FOO\x01\x02\xff\xfe\n1,2\n", r"line 1: byte 5: not UTF-8, and .* no table of te"),
    "no mark": ("größe,b\n1,2\n".encode("utf-16-le"), ".*: if it is UTF-16 without a mark pass"),
    "cp1252": ("€ 80,b\nä,2\n".encode("cp1252"), r"line 1: byte 0: not UTF-8; pass .*'€ 80"),
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_table_of_text_is_named(kind, tmp_path):
    raw, said = OTHERS[kind]
    (tmp_path / "data.csv").write_bytes(raw)
    with pytest.raises(ValueError, match=rf"data.csv: {said}"):
        read_table(tmp_path / "data.csv")


def test_other_spreadsheets_are_no_zip_files_to_unpack(tmp_path):
    for inner in ("content.xml", "xl/workbook.bin"):
        with zipfile.ZipFile(tmp_path / "data", "w") as archive:
            archive.writestr("mimetype", "application")
            archive.writestr(inner, "")
        with pytest.raises(ValueError, match=r"data: a spreadsheet, .ods or .xlsb; save it as"):
            read_table(tmp_path / "data")
