"""Mistakes in arguments, names and parameters that a search finds before its first trial."""

import pickle

import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks, layers
from fastreg.search import GridSearch, SuccessiveHalving, nested_cross_validate
from fastreg.search.folds.dry_run import make_context
from fastreg.search.folds.evaluation import Context
from search_folds import PARAMS, X, Y, build, context


def wide(params):
    model = fr.Sequential([fr.Input((4,)), layers.Dense(params["units"]), layers.Dense(1)])
    model.compile(fr.optimizers.Adam(params["rate"]), "mse")
    return model


def raises(params):
    if params["units"] > 10:
        raise RuntimeError("too wide")
    return build(params)



def with_layers(params):
    model = fr.Sequential([layers.Dense(params["units"], "relu") for _ in range(params["depth"])])
    model.add(layers.Dense(1))
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"build": None}, TypeError, "build: must be a compiled model, a function of the parameters, or .*got None"),
        ({"build": lambda p: None}, TypeError, "build: must return a compiled model.*is its return missing"),
        ({"build": lambda p: fr.Sequential([layers.Dense(1)])}, ValueError, "build: the model must be compiled"),
        ({"build": lambda p: fr.Sequential()}, ValueError, "build: the model has no layers"),
        ({"build": lambda p: build({"units": p["unit"], "rate": 1})}, KeyError, "unit"),
        ({"params": {**PARAMS, "batch_size": 3}}, ValueError, r"'batch_size' of .* is never read.*return \(model, "),
        ({"params": {**PARAMS, "sed": 3}}, ValueError, "'sed' .* asks for 'seed' in vain .did you mean 'seed'"),
        ({"scoring": "acuracy"}, ValueError, "scoring: unknown name 'acuracy'.*did you mean 'accuracy'"),
        ({"fit_arguments": {"epoch": 3}}, TypeError, "fit: unknown argument 'epoch'.*did you mean 'epochs'"),
        ({"fit_arguments": {"rows": [1]}}, ValueError, "fit: rows is set by the search"),
        ({"fit_arguments": {"verbose": 3}}, ValueError, "fit: verbose must be 0, 1 or 2, got 3"),
        ({"build": lambda p: (build(p), {"verbose": "loud"})}, TypeError, "verbose must be an integer, got 'loud'"),
        ({"fit_arguments": {"epochs": 0}}, ValueError, "fit: epochs must be >= 1, got 0"),
        (
            {"fit_arguments": {"validation_split": 0.2, "validation_data": (X, Y)}},
            ValueError,
            "fit: give validation_data or validation_split, not both",
        ),
        (
            {"fit_arguments": {"callbacks": [callbacks.EarlyStopping("val_acc")]}},
            ValueError,
            "EarlyStopping: unknown monitor 'val_acc'; the model has: loss, accuracy, val_loss, .*mean 'val_accuracy'",
        ),
        ({"fit_arguments": {"callbacks": [callbacks.EarlyStopping]}}, TypeError, "did you forget the parentheses"),
        ({"early_stopping_on": "test"}, ValueError, "unknown early_stopping_on 'test'; known: fold, inner"),
        ({"x": X[:100]}, ValueError, "X and y must have as many rows, got 100 and 150"),
        ({"x": X[:, 0]}, ValueError, "X: must be 2-D"),
        ({"cv": 1}, ValueError, "cv: an int must be >= 2"),
        ({"x": np.where(X > 3, np.nan, X)}, ValueError, "X: must be finite numbers, got NaN in column"),
        ({"x": X.astype(str)}, TypeError, "X: must be numbers"),
        ({"y": Y + 1}, ValueError, r"y: binary_crossentropy needs targets in \[0, 1\], got 2.0"),
        ({"y": np.stack([Y, Y], axis=1)}, ValueError, r"needs shape \(150, 1\), got \(150, 2\)"),
        ({"y": np.array(["a", "b", "c"])[Y + np.arange(150) % 2]}, ValueError, "y: .* one output.* got 3 diff"),
        ({"y": ["a", *Y[1:].tolist()]}, TypeError, "y: labels must all be strings, or all be integers, got . in row 1"),
        ({"fit_arguments": {"sample_weight": np.ones(3)}}, ValueError, r"sample_weight: must have shape \(150,\)"),
        ({"fit_arguments": {"sample_weight": -np.ones(150)}}, ValueError, "sample_weight: must be >= 0, got -1.0"),
        ({"x": X[:, :2], "build": lambda p: wide(p)}, ValueError, "X: the network takes 4 features, got 2"),
    ],
)
def test_mistakes_are_found_before_the_first_trial(change, kind, message):
    with pytest.raises(kind, match=message):
        context(**change)


@pytest.mark.parametrize(
    "reads",
    [
        lambda p: build(dict(p)),
        lambda p: build({**p}),
        lambda p: build(p | {}),
        lambda p: build({} | p),
        lambda p: build(p.copy()),
        lambda p: (lambda **kw: build(kw))(**p),
        lambda p: build({name: p[name] for name, _ in p.items()}),
        lambda p: build({"units": p.pop("units"), "rate": p.get("rate")}),
        lambda p: build(dict(zip(p, p.values(), strict=True))),
        lambda p: build(pickle.loads(pickle.dumps(dict(p)))),
    ],
)
def test_every_way_to_read_a_parameter_counts(reads):
    assert isinstance(context(reads), Context)


def test_a_parameter_that_only_some_models_read_is_fine():
    samples = [{"units": 1, "depth": 0}, {"units": 2, "depth": 1}]
    make_context(with_layers, samples, X, X[:, 0])
    with pytest.raises(ValueError, match="'units' of the space is never read"):
        make_context(with_layers, samples[:1], X, X[:, 0])
    make_context(with_layers, samples[:1], X, X[:, 0], gates=["units"])


def test_a_build_that_fails_for_some_parameters_is_fine():
    samples = [{"units": 11, "rate": 0.1}, PARAMS]
    assert isinstance(make_context(raises, samples, X, Y), Context)
    with pytest.raises(RuntimeError, match="too wide"):
        make_context(raises, samples[:1], X, Y)


def test_mistakes_with_estimators():
    sklearn = pytest.importorskip("sklearn.linear_model")
    with pytest.raises(ValueError, match=r"build: Ridge has no parameter 'alpa'; known: .*did you mean 'alpha'"):
        make_context(sklearn.Ridge(), [{"alpa": 1.0}], X, Y)
    with pytest.raises(TypeError, match=r"fit: Ridge.fit has no argument 'epochs'; known: sample_weight"):
        make_context(sklearn.Ridge(), [{"alpha": 1.0}], X, Y, fit_arguments={"epochs": 3})
    with pytest.raises(ValueError, match="the space holds no parameters"):
        make_context(sklearn.Ridge(), [], X, Y)


@pytest.mark.parametrize("verbose", [0, 1, 2, "auto", True])
@pytest.mark.parametrize("giver", ["fit", "build"])
@pytest.mark.parametrize("pruner", [None, SuccessiveHalving(1, factor=2)])
def test_verbose_is_that_of_the_fit_on_all_rows(verbose, giver, pruner, capfd):
    """It goes to the fit that the search ends with, once; the folds show nothing."""
    given = {"verbose": verbose}
    made = (lambda p: (build(p), given)) if giver == "build" else build
    space = {"units": [2, 3, 4], "rate": [0.1]}
    search = GridSearch(made, space, cv=2, seed=0, verbose=0, n_jobs=1, pruner=pruner)
    search.fit(X, Y, epochs=4, **(given if giver == "fit" else {}))
    assert len(search.best_model_.history.epoch) == 4
    shown = capfd.readouterr().err
    assert bool(shown) == bool(verbose)
    assert shown.count("4/4") <= 1


def test_nested_cross_validation_takes_verbose(capfd):
    search = GridSearch(build, {"units": [2, 3], "rate": [0.1]}, cv=2, seed=0, verbose=0, n_jobs=1)
    assert len(nested_cross_validate(search, X, Y, cv=2, epochs=2, verbose=0)["test_score"]) == 2
    assert capfd.readouterr().err == ""


def test_verbose_makes_no_other_search(tmp_path):
    def go(**given):
        search = GridSearch(build, {"units": [2, 3], "rate": [0.1]}, cv=2, seed=0, verbose=0, journal=tmp_path / "j",
                            resume=True)
        return search.fit(X, Y, epochs=2, **given).results_["mean_test_score"].tolist()

    assert go(verbose=0) == go() == go(verbose=0)
    with pytest.raises(ValueError, match=r"what differs: fit \(batch_size: None there, 7 here\)"):
        go(batch_size=7, verbose=1)


def test_arguments_of_keras_are_taken_at_their_idle_values():
    """As the models' own ``fit`` takes them, and they go on to it."""
    given = {"validation_batch_size": None, "steps_per_epoch": None, "epochs": 2}
    search = GridSearch(build, {"units": [4, 8], "rate": [0.1]}, cv=2, verbose=0, seed=0)
    assert search.fit(X, Y, **given).n_trials_ == 2
    assert search.fit(X, Y, **(given | {"steps_per_epoch": 1})).n_trials_ == 2
