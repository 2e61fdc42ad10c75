"""RealMLP in its full form, TD: the published network step by step, and how it begins."""

import pickle
from functools import partialmethod

import numpy as np
import pandas as pd
import pytest
from fastreg import Model
from fastreg.sklearn import RealMLPClassifier, RealMLPRegressor
from fastreg.table.realmlp_td import Widths, begin_by_data, realmlp_td
from helpers.realmlp import ACTIVATIONS, OffCentre, features_of
from helpers.realmlp_td import embedded, trained
from sklearn.base import clone

N = 90


def table():
    """Two numbers, a column of two levels, one of three, and one of twelve, which is embedded."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "number": rng.normal(5, 3, N),
            "other": rng.exponential(2.0, N),
            "town": rng.choice(["u", "v", "w"], N),
            "pair": rng.choice(["x", "y"], N),
            "key": rng.choice([f"k{i:02}" for i in range(12)], N),
        }
    )
    return frame, rng.choice(["no", "some", "yes"], N), rng.normal(50, 7, (N, 2))


def by_name(model):
    """The weights by the names that the oracle has for them."""
    found, hidden = {}, -1
    for layer in model.layers:
        for weight, array in zip(layer.weights, layer.get_weights(), strict=True):
            name = weight.name.rpartition("/")[2].rpartition(".")[2]
            hidden += layer.name.startswith("hidden") and name == "kernel"
            if layer.name in ("waves", "tables", "last"):
                found[f"{layer.name}.{name}"] = array
            else:
                found[name if name == "scale" else f"{hidden}.{name}"] = array
    return found


def streams_of(model):
    """The number of each dropout layer among those of C++."""
    counts = [layer.description.core_count for layer in model.layers]
    kinds = [type(layer.description).__name__ for layer in model.layers]
    return [sum(counts[:i]) for i, kind in enumerate(kinds) if kind == "Dropout"]


def expected_inputs(frame):
    number, indicators = features_of(frame[["number", "other"]]), [frame["town"], frame["pair"]]
    return number, features_of(np.zeros((N, 0)), indicators), pd.factorize(frame["key"], sort=True)[0]


@pytest.mark.parametrize("kind", ["classes", "two classes", "numbers", "several numbers"])
def test_it_is_the_published_network_step_by_step(kind, monkeypatch):
    """Encoding, dropout, decay, schedules and all gradients, against free weights in float64. Rows are not shuffled,
    since masks of dropout go by the place of a row in its batch."""
    monkeypatch.setattr(Model, "fit", partialmethod(Model.fit, shuffle=False))
    frame, labels, numbers = table()
    common = {"hidden_layer_sizes": (7, 5), "validation_fraction": 0, "random_state": 3, "form": "TD"}
    if "classes" in kind:
        y = labels if kind == "classes" else np.where(labels == "no", "a", "b")
        estimator = RealMLPClassifier(**common)
        how = {"activation": "selu", "rate": 0.04, "with_softmax": True, "smoothing": 0.1}
        targets = (y[:, None] == np.unique(y)).astype(np.float64)
    else:
        y = numbers if kind == "several numbers" else numbers[:, 0]
        estimator, how = OffCentre(**common), {"activation": "mish", "rate": 0.2}
        targets = ((y - y.mean(0) + 2.0) / y.std(0)).reshape(N, -1)
    begun = clone(estimator).set_params(max_iter=1).fit(frame, y)  # the rate of the first step is 0
    steps, model = 5, begun.model_
    number, indicators, codes = expected_inputs(frame)
    for found, wanted in zip(begun.encoding_.transform(frame), (number, indicators, codes[:, None] + 1), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)
    before = by_name(model)
    expected = trained(
        before,
        (number, indicators, codes[:, None] + 1),
        targets,
        steps=steps,
        epsilon=1e-8,
        streams=streams_of(model),
        seed=model.seed,
        **how,
    )
    found = by_name(estimator.set_params(max_iter=steps).fit(frame, y).model_)
    assert found.keys() == expected.keys() == before.keys()
    for name, wanted in expected.items():
        tolerance = 60 * np.finfo(np.float32).eps * max(1.0, np.abs(wanted).max())
        np.testing.assert_allclose(found[name], wanted, rtol=0, atol=tolerance, err_msg=name)
        assert np.abs(found[name] - before[name]).max() > 1e-4, name


def test_it_begins_by_the_data():
    """Values before activations have the deviation 1, and a bias is within minus the values of its unit."""
    rng = np.random.default_rng(1)
    inputs = [rng.normal(size=(300, 3)).astype(np.float32), rng.integers(0, 7, (300, 2)).astype(np.float32)]
    hidden = (1000, 800)  # so many units that deviations over them are known
    model, front = realmlp_td(Widths(3, 0, 2, 7), hidden, "selu", 500, "softmax", 0)
    before = by_name(model)
    begin_by_data(model, front, inputs, hidden, "selu", np.random.RandomState(0))
    free = {n: w.astype(np.float64) for n, w in by_name(model).items()}
    table = free["tables.embeddings"][inputs[1].astype(int)].reshape(300, -1)
    x = np.concatenate([embedded(inputs[0].astype(np.float64), free)[0], table], 1)
    for layer in ("0", "1", "last"):
        z = x @ free[f"{layer}.kernel"]
        np.testing.assert_allclose(z.std(0), 1.0, rtol=1e-5)
        shift = z + free[f"{layer}.bias"]
        assert (shift.min(0) < 0).all()
        assert (shift.max(0) > 0).all()
        # A mixture of five values with uniform shares has their mean and 1/3 of their variance.
        apart = free[f"{layer}.bias"] + z.mean(0)
        assert apart.std() == pytest.approx(3**-0.5, rel=0.03)
        assert apart.mean() == pytest.approx(0.0, abs=0.03)
        x = ACTIVATIONS["selu"](shift)[0]
        kernel = before[f"{layer}.kernel"]
        factors = np.linalg.norm(free[f"{layer}.kernel"], axis=0) / np.linalg.norm(kernel.astype(np.float64), axis=0)
        np.testing.assert_allclose(free[f"{layer}.kernel"], kernel * factors, rtol=1e-5)
        assert kernel.std() * len(kernel) ** 0.5 == pytest.approx(1.0, rel=0.01)


def test_constant_columns_and_single_rows_begin_finite():
    for X in (np.ones((40, 2)), np.arange(4.0).reshape(2, 2)):
        fitted = RealMLPRegressor(8, max_iter=2, validation_fraction=0, form="TD", random_state=0).fit(X, X[:, 0])
        assert all(np.isfinite(weight).all() for weight in fitted.model_.get_weights())
        assert np.abs(fitted.model_.get_weights()[0]).max() < 100


def test_many_rows_begin_by_some_of_them():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(10_050, 2))
    alone = {"max_iter": 1, "batch_size": len(X), "validation_fraction": 0}  # one step, whose rate is 0
    fitted = RealMLPRegressor(8, form="TD", random_state=0, **alone).fit(X, X[:, 0])
    features = fitted.encoding_.transform(X)
    assert [array.shape for array in features] == [(10_050, 2)]
    free = {n: w.astype(np.float64) for n, w in by_name(fitted.model_).items()}
    z = embedded(features[0].astype(np.float64), free)[0] @ free["0.kernel"]
    # 10,000 of the 10,050 rows have the deviation 1, so that all together have nearly that.
    np.testing.assert_allclose(z.std(0), 1.0, rtol=2e-3)
    assert np.abs(z.std(0) - 1).min() > 1e-6
    assert np.abs(z.std(0) - 1.0).max() > 1e-6, "some of the rows"


def test_columns_with_few_levels_are_one_hot_and_others_are_embedded():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"c{k}": rng.permutation(np.arange(90) % k).astype(str) for k in (2, 8, 9, 30)})
    y = rng.normal(size=90)
    fitted = RealMLPRegressor(8, max_iter=2, form="TD", random_state=0).fit(frame, y)
    assert fitted.encoding_.widths == (0, 1 + 8, 2, 10 + 31)
    indicators, codes = fitted.encoding_.transform(frame)
    assert indicators.shape == (90, 9)
    assert len(np.unique(codes[:, 0])) == 9
    assert codes[:, 0].max() < 10 <= codes[:, 1].min()
    other = frame.iloc[:2].assign(c9=["new", None], c30=["7", np.nan])
    np.testing.assert_array_equal(fitted.encoding_.transform(other)[1][:, 0], 0.0)
    assert fitted.encoding_.transform(other)[1][1, 1] == 10.0
    assert np.isfinite(fitted.predict(other)).all()


def test_only_codes_or_only_numbers():
    rng = np.random.default_rng(0)
    key = rng.choice([f"k{i}" for i in range(12)], 200)
    y = np.char.lstrip(key, "k").astype(float)
    for X in (pd.DataFrame({"key": key}), y[:, None]):
        fitted = RealMLPRegressor(64, max_iter=100, form="TD", random_state=0).fit(X, y)
        assert len(fitted.model_.input_names) == 1
        assert fitted.score(X, y) > 0.95


def test_more_than_a_thousand_categories_are_embedded():
    names = np.array([f"id {i}" for i in range(1500)], object)
    frame = pd.DataFrame({"key": names, "a": np.arange(1500.0)})
    fitted = RealMLPClassifier(4, max_iter=1, form="TD", validation_fraction=0).fit(frame, np.arange(1500) % 2)
    assert fitted.encoding_.widths == (1, 0, 1, 1501)


def test_predictions_are_within_the_training_targets():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = np.column_stack([X[:, 0], 5.0 * X[:, 1]])
    fitted = RealMLPRegressor(32, max_iter=40, form="TD", validation_fraction=0, random_state=0).fit(X, y)
    raw = fitted.model_.predict(fitted.encoding_.transform(100.0 * X)) * y.std(0) + y.mean(0)
    assert ((raw < y.min(0)) | (raw > y.max(0))).any()
    np.testing.assert_allclose(fitted.predict(100.0 * X), np.clip(raw, y.min(0), y.max(0)), rtol=1e-5, atol=1e-5)
    simple = clone(fitted).set_params(form="TD-S").fit(X, y)
    found = simple.predict(100.0 * X)
    assert ((found < y.min(0)) | (found > y.max(0))).any()


def test_epochs_are_judged_by_limited_predictions():
    """The targets are the ends of a range, beyond which outputs swing."""
    rng = np.random.default_rng(0)
    X, X_val = rng.normal(size=(150, 2)), rng.normal(size=(80, 2))
    for columns in ([0], [0, 1]):
        y, y_val = (np.where(rows[:, columns] > 0, 8.0, 2.0) for rows in (X, X_val))
        y, y_val = (y[:, 0], y_val[:, 0]) if len(columns) == 1 else (y, y_val)
        fitted = RealMLPRegressor(16, max_iter=30, form="TD", random_state=0).fit(X, y, X_val, y_val)
        scores = fitted.validation_scores_
        assert len(scores) == 30
        assert scores[fitted.best_iter_ - 1] == max(scores)
        outputs = fitted.model_.predict(fitted.encoding_.transform(X_val)) * y.std(0) + y.mean(0)
        assert outputs.max() > 8.1
        found = -(((fitted.predict(X_val) - y_val) / y.std(0)) ** 2).mean()
        assert found == pytest.approx(max(scores), rel=1e-4)


def test_missing_numbers_count_as_the_median_and_are_marked():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 2))
    X[::5, 1] = np.nan
    fitted = RealMLPRegressor(16, max_iter=4, form="TD", random_state=0).fit(X, rng.normal(size=120))
    numbers, marks = fitted.encoding_.transform(X)
    assert (numbers.shape, marks.shape) == ((120, 2), (120, 1))
    np.testing.assert_array_equal(numbers[::5, 1], 0.0)
    assert len(np.unique(marks)) == 2


def test_seeds_pickles_and_rates():
    frame, labels, _ = table()
    first = RealMLPClassifier(8, max_iter=4, form="TD", random_state=5).fit(frame, labels)
    expected = first.predict_proba(frame)
    np.testing.assert_array_equal(clone(first).fit(frame, labels).predict_proba(frame), expected)
    assert (clone(first).set_params(random_state=6).fit(frame, labels).predict_proba(frame) != expected).any()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(first)).predict_proba(frame), expected)
    optimizer = first.model_.optimizer
    assert optimizer.excluded_from_weight_decay == ("hidden_0/bias", "last/bias")
    assert [one.learning_rate_init for one in (first, RealMLPRegressor(form="TD"))] == [None, None]
    assert first._RATES["TD"] == 0.04
    assert RealMLPRegressor._RATES == {"TD-S": 0.07, "TD": 0.2}


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="RealMLPClassifier: unknown form 'TDS'; known: TD, TD-S"):
        RealMLPClassifier(form="TDS").fit(np.zeros((4, 1)), [0, 1, 0, 1])


def test_a_line_of_each_epoch_has_the_score_that_judged_it(capfd):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 2))
    for form in ("TD-S", "TD"):
        given = {"max_iter": 3, "form": form, "random_state": 0}
        fitted = RealMLPRegressor(8, verbose=True, **given).fit(X, X[:, 0])
        lines = capfd.readouterr().err.splitlines()
        assert [line.partition(" - ")[0] for line in lines] == ["Epoch 1/3", "Epoch 2/3", "Epoch 3/3"]
        for line, loss, score in zip(lines, fitted.loss_curve_, fitted.validation_scores_, strict=True):
            told = dict(part.rpartition(" ")[::2] for part in line.split(" - ")[1:3])
            assert {key: float(value) for key, value in told.items()} == {
                "loss": pytest.approx(loss, rel=1e-3),
                "val_loss": pytest.approx(-score, rel=1e-3),
            }
        quiet = RealMLPRegressor(8, **given).fit(X, X[:, 0])
        assert capfd.readouterr().err == ""
        np.testing.assert_array_equal(fitted.predict(X), quiet.predict(X))
    RealMLPRegressor(8, verbose=True, validation_fraction=0, **given).fit(X, X[:, 0])
    assert "val_loss" not in capfd.readouterr().err
