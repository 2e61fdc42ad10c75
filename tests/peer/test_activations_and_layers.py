"""Every activation, and every layer that normalises, scales or penalises, against PyTorch in float64 or Keras.

Values and gradients of single functions; of layers the loss, the outputs and the weights after steps of SGD. What acts
at random is compared by its mean and variance. The tests over the tables fail where an entry has no counterpart.
"""

import warnings

import cases
import fastreg as fr
import numpy as np
import pytest
from fastreg import activations, layers, ops
from formulas.activations import PARAMETRISED

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]
F = torch.nn.functional

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of Keras's and JAX's own imports
    keras = pytest.importorskip("keras")
    jax = pytest.importorskip("jax")

TORCH = {
    "linear": lambda z: z,
    "relu": F.relu,
    "leaky_relu": lambda z: F.leaky_relu(z, 0.2),
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softplus": F.softplus,
    "softmax": lambda z: F.softmax(z, -1),
    "mish": F.mish,
    "selu": F.selu,
    "relu6": F.relu6,
    "celu": F.celu,
    "softsign": F.softsign,
    "exponential": torch.exp,
    "hard_sigmoid": F.hardsigmoid,
    "hard_silu": F.hardswish,
    "hard_tanh": F.hardtanh,
    "log_sigmoid": F.logsigmoid,
    "tanh_shrink": F.tanhshrink,
    "soft_shrink": F.softshrink,
    "hard_shrink": F.hardshrink,
    "gelu_tanh": lambda z: F.gelu(z, approximate="tanh"),
    "log_softmax": lambda z: F.log_softmax(z, -1),
    "leaky_relu(0.1)": lambda z: F.leaky_relu(z, 0.1),
    "elu(0.5)": lambda z: F.elu(z, 0.5),
    "celu(2)": lambda z: F.celu(z, 2.0),
    "relu(6)": F.relu6,
    "gelu(approximate)": lambda z: F.gelu(z, approximate="tanh"),
    "soft_shrink(1.5)": lambda z: F.softshrink(z, 1.5),
    "hard_shrink(1.5)": lambda z: F.hardshrink(z, 1.5),
    "threshold(0.25, -2)": lambda z: F.threshold(z, 0.25, -2.0),
}


def simplex_point(z):
    """The nearest point in the simplex by bisection. (Keras's sparsemax gives rows whose sum is not 1.)"""
    low, high = z.max(dim=-1, keepdim=True).values - 1.0, z.max(dim=-1, keepdim=True).values
    for _ in range(60):
        middle = (low + high) / 2.0
        above = torch.relu(z - middle).sum(dim=-1, keepdim=True) > 1.0
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    support = (z > high).double()
    # The threshold as a function of z, for the gradient.
    return torch.relu(z - ((z * support).sum(dim=-1, keepdim=True) - 1.0) / support.sum(dim=-1, keepdim=True))


TORCH["sparsemax"] = simplex_point
KERAS = {
    "squareplus": keras.activations.squareplus,
    "sparse_plus": keras.activations.sparse_plus,
    "sparse_sigmoid": keras.activations.sparse_sigmoid,
    "squareplus(1)": lambda z: keras.activations.squareplus(z, 1.0),
    "relu(2, 0.1, 0.5)": lambda z: keras.activations.relu(z, negative_slope=0.1, max_value=2.0, threshold=0.5),
}


def test_every_activation_has_a_reference():
    assert set(TORCH) | set(KERAS) == {*cases.ACTIVATIONS, *PARAMETRISED}
    assert not set(TORCH) & set(KERAS)


@pytest.mark.parametrize("name", [*TORCH, *KERAS])
def test_values_and_gradients(name, rng):
    z = (2.0 * rng.normal(size=(20, 17))).astype(np.float32)
    dy = rng.normal(size=z.shape).astype(np.float32)
    if name in TORCH:
        x = torch.tensor(z, dtype=torch.float64, requires_grad=True)
        value = TORCH[name](x)
        value.backward(torch.tensor(dy, dtype=torch.float64))
        y, dz = value.detach().numpy(), x.grad.numpy()
    else:
        value, pull = jax.vjp(KERAS[name], z)
        y, dz = np.asarray(value, np.float64), np.asarray(pull(dy)[0], np.float64)
    form = PARAMETRISED[name][0] if name in PARAMETRISED else name
    got = ops.activation(z, form)
    np.testing.assert_allclose(got, y, rtol=1e-5, atol=2e-6)
    from_output = isinstance(form, str) and fr._core.schema()["activations"][form]["backward_from"] == "output"
    saved = got if from_output else z
    np.testing.assert_allclose(ops.activation_backward(saved, dy, form), dz, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(set(activations.__all__) - {"get", "serialize", "deserialize"}))
def test_functions_have_keras_names_and_arguments(name, rng):
    """By position, too."""
    import inspect

    mine, theirs = getattr(activations, name), getattr(keras.activations, name)
    shapes = [
        [(p.name, p.default) for p in inspect.signature(function).parameters.values()] for function in (mine, theirs)
    ]
    assert shapes[0] == shapes[1]
    if name == "sparsemax":
        return  # Keras's own is compared with nothing, see above
    x = rng.normal(size=(3, 4, 6)).astype(np.float32)
    more = (0.1, -1.0) if name == "threshold" else ()
    np.testing.assert_allclose(mine(x, *more), theirs(x, *more), rtol=1e-5, atol=1e-6)


# fastreg's layer, and Keras's: the same words.
LAYERS = {
    "ReLU": lambda m: m.ReLU(1.0, 0.1, 0.2),
    "LeakyReLU": lambda m: m.LeakyReLU(),
    "ELU": lambda m: m.ELU(0.7),
    "PReLU": lambda m: m.PReLU(alpha_regularizer="l2"),
    "Softmax": lambda m: m.Softmax(),
    "Identity": lambda m: m.Identity(),
    "LayerNormalization": lambda m: m.LayerNormalization(gamma_regularizer="l2", beta_initializer="ones"),
    "RMSNormalization": lambda m: m.RMSNormalization(),
    "UnitNormalization": lambda m: m.UnitNormalization(),
    "BatchNormalization": lambda m: m.BatchNormalization(
        -1,
        0.9,
        beta_initializer="ones",
        moving_mean_initializer="ones",
        gamma_regularizer="l1",
    ),
    "ActivityRegularization": lambda m: m.ActivityRegularization(0.01, 0.02),
    "Dense": lambda m: m.Dense(7, "selu", activity_regularizer="L1L2"),
}


def model_of(library, made, kernels):
    model = library.Sequential([library.Input((5,)), library.layers.Dense(7, "tanh"), made, library.layers.Dense(2)])
    optimizer = library.optimizers.SGD(0.1)
    model.compile(optimizer, "mse")
    weights = model.get_weights()
    weights[0], weights[-2] = kernels
    model.set_weights(weights)
    return model


@pytest.mark.parametrize("name", LAYERS)
def test_layers_train_as_in_keras(name, rng):
    x, t = rng.normal(size=(48, 5)).astype(np.float32), rng.normal(size=(48, 2)).astype(np.float32)
    kernels = [rng.normal(size=(5, 7)).astype(np.float32), rng.normal(size=(7, 2)).astype(np.float32)]
    mine = model_of(fr, LAYERS[name](layers), kernels)
    theirs = model_of(keras, LAYERS[name](keras.layers), kernels)
    if name == "Dense":
        theirs.set_weights(mine.get_weights())
    options = {"epochs": 3, "batch_size": 16, "shuffle": False, "verbose": 0, "validation_data": (x, t)}
    histories = [model.fit(x, t, **options).history for model in (mine, theirs)]
    for key in ("loss", "val_loss"):
        np.testing.assert_allclose(histories[0][key], histories[1][key], rtol=2e-4)
    for one, other in zip(mine.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, np.asarray(other), rtol=2e-3, atol=2e-5)
    np.testing.assert_allclose(mine.predict(x), theirs.predict(x, verbose=0), rtol=2e-3, atol=2e-5)
    np.testing.assert_allclose(mine.evaluate(x, t, verbose=0), theirs.evaluate(x, t, verbose=0), rtol=2e-4)


@pytest.mark.parametrize("name", ["GaussianNoise", "GaussianDropout", "AlphaDropout"])
def test_noise_has_the_moments_of_keras(name):
    import layers_reference

    x = np.random.default_rng(0).normal(1.0, 2.0, size=(400, 64)).astype(np.float32)
    oracle = getattr(layers_reference, name)(0.3).forward(x, True, (1, 2, 3))
    theirs = np.asarray(getattr(keras.layers, name)(0.3, seed=1)(x, training=True))
    for moment in (np.mean, np.std):
        np.testing.assert_allclose(moment(oracle), moment(theirs), atol=0.05)
    np.testing.assert_allclose(
        np.corrcoef(oracle.ravel(), x.ravel())[0, 1], np.corrcoef(theirs.ravel(), x.ravel())[0, 1], atol=0.02
    )


@pytest.mark.parametrize("name", ["layer", "rms"])
def test_normalisation_of_rows_in_float64(name, rng):
    """PyTorch's, with weights."""
    import layers_reference

    x, dy = rng.normal(size=(9, 11)), rng.normal(size=(9, 11))
    gamma, beta = rng.normal(size=11), rng.normal(size=11)
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, gamma, beta)]
    if name == "layer":
        oracle = layers_reference.LayerNormalization(1e-3)
        oracle.p = {"gamma": gamma, "beta": beta}
        y = F.layer_norm(tensors[0], (11,), tensors[1], tensors[2], 1e-3)
    else:
        oracle = layers_reference.RMSNormalization(1e-6)
        oracle.p = {"scale": gamma}
        y = F.rms_norm(tensors[0], (11,), tensors[1], 1e-6)
    y.backward(torch.tensor(dy))
    np.testing.assert_allclose(oracle.forward(x, True, None), y.detach().numpy(), rtol=1e-10)
    np.testing.assert_allclose(oracle.backward(dy), tensors[0].grad.numpy(), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(oracle.d["gamma" if name == "layer" else "scale"], tensors[1].grad.numpy(), rtol=1e-8)
