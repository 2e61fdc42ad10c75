"""TableEncoder with dense=False: what it gives a TableInput stands for the features that it would compute."""

from __future__ import annotations

import json

import fastreg as fr
import numpy as np
from fastreg import layers
from fastreg.table.encoder import TableEncoder
from programs import refusal


def table_codes(rng, n=400):
    x = np.stack([
        rng.normal(size=n), rng.integers(0, 30, n), np.full(n, 5.0), rng.integers(0, 9, n), 1.7e9 + 1e6 * rng.random(n),
        rng.exponential(size=n),
    ], axis=1).astype(np.float32).astype(np.float64)
    x[rng.random(n) < 0.1, 0] = np.nan
    x[rng.random(n) < 0.1, 3] = np.nan
    return x


KINDS = ("numeric", "numeric", "numeric", "categorical", "numeric", "date")


def test_the_columns_of_an_encoder_stand_for_its_features(rng):
    """To the bit where float32 holds the codes: each feature times one row of an identity matrix."""
    x = table_codes(rng)
    dense = TableEncoder(KINDS, n_bins=20).fit(x)
    raw = dense.with_dense(False)
    given, features = raw.transform(x), dense.transform(x)
    assert given.dtype == np.float32
    assert given.shape == (len(x), raw.n_features)
    assert raw.dense_width == dense.n_features == sum(column.features for column in raw.columns)
    model = fr.Sequential(
        [layers.TableInput(dense.n_features, raw.columns, use_bias=False, kernel_initializer="identity")], seed=0)
    model.build(raw.n_features)
    np.testing.assert_array_equal(model.predict(given), features)
    unseen = x.copy()
    unseen[:, 3] = 77.0
    unseen[:, 1] = 1e6
    np.testing.assert_array_equal(model.predict(raw.transform(unseen)), dense.transform(unseen))


def test_numbers_far_from_zero_keep_their_digits(rng):
    """Seconds since 1970 differ by less than float32 resolves; the encoder gives their differences."""
    x = 1.7e9 + rng.random((200, 1)) * 1e4
    dense = TableEncoder(("numeric",), n_bins=8).fit(x)
    raw = dense.with_dense(False)
    model = fr.Sequential(
        [layers.TableInput(dense.n_features, raw.columns, use_bias=False, kernel_initializer="identity")], seed=0)
    model.build(1)
    np.testing.assert_allclose(model.predict(raw.transform(x)), dense.transform(x), atol=1e-5)


def test_an_encoder_of_codes_survives_its_config(rng):
    x = table_codes(rng)
    raw = TableEncoder(KINDS, n_bins=5000, dense=False).fit(x)
    assert max(column.features for column in raw.columns) > 300  # bins take no memory, so their number stays
    again = TableEncoder.from_config(json.loads(json.dumps(raw.to_config())))
    assert again.columns == raw.columns
    assert not again.dense
    assert again.widths == raw.widths == (1, 1, 1, 1, 1, raw.columns[-1].features)
    np.testing.assert_array_equal(again.transform(x), raw.transform(x))
    assert "dense" not in TableEncoder(KINDS).fit(x).to_config()
    with refusal(ValueError, ["dense"]):
        TableEncoder.from_config({**raw.to_config(), "dense": 1})
