"""What the estimators have beyond scikit-learn's: each parameter acts, and bad values are refused by name."""

import pickle

import numpy as np
import pytest
from fastreg import initializers, layers, losses, optimizers, regularizers, schedules
from fastreg.layers import BatchNormalization, Dense, Dropout, Normalization
from fastreg.sklearn import MLPClassifier, MLPRegressor
from ids import stable_id
from sklearn.base import clone
from sklearn.utils.class_weight import compute_sample_weight

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

BOTH = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
EPS = np.finfo(np.float32).eps
rng = np.random.default_rng(0)
X = rng.normal(size=(120, 4)) * [1, 2, 3, 4] + [0, 5, 0, -5]
SIGNS = np.where(X[:, 0] + 0.5 * rng.normal(size=120) > 0.7, "rare", "usual")
VALUES = X[:, 0] - X[:, 1]
QUICK = {"hidden_layer_sizes": (8, 6), "learning_rate_init": 0.02, "max_iter": 5, "random_state": 0}


def target(kind):
    return SIGNS if kind is MLPClassifier else VALUES


def fitted(kind, **params):
    return kind(**QUICK | params).fit(X, target(kind))


# Each is another fit than the one without it.
CHANGES = [
    {"activation": "gelu"},
    {"activation": ["relu", layers.LeakyReLU(0.3)]},
    {"dropout": 0.3},
    {"dropout": [0.0, 0.5]},
    {"input_dropout": 0.2},
    {"batch_normalization": True},
    {"l1": 0.1},
    {"l1": 0.1, "proximal": True},
    {"l2": 0.1},
    {"kernel_regularizer": "l2"},
    {"kernel_regularizer": regularizers.OrthogonalRegularizer(0.1)},
    {"bias_regularizer": regularizers.L1(0.1)},
    {"kernel_initializer": "he_normal"},
    {"bias_initializer": initializers.Constant(0.5)},
    {"optimizer": "adamw"},
    {"optimizer": optimizers.RMSprop(0.01, momentum=0.5)},
    {"optimizer": "lion", "learning_rate": schedules.CosineDecay(0.01, schedules.Share(1))},
    {"learning_rate": schedules.StepDecay(0.02, schedules.Epochs(1), 0.5)},
    {"learning_rate": schedules.StepDecay(0.02, 1, 0.5), "solver": "sgd"},
    {"scale": "standard"},
    {"scale": "robust"},
    {"scale": Normalization(mean=1.0, variance=4.0)},
    {"n_models": 3},
]


@BOTH
@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_every_parameter_changes_the_fit_and_is_repeatable(kind, change):
    def outputs(**params):
        made = fitted(kind, **params)
        return made.predict_proba(X) if kind is MLPClassifier else made.predict(X)

    base = {name: change[name] for name in ("solver",) if name in change}
    changed = outputs(**change)
    assert np.abs(changed - outputs(**base)).max() > 1e-5
    np.testing.assert_array_equal(changed, outputs(**change))


@pytest.mark.parametrize("loss", ["huber", losses.MeanAbsoluteError(), losses.Quantile(0.9), "log_cosh"])
def test_a_regressor_takes_any_loss_of_numbers(loss):
    base = fitted(MLPRegressor)
    made = fitted(MLPRegressor, loss=loss)
    assert np.abs(base.predict(X) - made.predict(X)).max() > 1e-4
    assert made.out_activation_ == "identity"
    gamma = MLPRegressor(**QUICK, loss=losses.Tweedie(2.0)).fit(X, np.exp(VALUES / 4))
    assert gamma.out_activation_ == "exp"
    assert (gamma.predict(X) > 0).all()


def test_the_layers_are_those_that_were_asked_for():
    made = fitted(MLPRegressor, activation=["tanh", "logistic"], dropout=[0.1, 0.2], batch_normalization=True,
                  input_dropout=0.3, scale="standard")
    kinds = [type(layer.description) for layer in made.models_[0].layers]
    hidden = [Dense, BatchNormalization, layers.Activation, Dropout]
    assert kinds == [Normalization, Dropout, *hidden, *hidden, Dense]
    found = [layer.description for layer in made.models_[0].layers]
    assert [one.activation for one in found if isinstance(one, layers.Activation)] == ["tanh", "sigmoid"]
    assert [one.rate for one in found if isinstance(one, Dropout)] == [0.3, 0.1, 0.2]
    assert fitted(MLPRegressor, hidden_layer_sizes=()).coefs_[0].shape == (4, 1)
    assert fitted(MLPRegressor, hidden_layer_sizes=7).coefs_[0].shape == (4, 7)
    assert fitted(MLPRegressor, hidden_layer_sizes=np.array([7, 2])).n_layers_ == 4


def test_a_proximal_penalty_makes_exact_zeros():
    made = fitted(MLPClassifier, l1=0.005, proximal=True, max_iter=200)
    assert 0.2 < (made.coefs_[0] == 0).mean() < 1
    assert made.score(X, SIGNS) > 0.6


@pytest.mark.parametrize("weights", [{"rare": 5.0}, "balanced", {"rare": 1.0, "usual": 0.0}])
def test_class_weights_are_weights_of_the_rows_of_a_class(weights):
    params = QUICK | {"shuffle": False}
    by_class = MLPClassifier(**params, class_weight=weights).fit(X, SIGNS)
    by_row = MLPClassifier(**params).fit(X, SIGNS, compute_sample_weight(weights, SIGNS))
    np.testing.assert_array_equal(by_class.coefs_[0], by_row.coefs_[0])
    assert (by_class.coefs_[0] != fitted(MLPClassifier, shuffle=False).coefs_[0]).any()
    once_more = rng.uniform(size=len(X))
    both = MLPClassifier(**params, class_weight=weights).fit(X, SIGNS, once_more)
    product = MLPClassifier(**params).fit(X, SIGNS, once_more * compute_sample_weight(weights, SIGNS))
    np.testing.assert_allclose(both.coefs_[0], product.coefs_[0], atol=4 * EPS)


def test_class_weights_are_not_those_of_validation():
    """Only training is weighted: the scores are shares of rows."""
    made = MLPClassifier(**QUICK, class_weight={"rare": 1e6}, early_stopping=True, validation_fraction=0.25)
    made.fit(X, SIGNS)
    np.testing.assert_allclose(np.array(made.validation_scores_) * 30 % 1, 0, atol=1e-9)
    made.set_params(class_weight="balanced").fit(X, SIGNS)
    with pytest.raises(ValueError, match="several labels for each row"):
        made.fit(X, (X > 0).astype(int))


@BOTH
def test_weights_are_repetitions(kind):
    """Up to rounding, which grows with each of the steps."""
    times = rng.integers(0, 4, size=len(X))
    params = QUICK | {"max_iter": 20, "alpha": 5.0, "shuffle": False}
    weighted = kind(**params, batch_size=len(X)).fit(X, target(kind), times)
    repeated = kind(**params, batch_size=times.sum()).fit(np.repeat(X, times, axis=0), np.repeat(target(kind), times))
    np.testing.assert_allclose(weighted.coefs_[0], repeated.coefs_[0], atol=20 * 64 * EPS)


@BOTH
def test_scaling_is_that_of_the_rows_trained_on(kind):
    made = fitted(kind, scale="standard", early_stopping=True, validation_fraction=0.5)
    mean, variance = made.models_[0].layers[0].get_weights()
    assert np.abs(mean - X.mean(axis=0)).max() > 1e-3
    whole = fitted(kind, scale="standard")
    mean, variance = whole.models_[0].layers[0].get_weights()
    np.testing.assert_allclose(mean, X.mean(axis=0), atol=16 * EPS)
    np.testing.assert_allclose(variance, X.var(axis=0), rtol=32 * EPS)
    before = fitted(kind)
    scaled = kind(**QUICK).fit((X - mean) / np.sqrt(variance), target(kind))
    np.testing.assert_allclose(whole.coefs_[0], scaled.coefs_[0], atol=1e-4)
    assert np.abs(whole.coefs_[0] - before.coefs_[0]).max() > 1e-3


@BOTH
@pytest.mark.parametrize("params", [
    {"scale": "standard", "batch_normalization": True, "dropout": 0.2},
    {"n_models": 3, "scale": "robust"},
])
def test_a_frozen_model_gives_the_same_outputs(kind, params):
    made = fitted(kind, **params)
    predictor = made.freeze()
    outputs = np.asarray(predictor(X.astype(np.float32)))
    expected = made.predict_proba(X)[:, 1:] if kind is MLPClassifier else made.predict(X)[:, None]
    np.testing.assert_allclose(outputs, expected, atol=256 * EPS * np.abs(expected).max())


@BOTH
def test_several_models_are_averaged(kind):
    made = fitted(kind, n_models=3)
    assert len(made.models_) == 3
    one = fitted(kind)
    predict = "predict_proba" if kind is MLPClassifier else "predict"
    outputs = [model.predict(X)[:, 0].astype(float) for model in made.models_]
    found = getattr(made, predict)(X)
    np.testing.assert_allclose(found[:, 1] if found.ndim == 2 else found, np.mean(outputs, axis=0), rtol=1e-12)
    np.testing.assert_array_equal(outputs[0], one.models_[0].predict(X)[:, 0])
    assert made.loss_curve_ == one.loss_curve_
    assert np.abs(outputs[1] - outputs[2]).max() > 1e-3
    with pytest.raises(AttributeError, match="coefs_ is of one network; models_ has 3"):
        made.coefs_  # noqa: B018


def test_weights_that_are_read_cannot_be_written():
    """They are copies: writing to them would change nothing."""
    with pytest.raises(ValueError, match="read-only"):
        fitted(MLPRegressor).coefs_[0][0, 0] = 1.0


@BOTH
@pytest.mark.parametrize(("params", "error", "message"), [
    ({"solver": "lbfgs"}, ValueError, "solver 'lbfgs' is not available"),
    ({"solver": "adm"}, ValueError, "unknown solver 'adm'"),
    ({"hidden_layer_sizes": -1}, ValueError, "hidden_layer_sizes must be > 0, got -1"),
    ({"hidden_layer_sizes": (3, 0)}, ValueError, "hidden_layer_sizes must be > 0, got 0"),
    ({"hidden_layer_sizes": "8"}, TypeError, "hidden_layer_sizes must be an integer, got '8'"),
    ({"activation": "rele"}, ValueError, "unknown activation 'rele'"),
    ({"activation": ["relu"]}, ValueError, "one for each of 2 hidden layers, got 1"),
    ({"dropout": 1.0}, ValueError, r"dropout must be in \[0, 1\), got 1.0"),
    ({"dropout": (0.1, 0.1, 0.1)}, ValueError, "one for each of 2 hidden layers, got 3"),
    ({"alpha": -1}, ValueError, "alpha must be >= 0, got -1"),
    ({"batch_size": 0}, ValueError, "batch_size must be >= 1, got 0"),
    ({"batch_size": "all"}, ValueError, "unknown batch_size 'all'; known: auto"),
    ({"learning_rate": "linear"}, ValueError, "unknown learning_rate 'linear'"),
    ({"learning_rate_init": 0}, ValueError, "learning_rate_init must be > 0, got 0"),
    ({"max_iter": 0}, ValueError, "max_iter must be >= 1, got 0"),
    ({"shuffle": "yes"}, TypeError, "shuffle must be True or False"),
    ({"tol": -1.0}, ValueError, "tol must be >= 0"),
    ({"momentum": 2.0, "solver": "sgd"}, ValueError, "momentum must be in"),
    ({"beta_1": 1.0}, ValueError, "beta_1 must be in"),
    ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change must be >= 1"),
    ({"validation_fraction": 1.0, "early_stopping": True}, ValueError, "validation_fraction must be in"),
    ({"validation_fraction": 0.0, "early_stopping": True}, ValueError, "validation_fraction must be > 0 with"),
    ({"scale": "minmax"}, ValueError, "unknown scale 'minmax'; known: robust, standard"),
    ({"n_models": 0}, ValueError, "n_models must be >= 1"),
    ({"l1": 0.1, "kernel_regularizer": "l2"}, ValueError, "l1 and l2, or kernel_regularizer, not both"),
    ({"kernel_regularizer": "l3"}, ValueError, "kernel_regularizer: unknown regularizer 'l3'"),
    ({"kernel_initializer": "he"}, ValueError, "unknown initializer 'he'"),
    ({"optimizer": "adan"}, ValueError, "optimizer: unknown optimizer 'adan'"),
    ({"optimizer": optimizers.Adam(), "learning_rate": schedules.StepDecay(0.1, 1, 0.5)}, ValueError,
     "give the schedule to the optimizer"),
    *[({"random_state": given}, ValueError, r"random_state must be None, an int in \[0, 2\*\*32\) or a numpy.random")
      for given in ("seed", -1, 2**32, 0.5, np.random.default_rng(0))],
    ({"monitor": "loss"}, ValueError, "monitor needs rows to validate on"),
], ids=stable_id)
def test_a_bad_parameter_is_named(kind, params, error, message):
    made = kind(**{"hidden_layer_sizes": (8, 6)} | params)
    with pytest.raises(error, match=message):
        made.fit(X, target(kind))


def test_losses_that_a_regressor_cannot_have():
    for loss in ("binary_crossentropy", losses.GaussianNLL()):
        with pytest.raises(ValueError, match="loss must be one of numbers with one output for each target"):
            MLPRegressor(loss=loss).fit(X, VALUES)
    with pytest.raises(ValueError, match="unknown loss 'squared'"):
        MLPRegressor(loss="squared").fit(X, VALUES)
    with pytest.raises(ValueError, match="needs targets >= 0"):
        MLPRegressor(loss="poisson").fit(X, VALUES)


@BOTH
@pytest.mark.parametrize(("weights", "message"), [
    (-np.ones(120), "sample_weight: must be finite, >= 0 and not 0 for every row, got -1 to -1"),
    (np.nan, "sample_weight: must be finite, >= 0 and not 0 for every row, got nan to nan"),
    (np.zeros(120), "got 0 to 0|at least one non-zero"),
    (np.ones(7), "inconsistent numbers of samples|shape"),
])
def test_bad_weights_are_named(kind, weights, message):
    with pytest.raises(ValueError, match=message):
        kind().fit(X, target(kind), weights)
    y = target(kind)
    with pytest.raises(ValueError, match=message.replace("sample_weight", "sample_weight_val")):
        kind().fit(X, y, X_val=X, y_val=y, sample_weight_val=weights)


@BOTH
def test_weights_that_make_the_penalty_infinite_are_named(kind):
    with pytest.raises(ValueError, match="sample_weight is too small for alpha"):
        kind().fit(X, target(kind), np.full(120, 1e-300))
    tiny, one = (kind(**QUICK | {"alpha": 0.0}).fit(X, target(kind), np.full(120, w)) for w in (1e-300, 1.0))
    np.testing.assert_array_equal(tiny.coefs_[0], one.coefs_[0])


@BOTH
def test_rows_to_validate_on_must_have_weight(kind):
    weights = np.zeros(120)
    weights[3] = 1.0
    with pytest.raises(ValueError, match=r"not be 0 for every row to (validate|train) on"):
        kind(early_stopping=True, random_state=0).fit(X, target(kind), weights)


@BOTH
def test_descriptions_as_parameters_are_cloned_and_pickled(kind):
    made = kind(**QUICK | {
        "activation": [layers.LeakyReLU(0.2), "gelu"],
        "optimizer": optimizers.AdamW(schedules.CosineDecay(0.01, schedules.Share(1))),
        "kernel_regularizer": regularizers.L1(0.01, proximal=True),
        "kernel_initializer": initializers.HeNormal(),
        "scale": Normalization(robust=True),
    })
    given = repr(made.get_params())
    first = made.fit(X, target(kind)).predict(X)
    assert repr(made.get_params()) == given
    again = clone(pickle.loads(pickle.dumps(made))).fit(X[::2], target(kind)[::2]).fit(X, target(kind))
    np.testing.assert_array_equal(again.predict(X), first)


@pytest.mark.parametrize("targets", [1, 2])
def test_intervals_are_order_statistics_of_errors(targets):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = x[:, :targets] + rng.normal(size=(200, targets)) * [1.0, 5.0][:targets]
    y = y[:, 0] if targets == 1 else y
    fitted = MLPRegressor(hidden_layer_sizes=(8,), random_state=0, early_stopping=True, learning_rate_init=0.02)
    fitted.fit(x[:100], y[:100])
    with pytest.raises(ValueError, match="predict_interval needs conformalize, with rows that fit did not see"):
        fitted.predict_interval(x)
    assert fitted.conformalize(x[100:150], y[100:150]) is fitted
    errors = np.sort(np.abs(fitted.predict(x[100:150]) - y[100:150]), axis=0)
    for level, rank in ((0.9, 46), (0.5, 26)):  # ceil(51 level)
        bounds = pickle.loads(pickle.dumps(fitted)).predict_interval(x[150:], level)
        assert bounds.shape == ((50, 2) if targets == 1 else (50, 2, 2))
        assert np.allclose(bounds[..., 1] - bounds[..., 0], 2 * errors[rank - 1])
        assert np.allclose(bounds.mean(axis=-1), fitted.predict(x[150:]))
    with pytest.raises(ValueError, match=r"level 0\.99 need 99 rows that the model has not seen, got 50"):
        fitted.predict_interval(x, 0.99)
    with pytest.raises(ValueError, match=r"MLPRegressor: level must be in \(0, 0.999999\], got 1"):
        fitted.predict_interval(x, 1)
    with pytest.raises(ValueError, match="y: must have shape"):
        fitted.conformalize(x[100:150], y[100:149])
    with pytest.raises(ValueError, match="y: must be finite"):
        fitted.conformalize(x[100:150], np.full_like(y[100:150], np.nan))
    assert not hasattr(fitted.fit(x, y), "conformity_scores_")
    fitted.conformalize(x, y).set_params(early_stopping=False)
    assert not hasattr(fitted.partial_fit(x, y), "conformity_scores_")
