"""One fold of one trial: equal to the same calls made by hand, blind to the scored rows, and failing in good order."""

import pickle
import threading
import time

import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks, layers
from fastreg.search.folds.deadline import Deadline
from fastreg.search.folds.evaluation import Task, evaluate, fold_seed, refit
from fastreg.search.folds.preprocessing import Standard
from programs import wait_for_fit
from search_folds import PARAMS, N, X, Y, build, by_hand, context, ok, same, seeded

# Values and seeds.


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_a_fold_is_a_fit_on_its_rows_and_an_evaluation_on_the_others(fold):
    c = context(return_train_score=True)
    result = ok(evaluate(c, Task(0, fold, PARAMS, keep_model=True)))
    model = by_hand(c, fold)
    assert same(result.model.get_weights(), model.get_weights())
    x, (train, scored) = X.astype(np.float32), c.folds[fold]
    assert result.scores == {"accuracy": model.evaluate(x[scored], Y[scored], verbose=0)[1]}
    assert result.train_scores == {"accuracy": model.evaluate(x[train], Y[train], verbose=0)[1]}
    assert result.history == model.history.history
    assert (result.trial, result.fold, result.epochs, result.best_epoch, result.error) == (0, fold, 6, None, None)
    assert np.array_equal(result.predictions, model.predict(x[scored]))
    assert result.seconds > 0
    assert result.score_seconds > 0


def test_nothing_is_kept_unless_asked_for():
    result = ok(evaluate(context(), Task(0, 0, PARAMS)))
    assert result.model is None
    assert result.predictions is None
    assert result.train_scores is None
    assert result.curve is None


def test_a_seed_of_the_models_own_is_kept():
    weights = [ok(evaluate(context(), Task(t, 0, {**PARAMS, "seed": 5}, keep_model=True))).model for t in (0, 1)]
    assert weights[0].seed == weights[1].seed == 5
    assert same(weights[0].get_weights(), weights[1].get_weights())


def test_seeds_follow_from_search_trial_and_fold():
    assert fold_seed(0, 0, 0) == fold_seed(0, 0, 0)
    seeds = {fold_seed(s, t, f) for s in (0, 1, 2**63) for t in range(40) for f in range(40)}
    assert len(seeds) == 3 * 1600
    assert all(0 <= seed < 2**64 for seed in seeds)
    # A journal that is resumed by a later version must find the same: this value never changes.
    assert fold_seed(12345, 67, 8) == 6031755454731122965
    pairs = [(7, 0), (7, 1), (8, 0)]
    models = [ok(evaluate(context(seed=seed), Task(trial, 0, PARAMS, keep_model=True))).model for seed, trial in pairs]
    assert len({model.seed for model in models}) == 3


def test_parameters_are_the_trials_own():
    def spoils(params):
        params["list"].append(1)
        params["units"] += 3
        return build(params)

    params = {"units": 8, "rate": 0.01, "list": [1]}
    ok(evaluate(context(spoils, params=params), Task(0, 0, params)))
    assert params == {"units": 8, "rate": 0.01, "list": [1]}


def test_build_may_give_arguments_of_fit():
    def with_batch(params):
        return build({"rate": 0.01, **params}), {"batch_size": params["batch_size"], "epochs": 2}

    params = {"units": 8, "batch_size": 50}
    c = context(with_batch, params=params)
    result = ok(evaluate(c, Task(0, 1, params, keep_model=True)))
    model = seeded(1)
    model.fit(X.astype(np.float32), Y, rows=c.folds[1][0], batch_size=50, epochs=2, verbose=0)
    assert same(result.model.get_weights(), model.get_weights())


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32, np.uint8, bool])
def test_features_are_converted_once(dtype):
    x = (np.abs(X) * 3).astype(dtype)
    c = context(x=x)
    assert c.x.dtype == (dtype if dtype in (np.uint8, bool) else np.float32)
    assert c.x.flags.c_contiguous
    if dtype == np.float32:
        assert c.x is x or np.shares_memory(c.x, x)
    ok(evaluate(c, Task(0, 0, PARAMS)))


@pytest.mark.parametrize(("own", "expected"), [(2, [1, 2, 2, 2]), (9, [1, 3, 4, 9])])
def test_epochs_may_be_the_trials_own(own, expected):
    def with_epochs(params):
        return build(params), {"epochs": params["epochs"]}

    params = {**PARAMS, "epochs": own}
    c = context(with_epochs, params={**PARAMS, "epochs": 6})
    assert c.epochs == 6
    whole = ok(evaluate(c, Task(0, 0, params, stop=6, keep_model=True)))
    assert whole.epochs == own
    model, start, epochs = None, 0, []
    for stop in (1, 3, 4, 6):
        result = ok(evaluate(c, Task(0, 0, params, start, stop, model, keep_model=True)))
        model, start = result.model, stop
        epochs.append(result.epochs)
    assert epochs == expected
    assert same(model.get_weights(), whole.model.get_weights())
    assert ok(refit(c, Task(0, 0, params))).epochs == own


# Early stopping and validation.


class Keeps(callbacks.Callback):
    """Counts the fits that one instance has seen."""

    def __init__(self):
        self.fits = 0

    def on_train_begin(self, logs=None):
        self.fits += 1
        assert self.fits == 1


def test_callbacks_are_copied_for_each_fold():
    stopping, keeps = callbacks.EarlyStopping(patience=2), Keeps()
    c = context(fit_arguments={"epochs": 50, "callbacks": [stopping, keeps]})
    results = [ok(evaluate(c, Task(t, f, PARAMS))) for t in (0, 1) for f in (0, 1)]
    assert stopping.best is None
    assert keeps.fits == 0
    assert all(result.best_epoch for result in results)
    single = context(fit_arguments={"epochs": 50, "callbacks": stopping})
    assert ok(evaluate(single, Task(0, 0, PARAMS))).scores == results[0].scores


@pytest.mark.parametrize("early_stopping_on", ["inner", "fold"])
def test_early_stopping_sees_the_scored_rows_only_where_asked(early_stopping_on):
    stopping = callbacks.EarlyStopping(patience=3)
    results = []
    for flip in (False, True):
        c = context(early_stopping_on=early_stopping_on, fit_arguments={"epochs": 40, "callbacks": [stopping]})
        y = Y.copy()
        scored = c.folds[0][1]
        if flip:
            y[scored] = 1 - y[scored]
        fixed = context(
            y=y, cv=c.folds, early_stopping_on=early_stopping_on, fit_arguments={"epochs": 40, "callbacks": [stopping]}
        )
        results.append(ok(evaluate(fixed, Task(0, 0, PARAMS, keep_model=True))))
    blind = same(results[0].model.get_weights(), results[1].model.get_weights())
    assert blind == (early_stopping_on == "inner")
    assert results[0].scores != results[1].scores


def test_the_inner_split_is_a_tenth_or_what_validation_split_says():
    class Sees(callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append(self.params["steps"])

    seen = []
    for arguments, rows in (
        ({"callbacks": [Sees(), callbacks.EarlyStopping()]}, 90),
        ({"callbacks": [Sees(), callbacks.EarlyStopping()], "validation_split": 0.5}, 50),
        ({"callbacks": [Sees()], "validation_split": 0.2}, 80),
        ({"callbacks": [Sees(), callbacks.EarlyStopping("loss")]}, 100),
        ({"callbacks": [Sees()]}, 100),
    ):
        result = ok(evaluate(context(fit_arguments={"batch_size": 1, "epochs": 1, **arguments}), Task(0, 0, PARAMS)))
        assert seen.pop() == rows
        assert ("val_loss" in result.history) == (rows != 100)


def test_the_inner_split_is_stratified_and_the_same_for_all_trials():
    y = np.arange(N) % 10 == 0
    c = context(y=y, cv=3, fit_arguments={"callbacks": [callbacks.EarlyStopping()], "validation_split": 0.3})
    ok(evaluate(c, Task(0, 0, PARAMS)))
    first = {key: value for key, value in c._once._values.items() if key[0] == "inner"}
    ok(evaluate(c, Task(9, 0, PARAMS)))
    assert first == {key: value for key, value in c._once._values.items() if key[0] == "inner"}
    [(train, inner)] = first.values()
    assert y[inner].sum() == 3
    assert len(inner) == 30
    assert np.array_equal(np.union1d(train, inner), c.folds[0][0])


def test_validation_data_of_ones_own_is_used():
    rows = np.arange(20)
    data = (X[rows], Y[rows])
    c = context(fit_arguments={"validation_data": data, "callbacks": [callbacks.EarlyStopping(patience=99)]})
    result = ok(evaluate(c, Task(0, 0, PARAMS)))
    model = by_hand(c, 0, validation_data=data, callbacks=[callbacks.EarlyStopping(patience=99)])
    assert result.history == model.history.history


def test_weights_follow_their_rows():
    weights = np.linspace(0.1, 3.0, N).astype(np.float32)
    arguments = {"sample_weight": weights, "class_weight": {1: 4.0}}
    c = context(scoring=["loss", "accuracy"], fit_arguments=arguments)
    result = ok(evaluate(c, Task(0, 1, PARAMS, keep_model=True)))
    model = by_hand(c, 1, **arguments)
    assert same(result.model.get_weights(), model.get_weights())
    scored = c.folds[1][1]
    expected = model.evaluate(X[scored], Y[scored], sample_weight=weights[scored], verbose=0)
    assert list(result.scores.values()) == expected
    assert not same(by_hand(c, 1).get_weights(), model.get_weights())


# What goes wrong.


def raises(params):
    if params["units"] > 10:
        raise RuntimeError("too wide")
    return build(params)


def test_a_failure_is_a_result_with_the_users_lines_and_the_parameters():
    params = {"units": 11, "rate": 0.1}
    result = evaluate(context(raises), Task(4, 2, params))
    assert (result.trial, result.fold, result.state) == (4, 2, "failed")
    assert result.scores == {}
    lines = result.error.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "test_evaluation.py" in lines[1]
    assert "in raises" in lines[1]
    assert lines[-2:] == ["RuntimeError: too wide", "params: {'units': 11, 'rate': 0.1}"]
    assert "evaluation.py" not in result.error.replace("test_evaluation.py", "")


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_process_is_raised(kind):
    def ends(params):
        if params["units"] > 10:
            raise kind
        return build(params)

    with pytest.raises(kind):
        evaluate(context(ends), Task(0, 0, {"units": 11, "rate": 0.1}))


@pytest.mark.parametrize("epochs", [1, 3])
def test_divergence_is_no_failure(epochs):
    def steep(params):
        model = fr.Sequential([layers.Dense(4), layers.Dense(1)])
        model.compile(fr.optimizers.SGD(params["rate"]), "mse")
        return model

    c = context(steep, y=1e6 * X[:, 0], params={"rate": 1e-9}, fit_arguments={"epochs": epochs})
    result = evaluate(c, Task(0, 0, {"rate": 1e30}))
    assert result.state == "diverged"
    assert "training diverged at step" in result.error
    assert result.error.endswith("params: {'rate': 1e+30}")
    assert result.scores == {}
    assert result.model is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_none(value):
    result = evaluate(context(scoring={"s": lambda m, x, y: value}), Task(0, 0, PARAMS, keep_model=True))
    assert result.state == "unscored"
    assert result.model is None
    assert "scoring: s must be a finite number, got " in result.error


def test_a_scorer_that_raises_is_a_failure():
    def scorer(model, x, y):
        return 1 / 0

    result = evaluate(context(scoring=scorer), Task(0, 0, PARAMS))
    assert result.state == "failed"
    assert "ZeroDivisionError" in result.error


# Ends.


# Where nothing ends them, they train for a minute and are "ok".
ENDLESS = 10**7


def endless(build=build, **arguments):
    return context(build, fit_arguments={"epochs": ENDLESS, **arguments})


class Built:
    """A build that keeps what it made."""

    def __init__(self):
        self.models = []

    def __call__(self, params):
        self.models.append(build(params))
        return self.models[-1]


def test_a_signal_that_is_set_starts_nothing():
    stop, made = callbacks.StopSignal(), Built()
    c = endless(made)
    made.models.clear()
    assert evaluate(c, Task(0, 0, PARAMS, deadline=Deadline(-1.0))).state == "stopped"
    stop.set()
    assert evaluate(c, Task(0, 0, PARAMS), stop).state == "stopped"
    assert not made.models


def test_a_signal_ends_a_fit_that_runs():
    stop, made = callbacks.StopSignal(), Built()
    c = endless(made)
    made.models.clear()

    def set_within_the_fit():
        end = time.monotonic() + 60  # a fit that never begins fails the test and does not hang it
        while not made.models and time.monotonic() < end:
            time.sleep(0.001)
        if made.models:
            wait_for_fit(made.models[0])
        stop.set()

    thread = threading.Thread(target=set_within_the_fit, daemon=True)
    thread.start()
    result = evaluate(c, Task(0, 0, PARAMS), stop)
    thread.join()
    assert result.state == "stopped"
    assert result.scores == {}
    assert result.epochs < ENDLESS


def test_a_deadline_ends_a_fit_that_runs():
    for work, fold in ((evaluate, 0), (refit, -1)):
        deadline = Deadline(0.2)
        result = work(endless(), Task(0, fold, PARAMS, deadline=deadline))
        assert deadline.is_over, "not before it"
        assert result.state == "stopped"
        assert result.epochs < ENDLESS


def test_a_limit_of_the_users_own_is_no_end_of_the_search():
    c = endless(callbacks=[callbacks.TimeLimit(0.1)])
    result = ok(evaluate(c, Task(0, 0, PARAMS, deadline=Deadline(600.0), keep_model=True)))
    assert result.epochs < ENDLESS
    assert result.model.history.stopped_by == "time_limit"
    scored = c.folds[0][1]
    assert result.scores == {"accuracy": result.model.evaluate(X.astype(np.float32)[scored], Y[scored], verbose=0)[1]}


# Pruning.


class Limits:
    def __init__(self, *values):
        self.values = values

    def of(self, fold):
        return self.values


def test_thresholds_record_the_curve_and_end_the_fold():
    c = context(curves=True)
    plain = ok(evaluate(c, Task(0, 0, PARAMS, thresholds=Limits(), keep_model=True)))
    assert len(plain.curve) == 6
    assert plain.curve == plain.history["val_accuracy"]
    assert plain.curve[-1] == plain.scores["accuracy"]
    assert same(plain.model.get_weights(), by_hand(c, 0).get_weights())
    best = np.maximum.accumulate(plain.curve)
    # As good as the limit passes; beyond the end, and NaN, there is none.
    assert ok(evaluate(c, Task(0, 0, PARAMS, thresholds=Limits(*best)))).epochs == 6
    assert ok(evaluate(c, Task(0, 0, PARAMS, thresholds=Limits(np.nan, np.nan)))).epochs == 6
    result = evaluate(c, Task(0, 0, PARAMS, thresholds=Limits(np.nan, 0.0, best[2] + 1e-6)))
    assert (result.state, result.epochs) == ("pruned", 3)
    assert result.curve == plain.curve[:3]


def test_a_loss_is_pruned_when_it_is_higher():
    c = context(curves=True, scoring="loss")
    plain = ok(evaluate(c, Task(0, 0, PARAMS, thresholds=Limits())))
    lowest = np.minimum.accumulate(plain.curve)
    assert ok(evaluate(c, Task(0, 0, PARAMS, thresholds=Limits(*lowest)))).epochs == 6
    result = evaluate(c, Task(0, 0, PARAMS, thresholds=Limits(*(lowest[:2]), lowest[2] - 1e-6)))
    assert (result.state, result.epochs) == ("pruned", 3)


def test_pruning_watches_the_inner_rows_where_there_is_early_stopping():
    c = context(curves=True, fit_arguments={"callbacks": [callbacks.EarlyStopping(patience=99)]})
    result = ok(evaluate(c, Task(0, 0, PARAMS, thresholds=Limits())))
    [(_, inner)] = [value for key, value in c._once._values.items() if key[0] == "inner"]
    assert not np.intersect1d(inner, c.folds[0][1]).size
    assert all(round(value * len(inner)) == pytest.approx(value * len(inner)) for value in result.curve)


def test_trials_that_are_compared_by_epochs_need_a_score_of_the_core():
    with pytest.raises(ValueError, match="trials are compared epoch by epoch, which 'score' cannot be"):
        context(curves=True, scoring=lambda m, x, y: 1.0)


# Budgets.


@pytest.mark.parametrize("stops", [(2, 6), (1, 2, 3, 6), (6,)])
@pytest.mark.parametrize("sent", [False, True])
def test_a_paused_model_goes_on_exactly(stops, sent):
    c = context()
    whole = ok(evaluate(c, Task(3, 1, PARAMS, keep_model=True)))
    model, start, history = None, 0, []
    for stop in stops:
        result = ok(evaluate(c, Task(3, 1, PARAMS, start, stop, model, keep_model=True)))
        shorter = ok(evaluate(c, Task(3, 1, PARAMS, 0, stop)))
        assert result.scores == shorter.scores
        assert result.epochs == stop
        history += result.history["loss"]
        model, start = pickle.loads(pickle.dumps(result.model)) if sent else result.model, stop
    assert same(model.get_weights(), whole.model.get_weights())
    assert history == whole.history["loss"]
    assert result.scores == whole.scores


@pytest.mark.parametrize(
    "stopping",
    [
        callbacks.EarlyStopping(patience=2),
        callbacks.EarlyStopping(patience=0),
        callbacks.EarlyStopping("val_accuracy", patience=4, min_delta=0.01),
        callbacks.EarlyStopping(patience=3, start_from_epoch=5),
        callbacks.EarlyStopping(patience=5, baseline=0.01),
        callbacks.EarlyStopping(patience=3, restore_best_weights=False),
        callbacks.EarlyStopping("loss", patience=1, mode="max"),
        callbacks.EarlyStopping(patience=1000),
    ],
    ids=repr,
)
@pytest.mark.parametrize("trial", range(3))
def test_early_stopping_is_carried_from_budget_to_budget(stopping, trial):
    params = {"units": 30, "rate": 0.05}
    c = context(params=params, fit_arguments={"epochs": 27, "callbacks": [stopping]})
    whole = ok(evaluate(c, Task(trial, 0, params, keep_model=True)))
    model, start, history = None, 0, []
    for stop in (1, 3, 9, 27):
        result = ok(evaluate(c, Task(trial, 0, params, start, stop, model, keep_model=True)))
        native = ok(evaluate(c, Task(trial, 0, params, 0, stop)))
        assert (result.scores, result.epochs, result.best_epoch) == (native.scores, native.epochs, native.best_epoch)
        history += result.history.get("val_loss", result.history.get("loss", []))
        model, start = pickle.loads(pickle.dumps(result.model)), stop
    assert same(model.get_weights(), whole.model.get_weights())
    assert history == whole.history.get("val_loss", whole.history["loss"])
    assert result.scores == whole.scores
    assert np.array_equal(result.predictions, whole.predictions)


def test_a_callback_keeps_its_state_from_budget_to_budget():
    class Adds(callbacks.Callback):
        def __init__(self):
            self.total = 0

        def on_epoch_end(self, epoch, logs=None):
            self.total += epoch
            self.model.learning_rate = 0.01 / (1 + self.total)

    c = context(fit_arguments={"callbacks": [Adds()]})
    whole = ok(evaluate(c, Task(0, 0, PARAMS, keep_model=True)))
    first = ok(evaluate(c, Task(0, 0, PARAMS, 0, 3, keep_model=True)))
    second = ok(evaluate(c, Task(0, 0, PARAMS, 3, 6, first.model, keep_model=True)))
    assert same(second.model.get_weights(), whole.model.get_weights())


# The whole data.


def test_refit_trains_on_all_rows():
    arguments = {"callbacks": [callbacks.EarlyStopping(), callbacks.EarlyStopping("loss", patience=50)]}
    c = context(preprocess="standard", fit_arguments={**arguments, "epochs": 30, "validation_split": 0.2})
    result = ok(refit(c, Task(5, -1, PARAMS, stop=4)))
    assert result.scores == {}
    assert result.epochs == 4
    assert list(result.history) == ["loss", "accuracy"]
    scaler = Standard().fit(X)
    assert np.array_equal(result.preprocess.transform(X), scaler.transform(X))
    model = build({**PARAMS, "seed": result.model.seed})
    model.fit(scaler.transform(X), Y, epochs=4, batch_size=16, verbose=0, callbacks=[callbacks.EarlyStopping("loss")])
    assert same(result.model.get_weights(), model.get_weights())
    assert result.model.seed not in {seeded(fold, trial=5).seed for fold in range(100)}
    assert ok(refit(c, Task(5, -1, PARAMS, stop=4))).model.seed == result.model.seed
    failed = refit(c, Task(5, -1, {"units": -1, "rate": 0.1}, stop=4))
    assert failed.state == "failed"
