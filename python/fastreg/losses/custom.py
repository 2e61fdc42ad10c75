"""A function of Python as a loss."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.checks import describe
from fastreg.internal.dataclasses import dataclass, field
from fastreg.losses.base import Loss, Name, Reduction

__all__ = ["Custom"]

Floats = NDArray[np.float32]


def _check_function(owner: str, name: str, value: object) -> object:
    if not callable(value) or isinstance(value, type):
        hint = "; did you forget the parentheses?" if isinstance(value, type) else ""
        raise TypeError(f"{owner}: {name} must be a function, got {describe(value)}{hint}")
    return value


@dataclass(frozen=True)
class Custom(Loss):
    r"""A function of Python as a loss, with its gradient; ``compile(loss=function)`` makes one.

    The function gets the rows of a batch, ``(y_true, y_pred)``, and returns two arrays ``(values, gradient)``: the loss
    of each row, :math:`\ell_i`, and its derivatives with respect to the outputs of that row,
    :math:`\partial \ell_i / \partial p_{ij}`. It computes neither means nor weights: fastreg weighs the rows and
    divides by their number, as with any other loss. The loss of a row must not depend on the other rows, because
    batches, validation and evaluation divide the rows in different ways.

    ``y_pred`` is float32 (n, k), what ``predict`` returns for these rows, after the last activation. ``y_true`` is
    float32 (n, m) with the columns that ``fit`` was given, which may be any number if the output has no metrics; (n,)
    is given as (n, 1). Both are copies, which the function may change. The values have shape (n,) and the gradient
    (n, k), of any type of real numbers; they are rounded to float32. If a value is not finite, the run ends with a
    ``DivergenceError`` as for other losses.

    The function is called for each step on the thread that called ``fit``, and for up to 4096 rows at a time in
    validation and ``evaluate``. Meanwhile the network is not locked; other threads may predict, and the function may,
    too. If it raises an exception, ``fit`` ends with that exception, the weights are those at the end of the last
    complete epoch, and the history has the epochs until then.

    A file cannot hold a function. ``save`` therefore needs ``include_optimizer=False``, and the loaded model is
    compiled again; ``save_weights`` and ``BackupAndRestore`` work as usual.

    Args:
        function: A function of ``(y_true, y_pred)`` that returns ``(values, gradient)``.
        name: Any string, used in messages; None is the function's name.
        labels: Whether the targets are classes, whole numbers in [0, k): then ``y_true`` is int32 (n,), and metrics of
            labels can be used.
        reduction: What a call returns, see :meth:`Loss.__call__`. A fit minimises the mean over rows.

    Raises:
        TypeError: If ``function`` cannot be called; in a fit or a call, if it returns something else than two arrays
            of real numbers.
        ValueError: In a fit or a call, if it returns arrays of other shapes.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> def asymmetric(y_true, y_pred):  # too low an output costs four times as much as too high a one
        ...     error = y_pred - y_true
        ...     factor = np.where(error < 0, 4.0, 1.0)
        ...     return (factor * error**2).mean(axis=1), 2 * factor * error / error.shape[1]
        >>> model = fr.Sequential([fr.layers.Dense(1)], seed=0)
        >>> model.compile(fr.optimizers.Adam(0.05), loss=asymmetric)
        >>> y = np.tile([0.0, 1.0], 50)
        >>> history = model.fit(np.ones((100, 1)), y, epochs=400, batch_size=None, verbose=0)
        >>> bool(abs(model.predict([[1.0]])[0, 0] - 0.8) < 0.01)
        True
    """

    key: ClassVar[str] = "custom"
    targets: ClassVar[str] = "values"
    any_columns: ClassVar[bool] = True
    in_files: ClassVar[bool] = False
    function: Annotated[Callable[[Any, Any], tuple[Any, Any]], _check_function]
    name: Name = None
    labels: bool = False
    reduction: Reduction = field(default="sum_over_batch_size", repr=False)

    def __post_init__(self) -> None:
        """Checks every field; a loss without a name gets that of its function."""
        if self.name is None:
            self._set(name=getattr(self.function, "__name__", type(self.function).__name__))
        super().__post_init__()
        self._set(key=self.name, targets="labels" if self.labels else "values")

    def __repr__(self) -> str:
        return f"Custom({getattr(self.function, '__qualname__', self.function)}, name={self.name!r})"

    def to_config(self) -> dict[str, Any]:
        """Raises TypeError: a function has no JSON form."""
        raise TypeError(f"loss {self.name!r}: a function of Python cannot be written down")

    def of_rows(self, y_true: NDArray[Any], y_pred: Floats) -> tuple[Floats, Floats]:
        """The loss of each row and its gradient, checked."""
        n, k = y_pred.shape
        returned: Any = self.function(y_true, y_pred)
        if not isinstance(returned, (tuple, list)) or len(returned) != 2:
            got = f"{len(returned)} of them" if isinstance(returned, (tuple, list)) else describe(returned)
            raise TypeError(
                f"loss {self.name!r}: the function must return two arrays, (values, gradient), got {got}; fastreg "
                "does not differentiate functions, so that they return their gradient with respect to y_pred, too"
            )
        values = self._checked("values", returned[0], (n,), "the loss of each row and not their mean")
        gradient = self._checked("gradient", returned[1], (n, k), "as y_pred has")
        return values, gradient

    def _checked(self, what: str, value: object, shape: tuple[int, ...], rule: str) -> Floats:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"loss {self.name!r}: the {what} must be real numbers, got {describe(value)}")
        if array.shape != shape and array.size == shape[0] and {array.shape, shape} == {shape[:1], (shape[0], 1)}:
            array = array.reshape(shape)
        if array.shape != shape:
            raise ValueError(f"loss {self.name!r}: the {what} must have shape {shape}, {rule}, got {array.shape}")
        with np.errstate(over="ignore"):
            return np.require(array, np.float32, ("C", "A"))
