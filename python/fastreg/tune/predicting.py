"""The command `fastreg predict`: predictions for the rows of a table as CSV, block by block in bounded memory."""

from __future__ import annotations

import copy
import csv
import io
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from queue import SimpleQueue
from typing import Any, NamedTuple, TextIO

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.progress import say
from fastreg.runtime import get_matmul_precision, get_num_threads, matmul_precision, thread_limit
from fastreg.table.columns import arrow_numbers, arrow_texts
from fastreg.table.errors import TuneError, as_tune_errors
from fastreg.table.fast_cells import PackedTexts, packed
from fastreg.table.fast_cells import lines as core_lines
from fastreg.table.model import TableModel
from fastreg.table.notices import Notices
from fastreg.table.options import TableOptions
from fastreg.table.reading import read_blocks
from fastreg.table.tables import Table

__all__ = ["predict"]

# The number of rows that are predicted and written at once.
BLOCK = 16384
# Blocks that are worked on at once, at most; each has a thread of its own. For each of them one more block waits, so
# that a thread need not wait for a slower one or for the reader.
_WORKERS = 4


def predict(
    model_path: str, data_path: str, out: TextIO | None = None, *, options: TableOptions | None = None
) -> None:
    """Writes predictions for the rows of a table as CSV, in their order: the target, and the probability of each class.

    Predicted numbers are followed by their bounds, if the model was tuned with an interval.
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
    write, to_lines, notices = _writer(out), _formatter(), Notices()
    workers = min(get_num_threads(), _WORKERS)
    threads, precision = max(get_num_threads() // workers, 1), get_matmul_precision()

    def predicted(number: int, block: Table) -> tuple[str, Notices]:
        noticed = Notices()
        with models.one() as model, thread_limit(threads), matmul_precision(precision):
            columns = _columns(block, model, options, noticed)
        return (_line(columns) if number == 0 else "") + to_lines(columns), noticed

    with as_tune_errors():
        loaded = TableModel.load(model_path)
        models = _Models(loaded, workers)
        given = {"rows": BLOCK, "ahead": True, **options.reading, "like": loaded.schema.dialect}
        with (
            closing(read_blocks(data_path, **given)) as blocks,
            closing(_in_order(predicted, blocks, workers)) as results,
        ):
            for text, noticed in results:
                write(text)
                notices.join(noticed)
    for line in notices.lines():
        say(line)


class _Models:
    """Copies of a model, since a network computes for one thread at a time.

    Args:
        model: The model.
        count: The number of copies, the model itself included.
    """

    def __init__(self, model: TableModel, count: int) -> None:
        self._idle: SimpleQueue[TableModel] = SimpleQueue()
        self._idle.put(model)
        for _ in range(count - 1):
            self._idle.put(replace(model, model=copy.deepcopy(model.model)))

    @contextmanager
    def one(self) -> Iterator[TableModel]:
        """One that no other thread uses meanwhile."""
        model = self._idle.get()
        try:
            yield model
        finally:
            self._idle.put(model)


def _in_order(
    work: Callable[[int, Table], tuple[str, Notices]], blocks: Iterable[Table], workers: int
) -> Generator[tuple[str, Notices], None, None]:
    """The results for blocks, in their order; a few blocks are worked on at a time, while further ones are read.

    The threads end with the generator. Blocks that wait for one are then left out.
    """
    waiting: deque[Future[tuple[str, Notices]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="fastreg-predict") as pool:
        try:
            numbered = enumerate(blocks)
            while True:
                try:
                    numbered_block = next(numbered, None)
                except Exception:
                    while waiting:  # the rows before those that cannot be read
                        yield waiting.popleft().result()
                    raise
                if numbered_block is None:
                    break
                waiting.append(pool.submit(work, *numbered_block))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _columns(block: Table, model: TableModel, options: TableOptions, notices: Notices) -> dict[str, Any]:
    """The columns to write: lists of texts, arrays of numbers, and classes by their labels."""
    further = [name for name in options.of(block.names).id if name not in model.schema.id]
    columns: dict[str, Any] = {name: block[name].texts() for name in (*model.schema.id, *further)}
    predicted = _predicted(block, model, notices)
    if taken := [name for name in further if name in predicted]:
        raise ValueError(f"id: {taken[0]!r} is the name of a column of predictions, which cannot be there twice")
    return columns | predicted


def _predicted(block: Table, model: TableModel, notices: Notices) -> dict[str, Any]:
    target = model.target
    outputs, scale = model.spread(block, notices)
    if target.labels is None:
        return {target.name: target.values(outputs), **model.bound_columns(outputs, scale)}
    shares = target.probabilities(outputs)
    each = {f"probability_{label}": shares[:, k] for k, label in enumerate(target.labels)}
    return {target.name: _Chosen(target.labels, np.argmax(shares, axis=1)), **each}


class _Chosen(NamedTuple):
    """A column of labels: the label of each row by its number."""

    labels: tuple[str, ...]
    numbers: NDArray[np.intp]


def _line(cells: Iterable[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _formatter() -> Callable[[dict[str, Any]], str]:
    """A function from columns to lines: Arrow's, or that of the csv module where it is not installed.

    Numbers and labels without quotes are written by the core, which is faster, as Arrow writes them.
    """
    try:
        import pyarrow
        from pyarrow import csv as arrow
    except ModuleNotFoundError:
        return _lines
    plain: dict[tuple[str, ...], PackedTexts | None] = {}

    def bare(column: Any) -> Any:
        """A column as the core writes it; None if it has texts, or labels that may need quotes."""
        if not isinstance(column, _Chosen):
            return column if isinstance(column, np.ndarray) and column.dtype in (np.float32, np.float64) else None
        if column.labels not in plain:
            quoted = any(mark in label for label in column.labels for mark in ',"\r\n')
            plain[column.labels] = None if quoted else packed(column.labels)
        labels = plain[column.labels]
        return None if labels is None else (labels, column.numbers)

    def array(column: Any) -> Any:
        if isinstance(column, _Chosen):
            return arrow_texts(column.labels).take(arrow_numbers(column.numbers))
        return pyarrow.array(column) if isinstance(column, list) else arrow_numbers(column)

    def written(table: Any, quoting: str) -> str:
        sink = pyarrow.BufferOutputStream()
        arrow.write_csv(table, sink, arrow.WriteOptions(include_header=False, quoting_style=quoting))
        return str(sink.getvalue().to_pybytes(), "utf-8")

    def lines(columns: dict[str, Any]) -> str:
        known = [bare(column) for column in columns.values()]
        if all(column is not None for column in known):
            return core_lines(known)
        arrays = [array(column) for column in columns.values()]
        table = pyarrow.table(arrays, [str(i) for i in range(len(arrays))])
        try:
            return written(table, "none")
        except pyarrow.ArrowInvalid:  # a text has a comma, a quote or a line break: Arrow quotes all texts then
            return written(table, "needed")

    return lines


def _lines(columns: dict[str, Any]) -> str:
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows(zip(*map(_list, columns.values()), strict=True))
    return lines.getvalue()


def _list(column: Any) -> list[str | None]:
    if isinstance(column, _Chosen):
        return [column.labels[number] for number in column.numbers.tolist()]
    return column if isinstance(column, list) else [str(value) for value in column]


def _writer(out: TextIO | None) -> Callable[[str], object]:
    """A function that writes text: as UTF-8 to standard output, whatever the terminal's encoding is."""
    stream = sys.stdout if out is None else out
    if stream is None:  # the process began without one
        raise TuneError("standard output is closed")
    binary = getattr(stream, "buffer", None)
    if out is not None or binary is None:
        return stream.write

    def write(text: str) -> None:
        stream.flush()
        binary.write(text.encode("utf-8", "surrogateescape"))
        binary.flush()

    return write
