"""A damaged journal is refused with a message or read as it was written; there are no other exceptions or scores.

Every bit of a small journal is flipped, every field of its lines is replaced, and lines are left out, doubled or mixed.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from pathlib import Path

import pytest
from fastreg.search import GridSearch, SuccessiveHalving
from fastreg.search.journal import Journal
from fastreg.search.run import trial_of_records
from programs import prompt
from searches import Scored, build, nothing, two_classes

# Values that a field may be replaced by, as JSON.
OTHERS = ("null", "true", '"text"', '""', "[]", "[null]", "{}", '{"a":1}', "-1", "0.5", "1e999", "NaN", "Infinity",
          "1" + 400 * "0", "1" + 5000 * "0", "18446744073709551616", 500 * "[" + 500 * "]", 99999 * "[", '"inf"')



def searched(path, grid=(1, 2), **options):
    """A grid search over estimators with two folds; its journal is small."""
    given = {"cv": 2, "seed": 0, "verbose": 0, "n_jobs": 1, "journal": path, "resume": True, "refit": False, **options}
    return GridSearch(Scored(), {"a": list(grid)}, **given).fit(*nothing())


def trained(path, units=(2, 3), **options):
    """A search over networks, whose lines have curves, histories and epochs."""
    given = {"cv": 2, "seed": 0, "verbose": 0, "n_jobs": 1, "journal": path, "resume": True, "refit": False,
             "scoring": ["accuracy", "loss"], "return_train_score": True, **options}
    return GridSearch(build, {"units": list(units), "lr": 0.01}, **given).fit(*two_classes(), epochs=2)


def unsealed(data: bytes) -> bytes:
    """The journal as a version without checksums would have written it."""
    return b"".join(re.sub(rb',"crc32":"\w{8}"\}$', b"}", line) + b"\n" for line in data.splitlines())


def header_of(data: bytes) -> dict:
    """What is searched, as its search told the journal."""
    header = json.loads(data.splitlines()[0])
    return {name: value for name, value in header.items() if name not in ("fastreg_search", "first_number", "crc32")}


def read(path: Path, header: dict, n_folds: int = 2, metrics=("score",)):
    """All trials of a journal as a resumed search gets them, by number."""
    with Journal(path, header, resume=True, widens=lambda old: True, replays=False) as journal:
        trials = [trial_of_records(records, metrics, n_folds) for records in journal.older()]
    return {trial.number: trial for trial in trials if trial is not None}


def put(path: Path, data: bytes) -> None:
    """Writes over a file without emptying it first, which would make some file systems wait for the disk."""
    with open(path, "r+b" if path.exists() else "wb") as file:
        file.write(data)
        file.truncate()


def sound(trial, whole, exact=True):
    """Whether a trial is one of the undamaged journal."""
    return trial == whole.get(trial.number) if exact else trial.number in whole


def outcome(work):
    """What a call gives, and the words of its ValueError; one of them is None."""
    try:
        return work(), None
    except ValueError as error:
        return None, str(error)


def refused(path: Path, header: dict, whole, exact=True, **how):
    """The message of the ValueError, or None where the journal is read, as it was written or with fewer folds."""
    before = path.read_bytes()
    found, message = outcome(lambda: read(path, header, **how))
    if message is not None:
        assert path.name in message
        assert path.read_bytes() == before, "a journal that is refused stays as it is"
    for trial in (found or {}).values():
        assert sound(trial, whole, exact), f"other scores were read: {trial}"
    return message


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "j.jsonl"
    searched(path)
    data = path.read_bytes()
    return data, header_of(data), read(path, header_of(data))


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    path = tmp_path_factory.mktemp("full") / "j.jsonl"
    trained(path)
    data = path.read_bytes()
    return data, header_of(data), read(path, header_of(data), metrics=("accuracy", "loss"))


def test_every_line_ends_with_the_checksum_of_what_stands_before_it(full):
    for line in full[0].splitlines():
        body, told = line[:-len(',"crc32":"00000000"}')] + b"}", json.loads(line)["crc32"]
        assert told == f"{zlib.crc32(body):08x}"
        assert json.loads(body) == {k: v for k, v in json.loads(line).items() if k != "crc32"}


def test_every_flipped_bit_is_found(small, tmp_path):
    """A flipped bit is refused with file and line, but in the last line's end: that line is cut off as if torn."""
    data, header, whole = small
    lines = data.splitlines(keepends=True)
    starts = [sum(map(len, lines[:i])) for i in range(len(lines))]
    path = tmp_path / "flipped.jsonl"
    accepted = []
    for at in range(len(data)):
        line = max(i for i, start in enumerate(starts) if start <= at) + 1
        for bit in range(8):
            put(path, data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1:])
            message = refused(path, header, whole)
            if message is None:
                accepted.append(at)
            else:
                assert f"line {line}" in message or f"line {line}:" in message, (at, bit, message)
    assert accepted == [len(data) - 1] * 8


def test_a_flipped_bit_of_an_older_journal_is_refused_in_words_or_harmless(small, tmp_path):
    """Without checksums a digit of a score cannot be told from another, but nothing else than ValueError is raised."""
    data, header, whole = small
    data = unsealed(data)
    path = tmp_path / "flipped.jsonl"
    put(path, data)
    assert read(path, header) == whole
    messages = set()
    for at in range(len(data)):
        for bit in range(at % 2, 8, 2):
            put(path, data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1:])
            _, message = outcome(lambda: read(path, header))
            if message is not None:
                assert path.name in message
                messages.add(message)
    assert len(messages) > 50


def fields(record, where=()):
    """The places of all values of a record, nested ones too."""
    for name, value in record.items() if isinstance(record, dict) else enumerate(record):
        yield (*where, name)
        if isinstance(value, (dict, list)):
            yield from fields(value, (*where, name))


def replaced(record, place, text):
    """The record as JSON with one value replaced by the text of another."""
    changed = json.loads(json.dumps(record))
    inner = changed
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = "HERE"
    return json.dumps(changed).replace('"HERE"', text).encode()


@pytest.mark.parametrize("old", [False, True], ids=["sealed", "old"])
def test_every_field_is_checked_where_it_is_replaced(full, tmp_path, old):
    """Each value of each line, nested ones too, becomes each of the others; the checksum is right, or there is none."""
    data, header, whole = full
    lines = unsealed(data).splitlines()
    path = tmp_path / "replaced.jsonl"
    fine = 0
    for number in (1, 2, 3):
        record = json.loads(lines[number - 1])
        for place in fields(record):
            for text in OTHERS:
                line = replaced(record, place, text)
                if not old:
                    line = line[:-1] + b',"crc32":"%08x"}' % zlib.crc32(line)
                put(path, b"\n".join([*lines[:number - 1], line, *lines[number:], b""]))
                message = refused(path, header, whole, exact=False, metrics=("accuracy", "loss"))
                fine += message is None
                if message is not None:
                    assert re.search(rf"line {number}\b", message) or number == 2, (place, text, message)
                    if text not in ("NaN", "Infinity", OTHERS[-2], OTHERS[14]):  # those are no JSON, whatever the field
                        assert place[0] in message or "another search" in message, (place, text, message)
    assert fine > 50  # a history's value may be another one


@pytest.mark.parametrize("name", ["trial", "fold", "stop", "params", "state", "scores", "train_scores", "epochs",
                                  "best_epoch", "seconds", "score_seconds", "history", "curve", "error"])
def test_a_missing_field_and_an_unknown_one_are_named(full, tmp_path, name):
    data, header, whole = full
    lines = unsealed(data).splitlines()
    record = json.loads(lines[2])
    assert name in record
    path = tmp_path / "missing.jsonl"
    value = record.pop(name)
    for changed, words in ((record, f"line 3: the field {name} is missing"),
                           (record | {name: value, f"{name}x": value}, f"line 3: unknown field '{name}x'")):
        put(path, b"\n".join([*lines[:2], json.dumps(changed).encode(), *lines[3:], b""]))
        message = refused(path, header, whole, metrics=("accuracy", "loss"))
        assert message is not None
        assert words in message


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("trial", "-1", r"trial must be an integer in \[0, 2\*\*63\), got -1"),
        ("trial", "true", r"trial must be an integer in \[0, 2\*\*63\), got True"),
        ("fold", "2", "fold must be < 2, got 2"),
        ("stop", "0", r"stop must be null or an integer in \[1, 2\*\*63\), got 0"),
        ("params", "[]", r"params must be an object, at most 50 levels deep, got \[\] \(list\)"),
        ("state", '"OK"', "state must be one of ok, pruned, diverged, unscored, failed, got 'OK'"),
        ("scores", '{"accuracy":1.0}', "scores must have the names accuracy, loss, got accuracy"),
        ("scores", '{"accuracy":null,"loss":1.0}', "scores: accuracy must be a finite number in state ok, got None"),
        ("scores", '{"accuracy":"1.0","loss":0.5}', "scores must be an object of numbers"),
        ("train_scores", '{"loss":0.5}', "train_scores must have the names accuracy, loss, got loss"),
        ("epochs", "2.0", r"epochs must be an integer in \[0, 2\*\*63\), got 2.0"),
        ("best_epoch", '"1"', r"best_epoch must be null or an integer in \[0, 2\*\*63\), got '1'"),
        ("seconds", "-0.5", "seconds must be a number >= 0, got -0.5"),
        ("score_seconds", "null", "score_seconds must be a number >= 0, got None"),
        ("history", '{"loss":0.5}', r"history must be null or an object of lists of numbers"),
        ("history", '{"loss":[0.5,true]}', r"history must be null or an object of lists of numbers"),
        ("curve", '["nan"]', r"curve must be null or a list of numbers \(null for NaN, \"inf\" and \"-inf\"\), got"),
        ("error", "7", "error must be null or a string, got 7"),
    ],
)
def test_a_message_names_file_line_field_rule_and_value(full, tmp_path, field, text, words):
    data, header, whole = full
    lines = unsealed(data).splitlines()
    path = tmp_path / "wrong.jsonl"
    put(path, b"\n".join([*lines[:4], replaced(json.loads(lines[4]), (field,), text), b""]))
    message = refused(path, header, whole, metrics=("accuracy", "loss"))
    assert re.search(rf"journal: .*wrong\.jsonl is damaged in line 5: {words}", str(message)), message


def test_a_name_that_is_twice_in_an_older_line_is_refused(full, tmp_path):
    """JSON readers take the last of two values, so a line that was written in part over another one would be read."""
    data, header, whole = full
    lines = unsealed(data).splitlines()
    path = tmp_path / "twice.jsonl"
    for at, extra in ((0, b'"seed":1'), (2, b'"state":"ok"'), (2, b'"params":{"units":2,"units":3,"lr":0.01}')):
        put(path, b"\n".join([*lines[:at], lines[at][:-1] + b"," + extra + b"}", *lines[at + 1 :], b""]))
        message = refused(path, header, whole, metrics=("accuracy", "loss"))
        assert f"line {at + 1}: it must be one JSON object (a name is there twice)" in str(message)


@pytest.mark.parametrize("old", [False, True], ids=["sealed", "old"])
def test_lines_that_are_doubled_or_of_another_run_are_found(small, tmp_path, old):
    data, header, whole = small
    lines = (unsealed(data) if old else data).splitlines(keepends=True)
    path = tmp_path / "mixed.jsonl"

    def message(*chosen):
        put(path, b"".join(chosen))
        return refused(path, header, whole) or ""

    head, *folds = lines
    doubled = message(*lines[:3], lines[1], *lines[3:])
    assert "line 4: trial, fold and stop must not be those of another line, got 0, 0 and None, which line 2" in doubled
    assert "line 3: first_number must be 1" in message(*lines[:2], head, *lines[2:])
    assert "line 6: first_number must be 2" in message(*lines, *lines)
    assert "line 1 must begin with" in message(*folds)
    assert message(head, *folds[::-1]) == "", "workers end in any order"
    other = tmp_path / "other.jsonl"
    searched(other, grid=(3, 4))
    stranger = other.read_bytes().splitlines(keepends=True)[2]
    assert "line 3: params must be the same in all folds of trial 0, {'a': 1} (dict), got {'a': 3} (dict)" in message(
        *lines[:2], stranger, *lines[3:])
    assert message(head, b"\n", *folds).endswith("got ''")


def test_a_damaged_space_of_an_older_journal_is_refused_or_compared(tmp_path):
    """Whatever stands in the description of a space: it is no space, or the new one widens it, or it does not."""
    from fastreg.search import Choice, Integer, LogUniform, RandomSearch, Uniform, When, Widths

    def find(path, most, **options):
        space = {"a": Choice([1.0, Uniform(2.0, most)]), "b": Integer(1, 5, step=2), "c": LogUniform(1e-3, most),
                 "d": Widths(Integer(1, 2), 8), "e": When("b", (1, 3), [True, None, "x"])}
        return RandomSearch(Lenient(), space, n_trials=2, cv=2, seed=0, verbose=0, n_jobs=1, journal=path, resume=True,
                            refit=False, **options).fit(*nothing())

    path = tmp_path / "j.jsonl"
    find(path, 3.0)
    head, *folds = unsealed(path.read_bytes()).splitlines()
    header = json.loads(head)
    outcomes = {"damaged": 0, "another": 0, "widened": 0}
    for place in fields(header["space"], ("space",)):
        for text in (*OTHERS[:10], *OTHERS[13:16], '{"type":"When"}', '{"type":"Choice","options":[]}', '{"type":1}',
                     '{"type":"Integer","low":0,"high":9,"step":0,"log":false}', '{"repr":"x"}', '{"list":[1]}'):
            put(path, b"\n".join([replaced(header, place, text), *folds, b""]))
            _, message = outcome(lambda: find(path, 4.0))
            if message is None:
                outcomes["widened"] += 1
            else:
                assert path.name in message
                assert "line 1" in message
                outcomes["damaged" if "is damaged in line 1" in message else "another"] += 1
    assert all(outcomes.values()), outcomes


class Lenient(Scored):
    """Takes any parameters."""

    def get_params(self, deep=True):
        return dict.fromkeys("abcde")

    def set_params(self, **params):
        return self


def test_damaged_parameters_of_older_trials_do_not_break_a_wider_search(tmp_path):
    """What an older journal says of a trial's parameters may be no point of the space; it is then evidence of none."""
    path = tmp_path / "j.jsonl"
    searched(path)
    lines = unsealed(path.read_bytes()).splitlines()
    for text in ("null", '"x"', "[]", "1" + 300 * "0", "[[1]]", '{"repr":1}', '{"repr":"x","b":1}', "-0.0", "1e308"):
        changed = [replaced(json.loads(line), ("params", "a"), text) if i in (1, 2) else line
                   for i, line in enumerate(lines)]
        put(path, b"\n".join([*changed, b""]))
        found = searched(path, grid=(1, 2, 3))
        assert [t.score for t in found.trials_ if t.params["a"] == 2] == [2.0]


def test_an_older_journal_is_gone_on_with(tmp_path):
    """Its own lines stay without a checksum, new ones have one, and what is found is the same."""
    path = tmp_path / "j.jsonl"
    options = {"pruner": SuccessiveHalving(1, factor=2)}
    whole = trained(tmp_path / "whole.jsonl", units=(2, 3, 4, 5), **options)
    lines = unsealed((tmp_path / "whole.jsonl").read_bytes()).splitlines(keepends=True)
    put(path, b"".join(lines[:4]))
    found = trained(path, units=(2, 3, 4, 5), **options)
    assert [t.scores for t in found.trials_] == [t.scores for t in whole.trials_]
    written = path.read_bytes().splitlines(keepends=True)
    assert written[:4] == lines[:4]
    assert all(b'"crc32":' in line for line in written[4:])
    assert len(written) == len(lines)


def test_line_ends_of_windows_are_put_up_with(small, tmp_path):
    data, header, whole = small
    path = tmp_path / "j.jsonl"
    put(path, data.replace(b"\n", b"\r\n"))
    assert read(path, header) == whole


def test_the_table_of_fields_is_what_a_fold_is_written_with(full):
    """A field that is written is checked, and one that is checked is written, unless it is optional."""
    from fastreg.search.records import FOLD

    written = {name for line in full[0].splitlines()[1:] for name in json.loads(line)} - {"crc32"}
    assert written <= FOLD.keys()
    assert {name for name, field in FOLD.items() if not field.optional} <= written


@pytest.mark.parametrize("kind", [str, os.fsencode, Path], ids=["str", "bytes", "Path"])
def test_a_journal_may_have_any_name_that_the_system_takes(tmp_path, kind):
    path = os.path.join(os.fspath(tmp_path), os.fsdecode(b"caf\xe9-\xff.jsonl"))
    first = searched(kind(path), seed=None)
    again = searched(kind(path), seed=None)
    assert again.seed_ == first.seed_
    assert os.listdir(os.fsencode(tmp_path)) == [b"caf\xe9-\xff.jsonl"]


@pytest.mark.parametrize(("journal", "error", "words"), [
    (7, TypeError, "journal must be a string or a path, got 7"),
    ("a\0b", ValueError, "journal must not hold a NUL character"),
    ("/dev/null", ValueError, "/dev/null must be a regular file"),
])
def test_what_is_no_file_is_refused(journal, error, words):
    with pytest.raises(error, match=words):
        searched(journal)


def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe must be a regular file"):
        prompt(lambda: searched(tmp_path / "pipe", seed=None), 20.0)
