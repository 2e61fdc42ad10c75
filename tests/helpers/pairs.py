"""One description, two networks: fastreg's and the oracle's, with the same weights, loss, optimizer and seed.

A stack is a list of rows:
    ("dense", units, activation, options)   options: use_bias, kernel and bias (reference.Penalty), kernel_constraint
                                            and bias_constraint (formulas.constraints), rates and decays (of weights by
                                            name, or one for all); each may be left out
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
from formulas.penalties import Orthogonality


def float32(value):
    """The value that the core works with, as a Python float; other things as they are."""
    return float(np.float32(value)) if isinstance(value, float) else value


def rounded(row):
    """A penalty or a row of formulas/ with every float rounded to float32."""

    def round_one(value):
        if hasattr(value, "_fields"):
            return type(value)(*map(float32, value))
        return tuple(map(float32, value)) if isinstance(value, tuple) else float32(value)

    if isinstance(row, (ref.Penalty, Orthogonality)):
        return row._replace(**{name: round_one(value) for name, value in row._asdict().items()})
    return row.replace(**{field.name: round_one(getattr(row, field.name)) for field in fields(row)})


def fastreg_penalty(penalty):
    if isinstance(penalty, Orthogonality):
        return regularizers.OrthogonalRegularizer(*penalty)
    return None if penalty is None else regularizers.L1L2(l1=penalty.l1, l2=penalty.l2, proximal=penalty.proximal)


def fastreg_constraint(constraint):
    return None if constraint is None else made(constraint)


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
        kernel_constraint=fastreg_constraint(options.get("kernel_constraint")),
        bias_constraint=fastreg_constraint(options.get("bias_constraint")),
        learning_rate_multiplier=options.get("rates", 1.0),
        weight_decay_multiplier=options.get("decays", 1.0),
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
    layer = ref.Dense(
        units,
        activation,
        options.get("use_bias", True),
        rounded(options.get("kernel") or ref.Penalty()),
        rounded(options.get("bias") or ref.Penalty()),
    )
    constraints = {name: options.get(f"{name}_constraint") for name in layer.names}
    layer.constraints = {name: rounded(found) for name, found in constraints.items() if found is not None}
    layer.rates, layer.decays = options.get("rates", 1.0), options.get("decays", 1.0)
    return layer


def random_weights(shapes, names, rng):
    """Weights that leave no term out: biases, beta and moving_mean are not zero, gamma and moving_variance not one."""
    weights = []
    for name, shape in zip(names, shapes, strict=True):
        kind = name.rsplit(".", 1)[-1]
        if kind == "kernel":
            w = rng.normal(size=shape) / np.sqrt(shape[0])
        elif kind in ("gamma", "moving_variance", "variance"):
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


def last_activation(loss):
    """The one that a loss, a row of formulas/, is made for."""
    if loss.absorbs:
        return "linear" if loss.logits else loss.absorbs
    return {"values": "linear", "positive": "softplus", "shares": "softmax"}[loss.outputs]


def targets(loss, n, outputs, rng):
    """Targets of the loss, a row of formulas/ or a name: float32 (n, outputs / heads), or int labels (n,)."""
    kind, heads = ref.loss_of(loss).targets, ref.loss_of(loss).heads
    outputs //= heads
    if kind == "labels":
        return rng.integers(0, outputs, n)
    if kind == "distribution":
        return ref.one_hot(rng.integers(0, outputs, n), outputs).astype(np.float32)
    if kind == "probabilities":
        return rng.integers(0, 2, (n, outputs)).astype(np.float32)
    if kind == "signs":
        return rng.choice(np.float32([-1.0, 1.0]), (n, outputs))
    if kind == "counts":
        return np.exp(rng.normal(size=(n, outputs))).astype(np.float32)
    assert kind == "values"
    values = rng.normal(size=(n, outputs))
    if ref.loss_of(loss).far_from_zero:
        values = 3.0 + np.clip(values, -2.0, 2.0)
    return values.astype(np.float32)
