"""The rules for the lines of a journal, field by field, and the checksum at the end of each line.

A line is checked before any part of it is used, so a search either reads what was written or refuses it with a message,
whatever happened to the file. Lines without a checksum were written by older versions; their fields are checked, too.
This module knows nothing of files.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from fastreg.internal.checks import SEED_LIMIT, describe
from fastreg.search.space.distributions import Choice, Integer, LogUniform, Uniform, When, Widths

__all__ = ["FOLD", "FORMAT", "HEADER", "MARK", "check_fold", "check_header", "check_space", "parse", "seal"]

FORMAT = 1
# The first field of a header, whose value is the format.
MARK = "fastreg_search"
CHECKSUM = "crc32"

Record = dict[str, Any]

_SEAL = re.compile(rb',"crc32":"([0-9a-f]{8})"\}')
_SEAL_SIZE = len(',"crc32":"00000000"}')
_STATES = ("ok", "pruned", "diverged", "unscored", "failed")
# Levels of lists and objects within a field, at most.
_DEEPEST = 50
_INTEGER_LIMIT = 2**63


class Field(NamedTuple):
    """A field of a line.

    Attributes:
        words: What its value must do, for the message.
        test: Whether a value does it.
        optional: The field may be missing.
    """

    words: str
    test: Callable[[Any], bool]
    optional: bool = False


def seal(text: str) -> str:
    """A JSON object with the checksum of its text as its last field."""
    return f'{text[:-1]},"{CHECKSUM}":"{zlib.crc32(text.encode()):08x}"}}'


def parse(line: bytes) -> Record:
    """The object that a line holds, without its checksum.

    Raises:
        ValueError: If the checksum is not that of the line, or the line is not one JSON object.
    """
    found = _SEAL.fullmatch(line[-_SEAL_SIZE:])
    if found is not None:
        line = line[:-_SEAL_SIZE] + b"}"
        told, own = found[1].decode(), f"{zlib.crc32(line):08x}"
        if told != own:
            raise ValueError(f"{CHECKSUM} must be the checksum of the line, {own!r}, got {told!r}")
    try:
        # The hook takes time; what has the right checksum is as it was written.
        names_once = None if found else _object
        record = json.loads(line.decode(), object_pairs_hook=names_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        shown = describe(line[:60].decode(errors="replace"))
        raise ValueError(f"it must be one JSON object ({error}), got {shown}") from None
    if not isinstance(record, dict):
        raise ValueError(f"it must be one JSON object, got {describe(record)}")
    if CHECKSUM in record:
        raise ValueError(f"{CHECKSUM} must be 8 hexadecimal digits, the last field, got {describe(record[CHECKSUM])}")
    return record


def check_header(record: Record) -> None:
    """Raises ValueError, naming the field, the rule and the value, if this is not a header."""
    _check(record, HEADER)


def check_known(record: Record, known: Collection[str]) -> None:
    """Raises ValueError for a field of another name."""
    if unknown := [name for name in record if name not in known]:
        raise ValueError(f"unknown field {describe(unknown[0])}; known: {', '.join(known)}")


def check_fold(record: Record, header: Mapping[str, Any]) -> None:
    """Raises ValueError, naming field, rule and value, if this is not a finished fold of the header's search."""
    _check(record, FOLD)
    check_known(record, FOLD)
    n_folds = header.get("folds", {}).get("number")
    if n_folds is not None and record["fold"] >= n_folds:
        raise ValueError(f"fold must be < {n_folds}, got {record['fold']}")
    if "scoring" in header:
        _check_names(record, header["scoring"].keys())
    if record["state"] == "ok" and record["scores"]:
        name, value = next(iter(record["scores"].items()))  # the primary one; others may be undefined
        if type(value) not in (int, float):
            raise ValueError(f"scores: {name} must be a finite number in state ok, got {describe(value)}")


def _check_names(record: Record, metrics: Any) -> None:
    """Scores are those of the metrics; a fold that was not scored has none at all."""
    for field in ("scores", "train_scores"):
        names = None if record[field] is None else record[field].keys()
        unscored = field == "scores" and record["state"] != "ok" and not names
        if names is not None and names != metrics and not unscored:
            raise ValueError(f"{field} must have the names {', '.join(metrics)}, got {', '.join(names) or 'none'}")


def _check(record: Record, table: Mapping[str, Field]) -> None:
    for name, field in table.items():
        if name not in record:
            if not field.optional:
                raise ValueError(f"the field {name} is missing")
        elif not field.test(record[name]):
            raise ValueError(f"{name} must {field.words}, got {describe(record[name])}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a name is there twice")
    return made


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


# --- what values must be ---------------------------------------------------------------------------------------------


def _whole(value: Any, low: int = 0, limit: int = _INTEGER_LIMIT) -> bool:
    return type(value) is int and low <= value < limit


def _wholes(value: Any) -> bool:
    return type(value) is list and all(map(_whole, value))


def _text(value: Any) -> bool:
    return type(value) is str


def _float(value: Any) -> bool:
    """Whether ``journal.decode_float`` makes a float of it."""
    if type(value) is int:
        return abs(value) < _INTEGER_LIMIT
    return value is None or value in ("inf", "-inf") if type(value) is not float else math.isfinite(value)


def _floats(value: Any) -> bool:
    if type(value) is not list:
        return False
    if set(map(type, value)) <= {float}:  # nearly always, and there may be many
        return math.inf not in value and -math.inf not in value
    return all(map(_float, value))


def _seconds(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < math.inf


def _named(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Of an object, whose values pass a test."""
    return lambda value: type(value) is dict and all(map(test, value.values()))


def _or_null(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or test(value)


def _shallow(value: Any, levels: int = _DEEPEST) -> bool:
    if type(value) not in (dict, list):
        return True
    items = value.values() if type(value) is dict else value
    return levels > 0 and all(_shallow(item, levels - 1) for item in items)


def _shallow_object(value: Any) -> bool:
    return type(value) is dict and _shallow(value)


def hexadecimal(value: Any) -> bool:
    """Whether it is the text of a hash."""
    return type(value) is str and re.fullmatch("[0-9a-f]{8,128}", value) is not None


def _base64(value: Any) -> bool:
    return type(value) is str and len(value) % 4 == 0 and re.fullmatch("[A-Za-z0-9+/]*={0,2}", value) is not None


def _folds(value: Any) -> bool:
    return _shallow_object(value) and _whole(value.get("number", 1), 1)


_OBJECT = f"be an object, at most {_DEEPEST} levels deep"
_INTEGER = "be an integer in [0, 2**63)"
_FLOATS = 'numbers (null for NaN, "inf" and "-inf")'

#: The fields of a finished fold. One that older journals lack is optional.
FOLD: dict[str, Field] = {
    "trial": Field(_INTEGER, _whole),
    "fold": Field(_INTEGER, _whole),
    "stop": Field("be null or an integer in [1, 2**63)", _or_null(lambda value: _whole(value, 1))),
    "params": Field(_OBJECT, _shallow_object),
    "state": Field(f"be one of {', '.join(_STATES)}", lambda value: _text(value) and value in _STATES),
    "scores": Field(f"be an object of {_FLOATS}", _named(_float)),
    "train_scores": Field(f"be null or an object of {_FLOATS}", _or_null(_named(_float))),
    "epochs": Field(_INTEGER, _whole),
    "best_epoch": Field(f"be null or {_INTEGER[3:]}", _or_null(_whole)),
    "seconds": Field("be a number >= 0", _seconds),
    "score_seconds": Field("be a number >= 0", _seconds),
    "history": Field(f"be null or an object of lists of {_FLOATS}", _or_null(_named(_floats))),
    "curve": Field(f"be null or a list of {_FLOATS}", _or_null(_floats)),
    "error": Field("be null or a string", _or_null(_text)),
    "fingerprint": Field("be null or hexadecimal digits", _or_null(hexadecimal), optional=True),
    "validation_epochs": Field(f"be null or a list of integers{_INTEGER[10:]}", _or_null(_wholes), optional=True),
    "outputs": Field("be null or base64", _or_null(_base64), optional=True),
}

#: The fields of a header that are used. What else there is, and their values, must be those of the search.
HEADER: dict[str, Field] = {
    MARK: Field(f"be {FORMAT}", lambda value: type(value) is int and value == FORMAT),
    "first_number": Field(_INTEGER, _whole),
    "seed": Field("be an integer in [0, 2**64)", lambda value: _whole(value, 0, SEED_LIMIT), optional=True),
    "space": Field(_OBJECT, _shallow_object, optional=True),
    "folds": Field("be an object whose number is an integer >= 1", _folds, optional=True),
    "data": Field(_OBJECT, _shallow_object, optional=True),
    "scoring": Field(
        'be an object of "max" and "min"', _named(lambda value: value in ("max", "min")), optional=True
    ),
    "strategy": Field(_OBJECT, _shallow_object, optional=True),
    "schedule": Field(_OBJECT, _shallow_object, optional=True),
    "fit": Field(_OBJECT, _shallow_object, optional=True),
    "preprocess": Field(f"be at most {_DEEPEST} levels deep", _shallow, optional=True),
}


# --- the description of a space --------------------------------------------------------------------------------------


def check_space(space: Mapping[str, Any]) -> None:
    """Raises ValueError, naming the parameter, if this is not a space as ``widening.describe_space`` describes it."""
    alternatives = space.get("alternatives")
    if space.keys() != {"alternatives", "constraint"} or type(alternatives) is not list or not alternatives:
        raise ValueError(f"space must have alternatives, a list, and constraint, got {describe(space)}")
    if not _or_null(_text)(space["constraint"]):
        raise ValueError(f"space: constraint must be null or a string, got {describe(space['constraint'])}")
    for alternative in alternatives:
        if type(alternative) is not dict:
            raise ValueError(f"space: an alternative must be an object, got {describe(alternative)}")
        for name, value in alternative.items():
            try:
                _described(value)
            except (TypeError, ValueError) as error:
                raise ValueError(f"space: {name}: {error}") from None


def _described(value: Any) -> Any:
    """The value or distribution that a description represents. The distribution itself checks its arguments."""
    if type(value) is list or (type(value) is float and not math.isfinite(value)):
        raise ValueError(f"it must be a value or an object, got {describe(value)}")
    if type(value) is int and abs(value) >= _LARGEST:
        raise ValueError(f"it must be less than 2**1023, got {describe(value)}")
    if type(value) is not dict or (value.keys() == {"repr"} and _text(value["repr"])):
        return value
    if value.keys() == {"list"} and type(value["list"]) is list:
        return [_described(item) for item in value["list"]]
    if value.keys() == {"type", "distribution"} and value["type"] == "Drawn" and _text(value["distribution"]):
        return {"repr": value["distribution"]}
    kind = _DISTRIBUTIONS.get(value["type"]) if _text(value.get("type")) else None
    if kind is None or value.keys() | _optional(kind) != {"type", *(field.name for field in fields(kind))}:
        raise ValueError(f"it must be a distribution, {', '.join(_DISTRIBUTIONS)}, got {describe(value)}")
    arguments: Record = {name: given for name, given in value.items() if name != "type"}
    for name, given in arguments.items():
        if name in ("options", "equals"):
            if type(given) is not list:
                raise ValueError(f"{name} must be a list, got {describe(given)}")
            arguments[name] = tuple(map(_described, given))
        else:
            arguments[name] = _described(given)
    return kind(**arguments)


def _optional(kind: Any) -> set[str]:
    """The fields that a description may lack: the step of a range of floats without one."""
    return {"step"} if kind is Uniform else set()


_LARGEST = 2**1023
_DISTRIBUTIONS: dict[str, Any] = {
    kind.__name__: kind for kind in (Uniform, LogUniform, Integer, Choice, Widths, When)
}
