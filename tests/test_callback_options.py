"""Every option of every callback changes what a run does, prints or writes.

A run is what the history, the weights, the printed text, the files and the error say. Options that Keras has for other
things are named as idle; they are taken at one value only.
"""

import inspect
import sys
import types
from pathlib import Path

import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks, layers, optimizers
from programs import overfitting

IDLE = {
    "TensorBoard": {
        "write_graph", "write_images", "write_steps_per_second", "profile_batch", "embeddings_freq",
        "embeddings_metadata",
    },
    "BackupAndRestore": {"double_checkpoint"},
}
# Bases, lists for loops of one's own, and those without options.
WITHOUT = {"Callback", "CallbackList", "History", "ProgbarLogger", "StopSignal"}


def falling(epoch):
    return 0.01 / (epoch + 1)


class SeesWeights(callbacks.Callback):
    """Writes the weights that it finds at the end of each epoch."""

    def on_epoch_end(self, epoch, logs=None):
        Path(f"seen-{epoch}").write_bytes(b"".join(w.tobytes() for w in self.model.get_weights()))


class Writer:
    """Stands for the writer of tensorboardX: each call is a line of a file in its folder."""

    def __init__(self, folder):
        self.path = Path(folder) / "events"
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def add_scalar(self, tag, value, step):
        with self.path.open("a") as file:
            file.write(f"{tag} {value} {step}\n")

    def add_histogram(self, tag, value, step):
        self.add_scalar(tag, np.sum(value), step)

    def flush(self):
        pass

    def close(self):
        pass


class Bar:
    """Stands for tqdm's bar."""

    n = 0

    def __init__(self, **options):
        print(sorted(options.items()))

    def set_postfix(self, values, refresh):
        pass

    def update(self, steps):
        self.n += steps

    def close(self):
        pass


STOPS = {"patience": 1}
SAVES = {"filepath": "{epoch}.safetensors"}
PLATEAU = {"monitor": "loss", "min_delta": 10.0, "patience": 1}
# Callback and option: the arguments without it, those with it, and what the runs of both have besides.
OPTIONS = {
    ("BackupAndRestore", "backup_dir"): ({"backup_dir": "a"}, {"backup_dir": "b"}, {"interrupted": True}),
    ("BackupAndRestore", "save_freq"): ({"backup_dir": "a"}, {"save_freq": 5}, {"interrupted": True}),
    ("BackupAndRestore", "delete_checkpoint"): ({"backup_dir": "a"}, {"delete_checkpoint": False}, {}),
    ("CSVLogger", "filename"): ({"filename": "a"}, {"filename": "b"}, {}),
    ("CSVLogger", "separator"): ({"filename": "a"}, {"separator": ";"}, {}),
    ("CSVLogger", "append"): ({"filename": "a"}, {"append": True}, {"fits": 2}),
    ("EarlyStopping", "monitor"): (STOPS, {"monitor": "loss"}, {}),
    ("EarlyStopping", "min_delta"): (STOPS, {"min_delta": 1.0}, {}),
    ("EarlyStopping", "patience"): (STOPS, {"patience": 3}, {}),
    ("EarlyStopping", "verbose"): (STOPS, {"verbose": 1}, {}),
    ("EarlyStopping", "mode"): (STOPS, {"mode": "max"}, {}),
    ("EarlyStopping", "baseline"): ({"patience": 2}, {"baseline": 0.01}, {}),
    ("EarlyStopping", "restore_best_weights"): (STOPS, {"restore_best_weights": False}, {}),
    ("EarlyStopping", "start_from_epoch"): ({"patience": 0, "mode": "max"}, {"start_from_epoch": 4}, {}),
    ("JSONLogger", "filename"): ({"filename": "a"}, {"filename": "b"}, {}),
    ("JSONLogger", "append"): ({"filename": "a"}, {"append": True}, {"fits": 2}),
    **{
        ("LambdaCallback", hook): ({}, {hook: lambda *_: print("called")}, {})
        for hook in (
            "on_epoch_begin", "on_epoch_end", "on_train_begin", "on_train_end", "on_train_batch_begin",
            "on_train_batch_end", "kwargs",
        )
    },
    ("LearningRateScheduler", "schedule"): ({"schedule": falling}, {"schedule": lambda epoch: 0.01}, {}),
    ("LearningRateScheduler", "verbose"): ({"schedule": falling}, {"verbose": 1}, {}),
    ("ModelCheckpoint", "filepath"): (SAVES, {"filepath": "model-{epoch}.safetensors"}, {}),
    ("ModelCheckpoint", "monitor"): ({**SAVES, "save_best_only": True}, {"monitor": "loss"}, {}),
    ("ModelCheckpoint", "verbose"): (SAVES, {"verbose": 1}, {}),
    ("ModelCheckpoint", "save_best_only"): (SAVES, {"save_best_only": True}, {}),
    ("ModelCheckpoint", "save_weights_only"): (SAVES, {"save_weights_only": True}, {}),
    ("ModelCheckpoint", "mode"): ({**SAVES, "save_best_only": True}, {"mode": "max"}, {}),
    ("ModelCheckpoint", "save_freq"): (SAVES, {"save_freq": 5}, {}),
    ("ModelCheckpoint", "initial_value_threshold"): (
        {**SAVES, "save_best_only": True}, {"initial_value_threshold": 0.01}, {},
    ),
    ("ReduceLROnPlateau", "monitor"): ({"patience": 1}, {"monitor": "loss"}, {}),
    ("ReduceLROnPlateau", "factor"): (PLATEAU, {"factor": 0.5}, {}),
    ("ReduceLROnPlateau", "patience"): (PLATEAU, {"patience": 3}, {}),
    ("ReduceLROnPlateau", "verbose"): (PLATEAU, {"verbose": 1}, {}),
    ("ReduceLROnPlateau", "mode"): (PLATEAU | {"min_delta": 0.0}, {"mode": "max"}, {}),
    ("ReduceLROnPlateau", "min_delta"): (PLATEAU, {"min_delta": 0.0}, {}),
    ("ReduceLROnPlateau", "cooldown"): (PLATEAU, {"cooldown": 3}, {}),
    ("ReduceLROnPlateau", "min_lr"): (PLATEAU, {"min_lr": 0.004}, {}),
    ("SwapEMAWeights", "swap_on_epoch"): ({}, {"swap_on_epoch": True}, {"averages": True}),
    ("TensorBoard", "log_dir"): ({}, {"log_dir": "elsewhere"}, {}),
    ("TensorBoard", "histogram_freq"): ({}, {"histogram_freq": 2}, {}),
    ("TensorBoard", "update_freq"): ({}, {"update_freq": "batch"}, {}),
    ("TerminateOnNaN", "raise_error"): ({}, {"raise_error": True}, {"diverges": True}),
    ("TimeLimit", "seconds"): ({"seconds": 1e9}, {"seconds": 1e-9}, {}),
    ("TqdmCallback", "options"): ({}, {"desc": "fit"}, {}),
}


def interrupt(epoch, logs):
    if epoch == 3:
        raise KeyboardInterrupt


def run(kind, arguments, capsys, interrupted=False, fits=1, averages=False, diverges=False):
    """All that can be seen of fits with the callback, in the working folder."""
    model, x, y, validation = overfitting()
    # So fast that the loss of the validation turns within these epochs.
    model.compile(optimizers.Adam(0.03, use_ema=averages, ema_momentum=0.5), "binary_crossentropy")
    if diverges:
        model = fr.Sequential([layers.Dense(1)], seed=0)
        model.compile(optimizers.SGD(1e30), "mse")
    error, histories = None, []
    for _ in range(fits):
        given = [getattr(callbacks, kind)(**arguments), *([SeesWeights()] if averages else [])]
        if interrupted:
            given.append(callbacks.LambdaCallback(on_epoch_end=interrupt))
        try:
            found = model.fit(x, y, epochs=8, batch_size=8, validation_data=validation, callbacks=given, verbose=0)
            histories.append(found.history)
        except (KeyboardInterrupt, fr.DivergenceError) as ended:
            error = type(ended)
    files = {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    return repr(histories), [w.tobytes() for w in model.get_weights()], capsys.readouterr(), files, error


@pytest.mark.parametrize(("kind", "option"), OPTIONS)
def test_every_option_changes_what_a_run_does(kind, option, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboardX", types.SimpleNamespace(SummaryWriter=Writer))
    monkeypatch.setitem(sys.modules, "tqdm", types.ModuleType("tqdm"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", types.SimpleNamespace(tqdm=Bar))
    usual, changed, besides = OPTIONS[kind, option]
    if option == "kwargs":
        changed = {"on_test_begin": changed[option]}
    seen = []
    for name, arguments in (("usual", usual), ("same", usual), ("changed", usual | changed)):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        seen.append(run(kind, arguments, capsys, **besides))
    assert seen[0] == seen[1], "the same twice"
    assert seen[0] != seen[2]


def test_every_option_of_every_callback_is_in_the_table():
    public = {name for name in callbacks.__all__ if inspect.isclass(getattr(callbacks, name))} - WITHOUT
    options = {
        (name, option)
        for name in public
        for option in set(inspect.signature(getattr(callbacks, name)).parameters) - IDLE.get(name, set())
    }
    assert set(OPTIONS) == options
