"""The range of learning rates with which a model trains (Smith, "Cyclical learning rates", WACV 2017)."""

from __future__ import annotations

import copy
import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastreg._core import DivergenceError
from fastreg.callbacks.base import Callback, Logs
from fastreg.internal import pictures, whole_files
from fastreg.internal.call_errors import wants_targets
from fastreg.internal.checks import AT_LEAST_ONE, FRACTION, POSITIVE, check_int, check_real
from fastreg.internal.extras import needs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["RateRange", "find_learning_rate"]

# The colours of fastreg.plots.
_LINE, _MARK = "#0072b2", "#555555"


class RateRange:
    """The losses of a short training whose learning rate grew at every step.

    Attributes:
        rates: The rate of each step, in ascending order.
        losses: The loss of each batch, before the step with that rate.
        smoothed: The average of the losses up to each step, in which those before count less and less.
        steepest: The rate at which the smoothed loss falls fastest over the logarithm of the rate, in the second half
            of its way to the minimum.
        suggestion: A tenth of the rate of the smallest smoothed loss, a usual choice; there the loss still falls.
        diverged: Whether the training ended because the loss had become too large, as it should.
    """

    def __init__(
        self,
        rates: NDArray[np.float64],
        losses: NDArray[np.float64],
        smoothed: NDArray[np.float64],
        diverged: bool,
    ) -> None:
        self.rates, self.losses, self.smoothed, self.diverged = rates, losses, smoothed, diverged
        lowest = int(np.argmin(smoothed))
        self.steepest = float(rates[_steepest(smoothed, lowest)])
        self.suggestion = float(rates[lowest]) / 10.0

    def __repr__(self) -> str:
        return f"<RateRange of {len(self.rates)} steps: suggestion {self.suggestion:.3g}>"

    def plot(self, path: whole_files.FilePath | None = None) -> Figure:
        """Draws the losses over the rates, with the suggestion marked.

        Args:
            path: File to write, completely or not at all; None writes no file.

        Returns:
            The figure.

        Raises:
            ModuleNotFoundError: If matplotlib is not installed; the extra ``plots`` has it.
        """
        try:
            from matplotlib.figure import Figure
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] != "matplotlib":
                raise
            raise ModuleNotFoundError(needs("plot", "plots", "matplotlib"), name="matplotlib") from error
        figure = pictures.for_notebooks(Figure(figsize=(6.0, 3.8), dpi=130, layout="constrained"))
        axes = figure.subplots()
        axes.plot(self.rates, self.losses, color=_LINE, linewidth=0.8, alpha=0.35, label="loss of the batch")
        axes.plot(self.rates, self.smoothed, color=_LINE, linewidth=1.8, label="smoothed")
        label = f"suggestion {self.suggestion:.2g}"
        axes.axvline(self.suggestion, color=_MARK, linewidth=1.0, linestyle=":", label=label)
        axes.set_xscale("log")
        axes.set_xlabel("learning rate (log scale)")
        axes.set_ylabel("loss")
        low, high = float(self.smoothed.min()), float(self.smoothed[0])
        if high > low:
            axes.set_ylim(low - 0.15 * (high - low), high + 0.6 * (high - low))
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9)
        if path is not None:
            pictures.save(figure, path)
        return figure


def _steepest(smoothed: NDArray[np.float64], lowest: int) -> int:
    """The step at which the loss falls fastest in the second half of the way to its minimum, over a tenth of that way.

    Over fewer steps, and in the first half, where the average is over few losses, the noise of the batches would
    decide.
    """
    half, begin = max(1, lowest // 20), lowest // 2
    if lowest < begin + 2 * half:
        return lowest
    falls = smoothed[begin : lowest - 2 * half + 1] - smoothed[begin + 2 * half : lowest + 1]
    return begin + int(np.argmax(falls)) + half


class _Recorder(Callback):
    """Sets the rate of each batch, notes its loss, and ends the run when the smoothed loss is too large."""

    def __init__(self, rates: NDArray[np.float64], smoothing: float, limit: float) -> None:
        self._rates, self._smoothing, self._limit = rates, smoothing, limit
        self._sum, self._average = 0.0, 0.0
        self.losses: list[float] = []
        self.smoothed: list[float] = []
        self.diverged = False

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Sets the rate."""
        self.model.learning_rate = float(self._rates[batch])

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Takes the loss of the batch out of the mean over the batches."""
        total = (logs or {})["loss"] * (batch + 1)
        loss, self._sum = total - self._sum, total
        self._average = self._smoothing * self._average + (1.0 - self._smoothing) * loss
        self.losses.append(loss)
        self.smoothed.append(self._average / (1.0 - self._smoothing ** (batch + 1)))
        if self.smoothed[-1] > self._limit * min(self.smoothed):
            self.diverged = self.model.stop_training = True


@wants_targets
def find_learning_rate(
    model: Any,
    x: Any,
    y: Any,
    batch_size: int = 32,
    *,
    start: float = 1e-7,
    end: float = 10.0,
    steps: int = 100,
    smoothing: float = 0.9,
    limit: float = 4.0,
    **fit: Any,
) -> RateRange:
    r"""Trains a copy of a model for some steps, with a rate that grows by the same factor at every step.

    The loss falls first slowly, then fast, and rises when the rate has become too large. A good rate is where it falls
    fast, below the rate of its minimum. The model itself is not changed.

    .. math:: \eta_t = \eta_a (\eta_b / \eta_a)^{t / (n - 1)}, \qquad
        \bar\ell_t = \frac{1 - \beta}{1 - \beta^{t+1}} \sum_{i \le t} \beta^{t-i} \ell_i

    Args:
        model: A model that is compiled with a loss. Its optimizer is used with these rates.
        x: Rows of features, as for ``fit``.
        y: Targets, as for ``fit``.
        batch_size: The rows of a batch, >= 1.
        start: The first rate :math:`\eta_a > 0`.
        end: The last rate :math:`\eta_b`, larger than ``start``.
        steps: The number of steps n, >= 2.
        smoothing: :math:`\beta` in [0, 1), the weight of what was before in the smoothed loss.
        limit: The training ends when the smoothed loss exceeds its smallest value times this, > 1.
        **fit: Further arguments of ``fit``: ``sample_weight``, ``class_weight``, ``rows``, ``shuffle``.

    Returns:
        The rates, the losses and a suggestion, with a method ``plot``.

    Warns:
        UserWarning: If the suggestion is below ``start``, as it is for a model that is trained already.

    Raises:
        ValueError: If an argument is out of range, or the model is not compiled with a loss.
        DivergenceError: If not even the first steps have a finite loss.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> x = np.random.default_rng(0).normal(size=(256, 4)).astype("float32")
        >>> model = fr.Sequential([fr.layers.Dense(16, "relu"), fr.layers.Dense(1)], seed=0)
        >>> model.compile("sgd", "mse")
        >>> found = fr.diagnosis.find_learning_rate(model, x, x[:, 0] * x[:, 1])
        >>> 1e-3 < found.suggestion < 1.0
        True
    """
    owner = "find_learning_rate"
    first = check_real(owner, "start", start, POSITIVE)
    last = check_real(owner, "end", end, (f"be larger than start, {first:g}", lambda value: first < value < math.inf))
    n = check_int(owner, "steps", steps, ("be >= 2", lambda value: value >= 2))
    beta = check_real(owner, "smoothing", smoothing, FRACTION)
    most = check_real(owner, "limit", limit, ("be > 1", lambda value: 1.0 < value < math.inf))
    size = check_int(owner, "batch_size", batch_size, AT_LEAST_ONE)
    allowed = ("sample_weight", "class_weight", "rows", "shuffle")
    if unknown := [name for name in fit if name not in allowed]:
        raise TypeError(f"{owner}: {unknown[0]} must be one of {', '.join(allowed)}, of the arguments of fit")
    rates = first * (last / first) ** (np.arange(n) / (n - 1))
    trained, recorder = copy.deepcopy(model), _Recorder(rates, beta, most)
    try:
        trained.fit(x, y, size, 1, 0, recorder, steps_per_epoch=n, **fit)
    except DivergenceError:
        recorder.diverged = True
        if len(recorder.losses) < 2:
            raise
    count = len(recorder.losses)
    found = RateRange(rates[:count], np.array(recorder.losses), np.array(recorder.smoothed), recorder.diverged)
    if found.suggestion < first:
        warnings.warn(
            f"{owner}: the loss was smallest near start, {first:g}, so that the suggestion, {found.suggestion:.2g}, is "
            "below all rates that were tried: give a smaller start, or a model that is not trained yet",
            stacklevel=2,
        )
    return found
