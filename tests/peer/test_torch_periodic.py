"""PeriodicEmbedding and ParametricActivation against PyTorch in float64: outputs and all gradients, by autograd."""

import fastreg as fr
import layers_reference
import numpy as np
import pytest
from fastreg import layers

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peer

# fastreg's settings of PLR, and the oracle's; those of PBLD are the usual ones.
PLR = ({"use_phases": False, "rectify": True, "keep_input": False}, {"phases": False, "rectify": True, "keep": False})
INPUTS, UNITS, WAVES = 3, 4, 5


def waves(x, p):
    """Both forms as batched products over the numbers of a row, (n, in, waves)."""
    angle = 2.0 * torch.pi * x[:, :, None] * p["frequencies"].T
    inner = torch.cos(angle + p["phases"].T) if "phases" in p else torch.cat([torch.cos(angle), torch.sin(angle)], 2)
    kernel = p["kernel"].reshape(-1, INPUTS, UNITS).permute(1, 0, 2)
    out = torch.einsum("njf,jfu->nju", inner, kernel) + p["bias"].reshape(INPUTS, UNITS)
    return torch.cat([out, x[:, :, None]], 2).flatten(1) if "phases" in p else torch.relu(out).flatten(1)


def mixture(x, p):
    return x + p["alpha"] * (torch.nn.functional.mish(x) - x)


CASES = {
    "pbld": (waves, layers.PeriodicEmbedding(UNITS, WAVES), lambda: layers_reference.PeriodicEmbedding(UNITS)),
    "plr": (
        waves,
        layers.PeriodicEmbedding(UNITS, WAVES, **PLR[0]),
        lambda: layers_reference.PeriodicEmbedding(UNITS, **PLR[1]),
    ),
    "mixture": (
        mixture,
        layers.ParametricActivation("mish"),
        lambda: layers_reference.ParametricActivation("mish"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_outputs_and_gradients(name, rng):
    theirs, layer, oracle = CASES[name]
    oracle = oracle()
    model = fr.Sequential([fr.Input((INPUTS,)), layer], seed=0)
    weights = [rng.normal(size=w.shape).astype(np.float32) for w in model.get_weights()]
    model.set_weights(weights)
    oracle.p = {key: w.astype(np.float64) for key, w in zip(oracle.names, weights, strict=True)}
    x = rng.normal(size=(11, INPUTS)).astype(np.float32)
    given = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    tensors = {key: torch.tensor(w, requires_grad=True) for key, w in oracle.p.items()}
    y = theirs(given, tensors)
    dy = rng.normal(size=y.shape)
    y.backward(torch.tensor(dy))
    np.testing.assert_allclose(model.predict(x), y.detach().numpy(), rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(oracle.forward(x.astype(np.float64), True, None), y.detach().numpy(), rtol=1e-10)
    np.testing.assert_allclose(oracle.backward(dy), given.grad.numpy(), rtol=1e-8, atol=1e-12)
    for key, tensor in tensors.items():
        np.testing.assert_allclose(oracle.d[key], tensor.grad.numpy(), rtol=1e-8, atol=1e-12, err_msg=key)
