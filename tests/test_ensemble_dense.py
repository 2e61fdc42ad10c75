"""EnsembleDense: members that share a kernel, against the float64 oracle, and as networks of their own."""

import pickle

import fastreg as fr
import graph_reference as graphs
import numpy as np
import pytest
import reference as ref
from fastreg import initializers, layers, optimizers, regularizers
from formulas import rules
from pairs import float32, random_weights, rounded
from programs import refusal, same_bits

NORMAL = initializers.RandomNormal(stddev=1.0)
IN, MEMBERS, ROWS = 5, 3, 37

# Options of the first layer, and those of the oracle's.
KINDS = {
    "both factors": ({"input_initializer": NORMAL}, {}),
    "r alone": ({"input_initializer": NORMAL, "output_initializer": None}, {"factors": ("r",)}),
    "s alone": ({"input_initializer": None}, {"factors": ("s",)}),
    "a bias alone": ({"input_initializer": None, "output_initializer": None}, {"factors": ()}),
    "own kernels": ({"share_kernel": False}, {"own_kernels": True}),
}


def data(rng, n=ROWS):
    x, member = rng.normal(size=(n, IN)).astype(np.float32), rng.integers(0, MEMBERS, (n, 1))
    return [x, member], rng.normal(size=(n, 2)).astype(np.float32)


def network(optimizer=None, seed=0, units=7, activation="tanh", last=2, output=None, **options):
    x, member = fr.Input((IN,), name="x"), fr.Input((1,), name="member")
    hidden = layers.EnsembleDense(units, MEMBERS, activation, **options)([x, member])
    y = layers.EnsembleDense(last, MEMBERS, output, share_kernel=False)([hidden, member])
    model = fr.Model([x, member], y, seed=seed)
    model.compile(optimizer or optimizers.Adam(0.02), "mse")
    return model


CASES = [(kind, 7) for kind in KINDS] + [("both factors", units) for units in (1, 16, 17, 65)]


@pytest.mark.parametrize(("kind", "units"), CASES)
def test_it_trains_predicts_and_freezes_as_the_oracle(kind, units, rng):
    """With a penalty on the first kernel, and weight decay, which is for kernels alone."""
    options, of_oracle = KINDS[kind]
    rule = rules.AdamW(0.01, weight_decay=0.3)
    model = network(optimizers.AdamW(0.01, weight_decay=0.3), units=units,
                    kernel_regularizer=regularizers.L2(0.02), **options)  # fmt: skip
    first = graphs.EnsembleDense(units, MEMBERS, "tanh", penalty=ref.Penalty(0.0, float32(0.02)), **of_oracle)
    last = graphs.EnsembleDense(2, MEMBERS, own_kernels=True)
    kinds = [*first.names, *last.names]
    shapes = {"r": (MEMBERS, IN), "kernel": (IN, units), "s": (MEMBERS, units), "bias": (MEMBERS, units)}
    if kind == "own kernels":
        shapes["kernel"] = (MEMBERS, units * IN)
    assert [w.shape for w in model.get_weights()] == [
        *(shapes[name] for name in first.names), (MEMBERS, 2 * units), (MEMBERS, 2)]  # fmt: skip
    weights = random_weights([w.shape for w in model.get_weights()], kinds, rng)
    model.set_weights(weights)
    outputs = [graphs.Output(3, ref.loss_of("mean_squared_error"))]
    net = graphs.Network([first, last], [(0, 1), (2, 1)], 2, outputs, weights, rounded(rule))
    xs, t = data(rng)
    history = model.fit(xs, t, batch_size=16, epochs=3, shuffle=False, verbose=0).history["loss"]
    wide = [x.astype(np.float64) for x in xs]
    expected = net.fit(wide, [t.astype(np.float64)], 3, 16)
    np.testing.assert_allclose(history, [total for total, *_ in expected], rtol=2e-5)
    for found, wanted in zip(model.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.predict(xs), net.forward(wide)[0], rtol=1e-4, atol=1e-4)
    frozen = model.freeze()
    np.testing.assert_allclose(frozen(xs), model.predict(xs), rtol=1e-5, atol=1e-5)
    assert same_bits([pickle.loads(pickle.dumps(frozen))(xs)], [frozen(xs)])


@pytest.mark.parametrize("kind", KINDS)
def test_the_oracle_by_finite_differences(kind, rng):
    _, of_oracle = KINDS[kind]
    layer = graphs.EnsembleDense(4, MEMBERS, "tanh", **of_oracle)
    shapes = {"r": (MEMBERS, IN), "kernel": (IN, 4), "s": (MEMBERS, 4), "bias": (MEMBERS, 4)}
    if kind == "own kernels":
        shapes["kernel"] = (MEMBERS, 4 * IN)
    layer.p = {name: rng.normal(size=shapes[name]) for name in layer.names}
    (x, member), _ = data(rng)
    x = x.astype(np.float64)
    dy = rng.normal(size=layer.forward([x, member], True, None).shape)
    dx, none = layer.backward(dy)
    assert not none.any()
    found, kept = layer.d | {"x": dx}, layer.p
    for name, gradient in found.items():
        step = 1e-6 * rng.normal(size=gradient.shape)
        sides = []
        for sign in (1, -1):
            layer.p = kept | ({name: kept[name] + sign * step} if name != "x" else {})
            moved = x + sign * step if name == "x" else x
            sides.append((layer.forward([moved, member], True, None) * dy).sum())
        assert (sides[0] - sides[1]) / 2 == pytest.approx((gradient * step).sum(), rel=1e-4, abs=1e-10), name


def test_a_member_is_a_plain_network(rng):
    """Its kernel is W with rows times r and columns times s."""
    model = network(input_initializer=NORMAL)
    weights = random_weights([w.shape for w in model.get_weights()], ["kernel"] * 6, rng)
    model.set_weights(weights)
    r, kernel, s, bias, kernels, last = weights
    (x, _), _ = data(rng)
    for i in range(MEMBERS):
        plain = fr.Sequential([fr.Input((IN,)), layers.Dense(7, "tanh"), layers.Dense(2)], seed=0)
        plain.set_weights([r[i][:, None] * kernel * s[i], bias[i], kernels[i].reshape(2, 7).T, last[i]])
        found = model.predict([x, np.full((ROWS, 1), i)])
        np.testing.assert_allclose(found, plain.predict(x), rtol=1e-5, atol=1e-5)


def test_members_differ_from_the_start_where_r_does(rng):
    (x, _), _ = data(rng)
    for options, differ in (({"input_initializer": NORMAL}, True), ({}, False)):
        entry, member = fr.Input((IN,)), fr.Input((1,))
        model = fr.Model([entry, member], layers.EnsembleDense(4, MEMBERS, **options)([entry, member]), seed=0)
        one, two = (model.predict([x, np.full((ROWS, 1), i)]) for i in (0, 1))
        assert (one != two).any() == differ


def test_threads_and_batches_do_not_change_a_bit(rng):
    xs, t = data(rng, 300)
    before, expected = fr.get_num_threads(), None
    try:
        for threads in (1, 2, 3):
            fr.set_num_threads(threads)
            model = network(units=33, input_initializer=NORMAL)
            model.fit(xs, t, batch_size=64, epochs=2, verbose=0)
            found = [*model.get_weights(), model.predict(xs), model.freeze()(xs)]
            expected = found if expected is None else expected
            assert same_bits(found, expected), threads
    finally:
        fr.set_num_threads(before)


def test_files_copies_and_resumed_fits(tmp_path, rng):
    xs, t = data(rng)
    model = network(activation=layers.LeakyReLU(0.1), input_initializer=NORMAL, output="softmax")
    model.compile(optimizers.Adam(0.02), "categorical_crossentropy")
    t = np.eye(2, dtype=np.float32)[(t[:, 0] > 0).astype(int)]
    model.fit(xs, t, batch_size=8, epochs=2, verbose=0)
    model.save(tmp_path / "model.safetensors")
    loaded = fr.models.load_model(tmp_path / "model.safetensors")
    again = pickle.loads(pickle.dumps(model))
    assert [layer.description for layer in loaded.layers] == [layer.description for layer in model.layers]
    assert loaded.layers[0].description.activation == layers.LeakyReLU(0.1).as_activation("")
    for other in (loaded, again):
        assert same_bits([other.predict(xs)], [model.predict(xs)])
    for one in (model, loaded, again):
        one.fit(xs, t, batch_size=8, epochs=3, initial_epoch=2, verbose=0)
    for other in (loaded, again):
        assert same_bits(other.get_weights(), model.get_weights())
    copied = fr.models.clone_model(model)
    assert [w.shape for w in copied.get_weights()] == [w.shape for w in model.get_weights()]


def test_what_is_not_trained_stays(rng):
    xs, t = data(rng)
    model = network(input_initializer=NORMAL, trainable=False)
    before = model.get_weights()
    model.fit(xs, t, batch_size=8, epochs=1, verbose=0)
    after = model.get_weights()
    assert same_bits(after[:4], before[:4])
    assert all((a != b).any() for a, b in zip(after[4:], before[4:], strict=True))


def test_numbers_of_members_are_checked(rng):
    """Also where the layer is within another model, and features are no numbers of members."""
    (x, member), t = data(rng)
    model = network()
    outer = [fr.Input((IN,)), fr.Input((1,), name="who")]
    around = fr.Model(outer, model.as_layer()(outer), seed=0)
    around.compile("adam", "mse")
    for one, name in ((model, "member"), (around, "who")):
        for wrong in (MEMBERS, -1, 0.5):
            with refusal(ValueError, [name, rf"integers in \[0, {MEMBERS}\)"]):
                one.predict([x, np.full((ROWS, 1), wrong)])
        with refusal(ValueError, [name, rf"integers in \[0, {MEMBERS}\)"]):
            one.fit([x, member + 1], t, verbose=0)
        assert np.isfinite(one.predict([100 * x, member])).all()


X, MEMBER = fr.Input((4,)), fr.Input((1,))
REFUSED = {
    "no units": (lambda: layers.EnsembleDense(0, 3), ["EnsembleDense: units", ">= 1", "got 0"]),
    "no members": (lambda: layers.EnsembleDense(2, 0), ["EnsembleDense: members", "got 0"]),
    "an unknown activation": (lambda: layers.EnsembleDense(2, 3, "no"), ["EnsembleDense", "'no'"]),
    "an unknown initializer": (lambda: layers.EnsembleDense(2, 3, input_initializer="no"), ["'no'"]),
    "three values": (lambda: layers.EnsembleDense(2, 3)([X, MEMBER, X]), ["EnsembleDense", "2 values", "got 3"]),
    "two members a row": (lambda: layers.EnsembleDense(2, 3)([X, X]), ["a number for each row", "4 features"]),
    "rows of vectors": (lambda: layers.EnsembleDense(2, 3)([fr.Input((4, 2)), MEMBER]), ["Flatten()", "(4, 2)"]),
    "a rate": (lambda: layers.EnsembleDense(2, 3, learning_rate_multiplier=2.0), ["learning_rate_multiplier"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case):
    call, words = REFUSED[case]
    with refusal(ValueError, words):
        call()
