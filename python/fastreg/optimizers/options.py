"""What every optimizer has besides its rule: clipping, averages of weights, accumulation, and what does not decay.

These are descriptions; C++ does all of it in the pass of the update (cpp/core/optimizer.cpp).
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Annotated, Any, cast

from fastreg.internal.checks import AT_LEAST_ONE, CLOSED_FRACTION, POSITIVE, WIDTH_LIMIT, check_name, describe
from fastreg.internal.dataclasses import KW_ONLY, dataclass, fields
from fastreg.internal.description import BriefForm, Description
from fastreg.internal.keras_arguments import idle_arguments

__all__ = ["OPTIONS", "UpdateOptions"]

# The ways to clip a gradient. An optimizer uses at most one of them.
_CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")

# The options in Keras's order: what follows an optimizer's own arguments.
OPTIONS = (
    "weight_decay",
    *_CLIPS,
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "loss_scale_factor",
    "gradient_accumulation_steps",
    "name",
)


@dataclass(frozen=True, repr=False)
class UpdateOptions(Description):
    """The options of every optimizer but the weight decay, see :class:`fastreg.optimizers.Optimizer`."""

    _: KW_ONLY
    clipnorm: Annotated[float, POSITIVE] | None = None
    clipvalue: Annotated[float, POSITIVE] | None = None
    global_clipnorm: Annotated[float, POSITIVE] | None = None
    use_ema: bool = False
    ema_momentum: Annotated[float, CLOSED_FRACTION] = 0.99
    ema_overwrite_frequency: Annotated[int, AT_LEAST_ONE, WIDTH_LIMIT] | None = None
    gradient_accumulation_steps: Annotated[int, AT_LEAST_ONE, WIDTH_LIMIT] | None = None
    excluded_from_weight_decay: Sequence[Annotated[str, check_name]] | None = None
    name: Annotated[str, check_name] | None = None

    def _check_together(self) -> None:
        owner = type(self).__name__
        clips = [name for name in _CLIPS if getattr(self, name) is not None]
        if len(clips) > 1:
            raise ValueError(f"{owner}: give one of clipnorm, clipvalue and global_clipnorm, got {' and '.join(clips)}")
        if self.name is None:
            self._set(name=_usual_name(owner))

    @classmethod
    def _further_positions(cls) -> tuple[str, ...]:
        """What follows the positional arguments in Keras's order: the options, if Keras has nothing else before."""
        named = {field.name for field in fields(cls) if field.kw_only} | set(idle_arguments(cast(Any, cls)))
        return tuple(name for name in OPTIONS if name in named) if named <= _PLACES.keys() else ()

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Iterable[str] | None = None) -> None:
        """Says which weights do not decay, in the place of the default, by which only kernels decay.

        As in Keras, all other weights that are trained then decay, biases too; without arguments all do. It sets
        ``excluded_from_weight_decay`` and must be called before the first ``fit``.

        Args:
            var_list: Single weights: texts such as ``"dense_1/kernel"``, the name of a layer and that of its weight, or
                objects that have such a text as ``path``.
            var_names: Words. A weight whose own name (``kernel``, ``bias``, ``gamma``, ``beta``) contains one of them
                does not decay.

        Raises:
            ValueError: If a fit has begun, or a text is none of these.
            TypeError: If an argument is no list of texts, or of objects with a ``path``.

        Example:
            >>> from fastreg import optimizers
            >>> adam = optimizers.Adam(weight_decay=0.01)
            >>> adam.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
            >>> adam.excluded_from_weight_decay
            ('bias', 'gamma', 'beta')
        """
        call = "exclude_from_weight_decay"
        if vars(self).get("_in_use"):
            raise ValueError(f"{call}: must be called before the first fit; give compile another optimizer")
        paths = [_path_of(call, item) for item in _listed(call, "var_list", var_list)]
        names = [check_name(call, "var_names", name) for name in _listed(call, "var_names", var_names)]
        self._set(excluded_from_weight_decay=(*paths, *names))

    def use(self) -> None:
        """Notes that a fit uses this description, which must not change any more."""
        self._set(_in_use=True)

    def __repr__(self) -> str:
        ordered = sorted(fields(self), key=lambda field: field.kw_only and (_PLACES.get(field.name, 0) + 1))
        usual = _USUAL | {"name": self.name and _usual_name(type(self).__name__)}  # older pickles have no name
        shown = [name for field in ordered if (name := field.name) not in usual or getattr(self, name) != usual[name]]
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def to_config(self) -> dict[str, Any]:
        """The JSON form. Options that do nothing are not in it, except clipping: files are as they ever were."""
        config = _form(cast(Any, type(self))).of(self)
        if self.name is None:  # in older pickles
            del config["name"]
        return config


# The values at which an option does nothing, and is not shown.
_USUAL: dict[str, object] = {field.name: field.default for field in fields(UpdateOptions)} | {"weight_decay": None}
# Where an option is shown, behind an optimizer's own arguments.
_PLACES = {name: place for place, name in enumerate((*OPTIONS, "excluded_from_weight_decay"), 1)}


@cache
def _form(kind: type[UpdateOptions]) -> BriefForm:
    named = {field.name for field in fields(kind)}.difference(_CLIPS)
    idle = {name: value for name, value in _USUAL.items() if name in named}
    return BriefForm(kind, idle | {"name": _usual_name(kind.__name__)})


@cache
def _usual_name(owner: str) -> str:
    """Keras's name after the class: ``adam_w``, ``rm_sprop``."""
    return re.sub(r"(?<=.)(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", owner).lower()


def _listed(call: str, name: str, values: object) -> list[Any]:
    if values is None:
        return []
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise TypeError(f"{call}: {name} must be a list, got {describe(values)}")
    return list(values)


def _path_of(call: str, item: object) -> str:
    path = item if isinstance(item, str) else getattr(item, "path", None)
    if not isinstance(path, str):
        raise TypeError(
            f"{call}: var_list must be texts such as 'dense/kernel', or objects with such a path, got {describe(item)}"
        )
    parts = path.split("/")
    if len(parts) < 2 or not all(parts):
        raise ValueError(f"{call}: var_list must be texts such as 'dense/kernel', got {path!r}")
    return "/".join(parts[-2:])
