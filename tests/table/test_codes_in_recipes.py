"""Which candidates read bins as codes, and that this changes nothing but the form of the rows."""

from dataclasses import replace

import numpy as np
import pytest
from fastreg import layers
from fastreg.table import Candidate
from fastreg.table.encoder import MOST_RAMPS
from fastreg.table.training import Encoded, Features, key_of, train
from helpers.recipes import rows_of

BINS = Candidate(bins=8, width=16, dropout=0.3, steps=20)
# The candidate, the kinds of the columns, and whether its network begins with codes.
CASES = {
    "bins": (BINS, ("numeric", "categorical"), True),
    "bins and dates": (BINS, ("numeric", "date"), True),
    "no bins": (replace(BINS, bins=0), ("numeric", "categorical"), False),
    "a linear model with bins": (replace(BINS, layers=0), ("numeric", "categorical"), False),
    "RealMLP with bins": (replace(BINS, design="realmlp"), ("numeric", "categorical"), False),
    "texts": (BINS, ("numeric", "text"), False),
}


@pytest.mark.parametrize("name", CASES)
def test_hidden_layers_read_bins_as_codes(name):
    candidate, kinds, coded = CASES[name]
    encoder = replace(rows_of("binary")[2], kinds=kinds).encoder(candidate, 1000)
    assert encoder.dense is not coded
    assert encoder.n_bins == candidate.bins


@pytest.mark.parametrize("columns", [1, 100, 3000])
def test_all_bins_together_are_limited(columns):
    """Each is a row of the first layer's weights, however few the rows of the table are."""
    rows = replace(rows_of("binary")[2], kinds=("numeric",) * columns)
    assert rows.encoder(replace(BINS, bins=128), 100).n_bins == min(128, MOST_RAMPS // columns)


def test_candidates_with_as_many_bins_may_have_different_encoders():
    rows = rows_of("regression")[2]
    features = Features(rows, [np.arange(len(rows.y))])
    coded, dense = (features.get(0, one) for one in (BINS, replace(BINS, design="realmlp")))
    assert (coded.encoder.dense, dense.encoder.dense) == (False, True)
    assert key_of(coded.encoder) != key_of(dense.encoder)
    assert coded.features.shape[1] < dense.features.shape[1] == dense.encoder.dense_width
    assert features.get(0, BINS) is coded


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_codes_train_the_network_of_the_dense_features(task):
    """Equal initial weights, rows in the same order, the same dropout: outputs differ by rounding alone."""
    rows = rows_of(task)[2]
    encoder = rows.encoder(BINS, len(rows.y)).fit(rows.codes)
    outputs = []
    for one in (encoder, encoder.with_dense(True)):
        model = train(rows, Encoded(one, one.transform(rows.codes)), BINS, 5)
        assert isinstance(model.layers[0].description, layers.TableInput) is not one.dense
        outputs.append(model.predict(one.transform(rows.codes)))
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=0, atol=1e-4)
    assert np.ptp(outputs[0]) > 0.01
