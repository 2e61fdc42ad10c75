"""The base of the optimizers, and their learning rates."""

from collections.abc import Callable
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.checks import NON_NEGATIVE, POSITIVE, describe
from fastreg.internal.dataclasses import KW_ONLY, dataclass
from fastreg.optimizers.options import UpdateOptions
from fastreg.schedules.base import LearningRateSchedule, RunLength, number_or_schedule, rates_of, values_of

__all__ = ["LearningRate", "Optimizer", "WeightDecay"]


LearningRate = Annotated[float | Callable[[int], float], number_or_schedule(POSITIVE)]
WeightDecay = Annotated[float | Callable[[int], float], number_or_schedule(NON_NEGATIVE)]


@dataclass(frozen=True, repr=False)
class Optimizer(UpdateOptions):
    r"""Base of the optimizers; anything that ``compile(optimizer=...)`` accepts.

    Its arguments are those of every optimizer, behind the optimizer's own.

    All of them can clip the gradient :math:`g` before they use it. As in Keras, the whole gradient is clipped,
    including those of L1 and L2 penalties; PyTorch's ``clip_grad_norm_`` does not see what ``weight_decay`` adds. A
    proximal L1 and weight decay are not gradients and are not clipped. A norm that is not finite ends the fit, like any
    gradient that is not finite.

    With ``use_ema`` an average :math:`a` of every trained weight follows it: :math:`a \leftarrow w` after the first
    update, then :math:`a \leftarrow \mu a + (1 - \mu) w` (Polyak and Juditsky 1992). When a fit ends, the weights of
    the model are the averages, unless ``EarlyStopping`` restored the best ones. The next fit continues from the weights
    that were averaged, so that two fits equal one long one; ``set_weights`` in between starts the average anew. In a
    callback the model has the weights that are trained.

    With ``gradient_accumulation_steps=k`` the weights are updated after every k-th batch, by the mean of k gradients,
    which is clipped. Schedules count the batches, averages the updates. A group of k batches may go on in the next
    epoch and the next fit.

    Args:
        learning_rate: A number > 0, or a schedule called with the step, counted from 0.
        weight_decay: :math:`\lambda \ge 0`, decoupled: each step begins with
            :math:`w \leftarrow w - \eta_t \lambda w`. Only kernels decay, unless :meth:`exclude_from_weight_decay` says
            otherwise. It may be a schedule, as the learning rate.
        clipnorm: > 0: the gradient of each weight (a kernel, a bias, ...) is multiplied with
            :math:`\min(1, \text{clipnorm} / \lVert g \rVert_2)`.
        clipvalue: > 0: each element of :math:`g` is cut to [-clipvalue, clipvalue].
        global_clipnorm: > 0: as ``clipnorm``, with one norm of the gradients of all weights.
        use_ema: Whether averages of the weights are kept.
        ema_momentum: :math:`\mu` in [0, 1].
        ema_overwrite_frequency: After every so many updates the weights become their averages; None is never.
        gradient_accumulation_steps: k >= 1; None is 1.
        excluded_from_weight_decay: What :meth:`exclude_from_weight_decay` sets, by keyword only: the words and texts of
            what does not decay. None: all weights but kernels.
        name: Name of the optimizer; None takes one after the class.
    """

    _internal: ClassVar[frozenset[str]] = frozenset(("core_config", "decays", "use"))

    learning_rate: LearningRate
    _: KW_ONLY
    weight_decay: WeightDecay | None = None

    if not TYPE_CHECKING:  # otherwise a type checker would allow every attribute

        def __getattr__(self, name: str) -> Any:
            text = f"{type(self).__name__!r} object has no attribute {name!r}"
            if not name.startswith("_"):
                from fastreg.internal.absent import instead  # needed for errors only

                text += instead("optimizer's member", name)
            raise AttributeError(text, name=name)

    def to_config(self) -> dict[str, Any]:
        """The JSON form. Raises ValueError if a rate or decay is a callable that is not of ``fastreg.schedules``."""
        for name in ("learning_rate", "weight_decay"):
            if not isinstance(value := getattr(self, name), (float, LearningRateSchedule, NoneType)):
                raise ValueError(
                    f"{type(self).__name__}: {name} {describe(value)} cannot be saved; use one of fastreg.schedules, "
                    "or save with include_optimizer=False"
                )
        return super().to_config()

    def core_config(self) -> dict[str, Any]:
        """The JSON form for the core, which gets the rates of a schedule as an array and not from here."""
        config = super().to_config()
        for name in ("learning_rate", "weight_decay"):
            if not isinstance(getattr(self, name), (float, NoneType)):
                config[name] = {}
        return config

    def rate_at(self, step: int, run: RunLength | None = None) -> float:
        """The learning rate at a step. Raises what a schedule raises, and ValueError if its value is no rate."""
        return float(self.rates(step, 1, run)[0])

    def rates(self, first_step: int, n: int, run: RunLength | None = None) -> NDArray[np.float64]:
        """The rates of ``n`` steps from ``first_step`` on, or a single one if they are all the same."""
        return rates_of(self.learning_rate, first_step, n, run)

    def decays(self, first_step: int, n: int, run: RunLength | None = None) -> NDArray[np.float64] | None:
        """The weight decays of ``n`` steps, as :meth:`rates`; None unless they are on a schedule."""
        if isinstance(self.weight_decay, (float, NoneType)):
            return None
        return values_of(NON_NEGATIVE, "weight_decay", self.weight_decay, first_step, n, run)
