r"""Single operations on NumPy arrays, for benchmarks and for training loops of your own.

Notation: x (n, in) are rows, w (in, units) is a kernel, b (units,) a bias; g and every ``d...`` are gradients with the
shape of the array that they belong to. Everything is computed in float32. Arrays that are float32, C-contiguous and
aligned are used directly; others are cast first, which costs a copy. ``out`` and arrays that are updated in place must
be such arrays already. Values other than labels are not checked: a NaN in the input gives NaN in the output.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastreg import _core, losses, optimizers
from fastreg.data.arrays import class_indices, numeric
from fastreg.data.ignored_labels import weights_of_counted
from fastreg.internal.activation_names import check_activation, core_text
from fastreg.internal.checks import (
    CLOSED_FRACTION,
    FRACTION,
    NON_NEGATIVE,
    NORMAL,
    SEED_LIMIT,
    absent_names,
    check_bool,
    check_int,
    check_real,
    describe,
)
from fastreg.internal.dataclasses import replace
from fastreg.internal.float32 import in_float32
from fastreg.losses import Loss
from fastreg.losses.computing import loss_of_converted
from fastreg.optimizers import Optimizer

__all__ = [
    "Updater",
    "activation",
    "activation_backward",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_train",
    "dense",
    "dense_backward",
    "dropout",
    "loss",
]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = absent_names(__name__)


def __dir__() -> list[str]:
    return sorted(__all__)

Floats = NDArray[np.float32]
_FLOAT32 = np.dtype(np.float32)


def _cast(value: object, name: str) -> Floats:
    if type(value) is np.ndarray:
        array = cast(NDArray[Any], value)
        if array.dtype is _FLOAT32 and array.flags.carray:
            return array
    return in_float32(numeric(value, name), f"{name}:")


def _cast_optional(value: object, name: str) -> Floats | None:
    return None if value is None else _cast(value, name)


def _in_place(value: object, name: str) -> Floats:
    """An array that can be written to where it is. Raises TypeError or ValueError, naming the rule that it breaks."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name}: must be a NumPy array, since it is written to in place, got {describe(value)}")
    if value.dtype != _FLOAT32:
        raise TypeError(f"{name}: must be float32, since it is written to in place, got {value.dtype}")
    if not (value.flags.c_contiguous and value.flags.aligned and value.flags.writeable):
        raise ValueError(f"{name}: must be C-contiguous, aligned and writable, since it is written to in place")
    return value


class Updater:
    r"""An optimizer's step on one array, penalties included, in one pass over the memory.

    The gradient of the penalty :math:`\lambda_1 \sum |w| + \lambda_2 \sum w^2` is added to the gradient that ``step``
    receives. With ``proximal``, the first part is a soft threshold after the step instead, see
    :class:`fastreg.regularizers.L1`. Schedules count the steps of this updater from 0. Clipping is applied to the
    gradient of this array including the penalty, and ``g`` itself does not change; ``clipnorm`` and
    ``global_clipnorm`` mean the same here. Weight decay applies to the array, whatever it is. With
    ``gradient_accumulation_steps=k`` every k-th call of ``step`` updates, by the mean of k gradients; with ``use_ema``
    :attr:`average` is the average of ``w``.

    Args:
        optimizer: One of :mod:`fastreg.optimizers`, or the name of one.
        w: Weights of any shape: float32, C-contiguous, writable; updated in place.
        l1: :math:`\lambda_1 \ge 0`.
        l2: :math:`\lambda_2 \ge 0`.
        proximal: Soft threshold in place of the subgradient.

    Raises:
        TypeError: If ``w`` is no float32 array.
        ValueError: If ``w`` cannot be written in place, or a number is out of range.

    Example:
        >>> import numpy as np
        >>> from fastreg import ops, optimizers
        >>> w = np.ones(3, dtype=np.float32)
        >>> updater = ops.Updater(optimizers.SGD(0.5), w)
        >>> updater.step(np.float32([1, 0, -1]))
        >>> w
        array([0.5, 1. , 1.5], dtype=float32)
    """

    __slots__ = ("_constant", "_core", "_optimizer", "_shape", "_w")

    def __init__(
        self, optimizer: Optimizer | str, w: Floats, l1: float = 0.0, l2: float = 0.0, proximal: bool = False
    ) -> None:
        self._optimizer = optimizers.get(optimizer, "Updater: optimizer")
        self._w = _in_place(w, "w")
        self._shape = self._w.shape
        rate = self._optimizer.learning_rate
        self._constant = rate if isinstance(rate, float) else None
        self._core = _core.Updater(
            json.dumps(self._optimizer.core_config()),
            self._w,
            check_real("Updater", "l1", l1, NON_NEGATIVE),
            check_real("Updater", "l2", l2, NON_NEGATIVE),
            check_bool("Updater", "proximal", proximal),
        )

    def step(self, g: Floats) -> None:
        """Updates ``w`` with a gradient of its shape. Other dtypes and memory orders are cast first.

        Raises:
            ValueError: If the shape is not that of ``w``.
        """
        rate = self._constant
        if rate is None:
            rate = self._optimizer.rate_at(self._core.steps)
        # The core takes float32 in C order only and raises TypeError for all else, which then is cast.
        try:
            if g.shape == self._shape:
                self._core.step(g, rate)
                return
        except (TypeError, AttributeError):
            pass
        cast_g = _cast(g, "g")
        if cast_g.shape != self._shape:
            raise ValueError(f"g: must have the shape of w, {self._shape}, got {cast_g.shape}")
        self._core.step(cast_g, rate)

    @property
    def w(self) -> Floats:
        """The weights, which ``step`` updates in place; another array needs another updater."""
        return self._w

    @property
    def average(self) -> Floats | None:
        """A copy of the average of ``w``, with ``use_ema`` and after the first update; None otherwise.

        With ``ScheduleFreeAdamW`` it is that optimizer's own average, the weights to predict with; ``w`` is then the
        point where the next gradient is to be taken, and is computed anew in every step.
        """
        found = self._core.average()
        return None if found is None else found.reshape(self._shape)

    @property
    def steps(self) -> int:
        """Steps taken."""
        return self._core.steps


def dense(
    x: ArrayLike, w: ArrayLike, b: ArrayLike | None = None, activation: str | None = None, out: Floats | None = None
) -> Floats:
    """``activation(x w + b)``, shape (n, units).

    Args:
        x: (n, in).
        w: (in, units).
        b: (units,), or None for none.
        activation: One of :data:`fastreg.layers.ACTIVATIONS`; None is linear.
        out: Array for the result, float32 (n, units), C-contiguous; None makes one.

    Returns:
        ``out``, or a new array.

    Raises:
        ValueError: If shapes do not fit or the activation is unknown.

    Example:
        >>> import numpy as np
        >>> from fastreg import ops
        >>> ops.dense([[1.0, 2.0]], np.eye(2), [0.0, -3.0], "relu")
        array([[1., 0.]], dtype=float32)
    """
    kind = "linear" if activation is None else core_text(check_activation("dense", "activation", activation))
    # As in Updater.step: the core is tried first, and takes nothing that has to be cast.
    try:
        return _core.dense(x, w, b, kind, out)[0]  # type: ignore[arg-type]
    except TypeError:
        checked_out = None if out is None else _in_place(out, "out")
        return _core.dense(_cast(x, "x"), _cast(w, "w"), _cast_optional(b, "b"), kind, checked_out)[0]


def dense_backward(
    x: ArrayLike, w: ArrayLike, saved: ArrayLike, dy: ArrayLike, activation: str | None = None
) -> tuple[Floats, Floats, Floats]:
    """Gradients of :func:`dense`.

    Args:
        x: The x that :func:`dense` was called with.
        w: The w that it was called with.
        saved: The array that it returned; the value before the activation, ``dense(x, w, b)``, where the derivative is
            computed from that: for gelu, silu, mish and all that ``_core.schema()`` says ``backward_from`` input of.
        dy: The gradient with respect to its result.
        activation: The activation that it was called with.

    Returns:
        ``(dx, dw, db)``.

    Raises:
        ValueError: If shapes do not fit or the activation is unknown.

    Example:
        >>> from fastreg import ops
        >>> x, w = [[1.0, 2.0]], [[3.0], [4.0]]
        >>> dx, dw, db = ops.dense_backward(x, w, ops.dense(x, w), [[1.0]])
        >>> dx, dw.ravel(), db
        (array([[3., 4.]], dtype=float32), array([1., 2.], dtype=float32), array([1.], dtype=float32))
    """
    kind = core_text(check_activation("dense_backward", "activation", activation))
    return _core.dense_backward(_cast(x, "x"), _cast(w, "w"), _cast(saved, "saved"), _cast(dy, "dy"), kind)


def activation(x: ArrayLike, activation: str) -> Floats:
    """An activation of :data:`fastreg.layers.ACTIVATIONS` of x (n, k): of each element, or of each row as softmax.

    Example:
        >>> from fastreg import ops
        >>> ops.activation([[-1.0, 2.0]], "relu")
        array([[0., 2.]], dtype=float32)
    """
    return _core.activation(_cast(x, "x"), core_text(check_activation("activation", "activation", activation)))


def activation_backward(saved: ArrayLike, dy: ArrayLike, activation: str) -> Floats:
    """The gradient of :func:`activation`. ``saved`` is its result or its argument, as in :func:`dense_backward`.

    Example:
        >>> from fastreg import ops
        >>> y = ops.activation([[-1.0, 2.0]], "relu")
        >>> ops.activation_backward(y, [[1.0, 1.0]], "relu")
        array([[0., 1.]], dtype=float32)
    """
    kind = core_text(check_activation("activation_backward", "activation", activation))
    return _core.activation_backward(_cast(saved, "saved"), _cast(dy, "dy"), kind)


def dropout(x: ArrayLike, rate: float, seed: int = 0, step: int = 0, out: Floats | None = None) -> Floats:
    """Elements of x (n, k) set to zero with probability ``rate``, the others divided by ``1 - rate``.

    Which ones depends on (seed, step, element) alone: the same arguments give the same result.

    Args:
        x: (n, k).
        rate: In [0, 1).
        seed: In [0, 2**64).
        step: In [0, 2**32).
        out: Array for the result, float32 (n, k), C-contiguous; None makes one.

    Returns:
        ``out``, or a new array.

    Raises:
        ValueError: If a number is out of range or shapes do not fit.

    Example:
        >>> import numpy as np
        >>> from fastreg import ops
        >>> y = ops.dropout(np.ones((2, 8)), 0.5, seed=1)
        >>> sorted(set(y.ravel().tolist()))
        [0.0, 2.0]
    """
    checked_rate = check_real("dropout", "rate", rate, FRACTION)
    checked_step = check_int("dropout", "step", step, NON_NEGATIVE, 2**32)
    if out is not None:
        _in_place(out, "out")
    checked_seed = check_int("dropout", "seed", seed, NON_NEGATIVE, SEED_LIMIT)
    return _core.dropout(_cast(x, "x"), checked_rate, checked_seed, checked_step, 0, out)[0]


def batch_norm(
    x: ArrayLike,
    gamma: ArrayLike | None,
    beta: ArrayLike | None,
    mean: ArrayLike,
    var: ArrayLike,
    epsilon: float = 1e-3,
    out: Floats | None = None,
) -> Floats:
    r"""Inference: :math:`\gamma (x - \text{mean}) / \sqrt{\text{var} + \epsilon} + \beta`, shape (n, k).

    Args:
        x: (n, k).
        gamma: (k,), or None for 1.
        beta: (k,), or None for 0.
        mean: (k,).
        var: (k,), >= 0.
        epsilon: >= 2**-126.
        out: Array for the result, float32 (n, k), C-contiguous; None makes one.

    Returns:
        ``out``, or a new array.

    Raises:
        ValueError: If ``epsilon`` is out of range or shapes do not fit.

    Example:
        >>> from fastreg import ops
        >>> ops.batch_norm([[3.0, 5.0]], [2.0, 1.0], [0.0, 1.0], mean=[1.0, 5.0], var=[3.999, 0.999])
        array([[2., 1.]], dtype=float32)
    """
    if out is not None:
        _in_place(out, "out")
    return _core.batch_norm_infer(
        _cast(x, "x"),
        _cast_optional(gamma, "gamma"),
        _cast_optional(beta, "beta"),
        _cast(mean, "mean"),
        _cast(var, "var"),
        check_real("batch_norm", "epsilon", epsilon, NORMAL),
        out,
    )


def batch_norm_train(
    x: ArrayLike,
    gamma: ArrayLike | None,
    beta: ArrayLike | None,
    moving_mean: Floats,
    moving_variance: Floats,
    momentum: float = 0.99,
    epsilon: float = 1e-3,
) -> tuple[Floats, Floats, Floats]:
    """Batch normalisation in training: normalises with the statistics of x and updates the moving averages.

    Args:
        x: (n, k), n >= 1; a single row is normalised to ``beta``.
        gamma: (k,), or None for 1.
        beta: (k,), or None for 0.
        moving_mean: (k,) float32, updated in place.
        moving_variance: (k,) float32, updated in place.
        momentum: The weight of the old average, in [0, 1].
        epsilon: >= 2**-126.

    Returns:
        ``(y, mean, inv_std)``; the last two are arguments of :func:`batch_norm_backward`.

    Raises:
        ValueError: If a number is out of range, shapes do not fit, or the averages cannot be written in place.
        TypeError: If the averages are no float32 arrays.

    Example:
        >>> import numpy as np
        >>> from fastreg import ops
        >>> mean, variance = np.zeros(1, np.float32), np.ones(1, np.float32)
        >>> y, _, _ = ops.batch_norm_train([[1.0], [3.0]], None, None, mean, variance, momentum=0.5)
        >>> y.round(2).ravel(), mean, variance
        (array([-1.,  1.], dtype=float32), array([1.], dtype=float32), array([1.], dtype=float32))
    """
    return _core.batch_norm_train(
        _cast(x, "x"),
        _cast_optional(gamma, "gamma"),
        _cast_optional(beta, "beta"),
        _in_place(moving_mean, "moving_mean"),
        _in_place(moving_variance, "moving_variance"),
        check_real("batch_norm_train", "momentum", momentum, CLOSED_FRACTION),
        check_real("batch_norm_train", "epsilon", epsilon, NORMAL),
    )


def batch_norm_backward(
    x: ArrayLike, dy: ArrayLike, gamma: ArrayLike | None, mean: ArrayLike, inv_std: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    """The gradients of :func:`batch_norm_train`: ``(dx, dgamma, dbeta)``.

    It returned the arguments mean and inv_std.

    Example:
        >>> import numpy as np
        >>> from fastreg import ops
        >>> x, averages = [[1.0], [3.0]], np.zeros((2, 1), np.float32)
        >>> _, mean, inv_std = ops.batch_norm_train(x, None, None, *averages)
        >>> dx, dgamma, dbeta = ops.batch_norm_backward(x, [[0.0], [1.0]], None, mean, inv_std)
        >>> dgamma.round(2), dbeta
        (array([1.], dtype=float32), array([1.], dtype=float32))
    """
    return _core.batch_norm_backward(
        _cast(x, "x"), _cast(dy, "dy"), _cast_optional(gamma, "gamma"), _cast(mean, "mean"), _cast(inv_std, "inv_std")
    )


def loss(
    kind: Loss | str, y: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None, from_logits: bool | None = None
) -> tuple[Floats, Floats, Floats]:
    r"""A loss with its gradient.

    Args:
        kind: One of :mod:`fastreg.losses`, or the name of one.
        y: Outputs (n, k), or what comes before the last sigmoid or softmax, with ``from_logits``. Without it the
            categorical cross-entropies divide each row by its sum first, see :mod:`fastreg.losses`.
        target: (n, k); whole numbers in [0, k), (n,) or (n, 1), for losses of labels. A loss with several outputs for
            each target takes one column for each target, or for each output.
        weight: Weights of the rows (n,), or None.
        from_logits: None is what ``kind`` says.

    Returns:
        ``(losses, dy, p)``: the loss of each row, the gradient of :math:`\sum_i w_i \ell_i / \sum_i w_i`, and the
        outputs themselves.

    Raises:
        ValueError: If shapes do not fit, or a label is no whole number or out of range.

    Example:
        >>> from fastreg import ops
        >>> ops.loss("mse", [[1.0], [3.0]], [[0.0], [0.0]])[0]
        array([1., 9.], dtype=float32)
    """
    chosen = losses.get(kind, "loss: kind")
    if from_logits is not None:
        logits = check_bool("loss", "from_logits", from_logits)
        if hasattr(chosen, "from_logits"):
            chosen = replace(cast(Any, chosen), from_logits=logits)
    outputs = _cast(y, "y")
    targets: NDArray[Any]
    if chosen.targets == "labels":
        if outputs.ndim != 2:
            raise ValueError(f"loss: y must have shape (n, k), got {outputs.shape}")
        targets = class_indices(numeric(target, "target"), chosen, outputs.shape[1], "target")
        if getattr(chosen, "ignore_class", None) is not None:
            weight = weights_of_counted(weight, len(targets), target, chosen, None, "weight")
    else:
        targets = _cast(target, "target")
        if chosen.heads > 1 and targets.ndim == 2 and targets.shape[1] * chosen.heads == outputs.shape[-1]:
            targets = np.tile(targets, (1, chosen.heads))
    return loss_of_converted(chosen, outputs, targets, _cast_optional(weight, "weight"))
