"""Twenty steps of every optimizer against the oracle: moments, penalties, dropout's true masks, moving statistics."""

import dataclasses

import numpy as np
import pytest
import reference as ref
from cases import made
from fastreg import schedules
from pairs import build_pair, targets
from reference import Penalty

# Twenty steps of float32 arithmetic; the same bound as against PyTorch (tests/peer).
TOLERANCE = 2e-5

OPTIMIZERS = {
    **ref.STEADY_RULES,
    "clipvalue": ref.SGD(0.05, clip=("clipvalue", 0.05)),
    "clipnorm": ref.SGD(0.05, momentum=0.9, clip=("clipnorm", 0.2)),
    "global_clipnorm": ref.AdamW(0.01, weight_decay=0.1, clip=("global_clipnorm", 0.5)),
}

L1L2 = {"kernel": Penalty(0.003, 0.004), "bias": Penalty(0.001, 0.002)}
PROXIMAL = {"kernel": Penalty(0.01, 0.0, True)}

# A batch normalisation behind a linear layer makes the gradient of every shift in front of it zero, and Adam turns the
# rounding errors of a zero into steps; here an activation stands between.
STACKS = {
    "plain": (5, [("dense", 17, "tanh"), ("dense", 3)]),
    "l1l2": (5, [("dense", 17, "tanh", L1L2), ("dense", 3, "linear", L1L2)]),
    "proximal": (5, [("dense", 17, "tanh", PROXIMAL), ("dense", 3, "linear", PROXIMAL)]),
    "bn": (5, [("dense", 17, "tanh"), ("batch_norm",), ("dense", 3)]),
    "tutorial": (
        10,
        [
            ("dense", 64, "relu", {"kernel": Penalty(0.01, 0.01)}),
            ("batch_norm",),
            ("dropout", 0.5),
            ("dense", 1, "sigmoid"),
        ],
    ),
    "everything": (
        33,
        [
            ("batch_norm", {"momentum": 0.9}),
            ("dropout", 0.1),
            ("dense", 35, "silu", {"use_bias": False, "kernel": Penalty(0.0, 0.01)}),
            ("batch_norm", {"momentum": 0.9, "scale": False}),
            ("activation", "gelu"),
            ("dropout", 0.3),
            ("dense", 19, "softplus", L1L2),
            ("dropout", 0.2),
            ("dropout", 0.2),
            ("dense", 4, "softmax"),
        ],
    ),
}
LOSS_OF = {"tutorial": "binary_crossentropy", "everything": "sparse_categorical_crossentropy"}


# Rprop follows signs, and so does the first step of Ftrl from an accumulator of 0, whose length does not depend on the
# gradient: where a gradient vanishes but for rounding errors, as in front of a batch normalisation, both go their own
# way.
FOLLOWS_SIGNS = [name for name, rule in OPTIMIZERS.items() if isinstance(rule, ref.Rprop)] + ["ftrl, from 0"]
CASES = [
    (optimizer, stack)
    for optimizer in OPTIMIZERS
    for stack in STACKS
    if not (optimizer in FOLLOWS_SIGNS and stack in ("tutorial", "everything"))
]


@pytest.mark.parametrize("batch_size", [None, 16], ids=["full", "batches"])
@pytest.mark.parametrize(("optimizer", "stack"), CASES)
def test_trajectory(optimizer, stack, batch_size, rng):
    features, layers = STACKS[stack]
    loss = LOSS_OF.get(stack, "mean_squared_error")
    model, net = build_pair(layers, features, rng, loss=loss, optimizer=OPTIMIZERS[optimizer], seed=11)
    rows, epochs = (48, 20) if batch_size is None else (70, 4)  # 70 rows: batches of 16, 16, 16, 16, 6
    x = rng.normal(size=(rows, features)).astype(np.float32)
    t = targets(loss, rows, layers[-1][1], rng)
    history = model.fit(x, t, batch_size=batch_size, epochs=epochs, shuffle=False, verbose=0)
    expected = net.fit(x.astype(np.float64), t, epochs, batch_size or rows)
    assert net.steps == 20
    for i, (w, w_expected) in enumerate(zip(model.get_weights(), net.get_weights(), strict=True)):
        np.testing.assert_allclose(w, w_expected, rtol=TOLERANCE, atol=TOLERANCE, err_msg=f"weight {i}")
    np.testing.assert_allclose(history.history["loss"], expected, rtol=TOLERANCE)


@pytest.mark.parametrize("optimizer", ["nesterov", "adamw"])
def test_trajectory_with_sample_weights(optimizer, rng):
    features, layers = STACKS["tutorial"]
    model, net = build_pair(layers, features, rng, loss="binary_crossentropy", optimizer=OPTIMIZERS[optimizer], seed=2)
    x, r = rng.normal(size=(70, features)).astype(np.float32), rng.uniform(0.1, 2.0, 70).astype(np.float32)
    t = targets("binary_crossentropy", 70, 1, rng)
    history = model.fit(x, t, batch_size=16, epochs=4, shuffle=False, sample_weight=r, verbose=0)
    expected = net.fit(x.astype(np.float64), t, 4, 16, r)
    for w, w_expected in zip(model.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_allclose(w, w_expected, rtol=TOLERANCE, atol=TOLERANCE)
    np.testing.assert_allclose(history.history["loss"], expected, rtol=TOLERANCE)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_trajectory_with_a_schedule(optimizer, rng):
    """The rate stands outside the momentum: m = mu m + g, w -= rate m, as in PyTorch."""
    model, net = build_pair(STACKS["l1l2"][1], 5, rng, optimizer=OPTIMIZERS[optimizer])
    schedule = schedules.ExponentialDecay(OPTIMIZERS[optimizer].learning_rate, 4, 0.5)
    model.compile(
        optimizer=dataclasses.replace(made(OPTIMIZERS[optimizer]), learning_rate=schedule), loss="mse"
    )
    x, t = rng.normal(size=(40, 5)).astype(np.float32), targets("mean_squared_error", 40, 3, rng)
    model.fit(x, t, batch_size=8, epochs=4, shuffle=False, verbose=0)
    net.fit(x.astype(np.float64), t, 4, 8, rates=[schedule(step) for step in range(20)])
    for w, w_expected in zip(model.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_allclose(w, w_expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_fit_again_goes_on(rng):
    """Two calls of fit are one: moments, step (and with it the masks) and statistics carry over."""
    features, layers = STACKS["tutorial"]
    model, net = build_pair(layers, features, rng, loss="binary_crossentropy", optimizer=OPTIMIZERS["adam"], seed=2)
    x = rng.normal(size=(40, features)).astype(np.float32)
    t = targets("binary_crossentropy", 40, 1, rng)
    for epochs in (1, 3):
        model.fit(x, t, batch_size=16, epochs=epochs, shuffle=False, verbose=0)
    net.fit(x.astype(np.float64), t, 4, 16)
    for w, w_expected in zip(model.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_allclose(w, w_expected, rtol=TOLERANCE, atol=TOLERANCE)
