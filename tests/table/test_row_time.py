"""The time for one row: what is timed, and how it is told."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from fastreg.table import Recipe, row_time
from fastreg.table.blending import cook
from fastreg.table.chosen_metric import ChosenMetric
from fastreg.tune import printing
from helpers.recipes import TINY, rows_of


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_median_of_single_rows(task, monkeypatch):
    """By a clock on which a row takes 3 ms, and every tenth one a second; it is the frozen model that answers."""
    _, schema, rows = rows_of(task)
    found = cook(rows, Recipe(small=TINY, trials=3, folds=2), ChosenMetric(rows.target), 3)
    model = found.of_table(schema, rows.target)
    frozen, seen = model.freeze(), []

    def counted(codes, documents):
        seen.append(codes)
        return frozen(codes, documents)

    steps = itertools.chain.from_iterable((0.5, 1.0 if i % 10 == 0 else 0.003) for i in itertools.count())
    clock = itertools.accumulate(steps)
    monkeypatch.setattr(type(model), "freeze", lambda _: counted)
    monkeypatch.setattr(row_time, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    assert row_time.row_seconds(model, rows.codes[:7], {}) == pytest.approx(0.003)
    np.testing.assert_array_equal(np.concatenate(seen[:14]), np.tile(rows.codes[:7], (2, 1)))


@pytest.mark.parametrize(("seconds", "told"), [(3.14159e-6, "3.1 µs"), (9.876e-5, "98.8 µs"), (1.2346e-3, "1235 µs")])
def test_it_is_told_in_microseconds(seconds, told):
    assert printing.microseconds(seconds) == told
