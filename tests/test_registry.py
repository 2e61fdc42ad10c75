"""Whatever fastreg has is in ``cases.py``: nothing is registered without its rows, and every field keeps to its range.

The tests here need no line for a new class. Names, defaults and ranges of Python's classes are those of the core, which
tells them by ``_core.schema()``.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import re
from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

import cases
import numpy as np
import pytest
import reference as ref
from cases import WEIGHTLESS
from fastreg import _core, layers, losses, metrics, ops, schedules
from fastreg.internal.checks import FRACTION, NON_NEGATIVE, POSITIVE, SEED_LIMIT, Range
from fastreg.internal.description import Description, field_checks
from programs import refusal

LARGEST = float(np.finfo(np.float32).max)
CLASSES = {
    f"{module.__name__.removeprefix('fastreg.')}.{kind.__name__}": kind
    for module, _ in cases.KINDS.values()
    for kind in module._REGISTRY.types
}
NEEDED = {kind: cases.needed(kind) for kind in cases.FIRST}


@pytest.mark.parametrize("kind", cases.KINDS)
def test_the_rows_are_the_registry(kind):
    """A class that has no row, and a row whose class is not registered, are both an error of this test."""
    module, rows = cases.KINDS[kind]
    assert {type(case.made) for case in rows.values()} == set(module._REGISTRY.types)
    assert {cls.__name__ for cls in module._REGISTRY.types} <= set(module.__all__)


@pytest.mark.parametrize("kind", cases.KINDS)
def test_every_public_class_is_registered(kind):
    """But for bases, Input and columns, which are no layers, lengths, which are no schedules, and functions as losses
    and metrics."""
    module, _ = cases.KINDS[kind]
    public = {item for name in module.__all__ if isinstance(item := getattr(module, name), type)}
    leaves = {
        item for item in public if not any(other is not item and issubclass(other, item) for other in public)
    } - {layers.Input, schedules.Epochs, schedules.Share, metrics.MeanMetricWrapper, losses.Custom}
    leaves = {item for item in leaves if not issubclass(item, layers.Column)}
    assert {item for item in leaves if issubclass(item, Description)} == set(module._REGISTRY.types)


def test_the_activations_are_those_of_the_oracle():
    assert sorted(layers.ACTIVATIONS) == sorted(cases.ACTIVATIONS)


def spoil(form):
    """Empties the dicts and lists of a JSON form, inner ones first."""
    for part in form.values() if isinstance(form, dict) else form:
        if isinstance(part, (dict, list)):
            spoil(part)
    form.clear()


@pytest.mark.parametrize("kind", cases.KINDS)
def test_json_forms_share_nothing(kind):
    for case in cases.KINDS[kind][1].values():
        known = copy.deepcopy(case.made.to_config())
        spoil(case.made.to_config())
        assert case.made.to_config() == known
        assert json.loads(json.dumps(known)) == known


# ------------------------------------------------------------------------------------------------- ranges of fields


def unwrapped(hint):
    """The parts of a union."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def numbers():
    """(class, field, float or int, range, limit) of every field that is a number of a range, or a list of such."""
    for kind in CLASSES.values():
        for field in dataclasses.fields(kind):
            for part in unwrapped(field.type):
                item = get_args(part)[0] if get_origin(part) is Sequence else part
                if get_origin(item) is Annotated and isinstance(item.__metadata__[0], Range):
                    yield kind, field.name, item.__origin__, *item.__metadata__, *[None] * (2 - len(item.__metadata__))


NUMBERS = list(numbers())
LISTS = ("boundaries", "values")


def said(kind, name, rule, *values):
    """Patterns of what a message must say."""
    return [re.escape(f"{kind.__name__}: {name} must {rule}"), *map(re.escape, values)]


def beside(bound, is_inside, step):
    """(inside, outside): the values next to a bound, those of float32 for floats; a step of 1 is for integers."""
    if isinstance(step, int):
        return (int(bound), int(bound) - step) if is_inside else (int(bound) + step, int(bound))
    towards = np.float32(step * np.inf)
    if is_inside:
        return bound, float(np.nextafter(np.float32(bound), -towards))
    return float(np.nextafter(np.float32(bound), towards)), bound


def test_most_fields_are_numbers():
    assert len(NUMBERS) > 30
    assert {kind for kind, *_ in NUMBERS} > {layers.Dense, layers.Dropout}


@pytest.mark.parametrize(
    ("kind", "name", "number", "allowed", "limit"), NUMBERS, ids=[f"{row[0].__name__}-{row[1]}" for row in NUMBERS]
)
def test_a_number_keeps_to_its_range(kind, name, number, allowed, limit):
    """Just inside of each bound is taken as it is; just outside is an error that says class, field, rule and value."""
    one = 1 if number is int else 1.0
    others = NEEDED[kind].get(name, ())[1:] if isinstance(NEEDED[kind].get(name), tuple) else None

    def make(value):
        """The field of an object with that value; of a list its first item."""
        if others is None:
            return getattr(kind(**{**NEEDED[kind], name: value}), name)
        return getattr(kind(**{**NEEDED[kind], name: [value, *others]}), name)[0]

    ends = [(allowed.low, allowed.low_is_inside, one), (allowed.high, allowed.high_is_inside, -one)]
    for bound, is_inside, step in ends:
        if math.isinf(bound):
            continue
        inside, outside = beside(bound, is_inside, step)
        assert make(inside) == inside
        assert type(make(inside)) is number
        with refusal(ValueError, said(kind, name, allowed.words, repr(outside))):
            make(outside)
    if limit is not None:
        assert make(limit - 1) == limit - 1
        with refusal(ValueError, said(kind, name, f"be < {limit}", str(limit))):
            make(limit)
    for value in (math.nan, math.inf, -math.inf, *([] if number is float else [1.5])):
        with refusal((TypeError, ValueError), said(kind, name, "", repr(value))):
            make(value)
    for value in ("1", True, [1.0], object):
        with refusal(TypeError, [*said(kind, name, "be a"), "number|integer"]):
            make(value)


@pytest.mark.parametrize(("kind", "name"), [row[:2] for row in NUMBERS if row[2] is float and row[1] not in LISTS])
def test_a_number_that_float32_rounds_out_of_its_range_is_refused(kind, name):
    """The core computes in float32, where 1e-60 is 0 and 1 - 1e-12 is 1."""
    allowed = next(row[3] for row in NUMBERS if row[:2] == (kind, name))
    values = [1e39, -1e39]
    if not allowed.holds(0.0):
        values.append(1e-60)
    if not allowed.high_is_inside and allowed.high == 1.0:
        values.append(1.0 - 1e-12)
    for value in values:
        with refusal(ValueError, said(kind, name, "", repr(value))):
            kind(**{**NEEDED[kind], name: value})


@pytest.mark.parametrize("name", CLASSES)
def test_every_field_is_checked(name):
    """No field is without a check: what no one takes as a value is refused, and the message names class and field."""
    kind = CLASSES[name]
    assert kind in NEEDED
    odd = object()
    for field in dataclasses.fields(kind):
        with refusal((TypeError, ValueError), [kind.__name__, field.name]):
            kind(**{**NEEDED[kind], field.name: odd})
    for field in dataclasses.fields(kind):
        optional = NoneType in unwrapped(field.type) or field.type is None or field.name == "activation"
        if field.name == "input_shape" or optional:
            kind(**{**NEEDED[kind], field.name: None})
            continue
        with refusal((TypeError, ValueError), [kind.__name__, field.name]):
            kind(**{**NEEDED[kind], field.name: None})
    assert {name for name, _ in field_checks(kind)} >= {f.name for f in dataclasses.fields(kind)} - {"input_shape"}


@pytest.mark.parametrize("name", CLASSES)
def test_flags_are_true_or_false(name):
    kind = CLASSES[name]
    for field in dataclasses.fields(kind):
        if field.type is bool:
            for value in (0, 1, "yes", None):
                with refusal(TypeError, [f"{kind.__name__}: {field.name} must be True or False"]):
                    kind(**{**NEEDED[kind], field.name: value})
            given = kind(**{**NEEDED[kind], field.name: np.False_})
            assert getattr(given, field.name) is False


# ------------------------------------------------------------------------------------------ Python's and the core's

SCHEMA = _core.schema()
# Classes that are another one in JSON: to_config says which.
STAND_INS = {kind for kind, made in cases.FIRST.items() if made.to_config()["type"] != kind.__name__}
# Classes that the core does not know: a Residual is written as its layers and an Add, an EnsembleDense as tables of
# vectors and what joins them with values, the others not at all.
OF_PYTHON = {layers.Residual, layers.EnsembleDense, layers.Flatten, layers.Reshape}
# Classes whose fields are others in the core, as shapes tell them; test_merging.py compares their results.
OTHER_FIELDS = {layers.Dot}
WITH_WEIGHTS = {"trainable", "learning_rate_multiplier", "weight_decay_multiplier"}


# The ranges of numbers for which there may be a schedule.
SCHEDULED = {"learning_rate": POSITIVE, "weight_decay": NON_NEGATIVE, "rate": FRACTION}


def in_core():
    """(kind, name, Python's class) of everything that both have."""
    for kind in SCHEMA:
        if kind in cases.KINDS:
            for cls in dict.fromkeys(map(type, (case.made for case in cases.KINDS[kind][1].values()))):
                if cls not in STAND_INS | OF_PYTHON:
                    yield kind, cls.__name__, cls


IN_CORE = list(in_core())


def test_both_have_the_same_classes():
    assert {"optimizers", "layers", "initializers", "regularizers", "activations"} <= set(SCHEMA)
    assert set(SCHEMA) - {"activations"} == {kind for kind, *_ in IN_CORE}
    for kind in SCHEMA.keys() - {"activations"}:
        assert set(SCHEMA[kind]) == {name for other, name, _ in IN_CORE if other == kind}, kind
    assert list(SCHEMA["activations"]) == list(layers.ACTIVATIONS)


def json_fields(cls):
    """The fields of the JSON form by name, as dataclass fields. A metric's name is Python's alone, a layer's too."""
    transient = cls._transient | {"name"} | (WITH_WEIGHTS if cls.__name__ in WEIGHTLESS else set())
    return {field.name: field for field in dataclasses.fields(cls) if field.name not in transient}


@pytest.mark.parametrize(("kind", "name", "cls"), IN_CORE, ids=[f"{kind} {name}" for kind, name, _ in IN_CORE])
def test_fields_defaults_and_ranges_are_those_of_the_core(kind, name, cls):
    if cls in OTHER_FIELDS:
        return
    core, python = SCHEMA[kind][name]["fields"], json_fields(cls)
    assert set(python) == set(core)
    for field in python.values():
        told = core[field.name]
        if field.default is not dataclasses.MISSING:
            made = cls(**cases.needed(cls))
            assert "default" in told, f"{field.name} is required in the core"
            assert plain(getattr(made, field.name)) == told["default"], field.name
        assert (NoneType in unwrapped(field.type) and told["type"] != "activation") == told.get("nullable", False)
        numbers = [row[2:] for row in NUMBERS if row[:2] == (cls, field.name)]
        if told.get("schedule"):
            numbers = [(float, SCHEDULED[field.name], None)]  # a function checks it, which takes schedules too
        assert told["type"] == type_of(field, numbers), field.name
        assert told.get("choices", []) == choices_of(field), field.name
        if numbers and told["type"] != "seed":
            assert bounds_of(*numbers[0][1:]) == {key: told[key] for key in BOUNDS if key in told}, field.name


def plain(value):
    if isinstance(value, tuple):
        return list(value)
    return value.to_config() if isinstance(value, Description) else value


def choices_of(field):
    """The names that a field is one of, or nothing."""
    return [name for part in unwrapped(field.type) if get_origin(part) is Literal for name in get_args(part)]


def type_of(field, numbers):
    """What the core calls the type of a field."""
    if choices_of(field):
        return "choice"
    if numbers:
        return "seed" if numbers[0][2] == SEED_LIMIT else numbers[0][0].__name__
    if field.type is bool:
        return "bool"
    if get_origin(field.type) is Annotated and Sequence[float] in get_args(field.type.__origin__):
        return "floats"
    if field.name.endswith("_multiplier"):
        return "multiplier"
    if any(get_origin(part) is Sequence for part in unwrapped(field.type)):
        return "names"
    parts = [part for part in unwrapped(field.type) if isinstance(part, type) and issubclass(part, Description)]
    return parts[0].__name__.lower() if parts else field.name


BOUNDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")


def bounds_of(allowed, limit):
    found = {}
    if math.isfinite(allowed.low):
        found["minimum" if allowed.low_is_inside else "exclusiveMinimum"] = allowed.low
    if math.isfinite(allowed.high):
        found["maximum" if allowed.high_is_inside else "exclusiveMaximum"] = allowed.high
    if limit is not None:
        found["exclusiveMaximum"] = limit
    return found


@pytest.mark.parametrize("kind", [kind for kind in ("losses", "metrics") if kind in SCHEMA])
def test_traits_are_those_of_the_core(kind):
    """What targets must be, and of a metric which values are good ones; the oracle's classes say the same."""
    for case in cases.KINDS[kind][1].values():
        told = SCHEMA[kind][type(case.made).__name__]
        assert case.made.targets == case.oracle.targets == told["targets"]
        if kind == "losses":
            assert case.oracle.absorbs == told["absorbs"]
        else:
            assert case.made.direction == told["direction"]
            assert case.made.outputs == case.oracle.outputs
            assert type(case.made)(**NEEDED[type(case.made)]).outputs == told.get("outputs")


@pytest.mark.parametrize("name", SCHEMA["activations"])
def test_an_activation_takes_back_from_what_it_says(name):
    """`backward_from` is what `ops.activation_backward` is given: its result is the derivative only from that."""
    z = np.linspace(-3.0, 3.0, 12, dtype=np.float32).reshape(3, 4)
    saved = z if SCHEMA["activations"][name]["backward_from"] == "input" else ops.activation(z, name)
    dz = ops.activation_backward(saved, np.ones_like(z), name)
    np.testing.assert_allclose(dz, ref.activation_backward(name, z, np.ones_like(z)), rtol=1e-5, atol=1e-6)
