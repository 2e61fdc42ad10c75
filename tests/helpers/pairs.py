"""One description, two networks: fastreg's and the oracle's, with the same weights, loss, optimizer and seed.

A stack is a list of rows:
    ("dense", units, activation, options)   options: use_bias, kernel and bias (reference.Penalty); both may be left out
    ("activation", name)
    ("batch_norm", options)                 options: momentum, epsilon, center, scale
    ("dropout", rate)
Hyper-parameters are float32 in the core; the oracle gets the rounded values, so that 1 - 0.999 means the same in both.
"""

from dataclasses import fields

import fastreg as fr
import numpy as np
import reference as ref
from cases import made
from fastreg import layers, regularizers


def float32(value):
    """The value that the core works with, as a Python float; other things as they are."""
    return float(np.float32(value)) if isinstance(value, float) else value


def rounded(row):
    """A penalty or a row of formulas/ with every float rounded to float32."""

    def round_one(value):
        if hasattr(value, "_fields"):
            return type(value)(*map(float32, value))
        return tuple(map(float32, value)) if isinstance(value, tuple) else float32(value)

    if isinstance(row, ref.Penalty):
        return row._replace(**{name: round_one(value) for name, value in row._asdict().items()})
    return row.replace(**{field.name: round_one(getattr(row, field.name)) for field in fields(row)})


def fastreg_penalty(penalty):
    return None if penalty is None else regularizers.L1L2(l1=penalty.l1, l2=penalty.l2, proximal=penalty.proximal)


def dense_arguments(units, activation="linear", options=None):
    return units, activation, options or {}


def fastreg_layer(row):
    kind, *arguments = row
    if kind == "activation":
        return layers.Activation(*arguments)
    if kind == "dropout":
        return layers.Dropout(*arguments)
    if kind == "batch_norm":
        return layers.BatchNormalization(**(arguments[0] if arguments else {}))
    units, activation, options = dense_arguments(*arguments)
    return layers.Dense(
        units,
        activation=activation,
        use_bias=options.get("use_bias", True),
        kernel_regularizer=fastreg_penalty(options.get("kernel")),
        bias_regularizer=fastreg_penalty(options.get("bias")),
    )


def reference_layer(row):
    kind, *arguments = row
    if kind == "activation":
        return ref.Activation(*arguments)
    if kind == "dropout":
        return ref.Dropout(float32(arguments[0]))
    if kind == "batch_norm":
        options = {"momentum": 0.99, "epsilon": 1e-3, **(arguments[0] if arguments else {})}
        return ref.BatchNormalization(**{name: float32(value) for name, value in options.items()})
    units, activation, options = dense_arguments(*arguments)
    return ref.Dense(
        units,
        activation,
        options.get("use_bias", True),
        rounded(options.get("kernel") or ref.Penalty()),
        rounded(options.get("bias") or ref.Penalty()),
    )


def random_weights(shapes, names, rng):
    """Weights that leave no term out: biases, beta and moving_mean are not zero, gamma and moving_variance not one."""
    weights = []
    for name, shape in zip(names, shapes, strict=True):
        kind = name.rsplit(".", 1)[-1]
        if kind == "kernel":
            w = rng.normal(size=shape) / np.sqrt(shape[0])
        elif kind in ("gamma", "moving_variance"):
            w = rng.uniform(0.5, 1.5, shape)
        else:
            w = 0.3 * rng.normal(size=shape)
        weights.append(w.astype(np.float32))
    return weights


def weight_names(stack):
    """The names of the weights in the order of get_weights, from the documentation of the order alone."""
    return [f"{i}.{name}" for i, row in enumerate(stack) for name in reference_layer(row).names]


def build_pair(
    stack,
    n_features,
    rng,
    *,
    loss="mean_squared_error",
    from_logits=False,
    optimizer=ref.GRADIENT_DESCENT,
    seed=0,
    metrics=(),
):
    """(model, net): compiled, built, with equal random weights."""
    model = fr.Sequential([fastreg_layer(row) for row in stack], seed=seed)
    model.compile(optimizer=made(optimizer), loss=made(ref.loss_of(loss, from_logits)), metrics=list(metrics))
    model.build(n_features)
    weights = random_weights([w.shape for w in model.get_weights()], weight_names(stack), rng)
    model.set_weights(weights)
    reference_layers = [reference_layer(row) for row in stack]
    return model, ref.Network(reference_layers, weights, loss, from_logits, rounded(optimizer), seed)


def targets(loss, n, outputs, rng):
    """Targets of the loss, a row of formulas/ or a name: float32 (n, outputs), or int labels (n,)."""
    kind = ref.loss_of(loss).targets
    if kind == "labels":
        return rng.integers(0, outputs, n)
    if kind == "distribution":
        return ref.one_hot(rng.integers(0, outputs, n), outputs).astype(np.float32)
    if kind == "probabilities":
        return rng.integers(0, 2, (n, outputs)).astype(np.float32)
    assert kind == "values"
    return rng.normal(size=(n, outputs)).astype(np.float32)
