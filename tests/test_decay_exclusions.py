"""Which weights decay: kernels, all, or all but those that ``exclude_from_weight_decay`` names."""

from __future__ import annotations

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers, optimizers
from programs import blobs, compiled, tutorial_layers


def decayed(optimizer):
    """Which weights of a network decay, by their names in it."""
    stack = [
        layers.Dense(3, name="first", bias_initializer="ones"),
        layers.BatchNormalization(name="norm"),
        layers.Dense(1, name="last", bias_initializer="ones"),
    ]
    model = fr.Sequential(stack, seed=0)
    model.compile(optimizer, "mse")
    model.build(2)
    start = [np.ones_like(w) for w in model.get_weights()]
    model.set_weights(start)
    model.fit(np.zeros((4, 2)), np.zeros((4, 1)), verbose=0, batch_size=None)
    info = model._core.network.weight_info()
    names = [f"{model.layers[int(name.split('.')[1])].name}/{name.split('.')[2]}" for name, _, _ in info]
    return {
        name
        for name, w in zip(names, model.get_weights(), strict=True)
        if np.allclose(w, 0.9, atol=1e-6) and "moving" not in name
    }


ALL = {"first/kernel", "first/bias", "norm/gamma", "norm/beta", "last/kernel", "last/bias"}
# A rate at which the gradients make no step that shows, and with it a decay that does.
TINY = 1e-12
EXCLUSIONS = [
    (None, None, {"first/kernel", "last/kernel"}),
    ((), {}, ALL),
    ((), {"var_names": ["bias"]}, ALL - {"first/bias", "last/bias"}),
    ((), {"var_names": ["bias", "gamma", "beta"]}, {"first/kernel", "last/kernel"}),
    ((), {"var_names": ("ker",)}, ALL - {"first/kernel", "last/kernel"}),
    ((["last/kernel"],), {}, ALL - {"last/kernel"}),
    ((["sequential/norm/beta"], ["bias"]), {}, ALL - {"norm/beta", "first/bias", "last/bias"}),
]


@pytest.mark.parametrize(("args", "keywords", "expected"), EXCLUSIONS)
@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "RMSprop", "Lion"])
def test_what_decays(kind, args, keywords, expected):
    optimizer = getattr(optimizers, kind)(TINY, weight_decay=0.1 / TINY)
    if args is not None:
        optimizer.exclude_from_weight_decay(*args, **keywords)
    assert decayed(optimizer) == expected
    assert optimizers.get(optimizer.to_config()) == optimizer


def test_an_object_with_a_path_is_a_weight():
    class Variable:
        path = "sequential/last/bias"

    optimizer = optimizers.SGD(TINY, weight_decay=0.1 / TINY)
    optimizer.exclude_from_weight_decay([Variable()])
    assert decayed(optimizer) == ALL - {"last/bias"}


def test_exclusion_comes_before_the_first_fit(tmp_path):
    x, y = blobs()
    model = compiled(tutorial_layers(), optimizer=optimizers.Adam(weight_decay=0.1), seed=1)
    model.optimizer.exclude_from_weight_decay(var_names=["bias"])
    assert model.optimizer.excluded_from_weight_decay == ("bias",)
    model.fit(x, y, verbose=0)
    for call in (model.optimizer.exclude_from_weight_decay, model.optimizer.description.exclude_from_weight_decay):
        with pytest.raises(ValueError, match="must be called before the first fit"):
            call(var_names=[])
    model.optimizer.learning_rate = 0.1
    with pytest.raises(ValueError, match="must be called before the first fit"):
        model.optimizer.exclude_from_weight_decay(var_names=[])
    model.save(tmp_path / "net.safetensors")
    assert fr.load(tmp_path / "net.safetensors").optimizer.excluded_from_weight_decay == ("bias",)


BAD = [
    (lambda o: o.exclude_from_weight_decay("bias"), TypeError, "var_list must be a list, got 'bias'"),
    (lambda o: o.exclude_from_weight_decay(["bias"]), ValueError, "var_list must be texts such as 'dense/kernel'"),
    (lambda o: o.exclude_from_weight_decay([3]), TypeError, "var_list must be texts .*, got 3"),
    (lambda o: o.exclude_from_weight_decay(var_names="bias"), TypeError, "var_names must be a list"),
    (lambda o: o.exclude_from_weight_decay(var_names=[3]), TypeError, "var_names must be a string, got 3"),
    (lambda o: o.exclude_from_weight_decay(var_names=[""]), ValueError, "var_names must not be empty"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_exclusions(call, error, message):
    with pytest.raises(error, match=f"^exclude_from_weight_decay: {message}"):
        call(optimizers.Adam(weight_decay=0.1))


@pytest.mark.parametrize("block", ["layers.Dense(3, name='first')", "layers.Residual([layers.Dense(2)], name='first')"])
def test_a_weight_that_a_layer_does_not_have(block):
    stack = [eval(block), layers.Dense(1)]
    model = compiled(stack, optimizer=optimizers.Adam(weight_decay=0.1), loss="mse", metrics=[])
    model.optimizer.exclude_from_weight_decay(["first/kernle"])
    message = "layer 'first' has no weight 'kernle'; those that it has are kernel, bias$"
    with pytest.raises(ValueError, match=message):
        model.fit(np.zeros((4, 2)), np.zeros((4, 1)), verbose=0)


def test_a_layer_that_is_not_there():
    model = compiled(tutorial_layers(), optimizer=optimizers.Adam(weight_decay=0.1), seed=1)
    model.optimizer.exclude_from_weight_decay(["denze/kernel"])
    with pytest.raises(ValueError, match="there is no layer 'denze'; the layers are dense"):
        model.fit(*blobs(), verbose=0)
