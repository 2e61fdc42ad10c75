"""A compiled model is searched directly: names of parameters, copies that leave the model alone, seeds, resuming."""

import copy

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers
from fastreg.search import GridSearch, GridSearchCV, RandomSearch, SuccessiveHalving, Uniform, When, cross_validate
from fastreg.search.folds.compiled import CompiledModel
from searches import findings, histories, two_classes

X, Y = two_classes()


def compiled(**options):
    model = fr.Sequential([layers.Dense(6, "relu"), layers.Dropout(0.2), layers.Dense(1, "sigmoid")], **options)
    model.compile("adam", "binary_crossentropy", ["accuracy"])
    return model


def searched(build, space, search=GridSearch, **options):
    given = {"cv": 3, "seed": 0, "verbose": 0, "n_jobs": 1, **options}
    return search(build, space, **given).fit(X, Y, epochs=2)


def test_each_name_reaches_what_it_names():
    by_hand = {
        "learning_rate": lambda made, given: made.optimizer.learning_rate,
        "optimizer__beta_1": lambda made, given: made.optimizer.beta_1,
        "batch_size": lambda made, given: given["batch_size"],
        "fit__epochs": lambda made, given: given["epochs"],
        "loss__label_smoothing": lambda made, given: made.loss.label_smoothing,
        "dropout__rate": lambda made, given: made.layers[1].rate,
        "dense__units": lambda made, given: made.layers[0].units,
        "dense_1__use_bias": lambda made, given: made.layers[2].use_bias,
        "compile__loss_weights": lambda made, given: made._core.loss_weights[0],
    }
    params = {
        "learning_rate": 0.5, "optimizer__beta_1": 0.25, "batch_size": 7, "fit__epochs": 3,
        "loss__label_smoothing": 0.125, "dropout__rate": 0.75, "dense__units": 3, "dense_1__use_bias": False,
        "compile__loss_weights": [2.0],
    }  # fmt: skip
    made, given = CompiledModel(compiled())(params)
    assert {name: read(made, given) for name, read in by_hand.items()} == params | {"compile__loss_weights": 2.0}
    assert sorted(given) == ["batch_size", "epochs"]
    assert type(made.optimizer.description).__name__ == "Adam"
    assert [m.name for m in made.metrics] == ["accuracy"]


def test_the_optimizer_and_the_loss_of_a_trial_get_their_fields():
    build = CompiledModel(compiled())
    made, _ = build({"optimizer": fr.optimizers.SGD(0.1, momentum=0.5), "learning_rate": 0.3})
    assert made.optimizer.description == fr.optimizers.SGD(0.3, momentum=0.5)
    made, _ = build({"loss": "binary_focal_crossentropy", "loss__gamma": 3.0})
    assert made.loss == fr.losses.BinaryFocalCrossentropy(gamma=3.0)
    made, _ = build({"metrics": ["auc"]})
    assert [metric.name for metric in made.metrics] == ["auc"]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"learning_rte": [1.0]}, r"no parameter 'learning_rte'.*Adam.*learning_rate.*did you mean 'learning_rate'"),
        ({"momentum": [0.5]}, r"no parameter 'momentum'; known: of compile optimizer.* of fit batch_size"),
        ({"optimizer": ["sgd", "adam"], "momentum": [0.5]}, r"no parameter 'momentum'.*When"),
        ({"dense__unit": [2]}, r"no parameter 'dense__unit'; known: of dense .*did you mean 'units'"),
        ({"denser__units": [2]}, r"no parameter 'denser__units'; .*name of a layer \(dense, dropout, dense_1\)"),
        ({"epochs": [1], "fit__epochs": [2]}, "'fit__epochs' is given twice"),
        ({"rows": [[1]]}, "no parameter 'rows'"),
        ({"verbose": [1]}, "no parameter 'verbose'"),
    ],
)
def test_unknown_names_end_the_search_before_it_begins(space, message):
    with pytest.raises(ValueError, match=message):
        searched(compiled(), space)


def test_a_parameter_may_depend_on_the_optimizer():
    space = {"optimizer": ["sgd", "adam"], "momentum": When("optimizer", "sgd", [0.0, 0.9])}
    assert searched(compiled(), space).n_trials_ == 3


def test_the_model_is_not_changed():
    model = compiled(seed=3)
    model.fit(X, Y, epochs=1, verbose=0)
    before, weights, history = copy.deepcopy(model), model.get_weights(), model.history
    found = searched(model, {"learning_rate": [0.1, 0.01], "dense__units": [2]})
    assert all(map(np.array_equal, model.get_weights(), weights))
    assert (model.optimizer.learning_rate, model.layers[0].units, model.history) == (0.001, 6, history)
    model.fit(X, Y, epochs=1, verbose=0)
    before.fit(X, Y, epochs=1, verbose=0)
    assert all(map(np.array_equal, model.get_weights(), before.get_weights())), "moments and steps are its own"
    assert found.best_model_ is not model
    assert found.best_model_.layers[0].units == 2


def test_a_search_does_not_depend_on_what_the_model_has_learnt_or_on_its_seed():
    fitted = compiled(seed=3)
    fitted.fit(X, Y, epochs=3, verbose=0)
    space = {"learning_rate": [0.1, 0.01], "batch_size": [16, 32]}
    one, other = searched(compiled(seed=8), space), searched(fitted, space)
    assert findings(one) == findings(other)
    assert histories(one) == histories(other)
    assert all(map(np.array_equal, one.best_model_.get_weights(), other.best_model_.get_weights()))


def test_it_is_a_search_of_the_function_that_one_would_write():
    def build(params):
        model = fr.Sequential([layers.Dense(6, "relu"), layers.Dropout(0.2), layers.Dense(1, "sigmoid")])
        model.compile(fr.optimizers.Adam(params["learning_rate"]), "binary_crossentropy", ["accuracy"])
        return model, {"batch_size": params["batch_size"]}

    space = {"learning_rate": [0.1, 0.01], "batch_size": [16, 32]}
    ours, by_hand = searched(compiled(), space), searched(build, space)
    assert findings(ours) == findings(by_hand)
    assert histories(ours) == histories(by_hand)


@pytest.mark.parametrize("options", [{"n_jobs": 3}, {"n_jobs": 2, "executor": "processes"}, {"n_jobs": None}])
def test_any_number_of_workers_finds_the_same(options):
    space = {"learning_rate": Uniform(0.001, 0.1), "batch_size": [16, 32]}
    alone = searched(compiled(), space, RandomSearch, n_trials=4)
    several = searched(compiled(), space, RandomSearch, n_trials=4, **options)
    assert findings(alone) == findings(several)
    assert histories(alone) == histories(several)


def test_a_journal_recognises_the_model(tmp_path):
    space, path = {"learning_rate": [0.1, 0.01]}, tmp_path / "j"
    whole = searched(compiled(), space, journal=path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(True)[:4]))
    resumed = searched(compiled(), space, journal=path, resume=True)
    assert findings(whole) == findings(resumed)
    changed = fr.Sequential([layers.Dense(5, "relu"), layers.Dropout(0.2), layers.Dense(1, "sigmoid")])
    changed.compile("adam", "binary_crossentropy", ["accuracy"])
    with pytest.raises(ValueError, match="other layers"):
        searched(changed, space, journal=path, resume=True)


def test_a_pruner_and_functional_models():
    inputs = fr.Input((5,))
    model = fr.Model(inputs, layers.Dense(1, "sigmoid")(layers.Dense(4, "tanh")(inputs)))
    model.compile("adam", "binary_crossentropy", ["accuracy"])
    found = GridSearch(model, {"learning_rate": [0.1, 0.01, 0.001, 1.0]}, pruner=SuccessiveHalving(1, 2), cv=2, seed=0,
                       verbose=0).fit(X, Y, epochs=4)
    assert type(found.best_model_) is fr.Model
    assert (found.results_["state"] == "pruned").sum() == 3
    with pytest.raises(ValueError, match="no parameter 'dense__units'"):
        searched(model, {"dense__units": [3]})


def test_models_that_cannot_be_searched():
    with pytest.raises(ValueError, match="must be compiled"):
        searched(fr.Sequential([layers.Dense(1)]), {"batch_size": [2]})
    with pytest.raises(TypeError, match="build: must be a compiled model, a function"):
        searched(3, {"batch_size": [2]})


def test_weighted_metrics_and_loss_weights_are_kept():
    model = compiled()
    model.compile("adam", "binary_crossentropy", ["accuracy"], loss_weights=[2.0], weighted_metrics=["auc"])
    made, _ = CompiledModel(model)({"learning_rate": 0.1})
    assert [metric.name for metric in made.metrics] == [metric.name for metric in model.metrics]
    assert made._core.loss_weights == (2.0,)
    once = cross_validate(model, X, Y, cv=2, seed=0, scoring=["accuracy", "auc"], sample_weight=np.ones(len(X)))
    assert once["test_auc"].shape == (2,)


def test_cross_validate_takes_the_same_names():
    model = compiled(seed=1)
    slow = cross_validate(model, X, Y, cv=2, seed=0, epochs=2, params={"learning_rate": 1e-6})
    fast = cross_validate(model, X, Y, cv=2, seed=0, epochs=2, params={"learning_rate": 0.1, "batch_size": 8})
    assert slow["histories"] != fast["histories"]
    model.compile(fr.optimizers.Adam(1e-6), "binary_crossentropy", ["accuracy"])
    again = cross_validate(model, X, Y, cv=2, seed=0, epochs=2)
    assert again["histories"] == slow["histories"]




def test_the_names_of_arguments():
    space = {"learning_rate": [0.1, 0.01]}
    usual = searched(compiled(), space)
    for search in (
        GridSearch(estimator=compiled(), param_grid=space, cv=3, seed=0, verbose=0),
        GridSearchCV(estimator=compiled(), param_grid=space, cv=3, seed=0),
        GridSearchCV(compiled(), space, cv=3, seed=0, n_jobs=1),
    ):
        assert findings(search.fit(X, Y, epochs=2)) == findings(usual)
    for bad in ({}, {"build": compiled(), "estimator": compiled(), "space": space}, {"build": compiled()}):
        with pytest.raises(TypeError, match=r"GridSearch: (build|space) \(or .*\) must be given once, but is"):
            GridSearch(**bad)
