"""Early stopping whose ``on_epoch_end`` is a user's: what it passes on is judged, as in Keras, and nothing else.

The rule is computed again in plain Python. Beside a backup, which has early stopping judged in Python as well, all is
as without one.
"""

import copy
import pickle

import numpy as np
import pytest
from fastreg import callbacks
from programs import overfitting, same_bits

EPOCHS = 25


class Late(callbacks.EarlyStopping):
    """Judges no epoch before a number, which is how one wrote it before Keras had ``start_from_epoch``."""

    first = 18

    def on_epoch_end(self, epoch, logs=None):
        if epoch >= self.first:
            super().on_epoch_end(epoch, logs)


class Smooth(callbacks.EarlyStopping):
    """Judges the mean of the last three values."""

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(logs[self.monitor])
        super().on_epoch_end(epoch, {self.monitor: float(np.mean(self.seen[-3:]))})


class Never(callbacks.EarlyStopping):
    """Passes nothing on."""

    def on_epoch_end(self, epoch, logs=None):
        pass


def passed(kind, values):
    """The epochs and values that a class passes on, by its description."""
    if kind is Smooth:
        return [(epoch, np.mean(values[max(epoch - 2, 0) : epoch + 1])) for epoch in range(len(values))]
    return [(epoch, value) for epoch, value in enumerate(values) if kind is Late and epoch >= Late.first]


def expected(told, patience):
    """(the last epoch, the best epoch or None, the best value) by Keras's rule."""
    best, best_epoch, waited = np.inf, None, 0
    for epoch, value in told:
        waited += 1
        if value < best:
            best, best_epoch, waited = value, epoch, 0
        elif waited >= patience and epoch > 0:
            return epoch, best_epoch, best
    return EPOCHS - 1, best_epoch, best


def run(given, epochs=EPOCHS):
    """The model, its history, and the weights of each epoch as a callback after all others sees them."""
    model, x, y, validation = overfitting()
    seen = []
    watching = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(model.get_weights()))
    try:
        model.fit(x, y, batch_size=8, epochs=epochs, verbose=0, validation_data=validation,
                  callbacks=[*given, watching])
    except (LookupError, KeyboardInterrupt):
        seen.append(model.get_weights())
    return model, model.history, seen


@pytest.fixture(scope="module")
def plain():
    """The history and the weights of each epoch without early stopping."""
    _, history, seen = run([])
    return history.history, seen


@pytest.mark.parametrize("kind", [Late, Smooth, Never])
@pytest.mark.parametrize("patience", [0, 2, 99])
@pytest.mark.parametrize("backup", [False, True])
def test_what_it_passes_on_is_judged(kind, patience, backup, plain, tmp_path):
    values, weights = plain
    last, best_epoch, best = expected(passed(kind, values["val_loss"]), patience)
    stopping = kind(patience=patience)
    beside = [callbacks.BackupAndRestore(tmp_path / "backup")] if backup else []
    model, history, seen = run([stopping, *beside])
    assert history.history == {key: column[: last + 1] for key, column in values.items()}
    assert history.stopped_by == ("early_stopping" if last < EPOCHS - 1 else "")
    assert stopping.stopped_epoch == (last if last < EPOCHS - 1 else 0)
    assert (stopping.best_epoch, stopping.best) == ((0, None) if best_epoch is None else (best_epoch, best))
    assert same_bits(model.get_weights(), weights[last if best_epoch is None else best_epoch])
    assert all(same_bits(a, b) for a, b in zip(seen, weights, strict=False)), "best weights go back at the end"


def test_the_plain_class_would_stop_elsewhere(plain):
    """Otherwise the tests here could not tell what was judged."""
    everything = list(enumerate(plain[0]["val_loss"]))
    for kind in (Late, Smooth, Never):
        assert expected(passed(kind, plain[0]["val_loss"]), 2) != expected(everything, 2)
    stopping = callbacks.EarlyStopping(patience=2)
    run([stopping])
    assert (stopping.stopped_epoch, stopping.best_epoch) == expected(everything, 2)[:2]


@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt])
@pytest.mark.parametrize("kind", [Late, Smooth])
def test_best_weights_come_back_after_an_exception(kind, error, plain):
    def fail(epoch, logs):
        if epoch == 20:
            raise error("mine")

    _, best_epoch, _ = expected(passed(kind, plain[0]["val_loss"][:21]), 99)
    model, history, _ = run([kind(patience=99), callbacks.LambdaCallback(on_epoch_end=fail)])
    assert (history.stopped_by, history.epoch[-1]) == ("error", 20)
    assert same_bits(model.get_weights(), plain[1][best_epoch])


def test_a_hook_put_on_an_instance_decides_as_well(plain):
    stopping = callbacks.EarlyStopping(patience=2)
    usual = stopping.on_epoch_end
    stopping.on_epoch_end = lambda epoch, logs: usual(epoch, logs) if epoch >= Late.first else None
    run([stopping])
    assert (stopping.stopped_epoch, stopping.best_epoch) == expected(passed(Late, plain[0]["val_loss"]), 2)[:2]


def test_it_can_be_used_again_copied_and_pickled(plain):
    stopping = Smooth(patience=2)
    run([stopping])
    found = stopping.stopped_epoch, stopping.best_epoch, stopping.best
    for other in (stopping, copy.deepcopy(stopping), pickle.loads(pickle.dumps(stopping))):
        run([other])
        assert (other.stopped_epoch, other.best_epoch, other.best) == found


class Hides(callbacks.Callback):
    """Changes what it is told, and the weights."""

    def on_epoch_end(self, epoch, logs=None):
        logs["val_loss"] = float(epoch)
        self.model.set_weights([0.95 * weight for weight in self.model.get_weights()])


class FailsOnce(callbacks.Callback):
    """Raises in the epoch that is the best one, before the callbacks after it are called."""

    def __init__(self, at):
        self.at = at

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.at:
            raise LookupError("mine")


@pytest.mark.parametrize("before", [Hides(), FailsOnce(15), callbacks.Callback()], ids=["hides", "fails", "nothing"])
def test_other_callbacks_meet_early_stopping_beside_a_backup_as_without(before, tmp_path):
    """It judges each epoch before they change anything, and best weights go back at the end of the run."""
    found = []
    for beside in ([], [callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)]):
        stopping = callbacks.EarlyStopping(patience=2)
        model, history, seen = run([copy.deepcopy(before), stopping, *beside])
        results = stopping.best, stopping.best_epoch, stopping.stopped_epoch
        found.append((history.history, history.stopped_by, results, [*model.get_weights()], seen))
    (first, second) = found
    assert first[:3] == second[:3]
    assert same_bits(first[3], second[3])
    assert all(same_bits(a, b) for a, b in zip(first[4], second[4], strict=True))
