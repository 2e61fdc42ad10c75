"""Evaluations and predictions in batches, for callbacks that have hooks around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastreg import _core
from fastreg.callbacks.base import Callback
from fastreg.model.given_callbacks import has_hook
from fastreg.model.rows import row_count, rows_of

__all__ = ["PREDICT_HOOKS", "TEST_HOOKS", "predicted", "scored"]

TEST_HOOKS = ("on_test_begin", "on_test_batch_begin", "on_test_batch_end", "on_test_end")
PREDICT_HOOKS = ("on_predict_begin", "on_predict_batch_begin", "on_predict_batch_end", "on_predict_end")

# Keras's size of a batch where none is given.
BATCH = 32


@contextmanager
def _put_right(items: Sequence[Callback]) -> Iterator[None]:
    """Tells callbacks of an exception within it, so that they put back what they have put in place for a while."""
    try:
        yield
    except BaseException:
        for item in items:
            item._abandoned()
        raise


def scored(
    evaluate: Callable[[_core.Data], list[float]],
    data: _core.Data,
    keys: Sequence[str],
    batch: int,
    items: Sequence[Callback],
) -> list[float]:
    """The values of an evaluation by a function of the data, with the hooks of callbacks around it and its batches."""
    with _put_right(items):
        for item in items:
            item.on_test_begin({})
        in_batches = [item for item in items if has_hook(item, "on_test_batch_begin", "on_test_batch_end")]
        if in_batches:
            sums = np.zeros(len(keys))
            for step, begin in enumerate(range(0, row_count(data), batch)):
                end = min(begin + batch, row_count(data))
                for item in in_batches:
                    item.on_test_batch_begin(step, {})
                sums += np.multiply(evaluate(rows_of(data, begin, end)), end - begin)
                logs = dict(zip(keys, (sums / end).tolist(), strict=True))
                for item in in_batches:
                    item.on_test_batch_end(step, logs)
        values = evaluate(data)
        for item in items:
            item.on_test_end(dict(zip(keys, values, strict=True)))
        return values


def predicted(predict: Callable[[int, int], Any], rows: int, batch: int, items: Sequence[Callback]) -> Any:
    """The outputs of rows, with the hooks of callbacks around it and around its batches.

    Args:
        predict: Makes the outputs of the rows from a number to another, one array, a list or a dict of them.
        rows: The number of rows.
        batch: The rows of a batch.
        items: The callbacks.
    """
    with _put_right(items):
        for item in items:
            item.on_predict_begin({})
        in_batches = [item for item in items if has_hook(item, "on_predict_batch_begin", "on_predict_batch_end")]
        parts = []
        for step, begin in enumerate(range(0, rows, batch if in_batches else rows)):
            for item in in_batches:
                item.on_predict_batch_begin(step, {})
            parts.append(predict(begin, min(begin + batch, rows) if in_batches else rows))
            for item in in_batches:
                item.on_predict_batch_end(step, {"outputs": parts[-1]})
        for item in items:
            item.on_predict_end({})
        return _joined(parts)


def _joined(parts: list[Any]) -> Any:
    first = parts[0]
    if len(parts) == 1:
        return first
    if isinstance(first, dict):
        return {name: np.concatenate([part[name] for part in parts]) for name in first}
    if isinstance(first, list):
        return [np.concatenate(few) for few in zip(*parts, strict=True)]
    return np.concatenate(parts)
