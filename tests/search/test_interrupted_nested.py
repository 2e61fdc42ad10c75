"""Ctrl-C ends a nested cross-validation, whose scores would lack folds, where it ends a search with the best so far."""

import signal

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers
from fastreg.callbacks import Callback
from fastreg.search import GridSearch, nested_cross_validate

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)


class Interrupts(Callback):
    """Presses Ctrl-C in one of the fits, counted from 1."""

    fits = 0

    def __init__(self, fit):
        self.fit = fit

    def on_train_begin(self, logs=None):
        Interrupts.fits += 1
        if Interrupts.fits == self.fit:
            signal.raise_signal(signal.SIGINT)


# Fits of an outer fold: 2 trials in 2 folds, and the refit.
@pytest.mark.parametrize("fit", [3, 5, 8, 10])
def test_ctrl_c_is_a_keyboard_interrupt(fit):
    Interrupts.fits = 0
    model = fr.Sequential([layers.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy", ["accuracy"])
    search = GridSearch(model, {"batch_size": [8, 16]}, cv=2, seed=0, n_jobs=1, verbose=0)
    with pytest.raises(KeyboardInterrupt):
        nested_cross_validate(search, X, Y, cv=3, callbacks=[Interrupts(fit)])
    assert Interrupts.fits == fit
