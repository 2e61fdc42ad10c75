"""Trajectories of twenty steps against PyTorch in float64: an independent implementation of the conventions.

PyTorch's words for the same thing: weight_decay d in Adam, SGD and RMSprop is L2(d / 2); momentum p of its batch
normalisation is 1 - ours, and its running variance is unbiased where ours is biased; RMSprop's alpha is our rho.
"""

import numpy as np
import pytest
import reference as ref
from pairs import build_pair, float32, targets
from test_rules import in_double_precision, of_torch  # noqa: F401 - the first is a fixture

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peer
torch.set_num_threads(1)  # matrices this small are slower on two

TOLERANCE = 2e-5
DECAY = float32(0.02)  # of PyTorch; L2(DECAY / 2) of ours
BN_MOMENTUM, BN_EPSILON = float32(0.9), float32(1e-3)


# The rules that PyTorch has, but for Rprop, which knows no decay and follows the signs of rounding errors in front of a
# batch normalisation; test_rules.py compares it.
OPTIMIZERS = {
    name: rule for name, rule in ref.USUAL_RULES.items() if of_torch(rule) and not isinstance(rule, ref.Rprop)
}


def torch_optimizer(rule, groups):
    """PyTorch's optimizer of a row, with the rounded values; decay is a matter of the groups of parameters."""
    name, options = of_torch(rule)
    options.pop("weight_decay", None)
    return getattr(torch.optim, name)(groups, **options)


# hidden activation, last activation, loss, units
TASKS = {
    "regression": ("tanh", "linear", "mean_squared_error", 3),
    "two classes": ("gelu", "sigmoid", "binary_crossentropy", 1),
    "classes": ("softplus", "softmax", "sparse_categorical_crossentropy", 5),
}
TORCH_ACTIVATIONS = {
    "linear": torch.nn.Identity,
    "relu": torch.nn.ReLU,
    "elu": torch.nn.ELU,
    "gelu": torch.nn.GELU,
    "silu": torch.nn.SiLU,
    "tanh": torch.nn.Tanh,
    "sigmoid": torch.nn.Sigmoid,
    "softplus": torch.nn.Softplus,
    "leaky_relu": lambda: torch.nn.LeakyReLU(float32(0.2)),
    "softmax": lambda: torch.nn.Softmax(dim=1),
}
# The last activation is part of PyTorch's losses.
TORCH_LOSSES = {
    "mean_squared_error": torch.nn.functional.mse_loss,
    "binary_crossentropy": torch.nn.functional.binary_cross_entropy_with_logits,
    "sparse_categorical_crossentropy": torch.nn.functional.cross_entropy,
}


def stack_of(hidden, last, units, *, bn, l2):
    options = {"kernel": ref.Penalty(0.0, DECAY / 2)} if l2 else {}
    norm = [("batch_norm", {"momentum": BN_MOMENTUM, "epsilon": BN_EPSILON})] if bn else []
    return [("dense", 17, hidden, options), *norm, ("dense", 9, hidden, options), ("dense", units, last, options)]


def theirs(weights, hidden, units, *, bn):
    """The same network in float64, with our weights."""
    weights = [torch.tensor(w, dtype=torch.float64) for w in weights]
    modules = []
    for i, (n_in, n_out) in enumerate([(6, 17), (17, 9), (9, units)]):
        linear = torch.nn.Linear(n_in, n_out, dtype=torch.float64)
        linear.weight.data, linear.bias.data = weights.pop(0).T.contiguous(), weights.pop(0)
        modules.append(linear)
        if i < 2:
            modules.append(TORCH_ACTIVATIONS[hidden]())
        if i == 0 and bn:
            norm = torch.nn.BatchNorm1d(n_out, eps=BN_EPSILON, momentum=1.0 - BN_MOMENTUM, dtype=torch.float64)
            norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var = (weights.pop(0) for _ in range(4))
            modules.append(norm)
    return torch.nn.Sequential(*modules)


def kernels_of(net):
    return [m.weight for m in net if isinstance(m, torch.nn.Linear)]


def parameter_groups(net, rule, l2):
    """Decay for kernels only, as here."""
    kernels = kernels_of(net)
    others = [p for p in net.parameters() if not any(p is k for k in kernels)]
    decay = float32(rule.weight_decay) if rule.weight_decay else DECAY if l2 else 0.0
    return [{"params": kernels, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def their_weights(net):
    """In our order; of a batch normalisation without the running variance, which is unbiased there."""
    weights = []
    for m in net:
        if isinstance(m, torch.nn.Linear):
            weights += [m.weight.T, m.bias]
        if isinstance(m, torch.nn.BatchNorm1d):
            weights += [m.weight, m.bias, m.running_mean]
    return [w.detach().numpy() for w in weights]


def test_the_rules_that_pytorch_has_are_compared():
    assert {type(rule).__name__ for rule in OPTIMIZERS.values()} >= {"SGD", "Adam", "AdamW", "RMSprop"}


@pytest.mark.parametrize("batch_size", [None, 16], ids=["full", "batches"])
@pytest.mark.parametrize("l2", [False, True], ids=["", "l2"])
@pytest.mark.parametrize("bn", [False, True], ids=["", "bn"])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_trajectory(optimizer, task, bn, l2, batch_size, rng):
    hidden, last, loss, units = TASKS[task]
    rule = OPTIMIZERS[optimizer]
    model, oracle = build_pair(stack_of(hidden, last, units, bn=bn, l2=l2), 6, rng, loss=loss, optimizer=rule)
    net = theirs(model.get_weights(), hidden, units, bn=bn)
    their_optimizer = torch_optimizer(rule, parameter_groups(net, rule, l2))

    rows, epochs = (48, 20) if batch_size is None else (70, 4)
    x, y = rng.normal(size=(rows, 6)).astype(np.float32), targets(loss, rows, units, rng)
    y_torch = torch.tensor(y) if loss.startswith("sparse") else torch.tensor(y, dtype=torch.float64)
    model.fit(x, y, batch_size=batch_size, epochs=epochs, shuffle=False, verbose=0)
    oracle.fit(x.astype(np.float64), y, epochs, batch_size or rows)

    x_torch, steps = torch.tensor(x, dtype=torch.float64), 0
    for _ in range(epochs):
        for a in range(0, rows, batch_size or rows):
            batch = slice(a, a + (batch_size or rows))
            their_optimizer.zero_grad()
            objective = TORCH_LOSSES[loss](net(x_torch[batch]), y_torch[batch])
            if l2 and rule.weight_decay:  # the decoupled one
                objective = objective + DECAY / 2 * sum((k * k).sum() for k in kernels_of(net))
            objective.backward()
            their_optimizer.step()
            steps += 1
    assert steps == 20

    ours, exact = model.get_weights(), oracle.get_weights()
    if bn:
        del ours[5], exact[5]  # the moving variance
    for i, (w, w64, expected) in enumerate(zip(ours, exact, their_weights(net), strict=True)):
        np.testing.assert_allclose(w64, expected, rtol=0.0, atol=1e-10, err_msg=f"the oracle's weight {i}")
        np.testing.assert_allclose(w, expected, rtol=0.0, atol=TOLERANCE, err_msg=f"weight {i}")


def clip(net, way, limit):
    """clip_grad_norm_ divides by the norm and 1e-6, which is far below the tolerance."""
    parameters = list(net.parameters())
    if way == "clipvalue":
        torch.nn.utils.clip_grad_value_(parameters, limit)
    for group in [parameters] if way == "global_clipnorm" else [[p] for p in parameters] if way == "clipnorm" else []:
        torch.nn.utils.clip_grad_norm_(group, limit)


@pytest.mark.parametrize("l2", [False, True], ids=["", "l2"])
@pytest.mark.parametrize(("way", "limit"), [("clipvalue", 0.1), ("clipnorm", 0.4), ("global_clipnorm", 0.8)])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_clipped_trajectory(optimizer, way, limit, l2, rng):
    """PyTorch clips what is in .grad, so that a penalty must stand in the objective and not in weight_decay."""
    rule = OPTIMIZERS[optimizer].replace(clip=(way, limit))
    model, _ = build_pair(stack_of("tanh", "linear", 3, bn=False, l2=l2), 6, rng, optimizer=rule)
    net = theirs(model.get_weights(), "tanh", 3, bn=False)
    their_optimizer = torch_optimizer(rule, parameter_groups(net, rule, False))

    x, y = rng.normal(size=(70, 6)).astype(np.float32), targets("mean_squared_error", 70, 3, rng)
    y *= rng.uniform(0.2, 5.0, (70, 1)).astype(np.float32)
    model.fit(x, y, batch_size=16, epochs=4, shuffle=False, verbose=0)
    x_torch, y_torch, clipped = torch.tensor(x, dtype=torch.float64), torch.tensor(y, dtype=torch.float64), []
    for _ in range(4):
        for a in range(0, 70, 16):
            their_optimizer.zero_grad()
            objective = torch.nn.functional.mse_loss(net(x_torch[a : a + 16]), y_torch[a : a + 16])
            if l2:
                objective = objective + DECAY / 2 * sum((k * k).sum() for k in kernels_of(net))
            objective.backward()
            before = [p.grad.clone() for p in net.parameters()]
            clip(net, way, float32(limit))
            clipped += [bool((p.grad != g).any()) for p, g in zip(net.parameters(), before, strict=True)]
            their_optimizer.step()
    assert any(clipped)
    for i, (w, expected) in enumerate(zip(model.get_weights(), their_weights(net), strict=True)):
        np.testing.assert_allclose(w, expected, rtol=0.0, atol=TOLERANCE, err_msg=f"weight {i}")


@pytest.mark.parametrize("name", TORCH_ACTIVATIONS)
def test_activation_and_its_gradient(name, rng):
    stack = [("dense", 17, name), ("dense", 3)]
    model, _ = build_pair(stack, 6, rng, optimizer=ref.SGD(1.0))
    before = model.get_weights()
    w1, b1, w2, b2 = parameters = [torch.tensor(w, dtype=torch.float64, requires_grad=True) for w in before]
    x, y = rng.normal(size=(20, 6)).astype(np.float32), rng.normal(size=(20, 3)).astype(np.float32)
    out = TORCH_ACTIVATIONS[name]()(torch.tensor(x, dtype=torch.float64) @ w1 + b1) @ w2 + b2
    np.testing.assert_allclose(model.predict(x), out.detach().numpy(), rtol=1e-5, atol=1e-6)
    torch.nn.functional.mse_loss(out, torch.tensor(y, dtype=torch.float64)).backward()
    model.fit(x, y, batch_size=None, epochs=1, verbose=0)
    for w, w0, p in zip(model.get_weights(), before, parameters, strict=True):
        np.testing.assert_allclose(w0 - w, p.grad.numpy(), rtol=1e-5, atol=1e-6)
