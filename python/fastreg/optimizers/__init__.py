r"""How weights follow their gradients.

Descriptions only: C++ applies each as one pass over all parameters (cpp/math/rules.h), penalties included.

Notation: :math:`w` weights, :math:`g` gradient with L1 and L2 penalties in it, clipped, :math:`\eta_t` learning rate at
step :math:`t` from 0, :math:`m, v` moments that start at 0. Adam and RMSprop are as their papers and PyTorch have them;
Keras's default values, not its placing of :math:`\epsilon`. At the ends of float32, a gradient beyond 1.84e19, whose
square would overflow, counts as 1.84e19, and :math:`\epsilon` is raised to the largest gradient whose square would
vanish, 3e-18 for Adam's and 3e-19 for RMSprop's defaults: no step is larger than the rule allows.
"""

import sys
from typing import TYPE_CHECKING

from fastreg import schedules
from fastreg.internal.checks import absent_names
from fastreg.internal.description import Registry
from fastreg.internal.lazy_names import lazy_names
from fastreg.optimizers.base import LearningRate, Optimizer

if TYPE_CHECKING:
    from fastreg.optimizers.adam import Adam, AdamW
    from fastreg.optimizers.lion import Lion
    from fastreg.optimizers.rmsprop import RMSprop
    from fastreg.optimizers.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "LearningRate", "Lion", "Optimizer", "RMSprop", "get", "schedules"]

# The module that each optimizer lives in; it is loaded when the optimizer is first used.
_HOMES = {
    name: module
    for module, names in {
        "sgd": ("SGD",),
        "adam": ("Adam", "AdamW"),
        "rmsprop": ("RMSprop",),
        "lion": ("Lion",),
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


def get(identifier: object, where: str = "optimizers.get") -> Optimizer:
    """The optimizer for an argument: an instance or a name such as ``"adam"``."""
    return _REGISTRY.resolve(where, identifier)
