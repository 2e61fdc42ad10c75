"""Data frames of every library that is installed, made of the same columns: what the tests of frames share."""
from __future__ import annotations

from typing import Any

import pytest


def pandas_frame(columns: dict[str, Any]) -> Any:
    return pytest.importorskip("pandas").DataFrame(columns)


def pandas_nullable(columns: dict[str, Any]) -> Any:
    return pandas_frame(columns).convert_dtypes()


def pandas_arrow(columns: dict[str, Any]) -> Any:
    pytest.importorskip("pyarrow")
    return pandas_frame(columns).convert_dtypes(dtype_backend="pyarrow")


def polars_frame(columns: dict[str, Any]) -> Any:
    return pytest.importorskip("polars").DataFrame(columns)


def arrow_table(columns: dict[str, Any]) -> Any:
    return pytest.importorskip("pyarrow").table(columns)


def arrow_batch(columns: dict[str, Any]) -> Any:
    return pytest.importorskip("pyarrow").record_batch(columns)


FRAMES = {
    "pandas": pandas_frame,
    "pandas nullable": pandas_nullable,
    "pandas with Arrow": pandas_arrow,
    "polars": polars_frame,
    "Arrow table": arrow_table,
    "Arrow batch": arrow_batch,
}
