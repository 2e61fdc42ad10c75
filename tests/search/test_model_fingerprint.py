"""A search continues from a journal only with the models that it has scores of: fingerprints detect a changed build."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cases
import fastreg as fr
import fingerprinted
import numpy as np
import pytest
from fastreg import callbacks, initializers, layers, losses, metrics, optimizers, regularizers, schedules
from fastreg.internal.description import Description
from fastreg.search import GridSearch, LogUniform, RandomSearch, SuccessiveHalving
from fastreg.search.folds import model_fingerprint as described
from fastreg.search.folds.cross_validation import KFold
from fastreg.search.folds.model_fingerprint import Fingerprint, agreed
from programs import HELPERS
from searches import Scored, findings, two_classes

X, Y = two_classes()
ANOTHER = r"has scores of trial \d+, of another model than build now gives for its parameters"


def network(
    units=4, activation="relu", hidden=None, rate=0.05, loss="binary_crossentropy", watched=("accuracy",), **more
):
    """What the tests vary: a build, every part of which can be another."""

    def build(params):
        first = layers.Dense(units, activation, **more) if hidden is None else hidden
        model = fr.Sequential([first, layers.Dense(1, "sigmoid")])
        optimizer = optimizers.Adam(params["lr"] * rate) if isinstance(rate, float) else rate
        model.compile(optimizer, loss, list(watched))
        params["lr"]  # read, even where another rate is used
        return model

    return build


def go(build, path, resume=False, space=None, search=RandomSearch, n_trials=2, fit=None, **options):
    given = {"cv": 2, "scoring": None, "seed": 0, "verbose": 0, "n_jobs": 1, "refit": False, **options}
    if search is RandomSearch:
        given["n_trials"] = n_trials
    found = search(build, space or {"lr": LogUniform(0.1, 1.0)}, journal=path, resume=resume, **given)
    return found.fit(X, Y, **({"epochs": 2} if fit is None else fit))


def refuses(before, after, path, **options):
    go(before, path, **options)
    written = path.read_bytes()
    with pytest.raises(ValueError, match=ANOTHER):
        go(after, path, resume=True, **options)
    assert path.read_bytes() == written, "nothing is written to the journal of another model"


def later(step):
    """A schedule of one's own."""
    return 0.05 / (1 + step)


CHANGED = {
    "width": network(5),
    "activation": network(activation="tanh"),
    "a small penalty": network(kernel_regularizer=regularizers.L2(1e-9)),
    "no bias": network(use_bias=False),
    "initializer": network(kernel_initializer="he_normal"),
    "a penalty": network(kernel_regularizer=regularizers.L1(1e-3, proximal=True)),
    "another layer": network(hidden=layers.Dropout(0.5)),
    "rate": network(rate=0.06),
    "schedule": network(rate=optimizers.Adam(schedules.CosineDecay(0.05, 100))),
    "function for a schedule": network(rate=optimizers.Adam(later)),
    "beta": network(rate=optimizers.Adam(0.05, beta_1=0.8)),
    "optimizer": network(rate=optimizers.SGD(0.05)),
    "clipping": network(rate=optimizers.Adam(0.05, clipnorm=1.0)),
    "loss": network(loss="mse", watched=(metrics.BinaryAccuracy("accuracy"),)),
    "arguments of fit": lambda params: (network()(params), {"batch_size": 16}),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_changed_build_is_refused(name, tmp_path):
    # The loss decides whether folds are stratified; where they are not, that is said first.
    refuses(network(), CHANGED[name], tmp_path / "j", cv=KFold(2, stratified=False))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("width", "layers"),
        ("clipping", "optimizer"),
        ("loss", "loss"),
        ("arguments of fit", "arguments of fit"),
        ("both", "layers and optimizer"),
    ],
)
def test_the_message_says_which_part_differs(name, parts, tmp_path):
    go(network(), tmp_path / "j", cv=KFold(2, stratified=False))
    changed = CHANGED.get(name, network(5, rate=0.06))
    with pytest.raises(ValueError, match=rf"its parameters {{.*}}, with other {parts}: its fingerprint is"):
        go(changed, tmp_path / "j", resume=True, cv=KFold(2, stratified=False))


def test_a_fingerprint_of_an_older_journal_tells_no_parts(tmp_path):
    """It is still the same model's or another's."""
    go(network(), tmp_path / "j")
    records = lines(tmp_path / "j")
    for line in records:
        del line["crc32"]
        if "fingerprint" in line:
            line["fingerprint"] = line["fingerprint"][:32]
    (tmp_path / "j").write_text("".join(json.dumps(line) + "\n" for line in records))
    go(network(), tmp_path / "j", resume=True)
    with pytest.raises(ValueError, match=r"its parameters {.*}: its fingerprint is"):
        go(network(5), tmp_path / "j", resume=True)


def test_two_functions_for_a_schedule_differ_by_their_rates(tmp_path):
    def build(power):
        return network(rate=optimizers.Adam(lambda step: 0.05 / (1 + step) ** power))

    refuses(build(1), build(2), tmp_path / "j")
    go(build(2), tmp_path / "k")
    go(build(2), tmp_path / "k", resume=True)


def test_a_schedule_may_end_with_the_training(tmp_path):
    def build(params):
        rates = [0.05 * params["lr"]] * 100
        return network(rate=optimizers.Adam(lambda step: rates[step]))(params)

    go(build, tmp_path / "j")
    go(build, tmp_path / "j", resume=True)


def with_an_input(params):
    model = network()(params)
    wider = fr.Sequential([fr.Input((5,)), *model.layers], seed=3, name="another")
    wider.compile(model.optimizer, model.loss, model.metrics)
    return wider


SAME = {
    "itself": network(),
    "defaults in full": network(use_bias=True, kernel_initializer=initializers.GlorotUniform(), bias_regularizer=None),
    "a description for a name": network(loss=losses.BinaryCrossentropy()),
    "names of layers": network(name="first"),
    "seed, name and input": with_an_input,
    "a further metric": network(watched=("accuracy", "mse")),
    "a rate that stays": lambda params: network(rate=optimizers.Adam(schedules.Constant(params["lr"] * 0.05)))(params),
    "defaults of fit": lambda params: (network()(params), {"batch_size": 32, "shuffle": True, "validation_split": 0}),
    "what the search gives, too": lambda params: (network()(params), {"epochs": 2}),
    "what a fit shows": lambda params: (network()(params), {"verbose": 2}),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_model_in_other_words_goes_on(name, tmp_path):
    before = go(network(), tmp_path / "j")
    after = go(SAME[name], tmp_path / "j", resume=True, n_trials=3)
    assert [trial.scores for trial in after.trials_[:2]] == [trial.scores for trial in before.trials_]
    assert after.n_trials_ == 3


def weighing(weights):
    return lambda params: (network()(params), {"class_weight": weights})


def test_numbers_that_are_equal_are_one_to_fit(tmp_path):
    go(weighing({0: 1, 1: 2}), tmp_path / "j")
    assert go(weighing({0: 1.0, np.int64(1): np.float32(2)}), tmp_path / "j", resume=True, n_trials=3).n_trials_ == 3
    refuses(weighing({0: 1, 1: 2}), weighing({0: 1, 1: 2.5}), tmp_path / "k")


def test_a_default_that_overrides_what_the_search_gives_counts(tmp_path):
    refuses(network(), lambda p: (network()(p), {"batch_size": 32}), tmp_path / "j", fit={"batch_size": 16})


def test_a_metric_that_is_scored_may_be_compiled_or_not(tmp_path):
    go(network(watched=()), tmp_path / "j", scoring="accuracy")
    assert go(network(), tmp_path / "j", scoring="accuracy", resume=True, n_trials=3).n_trials_ == 3


class Looks(callbacks.Callback):
    """May go by any value."""


@pytest.mark.parametrize("watcher", [callbacks.EarlyStopping("watched", mode="min"), Looks()])
def test_a_metric_that_callbacks_go_by_counts(watcher, tmp_path):
    before, after = (
        network(watched=("accuracy", kind("watched"))) for kind in (metrics.MeanSquaredError, metrics.MeanAbsoluteError)
    )
    fit = {"epochs": 2, "callbacks": [watcher]}
    refuses(before, after, tmp_path / "j", scoring="accuracy", fit=fit)


def test_zeros_of_any_sign_are_weights_of_its_own(tmp_path):
    def zero(params):
        model = network()(params)
        model.build(5)
        model.set_weights([weight * 0 for weight in model.get_weights()])
        return model

    refuses(network(), zero, tmp_path / "j")
    go(zero, tmp_path / "k")
    assert go(zero, tmp_path / "k", resume=True, n_trials=3).n_trials_ == 3


def test_a_penalty_has_one_fingerprint_under_all_its_names():
    of = [Fingerprint().of(None, {"x": made}) for made in (regularizers.L2(0.1), regularizers.L1L2(0.0, 0.1))]
    assert of[0] == of[1]
    assert of[0] != Fingerprint().of(None, {"x": regularizers.L1(0.1)})


def test_the_metric_behind_a_name_counts(tmp_path):
    """Both are scored as "watched", in the same direction."""
    squared, absolute = metrics.MeanSquaredError("watched"), metrics.MeanAbsoluteError("watched")
    refuses(network(watched=(squared,)), network(watched=(absolute,)), tmp_path / "j", scoring="watched")


def lines(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_every_fold_has_the_fingerprint_of_its_trial(tmp_path):
    space = {"lr": [0.1, 0.2], "units": [2, 3]}

    def build(params):
        return network(params["units"])(params)

    go(build, tmp_path / "j", space=space, search=GridSearch)
    seen = {}
    for line in lines(tmp_path / "j")[1:]:
        assert set(line["fingerprint"]) <= set("0123456789abcdef")
        assert len(line["fingerprint"]) == 32 + 6 * 4
        seen.setdefault(line["trial"], set()).add(line["fingerprint"])
    assert [len(found) for found in seen.values()] == [1] * 4
    assert len(set.union(*seen.values())) == 4


def test_budgets_that_follow_have_it_too(tmp_path):
    options = {"pruner": SuccessiveHalving(1, factor=2), "n_trials": 4, "fit": {"epochs": 4}}
    found = go(network(), tmp_path / "j", **options)
    written = lines(tmp_path / "j")[1:]
    assert len({line["stop"] for line in written}) > 1
    assert all(line["fingerprint"] for line in written)
    again = go(network(), tmp_path / "j", resume=True, **options)
    assert findings(again) == findings(found)
    with pytest.raises(ValueError, match=ANOTHER):
        go(network(5), tmp_path / "j", resume=True, **options)


def test_older_journals_go_on(tmp_path):
    """They do not say which models they have scores of."""
    path = tmp_path / "j"
    go(network(), path)
    head, *folds = lines(path)
    for line in (head, *folds):
        del line["crc32"]
        line.pop("fingerprint", None)
    path.write_text("".join(json.dumps(line) + "\n" for line in (head, *folds)))
    found = go(network(5), path, resume=True, n_trials=3)
    assert found.n_trials_ == 3
    with pytest.raises(ValueError, match="has scores of trial 2, of another"):  # the one that was added says it
        go(network(), path, resume=True, n_trials=3)


def test_a_wider_search_takes_no_scores_of_another_model(tmp_path):
    path = tmp_path / "j"
    go(network(), path)
    written = path.read_bytes()
    wider = {"lr": LogUniform(0.01, 1.0)}
    with pytest.raises(ValueError, match=ANOTHER):
        go(network(5), path, resume=True, space=wider)
    assert path.read_bytes() == written
    assert go(network(), path, resume=True, space=wider, n_trials=4).n_trials_ == 4


def test_a_build_that_now_raises_is_refused(tmp_path):
    def raises(params):
        if params["lr"] < 0.2:
            raise RuntimeError("too slow")
        return network()(params)

    space = {"lr": [0.3, 0.1]}
    go(network(), tmp_path / "j", space=space, search=GridSearch)
    with pytest.raises(ValueError, match=r"scores of trial 1, .*build gives an error \(RuntimeError: too slow\)"):
        go(raises, tmp_path / "j", space=space, search=GridSearch, resume=True)


def test_a_trial_that_could_not_be_built_stays(tmp_path):
    def raises(params):
        if params["lr"] < 0.2:
            raise RuntimeError("too slow")
        return network()(params)

    space = {"lr": [0.3, 0.1]}
    for resume in (False, True):
        found = go(raises, tmp_path / "j", space=space, search=GridSearch, resume=resume)
        assert [trial.state for trial in found.trials_] == ["ok", "failed"]
    assert lines(tmp_path / "j")[-1]["fingerprint"] is None


def test_a_build_that_draws_at_random_goes_on(tmp_path):
    """What is another model at every call cannot be recognised; such folds have no fingerprint."""
    rng = np.random.default_rng(0)

    def build(params):
        return network(hidden=layers.Dropout(rng.random()))(params)

    go(build, tmp_path / "j")
    assert {line["fingerprint"] for line in lines(tmp_path / "j")[1:]} == {None}
    assert go(build, tmp_path / "j", resume=True, n_trials=3).n_trials_ == 3


def test_weights_from_a_file_count(tmp_path):
    saved = []
    for epochs in (1, 2):
        model = network()({"lr": 1.0})
        model.fit(X, Y, epochs=epochs, verbose=0)
        saved.append(tmp_path / f"{epochs}.safetensors")
        model.save(saved[-1])

    def loads(path):
        def build(params):
            model = fr.load(path)
            model.compile(optimizers.Adam(params["lr"] * 0.05), "binary_crossentropy", ["accuracy"])
            return model

        return build

    refuses(loads(saved[0]), loads(saved[1]), tmp_path / "j")
    assert go(loads(saved[0]), tmp_path / "j", resume=True, n_trials=3).n_trials_ == 3


def test_weights_of_which_the_seed_draws_some_do_not_count_but_layers_do(tmp_path):
    """A first layer that was trained before, and a last one that is new."""
    trained = network()({"lr": 1.0})
    trained.fit(X, Y, verbose=0)
    first = trained.get_weights()[:2]

    def build(params, units=1):
        model = network()(params)
        model.build(5)
        model.set_weights([*first, *model.get_weights()[2:]])
        return (model, {"batch_size": 32 * units})

    go(build, tmp_path / "j")
    assert go(build, tmp_path / "j", resume=True, n_trials=3).n_trials_ == 3
    with pytest.raises(ValueError, match=ANOTHER):
        go(lambda params: build(params, 2), tmp_path / "j", resume=True, n_trials=3)


def test_weights_that_the_seed_draws_do_not_count(tmp_path):
    def build(params):
        model = network()(params)
        model.build(5)
        return model

    go(build, tmp_path / "j")
    assert go(build, tmp_path / "j", resume=True, n_trials=3).n_trials_ == 3


# Estimators.


class Chosen:
    """An estimator with parameters, one of which is its model's own affair."""

    def __init__(self, a=0.0, depth=3, random_state=None):
        self.a, self.depth, self.random_state = a, depth, random_state

    def get_params(self, deep=True):
        return {"a": self.a, "depth": self.depth, "random_state": self.random_state}

    def set_params(self, **params):
        vars(self).update(params)
        return self

    def fit(self, x, y):
        return self

    def score(self, x, y):
        return self.a


def test_estimators_are_told_apart_by_class_and_parameters(tmp_path):
    def made(kind=Chosen, **more):
        return lambda params: kind(params["lr"], **more)

    refuses(made(), made(depth=4), tmp_path / "j", fit={})
    refuses(made(), lambda params: Scored(params["lr"]), tmp_path / "k", fit={})
    go(made(depth=3, random_state=5), tmp_path / "j", fit={}, resume=True)


def test_an_estimator_that_is_given_is_told_apart_where_its_text_is_not(tmp_path):
    refuses(Chosen(), Chosen(depth=4), tmp_path / "j", fit={}, space={"a": LogUniform(0.1, 1.0)})


def test_pipelines_of_scikit_learn(tmp_path):
    linear = pytest.importorskip("sklearn.linear_model")
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def made(**scaling):
        return lambda params: make_pipeline(StandardScaler(**scaling), linear.LogisticRegression(C=params["lr"]))

    refuses(made(), made(with_mean=False), tmp_path / "j", fit={})
    go(made(with_mean=True), tmp_path / "j", fit={}, resume=True)


# What a fingerprint is.


def test_descriptions_at_their_defaults_say_no_more_than_they_must():
    found = {kind: described._described(kind(**cases.needed(kind))) for kind in cases.FIRST}
    assert {layers.Dense, layers.BatchNormalization, optimizers.Adam, schedules.CosineDecay} <= found.keys()
    for kind, form in found.items():
        if kind not in (regularizers.L1, regularizers.L2):  # their defaults are not those of L1L2, which they stand for
            assert set(form) == {"type", *cases.needed(kind)}, form


def test_an_option_of_a_later_version_changes_nothing():
    @dataclass(frozen=True)
    class Thing(Description):
        size: int
        rate: float = 0.5

    old, old_changed = Thing(3), Thing(3, 0.25)

    @dataclass(frozen=True)
    class Thing(Description):
        size: int
        rate: float = 0.5
        trainable: bool = True

    of = Fingerprint().of
    assert of(old, {}) == of(Thing(3), {})
    assert of(old_changed, {}) == of(Thing(3, 0.25), {})
    assert of(old, {}) != of(Thing(3, trainable=False), {})
    assert of(old, {}) != of(old_changed, {})


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, 1.0), (1, True), ("1", 1), (None, "None"), (float("nan"), None), (float("inf"), "inf"), ([1], [1, 2]),
        ({"a": 1}, {"a": 2}), ({1, 2}, {1, 3}), (np.arange(3), np.arange(4)), (Chosen(1.0), Chosen(2.0)), (len, max),
        (Chosen, Scored), (callbacks.EarlyStopping(patience=1), callbacks.EarlyStopping(patience=2)),
    ],
)  # fmt: skip
def test_arguments_that_differ_have_different_fingerprints(a, b):
    of, model = Fingerprint().of, Chosen()
    assert of(model, {"x": a}) != of(model, {"x": b})
    assert of(model, {"x": a}) == of(model, {"x": a})
    assert of(model, {"x": [{"y": a}]}) != of(model, {"x": [{"y": b}]})


def test_a_circle_of_objects_ends():
    loop = []
    loop.append(loop)
    assert Fingerprint().of(Chosen(), {"x": loop}) == Fingerprint().of(Chosen(), {"x": loop})


def test_what_differs_at_every_call_is_random():
    pairs = [(network(n)({"lr": 1.0}), {}) for n in (4, 4, 5)]
    assert agreed(pairs[0], pairs[1]) == Fingerprint()
    assert agreed(pairs[0], pairs[2]) is None
    pairs[0][0].fit(X, Y, verbose=0)
    assert agreed(pairs[0], pairs[0]) == Fingerprint(weights=True)
    assert agreed(pairs[0], pairs[1]) == Fingerprint(), "another call did not have these weights"


@pytest.mark.parametrize("hash_seed", ["1", "2", "3"])
def test_it_is_the_same_in_every_process(hash_seed):
    program = (
        f"import sys; sys.path.insert(0, {str(HELPERS)!r}); import fingerprinted as f; print(f.mark(), f.odd())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.split() == [fingerprinted.mark(), fingerprinted.odd()], done.stderr


@pytest.mark.parametrize("executor", [None, "processes"])
def test_it_is_the_same_in_every_worker(executor, tmp_path):
    options = {"search": GridSearch, "space": {"units": [2, 3]}, "fit": {"epochs": 1}}
    go(fingerprinted.build, tmp_path / "j", executor=executor, n_jobs=2, **options)
    marks = {line["trial"]: line["fingerprint"] for line in lines(tmp_path / "j")[1:]}
    assert marks == {trial: fingerprinted.mark(units) for trial, units in enumerate((2, 3))}
    go(fingerprinted.build, tmp_path / "j", resume=True, **options)
