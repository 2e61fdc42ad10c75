r"""How weights follow their gradients.

Descriptions only: C++ applies each as one pass over all parameters (cpp/math/rules/), penalties included.

Notation: :math:`w` weights, :math:`g` gradient with L1 and L2 penalties in it, clipped, :math:`\eta_t` learning rate at
step :math:`t` from 0, :math:`m, v` moments that start at 0. The rules are as their papers and PyTorch have them;
Keras's names and default values, not its placing of :math:`\epsilon`. At the ends of float32, a gradient beyond
1.84e19, whose square would overflow, counts as 1.84e19 where a rule squares it, a sum of squares stays at the largest
float, and an
:math:`\epsilon` that is added to a root is raised to the largest gradient whose square would vanish, 3e-18 for Adam's,
3e-19 for RMSprop's and 1e-19 for Adagrad's defaults: no step is larger than the rule allows.

A proximal L1 (:class:`fastreg.regularizers.L1`) leads every rule to the same weights, those of the closed form.
"""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastreg import schedules
from fastreg.internal.checks import absent_names
from fastreg.internal.description import Registry
from fastreg.internal.lazy_names import lazy_names
from fastreg.optimizers.base import LearningRate, Optimizer

if TYPE_CHECKING:
    from fastreg.optimizers.adagrad import Adadelta, Adagrad
    from fastreg.optimizers.adam import Adam, AdamW
    from fastreg.optimizers.adam_kin import Adamax, Nadam, RAdam
    from fastreg.optimizers.ftrl import Ftrl
    from fastreg.optimizers.lion import Lion
    from fastreg.optimizers.rmsprop import RMSprop
    from fastreg.optimizers.rprop import Rprop
    from fastreg.optimizers.schedule_free import ScheduleFreeAdamW
    from fastreg.optimizers.sgd import SGD

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "LearningRate",
    "Lion",
    "Nadam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "ScheduleFreeAdamW",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

# The module that each optimizer lives in; it is loaded when the optimizer is first used.
_HOMES = {
    name: module
    for module, names in {
        "sgd": ("SGD",),
        "adam": ("Adam", "AdamW"),
        "rmsprop": ("RMSprop",),
        "lion": ("Lion",),
        "adam_kin": ("Nadam", "RAdam", "Adamax"),
        "adagrad": ("Adagrad", "Adadelta"),
        "rprop": ("Rprop",),
        "ftrl": ("Ftrl",),
        "schedule_free": ("ScheduleFreeAdamW",),
    }.items()
    for name in names
}
_load = lazy_names(__name__, _HOMES, absent_names(__name__))
_REGISTRY: Registry[Optimizer] = Registry(
    "optimizer", Optimizer, {name.lower(): name for name in _HOMES}, later=_HOMES, load=_load
)

# Makes `from fastreg.optimizers.schedules import CosineDecay` work, which is where Keras has it.
sys.modules[f"{__name__}.schedules"] = schedules

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = _load


def __dir__() -> list[str]:
    return sorted(__all__)


def get(identifier: object, where: str = "optimizers.get") -> Optimizer:
    """The optimizer for an argument: an instance or a name such as ``"adam"``.

    Example:
        >>> from fastreg import optimizers
        >>> optimizers.get("sgd").learning_rate
        0.01
    """
    return _REGISTRY.resolve(where, identifier)


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """The description of an optimizer in Keras's form, ``{"class_name": ..., "config": {...}}``.

    Example:
        >>> from fastreg import optimizers
        >>> made = optimizers.SGD(0.5)
        >>> optimizers.deserialize(optimizers.serialize(made)) == made
        True
    """
    return _REGISTRY.serialize(optimizer)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, object] | None = None) -> Optimizer:
    """The optimizer that :func:`serialize` made a dict of.

    Args:
        config: The dict; the form in model files, ``{"type": ..., field: value}``, is taken, too.
        custom_objects: None or ``{}``, since every class is built in; an argument of Keras.

    Raises:
        ValueError: If the dict names no optimizer, or a field is unknown or missing, or its value is bad.

    Example:
        >>> from fastreg import optimizers
        >>> optimizers.deserialize({"class_name": "SGD", "config": {"learning_rate": 0.5}}).learning_rate
        0.5
    """
    return _REGISTRY.deserialize(config, custom_objects)
