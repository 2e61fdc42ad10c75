"""`predict` reads float32 rows where the caller has them, and gives the bits that it gives for a copy.

Rows of float64 are always converted to a copy first, so they are what rows of float32 are compared with.
"""
from __future__ import annotations

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers

RANDOM = np.random.default_rng(11)


def expect_same(model, x):
    assert x.dtype == np.float32
    want = model.predict(x.astype(np.float64))
    np.testing.assert_array_equal(model.predict(x).view(np.uint32), want.view(np.uint32))


def views(rows, cols):
    """Matrices of these sizes in memory that is NaN everywhere else."""
    wide = np.full((2 * rows + 1, cols + 5), np.nan, np.float32)
    wide[1::2, 3:3 + cols] = RANDOM.standard_normal((rows, cols), dtype=np.float32)
    yield "whole", np.ascontiguousarray(wide[1::2, 3:3 + cols])
    yield "part", wide[1::2, 3:3 + cols]
    line = RANDOM.standard_normal(rows + cols, dtype=np.float32)
    yield "windows", np.lib.stride_tricks.sliding_window_view(line, cols)[:rows]
    yield "one row", np.broadcast_to(line[:cols], (rows, cols))


@pytest.mark.parametrize("cols", [1, 2, 10, 16, 70])
@pytest.mark.parametrize("units", [1, 5, 16, 65])
def test_rows_in_place(cols, units):
    model = fr.Sequential([layers.Dense(units, activation="relu"), layers.Dense(3, activation="tanh")], seed=4)
    model.build((None, cols))
    for rows in (1, 2, 128, 131, 300):
        for _name, x in views(rows, cols):
            expect_same(model, x)


@pytest.mark.parametrize("first", [
    layers.Dropout(0.5), layers.BatchNormalization(), layers.LayerNormalization(), layers.Activation("gelu")])
def test_what_comes_before_the_first_product(first):
    model = fr.Sequential([first, layers.Dense(20, activation="softplus"), layers.Dense(1)], seed=4)
    model.build((None, 10))
    for _name, x in views(133, 10):
        expect_same(model, x)


def test_inputs_with_several_readers():
    """An input that two layers read, one that a layer alone reads, and one that is an output itself."""
    shared, alone, passed = fr.Input((10,)), fr.Input((7,)), fr.Input((6,))
    joined = layers.Add()([layers.Dense(8)(shared), layers.Dense(8, activation="relu")(shared), layers.Dense(8)(alone)])
    outputs = [joined, layers.Activation("relu")(passed), layers.Dense(4)(passed)]
    model = fr.Model([shared, alone, passed], outputs, seed=4)
    x = [RANDOM.standard_normal((140, cols), dtype=np.float32) for cols in (10, 7, 6)]
    wide = [a.astype(np.float64) for a in x]
    for got, want in zip(model.predict(x), model.predict(wide), strict=True):
        np.testing.assert_array_equal(got.view(np.uint32), want.view(np.uint32))


def test_evaluate_reads_in_place_what_predict_does():
    model = fr.Sequential([layers.Dense(9, activation="relu"), layers.Dense(2)], seed=4)
    model.build((None, 10))
    model.compile("sgd", "mse")
    x, y = RANDOM.standard_normal((150, 10), dtype=np.float32), RANDOM.standard_normal((150, 2), dtype=np.float32)
    assert model.evaluate(x, y, verbose=0) == model.evaluate(x.astype(np.float64), y, verbose=0)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_number_that_is_not_finite_is_found_in_any_block(dtype, threads):
    """relu makes 0 of minus infinity, so the outputs do not tell. The work is enough for two threads."""
    model = fr.Sequential([layers.Dense(1000, activation="relu"), layers.Dense(1)], seed=4)
    model.build((None, 10))
    memory = RANDOM.standard_normal((3000, 13)).astype(dtype)
    part = memory[:, 2:12]
    memory[:, 12] = np.nan   # beside x, and no part of it
    with fr.thread_limit(threads):
        want = model.predict(part)
        for value in (np.nan, np.inf, -np.inf):
            for row in (0, 127, 128, 2999):
                bad = part.copy()
                bad[row, 9] = value
                held, part[row, 9] = part[row, 9], value
                for given in (bad, part):
                    with pytest.raises(ValueError, match=rf"^x: must be finite .* in column 9, row {row}\b"):
                        model.predict(given)
                part[row, 9] = held
        np.testing.assert_array_equal(model.predict(part), want)
