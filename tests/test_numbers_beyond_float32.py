"""Finite numbers that float32 cannot hold: messages say so, with the number and its place.

Infinity itself is another error, or counts where the function takes it.
"""
from __future__ import annotations

import fastreg as fr
import numpy as np
import pytest
from fastreg import activations, layers, losses, metrics, ops
from fastreg.search import GridSearch
from fastreg.search.folds.preprocessing import Standard
from fastreg.sklearn import MLPRegressor
from programs import line, regressor
from scipy import sparse

N = 40
X, Y = (part.astype(np.float64) for part in line(N, 3))
ONES = np.ones(N)
HUGE = [1e39, -1e39, 1e300, np.longdouble("1e4000")]
OF_FEATURES = "divide the feature by a constant"
OF_TARGETS = "divide the targets by a constant"


def put(array, number, row=7, column=1):
    """A copy with the number in that row, and in that column or the last."""
    array = np.array(array, np.asarray(number).dtype)
    array[(row, *(min(column, n - 1) for n in array.shape[1:]))] = number
    return array


def refuses(call, number, *words):
    """The call raises a ValueError that says that the number is beyond float32, and these words."""
    with pytest.raises(ValueError, match="must be within the range of float32") as caught:
        call()
    message = str(caught.value)
    shown = repr(number) if isinstance(number, float) else str(number)
    assert shown in message, message
    assert "finite" not in message, message
    assert "inf" not in message, message
    for word in words:
        assert word in message, (word, message)


def search(p):
    model = fr.Sequential([layers.Input((3,)), layers.Dense(1)])
    model.compile(fr.optimizers.SGD(p["rate"]), "mse")
    return model


def grid(**options):
    return GridSearch(search, {"rate": [0.1, 0.2]}, cv=2, verbose=0, n_jobs=1, **options)


@pytest.mark.parametrize("number", HUGE, ids=str)
def test_rows_and_targets_of_models(number):
    model, x, y = regressor(n_features=3), put(X, number), put(Y, number)
    in_x = (number, "column 1", "row 7", OF_FEATURES)
    in_y = (number, "column 0", "row 7", OF_TARGETS)
    for rows in (x, np.asfortranarray(x), put(X, number, 7, 1)[:, ::-1][:, ::-1]):
        refuses(lambda: model.fit(rows, Y, verbose=0), *in_x, "x: ")  # noqa: B023
    refuses(lambda: model.fit(X, y, verbose=0), *in_y, "y: ")
    refuses(lambda: model.fit(X, Y, validation_data=(x, Y), verbose=0), *in_x, "validation_data x: ")
    refuses(lambda: model.fit(X, Y, validation_data=(X, y), verbose=0), *in_y, "validation_data y: ")
    refuses(lambda: model.evaluate(X, y, verbose=0), *in_y)
    refuses(lambda: model.evaluate(x, Y, verbose=0), *in_x)
    refuses(lambda: model.predict(x, verbose=0), *in_x)
    refuses(lambda: model.freeze()(x), number, "column 1", "row 7")
    refuses(lambda: model.train_on_batch(X, y), *in_y)
    refuses(lambda: model.train_on_batch(X, Y, put(ONES, number)) if number > 0 else model.fit(X, y), number, "row 7")


def test_integers_that_no_float_holds():
    for number, text in ((10**39, "1e+39"), (10**400, "about 2**1328"), (-10**400, "about -2**1328")):
        given = [0] * N
        given[5] = number
        with pytest.raises(ValueError, match="y: must be within the range of float32") as caught:
            regressor(n_features=3).fit(X, given, verbose=0)
        assert f"got {text} in " in str(caught.value)
        assert "row 5" in str(caught.value)
        assert str(caught.value).count("'") == 0  # the number is shown as one, not as a text


@pytest.mark.parametrize("number", HUGE, ids=str)
def test_weights(number):
    model = regressor(n_features=3)
    kernel, *others = model.get_weights()
    before = model.predict(X)
    refuses(lambda: model.set_weights([put(kernel, number, 2, 0), *others]), number, "kernel", "row 2")
    refuses(lambda: model.layers[0].set_weights([put(kernel, number, 2, 0), others[0]]), number, "kernel", "row 2")
    assert np.array_equal(model.predict(X), before)


@pytest.mark.parametrize("number", HUGE, ids=str)
def test_losses_and_metrics_of_arrays(number):
    y = put(Y, number)
    mse, error = losses.MeanSquaredError(), metrics.MeanSquaredError()
    refuses(lambda: mse(y, Y), number, "y_true", "row 7")
    refuses(lambda: mse(Y, y), number, "y_pred", "row 7")
    refuses(lambda: error(y, Y), number, "MeanSquaredError: y_true", "row 7")
    refuses(lambda: error.update_state(Y, y), number, "MeanSquaredError: y_pred", "row 7")
    refuses(lambda: error(Y, Y, put(ONES, number)), number, "MeanSquaredError: sample_weight", "row 7")
    refuses(lambda: metrics.mean_squared_error(y, Y), number, "y_true", "row 7")
    refuses(lambda: error(y[:, 0], Y[:, 0]), number, "row 7")


@pytest.mark.parametrize("number", HUGE, ids=str)
def test_functions_of_arrays(number):
    x = put(X, number)
    refuses(lambda: activations.sigmoid(x), number, "x: ", "column 1", "row 7")
    refuses(lambda: activations.softmax(x), number, "x: ", "column 1", "row 7")
    refuses(lambda: activations.relu(number), number, "x: ")
    refuses(lambda: activations.relu([[[0.0, number]]]), number, "position (0, 0, 1)")
    refuses(lambda: ops.dense(x, np.ones((3, 2)), np.ones(2)), number, "column 1", "row 7")
    refuses(lambda: layers.Rescaling(2.0)(x), number, "Rescaling", "column 1", "row 7")
    refuses(lambda: layers.Normalization(mean=number, variance=1.0), number, "Normalization: mean")
    refuses(lambda: layers.Discretization([0.0, 1.0])(x), number, "Discretization", "column 1", "row 7")


def test_infinity_itself_stays_what_it_is():
    for kind in (np.float32, np.float64, np.longdouble):
        given = np.array([np.inf, -np.inf, 1.0], kind)
        assert activations.relu(given).tolist() == [np.inf, 0.0, 1.0]
        assert np.isinf(metrics.MeanSquaredError()(np.zeros(3), given))
        assert layers.Discretization([0.0, 2.0])(given).tolist() == [2, 0, 1]
    with pytest.raises(ValueError, match="must be finite numbers, got infinity in column 0, row 7"):
        regressor(n_features=3).fit(X, put(Y, np.inf), verbose=0)


def test_boundaries_that_are_equal_in_float32():
    for given, words in (([0.0, 1e-50], r"where \[0.0, 1e-50\] are equal"),
                         ([-1.0, 1.0, 1.0 + 1e-12, 2.0], r"where \[1.0, 1.000000000001\] are equal")):
        with pytest.raises(ValueError, match="Discretization: bin_boundaries must increase in float32, " + words):
            layers.Discretization(given)
    for given, number in (([0.0, 1e39], 1e39), ([-1e39, 0.0], -1e39)):
        refuses(lambda: layers.Discretization(given), number, "Discretization: bin_boundaries")  # noqa: B023
    adapted = layers.Discretization(num_bins=4)
    adapted.adapt(np.float32(1.0) + np.arange(5) * np.float32(2**-23))
    boundaries = np.array(adapted.bin_boundaries)
    assert (np.diff(boundaries.astype(np.float32)) > 0).all()
    again = layers.Discretization(adapted.bin_boundaries)  # boundaries that it made are boundaries that it takes
    assert again.bin_boundaries == adapted.bin_boundaries


def test_the_limit_that_the_message_names():
    """Every number up to it is taken, and the next one above the last that rounds to it is refused."""
    limit = float(np.finfo(np.float32).max)
    last = np.nextafter(limit + 2.0**103, 0)  # half of the distance to the next number that float32 would have
    assert activations.relu([3.4028235e38, last, -last]).tolist() == [limit, limit, 0.0]
    for number in (limit + 2.0**103, -limit - 2.0**103):
        refuses(lambda: activations.relu(number), number, "x: must be within the range of float32, up to "  # noqa: B023
                "3.4028235e+38 in size")


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (2, 0), (2, 3, 4)])
def test_arrays_of_any_shape(shape):
    assert activations.relu(np.ones(shape)).tolist() == np.ones(shape).tolist()


def test_searches():
    y = put(Y, 1e39)
    refuses(lambda: grid().fit(X, y), 1e39, "y: ", "row 7", OF_TARGETS)
    refuses(lambda: grid().fit(put(X, 1e39), Y), 1e39, "X: ", "column 1", "row 7", "preprocess='standard'")


def test_standardised_features():
    """Both where the number itself is beyond float32, and where it is small and the deviation tiny."""
    for scale, number in ((1.0, 1e39), (1e-30, 1e10), (1e-300, -1.0), (1.0, 1.7e308)):
        standard = Standard().fit(X * scale)
        refuses(lambda: standard.transform(put(X * scale, number)), number,  # noqa: B023
                "Standard: ", "column 1", "row 7")
    assert np.isfinite(Standard().fit_transform(put(X, 1e39))).all()


def test_what_other_transformers_make():
    class Huge:
        def fit(self, x, y=None):
            return self

        def transform(self, x):
            return put(x, 1e39, 0)

    refuses(lambda: grid(preprocess=Huge()).fit(X, Y), 1e39, "preprocess: features", "column 1", "row 0")


def test_sparse_rows_of_estimators():
    estimator = MLPRegressor(hidden_layer_sizes=(2,), max_iter=1, random_state=0)
    rows = sparse.csr_array(put(X, 1e39))
    refuses(lambda: estimator.fit(rows, Y[:, 0]), 1e39, "X: ", "column 1", OF_FEATURES)
