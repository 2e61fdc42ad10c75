"""Spaces as JSON, for the journal: whether one contains every point of another, and whether all values are distinct.

A distribution is a dict with its class name under ``"type"``. None, bool, int, finite float and string are written as
they are, a list or tuple as ``{"list": [...]}``, and everything else as ``{"repr": text}`` without the addresses of
objects. This module knows neither nodes nor leaves: two spaces are compared by their JSON alone, because one comes from
a file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, cast

from fastreg.search.space.distributions import Choice, Distribution, Uniform, When, flat, holds
from fastreg.search.space.drawn import Drawn
from fastreg.search.space.tree import plain, text_of, value_key
from fastreg.search.values import encode

_CONTINUOUS = ("Uniform", "LogUniform")
# Most integers that are looked up one by one in a list of options.
_MOST_LISTED = 1000


def describe_space(alternatives: Iterable[Mapping[str, Any]], constraint: object) -> dict[str, Any]:
    """The JSON of a space: ``{"alternatives": [{name: description}], "constraint": name of the function or None}``."""
    name = None if constraint is None else getattr(constraint, "__qualname__", type(constraint).__qualname__)
    described = [{key: describe_value(value) for key, value in a.items()} for a in alternatives]
    return {"alternatives": described, "constraint": name}


def check_told_apart(alternatives: Iterable[Mapping[str, Any]]) -> None:
    """Raises ValueError where two values of a parameter are written alike, as two lambdas are."""
    written: dict[tuple[str, str], Any] = {}
    for alternative in alternatives:
        for name, value in alternative.items():
            given = value.distribution if isinstance(value, When) else value
            for option in flat(given.options) if isinstance(given, Choice) else [given]:
                if isinstance(option, Distribution):
                    continue
                key, text = value_key(option), json.dumps(encode(option), sort_keys=True)
                if written.setdefault((name, text), key) != key:
                    raise ValueError(
                        f"search: a journal cannot tell two options of parameter {name!r} apart, both are written as "
                        f"{text}; give them names in the space, and let build look up by name what they stand for"
                    )


def describe_value(value: Any) -> Any:
    """The JSON of a distribution, of an option or of a parameter's value."""
    if isinstance(value, Drawn):
        return {"type": "Drawn", "distribution": value.text}
    if isinstance(value, (Distribution, When)):
        config: dict[str, Any] = {"type": type(value).__name__}
        for field in fields(cast(Any, value)):
            config[field.name] = describe_value(getattr(value, field.name))
        if isinstance(value, Choice):
            config["options"] = config["options"]["list"]
        elif isinstance(value, When):
            config["equals"] = [describe_value(v) for v in value.values]
        elif isinstance(value, Uniform) and value.step is None:
            del config["step"]  # older journals have none
        return config
    value = plain(value)
    if value is None or type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value)):
        return value
    if type(value) in (list, tuple):
        return {"list": [describe_value(item) for item in value]}
    return {"repr": text_of(value)}


def covers_space(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Whether every point of the old space is a point of the new one, by their descriptions."""
    return all(any(_covers_mapping(n, o) for n in new["alternatives"]) for o in old["alternatives"])


def _covers_mapping(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    if any(name not in new or not _covers_parameter(new[name], old[name], old) for name in old):
        return False
    return all(_never_exists(new[name], old) for name in new if name not in old)


def _covers_parameter(new: Any, old: Any, parameters: Mapping[str, Any]) -> bool:
    """Whether a parameter of the old space exists in the new one for the same old points, with at least its values."""
    if not _covers(_unconditional(new), _unconditional(old)):
        return False
    if _type(new) != "When":
        return _type(old) != "When"
    if new["name"] not in parameters:
        return False
    parent = _unconditional(parameters[new["name"]])
    if _type(old) != "When":
        return _always_in(parent, new["equals"])
    asked = [v for v in [*old["equals"], *new["equals"]] if _covers(parent, v)]
    return new["name"] == old["name"] and all(_among(v, old["equals"]) == _among(v, new["equals"]) for v in asked)


def _never_exists(new: Any, parameters: Mapping[str, Any]) -> bool:
    """Whether a parameter that the old space lacks is absent from the new space's points that were in the old one."""
    if _type(new) != "When":
        return False
    parent = parameters.get(new["name"])  # where it is new too, it was found to be absent by itself
    return parent is None or not any(_covers(_unconditional(parent), value) for value in new["equals"])


def _covers(new: Any, old: Any) -> bool:
    """Whether every value of one description, of a distribution or a plain value, is a value of the other."""
    if _same(new, old):
        return True
    if _type(old) == "Choice":
        return all(_covers(new, option) for option in old["options"])
    if _type(new) == "Choice":
        if any(_covers(option, old) for option in new["options"]):
            return True
        if _is_stepped(old):
            return _covers_steps(new, old)
        if _type(old) != "Integer" or len(_range(old)) > _MOST_LISTED:
            return False
        return all(_covers(new, value) for value in _range(old))
    if _is_stepped(old):
        return _covers_steps(new, old)
    if _is_stepped(new):
        return type(old) in (int, float) and holds(Uniform(new["low"], new["high"], new["step"]), old)
    if _type(new) in _CONTINUOUS:
        low, high = (old["low"], old["high"]) if _type(old) in _CONTINUOUS else (old, old)
        return all(type(v) in (int, float) for v in (low, high)) and new["low"] <= low and high <= new["high"]
    if _type(new) == "Integer":
        return _covers_integers(_range(new), old)
    return _type(new) == "Widths" and _covers_widths(new, old)


def _is_stepped(description: Any) -> bool:
    return _type(description) == "Uniform" and description.get("step") is not None


def _covers_steps(new: Any, old: Any) -> bool:
    """Whether a description has every value of a range with steps."""
    if _type(new) in _CONTINUOUS and not _is_stepped(new):
        return _covers(new, old["low"]) and _covers(new, old["high"])
    stepped = Uniform(old["low"], old["high"], old["step"])
    return stepped.n_steps < _MOST_LISTED and all(_covers(new, value) for value in stepped.values)


def _covers_integers(new: range, old: Any) -> bool:
    if type(old) is int:
        return old in new
    if _type(old) != "Integer":
        return False
    values = _range(old)
    return values[0] in new and values[-1] in new and (len(values) == 1 or values.step % new.step == 0)


def _covers_widths(new: Any, old: Any) -> bool:
    if _type(old) == "Widths":
        one_width = not new["same"] or old["same"] or _range(old["n_layers"])[-1] <= 1
        return one_width and _covers(new["n_layers"], old["n_layers"]) and _covers(new["width"], old["width"])
    if not isinstance(old, Mapping) or "list" not in old:
        return False
    widths = old["list"]
    same = not new["same"] or all(_same(width, widths[0]) for width in widths)
    return same and _covers(new["n_layers"], len(widths)) and all(_covers(new["width"], width) for width in widths)


def _always_in(parent: Any, values: list[Any]) -> bool:
    """Whether a description has none but these values."""
    if _type(parent) == "Choice":
        return all(_type(option) is None and _among(option, values) for option in parent["options"])
    if _type(parent) == "Integer":
        return len(_range(parent)) <= len(values) and all(_among(value, values) for value in _range(parent))
    return _type(parent) is None and _among(parent, values)


def _unconditional(description: Any) -> Any:
    return description["distribution"] if _type(description) == "When" else description


def _type(description: Any) -> str | None:
    """The class of a distribution's description, None for a value's."""
    return description.get("type") if isinstance(description, Mapping) else None


def _range(description: Any) -> range:
    if isinstance(description, int):
        return range(description, description + 1)
    return range(description["low"], description["high"] + 1, description["step"])


def _same(a: Any, b: Any) -> bool:
    """Equal in value and type: 1, 1.0 and True differ."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and bool(a == b)


def _among(value: Any, values: list[Any]) -> bool:
    return any(_same(value, other) for other in values)
