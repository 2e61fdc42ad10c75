"""The gradients of whole networks, layer by layer and fusion by fusion, against the oracle.

One step of plain gradient descent at rate 1 changes every weight by its gradient. The loss of that epoch, the moving
statistics and the output afterwards are compared as well, so that forward, backward and bookkeeping are all seen.
"""

import numpy as np
import pytest
import reference as ref
from conftest import EPS
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import build_pair, float32, last_activation, targets, weight_names
from reference import Penalty
from rounding import AS_OFTEN, an_ulp_away, apart

ELEMENTWISE = tuple(ref.ELEMENTWISE)
SGD1 = ref.SGD(1.0)

# name: (features, stack). The stacks contain everything that the core fuses: Dense with Activation, the backward pass
# of an activation with that of batch normalisation, batch normalisation with Dropout, a last sigmoid or softmax with
# the loss.
STACKS = {
    "one feature, one unit": (1, [("dense", 1)]),
    "no bias": (7, [("dense", 3, "linear", {"use_bias": False})]),
    "one unit inside": (
        5,
        [("dense", 1, "tanh"), ("batch_norm",), ("dropout", 0.4), ("dense", 1, "tanh"), ("dense", 3)],
    ),
    "one feature to many": (1, [("dense", 131, "tanh"), ("dense", 1)]),
    "panels": (131, [("dense", 129, "tanh"), ("dense", 65, "gelu"), ("dense", 64, "silu"), ("dense", 63)]),
    "deep": (9, [("dense", units, "elu") for units in (17, 15, 16, 1, 33, 5, 31)]),
    "bn first": (19, [("batch_norm",), ("dense", 5, "tanh"), ("dense", 2)]),
    "bn last": (6, [("dense", 5, "tanh"), ("batch_norm",)]),
    "bn alone": (5, [("batch_norm",)]),
    "bn twice": (6, [("dense", 21, "tanh"), ("batch_norm",), ("batch_norm", {"momentum": 0.5}), ("dense", 2)]),
    "bn without gamma": (6, [("dense", 21, "tanh"), ("batch_norm", {"scale": False}), ("dense", 2)]),
    "bn without beta": (6, [("dense", 21, "tanh"), ("batch_norm", {"center": False}), ("dense", 2)]),
    "bn of statistics only": (6, [("dense", 21), ("batch_norm", {"center": False, "scale": False}), ("dense", 2)]),
    "bn options": (6, [("dense", 21), ("batch_norm", {"momentum": 0.3, "epsilon": 0.1}), ("dense", 2)]),
    "bn of one column": (4, [("dense", 1, "tanh"), ("batch_norm",), ("dense", 2)]),
    "dense, bn, activation": (
        8,
        [("dense", 35, "linear", {"use_bias": False}), ("batch_norm",), ("activation", "relu"), ("dense", 2)],
    ),
    "bn, dropout": (8, [("dense", 35, "relu"), ("batch_norm",), ("dropout", 0.5), ("dense", 2)]),
    "bn, dropout, dropout": (
        8,
        [("dense", 35, "relu"), ("batch_norm",), ("dropout", 0.5), ("dropout", 0.1), ("dense", 2)],
    ),
    "dropout, bn": (8, [("dense", 35, "relu"), ("dropout", 0.5), ("batch_norm",), ("dense", 2)]),
    "bn, activation, dropout": (
        8,
        [("dense", 35), ("batch_norm",), ("activation", "gelu"), ("dropout", 0.3), ("dense", 2)],
    ),
    "dropout first": (20, [("dropout", 0.2), ("dense", 17, "tanh"), ("dense", 2)]),
    "dropout of one column": (1, [("dropout", 0.5), ("dense", 3)]),
    "dropouts": (20, [("dense", 17, "tanh"), ("dropout", 0.2), ("dropout", 0.4), ("dense", 2)]),
    "dropout twice apart": (
        20,
        [("dense", 17, "tanh"), ("dropout", 0.4), ("dense", 17, "tanh"), ("dropout", 0.4), ("dense", 2)],
    ),
    "dropout last": (20, [("dense", 5), ("dropout", 0.4)]),
    "dropout before and after the activation": (
        9,
        [("dense", 20), ("dropout", 0.3), ("activation", "relu"), ("dropout", 0.3), ("dense", 2)],
    ),
    "dropout of nothing": (9, [("dense", 20, "tanh"), ("dropout", 0.0), ("dense", 2)]),
    "activation first": (13, [("activation", "tanh"), ("dense", 4)]),
    "activations": (
        13,
        [("dense", 18), ("activation", "tanh"), ("activation", "sigmoid"), ("activation", "gelu"), ("dense", 4)],
    ),
    "activation on activation": (13, [("dense", 18, "gelu"), ("activation", "softplus"), ("dense", 4)]),
    "softmax, softmax": (13, [("dense", 18, "softmax"), ("activation", "softmax"), ("dense", 4)]),
    "softmax, bn, dropout": (13, [("dense", 18, "softmax"), ("batch_norm",), ("dropout", 0.2), ("dense", 4)]),
    "sigmoid last": (13, [("dense", 18, "tanh"), ("dense", 4, "sigmoid")]),
    "softmax last": (13, [("dense", 18, "tanh"), ("dense", 4, "softmax")]),
    "sigmoid apart": (13, [("dense", 18, "tanh"), ("dense", 4), ("activation", "sigmoid")]),
    "softmax apart": (13, [("dense", 18, "tanh"), ("dense", 4), ("activation", "softmax")]),
    "sigmoid after bn": (13, [("dense", 4, "tanh"), ("batch_norm",), ("activation", "sigmoid")]),
    "dropout after the last sigmoid": (13, [("dense", 18, "tanh"), ("dense", 4, "sigmoid"), ("dropout", 0.3)]),
    "penalties": (
        8,
        [
            ("dense", 19, "tanh", {"kernel": Penalty(0.02, 0.03), "bias": Penalty(0.0, 0.05)}),
            ("dense", 7, "tanh", {"kernel": Penalty(0.0, 0.04)}),
            ("dense", 3, "linear", {"kernel": Penalty(0.05, 0.0), "bias": Penalty(0.01, 0.0)}),
        ],
    ),
    "proximal": (8, [("dense", 19, "tanh", {"kernel": Penalty(0.05, 0.0, True)}), ("dense", 3)]),
}
for name in ref.ACTIVATIONS:
    STACKS[f"dense({name})"] = (6, [("dense", 19, name), ("dense", 3)])
    STACKS[f"dense, {name}"] = (6, [("dense", 19), ("activation", name), ("dense", 3)])
    STACKS[f"dense({name}), bn"] = (6, [("dense", 19, name), ("batch_norm",), ("dense", 3)])
    STACKS[f"dense without bias, {name}, bn, dropout"] = (
        6,
        [("dense", 19, name, {"use_bias": False}), ("batch_norm",), ("dropout", 0.3), ("dense", 3)],
    )


def widest(features, stack):
    return max([features] + [row[1] for row in stack if row[0] == "dense"])


def outputs_of(features, stack):
    return ([features] + [row[1] for row in stack if row[0] == "dense"])[-1]


def assert_weights_close(model, net, stack, before, steps, terms, moved=0.0):
    """Every weight's change against the oracle's, relative to the largest change in the network.

    A chain of layers multiplies rounding errors by less than the conditioning of its batch normalisations; 32 ulps of
    the largest change (and of the weight itself, whose last bit bounds what a difference shows) hold that. A network
    that multiplies them by more gets how far an ulp of its data and weights moves the oracle's, `moved`, as often as it
    has sums with errors of their own.
    """
    after, expected = model.get_weights(), net.get_weights()
    changes = [w - w0 for w, w0 in zip(expected, before, strict=True)]
    largest = max([np.abs(c).max() for c in changes if c.size], default=0.0)
    for name, w, w_expected, w0 in zip(weight_names(stack), after, expected, before, strict=True):
        bound = EPS * (32 + np.sqrt(terms)) * largest + AS_OFTEN * moved
        bound = bound + 2.0 * EPS * steps * (np.abs(w0) + np.abs(w_expected))
        error = np.abs(w - w_expected)
        assert (error <= bound).all(), (
            f"{name}: got change {(w - w0).ravel()[np.argmax((error - bound).ravel())]:.8g}, "
            f"expected {(w_expected - w0).ravel()[np.argmax((error - bound).ravel())]:.8g}, "
            f"error {error.max():.3g}, allowed {bound.min():.3g}, {(error > bound).sum()} of {error.size} elements"
        )


def check_epoch(
    features,
    stack,
    rng,
    *,
    rows=37,
    batch_size=None,
    loss="mean_squared_error",
    weighted=False,
    seed=3,
    optimizer=SGD1,
):
    """One epoch of fit in both; compares loss, weights and the outputs afterwards."""
    model, net = build_pair(stack, features, rng, loss=loss, optimizer=optimizer, seed=seed)
    x = rng.normal(size=(rows, features)).astype(np.float32)
    t = targets(loss, rows, outputs_of(features, stack), rng)
    r = rng.uniform(0.25, 3.0, rows).astype(np.float32) if weighted else None
    before = net.get_weights()
    steps = -(-rows // (batch_size or rows))
    history = model.fit(x, t, batch_size=batch_size, epochs=1, shuffle=False, sample_weight=r, verbose=0)
    net, *others = [net, *(an_ulp_away(net, rng) for _ in range(3))]
    expected, *_ = (each.fit(x.astype(np.float64), t, 1, batch_size or rows, r) for each in (net, *others))
    terms = max(rows, widest(features, stack))
    assert_weights_close(model, net, stack, before, steps, terms, moved=apart(net, others))
    np.testing.assert_allclose(history.history["loss"], expected, rtol=EPS * (32 + np.sqrt(terms)), atol=1e-7)
    y, *ys = (each.forward(x.astype(np.float64)) for each in (net, *others))
    allowed = 2e-5 * (1.0 + np.abs(y)) + AS_OFTEN * np.max([np.abs(other - y) for other in ys], axis=0)
    assert (np.abs(model.predict(x) - y) <= allowed).all()


@pytest.mark.parametrize("name", STACKS)
def test_stack(name, rng):
    check_epoch(*STACKS[name], rng)


@pytest.mark.parametrize("name", ["bn, dropout", "dense(relu), bn", "bn first", "dropouts", "penalties", "panels"])
@pytest.mark.parametrize(("rows", "batch_size"), [(1, None), (2, None), (33, 32), (3, 1), (64, 32), (40, 64)])
def test_batches(name, rows, batch_size, rng):
    """Short last batches, including one with a single row after batch normalisation."""
    check_epoch(*STACKS[name], rng, rows=rows, batch_size=batch_size, optimizer=ref.SGD(0.1))


# Every loss after its matching activation, and one loss after others.
LOSSES = [(name, last_activation(loss)) for name, loss in ref.LOSSES.items()]
LOSSES += [("mean_squared_error", "sigmoid"), ("mean_squared_error", "softmax")]
# Losses that are computed from the values before the last activation.
ABSORBING = [
    pytest.param(loss, loss.absorbs, id=name) for name, loss in ref.LOSSES.items() if loss.absorbs and not loss.logits
]


def allowed_units(last, loss, units):
    """One unit is no choice: a softmax or a categorical loss needs two. A loss may need some for each target."""
    of_classes = loss.targets in ("labels", "distribution")
    return loss.heads * (max(units, 2) if "softmax" in (last, loss.absorbs) or of_classes else units)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("units", [1, 2, 10, 17])
@pytest.mark.parametrize(("name", "last"), LOSSES)
def test_loss(name, last, units, weighted, rng):
    loss = ref.LOSSES[name]
    stack = [("dense", 8, "tanh"), ("dense", allowed_units(last, loss, units), last)]
    check_epoch(5, stack, rng, rows=21, batch_size=8, loss=loss, weighted=weighted)


@pytest.mark.parametrize(("loss", "last"), ABSORBING)
def test_loss_with_the_last_activation_apart(loss, last, rng):
    check_epoch(5, [("dense", 8, "tanh"), ("dense", 6), ("activation", last)], rng, loss=loss, weighted=True)


@pytest.mark.parametrize("apart", [False, True], ids=["", "apart"])
@pytest.mark.parametrize(("loss", "last"), ABSORBING)
def test_a_saturated_network_still_learns(loss, last, apart, rng):
    """Logits of a hundred: the probabilities are 0 and 1, the loss is not clipped and the gradient does not vanish."""
    stack = [("dense", 3), ("activation", last)] if apart else [("dense", 3, last)]
    model, net = build_pair(stack, 4, rng, loss=loss, optimizer=SGD1)
    weights = [100.0 * w for w in model.get_weights()]
    model.set_weights(weights)
    net.layers[0].p = dict(zip(("kernel", "bias"), (w.astype(np.float64) for w in weights), strict=True))
    x = rng.normal(size=(40, 4)).astype(np.float32)
    t = targets(loss, 40, 3, rng)
    np.testing.assert_allclose(model.evaluate(x, t, verbose=0), expected := net.evaluate(x, t), rtol=1e-5)
    assert expected > (3.0 if "Focal" in type(loss).__name__ else 20.0)  # which has weights below 1
    model.fit(x, t, batch_size=None, verbose=0)
    net.train_step(x.astype(np.float64), t)
    for w, w0, expected in zip(model.get_weights(), weights, net.get_weights(), strict=True):
        np.testing.assert_allclose(w - w0, expected - w0, atol=5e-5)
        assert np.abs(expected - w0).max() > 0.01


@pytest.mark.parametrize("features", [1, 15, 16, 17, 35, 64, 65])
@pytest.mark.parametrize("units", [1, 3, 15, 16, 17, 63, 64, 65])
def test_widths(features, units, rng):
    check_epoch(features, [("dense", units, "tanh"), ("batch_norm",), ("dropout", 0.25), ("dense", 2)], rng, rows=13)


# ---------------------------------------------------------------------------------------------------- random stacks

# Batch normalisation multiplies the rounding errors before it by up to 1 / sqrt(epsilon); a large epsilon keeps a
# random stack well conditioned. STACKS has the default one.
PENALTIES = [Penalty(), Penalty(0.01, 0.0), Penalty(0.0, 0.02), Penalty(0.01, 0.02), Penalty(0.01, 0.02, True)]
widths = st.sampled_from([1, 2, 3, 7, 15, 16, 17, 33, 64, 65])
rows_of_layers = st.one_of(
    st.tuples(st.just("dense"), widths, st.sampled_from(ref.ACTIVATIONS)),
    st.tuples(
        st.just("dense"),
        widths,
        st.sampled_from(ELEMENTWISE),
        st.fixed_dictionaries(
            {
                "use_bias": st.booleans(),
                "kernel": st.sampled_from(PENALTIES),
            }
        ),
    ),
    st.tuples(st.just("activation"), st.sampled_from(ref.ACTIVATIONS)),
    st.tuples(
        st.just("batch_norm"),
        st.fixed_dictionaries(
            {"center": st.booleans(), "scale": st.booleans(), "epsilon": st.sampled_from([0.1, 0.5])}
        ),
    ),
    st.tuples(st.just("dropout"), st.sampled_from([0.1, 0.5, 0.8])),
)


def without_softmax_of_one(features, stack):
    """A softmax over one unit is refused; tanh takes its place."""
    width, allowed = features, []
    for row in stack:
        width = row[1] if row[0] == "dense" else width
        allowed.append(tuple("tanh" if width == 1 and item == "softmax" else item for item in row))
    return allowed


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    features=widths,
    hidden=st.lists(rows_of_layers, max_size=5),
    units=widths,
    rows=st.integers(1, 40),
    batch_size=st.sampled_from([None, 1, 7, 16]),
    loss=st.sampled_from(LOSSES),
    weighted=st.booleans(),
    seed=st.integers(0, 2**63 - 1),
)
def test_random_stacks(features, hidden, units, rows, batch_size, loss, weighted, seed):
    name, last = loss
    kind = ref.LOSSES[name]
    check_epoch(
        features,
        [*without_softmax_of_one(features, hidden), ("dense", allowed_units(last, kind, units), last)],
        np.random.default_rng(seed),
        rows=rows,
        batch_size=batch_size,
        loss=kind,
        weighted=weighted,
        seed=seed,
        optimizer=ref.SGD(float32(0.01)),
    )
