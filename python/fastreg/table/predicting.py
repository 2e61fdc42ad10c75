"""The command `fastreg predict`: predictions for the rows of a table as CSV, block by block in bounded memory."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable
from typing import Any, TextIO

from fastreg.internal.progress import say
from fastreg.table.errors import as_tune_errors
from fastreg.table.model import TableModel
from fastreg.table.notices import Notices
from fastreg.table.options import TableOptions
from fastreg.table.reading import read_blocks
from fastreg.table.tables import Table

__all__ = ["predict"]

# The number of rows that are predicted and written at once.
BLOCK = 65536


def predict(
    model_path: str, data_path: str, out: TextIO | None = None, *, options: TableOptions | None = None
) -> None:
    """Writes predictions for the rows of a table as CSV, in their order: the target, and the probability of each class.

    Columns that name rows come first: those that the model was tuned with and those of ``options.id``. Columns that the
    model does not need are ignored. In the end, cells that the model does not know are counted on standard error.

    Args:
        model_path: The model file.
        data_path: The table.
        out: The stream to write to; None is standard output, which gets UTF-8.
        options: How the table is read; None reads it as the table of training was read.

    Raises:
        TuneError: If a file is not what it should be, or the table lacks a column. Rows before it are written.
        OSError: If a file cannot be read.
    """
    options = TableOptions() if options is None else options
    write = _writer(out)
    notices = Notices()
    with as_tune_errors():
        model = TableModel.load(model_path)
        given = {"rows": BLOCK, **options.reading, "like": model.schema.dialect}
        for number, block in enumerate(read_blocks(data_path, **given)):
            columns = _kept(block, model, options) | model.predict(block, notices)
            lines = io.StringIO()
            writer = csv.writer(lines, lineterminator="\n")
            if number == 0:
                writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
            write(lines.getvalue())
    for line in notices.lines():
        say(line)


def _kept(block: Table, model: TableModel, options: TableOptions) -> dict[str, list[Any]]:
    """The columns of ``--id``, which the model does not keep by itself."""
    names = [name for name in options.of(block.names).id if name not in model.schema.id]
    return {name: block[name].texts() for name in names}


def _writer(out: TextIO | None) -> Callable[[str], object]:
    """A function that writes text: as UTF-8 to standard output, whatever the terminal's encoding is."""
    stream = sys.stdout if out is None else out
    binary = getattr(stream, "buffer", None)
    if out is not None or binary is None:
        return stream.write

    def write(text: str) -> None:
        stream.flush()
        binary.write(text.encode("utf-8", "surrogateescape"))
        binary.flush()

    return write
