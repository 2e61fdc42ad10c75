"""How the texts of a table write numbers, told by the texts themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from fastreg.table.columns import TextCells
from fastreg.table.numbers import NumberStyle, plain_style

__all__ = ["told_style"]


def told_style(columns: Sequence[Any], sep: str) -> NumberStyle:
    """The style that texts show plainly, otherwise the one that goes with the separator.

    Args:
        columns: The texts of each column: a list of texts and None, or strings of Arrow.
        sep: What separates the cells of the file; ``""`` for frames and typed files.
    """
    return plain_style(_deciding(columns, sep), sep)


def _deciding(columns: Sequence[Any], sep: str) -> Iterator[list[str]]:
    """Different texts of the columns that decide about decimal commas: all of them if one has a comma, else none.

    Where cells are not separated by commas, 1.234.567 does as well.
    """
    pattern = "," if sep == "," else r",|^\s*[+-]?[0-9]{1,3}\.[0-9]{3}\.[0-9]{3}"
    if any(_has(values, pattern) for values in columns):
        for values in columns:
            yield TextCells(values).distinct()[0]


def _has(values: Any, pattern: str) -> bool:
    if isinstance(values, list):
        return any(re.search(pattern, text) for text in values if text is not None)
    from pyarrow import compute

    find = compute.match_substring if pattern == "," else compute.match_substring_regex
    return bool(compute.any(find(values, pattern)).as_py())
