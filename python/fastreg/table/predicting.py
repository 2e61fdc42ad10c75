"""The command `fastreg predict`: predictions for the rows of a table as CSV, in blocks."""

from __future__ import annotations

import csv
import sys
from typing import TextIO

from fastreg.internal.progress import say
from fastreg.table.errors import as_tune_errors
from fastreg.table.model import TableModel
from fastreg.table.notices import Notices
from fastreg.table.reading import read_blocks

__all__ = ["predict"]

# The number of rows that are predicted and written at once.
BLOCK = 65536


def predict(model_path: str, data_path: str, out: TextIO | None = None) -> None:
    """Writes predictions for the rows of a table as CSV: the target's name, then for classes the probability of each.

    Columns that the model does not need are ignored.

    Raises:
        TuneError: If a file is not what it should be, or the table lacks a column.
        OSError: If a file cannot be read.
    """
    with as_tune_errors():
        model = TableModel.load(model_path)
        notices = Notices()
        writer = csv.writer(sys.stdout if out is None else out, lineterminator="\n")
        for number, block in enumerate(read_blocks(data_path, rows=BLOCK, like=model.schema.dialect)):
            columns = model.predict(block, notices)
            if number == 0:
                writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
    for line in notices.lines():
        say(line)
