"""What a callback may put into the logs of an epoch: numbers of any library's types, and texts that are no numbers."""

import fractions
import io
import json
import math
import sys

import numpy as np
import pytest
from fastreg import callbacks
from fastreg.internal.progress import Progress
from programs import overfitting


def fitted(value, *others, epochs=3, **options):
    """The history of a fit in which a callback adds a value, a function of the epoch, to the logs."""
    net, x, y, _ = overfitting()
    adds = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(added=value(epoch)))
    options = {"verbose": 0} | options
    return net.fit(x, y, epochs=epochs, callbacks=[adds, *others], **options).history


@pytest.mark.parametrize("kind", [
    float, np.float32, np.float64, np.int8, lambda epoch: np.array(epoch, np.float32), fractions.Fraction,
    lambda epoch: np.ones((epoch, 1)).sum(axis=0)[0],
], ids=["float", "float32", "float64", "int8", "array without axes", "fraction", "element"])  # fmt: skip
def test_a_number_of_any_type_is_in_the_history(kind):
    found = fitted(kind)["added"]
    assert found == [0.0, 1.0, 2.0]
    assert {type(number) for number in found} == {float}


@pytest.mark.parametrize(
    "value", ["3", b"3", None, 1j, np.complex64(1 + 2j), np.ones(1), np.ones(2), [1.0], {"a": 1.0}], ids=repr
)
def test_what_is_no_single_real_number_is_not_in_the_history(value):
    assert "added" not in fitted(lambda epoch: value)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("value", ["text", None, np.ones(2), 1j], ids=repr)
def test_a_value_that_is_no_number_does_not_end_a_run_that_is_shown(value, monkeypatch):
    pytest.importorskip("tqdm")
    stream = io.StringIO()
    bar = callbacks.TqdmCallback(file=stream, mininterval=0)
    for verbose in (1, 2):
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        history = fitted(lambda epoch: value, bar, verbose=verbose)
        assert f"loss={history['loss'][-1]:.4g}" in stream.getvalue()
    # On a terminal the values of the epoch before are shown within an epoch, and a callback has changed them.
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = Progress(1, 0, 3, 10)
    assert progress.live
    logs = {"loss": 0.5, "accuracy": 0.25}
    progress.epoch_ended(0, logs)
    logs["added"] = value
    monkeypatch.setattr(progress, "_due", lambda: True)
    progress.within_epoch(1, 1, 2, 0.125)
    assert "loss 0.1250 - accuracy 0.2500 - " in terminal.getvalue()


def test_a_file_of_json_lines_has_texts_and_what_is_no_number(tmp_path):
    values = ["text", None, True, np.array(2.5), math.inf, np.bool_(False)]
    fitted(lambda epoch: values[epoch], callbacks.JSONLogger(tmp_path / "log.jsonl"), epochs=len(values))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [repr(line["added"]) for line in lines] == ["'text'", "None", "True", "2.5", "None", "False"]
    with pytest.raises(TypeError, match=r"^JSONLogger: logs\['added'\] must be a number, a text, .* got \[1.0\]"):
        fitted(lambda epoch: [1.0], callbacks.JSONLogger(tmp_path / "log.jsonl"))


def test_tensorboard_is_given_the_numbers(tmp_path, monkeypatch):
    found = []

    class Writer:
        def __init__(self, folder):
            pass

        def add_scalar(self, tag, value, step):
            found.append((tag, float(value), step))

        flush = close = lambda self: None

    monkeypatch.setattr("fastreg.callbacks.tensorboard._writer_class", lambda: Writer)
    history = fitted(lambda epoch: "text" if epoch < 2 else 4, callbacks.TensorBoard(tmp_path))
    assert [row for row in found if row[0] == "epoch_added"] == [("epoch_added", 4.0, 2)]
    assert [value for tag, value, _ in found if tag == "epoch_loss"] == history["loss"]


@pytest.mark.parametrize("emptied", [dict.clear, lambda history: history["loss"].clear()], ids=["all", "a column"])
def test_a_history_that_a_callback_empties_goes_on(emptied):
    """As in Keras, where it is filled after the callbacks."""
    net, x, y, _ = overfitting()
    kept = callbacks.History()
    whole = net.fit(x, y, epochs=4, verbose=0).history
    again = overfitting()[0]

    def empty(epoch, logs):
        if epoch == 1:
            emptied(kept.history)

    again.fit(x, y, epochs=4, verbose=0, callbacks=[kept, callbacks.LambdaCallback(on_epoch_end=empty)])
    assert kept.history["loss"] == whole["loss"][1:]
