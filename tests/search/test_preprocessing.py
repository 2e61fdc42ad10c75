"""Preprocessing within a fold: fitted on the training rows only, once, and kept with the model."""

import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fastreg.search.folds.evaluation import Task, evaluate
from fastreg.search.folds.preprocessing import Once, Standard
from search_folds import PARAMS, X, Y, context, ok, same, seeded


class Counts:
    """Counts its fits, and sees only what it is given."""

    fits = 0

    def fit(self, x, y=None):
        Counts.fits += 1
        self.mean = np.asarray(x).mean(axis=0)
        return self

    def transform(self, x):
        return np.asarray(x) - self.mean


def test_preprocessing_is_fitted_on_the_training_rows_once_for_each_fold():
    Counts.fits = 0
    c = context(preprocess=Counts())
    assert Counts.fits == 1  # the first fold's, to look at the data before the first trial
    for trial in range(3):
        for fold in range(3):
            result = ok(evaluate(c, Task(trial, fold, PARAMS, keep_model=True)))
            assert np.array_equal(result.preprocess.steps[0].mean, X[c.folds[fold][0]].mean(axis=0))
    assert Counts.fits == 3
    sent = pickle.loads(pickle.dumps(c))
    again = ok(evaluate(sent, Task(2, 2, PARAMS)))
    assert again.scores == result.scores
    assert Counts.fits == 4


def test_preprocessing_equals_doing_it_by_hand():
    c = context(preprocess=["standard", Counts()])
    result = ok(evaluate(c, Task(0, 0, PARAMS, keep_model=True)))
    train, scored = c.folds[0]
    scaler = Standard().fit(X[train])
    shift = scaler.transform(X[train]).mean(axis=0)
    x = scaler.transform(X) - shift
    model = seeded(0)
    model.fit(x[train], Y[train], epochs=6, batch_size=16, verbose=0)
    assert same(result.model.get_weights(), model.get_weights())
    assert result.scores["accuracy"] == model.evaluate(x[scored], Y[scored], verbose=0)[1]
    assert np.array_equal(result.preprocess.transform(X[:5]), x[:5])


def test_a_transformer_may_treat_the_rows_it_was_fitted_on_in_another_way():
    class Encoder:
        def fit_transform(self, x, y):
            assert len(x) == len(y)
            return np.full((len(x), 2), 7.0)

        def transform(self, x):
            return np.full((len(x), 2), 3.0)

    c = context(preprocess=Encoder())
    ok(evaluate(c, Task(0, 0, PARAMS)))
    (_, x), (train, scored) = c._once._values[0], c.folds[0]
    assert (x[train] == 7).all()
    assert (x[scored] == 3).all()


def test_missing_values_are_preprocessings_to_fill():
    x = X.copy()
    x[3, 1] = np.nan

    class Fill(Counts):
        def transform(self, x):
            return np.nan_to_num(np.asarray(x))

    ok(evaluate(context(x=x, preprocess=[Fill(), "standard"]), Task(0, 0, PARAMS)))
    with pytest.raises(ValueError, match="Standard: x must be finite numbers, got NaN or infinity in column 1"):
        context(x=x, preprocess="standard")
    with pytest.raises(ValueError, match=r"X: must be finite numbers, got NaN in column 1, row 3"):
        context(x=x)


def test_validation_data_are_transformed_too():
    data = (X[:20], Y[:20])
    c = context(preprocess="standard", fit_arguments={"validation_data": data})
    result = ok(evaluate(c, Task(0, 0, PARAMS, keep_model=True)))
    x = result.preprocess.transform(X[:20])
    assert result.history["val_loss"][-1] == result.model.evaluate(x, Y[:20], verbose=0)[0]


def test_threads_wait_for_the_first_that_computes():
    once, calls = Once(), []
    begun, go_on = threading.Event(), threading.Event()

    def compute():
        calls.append(threading.current_thread())
        begun.set()
        assert go_on.wait(60)
        return object()

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(once.get, 0, compute)
        assert begun.wait(60)
        others = [pool.submit(once.get, 0, compute) for _ in range(3)]
        assert once.get(1, lambda: "another key") == "another key", "nobody waits for another key"
        time.sleep(0.2)
        go_on.set()
        assert len({id(one.result(60)) for one in (first, *others)}) == 1
    assert len(calls) == 1


@pytest.mark.parametrize("shape", [(20, 3), (500, 1)])
def test_standard_is_scikit_learns(shape, rng):
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    x = rng.normal(size=shape) * 10 ** rng.uniform(-6, 6, shape[1]) + rng.normal(size=shape[1])
    ours, theirs = Standard().fit(x), preprocessing.StandardScaler().fit(x)
    # Both are float64 until the end: one rounding to float32, and a few of the sums of n terms in float64.
    bound = np.finfo(np.float32).eps
    assert np.allclose(ours.transform(x), theirs.transform(x), rtol=bound, atol=bound * 1e-3)
    assert ours.transform(x).dtype == np.float32


@pytest.mark.parametrize("power", [-1000, -600, -520, 500, 560, 1020])
def test_standard_scales_numbers_whose_squares_float64_does_not_hold(power, rng):
    """A power of two changes no digit, so the result is that of the numbers without it."""
    x = np.column_stack([rng.normal(size=9), 1.0 + rng.uniform(size=9), np.full(9, 1.5)])
    expected = (x[:, :2] - x[:, :2].mean(axis=0)) / x[:, :2].std(axis=0)
    found = Standard().fit_transform(np.ldexp(x, power))
    np.testing.assert_allclose(found[:, :2], expected, rtol=1e-6, atol=1e-7)
    assert not found[:, 2].any()
    kept, both = Standard().fit(np.column_stack([x, np.ldexp(x, power)])), Standard().fit(x)
    assert same([kept.mean[:3], kept.scale[:3]], [both.mean, both.scale]), "other columns stay as they were"


def test_standard_makes_constant_columns_zero():
    x = np.full((1000, 2), 0.1)  # whose mean is not 0.1 in float64, nor its deviation 0
    assert x[:, 0].std() > 0.0
    x[:, 1] = 1e-30 * np.arange(1000)
    z = Standard().fit_transform(x)
    assert (z[:, 0] == 0).all()
    assert z[:, 1].std() == pytest.approx(1)
    assert (Standard().fit(x).transform(x + 1)[:, 0] == 0).all()
    assert not Standard().fit_transform(x.astype(np.float32))[:, 0].any()
    assert repr(Standard()) == "Standard()"
    with pytest.raises(ValueError, match="call fit before transform"):
        Standard().transform(x)
    with pytest.raises(ValueError, match=r"x must have shape \(n, 2\), got \(3, 1\)"):
        Standard().fit(x).transform(x[:3, :1])


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("robust", ValueError, "preprocess: unknown name 'robust'; known: standard"),
        (Counts, TypeError, "did you forget the parentheses"),
        (3, TypeError, "must be 'standard' or a thing with fit and transform"),
        ([type("T", (), {"transform": None})()], TypeError, "has transform but neither fit nor fit_transform"),
    ],
)
def test_bad_preprocessing(value, kind, message):
    with pytest.raises(kind, match=message):
        context(preprocess=value)
