r"""The losses that training minimises. These are descriptions; C++ computes (cpp/core/scoring.cpp, cpp/cpu/kernels).

Notation: row i of n has target :math:`t_i`, output :math:`p_i` over k units and weight :math:`w_i` (1 unless given).
The loss of a set of rows is :math:`\sum_i w_i \ell_i / \sum_i w_i`, plus the penalties of the layers. A training step
on a batch of b rows takes the gradient of :math:`\sum_i w_i \ell_i / (b \bar w)`, where :math:`\bar w` is the mean
weight of all rows that are trained on: a row has the same influence whatever the batch size, and only the ratios of
weights count. Where the last activation is sigmoid or softmax, the matching cross-entropy is computed from the values
before it, so a saturated output costs no accuracy.

Outside of a fit a loss is called, ``loss(y_true, y_pred, sample_weight=None)``, and a function with a name in small
letters gives the value of each row, ``mean_squared_error(y_true, y_pred)``. ``compile(loss=)`` takes both, and any
other function of ``(y_true, y_pred)`` that returns values and their gradient, see :class:`Custom`.
"""

from typing import TYPE_CHECKING

from fastreg.internal.checks import absent_names
from fastreg.internal.description import Registry
from fastreg.internal.lazy_names import lazy_names
from fastreg.losses.base import Loss

if TYPE_CHECKING:
    from fastreg.losses.classes import (
        BinaryFocalCrossentropy,
        CategoricalFocalCrossentropy,
        CategoricalGeneralizedCrossEntropy,
        CategoricalHinge,
        Hinge,
        KLDivergence,
        SquaredHinge,
    )
    from fastreg.losses.custom import Custom
    from fastreg.losses.functions import (
        binary_crossentropy,
        binary_focal_crossentropy,
        categorical_crossentropy,
        categorical_focal_crossentropy,
        categorical_generalized_cross_entropy,
        categorical_hinge,
        cosine_similarity,
        deserialize,
        hinge,
        huber,
        kl_divergence,
        log_cosh,
        mean_absolute_error,
        mean_absolute_percentage_error,
        mean_squared_error,
        mean_squared_logarithmic_error,
        poisson,
        serialize,
        sparse_categorical_crossentropy,
        squared_hinge,
    )
    from fastreg.losses.regression import (
        CosineSimilarity,
        GaussianNLL,
        Huber,
        LogCosh,
        MeanAbsoluteError,
        MeanAbsolutePercentageError,
        MeanSquaredLogarithmicError,
        Poisson,
        Quantile,
        Tweedie,
    )
    from fastreg.losses.usual import (
        BinaryCrossentropy,
        CategoricalCrossentropy,
        MeanSquaredError,
        SparseCategoricalCrossentropy,
    )

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Custom",
    "GaussianNLL",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "Quantile",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tweedie",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "cosine_similarity",
    "deserialize",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
]

# The names of each loss, the first of which is its key. The modules are loaded when a loss is first used.
_USUAL = {
    "MeanSquaredError": "mean_squared_error mse",
    "BinaryCrossentropy": "binary_crossentropy bce",
    "CategoricalCrossentropy": "categorical_crossentropy",
    "SparseCategoricalCrossentropy": "sparse_categorical_crossentropy",
}
_OF_NUMBERS = {
    "MeanAbsoluteError": "mean_absolute_error mae",
    "MeanAbsolutePercentageError": "mean_absolute_percentage_error mape",
    "MeanSquaredLogarithmicError": "mean_squared_logarithmic_error msle",
    "Huber": "huber huber_loss",
    "LogCosh": "log_cosh logcosh",
    "Poisson": "poisson",
    "CosineSimilarity": "cosine_similarity",
    "Tweedie": "tweedie",
    "Quantile": "quantile pinball",
    "GaussianNLL": "gaussian_nll",
}
_OF_CLASSES = {
    "Hinge": "hinge",
    "SquaredHinge": "squared_hinge",
    "CategoricalHinge": "categorical_hinge",
    "KLDivergence": "kl_divergence kld kullback_leibler_divergence",
    "BinaryFocalCrossentropy": "binary_focal_crossentropy",
    "CategoricalFocalCrossentropy": "categorical_focal_crossentropy",
    "CategoricalGeneralizedCrossEntropy": "categorical_generalized_cross_entropy",
}
_CLASSES = _USUAL | _OF_NUMBERS | _OF_CLASSES
_HOMES = {
    **dict.fromkeys(_USUAL, "usual"),
    **dict.fromkeys(_OF_NUMBERS, "regression"),
    **dict.fromkeys(_OF_CLASSES, "classes"),
}
_FUNCTIONS = frozenset(name for name in __all__ if name.islower() and name != "get")
_load = lazy_names(
    __name__, _HOMES | {"Custom": "custom"} | dict.fromkeys(_FUNCTIONS, "functions"), absent_names(__name__)
)
_REGISTRY: Registry[Loss] = Registry(
    "loss", Loss, {name: cls for cls, names in _CLASSES.items() for name in names.split()}, later=_HOMES, load=_load
)

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = _load


def __dir__() -> list[str]:
    return sorted(__all__)


def get(identifier: object, where: str = "losses.get") -> Loss:
    """The loss for an argument: an instance, a name such as ``"mse"``, a function of this module, or one of Python.

    Example:
        >>> from fastreg import losses
        >>> losses.get(losses.huber)
        Huber(delta=1.0)
    """
    if isinstance(identifier, str):
        return _REGISTRY.resolve(where, identifier)
    if isinstance(identifier, Loss) and not identifier.in_files:  # a function of Python, which has no name
        return identifier
    if getattr(identifier, "__module__", "") == f"{__name__}.functions":
        identifier = getattr(identifier, "__name__", identifier)
    elif callable(identifier) and not isinstance(identifier, (Loss, type)):
        from fastreg.losses.custom import Custom as Made

        return Made(identifier)
    return _REGISTRY.resolve(where, identifier)
