"""The progress of a fit: nothing if quiet, else lines or one rewritten line on standard error, ten times a second."""
from __future__ import annotations

import re
import time

import pytest
from fastreg import callbacks
from fastreg.internal.progress import format_count, format_time
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


def test_numbers_of_samples_are_short():
    """At most four characters and a unit, also where rounding adds a digit."""
    factors = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
    for power in range(13):
        for lead in (1.0, 1.2345, 9.994, 9.995, 9.9949, 9.996, 9.9996, 9.99996):
            value = lead * 10.0**power
            number, _, unit = format_count(value).partition(" ")
            assert re.fullmatch(r"[0-9.]{1,4}", number), number
            assert float(number) < 1000.0
            assert abs(float(number) * factors[unit] - value) <= max(0.5, 0.00501 * value)


def test_times_are_rounded_to_their_own_units():
    texts = {0.0: "0.0s", 0.94: "0.9s", 0.96: "1s", 12.4: "12s", 59.4: "59s", 59.6: "1:00", 187.2: "3:07"}
    texts |= {3599.4: "59:59", 3599.7: "1:00:00", 7509.0: "2:05:09"}
    assert {seconds: format_time(seconds) for seconds in texts} == texts


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
