"""Data classes that cost nothing to import: the call form of the standard library's, with shared methods.

``dataclasses.dataclass`` writes the source of several methods for every class and compiles it, which takes 0.3 to 0.5
ms: for a hundred descriptions more than everything else that an import does. Here all classes share one ``__init__``,
``__eq__``, ``__hash__`` and ``__repr__``, which read what a class declares when its first instance is made. A type
checker sees the standard library's decorator.

What the standard library makes of such a class is built when it is asked for: ``dataclasses.fields`` and ``replace``,
``inspect.signature``, ``match`` statements, and the TypeError for wrong arguments work and read as usual.

Not supported: ``slots``, ``order``, ``unsafe_hash``, fields with ``init=False`` or ``hash``, annotations that are text,
and an ``__init__`` of a base that is called for its own fields alone.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Union, get_args, get_origin

if TYPE_CHECKING:
    from dataclasses import KW_ONLY, MISSING, InitVar, dataclass, field, fields, replace

__all__ = ["KW_ONLY", "MISSING", "InitVar", "dataclass", "field", "fields", "replace"]


# Whether a class accepts a further argument of a name and a value.
Accepts = Callable[[type, str, Any], bool]


class _Mark:
    """A value that stands for something: no default, or the end of the positional fields."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


_MISSING, _KW_ONLY = _Mark("MISSING"), _Mark("KW_ONLY")


class _InitVar:
    """The annotation of an argument that only ``__post_init__`` gets."""

    def __init__(self, hint: Any) -> None:
        self.hint = hint

    def __class_getitem__(cls, hint: Any) -> "_InitVar":
        return cls(hint)


class _Field:
    """What a class declares about one field. Its attributes are named as the standard library names them."""

    __slots__ = ("compare", "default", "default_factory", "kw_only", "name", "repr", "type")

    def __init__(self, default: Any, default_factory: Any, repr: bool, compare: bool, kw_only: bool | None) -> None:
        self.default, self.default_factory = default, default_factory
        self.repr, self.compare, self.kw_only = repr, compare, kw_only
        self.name = ""
        self.type: Any = None

    @property
    def is_argument_only(self) -> bool:
        """Whether it is an argument of ``__post_init__`` and not stored."""
        return isinstance(self.type, _InitVar)


def _field(
    *,
    default: Any = _MISSING,
    default_factory: Any = _MISSING,
    repr: bool = True,
    compare: bool = True,
    kw_only: bool | None = None,
) -> Any:
    """A field with more than a default, as ``dataclasses.field``."""
    return _Field(default, default_factory, repr, compare, kw_only)


class _Plan:
    """What the shared methods need to know about a class.

    Attributes:
        arguments: The default of every argument of ``__init__``; ``MISSING`` where there is none.
        positional: The names of those that may be given by position.
        needed: The names of those that have no default.
        factories: What makes the default of a field, where that is a function.
        for_post_init: The names of the arguments that ``__post_init__`` gets.
        has_post_init: Whether there is a ``__post_init__``.
        shown: The names of the fields in ``repr``.
        stored: The fields of an instance.
        key: The values that are compared, as a tuple.
        accepts: Whether the class accepts a further argument; see :func:`accept_further_arguments`.
    """

    __slots__ = (
        *("accepts", "arguments", "factories", "for_post_init", "has_post_init", "key", "needed", "positional"),
        *("shown", "stored"),
    )

    def __init__(self, cls: type) -> None:
        declared = _declared(cls).values()
        self.stored = stored = tuple(one for one in declared if not one.is_argument_only)
        self.arguments = {one.name: one.default for one in declared}
        self.positional = tuple(one.name for one in declared if not one.kw_only)
        self.factories = {one.name: one.default_factory for one in stored if one.default_factory is not _MISSING}
        self.needed = tuple(n for n, v in self.arguments.items() if v is _MISSING and n not in self.factories)
        self.for_post_init = tuple(one.name for one in declared if one.is_argument_only)
        self.has_post_init = hasattr(cls, "__post_init__")
        self.shown = tuple(one.name for one in stored if one.repr)
        self.key = values_getter([one.name for one in stored if one.compare])
        self.accepts: Accepts | None = getattr(cls, "_accepts_further_argument", None)


_PLANS: dict[type, _Plan] = {}


def _plan(cls: type) -> _Plan:
    plan = _PLANS[cls] = _Plan(cls)
    return plan


def values_getter(names: Sequence[str]) -> Callable[[Any], tuple[object, ...]]:
    """What reads attributes of an object: a function that returns the tuple of their values."""
    if len(names) > 1:
        return attrgetter(*names)
    if not names:
        return lambda made: ()
    value_of = attrgetter(names[0])
    return lambda made: (value_of(made),)


def _declared(cls: type) -> dict[str, _Field]:
    """All fields of a class, those of its bases first. A field that is declared again keeps its place."""
    found: dict[str, _Field] = {}
    for base in reversed(cls.__mro__[1:]):
        if "_own_fields" in base.__dict__:
            found.update(_declared(base))
    if "_own_fields" in cls.__dict__:
        found.update(_own(cls))
    return found


def _own(cls: type) -> dict[str, _Field]:
    """The fields that the body of a class declares."""
    given: Mapping[str, _Field]
    given, kw_only = cls.__dict__["_own_fields"]
    found = {}
    for name, hint in cls.__annotations__.items():
        if hint is _KW_ONLY:
            kw_only = True
        elif ClassVar not in (hint, get_origin(hint)):
            one = given.get(name) or _field(default=cls.__dict__.get(name, _MISSING))
            one.name, one.type = name, hint
            one.kw_only = kw_only if one.kw_only is None else one.kw_only
            found[name] = one
    return found


# ------------------------------------------------------------------------------------------------- shared methods


def _init(self: Any, /, *args: Any, **given: Any) -> None:
    cls = type(self)
    plan = _PLANS.get(cls) or _plan(cls)
    values = plan.arguments.copy()
    if args or given or plan.needed:
        _bind(cls, plan, values, args, given)
    if plan.factories:
        values |= {name: make() for name, make in plan.factories.items() if values[name] is _MISSING}
    passed = [values.pop(name) for name in plan.for_post_init] if plan.for_post_init else ()
    if values:
        self.__dict__.update(values)
    if plan.has_post_init:
        self.__post_init__(*passed)


def _bind(cls: type, plan: _Plan, values: dict[str, Any], args: tuple[Any, ...], given: dict[str, Any]) -> None:
    """Puts the arguments of a call in place of the defaults in ``values``. Raises Python's TypeError for wrong ones."""
    wrong = False
    if args:
        if len(args) > len(plan.positional) and hasattr(cls, "_further_positions"):
            args, given = _with_further_positions(plan.positional, cls._further_positions(), args, given)
        values.update(zip(plan.positional, args, strict=False))
        wrong = len(args) > len(plan.positional)
        if given and not wrong:
            wrong = not given.keys().isdisjoint(plan.positional[: len(args)])
    if given:
        values.update(given)
        if len(values) != len(plan.arguments):
            for name in [name for name in given if name not in plan.arguments]:
                if plan.accepts is not None and plan.accepts(cls, name, given[name]):
                    del values[name], given[name]
            wrong = wrong or len(values) != len(plan.arguments)
    for name in plan.needed:
        wrong = wrong or values[name] is _MISSING
    if wrong:
        try:
            _standard(cls)(*args, **given)  # raises the error
        except TypeError as error:
            raise TypeError(f"{error}{_names_instead(plan, given)}") from None
        raise TypeError(f"{cls.__qualname__}: wrong arguments")


def _names_instead(plan: _Plan, given: Mapping[str, Any]) -> str:
    """What to write instead of the first argument that the class does not have, or an empty text."""
    from fastreg.internal.absent import argument_instead
    from fastreg.internal.typos import closest

    for name in given:
        if name not in plan.arguments:
            close = closest(name, plan.arguments)
            return argument_instead(name, plan.arguments) or (f" (did you mean {close!r}?)" if close else "")
    return ""


def _with_further_positions(
    own: tuple[str, ...], further: tuple[str, ...], args: tuple[Any, ...], given: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call in which named ones may follow the positional ones by position, if they are right."""
    beyond = args[len(own) :]
    named = dict(zip(further, beyond, strict=False))
    if len(beyond) > len(further) or not named.keys().isdisjoint(given):
        return args, given
    return args[: len(own)], given | named


def _eq(self: Any, other: object) -> Any:
    cls = type(self)
    if type(other) is not cls:
        return NotImplemented
    key = (_PLANS.get(cls) or _plan(cls)).key
    return key(self) == key(other)


def _hash(self: Any) -> int:
    cls = type(self)
    return hash((_PLANS.get(cls) or _plan(cls)).key(self))


def _repr(self: Any) -> str:
    cls = type(self)
    shown = (_PLANS.get(cls) or _plan(cls)).shown
    return f"{cls.__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"


def _refuse_assignment(self: Any, name: str, value: object) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_deletion(self: Any, name: str) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _replace(made: Any, /, **changes: Any) -> Any:
    """The same object with other values of some fields, as ``dataclasses.replace``."""
    cls = type(made)
    for name, default in (_PLANS.get(cls) or _plan(cls)).arguments.items():
        if name not in changes:
            changes[name] = getattr(made, name, default)
    return cls(**changes)


def _fields(cls_or_made: Any) -> tuple[Any, ...]:
    """The stored fields of a class or an instance in order, as ``dataclasses.fields``."""
    cls = cls_or_made if isinstance(cls_or_made, type) else type(cls_or_made)
    return (_PLANS.get(cls) or _plan(cls)).stored


def argument_names(cls: type) -> tuple[str, ...]:
    """The names of the arguments of a data class's constructor."""
    return tuple(_declared(cls))


# ----------------------------------------------------------------------------- what the standard library makes of it

_STANDARD: dict[type, Any] = {}


def _standard(cls: type) -> Any:
    """A class of the standard library with the same fields, for what is needed rarely."""
    if cls not in _STANDARD:
        import dataclasses

        listed = []
        for one in _declared(cls).values():
            more = {"default": one.default, "default_factory": one.default_factory}
            further = {name: value for name, value in more.items() if value is not _MISSING}
            hint: Any = dataclasses.InitVar.__class_getitem__(one.type.hint) if one.is_argument_only else one.type
            made = dataclasses.field(repr=one.repr, compare=one.compare, kw_only=bool(one.kw_only), **further)
            listed.append((one.name, hint, made))
        frozen = getattr(cls, "__setattr__", None) is not object.__setattr__
        namespace = {"__qualname__": cls.__qualname__, "__module__": cls.__module__}
        twin: Any = dataclasses.make_dataclass(cls.__name__, listed, frozen=frozen, namespace=namespace)
        twin.__init__.__qualname__ = f"{cls.__qualname__}.__init__"
        _STANDARD[cls] = twin
    return _STANDARD[cls]


class _Standard:
    """An attribute that the standard library's class of the same fields has, made when it is asked for."""

    def __init__(self, find: Callable[[Any], Any], of_instances: bool = True) -> None:
        self._find, self._of_instances = find, of_instances

    def __get__(self, made: object, owner: type) -> Any:
        if made is not None and not self._of_instances:
            raise AttributeError("__signature__")  # an instance that can be called has another
        return self._find(_standard(owner))


def _signature(twin: type) -> Any:
    from inspect import signature

    found = signature(twin)
    arguments = found.parameters.values()
    return found.replace(parameters=[one.replace(annotation=_without_marks(one.annotation)) for one in arguments])


def _without_marks(hint: Any) -> Any:
    """An annotation as ``help`` and notebooks are to show it: without the checks and marks that it has."""
    from dataclasses import InitVar as Standard
    from functools import reduce
    from operator import or_
    from types import UnionType

    if isinstance(hint, Standard):
        return _without_marks(hint.type)
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _without_marks(parts[0])
    if origin in (Union, UnionType):
        return reduce(or_, map(_without_marks, parts))
    return origin[_without_marks(parts[0])] if origin is Sequence else hint


_LAZY = {
    "__dataclass_fields__": _Standard(lambda twin: twin.__dataclass_fields__),
    "__dataclass_params__": _Standard(lambda twin: twin.__dataclass_params__),
    "__match_args__": _Standard(lambda twin: twin.__match_args__),
    "__signature__": _Standard(_signature, of_instances=False),
    "__replace__": _replace,
}


def _dataclass(
    cls: Any = None, /, *, repr: bool = True, eq: bool = True, frozen: bool = False, kw_only: bool = False
) -> Any:
    """Declares that the annotations of a class are its fields, as ``dataclasses.dataclass``."""
    if cls is None:
        return lambda cls: _dataclass(cls, repr=repr, eq=eq, frozen=frozen, kw_only=kw_only)
    own = cls.__dict__
    given = {name: value for name, value in own.items() if type(value) is _Field}
    methods: dict[str, Any] = {"__init__": _init}
    if not hasattr(cls, "_own_fields"):
        methods.update(_LAZY)
    if repr:
        methods["__repr__"] = _repr
    if eq:
        methods["__eq__"] = _eq
        if own.get("__hash__") is None:
            cls.__hash__ = _hash if frozen else None
    if frozen:
        methods.update(__setattr__=_refuse_assignment, __delattr__=_refuse_deletion)
    for name, one in given.items():
        if one.default is _MISSING:
            delattr(cls, name)
        else:
            setattr(cls, name, one.default)
    for name, method in methods.items():
        if name not in own:
            setattr(cls, name, method)
    cls._own_fields = given, kw_only
    return cls


def accept_further_arguments(cls: Any, accepts: Accepts) -> None:
    """Lets the constructor of a data class take arguments by name that are no fields.

    Args:
        cls: A class that :func:`dataclass` has seen.
        accepts: Called with the class, the name and the value of each such argument. It returns whether there is one of
            that name, and raises an error for a bad value.
    """
    cls._accepts_further_argument = staticmethod(accepts)


if not TYPE_CHECKING:
    KW_ONLY, MISSING, InitVar = _KW_ONLY, _MISSING, _InitVar
    dataclass, field, fields, replace = _dataclass, _field, _fields, _replace
