"""Shared by all descriptions: checks of fields, the JSON form in model files, and finding a description by its name.

A description is a frozen data class (a layer, loss, metric, regularizer, initializer, optimizer or schedule): a
docstring and fields, whose annotations say what they take. Its decorator is that of ``internal/dataclasses.py``. Its
JSON form is ``{"type": class name, field: value, ...}``; C++ reads the same fields (cpp/core/description.cpp). Reading
one constructs one of the registered classes and nothing else, so a model file runs no code.

Annotations that are checked when a description is made, each with ``| None`` where None is allowed and stays None:

==============================  ===================================================================================
``Annotated[float, FRACTION]``  a number of that range, as a float
``Annotated[int, FRACTION, n]`` an integer of that range, and below n if there is one
``Literal["a", "b"]``           one of these names
``Annotated[str, check_name]``  what the function makes of (owner, field, value), or the error that it raises
``Sequence[Annotated[...]]``    a list of such values, as a tuple
``bool``, ``None``              True or False; only None
``Initializer | str``           a description of this kind, its name or its JSON form
==============================  ===================================================================================

Others are not checked. They are read when the first instance of a class is made. The modules of descriptions have no
``from __future__ import annotations``: an annotation that is text would have to be compiled then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from itertools import compress
from operator import is_not
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar, Union, cast, get_args, get_origin

from fastreg.internal.checks import check_bool, check_choice, check_int, check_real, describe, unknown_name
from fastreg.internal.dataclasses import MISSING, fields, values_getter

T = TypeVar("T", bound="Description")
# Converts what a user gave into the value of a field. It is called with the owner, the name of the field and the value.
Check = Callable[[str, str, Any], object]


class Description:
    """Base of the frozen data classes that describe a part of a model."""

    # Fields that are conveniences of the constructor, not part of the description.
    _transient: ClassVar[frozenset[str]] = frozenset()
    # Members that the package itself uses, which completion does not show; those of base classes count too.
    _internal: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, *args: object, **given: object) -> None:
        # Reached by the bases of a kind, which have no arguments, and by classes that users derive from them.
        if args or given:
            raise TypeError(f"{type(self).__name__}: {_only_built_in(type(self))}")

    def __post_init__(self) -> None:
        """Checks every field by its annotation, in the order of the fields, and puts the checked values in place."""
        kind: Any = type(self)
        owner, values = kind.__name__, self.__dict__
        checks, names, defaults, checked = _CHECKS.get(kind) or _checks(kind)
        # Those that are not the defaults, which were checked before.
        given = compress(checks, map(is_not, map(values.__getitem__, names), defaults))
        found = checked.copy()
        for name, check in given:
            found[name] = check(owner, name, values[name])
        values.update(found)
        self._check_together()

    def _check_together(self) -> None:
        """Checks rules between several fields. Each field has already been checked by itself."""

    def __dir__(self) -> list[str]:
        hidden = frozenset[str]().union(*(vars(kind).get("_internal", ()) for kind in type(self).__mro__))
        return [name for name in super().__dir__() if not name.startswith("_") and name not in hidden]

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Fields that are newer than a pickle get their defaults."""
        self.__dict__.update(state)
        kind = type(self)
        for name, check in field_checks(cast(Any, kind)):
            if name not in state and hasattr(kind, name):
                self.__dict__[name] = check(kind.__name__, name, getattr(kind, name))

    def __setattr__(self, name: str, value: object) -> None:
        from dataclasses import FrozenInstanceError

        kind = type(self)
        known = kind.__module__.partition(".")[0] == __name__.partition(".")[0]
        why = "" if known else f"; {_only_built_in(kind)}"
        raise FrozenInstanceError(f"cannot assign to {name!r} of a {kind.__name__}{why}")

    def __delattr__(self, name: str) -> None:
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot delete {name!r} of a {type(self).__name__}")

    def to_config(self) -> dict[str, Any]:
        """The JSON form: the class name under ``"type"`` and every field."""
        kind: Any = type(self)
        return _form(kind).of(self)

    def get_config(self) -> dict[str, Any]:
        """The fields by name, as Keras has it: what ``from_config`` takes."""
        return {name: value for name, value in self.to_config().items() if name != "type"}

    @classmethod
    def from_config(cls: type[T], config: Mapping[str, Any]) -> T:
        """The description of a JSON form. Raises ValueError if a field is unknown or missing, or its value is bad."""
        values = {key: value for key, value in config.items() if key != "type"}
        known = {f.name: f for f in fields(cast(Any, cls)) if f.name not in cls._transient}
        if unknown := sorted(set(values) - set(known)):
            raise ValueError(f"{cls.__name__}: unknown fields {', '.join(unknown)}; known: {', '.join(known)}")
        needed = {n for n, f in known.items() if f.default is MISSING and f.default_factory is MISSING}
        if missing := sorted(needed - set(values)):
            raise ValueError(f"{cls.__name__}: missing fields {', '.join(missing)}")
        return cls(**values)

    def _set(self, **values: object) -> None:
        """Puts checked values in place of the given ones; for ``__post_init__`` only."""
        self.__dict__.update(values)


@cache
def field_checks(kind: type[Description]) -> tuple[tuple[str, Check], ...]:
    """The names of the fields that are checked, and how, in the order of the fields."""
    checks = ((field.name, _check_of(field.type)) for field in fields(cast(Any, kind)))
    return tuple((name, check) for name, check in checks if check is not None)


# The checks of the fields of a class, their names, their defaults, and those of the defaults that are checked already.
_Checks = tuple[tuple[tuple[str, Check], ...], tuple[str, ...], tuple[object, ...], dict[str, object]]

_CHECKS: dict[type, _Checks] = {}


def _checks(kind: Any) -> _Checks:
    """What an instance is checked by. In place of a default that is not allowed by itself is what no field has."""
    checks, checked = field_checks(kind), checked_defaults(kind)
    names = tuple(name for name, _ in checks)
    defaults = tuple(checked.get(name, (object(),))[0] for name in names)
    made = _CHECKS[kind] = (checks, names, defaults, {name: value for name, (_, value) in checked.items()})
    return made


@cache
def checked_defaults(kind: Any) -> dict[str, tuple[object, object]]:
    """The defaults of the fields, each with its checked form; without those that are not allowed by themselves."""
    checks, found = dict(field_checks(kind)), {}
    for field in fields(kind):
        if field.name in checks and field.default is not MISSING:
            with suppress(TypeError, ValueError):  # the check of an instance raises the error
                found[field.name] = field.default, checks[field.name](kind.__name__, field.name, field.default)
    return found


def _check_of(hint: Any) -> Check | None:
    """The check of an annotation; None where it asks for none."""
    if hint is None:
        return _check_none
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    check = next((check for part in parts if (check := _check_of_part(part)) is not None), None)
    return partial(_unless_none, check) if check is not None and NoneType in parts else check


def _check_of_part(part: Any) -> Check | None:
    if part is bool:
        return check_bool
    if isinstance(part, type) and issubclass(part, Description):
        return partial(_check_description, part)
    if get_origin(part) is Sequence:
        check = _check_of(get_args(part)[0])
        return None if check is None else partial(_check_sequence, check)
    if get_origin(part) is Literal:
        return partial(_check_choice, get_args(part))
    if get_origin(part) is not Annotated:
        return None
    kind, mark, *limit = get_args(part)
    if callable(mark):
        return cast(Check, mark)

    def check_number(owner: str, name: str, value: Any) -> object:
        return check_real(owner, name, value, mark) if kind is float else check_int(owner, name, value, mark, *limit)

    return check_number


def _check_none(owner: str, name: str, value: Any) -> None:
    if value is not None:
        raise ValueError(f"{owner}: {name} must be None, got {describe(value)}")


def _unless_none(check: Check, owner: str, name: str, value: Any) -> object:
    return None if value is None else check(owner, name, value)


def _check_choice(choices: tuple[str, ...], owner: str, name: str, value: Any) -> str:
    return check_choice(owner, name, value, choices)


def _check_sequence(check: Check, owner: str, name: str, value: Any) -> tuple[object, ...]:
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise TypeError(f"{owner}: {name} must be a list, got {describe(value)}")
    return tuple(check(owner, name, item) for item in value)


def _check_description(base: type[Description], owner: str, name: str, value: Any) -> Description:
    found: Description = registry_of(base).resolve(f"{owner}: {name}", value)
    return found


def registry_of(base: type[Description]) -> Registry[Any]:
    """The registry of the kind of descriptions that has this base."""
    return _REGISTRIES[base]


# Values of these types are their own JSON form.
_OF_JSON = frozenset((NoneType, bool, int, float, str))


class _Form:
    """How the JSON form of a class is written.

    Args:
        kind: The class.
        left_out: Fields that it does not have.
    """

    def __init__(self, kind: type[Description], left_out: Iterable[str] = ()) -> None:
        none = kind._transient.union(left_out)
        written = [field for field in fields(cast(Any, kind)) if field.name not in none]
        self._head = {"type": kind.__name__}
        self._names = tuple(field.name for field in written)
        self._values_of = values_getter(self._names)
        others = [field.name for field in written if not _is_of_json(field.type)]
        # Each with its usual value and the form of that one, which has no parts, so that copies of it share nothing.
        self._others = tuple((name, *_usual_form(kind, name)) for name in others)

    def of(self, made: Description) -> dict[str, Any]:
        config: dict[str, Any] = self._head | dict(zip(self._names, self._values_of(made), strict=True))
        for name, usual, form in self._others:
            value = config[name]
            if value is usual:
                config[name] = form.copy()
            elif type(value) not in _OF_JSON:
                config[name] = _plain(value)
        return config


def _usual_form(kind: Any, name: str) -> tuple[object, dict[str, Any]]:
    """The default of a field and its JSON form; what no field has in place of a default whose form has parts."""
    _, usual = checked_defaults(kind).get(name, (None, None))
    form = usual.to_config() if isinstance(usual, Description) else None
    if form is None or not all(type(value) in _OF_JSON for value in form.values()):
        return object(), {}
    return usual, form


_form = cache(_Form)


class BriefForm:
    """The JSON form of a class without the fields that do nothing.

    Args:
        kind: The class.
        idle: The fields that may be left out, each with the value that does nothing.
    """

    def __init__(self, kind: Any, idle: Mapping[str, object]) -> None:
        self._idle_of, self._idle = values_getter(tuple(idle)), tuple(idle.values())
        self._full, self._short = _form(kind), _Form(kind, idle)
        self._left_out = tuple((name, _plain(value)) for name, value in idle.items())

    def of(self, made: Description) -> dict[str, Any]:
        """The JSON form of an instance."""
        if self._idle_of(made) == self._idle:
            return self._short.of(made)
        config = self._full.of(made)
        for name, value in self._left_out:
            if config[name] == value:
                del config[name]
        return config


def _is_of_json(hint: Any) -> bool:
    """Whether checked values of an annotation are their own JSON form."""
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return all(
        part in _OF_JSON
        or get_origin(part) is Literal
        or (get_origin(part) is Annotated and get_args(part)[0] in _OF_JSON)
        for part in parts
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Description):
        return value.to_config()
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


# The registry of each kind, by the base class of the kind.
_REGISTRIES: dict[type[Description], Registry[Any]] = {}

# What users write in place of a class of their own, by kind.
_OWN = {
    "loss": "; a function of (y_true, y_pred) that returns values and their gradient is a loss of your own",
    "metric": "; a function of (y_true, y_pred) is a metric of your own",
    "schedule": "; any function of the step is a schedule",
    "optimizer": "; fastreg.ops has the parts of a loop of your own",
}


def _only_built_in(kind: type[Description]) -> str:
    """Why a class that a user derived from a kind of descriptions cannot be used, and what can."""
    registry = next((_REGISTRIES[base] for base in kind.__mro__ if base in _REGISTRIES), None)
    return "it takes no arguments" if registry is None else registry.only_built_in + _OWN.get(registry.kind, "")


class Registry(Generic[T]):
    """The known descriptions of one kind, found by name or by JSON form.

    Args:
        kind: What one is called in messages.
        base: The class that all of them are instances of.
        names: Class by name, short names included; a class in ``later`` by its name. Names are matched without regard
            to case; class names count too.
        internal: Further classes that only a JSON form or an instance can give.
        later: Names of such classes that are not loaded yet.
        load: Gives the class of a name in ``later``.
        also: Names that something else resolves, for messages.
    """

    def __init__(
        self,
        kind: str,
        base: type[T],
        names: Mapping[str, type[T] | str],
        internal: Iterable[type[T]] = (),
        also: Iterable[str] = (),
        later: Iterable[str] = (),
        load: Callable[[str], type[T]] | None = None,
    ) -> None:
        self.kind = kind
        self._one = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
        self.base = base
        self.known = sorted((*names, *also))
        loaded = [*(cls for cls in names.values() if not isinstance(cls, str)), *internal]
        self._types: dict[str, type[T]] = {cls.__name__: cls for cls in loaded}
        self._later, self._load = tuple(later), load
        self._made: dict[str, T] = {}  # by the names that were given
        class_names = [cls if isinstance(cls, str) else cls.__name__ for cls in names.values()]
        self._lower = dict(zip(map(str.lower, class_names), class_names, strict=True))
        self._lower |= dict(zip(names, class_names, strict=True))
        _REGISTRIES[base] = self

    @property
    def types(self) -> tuple[type[T], ...]:
        """Every registered class."""
        for name in self._later:
            self._type_of(name)
        return tuple(self._types.values())

    def _type_of(self, name: str) -> type[T] | None:
        """The registered class of a name."""
        if name not in self._types and name in self._later and self._load is not None:
            self._types[name] = self._load(name)
        return self._types.get(name)

    def resolve(self, where: str, value: object) -> T:
        """The description that a user's argument stands for: one already made, a name, or a JSON form."""
        if isinstance(value, self.base):
            self.check_built_in(where, value)
            return value
        if isinstance(value, str):
            return self._made.get(value) or self._make(where, value)
        if isinstance(value, Mapping):
            return self.from_config(where, value)
        hint = f"; write {value.__name__}(...)" if isinstance(value, type) else ""
        if self.kind == "regularizer" and isinstance(value, (int, float)) and 0 < value < 1e300 and value is not True:
            hint = f"; write regularizers.L2({value})"
        raise TypeError(f"{where}: expected {self._one} or the name of one, got {describe(value)}{hint}")

    def _make(self, where: str, name: str) -> T:
        """The description of a name. It is kept, because descriptions do not change."""
        found = self._type_of(self._lower.get(name.lower(), ""))
        if found is None:
            known, guess = ", ".join(self.known), unknown_name(self.kind, name, self.known)
            raise ValueError(f"{where}: unknown {self.kind} {describe(name)}; known: {known}{guess}")
        made = self._made[name] = found()
        return made

    def check_built_in(self, where: str, value: T) -> None:
        """Raises TypeError for an instance of a class that is not registered, which the core does not know."""
        if self._type_of(type(value).__name__) is not type(value):
            known = ", ".join(sorted(cls.__name__ for cls in self.types))
            only = f"{self.only_built_in}, got {type(value).__name__}"
            raise TypeError(f"{where}: {only}{_OWN.get(self.kind, '')}; known: {known}")

    @property
    def only_built_in(self) -> str:
        """The words of a message on a class of another origin."""
        kinds = f"{self.kind}es" if self.kind.endswith("s") else f"{self.kind}s"
        return f"only the built-in {kinds} are supported"

    def from_config(self, where: str, config: object) -> T:
        """The description of a JSON form, whose ``"type"`` must be one of the registered classes.

        Keras's form, ``{"class_name": ..., "config": ...}``, is taken, too.
        """
        if not isinstance(config, Mapping):
            raise ValueError(f"{where}: expected the description of {self._one}, got {describe(config)}")
        if "class_name" in config and isinstance(config.get("config"), Mapping):
            config = {"type": config["class_name"], **config["config"]}
        name = config.get("type")
        found = self._type_of(name) if isinstance(name, str) else None
        if found is None:
            known = ", ".join(sorted(cls.__name__ for cls in self.types))
            raise ValueError(f"{where}: unknown {self.kind} type {describe(name)}; known: {known}")
        return found.from_config(config)

    def serialize(self, identifier: T) -> dict[str, Any]:
        """The description in Keras's form, ``{"class_name": ..., "config": {field: value}}``, for ``deserialize``."""
        found = self.resolve("serialize", identifier)
        return {"class_name": type(found).__name__, "config": found.get_config()}

    def deserialize(self, config: Mapping[str, Any], custom_objects: object = None) -> T:
        """The description that :meth:`serialize` made a dict of.

        Args:
            config: The dict; the form in model files, ``{"type": ..., field: value}``, is taken, too.
            custom_objects: None or ``{}``, since every class is built in; an argument of Keras.

        Raises:
            ValueError: If the dict names no class of this kind, or a field is unknown or missing, or its value is bad.
        """
        if custom_objects:
            raise ValueError(f"deserialize: custom_objects must be None, got {describe(custom_objects)}")
        return self.from_config("deserialize", config)
