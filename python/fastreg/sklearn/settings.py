"""What the parameters of the estimators mean: layers, loss and optimizer, with scikit-learn's names for them.

It checks parameters and makes descriptions of them. It knows neither data nor scikit-learn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastreg import layers, losses, optimizers, regularizers
from fastreg.internal.checks import (
    AT_LEAST_ONE,
    FRACTION,
    NON_NEGATIVE,
    POSITIVE,
    WIDTH_LIMIT,
    check_bool,
    check_choice,
    check_int,
    check_real,
    describe,
)
from fastreg.internal.dataclasses import replace
from fastreg.optimizers import Optimizer
from fastreg.runtime import checked_matmul_precision

__all__ = ["Output", "Settings", "initial_weights", "layers_of", "loss_of", "optimizer_of", "set_initial_weights"]

# scikit-learn's names of activations that have another one here.
_ACTIVATIONS = {"identity": "linear", "logistic": "sigmoid"}
_RATES = ("constant", "invscaling", "adaptive")
_SCALES = ("standard", "robust")

# Above it, a float32 is infinite.
_LARGEST = 3.4028234663852886e38

# The rows of a batch with batch_size="auto", unless there are fewer.
_AUTO_BATCH = 200


class Settings(NamedTuple):
    """The checked parameters of an estimator.

    Attributes:
        owner: The name of its class, for messages.
        given: All parameters by name, as they were given.
        hidden: The units of the hidden layers.
        activations: The activation of each.
        dropout: The dropout rate after each.
        tol: What a better loss or score must gain.
        patience: The epochs without a better one that are waited for; may be infinite.
        epochs: The largest number of epochs.
        n_models: The number of networks.
        shuffle: Whether each epoch has its own order of the rows.
        early_stopping: Whether the score on held-out rows ends the run.
        verbose: Whether each epoch writes a line.
    """

    owner: str
    given: Mapping[str, Any]
    hidden: tuple[int, ...]
    activations: tuple[Any, ...]
    dropout: tuple[float, ...]
    tol: float
    patience: float
    epochs: int
    n_models: int
    shuffle: bool
    early_stopping: bool
    verbose: bool

    @staticmethod
    def of(owner: str, given: Mapping[str, Any]) -> Settings:
        """Checks the parameters of an estimator.

        Raises:
            ValueError: If one is out of range or a name is unknown.
            TypeError: If one is of the wrong kind.
        """
        hidden = _hidden(owner, given["hidden_layer_sizes"])
        n = len(hidden)
        _check_others(owner, given)
        patience = given["n_iter_no_change"]
        if not (isinstance(patience, float) and patience == math.inf):
            patience = check_int(owner, "n_iter_no_change", patience, AT_LEAST_ONE)
        return Settings(
            owner,
            given,
            hidden,
            tuple(_for_each(owner, "activation", given["activation"], n, _activation)),
            tuple(_for_each(owner, "dropout", given["dropout"], n, _rate)),
            check_real(owner, "tol", given["tol"], NON_NEGATIVE),
            patience,
            check_int(owner, "max_iter", given["max_iter"], AT_LEAST_ONE),
            check_int(owner, "n_models", given["n_models"], AT_LEAST_ONE),
            check_bool(owner, "shuffle", given["shuffle"]),
            check_bool(owner, "early_stopping", given["early_stopping"]),
            bool(given["verbose"]),
        )

    @property
    def plain_sgd(self) -> bool:
        """Whether the optimizer is scikit-learn's SGD, whose rate may follow the number of rows or the loss."""
        return self.given["optimizer"] is None and self.given["solver"] == "sgd"

    @property
    def rate_rule(self) -> str:
        """How the rate changes between epochs: "constant", "invscaling" or "adaptive"."""
        rule = self.given["learning_rate"]
        return rule if self.plain_sgd and isinstance(rule, str) else "constant"

    def batch(self, n_rows: int) -> int:
        """The rows of a batch."""
        size = self.given["batch_size"]
        return min(_AUTO_BATCH if isinstance(size, str) else int(size), n_rows)


class Output(NamedTuple):
    """The output layer and the loss.

    Attributes:
        units: The number of outputs.
        name: scikit-learn's name of the activation, as in ``out_activation_``.
        activation: Its name here.
        loss: The loss.
        factor: What the loss is multiplied by, so that it is scikit-learn's sum over outputs.
        shown: What a value of the loss is divided by to be scikit-learn's.
    """

    units: int
    name: str
    activation: str
    loss: losses.Loss
    factor: float
    shown: float


def _hidden(owner: str, value: object) -> tuple[int, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        value = (value,)
    return tuple(check_int(owner, "hidden_layer_sizes", size, POSITIVE, WIDTH_LIMIT) for size in value)


def _for_each(owner: str, name: str, value: Any, n: int, check: Callable[[str, str, Any], Any]) -> list[Any]:
    """The value of each hidden layer: one for all, or a list with one for each."""
    if not isinstance(value, (list, tuple, np.ndarray)):
        return [check(owner, name, value)] * n
    if len(value) != n:
        raise ValueError(
            f"{owner}: {name} must be one value or a list with one for each of {n} hidden layers, got {len(value)}"
        )
    return [check(owner, name, item) for item in value]


def _activation(owner: str, name: str, value: Any) -> Any:
    known = _ACTIVATIONS.get(value, value) if isinstance(value, str) else value
    return layers.Dense(1, known).activation


def _rate(owner: str, name: str, value: Any) -> float:
    return check_real(owner, name, value, FRACTION)


def _check_others(owner: str, given: Mapping[str, Any]) -> None:
    """Checks the parameters that no description checks."""
    solver = given["solver"]
    if solver == "lbfgs":
        raise ValueError(
            f"{owner}: solver 'lbfgs' is not available; 'adam' and 'sgd' are, and optimizer= takes any of "
            "fastreg.optimizers. On small data, scale='standard' and a larger learning_rate_init help most"
        )
    check_choice(owner, "solver", solver, ("adam", "sgd"))
    for name in ("alpha", "l1", "l2", "power_t"):
        check_real(owner, name, given[name], NON_NEGATIVE)
    check_real(owner, "learning_rate_init", given["learning_rate_init"], POSITIVE)
    check_real(owner, "input_dropout", given["input_dropout"], FRACTION)
    check_real(owner, "validation_fraction", given["validation_fraction"], FRACTION)
    check_int(owner, "max_fun", given["max_fun"], AT_LEAST_ONE)
    for name in ("batch_normalization", "proximal", "warm_start", "nesterovs_momentum"):
        check_bool(owner, name, given[name])
    if isinstance(given["batch_size"], str):
        check_choice(owner, "batch_size", given["batch_size"], ("auto",))
    else:
        check_int(owner, "batch_size", given["batch_size"], AT_LEAST_ONE)
    if isinstance(given["learning_rate"], str) or not callable(given["learning_rate"]):
        check_choice(owner, "learning_rate", given["learning_rate"], _RATES)
    if given["scale"] is not None and not isinstance(given["scale"], layers.Normalization):
        check_choice(owner, "scale", given["scale"], _SCALES)
    if given["matmul_precision"] is not None:
        checked_matmul_precision(owner, "matmul_precision", given["matmul_precision"])
    if given["kernel_regularizer"] is not None and (given["l1"] or given["l2"]):
        raise ValueError(f"{owner}: give l1 and l2, or kernel_regularizer, not both")


def optimizer_of(settings: Settings) -> Optimizer:
    """The optimizer."""
    given = settings.given
    chosen, rate = given["optimizer"], given["learning_rate"]
    scheduled = not isinstance(rate, str)
    if not scheduled:
        rate = float(given["learning_rate_init"])
    if isinstance(chosen, (str, Mapping)):
        found = optimizers.get(chosen, f"{settings.owner}: optimizer")
        return replace(found, learning_rate=rate) if isinstance(chosen, str) else found
    if chosen is not None:
        if scheduled:
            raise ValueError(
                f"{settings.owner}: give the schedule to the optimizer, or the optimizer by its name; got "
                f"learning_rate={describe(rate)} and optimizer={describe(chosen)}"
            )
        return optimizers.get(chosen, f"{settings.owner}: optimizer")
    if given["solver"] == "sgd":
        momentum = check_real(settings.owner, "momentum", given["momentum"], FRACTION)
        return optimizers.SGD(rate, momentum, nesterov=given["nesterovs_momentum"] and momentum > 0)
    return optimizers.Adam(rate, given["beta_1"], given["beta_2"], given["epsilon"])


def loss_of(owner: str, given: object, units: int) -> Output:
    """The output layer of a regressor, and its loss.

    Args:
        owner: The name of the class, for messages.
        given: ``"squared_error"``, ``"poisson"``, or a loss of fastreg or its name.
        units: The number of targets.
    """
    if given == "squared_error":
        return Output(units, "identity", "linear", losses.MeanSquaredError(), units / 2, units)
    if given == "poisson":
        return Output(units, "exp", "exponential", losses.Tweedie(1.0), units / 2, 1.0)
    found = losses.get(given, f"{owner}: loss")
    if found.targets not in ("values", "counts") or found.heads != 1:
        raise ValueError(f"{owner}: loss must be one of numbers with one output for each target, got {describe(given)}")
    if found.targets == "counts":
        return Output(units, "exp", "exponential", found, 1.0, 1.0)
    return Output(units, "identity", "linear", found, 1.0, 1.0)


def layers_of(settings: Settings, output: Output, scaler: layers.Normalization | None, weight: float) -> list[Any]:
    """The layers of a network.

    Args:
        settings: The parameters.
        output: The output layer.
        scaler: What standardises the features, or None.
        weight: The sum of the weights of a batch: its rows, or the sum of what they count for on average.
    """
    given = settings.given
    kernel = _penalty(settings, weight)
    bias = regularizers.get(given["bias_regularizer"], f"{settings.owner}: bias_regularizer")
    made: list[Any] = [] if scaler is None else [scaler]
    if given["input_dropout"]:
        made.append(layers.Dropout(given["input_dropout"]))

    def dense(units: int, activation: Any) -> layers.Dense:
        return layers.Dense(
            units,
            activation,
            kernel_initializer=given["kernel_initializer"] or "glorot_uniform",
            bias_initializer=given["bias_initializer"] or "zeros",
            kernel_regularizer=kernel,
            bias_regularizer=bias,
        )

    for units, activation, rate in zip(settings.hidden, settings.activations, settings.dropout, strict=True):
        if given["batch_normalization"]:
            made += [dense(units, None), layers.BatchNormalization(), layers.Activation(activation or "linear")]
        else:
            made.append(dense(units, activation))
        if rate:
            made.append(layers.Dropout(rate))
    return [*made, dense(output.units, output.activation)]


def _penalty(settings: Settings, weight: float) -> regularizers.Regularizer | None:
    given = settings.given
    if given["kernel_regularizer"] is not None:
        return regularizers.get(given["kernel_regularizer"], f"{settings.owner}: kernel_regularizer")
    l2 = given["l2"] + given["alpha"] / (2 * weight)
    if l2 > _LARGEST:
        raise ValueError(
            f"{settings.owner}: sample_weight is too small for alpha, which is divided by the sum of the weights of a "
            f"batch: {given['alpha']:g} / {weight:g} must be finite in float32"
        )
    if not given["l1"] and not l2:
        return None
    return regularizers.L1L2(given["l1"], l2, proximal=given["proximal"])


def initial_weights(settings: Settings, n_features: int, units: int, random: Any) -> list[NDArray[np.float64]]:
    """Kernels and biases as scikit-learn draws them, layer by layer: uniform, and with the same numbers for a seed.

    Args:
        settings: The parameters.
        n_features: The number of features.
        units: The number of outputs.
        random: A ``RandomState``.
    """
    share = 2.0 if settings.given["activation"] == "logistic" else 6.0
    sizes = (n_features, *settings.hidden, units)
    drawn = []
    for fan_in, fan_out in pairwise(sizes):
        bound = math.sqrt(share / (fan_in + fan_out))
        drawn += [random.uniform(-bound, bound, (fan_in, fan_out)), random.uniform(-bound, bound, fan_out)]
    return drawn


def set_initial_weights(model: Any, settings: Settings, drawn: Sequence[NDArray[np.float64]]) -> None:
    """Puts drawn kernels and biases into a network, where no initializer was given for them."""
    given = settings.given
    keep = (given["kernel_initializer"] is not None, given["bias_initializer"] is not None)
    dense = [layer for layer in model.layers if isinstance(layer.description, layers.Dense)]
    for layer, kernel, bias in zip(dense, drawn[::2], drawn[1::2], strict=True):
        old = layer.get_weights()
        layer.set_weights([w if kept else new for w, new, kept in zip(old, (kernel, bias), keep, strict=True)])
