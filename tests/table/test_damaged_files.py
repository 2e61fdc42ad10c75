"""Damaged files of typed cells and archives: an error that names the file, and never a crash of the process."""

from __future__ import annotations

import io
import json
import zipfile

import pyarrow as pa
import pytest
from fastreg.table import read_blocks, read_table
from programs import last_json, run_program
from pyarrow import feather, parquet

# Bytes that are changed one after the other. A crash of Arrow would end the process.
PROGRAM = """
import json, sys, warnings
import pyarrow as pa
from pyarrow import feather, parquet
from fastreg.table import read_table
warnings.simplefilter("ignore")
kind, path = sys.argv[1:]
texts = [f"w{i % 5}" for i in range(60)]
table = pa.table({"a": [i * 0.37 for i in range(60)], "b": texts, "c": pa.array(texts).dictionary_encode()})
{"feather": feather.write_feather, "parquet": parquet.write_table}[kind](table, path)
whole = open(path, "rb").read()
wrong, refused = [], 0
for i in range(len(whole)):
    for mask in (0x80, 0xFF):
        open(path, "wb").write(whole[:i] + bytes([whole[i] ^ mask]) + whole[i + 1:])
        try:
            read_table(path)
        except ValueError as error:
            refused += 1
            if path not in str(error):
                wrong.append((i, mask, str(error)))
        except BaseException as error:
            wrong.append((i, mask, repr(error)))
print(json.dumps([wrong, refused > 0]))
"""


@pytest.mark.parametrize("kind", ["feather", "parquet"])
def test_every_changed_byte_is_harmless_or_told(kind, tmp_path):
    assert last_json(run_program(PROGRAM, kind, tmp_path / f"table.{kind}", timeout=120)) == [[], True]


@pytest.mark.parametrize("kind", ["feather", "parquet"])
def test_two_columns_of_one_name_are_told(kind, tmp_path):
    """It was said of such a Parquet file that it is none."""
    path = tmp_path / f"table.{kind}"
    table = pa.table([pa.array([1, 2]), pa.array([3, 4]), pa.array([5, 6])], names=["b", "a", "a"])
    {"feather": feather.write_feather, "parquet": parquet.write_table}[kind](table, path)
    for read in (read_table, lambda path: list(read_blocks(path, rows=1))):
        with pytest.raises(ValueError, match=rf"table\.{kind}: two columns are named 'a'$"):
            read(path)


@pytest.mark.parametrize("part", [b"PK\x03\x04", b"PK\x01\x02"])
def test_a_damaged_name_in_an_archive_is_told(part, tmp_path):
    """Of the two places that a zip archive has for it; the flag says that it is UTF-8, which it is not any more."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("t\u00e9.csv", "a,b\n1,2\n")
    content = bytearray(made.getvalue())
    content[content.index("\u00e9".encode(), content.index(part))] = 0xFF
    path = tmp_path / "table.csv.zip"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"table\.csv\.zip: .*utf-8") as caught:
        read_table(path)
    assert type(caught.value) is ValueError


def test_a_damaged_archive_is_told(tmp_path):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t.csv", "a,b\n" + "1,2\n" * 50)
    whole, path, wrong = made.getvalue(), tmp_path / "table.csv.zip", []
    for i in range(len(whole)):
        for mask in (0x01, 0x80, 0xFF):
            path.write_bytes(whole[:i] + bytes([whole[i] ^ mask]) + whole[i + 1:])
            try:
                read_table(path)
            except ValueError as error:
                if str(path) not in str(error):
                    wrong.append((i, mask, str(error)))
            except BaseException as error:
                wrong.append((i, mask, repr(error)))
    assert wrong == [], json.dumps(wrong)
