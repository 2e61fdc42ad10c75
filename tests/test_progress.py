"""The progress of a fit: nothing if quiet, else lines or one rewritten line on standard error, ten times a second."""
from __future__ import annotations

import re
import time

import pytest
from fastreg import callbacks
from programs import last_json, on_terminal, overfitting, run_program


def test_verbose_zero_is_silent(capfd):
    model, x, y, validation = overfitting()
    model.fit(x, y, epochs=20, verbose=0, validation_data=validation, callbacks=[callbacks.EarlyStopping(patience=1)])
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


@pytest.mark.parametrize("verbose", [1, 2])
def test_progress_goes_to_standard_error_in_plain_lines(verbose, capfd):
    model, x, y, validation = overfitting()
    model.fit(x, y, epochs=3, verbose=verbose, validation_data=validation)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "\r" not in captured.err
    assert "\x1b" not in captured.err
    assert "\b" not in captured.err
    assert captured.err.endswith("\n")
    assert re.search(r"3/3", captured.err)
    assert "val_loss" in captured.err
    assert "loss" in captured.err


def test_progress_is_at_most_ten_updates_a_second(capfd):
    model, x, y, validation = overfitting()
    start = time.perf_counter()
    model.fit(x, y, epochs=3000, verbose=1, validation_data=validation)
    took = time.perf_counter() - start
    lines = capfd.readouterr().err.splitlines()
    assert 1 <= len(lines) <= 10 * took + 2
    assert any("3000/3000" in line for line in lines), "the last epoch is shown"


def test_progress_on_a_terminal_is_one_line_at_most_ten_times_a_second():
    program = """
import time
from programs import overfitting
model, x, y, validation = overfitting()
start = time.perf_counter()
model.fit(x, y, epochs=1500, verbose=1, validation_data=validation)
print(time.perf_counter() - start)
"""
    done = run_program(on_terminal(program))
    took = float(done.stdout.splitlines()[0])
    updates, lines, text = last_json(done)
    assert updates + lines <= 10 * took + 4
    assert lines <= 3
    assert "1500/1500" in text


def test_evaluate_prints_only_if_asked(capfd):
    model, x, y, _ = overfitting(n_features=8)
    model.evaluate(x, y, verbose=0)
    model.predict(x)
    assert capfd.readouterr() == ("", "")
    model.evaluate(x, y, verbose=1)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "loss" in captured.err


def test_a_broken_standard_error_is_not_the_fits_problem():
    program = """
import sys
from programs import overfitting
sys.stderr = None
model, x, y, validation = overfitting()
model.fit(x, y, epochs=2, verbose=1, validation_data=validation)
print("done")
"""
    assert run_program(program).stdout.split() == ["done"]
