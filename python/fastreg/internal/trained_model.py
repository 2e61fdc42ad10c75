"""The methods and attributes of the trained model that a callback may use, for type checkers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["TrainedModel"]


class TrainedModel(Protocol):
    """The interface of a model for callbacks.

    Attributes:
        name: Its name.
        stop_training: A callback sets it to end the run after the current epoch.
        history: The result that the running fit will return.
    """

    name: str
    stop_training: bool
    history: Any

    @property
    def learning_rate(self) -> float:
        """The rate of the next step; setting it replaces a schedule."""

    @learning_rate.setter
    def learning_rate(self, value: Any, /) -> None: ...

    @property
    def layers(self) -> Sequence[Any]:
        """The layers."""

    @property
    def optimizer(self) -> Any:
        """The optimizer."""

    @property
    def loss(self) -> Any:
        """The loss."""

    @property
    def metrics(self) -> Sequence[Any]:
        """The metrics."""

    def get_weights(self) -> list[NDArray[np.float32]]:
        """Copies of all weights."""

    def set_weights(self, weights: Sequence[ArrayLike], /) -> None:
        """Sets all weights."""

    def predict(self, x: ArrayLike, /) -> NDArray[np.float32]:
        """Outputs for rows of features."""

    def evaluate(self, x: ArrayLike, y: ArrayLike, /, *, verbose: int = ..., return_dict: bool = ...) -> Any:
        """Loss and metrics."""

    def count_params(self) -> int:
        """Number of weights."""

    def summary(self) -> None:
        """Prints a table of the layers."""

    def save(self, path: Any, /) -> None:
        """Writes the model to a file."""

    def save_weights(self, filepath: Any, /) -> None:
        """Writes the weights to a file."""
