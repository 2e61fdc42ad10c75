"""Training of one network, epoch by epoch, with scikit-learn's rules of when to stop and how rates change.

Dense data are trained by one ``fit``. Sparse rows are made dense one batch at a time. It knows no scikit-learn; what a
network learns from and is judged by are arrays and functions.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg._core import DivergenceError
from fastreg.callbacks import Callback
from fastreg.data import arrays
from fastreg.internal.float32 import beyond_float32, shown
from fastreg.model.core import core_of
from fastreg.model.sequential import Sequential
from fastreg.optimizers import SGD
from fastreg.schedules.base import RunLength
from fastreg.sklearn.settings import Settings

__all__ = ["Data", "Network", "Validation", "dense_blocks", "outputs_of", "train"]

# An adaptive rate at or below it ends the run, as in scikit-learn.
_LEAST_RATE = 1e-6
# What an adaptive rate is divided by.
_FACTOR = 5.0

# The most bytes of sparse rows that are dense at a time outside of training.
_BLOCK = 16 << 20


@dataclass
class Network:
    """A network and what is known of its training.

    Attributes:
        model: The network.
        n_iter: The epochs of the last fit.
        t: The rows that all fits have seen.
        loss_curve: The loss of each epoch.
        best_loss: The smallest; None with early stopping.
        scores: The score of each epoch on validation rows; None without them.
        best_score: The best of them.
        validation_losses: The loss of each epoch on validation rows; None without them.
        waited: The epochs since the last one that was better by ``tol``.
        converged: Whether the last fit ended before its last epoch.
    """

    model: Sequential
    n_iter: int = 0
    t: int = 0
    loss_curve: list[float] = field(default_factory=list)
    best_loss: float | None = math.inf
    scores: list[float] | None = None
    best_score: float | None = None
    validation_losses: list[float] | None = None
    waited: int = 0
    converged: bool = False


@dataclass(frozen=True)
class Data:
    """What a network learns from.

    Attributes:
        x: Rows of features: an array, or a sparse matrix of rows (CSR).
        y: Targets, as the loss takes them.
        weights: A weight for each row, or None.
        rows: Indices of the rows to train on, in their order; None is all.
    """

    x: Any
    y: NDArray[Any]
    weights: NDArray[np.float64] | None = None
    rows: NDArray[np.intp] | None = None

    @property
    def n_rows(self) -> int:
        """The number of rows to train on."""
        return int(self.x.shape[0]) if self.rows is None else len(self.rows)


@dataclass(frozen=True)
class Validation:
    """What a network is judged by after each epoch.

    Attributes:
        x: Rows of features: an array, or a sparse matrix of rows (CSR).
        score: The score of outputs.
        loss: The loss of outputs.
        sign: 1 if a high score is good, -1 if a low one is.
    """

    x: Any
    score: Callable[[NDArray[Any]], float]
    loss: Callable[[NDArray[Any]], float]
    sign: float = 1.0

    def of(self, model: Sequential) -> tuple[float, float]:
        """The score and the loss of a network; NaN for both if an output is not finite."""
        outputs = outputs_of(model, self.x)
        if not np.isfinite(outputs).all():
            return math.nan, math.nan
        return float(self.score(outputs)), float(self.loss(outputs))


class Watch:
    """Follows the epochs of one fit, and says when it ends and when the rate changes.

    Args:
        network: The network.
        settings: The parameters.
        n_rows: The rows of an epoch.
        shown: What a value of the loss is divided by.
        validation: What judges, or None.
        epochs: The largest number of epochs.
        told: Is called after each epoch with whether another one may follow, and returns whether the fit must end; None
            if nobody listens.

    Attributes:
        rate: The rate of the epochs that follow, where it changes; else None.
        ended: Whether the fit ends before its last epoch.
        interrupted: Whether an interrupt has ended it.
    """

    def __init__(
        self,
        network: Network,
        settings: Settings,
        n_rows: int,
        shown: float,
        validation: Validation | None,
        epochs: int,
        told: Callable[[bool], bool] | None = None,
    ) -> None:
        self.network, self.settings, self.n_rows, self.shown = network, settings, n_rows, shown
        self.validation, self.epochs, self.told = validation, epochs, told
        self.rate: float | None = None
        self.ended = self.interrupted = False
        network.n_iter, network.converged = 0, False
        if validation is not None:
            network.scores = [] if network.scores is None else network.scores
            network.validation_losses = network.validation_losses or []
            network.best_score = -math.inf * validation.sign if network.best_score is None else network.best_score
        if settings.early_stopping:
            network.best_loss = None
        elif network.best_loss is None:
            network.best_loss = math.inf
        self.best_weights = network.model.get_weights() if network.best_loss is None else None

    @property
    def by_score(self) -> bool:
        """Whether the score on validation rows decides."""
        return self.best_weights is not None

    def epoch_ended(self, loss: float) -> bool:
        """Takes an epoch. Returns whether the run of epochs must end here."""
        network, settings = self.network, self.settings
        network.n_iter += 1
        network.t += self.n_rows
        network.loss_curve.append(loss / self.shown)
        if settings.verbose:
            print(f"Iteration {network.n_iter}, loss = {network.loss_curve[-1]:.8f}")
        better = self._judge()
        network.waited = 0 if better else network.waited + 1
        if settings.rate_rule == "invscaling":
            first, power = settings.given["learning_rate_init"], settings.given["power_t"]
            self.rate = first / (network.t + 1) ** power
        if network.waited > settings.patience:
            self._no_longer_better()
        if self.told is not None and self.told(not self.ended and network.n_iter < self.epochs):
            self.ended = True
        return self.ended or self.rate is not None

    def _judge(self) -> bool:
        """Whether this epoch is better than all before by more than ``tol``; keeps what is best."""
        network, tol = self.network, self.settings.tol
        gained_by_score = False
        if self.validation is not None:
            score, loss = self.validation.of(network.model)
            gained_by_score = self._take_score(score, loss)
        if self.by_score:
            return gained_by_score
        loss, best = network.loss_curve[-1], network.best_loss
        assert best is not None
        network.best_loss = min(best, loss)
        return not loss > best - tol

    def _take_score(self, score: float, loss: float) -> bool:
        network, sign = self.network, self.validation.sign if self.validation else 1.0
        assert network.scores is not None
        assert network.validation_losses is not None
        assert network.best_score is not None
        network.scores.append(score)
        network.validation_losses.append(loss)
        if self.settings.verbose:
            print(f"Validation score: {score:f}")
        better = not sign * score < sign * network.best_score + self.settings.tol
        if sign * score > sign * network.best_score:
            network.best_score = score
            if self.by_score:
                self.best_weights = network.model.get_weights()
        return better

    def _no_longer_better(self) -> None:
        """Ends the fit, or divides an adaptive rate."""
        settings, rate = self.settings, self.network.model.learning_rate
        what = "Validation score" if self.by_score else "Training loss"
        said = f"{what} did not improve more than tol={settings.tol:f} for {settings.patience} consecutive epochs."
        if settings.rate_rule != "adaptive":
            self.ended, end = True, "Stopping."
        elif rate <= _LEAST_RATE:
            self.ended, end = True, "Learning rate too small. Stopping."
        else:
            self.rate, self.network.waited = rate / _FACTOR, 0
            end = f"Setting learning rate to {self.rate:f}"
        if settings.verbose:
            print(f"{said} {end}")

    def diverged(self, error: DivergenceError) -> None:
        """The loss is no longer finite. Where the best weights are kept this ends the fit; else it is the error."""
        if not self.by_score:
            raise error
        assert self.network.scores is not None
        assert self.network.validation_losses is not None
        self.network.scores.append(math.nan)
        self.network.validation_losses.append(math.nan)
        self.ended = True
        warnings.warn(f"{error} The weights are those of the best score.", RuntimeWarning, stacklevel=2)

    def close(self) -> None:
        """Restores the best weights, if they were kept."""
        self.network.converged = self.ended
        if self.best_weights is not None:
            self.network.model.set_weights(self.best_weights)


class _EpochEnd(Callback):
    """Passes the epochs of a ``fit`` to a :class:`Watch`."""

    def __init__(self, watch: Watch) -> None:
        self._watch_epochs = watch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Takes an epoch."""
        assert logs is not None
        if self._watch_epochs.epoch_ended(logs["loss"]):
            self.model.stop_training = True


def train(data: Data, watch: Watch) -> None:
    """Trains a network. An interrupt ends the fit with a warning, as in scikit-learn."""
    run = _train_sparse if hasattr(data.x, "toarray") else _train_dense
    try:
        run(data, watch)
    except DivergenceError as error:
        watch.diverged(error)
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", UserWarning, stacklevel=2)
        watch.ended = watch.interrupted = True
    finally:
        watch.close()


def _train_dense(data: Data, watch: Watch) -> None:
    network, settings = watch.network, watch.settings
    while network.n_iter < watch.epochs and not watch.ended:
        network.model.fit(
            data.x,
            data.y,
            batch_size=settings.batch(data.n_rows),
            epochs=watch.epochs,
            initial_epoch=network.n_iter,
            verbose=0,
            shuffle=settings.shuffle,
            sample_weight=data.weights,
            rows=data.rows,
            callbacks=[_EpochEnd(watch)],
        )
        _take_rate(network.model, watch)


def _train_sparse(data: Data, watch: Watch) -> None:
    network, settings, core = watch.network, watch.settings, core_of(watch.network.model)
    model, n = network.model, data.n_rows
    size = settings.batch(n)
    order = np.arange(n) if data.rows is None else np.asarray(data.rows)
    weights = None if data.weights is None else data.weights / data.weights[order].mean()
    steps = -(-n // size)
    begun = 0 if core.trainer is None else core.trainer.step
    core.run_length = RunLength(steps, steps * watch.epochs, begun)
    random = np.random.default_rng((model.seed, begun))
    while network.n_iter < watch.epochs and not watch.ended:
        shuffled = random.permutation(order) if settings.shuffle else order
        total = 0.0
        for i in range(0, n, size):
            rows = shuffled[i : i + size]
            chosen = None if weights is None else weights[rows]
            total += len(rows) * model.train_on_batch(_dense(data.x[rows]), data.y[rows], chosen)
        watch.epoch_ended(total / n)
        _take_rate(model, watch)


def _take_rate(model: Sequential, watch: Watch) -> None:
    """Sets a rate that has changed.

    The moments change with it: scikit-learn's momentum is of steps, that of :class:`fastreg.optimizers.SGD` of
    gradients.
    """
    new, watch.rate = watch.rate, None
    if new is None:
        return
    old, model.learning_rate = model.learning_rate, new
    core = core_of(model)
    if isinstance(core.optimizer, SGD) and core.optimizer.momentum and core.trainer is not None:
        scale = np.float32(old / new)
        core.trainer.set_moments({name: moment * scale for name, moment in core.trainer.get_moments().items()})


def _dense(rows: Any) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        few = rows.astype(np.float32)
    if (lost := np.isinf(few.data) & np.isfinite(rows.data)).any():
        first = int(np.argmax(lost))
        raise beyond_float32("X:", shown(rows.data[first]), f"column {rows.indices[first]}", arrays.SCALED_FEATURES)
    array: NDArray[np.float32] = few.toarray()
    return array


def dense_blocks(x: Any) -> Iterator[NDArray[Any]]:
    """Rows of features, a dense block at a time; an array is one block."""
    if not hasattr(x, "toarray"):
        yield x
        return
    size = max(1, _BLOCK // (4 * x.shape[1]))
    for i in range(0, x.shape[0], size):
        yield _dense(x[i : i + size])


def outputs_of(model: Sequential, x: Any) -> NDArray[np.float32]:
    """The outputs of a network, (n, units)."""
    found = [model.predict(block) for block in dense_blocks(x)]
    return found[0] if len(found) == 1 else np.concatenate(found)
