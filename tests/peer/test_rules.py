"""Fifty steps of every update rule, with every penalty, against PyTorch, Keras and schedulefree in float64.

``REFERENCES`` says for each row of ``formulas/rules.py`` which of them computes the same, with which options. What is
compared is the oracle, whose formulas those are, to 1e-10, and fastreg to the precision of float32. Keras runs in a
process of its own, because its precision is a setting of the process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
import reference as ref
from cases import made
from fastreg import ops, optimizers
from pairs import float32, rounded
from reference import Penalty

pytestmark = pytest.mark.peer

torch = pytest.importorskip("torch")

STEPS, N = 50, 60
PENALTIES = {"plain": Penalty(), "l1": Penalty(0.05), "l2": Penalty(0.0, 0.05), "l1l2": Penalty(0.03, 0.04)}
# An epsilon that does not count, where Keras has it at another place.
TINY = 1e-30


def values(rule):
    """The values of a row as the core has them, without the options that all rules share."""
    given = {f.name: getattr(rule, f.name) for f in fields(rule) if f.name not in ("clip", "options")}
    return {name: float32(value) for name, value in given.items()}


def of_torch(rule):
    """(class, options) in PyTorch; None if it has nothing that computes the same."""
    given = values(rule)
    name = {"Nadam": "NAdam"}.get(type(rule).__name__, type(rule).__name__)
    if not hasattr(torch.optim, name):
        return None
    given["lr"] = given.pop("learning_rate")
    if "beta_1" in given:
        given["betas"] = given.pop("beta_1"), given.pop("beta_2")
    if "epsilon" in given:
        given["eps"] = given.pop("epsilon")
    if name == "RMSprop":
        given["alpha"] = given.pop("rho")
    if name == "NAdam":
        given["momentum_decay"] = 1.0
    if name == "Rprop":
        given["etas"] = given.pop("eta_minus"), given.pop("eta_plus")
        given["step_sizes"] = given.pop("step_size_min"), given.pop("step_size_max")
    return name, given


def of_keras(rule):
    """(class, options) in Keras; None if it has nothing that computes the same."""
    given, name = values(rule), type(rule).__name__
    if name in ("RAdam", "Rprop") or (name == "ScheduleFreeAdamW" and given["warmup_steps"]):
        return None
    if "epsilon" in given and name != "Adadelta":
        given["epsilon"] = TINY if name != "ScheduleFreeAdamW" else given["epsilon"]
    return name, given


def of_authors(rule):
    """Options in the package schedulefree, which the authors of the paper wrote."""
    if type(rule).__name__ != "ScheduleFreeAdamW":
        return None
    given = values(rule)
    return {
        "lr": given["learning_rate"],
        "betas": (given["beta_1"], given["beta_2"]),
        "eps": given["epsilon"],
        "warmup_steps": given["warmup_steps"],
        "foreach": False,
    }


def comparable(rule, name):
    """The row as a peer can be compared with it."""
    moves_epsilon = name == "keras" and hasattr(rule, "epsilon")
    if moves_epsilon and type(rule).__name__ not in ("Adadelta", "ScheduleFreeAdamW"):
        return rule.replace(epsilon=TINY)
    return rule


FINDERS = {"torch": of_torch, "keras": of_keras, "schedulefree": of_authors}
REFERENCES = {
    name: {peer: found for peer, find in FINDERS.items() if (found := find(rule))} for name, rule in ref.RULES.items()
}


def slopes():
    """The gradient of a row's step is slope (w - goal) + noise, so that errors of weights come back."""
    rng = np.random.default_rng(5)
    return rng.uniform(0.2, 2.0, N), rng.normal(size=N), rng.normal(size=(STEPS, N)), rng.normal(size=N)


def trajectory(step, start):
    """The weights after each step; step changes them in place or returns them."""
    w, path = start.copy(), []
    slope, goal, noise, _ = slopes()
    for t in range(STEPS):
        w = step(w, slope * (w - goal) + noise[t])
        path.append(w.copy())
    return np.array(path)


def with_penalty(gradient, w, penalty):
    return gradient + penalty.l1 * np.sign(w) + 2.0 * penalty.l2 * w


@pytest.fixture(autouse=True)
def in_double_precision():
    """Scalars of PyTorch's optimizers have its usual type."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(usual)


def torch_trajectory(kind, options, penalty):
    """That of a class with PyTorch's interface."""
    *_, start = slopes()
    parameter = torch.tensor(start, requires_grad=True)
    optimizer = kind([parameter], **options)
    if hasattr(optimizer, "train"):  # of schedulefree
        optimizer.train()

    def step(w, gradient):
        parameter.grad = torch.tensor(with_penalty(gradient, w, penalty))
        optimizer.step()
        return parameter.detach().numpy().copy()

    return trajectory(step, start)


KERAS = """
import json, sys
import jax
jax.config.update("jax_enable_x64", True)
import keras, numpy as np
keras.config.set_floatx("float64")
sys.path.insert(0, sys.argv[1])
from test_rules import PENALTIES, slopes, trajectory, with_penalty
found = {}
for row, (name, options) in json.load(sys.stdin).items():
    for case, penalty in PENALTIES.items():
        *_, start = slopes()
        variable = keras.Variable(start, dtype="float64")
        optimizer = getattr(keras.optimizers, name)(**options)
        optimizer.build([variable])
        def step(w, gradient):
            whole = keras.ops.convert_to_tensor(with_penalty(gradient, w, penalty), dtype="float64")
            optimizer.apply([whole], [variable])
            return np.array(variable)
        found[row + "|" + case] = trajectory(step, start).tolist()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def of_all_keras():
    pytest.importorskip("keras")
    rows = {name: found["keras"] for name, found in REFERENCES.items() if "keras" in found}
    folder = os.path.dirname(os.path.abspath(__file__))
    path = os.pathsep.join([folder, *sys.path])
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", KERAS, folder], input=json.dumps(rows), capture_output=True, text=True,
                          env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return {key: np.array(path) for key, path in json.loads(done.stdout.splitlines()[-1]).items()}


def oracle_trajectory(rule, penalty):
    *_, start = slopes()
    updater = ref.Updater(rounded(rule), penalty)
    return trajectory(lambda w, gradient: updater.step(w, gradient), start)


def our_trajectory(rule, penalty):
    *_, start = slopes()
    held = start.astype(np.float32)
    updater = ops.Updater(made(rule), held, l1=penalty.l1, l2=penalty.l2)

    def step(w, gradient):
        updater.step(gradient.astype(np.float32))
        return held.astype(np.float64)

    return trajectory(step, held.astype(np.float64))


def test_no_rule_is_without_a_reference():
    ours = {kind.__name__ for kind in optimizers._REGISTRY.types}
    assert {type(rule).__name__ for rule in ref.RULES.values()} == ours
    assert all(REFERENCES.values())
    compared = {type(ref.RULES[name]).__name__ for name, found in REFERENCES.items() if found}
    assert compared == ours


CASES = [(name, peer) for name, found in REFERENCES.items() for peer in found]


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize(("name", "peer"), CASES)
def test_fifty_steps(name, peer, penalty, request):
    rule = comparable(ref.RULES[name], peer)
    if peer == "torch":
        kind, options = of_torch(rule)
        theirs = torch_trajectory(getattr(torch.optim, kind), options, PENALTIES[penalty])
    elif peer == "schedulefree":
        kind = pytest.importorskip("schedulefree").AdamWScheduleFree
        theirs = torch_trajectory(kind, of_authors(rule), PENALTIES[penalty])
    else:
        theirs = request.getfixturevalue("of_all_keras")[f"{name}|{penalty}"]
    np.testing.assert_allclose(oracle_trajectory(rule, PENALTIES[penalty]), theirs, rtol=0.0, atol=1e-10)
    ours, start = our_trajectory(rule, PENALTIES[penalty]), slopes()[3]
    assert np.abs(ours[-1] - start).max() > 1e-3
    np.testing.assert_allclose(ours, theirs, rtol=0.0, atol=5e-5)
