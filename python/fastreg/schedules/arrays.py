r"""A schedule that is a list of rates."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from fastreg.internal.checks import NON_NEGATIVE
from fastreg.internal.dataclasses import dataclass
from fastreg.schedules.base import LearningRateSchedule, Rates

__all__ = ["ArraySchedule"]


@dataclass(frozen=True)
class ArraySchedule(LearningRateSchedule):
    """The rate of each step, from a list or an array; the last one stays.

    Args:
        values: The rates >= 0 of steps 0, 1, ...; at least one.

    Raises:
        ValueError: If there is no value, or one is negative or not finite.
        TypeError: If something in the list is not a number.

    Example:
        >>> from fastreg import schedules
        >>> rate = schedules.ArraySchedule([0.1, 0.3, 0.2])
        >>> rate(0), rate(1), rate(2), rate(100)
        (0.1, 0.3, 0.2, 0.2)
    """

    values: Sequence[Annotated[float, NON_NEGATIVE]]

    def _check_together(self) -> None:
        if not self.values:
            raise ValueError("ArraySchedule: values must be at least one, got none")

    def _rates(self, step: Rates) -> Rates:
        place = np.minimum(step, len(self.values) - 1).astype(np.int64)
        rates: Rates = np.asarray(self.values, dtype=np.float64)[place]
        return rates
