"""The models that a network is compared with: as good as scikit-learn's linear models, and the same for a seed."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from fastreg.table.linear import linear_model
from fastreg.table.schema import Target
from fastreg.tune.baseline import constant_outputs
from sklearn.linear_model import LogisticRegression, Ridge


def data(rng, task, n=600):
    x = rng.normal(size=(n, 5)).astype(np.float32)
    level = x @ np.array([2.0, -1.0, 0.5, 0.0, 0.0]) + rng.normal(0, 0.5, n)
    if task == "regression":
        return x, level.tolist()
    cuts = [0.0] if task == "binary" else [-1.0, 1.0]
    return x, ["abc"[j] for j in np.digitize(level, cuts)]


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_as_good_as_a_linear_model_of_scikit_learn(rng, task):
    x, y = data(rng, task)
    target = Target.infer({"y": y}, "y")
    encoded, _ = target.encode({"y": y})
    outputs = linear_model(target, x[:400], encoded[:400], seed=0, seconds=60.0).predict(x[400:], verbose=0)
    if task == "regression":
        ours = np.mean((outputs[:, 0] - encoded[400:]) ** 2)
        theirs = np.mean((Ridge().fit(x[:400], encoded[:400]).predict(x[400:]) - encoded[400:]) ** 2)
        assert ours < 1.05 * theirs
    else:
        chosen = outputs.argmax(axis=1) if outputs.shape[1] > 1 else outputs[:, 0] > 0.5
        theirs = LogisticRegression().fit(x[:400], encoded[:400]).score(x[400:], encoded[400:])
        assert np.mean(chosen == encoded[400:]) > theirs - 0.02


def test_the_seed_decides(rng):
    x, y = data(rng, "binary", 100)
    target = Target.infer({"y": y}, "y")
    encoded, _ = target.encode({"y": y})
    first, same, other = (
        linear_model(target, x, encoded, seed=seed, seconds=60.0).get_weights()[0] for seed in (1, 1, 2)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("n", [2, 19])
def test_very_few_rows(rng, n):
    target = Target("y", ("a", "b"))
    model = linear_model(target, rng.normal(size=(n, 2)).astype(np.float32), np.arange(n) % 2, seed=0, seconds=60.0)
    assert np.isfinite(model.get_weights()[0]).all()


def test_the_constant_is_the_most_frequent_class_or_the_mean():
    name, shares = constant_outputs(Target("y", ("a", "b", "c")), np.array([1, 1, 0, 1]), 2)
    assert name == "always 'b'"
    assert shares.tolist() == [[0.25, 0.75, 0.0]] * 2
    name, means = constant_outputs(Target("y"), np.array([1.0, 2.0, 6.0]), 2)
    assert name == "the mean"
    assert means.tolist() == [[3.0], [3.0]]
