"""A callback that keeps something of its run is of one running fit; others are for any number of fits."""

import copy
import os
import threading

import pytest
from fastreg import callbacks, optimizers
from programs import overfitting, same_bits

OF_ONE_RUN = {
    "LearningRateScheduler": lambda folder: callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
    "ReduceLROnPlateau": lambda folder: callbacks.ReduceLROnPlateau("loss", mode="max", patience=0),
    "ModelCheckpoint": lambda folder: callbacks.ModelCheckpoint(folder / "a.safetensors"),
    "BackupAndRestore": lambda folder: callbacks.BackupAndRestore(folder / "backup"),
    "CSVLogger": lambda folder: callbacks.CSVLogger(folder / "log.csv"),
    "JSONLogger": lambda folder: callbacks.JSONLogger(folder / "log.jsonl"),
    "SwapEMAWeights": lambda folder: callbacks.SwapEMAWeights(),
    "TqdmCallback": lambda folder: callbacks.TqdmCallback(disable=True),
    "History": lambda folder: callbacks.History(),
    "Own": lambda folder: type("Own", (callbacks.EarlyStopping,), {"on_epoch_end": own_epoch_end})("loss", patience=99),
}  # fmt: skip
OF_MANY = {
    "EarlyStopping": lambda: callbacks.EarlyStopping("loss", patience=99),
    "TerminateOnNaN": callbacks.TerminateOnNaN,
    "TimeLimit": lambda: callbacks.TimeLimit(600),
    "StopSignal": callbacks.StopSignal,
    "LambdaCallback": lambda: callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None),
}


def own_epoch_end(self, epoch, logs=None):
    callbacks.EarlyStopping.on_epoch_end(self, epoch, logs)


def fitted(given, epochs=4):
    net, x, y, _ = overfitting()
    net.compile(optimizers.Adam(0.01, use_ema=True), "binary_crossentropy")
    net.fit(x, y, epochs=epochs, verbose=0, callbacks=given)
    return net


class Begins(callbacks.Callback):
    """Fits another model in the second epoch, with callbacks of the fit that is running."""

    def __init__(self, shared, in_thread):
        self.shared, self.in_thread, self.found = shared, in_thread, []

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            thread = threading.Thread(target=self.begin)
            if self.in_thread:
                thread.start()
                thread.join()
            else:
                self.begin()

    def begin(self):
        try:
            self.found.append(fitted([self.shared]))
        except RuntimeError as error:
            self.found.append(str(error))


@pytest.mark.parametrize("in_thread", [False, True])
@pytest.mark.parametrize("name", OF_ONE_RUN)
def test_a_second_fit_at_the_same_time_is_refused(name, in_thread, tmp_path):
    """Its rates were set on the other model, its values were those of both, or its file was closed."""
    shared = OF_ONE_RUN[name](tmp_path)
    begins = Begins(shared, in_thread)
    model = fitted([shared, begins])
    text = f"fit: the {name} is used by another fit that is running; give each fit one of its own, as by copy.deepcopy"
    assert begins.found == [text]
    plain = fitted([OF_ONE_RUN[name](tmp_path), callbacks.Callback()])
    assert same_bits(model.get_weights(), plain.get_weights())
    assert model.history.history == plain.history.history
    assert same_bits(fitted([shared, shared]).get_weights(), fitted([OF_ONE_RUN[name](tmp_path)] * 2).get_weights())


@pytest.mark.parametrize("in_thread", [False, True])
@pytest.mark.parametrize("name", OF_ONE_RUN)
def test_a_copy_is_of_another_fit(name, in_thread, tmp_path):
    os.mkdir(tmp_path / "other")
    begins = Begins(copy.deepcopy(OF_ONE_RUN[name](tmp_path / "other")), in_thread)
    model = fitted([OF_ONE_RUN[name](tmp_path), begins])
    assert same_bits(begins.found[0].get_weights(), model.get_weights())


@pytest.mark.parametrize("in_thread", [False, True])
@pytest.mark.parametrize("name", OF_MANY)
def test_what_keeps_nothing_is_for_any_number_of_fits(name, in_thread):
    shared = OF_MANY[name]()
    begins = Begins(shared, in_thread)
    model = fitted([shared, begins])
    assert same_bits(begins.found[0].get_weights(), model.get_weights())


def test_it_is_free_after_an_exception():
    shared = callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)

    def fail(epoch, logs):
        raise LookupError("mine")

    with pytest.raises(LookupError):
        fitted([shared, callbacks.LambdaCallback(on_epoch_end=fail)])
    assert len(fitted([shared]).history.epoch) == 4
