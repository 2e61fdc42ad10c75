"""scikit-learn's callbacks: one task for each epoch, and one for each network where there are several.

It is loaded when an estimator has callbacks, with scikit-learn 1.9 or later.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

from fastreg.model.core import core_of
from fastreg.model.sequential import Sequential
from fastreg.sklearn.settings import Settings
from fastreg.sklearn.training import Network

__all__ = ["Tasks"]


class Tasks:
    """The tasks of one fit.

    Args:
        estimator: The estimator.
        settings: Its parameters.
        given: X, y and ``metadata``, what else the fit was given.
    """

    def __init__(self, estimator: Any, settings: Settings, given: dict[str, Any]) -> None:
        self._estimator, self._given = estimator, given
        several = settings.n_models > 1
        self._root = estimator._init_callback_context(max_subtasks=settings.n_models if several else settings.epochs)
        self._root.call_on_fit_task_begin(estimator=estimator, **self._given)
        self._several, self._epochs = several, settings.epochs
        self._parent = self._root
        self._epoch: Any = None

    def network_begins(self) -> None:
        """A network is about to be trained."""
        if self._several:
            self._parent = self._root.subcontext(task_name="network", max_subtasks=self._epochs)
            self._parent.call_on_fit_task_begin(estimator=self._estimator, **self._given)
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self._epoch = self._parent.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(estimator=self._estimator, **self._given)

    def epoch_ended(self, networks: list[Network], index: int, more: bool) -> bool:
        """An epoch of a network ended. Returns whether a callback wants the training of this network to end."""
        stop = self._epoch.call_on_fit_task_end(
            estimator=self._estimator,
            reconstruction_attributes=partial(_attributes, self._estimator, networks[: index + 1]),
            **self._given,
        )
        if not stop and more:
            self._begin_epoch()
        return bool(stop)

    def network_ended(self, networks: list[Network], index: int) -> None:
        """A network is trained."""
        if self._several:
            self._end(self._parent, networks[: index + 1])

    def end(self, networks: list[Network]) -> None:
        """The fit is over."""
        self._end(self._root, networks)

    def _end(self, context: Any, networks: list[Network]) -> None:
        context.call_on_fit_task_end(
            estimator=self._estimator,
            reconstruction_attributes=partial(_attributes, self._estimator, networks),
            **self._given,
        )


def _attributes(estimator: Any, networks: list[Network]) -> dict[str, Any]:
    """The attributes of an estimator that is fitted up to here, with networks of its own."""
    stand_in = copy.copy(estimator)
    stand_in._networks = [_copied(network) for network in networks]
    stand_in._take_results()
    before = vars(estimator)
    return {name: value for name, value in vars(stand_in).items() if before.get(name) is not value}


def _copied(network: Network) -> Network:
    made = copy.copy(network)
    made.loss_curve = list(network.loss_curve)
    made.scores = None if network.scores is None else list(network.scores)
    made.validation_losses = None if network.validation_losses is None else list(network.validation_losses)
    core = core_of(network.model)
    model = Sequential(list(core.layers), seed=core.seed)
    model.build(core.input_shape or ())
    model.set_weights(network.model.get_weights())
    made.model = model
    return made
