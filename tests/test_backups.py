"""Runs that were killed continue from a backup bit for bit, with every callback."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from fastreg import callbacks, layers, optimizers, schedules
from fastreg.callbacks import checkpoints
from programs import blobs, compiled, same_bits, tutorial_layers

ALL = {
    "early stopping": lambda folder: callbacks.EarlyStopping(patience=9),
    "early stopping by a key": lambda folder: callbacks.EarlyStopping("loss", mode="max", patience=7),
    "plateau": lambda folder: callbacks.ReduceLROnPlateau(patience=1, factor=0.7, cooldown=1),
    "scheduler": lambda folder: callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
    "checkpoint": lambda folder: callbacks.ModelCheckpoint(folder / "best.safetensors", save_best_only=True),
    "checkpoint of batches": lambda folder: callbacks.ModelCheckpoint(folder / "{epoch}-{batch}.net", save_freq=7),
    "csv": lambda folder: callbacks.CSVLogger(folder / "log.csv", append=True),
    "json": lambda folder: callbacks.JSONLogger(folder / "log.jsonl", append=True),
    "nan": lambda folder: callbacks.TerminateOnNaN(),
    "lambda": lambda folder: callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None),
    "progress": lambda folder: callbacks.ProgbarLogger(),
    "history": lambda folder: callbacks.History(),
    "none": lambda folder: callbacks.Callback(),
}
EPOCHS = 8


def net_of(rate=None):
    rate = rate or schedules.LinearWarmup(schedules.CosineDecay(0.02, schedules.Share(0.8)), schedules.Epochs(1), 0.001)
    return compiled(tutorial_layers(), optimizer=optimizers.Adam(rate), seed=11, metrics=["accuracy"], n_features=10)


def fit(net, given, **options):
    x, y = blobs(83, 10, 2)
    return net.fit(x, y, batch_size=16, epochs=EPOCHS, validation_split=0.2, verbose=0, callbacks=given, **options)


class Killed(BaseException):
    pass


def killed_at(epoch, step=None):
    """Ends the run in a way that no hook of an end sees."""

    def kill(now, logs):
        if now == epoch:
            raise Killed

    return callbacks.LambdaCallback(on_epoch_begin=kill)


@pytest.mark.parametrize("overwritten", [None, 3])
def test_a_program_of_two_runs_that_is_killed_in_the_second_continues(overwritten, tmp_path):
    """The first run, which the program does again, leaves averages as the weights; the backup has those to train on."""

    def program(given):
        averaged = optimizers.Adam(0.02, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=overwritten)
        net = compiled(tutorial_layers(), optimizer=averaged, seed=11, n_features=10)
        fit(net, [])
        return net, fit(net, given)

    whole, expected = program([])
    folder = tmp_path / "backup"
    with pytest.raises(Killed):
        program([killed_at(5), callbacks.BackupAndRestore(folder)])
    parts, history = program([callbacks.LambdaCallback(), callbacks.BackupAndRestore(folder)])
    assert history.epoch == [5, 6, 7]
    assert history.history == {key: values[5:] for key, values in expected.history.items()}
    assert same_bits(whole.get_weights(), parts.get_weights())


@pytest.mark.parametrize("patience", [2, 99])
@pytest.mark.parametrize("restores", [False, True])
def test_early_stopping_says_the_same_beside_a_backup(patience, restores, tmp_path, capsys):
    """Python judges then, and in C++ otherwise."""
    told = []
    for beside in ([], [callbacks.BackupAndRestore(tmp_path / "backup")]):
        stopping = callbacks.EarlyStopping("loss", mode="max", patience=patience, verbose=1,
                                           restore_best_weights=restores)
        fit(net_of(), [stopping, *beside])
        told.append((capsys.readouterr().err, stopping.stopped_epoch, stopping.best_epoch))
    assert told[0] == told[1]
    assert ("early stopping" in told[0][0]) == (patience == 2)
    assert ("Restored the weights of epoch 1 (" in told[0][0]) == restores


def test_a_backup_of_more_epochs_than_are_wanted_trains_none(tmp_path):
    x, y = blobs(83, 10, 2)
    folder = tmp_path / "backup"
    with pytest.raises(Killed):
        fit(net_of(), [killed_at(6), callbacks.BackupAndRestore(folder)])
    net, whole = net_of(), net_of()
    history = net.fit(x, y, batch_size=16, epochs=4, validation_split=0.2, verbose=0,
                      callbacks=[callbacks.LambdaCallback(), callbacks.BackupAndRestore(folder)])
    assert (history.epoch, history.history["loss"]) == ([], [])
    with pytest.raises(Killed):
        fit(whole, [killed_at(6)])
    assert same_bits(net.get_weights(), whole.get_weights()), "those of the backup"
    assert not folder.exists()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("epoch", [1, 4, 7])
def test_a_killed_run_continues_bit_for_bit(name, epoch, tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = net_of(0.02 if name in ("plateau", "scheduler") else None)
    expected = fit(whole, [ALL[name](tmp_path / "whole"), callbacks.LambdaCallback()]).history
    parts = net_of(0.02 if name in ("plateau", "scheduler") else None)
    backup = callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(Killed):
        fit(parts, [ALL[name](tmp_path / "parts"), killed_at(epoch), backup])
    parts = net_of(0.02 if name in ("plateau", "scheduler") else None)
    history = fit(parts, [ALL[name](tmp_path / "parts"), callbacks.LambdaCallback(),
                          callbacks.BackupAndRestore(tmp_path / "backup")])
    assert history.epoch == list(range(epoch, len(expected["loss"])))
    assert history.history == {key: values[epoch:] for key, values in expected.items()}
    assert same_bits(whole.get_weights(), parts.get_weights())
    assert not (tmp_path / "backup").exists()
    files = [{path.name: path.read_bytes() for path in (tmp_path / part).iterdir()} for part in ("whole", "parts")]
    assert files[0] == files[1]


def test_a_run_that_early_stopping_had_ended_does_not_go_on(tmp_path):
    x, y = blobs(83, 10, 2)

    def fit(given):
        net = compiled([layers.Dense(1, "sigmoid")], optimizer=optimizers.SGD(1e-30), n_features=10)
        return net, net.fit(x, y, epochs=20, verbose=0, callbacks=given)

    class KilledAtTheEnd(callbacks.Callback):
        def on_train_end(self, logs=None):
            raise Killed

    with pytest.raises(Killed):
        fit([callbacks.EarlyStopping("loss", patience=2), KilledAtTheEnd(), callbacks.BackupAndRestore(tmp_path / "b")])

    class Ends(callbacks.Callback):
        pass

    Ends.__name__ = "KilledAtTheEnd"
    stopping = callbacks.EarlyStopping("loss", patience=2)
    _, history = fit([stopping, Ends(), callbacks.BackupAndRestore(tmp_path / "b")])
    assert history.epoch == []
    assert history.stopped_by == "early_stopping"
    assert stopping.stopped_epoch == 2


@pytest.mark.parametrize("double", [False, True])
def test_a_damaged_backup_is_an_error_or_the_one_before_is_used(double, tmp_path):
    with pytest.raises(Killed):
        fit(net_of(), [killed_at(4), callbacks.BackupAndRestore(tmp_path, double_checkpoint=double)])
    file = tmp_path / "backup.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    again = [callbacks.LambdaCallback(), callbacks.BackupAndRestore(tmp_path, double_checkpoint=double)]
    if double:
        assert fit(net_of(), again).epoch == list(range(3, EPOCHS))
        return
    net = net_of()
    with pytest.raises(ValueError, match=r"backup\.safetensors"):
        fit(net, again)
    assert net._core.trainer.step == 0


def small_fit(folder, epochs, given=()):
    """A fit with a backup of a few hundred bytes; each fit is like the others."""
    x, y = blobs(24, 2, 2)
    net = compiled([layers.Dense(1, "sigmoid")], optimizer=optimizers.SGD(0.1), n_features=2)
    stopping = callbacks.EarlyStopping("loss", patience=9, restore_best_weights=True)
    net.fit(x, y, epochs=epochs, verbose=0, callbacks=[stopping, *given, callbacks.BackupAndRestore(folder)])
    return net


@pytest.mark.parametrize("kind", ["flipped", "truncated"])
def test_every_damage_of_a_backup_is_an_error_that_names_it(kind, tmp_path):
    """Of every byte, of the tensors too: no run goes on from numbers that nobody computed."""
    with pytest.raises(Killed):
        small_fit(tmp_path, 3, [killed_at(2)])
    path = tmp_path / "backup.safetensors"
    whole = path.read_bytes()
    wrong = []
    for i in range(len(whole)):
        path.write_bytes(whole[:i] if kind == "truncated" else whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1:])
        try:
            small_fit(tmp_path, 3, [killed_at(2)])
        except ValueError as error:
            if str(path) not in str(error):
                wrong.append((i, str(error)))
        except BaseException as error:
            wrong.append((i, repr(error)))
    assert wrong == []
    path.write_bytes(whole)
    with pytest.raises(Killed):
        small_fit(tmp_path, 3, [killed_at(2)])


def test_a_backup_without_a_checksum_is_refused(tmp_path):
    with pytest.raises(Killed):
        small_fit(tmp_path, 3, [killed_at(2)])
    path = tmp_path / "backup.safetensors"
    whole = path.read_bytes()
    size = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8:8 + size])
    content = json.loads(header["__metadata__"]["fastreg"])
    del content["crc32"]
    for fields, words in ((content, "crc32"), (content | {"backup": 1}, "backup must be 2, got 1")):
        text = json.dumps(header | {"__metadata__": {"fastreg": json.dumps(fields)}}).encode()
        text += b" " * (-len(text) % 8)
        path.write_bytes(len(text).to_bytes(8, "little") + text + whole[8 + size:])
        with pytest.raises(ValueError, match=rf"backup\.safetensors must be a backup of a fit.*{words}"):
            small_fit(tmp_path, 3, [killed_at(2)])


def test_a_damaged_backup_does_not_replace_the_one_before(tmp_path, monkeypatch):
    """Killed while it writes the first backup after it went on from the one before the last."""
    def again():
        return [callbacks.LambdaCallback(), callbacks.BackupAndRestore(tmp_path, double_checkpoint=True)]

    with pytest.raises(Killed):
        fit(net_of(), [killed_at(4), callbacks.BackupAndRestore(tmp_path, double_checkpoint=True)])
    file = tmp_path / "backup.safetensors"
    file.write_bytes(file.read_bytes()[:-9])

    def killed(*arguments):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints._core, "save_file", killed)
        with pytest.raises(Killed):
            fit(net_of(), again())
    history = fit(net_of(), again())
    assert history.epoch == list(range(3, EPOCHS))


def test_a_last_backup_that_cannot_be_opened_is_passed_over(tmp_path):
    with pytest.raises(Killed):
        fit(net_of(), [killed_at(4), callbacks.BackupAndRestore(tmp_path, double_checkpoint=True)])
    file = tmp_path / "backup.safetensors"
    file.unlink()
    file.mkdir()
    begun = []
    noted = callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: begun.append(epoch))
    with pytest.raises(IsADirectoryError):  # only when it writes
        fit(net_of(), [noted, callbacks.BackupAndRestore(tmp_path, double_checkpoint=True)])
    assert begun == [3], "it went on from the one before"
    (tmp_path / "backup-before.safetensors").unlink()
    with pytest.raises(IsADirectoryError):
        fit(net_of(), [noted, callbacks.BackupAndRestore(tmp_path, double_checkpoint=True)])
    assert begun == [3]


def test_a_backup_of_something_else_is_refused(tmp_path):
    with pytest.raises(Killed):
        fit(net_of(), [killed_at(4), callbacks.BackupAndRestore(tmp_path)])
    with pytest.raises(ValueError, match=r"^BackupAndRestore: the backup must be of the same fit"):
        fit(net_of(), [callbacks.BackupAndRestore(tmp_path)])
    other = compiled([layers.Dense(1, "sigmoid")], metrics=["accuracy"], n_features=10)
    with pytest.raises(ValueError, match=r"^BackupAndRestore: the backup must be of the same fit"):
        fit(other, [callbacks.LambdaCallback(), callbacks.BackupAndRestore(tmp_path)])
    net_of().save(tmp_path / "backup.safetensors")
    with pytest.raises(ValueError, match=r"backup\.safetensors must be a backup of a fit"):
        fit(net_of(), [callbacks.LambdaCallback(), callbacks.BackupAndRestore(tmp_path)])


def test_a_backup_between_batches_goes_on_with_its_epoch(tmp_path):
    seen = []

    def kill(batch, logs):
        seen.append(batch)
        if len(seen) == 9:
            raise Killed

    with pytest.raises(Killed):
        fit(net_of(), [callbacks.LambdaCallback(on_train_batch_end=kill),
                       callbacks.BackupAndRestore(tmp_path, save_freq=2)])
    net = net_of()
    history = fit(net, [callbacks.LambdaCallback(), callbacks.BackupAndRestore(tmp_path, save_freq=2,
                                                                               delete_checkpoint=False)])
    assert history.epoch == list(range(1, EPOCHS))
    assert (tmp_path / "backup.safetensors").exists()


def test_a_killed_process_continues(tmp_path):
    """kill -9, in the middle of an epoch or of writing; what is left is a whole backup."""
    program = textwrap.dedent("""
        import os, signal, sys
        sys.path.insert(0, sys.argv[1])
        from test_backups import *
        given = [callbacks.EarlyStopping(patience=9), callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: epoch == 5 and os.kill(os.getpid(), signal.SIGKILL))]
        fit(net_of(), [*given, callbacks.BackupAndRestore(sys.argv[2])])
    """)
    tests = Path(__file__).parent
    paths = os.pathsep.join([str(tests / "helpers"), *sys.path])
    done = subprocess.run([sys.executable, "-c", program, tests, tmp_path], env=os.environ | {"PYTHONPATH": paths},
                          check=False)
    assert done.returncode == -9
    whole, parts = net_of(), net_of()
    fit(whole, [callbacks.EarlyStopping(patience=9)])
    history = fit(parts, [callbacks.EarlyStopping(patience=9), callbacks.LambdaCallback(),
                          callbacks.BackupAndRestore(tmp_path)])
    assert history.epoch[0] == 5
    assert same_bits(whole.get_weights(), parts.get_weights())


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("lambda", "scheduler")])
def test_callbacks_can_be_copied_and_pickled(name, tmp_path):
    made = ALL[name](tmp_path)
    fit(net_of(0.01), [made])
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert type(other) is type(made)
        assert other.get_state().keys() == made.get_state().keys()


def test_every_callback_is_in_the_table():
    elsewhere = {"CallbackList", "StopSignal", "TimeLimit", "BackupAndRestore", "SwapEMAWeights", "TensorBoard",
                 "TqdmCallback"}
    assert {type(make(Path())).__name__ for make in ALL.values()} | elsewhere == set(callbacks.__all__)
