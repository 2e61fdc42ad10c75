"""``Face``: what every class of models that users call has in common, over a ``CoreModel``.

What assignments to a model mean, its name and seed, how it was compiled, and how it is copied and pickled. What a model
is made of and what it can do is a subclass's.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastreg.callbacks import History
from fastreg.internal.checks import unknown_name
from fastreg.losses import Loss
from fastreg.metrics import Metric
from fastreg.model.assignments import FREE, check_deletion, checked_assignment
from fastreg.model.core import CoreModel
from fastreg.model.views import BoundOptimizer, FixedList
from fastreg.optimizers import LearningRate

__all__ = ["Face"]

_F = TypeVar("_F", bound="Face")


class Face:
    """Base of the models that users call."""

    def _take(self, core: CoreModel) -> None:
        self._core = core
        self.stop_training = False
        # None before a fit; typed so that a program that has fitted need not ask.
        self.history: History | Any = None

    @classmethod
    def _of(cls: type[_F], core: CoreModel) -> _F:
        """The face over a core that is there."""
        made = cls.__new__(cls)
        made._take(core)
        return made

    if not TYPE_CHECKING:  # otherwise a type checker would allow every attribute

        def __setattr__(self, name: str, value: object) -> None:
            if name[:1] != "_" and name not in FREE:
                core = vars(self).get("_core")  # a class of one's own may set attributes before there is one
                value = checked_assignment(self, name, value, core is not None and core.network is not None)
            object.__setattr__(self, name, value)

        def __delattr__(self, name: str) -> None:
            check_deletion(self, name)
            object.__delattr__(self, name)

    @property
    def name(self) -> str:
        """The name in :meth:`summary`; can be set."""
        return self._core.name

    @name.setter
    def name(self, value: str) -> None:
        self._core.name = value

    @property
    def seed(self) -> int:
        """Decides all that is drawn. It can be set until the model has weights."""
        return self._core.seed

    @seed.setter
    def seed(self, value: int) -> None:
        self._core.seed = value

    @property
    def built(self) -> bool:
        """Whether there are weights: there are layers, and the number of features is known."""
        return self._core.built

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        """The names of the columns that the model was fitted on, as scikit-learn has them.

        They are those of the first frame (pandas, polars, Arrow) whose columns all have strings as names, and stay for
        the model's life, in copies and files too. Absent before, and where there was none.
        """
        if self._core.feature_names is None:
            raise AttributeError("feature_names_in_: the model was not fitted on a frame whose columns have names")
        return np.array(self._core.feature_names, dtype=object)

    @property
    def optimizer(self) -> BoundOptimizer:
        """What ``compile`` was given, the learning rate as last set; None before. Its ``learning_rate`` can be set."""
        # None has no place in the type: a program that has compiled would have to ask for it at every use.
        return None if self._core.optimizer is None else BoundOptimizer(self._core)  # type: ignore[return-value]

    @property
    def loss(self) -> Loss | None:
        """What ``compile`` was given; None before."""
        return self._core.loss

    @property
    def metrics(self) -> list[Metric]:
        """What ``compile`` was given, names settled: of ``"accuracy"`` the one that fits. Empty without a loss."""
        found = [] if self._core.loss is None else self._core.resolved_metrics()
        return FixedList(found, "model.metrics", "model.compile sets the metrics")

    @property
    def learning_rate(self) -> float:
        """The rate of the next step. Setting it, within a callback or outside of ``fit``, replaces a schedule."""
        return self._core.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: LearningRate) -> None:
        self._core.learning_rate = value

    if not TYPE_CHECKING:  # a type checker knows which members there are

        def __getattr__(self, name: str) -> Any:
            if any(name in vars(kind) for kind in type(self).__mro__):
                # A property raised AttributeError: asked once more, its own message shows.
                return object.__getattribute__(self, name)
            text = f"{type(self).__name__!r} object has no attribute {name!r}"
            if name.startswith("_"):
                raise AttributeError(text)
            known = [known for known in dir(type(self)) if not known.startswith("_")]
            raise AttributeError(text + unknown_name("member", name, known))

    # Copying and pickling.

    def __getstate__(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def __copy__(self: _F) -> _F:
        made = type(self).__new__(type(self))
        made.__setstate__(self.__getstate__() | {"_core": copy.copy(self._core)})
        return made

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "_core" not in state:
            from fastreg.model.pickling import from_older_pickle

            state = from_older_pickle(state)
        self.__dict__.update(state)
