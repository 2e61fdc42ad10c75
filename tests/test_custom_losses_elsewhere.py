"""Functions of Python as losses where no fit is: in files, pickles and searches, and in calls of their own."""

import pickle

import fastreg as fr
import numpy as np
import pytest
from conftest import EPS
from custom_losses import (
    LABELS,
    WEIGHTS,
    N,
    Trouble,
    X,
    Y,
    cross_entropy,
    failing_at,
    fit,
    net,
    squared,
    state_of,
)
from fastreg import callbacks, losses, ops, optimizers
from fastreg.search import GridSearch


def test_files(tmp_path):
    """A file cannot hold a function; all else of the model can be kept."""
    model = net(squared)
    fit(model)
    with pytest.raises(ValueError, match="save: a file cannot hold loss 'squared', a function of Python; give"):
        model.save(tmp_path / "a.safetensors")
    model.save(tmp_path / "a.safetensors", include_optimizer=False)
    loaded = fr.load(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    loaded.compile("adam", squared)
    fit(loaded)
    model.save_weights(tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=r"ModelCheckpoint: a file cannot hold loss 'squared'.*save_weights_only=True"):
        fit(net(squared), callbacks=[callbacks.ModelCheckpoint(tmp_path / "c.safetensors")])
    fit(net(squared), callbacks=[callbacks.ModelCheckpoint(tmp_path / "c.safetensors", save_weights_only=True)])
    with pytest.raises(TypeError, match="loss 'squared': a function of Python cannot be written down"):
        model.get_compile_config()


def test_backups_and_pickles(tmp_path):
    """Both go on bit for bit."""
    whole = net(squared)
    fit(whole, epochs=4)
    part = net(squared)
    fit(part, epochs=2)
    again = pickle.loads(pickle.dumps(part))
    assert again.loss == part.loss
    fit(again, epochs=4, initial_epoch=2)
    assert state_of(again) == state_of(whole)
    loss, _ = failing_at(7)
    first = net(loss)
    with pytest.raises(Trouble):
        fit(first, callbacks=[callbacks.BackupAndRestore(tmp_path)])
    second = net(squared)
    fit(second, epochs=4, callbacks=[callbacks.BackupAndRestore(tmp_path)])
    assert state_of(second) == state_of(whole)


@pytest.mark.parametrize("jobs", [1, 2])
def test_search(jobs):
    """A search scores a model with a function as it does one with the same loss of the core."""
    scores = []
    for loss in ("mse", squared):
        search = GridSearch(lambda p, loss=loss: net(loss, optimizer=optimizers.Adam(p["rate"])), {"rate": [0.01, 0.1]},
                            cv=2, seed=0, verbose=0, n_jobs=jobs)
        search.fit(X, Y, epochs=2)
        scores.append([trial.score for trial in search.trials_])
    np.testing.assert_allclose(scores[1], scores[0], rtol=8 * EPS)


def test_calls_outside_of_a_fit():
    loss = losses.Custom(squared)
    usual = losses.MeanSquaredError()
    for weights in (None, WEIGHTS):
        np.testing.assert_allclose(loss(Y, 2 * Y, weights), usual(Y, 2 * Y, weights), rtol=8 * EPS)
        for mine, core in zip(ops.loss(loss, 2 * Y, Y, weights), ops.loss("mse", 2 * Y, Y, weights), strict=True):
            np.testing.assert_allclose(mine, core, rtol=8 * EPS)
    labelled = losses.Custom(cross_entropy, labels=True, reduction="none")
    np.testing.assert_allclose(labelled(LABELS, Y), losses.sparse_categorical_crossentropy(LABELS, Y, True), rtol=1e-5)
    with pytest.raises(ValueError, match="compile: loss: reduction must be one of"):
        net(losses.Custom(squared, reduction="sum"))


def test_what_a_loss_is_called():
    assert losses.get(squared) == losses.Custom(squared)
    assert losses.Custom(squared).name == "squared"
    assert losses.Custom(squared, "mine").name == "mine"
    assert losses.Custom(squared, "mine") != losses.Custom(squared)
    assert repr(losses.Custom(squared)) == "Custom(squared, name='squared')"
    assert isinstance(losses.get(losses.mean_squared_error), losses.MeanSquaredError)
    for bad in (3, None, losses.Huber):
        with pytest.raises(TypeError, match="Custom: function must be a function, got"):
            losses.Custom(bad)
    with pytest.raises(ValueError, match="y: squared needs targets of shape"):
        fit(net(squared), Y.reshape(N, 2, 2))
