"""The base of the optimizers, and their learning rates."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from fastreg import schedules
from fastreg.internal.checks import POSITIVE, check_real, describe
from fastreg.internal.dataclasses import KW_ONLY, dataclass, fields
from fastreg.internal.description import Description
from fastreg.schedules.base import LearningRateSchedule, RunLength, rates_of

__all__ = ["LearningRate", "Optimizer"]


def check_learning_rate(owner: str, name: str, value: object) -> object:
    """A rate > 0 as a float, or the schedule that was given, as itself or in its JSON form."""
    if isinstance(value, Mapping):
        return schedules.get(value, owner)
    if not callable(value):
        return check_real(owner, name, value, POSITIVE)
    if isinstance(value, type):
        raise TypeError(f"{owner}: {name} must be a number or schedule, got {describe(value)}")
    return value


LearningRate = Annotated[float | Callable[[int], float], check_learning_rate]


# The ways to clip a gradient. An optimizer uses at most one of them.
_CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")


@dataclass(frozen=True, repr=False)
class Optimizer(Description):
    r"""Base of the optimizers; anything that ``compile(optimizer=...)`` accepts.

    All of them can clip the gradient :math:`g` before they use it. As in Keras, the whole gradient is clipped,
    including those of L1 and L2 penalties; PyTorch's ``clip_grad_norm_`` does not see what ``weight_decay`` adds. A
    proximal L1 and AdamW's weight decay are not gradients and are not clipped. A norm that is not finite ends the fit,
    like any gradient that is not finite.

    Args:
        learning_rate: A number > 0, or a schedule called with the step, counted from 0.
        clipnorm: > 0, by keyword only: the gradient of each weight (a kernel, a bias, ...) is multiplied with
            :math:`\min(1, \text{clipnorm} / \lVert g \rVert_2)`.
        clipvalue: > 0, by keyword only: each element of :math:`g` is cut to [-clipvalue, clipvalue].
        global_clipnorm: > 0, by keyword only: as ``clipnorm``, with one norm of the gradients of all weights.
    """

    learning_rate: LearningRate
    _: KW_ONLY
    clipnorm: Annotated[float, POSITIVE] | None = None
    clipvalue: Annotated[float, POSITIVE] | None = None
    global_clipnorm: Annotated[float, POSITIVE] | None = None

    def _check_together(self) -> None:
        clips = [name for name in _CLIPS if getattr(self, name) is not None]
        if len(clips) > 1:
            raise ValueError(
                f"{type(self).__name__}: give one of clipnorm, clipvalue and global_clipnorm, got {' and '.join(clips)}"
            )

    def __repr__(self) -> str:
        names = sorted((field.name for field in fields(self)), key=_CLIPS.__contains__)
        shown = [name for name in names if name not in _CLIPS or getattr(self, name) is not None]
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def to_config(self) -> dict[str, Any]:
        """The JSON form. Raises ValueError if the learning rate is a callable that is not of ``fastreg.schedules``."""
        rate = self.learning_rate
        if not isinstance(rate, (float, LearningRateSchedule)):
            raise ValueError(
                f"{type(self).__name__}: learning_rate {describe(rate)} cannot be saved; use one of fastreg.schedules, "
                "or save with include_optimizer=False"
            )
        return super().to_config()

    def core_config(self) -> dict[str, Any]:
        """The JSON form for the core, which gets the rates of a schedule as an array and not from here."""
        config = super().to_config()
        if not isinstance(self.learning_rate, float):
            config["learning_rate"] = {}
        return config

    def rate_at(self, step: int, run: RunLength | None = None) -> float:
        """The learning rate at a step. Raises what a schedule raises, and ValueError if its value is no rate."""
        return float(self.rates(step, 1, run)[0])

    def rates(self, first_step: int, n: int, run: RunLength | None = None) -> NDArray[np.float64]:
        """The rates of ``n`` steps from ``first_step`` on, or a single one if they are all the same."""
        return rates_of(self.learning_rate, first_step, n, run)
