"""The callbacks that programs of Keras use, each against a direct reading of its rule, and continued runs with all."""

from __future__ import annotations

import csv
import gc
import json
import math
import os
import sys

import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks, layers, optimizers, schedules
from programs import blobs, compiled, overfitting, same_bits

NAN = math.nan


class Model:
    """What a callback needs in a loop of one's own."""

    def __init__(self, rate=1.0):
        self.learning_rate, self.stop_training, self.metrics = rate, False, ()


def drive(callback, values, rate=1.0, key="val_loss"):
    """The rates of the epochs with these values, each at the end of its epoch."""
    callback.set_model(Model(rate))
    callback.on_train_begin({})
    rates = []
    for epoch, value in enumerate(values):
        callback.on_epoch_begin(epoch, {})
        callback.on_epoch_end(epoch, {key: value})
        rates.append(callback.model.learning_rate)
    return rates


# ------------------------------------------------------------------------------------------------- the learning rate


def plateau(values, rate, factor=0.1, patience=10, mode="min", min_delta=1e-4, cooldown=0, min_lr=0.0):
    """Keras's rule, read from its documentation."""
    sign, best, wait, cooling, rates = (1.0 if mode == "min" else -1.0), math.inf, 0, 0, []
    for value in values:
        if cooling > 0:
            cooling, wait = cooling - 1, 0
        if sign * value < best - min_delta:
            best, wait = sign * value, 0
        elif cooling == 0:
            wait += 1
            if wait >= patience and rate > min_lr:
                rate, cooling, wait = max(rate * factor, min_lr), cooldown, 0
        rates.append(rate)
    return rates


CURVES = [
    [5.0, 4.0, 4.0, 4.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 2.0, 2.0],
    [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
    [3.0, NAN, NAN, 2.0, NAN, NAN, NAN],
    [1.0, 0.99995, 0.9999, 0.5, 0.5001, 0.4999],
]
PLATEAUS = [
    {"patience": 1}, {"patience": 2, "factor": 0.5}, {"patience": 0, "factor": 0.5}, {"patience": 1, "cooldown": 2},
    {"patience": 1, "factor": 0.5, "min_lr": 0.3}, {"patience": 2, "mode": "max"}, {"patience": 1, "min_delta": 0.5},
    {"patience": 2, "cooldown": 1, "factor": 0.2, "min_delta": 0.0},
]


@pytest.mark.parametrize("values", CURVES, ids=str)
@pytest.mark.parametrize("rule", PLATEAUS, ids=str)
def test_reduce_on_plateau_follows_its_rule(rule, values):
    assert drive(callbacks.ReduceLROnPlateau(**rule), values) == pytest.approx(plateau(values, 1.0, **rule))


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_patience_means_the_same_for_both(patience):
    """The rate falls in the epoch in which early stopping of the same patience would end the run."""
    values = [5.0, 4.0, 3.0, 3.5, 3.5, 2.0, 2.5, 2.5, 2.5, 2.5]
    reduced = drive(callbacks.ReduceLROnPlateau(patience=patience, min_delta=0.0), values)
    stopping = callbacks.EarlyStopping(patience=patience)
    for epoch, value in enumerate(values):
        stopping.on_epoch_end(epoch, {"val_loss": value})
        if stopping.stopped_epoch:
            break
    assert reduced.index(0.1) == stopping.stopped_epoch


def test_the_rate_is_in_the_history_as_in_keras():
    net, x, y, validation = overfitting()
    options = {"batch_size": 8, "epochs": 40, "verbose": 0, "validation_data": validation}
    history = net.fit(x, y, **options, callbacks=[callbacks.ReduceLROnPlateau(patience=2, factor=0.5)]).history
    assert list(history)[-1] == "learning_rate"
    expected = plateau(history["val_loss"], history["learning_rate"][0], 0.5, 2)
    assert len(set(expected)) > 2, "the curve must have plateaus"
    assert history["learning_rate"][1:] == pytest.approx(expected[:-1])
    assert "learning_rate" not in overfitting()[0].fit(x, y, **options | {"epochs": 1}).history


@pytest.mark.parametrize("verbose", [0, 1])
@pytest.mark.parametrize("function", [lambda epoch: 0.1 / (1 + epoch), lambda epoch, rate: rate * 0.5])
def test_a_scheduler_sets_the_rate_of_each_epoch(function, verbose, capsys):
    x = blobs(32, 3, 2)[0]
    net = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(0.1), n_features=3)
    scheduler = callbacks.LearningRateScheduler(function, verbose)
    history = net.fit(x, x[:, 0], batch_size=8, epochs=4, verbose=0, callbacks=[scheduler]).history
    expected, rate = [], 0.1
    for epoch in range(4):
        rate = function(epoch, rate) if function.__code__.co_argcount == 2 else function(epoch)
        expected.append(rate)
    assert history["learning_rate"] == expected
    by_step = schedules.ArraySchedule(np.repeat(expected, 4))
    other = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(by_step), n_features=3)
    other.fit(x, x[:, 0], batch_size=8, epochs=4, verbose=0)
    assert same_bits(net.get_weights(), other.get_weights())
    assert capsys.readouterr().err.count("learning rate set to") == 4 * verbose


def test_a_scheduler_of_something_else_is_refused():
    net = compiled([layers.Dense(1)], loss="mse", n_features=3)
    for rate, error in (("fast", TypeError), (-1.0, ValueError), (0.0, ValueError), (1e-60, ValueError)):
        scheduler = callbacks.LearningRateScheduler(lambda epoch, *, given=rate: given)
        with pytest.raises(error, match=r"^LearningRateScheduler: the rate of schedule must be"):
            net.fit(np.ones((4, 3)), np.ones(4), verbose=0, callbacks=[scheduler])
    with pytest.raises(TypeError, match=r"^LearningRateScheduler: schedule must be a function"):
        callbacks.LearningRateScheduler(0.1)


# ------------------------------------------------------------------------------------------- keys that callbacks add


class AddsF1(callbacks.Callback):
    """The usual way to watch a metric of one's own."""

    values = (0.1, 0.5, 0.4, 0.7, 0.6, 0.6, 0.6, 0.9)

    def __init__(self, key="val_f1", weights=None):
        self.key, self.weights = key, [] if weights is None else weights

    def on_epoch_end(self, epoch, logs=None):
        logs[self.key] = self.values[epoch]
        self.weights.append(self.model.get_weights())


@pytest.mark.parametrize("ending", ["patience", "exception", "epochs"])
def test_early_stopping_by_a_key_that_a_callback_adds(ending):
    net, x, y, validation = overfitting()
    adds, stopping = AddsF1(), callbacks.EarlyStopping("val_f1", patience=3 if ending == "patience" else 99)

    def fail(epoch, logs):
        if ending == "exception" and epoch == 5:
            raise LookupError("mine")

    options = {"epochs": 8 if ending == "patience" else 6, "verbose": 0, "validation_data": validation}
    options["callbacks"] = [adds, stopping, callbacks.LambdaCallback(on_epoch_end=fail)]
    if ending == "exception":
        with pytest.raises(LookupError, match="mine"):
            net.fit(x, y, **options)
    else:
        net.fit(x, y, **options)
    history = net.history
    n = 7 if ending == "patience" else 6
    assert history.history["val_f1"] == pytest.approx(AddsF1.values[:n])
    assert len(history.history["loss"]) == n
    assert (stopping.best, stopping.best_epoch) == (0.7, 3)
    assert stopping.stopped_epoch == (6 if ending == "patience" else 0)
    assert history.stopped_by == {"patience": "early_stopping", "exception": "error", "epochs": ""}[ending]
    assert same_bits(net.get_weights(), adds.weights[3])


def test_a_key_whose_direction_no_one_knows_needs_a_mode():
    net, x, y, _ = overfitting()
    with pytest.raises(ValueError, match=r"^EarlyStopping: mode must be 'min' or 'max' for 'fitness'"):
        net.fit(x, y, epochs=3, verbose=0, callbacks=[AddsF1("fitness"), callbacks.EarlyStopping("fitness")])
    stopping = callbacks.EarlyStopping("fitness", mode="max", patience=9)
    net.fit(x, y, epochs=5, verbose=0, callbacks=[AddsF1("fitness"), stopping])
    assert stopping.best == 0.7


@pytest.mark.parametrize("make", [callbacks.EarlyStopping, callbacks.ReduceLROnPlateau,
                                  lambda key: callbacks.ModelCheckpoint("no", key, save_best_only=True)])
def test_a_key_that_no_one_adds_is_an_error(make):
    net, x, y, _ = overfitting()
    with pytest.raises(ValueError, match=r": unknown monitor 'val_f2'; this run has: loss, accuracy"):
        net.fit(x, y, epochs=3, verbose=0, callbacks=[make("val_f2")])
    assert net._core.trainer.step == 0
    with pytest.raises(ValueError, match=r": unknown monitor 'val_f2'"):
        net.fit(x, y, epochs=3, verbose=0, callbacks=[AddsF1(), make("val_f2")])


def test_callbacks_may_change_what_the_history_has():
    net, x, y, _ = overfitting()

    def change(epoch, logs):
        logs["loss"] = float(epoch)
        logs["note"] = "text"
        logs["count"] = np.int64(epoch)

    history = net.fit(x, y, epochs=3, verbose=0, callbacks=[callbacks.LambdaCallback(on_epoch_end=change)]).history
    assert history["loss"] == [0.0, 1.0, 2.0]
    assert history["count"] == [0.0, 1.0, 2.0]
    assert "note" not in history


def test_early_stopping_that_waits_less_than_the_plateau_warns():
    net, x, y, validation = overfitting()
    both = [callbacks.EarlyStopping(patience=3), callbacks.ReduceLROnPlateau(patience=3)]
    with pytest.warns(UserWarning, match="the run ends before the rate is reduced"):
        net.fit(x, y, verbose=0, validation_data=validation, callbacks=both)
    both[0].patience = 4
    net.fit(x, y, verbose=0, validation_data=validation, callbacks=both)


# ------------------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("only_best", [False, True])
@pytest.mark.parametrize("weights_only", [False, True])
def test_a_checkpoint_of_each_epoch_or_of_the_better_ones(only_best, weights_only, tmp_path):
    net, x, y, validation = overfitting()
    taken = []
    note = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: taken.append(net.get_weights()))
    path = tmp_path / "new" / "net-{epoch:02d}-{val_loss:.3f}.safetensors"
    saves = callbacks.ModelCheckpoint(path, save_best_only=only_best, save_weights_only=weights_only)
    history = net.fit(x, y, batch_size=8, epochs=25, verbose=0, validation_data=validation, callbacks=[note, saves])
    values = history.history["val_loss"]
    chosen = [e for e in range(25) if not only_best or values[e] < min(values[:e], default=math.inf)]
    assert 3 < len(chosen) < 25 or not only_best
    expected = {f"net-{e + 1:02d}-{values[e]:.3f}.safetensors": e for e in chosen}
    assert {file.name for file in (tmp_path / "new").iterdir()} == set(expected)
    for name, epoch in expected.items():
        if weights_only:
            other = overfitting()[0]
            other.build(x.shape[1])
            other.load_weights(tmp_path / "new" / name)
        else:
            other = fr.load(tmp_path / "new" / name)
            assert other._core.trainer.epoch == epoch + 1
        assert same_bits(other.get_weights(), taken[epoch])


def test_a_checkpoint_between_batches(tmp_path):
    net, x, y, _ = overfitting()
    saves = callbacks.ModelCheckpoint(tmp_path / "{epoch}-{batch}.safetensors", save_freq=3)
    steps = -(-len(x) // 8)
    net.fit(x, y, batch_size=8, epochs=3, verbose=0, callbacks=[saves])
    counted = [(epoch + 1, batch + 1) for epoch in range(3) for batch in range(steps)][2::3]
    assert {file.stem for file in tmp_path.iterdir()} == {f"{epoch}-{batch}" for epoch, batch in counted}


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_value_that_is_no_number_is_never_the_best(mode, tmp_path):
    values = [np.nan, 3.0, np.nan, 4.0, 2.0]
    given = iter(values)
    net = compiled([layers.Dense(1)], loss="mse", n_features=3, metrics=[lambda t, y: next(given)])
    saves = callbacks.ModelCheckpoint(tmp_path / "{epoch}.safetensors", "<lambda>", save_best_only=True, mode=mode)
    falls = callbacks.ReduceLROnPlateau("<lambda>", mode=mode, patience=99)
    net.fit(np.ones((4, 3)), np.ones(4), epochs=5, verbose=0, callbacks=[saves, falls])
    better = [2, 5] if mode == "min" else [2, 4]
    assert sorted(int(file.stem) for file in tmp_path.iterdir()) == better
    assert saves.best == falls.best == values[better[-1] - 1]


@pytest.mark.parametrize("weights_only", [False, True])
def test_a_value_whose_file_could_not_be_written_is_not_the_best(weights_only, tmp_path):
    net, x, y, _ = overfitting()
    path = tmp_path / "net.safetensors"
    path.mkdir()
    saves = callbacks.ModelCheckpoint(path, "loss", save_best_only=True, save_weights_only=weights_only)
    with pytest.raises((OSError, ValueError), match=r"net\.safetensors"):
        net.fit(x, y, epochs=5, verbose=0, callbacks=[saves])
    assert saves.best is None
    path.rmdir()
    saves.model.learning_rate = 1e-30  # from now on the loss stays, and is no better than the one that was not saved
    net.fit(x, y, epochs=1, verbose=0, callbacks=[saves])
    assert saves.best == net.history.history["loss"][0]
    assert path.is_file()


def test_a_checkpoint_goes_on_where_it_was(tmp_path):
    """Also with a threshold to begin with, and from one run to the next."""
    net, x, y, validation = overfitting()
    saves = callbacks.ModelCheckpoint(tmp_path / "net.safetensors", save_best_only=True, initial_value_threshold=0.0)
    net.fit(x, y, epochs=3, verbose=0, validation_data=validation, callbacks=[saves])
    assert not list(tmp_path.iterdir())
    saves = callbacks.ModelCheckpoint(tmp_path / "net.safetensors", "val_accuracy", save_best_only=True)
    net.fit(x, y, epochs=3, verbose=0, validation_data=validation, callbacks=[saves])
    best = saves.best
    assert best == max(net.history.history["val_accuracy"])
    net.fit(x, y, epochs=3, verbose=0, validation_data=validation, callbacks=[saves])
    assert saves.best >= best


@pytest.mark.parametrize(("given", "error", "words"), [
    ({"filepath": ""}, TypeError, "filepath must be a path"), ({"filepath": 3}, TypeError, "filepath must be a path"),
    ({"save_freq": 0}, ValueError, "save_freq must be >= 1, got 0"),
    ({"save_freq": "batch"}, ValueError, "save_freq must be 'epoch' or an integer >= 1, got 'batch'"),
    ({"mode": "up"}, ValueError, "unknown mode 'up'"), ({"save_best_only": 1}, TypeError, "save_best_only must be"),
    ({"verbose": -1}, ValueError, "verbose must be"), ({"monitor": 3}, TypeError, "monitor must be"),
    ({"initial_value_threshold": NAN}, ValueError, "initial_value_threshold must be"),
])
def test_bad_arguments_of_a_checkpoint(given, error, words):
    with pytest.raises(error, match=f"^ModelCheckpoint: {words}"):
        callbacks.ModelCheckpoint(**{"filepath": "a", **given})


@pytest.mark.parametrize(("given", "words"), [
    ({"factor": 1.0}, "factor must be"), ({"factor": -0.1}, "factor must be"), ({"patience": -1}, "patience must be"),
    ({"cooldown": -1}, "cooldown must be"), ({"min_lr": -1.0}, "min_lr must be"), ({"min_delta": NAN}, "min_delta mus"),
])
def test_bad_arguments_of_a_plateau(given, words):
    with pytest.raises(ValueError, match=f"^ReduceLROnPlateau: {words}"):
        callbacks.ReduceLROnPlateau(**given)


def test_a_template_of_unknown_keys_is_an_error(tmp_path):
    net, x, y, _ = overfitting()
    for name in ("{val_los}", "{}", "{epoch:q}"):
        with pytest.raises(ValueError, match=r"^ModelCheckpoint: filepath .* must have only keys of"):
            net.fit(x, y, verbose=0, callbacks=[callbacks.ModelCheckpoint(tmp_path / name)])


@pytest.mark.parametrize("append", [False, True])
def test_a_csv_file(append, tmp_path):
    path = tmp_path / "log.csv"
    net, x, y, validation = overfitting()
    for first, last in ((0, 3), (3, 5)):
        log = callbacks.CSVLogger(path, separator=";", append=append)
        net.fit(x, y, epochs=last, initial_epoch=first, verbose=0, validation_data=validation, callbacks=[log])
    rows = list(csv.DictReader(path.read_text().splitlines(), delimiter=";"))
    assert list(rows[0]) == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert [int(row["epoch"]) for row in rows] == (list(range(5)) if append else [3, 4])
    assert [float(row["val_loss"]) for row in rows[-2:]] == net.history.history["val_loss"]


def test_a_csv_file_of_validations_now_and_then(tmp_path):
    net, x, y, validation = overfitting()
    log = callbacks.CSVLogger(tmp_path / "log.csv")
    net.fit(x, y, epochs=4, verbose=0, validation_data=validation, validation_freq=2, callbacks=[log])
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [row["val_loss"] == "NA" for row in rows] == [True, False, True, False]
    assert float(rows[1]["val_loss"]) == net.history.history["val_loss"][0]


def test_a_file_of_json_lines(tmp_path):
    net, x, y, _ = overfitting()
    for append in (False, True):
        note = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(odd=NAN))
        net.fit(x, y, epochs=2, verbose=0, callbacks=[note, callbacks.JSONLogger(tmp_path / "log.jsonl", append)])
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [0, 1, 0, 1]
    assert [line["loss"] for line in lines[2:]] == net.history.history["loss"]
    assert lines[0]["odd"] is None


def test_a_log_is_whole_after_an_exception(tmp_path):
    net, x, y, _ = overfitting()

    def fail(epoch, logs):
        if epoch == 2:
            raise LookupError("mine")

    given = [callbacks.CSVLogger(tmp_path / "a.csv"), callbacks.LambdaCallback(on_epoch_end=fail)]
    with pytest.raises(LookupError):
        net.fit(x, y, epochs=9, verbose=0, callbacks=given)
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 4


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a file that is always full is one of Linux")
@pytest.mark.parametrize("make", [callbacks.CSVLogger, callbacks.JSONLogger])
def test_a_file_that_is_full_is_said_once(make, tmp_path, monkeypatch):
    """It was said again when the file was closed: at the begin of the next run, or on standard error."""
    lost = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    net, x, y, _ = overfitting()
    logger = make("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        net.fit(x, y, verbose=0, callbacks=[logger])
    logger.filename = str(tmp_path / "log")
    net.fit(x, y, verbose=0, callbacks=[logger])
    assert "loss" in (tmp_path / "log").read_text()
    logger.filename = "/dev/full"
    with pytest.raises(OSError, match="No space left"):
        net.fit(x, y, verbose=0, callbacks=[logger])
    del logger
    gc.collect()
    assert lost == []


@pytest.mark.parametrize("make", [callbacks.CSVLogger, callbacks.JSONLogger])
def test_bad_arguments_of_a_logger(make, tmp_path):
    name = make.__name__
    with pytest.raises(TypeError, match=f"^{name}: filename must be a path, got 3"):
        make(3)
    with pytest.raises(TypeError, match=f"^{name}: append must be True or False"):
        make("a", append=1)
    with pytest.raises(RuntimeError, match=f"^{name}: on_train_begin opens the file"):
        make(tmp_path / "a").on_epoch_end(0, {"loss": 1.0})
    with pytest.raises(ValueError, match=r"^CSVLogger: separator must be one character"):
        callbacks.CSVLogger("a", ";;")


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX")
    net, x, y, validation = overfitting()
    board = callbacks.TensorBoard(tmp_path, histogram_freq=2, update_freq="batch")
    net.fit(x, y, batch_size=8, epochs=3, verbose=0, validation_data=validation, callbacks=[board])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train", "validation"]
    found = b"".join(path.read_bytes() for path in (tmp_path / "train").iterdir())
    for tag in (b"epoch_loss", b"epoch_accuracy", b"batch_loss", b"dense"):
        assert tag in found
    assert b"epoch_loss" in b"".join(path.read_bytes() for path in (tmp_path / "validation").iterdir())


def test_tensorboard_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    net, x, y, _ = overfitting()
    with pytest.raises(ImportError, match="TensorBoard needs tensorboardX"):
        net.fit(x, y, verbose=0, callbacks=[callbacks.TensorBoard(tmp_path)])
    with pytest.raises(ValueError, match=r"^TensorBoard: profile_batch is not supported and must be 0, got 2"):
        callbacks.TensorBoard(tmp_path, profile_batch=2)
    with pytest.raises(ValueError, match=r"^TensorBoard: update_freq must be 'epoch', 'batch' or an integer"):
        callbacks.TensorBoard(tmp_path, update_freq="step")


def test_a_bar_of_tqdm(monkeypatch):
    pytest.importorskip("tqdm")
    import io

    stream = io.StringIO()
    net, x, y, _ = overfitting()
    net.fit(x, y, epochs=4, verbose=0, callbacks=[callbacks.TqdmCallback(file=stream, mininterval=0)])
    assert "4/4" in stream.getvalue()
    assert f"loss={net.history.history['loss'][-1]:.4g}" in stream.getvalue()
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match="TqdmCallback needs tqdm"):
        net.fit(x, y, verbose=0, callbacks=[callbacks.TqdmCallback()])


# -------------------------------------------------------------------------------------------------------------- others


@pytest.mark.parametrize("before", [[], [callbacks.EarlyStopping("loss", patience=9)]])
def test_terminate_on_nan_ends_without_an_error(before):
    x = blobs(32, 3, 2)[0]
    guard = callbacks.TerminateOnNaN()
    net = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(1e12), n_features=3)
    start = net.get_weights()
    history = net.fit(x, x[:, 0], epochs=9, verbose=0, callbacks=[*before, guard])
    assert history.stopped_by == "diverged"
    assert guard.stopped_step is not None
    assert all(np.isfinite(weight).all() for weight in net.get_weights())
    if not history.history["loss"]:
        assert same_bits(start, net.get_weights())
    with pytest.raises(fr.DivergenceError):
        net.fit(x, x[:, 0], epochs=9, verbose=0)


@pytest.mark.parametrize("raising", [[True], [False, True], [True, False]], ids=str)
def test_a_guard_that_is_to_raise_raises_beside_others(raising):
    x = blobs(32, 3, 2)[0]
    guards = [callbacks.TerminateOnNaN(raise_error=raises) for raises in raising]
    net = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(1e12), n_features=3)
    with pytest.raises(fr.DivergenceError) as caught:
        net.fit(x, x[:, 0], epochs=9, verbose=0, callbacks=guards)
    assert {guard.stopped_step for guard in guards} == {caught.value.step}


def test_a_lambda_callback_takes_hooks_alone():
    with pytest.raises(TypeError, match=r"^LambdaCallback: on_epoch_ends is no hook of a callback .did you mean"):
        callbacks.LambdaCallback(on_epoch_ends=print)
    with pytest.raises(TypeError, match=r"^LambdaCallback: on_epoch_end must be a function, got 3"):
        callbacks.LambdaCallback(on_epoch_end=3)


def test_a_list_is_called_as_one():
    calls = []
    a, b = (callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs, name=name: calls.append((name, epoch)))
            for name in "ab")
    both = callbacks.CallbackList([a, callbacks.CallbackList([b])], add_history=True, add_progbar=True)
    assert [type(item).__name__ for item in both.callbacks] == [
        "LambdaCallback", "CallbackList", "History", "ProgbarLogger"]
    net, x, y, _ = overfitting()
    history = net.fit(x, y, epochs=2, verbose=0, callbacks=both)
    assert calls == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert history is both.callbacks[2]
    for hook in callbacks.base.HOOKS:
        getattr(both, hook)(*([3, {}] if "epoch" in hook or "batch" in hook else [{}]))
    assert calls[4:] == [("a", 3), ("b", 3)]
    other = callbacks.CallbackList([callbacks.LambdaCallback()], model=net, epochs=3)
    assert other.callbacks[0].model is net
    assert other.callbacks[0].params == {"epochs": 3}
