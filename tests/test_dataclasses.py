"""The data classes of descriptions do what those of the standard library do, without generated code.

Each behaviour is asked of the same class made with both decorators.
"""

from __future__ import annotations

import copy
import dataclasses as standard
import inspect
import pickle
import re
import subprocess
import sys
from types import ModuleType
from typing import Annotated, Any, ClassVar

import cases
import pytest
from fastreg import layers
from fastreg.internal import dataclasses as shared

REGISTERED = {kind for module, _ in cases.KINDS.values() for kind in module._REGISTRY.types} | {layers.Input}


def declare(name: str, bases: tuple[type, ...], hints: dict[str, Any], body: dict[str, Any]) -> type:
    """A class with these annotations, which are objects and not text."""
    return type(name, bases, {"__annotations__": hints, "__module__": __name__, "__qualname__": name, **body})


def family(of: ModuleType) -> dict[str, type]:
    """Classes with every kind of field, made with one of the two decorators."""
    frozen = of.dataclass(frozen=True)
    hints = {"limit": ClassVar[int], "a": int, "b": float, "_": of.KW_ONLY, "scale": of.InitVar[int], "tag": str | None}

    def keep_scale(self: Any, scale: int) -> None:
        object.__setattr__(self, "b", self.b * scale)

    base = frozen(
        declare("Base", (), hints, {"limit": 3, "b": 1.5, "scale": 2, "tag": None, "__post_init__": keep_scale})
    )
    plain = declare("Plain", (base,), {}, {})  # adds no field and has no decorator
    again = frozen(declare("Again", (base,), {"b": Annotated[float, "x"], "c": int}, {"b": 4.0, "c": 7}))
    hidden = frozen(
        declare(
            "Hidden",
            (),
            {"x": int, "quiet": int, "loose": int, "made": list},
            {
                "quiet": of.field(default=1, repr=False),
                "loose": of.field(default=2, compare=False),
                "made": of.field(default_factory=list, compare=False),
            },
        )
    )
    own = of.dataclass(frozen=True, repr=False, eq=False)(
        declare(
            "Own",
            (),
            {"x": int},
            {"__repr__": lambda self: "mine", "__eq__": lambda self, other: True, "__hash__": lambda self: 5, "x": 0},
        )
    )
    empty = frozen(declare("Empty", (), {}, {}))
    words = of.dataclass(frozen=True, kw_only=True)(declare("Words", (), {"x": int, "y": int}, {"y": 2}))
    loose = of.dataclass(declare("Loose", (), {"x": int}, {"x": 1}))
    return {kind.__name__: kind for kind in (base, plain, again, hidden, own, empty, words, loose)}


STANDARD, SHARED = family(standard), family(shared)
# Calls of constructors: good ones and wrong ones.
CALLS = [
    ("Base", (1,), {}), ("Base", (1, 2.0), {"scale": 5}), ("Base", (), {"a": 1, "tag": "t"}),
    ("Base", (), {}), ("Base", (1, 2, 3), {}), ("Base", (1,), {"a": 2}), ("Base", (1,), {"wrong": 2}),
    ("Base", (1,), {"limit": 4}), ("Base", (), {"b": 3.0}), ("Base", (1, 2, 3), {"a": 1}),
    ("Plain", (1,), {"tag": "t"}), ("Plain", (), {}), ("Plain", (1,), {"wrong": 2}),
    ("Again", (1,), {}), ("Again", (1, 2.0, 3), {"scale": 3}), ("Again", (1,), {"b": 1.0, "c": 9}), ("Again", (), {}),
    ("Hidden", (1,), {}), ("Hidden", (1, 2, 3, [4]), {}), ("Hidden", (1,), {"made": [5]}), ("Hidden", (1,), {"no": 0}),
    ("Own", (), {}), ("Own", (3,), {}), ("Own", (3, 4), {}),
    ("Empty", (), {}), ("Empty", (1,), {}), ("Empty", (), {"x": 1}),
    ("Words", (), {"x": 1}), ("Words", (), {"y": 1, "x": 3}), ("Words", (1,), {}), ("Words", (), {}),
    ("Loose", (), {}), ("Loose", (3,), {}), ("Loose", (3, 3), {}),
]  # fmt: skip


def told(call: Any) -> Any:
    """What a call returns, or the error that it raises."""
    try:
        return call()
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize(("name", "args", "given"), CALLS, ids=str)
def test_a_constructor_takes_and_refuses_the_same(name, args, given):
    one, other = (told(lambda kind=kinds[name]: kind(*args, **given)) for kinds in (STANDARD, SHARED))
    if isinstance(one, tuple):
        # A class without a decorator of its own names itself, where the generated code names the base.
        assert other == (one[0], one[1].replace("Base.", "Plain.") if name == "Plain" else one[1])
    else:
        assert repr(other) == repr(one)
        assert vars(other) == vars(one)


def made(kinds: dict[str, type]) -> list[Any]:
    """Objects of all classes, some of them equal."""
    found = []
    for name, args, given in CALLS:
        if not isinstance(one := told(lambda kind=kinds[name], a=args, g=given: kind(*a, **g)), tuple):
            found.append(one)
    return [*found, *(copy.copy(one) for one in found), 5, None]


def test_equality_and_hashes_are_the_same():
    one, other = made(STANDARD), made(SHARED)
    assert len(one) == len(other) > 30
    assert [[a == b for b in one] for a in one] == [[a == b for b in other] for a in other]
    assert [[a != b for b in one] for a in one] == [[a != b for b in other] for a in other]
    assert [told(lambda a=a: hash(a)) for a in one] == [told(lambda a=a: hash(a)) for a in other]
    assert sum(a == b for a in other for b in other) > len(other) + 10


@pytest.mark.parametrize("name", STANDARD)
def test_the_standard_library_knows_the_class(name):
    one, other = STANDARD[name], SHARED[name]
    assert standard.is_dataclass(other)
    facts = [
        [(f.name, f.type, f.default, f.default_factory, f.repr, f.compare, f.kw_only) for f in standard.fields(kind)]
        for kind in (one, other)
    ]
    assert facts[0] == facts[1]
    assert other.__match_args__ == one.__match_args__
    # Ours shows an annotation without what is there for checks alone.
    theirs = re.sub(r"typing\.Annotated\[(\w+), 'x'\]", r"\1", str(inspect.signature(one)))
    assert str(inspect.signature(other)) == re.sub(r"dataclasses\.InitVar(\[int\])?", "int", theirs)
    defaults = [
        {f: getattr(kind, f, "none") for f in ("a", "b", "x", "quiet", "loose", "made")} for kind in (one, other)
    ]
    assert defaults[0] == defaults[1]
    assert [f.name for f in shared.fields(other)] == [f.name for f in standard.fields(one)]


@pytest.mark.parametrize("replace", [standard.replace, shared.replace])
def test_replace_makes_another_one(replace):
    one = SHARED["Hidden"](1, 2, 3, [4])
    assert vars(replace(one, x=9)) == {"x": 9, "quiet": 2, "loose": 3, "made": [4]}
    assert vars(replace(SHARED["Again"](1, 2.0), c=5)) == vars(standard.replace(STANDARD["Again"](1, 2.0), c=5))
    with pytest.raises(TypeError, match=r"Hidden.__init__\(\) got an unexpected keyword argument 'wrong'"):
        replace(one, wrong=1)


@pytest.mark.parametrize("name", [name for name in STANDARD if name not in ("Loose", "Plain")])
@pytest.mark.parametrize("attribute", ["x", "b", "quite_another"])
def test_a_frozen_object_takes_no_assignment(name, attribute):
    args = (1,) if name in ("Base", "Again", "Hidden") else ()
    given = {"x": 1} if name == "Words" else {}
    for act in (lambda it: setattr(it, attribute, 3), lambda it: delattr(it, attribute)):
        one, other = (told(lambda k=kinds[name], act=act: act(k(*args, **given))) for kinds in (STANDARD, SHARED))
        assert one == other
        assert one[0] is standard.FrozenInstanceError
    changed = SHARED["Loose"]()
    changed.x = 4
    assert changed == SHARED["Loose"](4)


def test_a_match_statement_takes_it_apart():
    match layers.Dense(5, "relu"):
        case layers.Dense(units, activation, name=None):
            assert (units, activation) == (5, "relu")
        case _:
            raise AssertionError("no match")


def test_a_data_class_of_the_standard_library_may_derive_from_one():
    @standard.dataclass(frozen=True)
    class Further(SHARED["Again"]):  # type: ignore[misc, name-defined]
        d: int = 8

    assert [f.name for f in standard.fields(Further)] == ["a", "b", "tag", "c", "d"]
    assert Further(1, d=2) == Further(1, d=2) != Further(1, d=3)


@pytest.mark.parametrize("kind", sorted(REGISTERED, key=lambda kind: (kind.__module__, kind.__name__)))
def test_every_description_is_such_a_class(kind):
    """None of them has code that is generated when it is imported, and each is one that the standard library takes."""
    assert inspect.unwrap(kind.__init__) is shared._init
    assert kind.__eq__ in (shared._eq, *(base.__dict__.get("__eq__") for base in kind.__mro__[1:-1]))
    names = [one.name for one in standard.fields(kind)]
    assert names == [one.name for one in shared.fields(kind)]
    arguments = inspect.signature(kind).parameters
    assert set(names) <= set(arguments)
    assert set(shared.argument_names(kind)) == set(arguments)


@pytest.mark.parametrize(
    "case", [c for _, rows in cases.KINDS.values() for c in rows.values()], ids=lambda c: repr(c.made)
)
def test_pickles_and_copies_of_every_description(case):
    for twin in (pickle.loads(pickle.dumps(case.made)), copy.copy(case.made), copy.deepcopy(case.made)):
        assert twin == case.made
        assert _fields(twin) == _fields(case.made)
        assert repr(twin) == repr(case.made)


def _fields(made):
    """What an object holds, but for what it keeps for itself, as the models that use a layer."""
    return {name: value for name, value in vars(made).items() if name[:1] != "_"}


def test_a_first_fit_loads_no_large_modules():
    """Neither the standard library's data classes, nor what only a notebook or a schedule needs."""
    program = (
        "import sys, numpy\n"
        "before = set(sys.modules)\n"
        "import fastreg as fr\n"
        "model = fr.Sequential([fr.layers.Dense(4, 'relu'), fr.layers.Dropout(0.1), fr.layers.Dense(1)], seed=0)\n"
        "model.compile('adam', 'mse', metrics=['mae'])\n"
        "x = numpy.zeros((8, 3), numpy.float32)\n"
        "model.fit(x, numpy.zeros(8), verbose=0); model.evaluate(x, numpy.zeros(8), verbose=0); model.predict(x)\n"
        "print({'dataclasses', 'html', 'fractions', 'logging', 'concurrent.futures'} & set(sys.modules) - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
