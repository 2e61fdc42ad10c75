"""Writes ``older.pkl``: run with the version of fastreg whose pickles are to be read, which must be an older one.

    PYTHONPATH=<that version>/python python tests/golden/make_older_pickle.py tests/golden/older.pkl
"""

import pickle
import sys

import fastreg as fr
import numpy as np
import pandas
from fastreg import callbacks, initializers, layers, losses, metrics, optimizers, regularizers, schedules
from fastreg import search as searching
from fastreg.search.pruning import FullBudget
from fastreg.search.strategies import Grid, QuasiRandom, Random
from fastreg.table import Column, Schema, Target
from fastreg.table_encoder import TableEncoder


def described():
    """Objects whose ``repr`` says what they are."""
    return [
        layers.Dense(3, "relu", kernel_regularizer=regularizers.L1L2(0.1, 0.2), kernel_initializer="he_normal"),
        *(layers.Activation("elu"), layers.BatchNormalization(), layers.Dropout(0.5), layers.Input((3,))),
        *(losses.BinaryCrossentropy(), losses.MeanSquaredError(), metrics.BinaryAccuracy()),
        *(initializers.RandomNormal(0.0, 0.1), initializers.Zeros(), regularizers.L2(0.1)),
        *(optimizers.Adam(schedules.CosineDecay(0.1, 10)), optimizers.SGD(0.1, momentum=0.9), optimizers.AdamW()),
        *(callbacks.EarlyStopping("loss", patience=3), callbacks.TimeLimit(3.0)),
        *(searching.Uniform(0, 1), searching.LogUniform(1, 2), searching.Integer(1, 4), searching.Choice(["a", "b"])),
        *(searching.Widths(2, searching.Integer(2, 4)), searching.When("a", 1, [2, 3])),
        searching.Space({"a": searching.Uniform(0, 1)}),
        *(searching.KFold(3), searching.GroupKFold(3), searching.HoldOut(0.5), searching.TimeSeriesSplit(3)),
        *(Column("a"), Schema((Column("a"),), {}), Target("y", ("a", "b"))),
    ]


def build(params):
    model = fr.Sequential([layers.Dense(params["units"], "relu"), layers.Dense(1)])
    model.compile(optimizers.Adam(0.01), "mse")
    return model


def main(path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 3)).astype(np.float32)
    y = (x @ [1.0, -2.0, 0.5]).astype(np.float32)
    model = fr.Sequential([layers.Dense(4, "relu"), layers.Dropout(0.2), layers.Dense(1)], name="older", seed=5)
    model.compile(optimizers.Adam(0.01), "mse", ["mae"])
    model.fit(pandas.DataFrame(x, columns=["a", "b", "c"]), y, epochs=2, verbose=0)
    object.__setattr__(model, "mine", [1, 2])
    search = searching.RandomSearch(None, {"units": searching.Integer(2, 5)}, n_trials=3, cv=3, seed=1, verbose=0)
    search.build = build
    search.fit(x, y, epochs=2)
    search.build = None  # a pickle would name this program
    kept = {
        "model": model,
        "layer": model.layers[0],
        "weights": model.get_weights(),
        "x": x,
        "y": y,
        "outputs": model.predict(x),
        "losses": model.history.history["loss"],
        "described": [(item, repr(item)) for item in described()],
        "more": [Grid(), Random(), QuasiRandom(), FullBudget(), searching.MedianPruner(), searching.ASHA()],
        "encoder": TableEncoder([False]),
        "search": search,
        "search_not_fitted": searching.GridSearch(None, {"units": [1, 2]}, pruner=searching.SuccessiveHalving()),
        "best_params": search.best_params_,
        "best_score": search.best_score_,
        "best_outputs": search.predict(x),
        "summary": search.summary(),
    }
    text = pickle.dumps(kept)
    # On after the pickle, as the one that reads it is to go on.
    after = pickle.loads(text)["model"]
    after.fit(x, y, epochs=1, verbose=0)
    with open(path, "wb") as file:
        pickle.dump(kept | {"outputs_after": after.predict(x)}, file)


if __name__ == "__main__":
    main(sys.argv[1])
