"""`TableClassifier` and `TableRegressor`: what they learn, return, keep in a file, and refuse."""

import warnings

import numpy as np
import pytest
from fastreg import cli
from fastreg.table import Candidate, Recipe, TableClassifier, TableRegressor, read_table
from fastreg.table.model import TableModel
from sklearn.metrics import accuracy_score, r2_score

N = 120
RNG = np.random.default_rng(0)


def table_of(n=N, seed=0):
    rng = np.random.default_rng(seed)
    size, kind = rng.normal(size=n), rng.choice(["north", "south"], n)
    score = 3 * size + np.where(kind == "north", 2.0, -2.0)
    return {"size": size, "kind": kind.tolist()}, score


TABLE, SCORE = table_of()
LABELS = np.where(SCORE > 0, "yes", "no")


@pytest.fixture(scope="module")
def classifier():
    return TableClassifier(seed=1).fit(TABLE, LABELS)


def test_a_classifier_learns(classifier):
    table, score = table_of(200, seed=1)
    truth = np.where(score > 0, "yes", "no")
    assert classifier.score(table, truth) > 0.93
    assert classifier.classes_.tolist() == ["no", "yes"]
    shares = classifier.predict_proba(table)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(classifier.predict(table), classifier.classes_[np.argmax(shares, axis=1)])
    assert classifier.feature_names_in_.tolist() == ["size", "kind"]
    assert [entry.kind for entry in classifier.dictionary_] == ["numeric", "categorical", "target"]


def test_a_regressor_learns():
    model = TableRegressor(seed=1).fit(TABLE, SCORE)
    table, score = table_of(200, seed=1)
    assert model.score(table, score) > 0.95
    errors = model.predict(table) - score
    assert model.score(table, score) == pytest.approx(1 - np.sum(errors**2) / np.sum((score - score.mean()) ** 2))
    weights = np.arange(200.0)
    expected = r2_score(score, model.predict(table), sample_weight=weights)
    assert model.score(table, score, sample_weight=weights) == pytest.approx(expected, rel=1e-6)


def test_scores_weigh_rows_as_those_of_scikit_learn(classifier):
    table, score = table_of(200, seed=1)
    truth = np.where(score > 0, "yes", "no").astype(object)
    weights = np.random.default_rng(0).uniform(0, 3, 200)
    expected = accuracy_score(truth, classifier.predict(table), sample_weight=weights)
    assert classifier.score(table, truth, weights) == pytest.approx(expected, rel=1e-6)
    truth[:50] = None  # not known
    expected = accuracy_score(truth[50:].astype(str), classifier.predict(table)[50:], sample_weight=weights[50:])
    assert classifier.score(table, truth, weights) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match=r"sample_weight: must have shape \(200,\)"):
        classifier.score(table, truth, weights[1:])
    with pytest.raises(ValueError, match="sample_weight: must not be 0 for every row"):
        classifier.score(table, truth, np.where(np.arange(200) < 50, 1.0, 0.0))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1234567, 1234568], np.int64),
        ([2**63 + 5, 2**64 + 7], object),
        ([False, True], np.bool_),
        ([0.5, 1.0], np.float64),
        (["None", "NA"], object),
        (["010", "10"], object),
        (["1.0", "1.00"], object),
    ],
    ids=str,
)
def test_labels_are_exact(values, kind):
    y = [values[i] for i in (SCORE > 0).astype(int)]
    model = TableClassifier(seed=0).fit(TABLE, y)
    assert model.classes_.dtype == kind
    assert set(model.classes_.tolist()) == set(values)
    assert set(model.predict(TABLE).tolist()) == set(values)
    assert model.score(TABLE, y) > 0.9


def test_the_target_may_be_a_column_an_array_or_a_series():
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    whole = TABLE | {"y": LABELS.tolist()}
    expected = TableClassifier(seed=3).fit(whole, "y").predict_proba(TABLE)
    for table, y in (
        (TABLE, LABELS),
        (TABLE, LABELS[:, None]),
        (pd.DataFrame(TABLE), pd.Series(LABELS)),
        (pl.DataFrame(TABLE), pl.Series("class", LABELS)),
        (pl.DataFrame(whole), "y"),
    ):
        np.testing.assert_array_equal(TableClassifier(seed=3).fit(table, y).predict_proba(TABLE), expected)


def test_a_file_is_read_by_the_estimator(tmp_path):
    path = tmp_path / "d.csv"
    rows = zip(TABLE["size"].tolist(), TABLE["kind"], LABELS.tolist(), strict=True)
    path.write_text("size;kind;y\n" + "".join(f"{str(a).replace('.', ',')};{b};{c}\n" for a, b, c in rows))
    model = TableClassifier(seed=3).fit(path, "y")
    np.testing.assert_array_equal(model.predict_proba(path), model.predict_proba(TABLE))
    assert model.score(path) == model.score(TABLE, LABELS)


def test_a_file_of_the_model_serves_python_and_the_command(tmp_path, classifier, capsys):
    path = tmp_path / "m.safetensors"
    classifier.save(path)
    again = TableClassifier.load(path)
    np.testing.assert_array_equal(again.predict_proba(TABLE), classifier.predict_proba(TABLE))
    assert again.classes_.tolist() == ["no", "yes"]
    (tmp_path / "d.csv").write_text("kind,size\nnorth,2.5\nsouth,-2\n")
    assert cli.main(["predict", str(path), str(tmp_path / "d.csv")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in lines] == ["target", "yes", "no"]
    with pytest.raises(ValueError, match=r"m\.safetensors: the model is for classification; TableClassifier.load"):
        TableRegressor.load(path)


def test_a_search_is_the_one_of_the_command():
    model = TableClassifier(trials=3, cv=2, jobs=1, seed=0, time=60).fit(TABLE, LABELS)
    assert len(model.search_.trials_) == 4  # and the linear model
    assert model.score(TABLE, LABELS) > 0.9
    assert set(model.search_.best_params_) == set(Candidate().params)


def test_cells_that_are_unknown_are_told(classifier):
    rows = {"size": ["1.5", "many"], "kind": ["north", "west"]}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        classifier.predict(rows)
    assert [str(warning.message) for warning in caught] == [
        "TableClassifier: column 'size': 1 cell is not a number and counts as missing: 'many'",
        "TableClassifier: column 'kind': 1 cell has a level that the training rows did not have: 'west'",
    ]
    assert all(warning.filename == __file__ for warning in caught)


def test_weights_groups_and_times_decide():
    """Rows without weight are not learned from; with groups and times other rows tell when to stop."""
    table = TABLE | {"w": (np.arange(N) < N // 2).astype(float), "g": (np.arange(N) // 10).tolist(),
                     "t": [f"2024-01-{1 + i % 28:02}" for i in range(N)]}  # fmt: skip
    flipped = np.where(np.arange(N) < N // 2, LABELS, np.where(LABELS == "yes", "no", "yes"))
    model = TableClassifier(seed=0, weight="w", ignore=["g", "t"]).fit(table, flipped)
    assert model.score({name: column[: N // 2] for name, column in table.items()}, LABELS[: N // 2]) > 0.85
    plain = TableClassifier(seed=0, ignore=["w", "g", "t"]).fit(table, LABELS).predict_proba(table)
    for options in ({"group": "g", "ignore": ["w", "t"]}, {"time_column": "t", "ignore": ["w", "g", "t"]}):
        model = TableClassifier(seed=0, **options).fit(table, LABELS)
        assert model.feature_names_in_.tolist() == ["size", "kind"]
        assert not np.array_equal(model.predict_proba(table), plain)
        assert model.score(table, LABELS) > 0.8
    searched = TableClassifier(seed=0, trials=2, cv=2, jobs=1, group="g", weight="w", ignore="t")
    assert searched.fit(table, LABELS).score(table, LABELS) > 0.8


def test_rows_without_a_target_are_left_out():
    y = [None if i % 7 == 0 else label for i, label in enumerate(LABELS.tolist())]
    model = TableClassifier(seed=0).fit(TABLE, y)
    kept = [i for i in range(N) if i % 7]
    assert model.score(TABLE, y) == np.mean(model.predict(TABLE)[kept] == LABELS[kept])


def test_parameters_as_in_scikit_learn():
    base = pytest.importorskip("sklearn.base")
    model = TableClassifier(trials=2, categorical=["kind"])
    assert repr(model) == "TableClassifier(trials=2, categorical=('kind',))"
    copy = base.clone(model)
    assert copy.get_params() == model.get_params()
    assert model.set_params(trials=5).trials == 5
    assert model.options.categorical == ("kind",)


def test_parameters_that_are_set_keep_what_is_fitted():
    model = TableRegressor(seed=0, time=None, interval=0.5).fit(TABLE, SCORE)
    before = model.predict(TABLE)
    assert model.set_params(verbose=0, interval=0.4, categorical=["kind"]).interval == 0.4
    np.testing.assert_array_equal(model.predict(TABLE), before)
    given = model.get_params()
    for params, error, message in (
        ({"trial": 3, "seed": 5}, ValueError, r"unknown argument 'trial' \(did you mean 'trials'\?\); known: interval"),
        ({"task": "regression", "seed": 5}, ValueError, "TableRegressor: unknown argument 'task'"),
        ({"seed": 5, "cv": 1}, ValueError, "cv must be >= 2"),
        ({"seed": 5, "trials": "many"}, TypeError, "trials must be an integer"),
    ):
        with pytest.raises(error, match=message):
            model.set_params(**params)
        assert model.get_params() == given


def test_tables_without_rows_are_named():
    """Until now the width of the encoded rows was told, which no user knows."""
    empty = {name: [] for name in TABLE}
    model = TableRegressor(seed=0, time=None, interval=0.5).fit(TABLE, SCORE)
    made = model.model_
    for call in (model.predict, model.predict_interval, made.predict, made.outputs, made.predict_interval):
        with pytest.raises(ValueError, match=r"^the table has no rows$"):
            call(empty)
    with pytest.raises(ValueError, match="the table has no column 'size'"):
        model.predict({})
    for kind in (TableClassifier, TableRegressor):
        with pytest.raises(ValueError, match=f"{kind.__name__}: the table has no rows"):
            kind().fit(empty, np.empty(0))


def test_rows_of_weight_zero_are_as_if_they_were_not_there():
    """Until now their targets went into the mean and the scale of the others'."""
    weight = np.where(np.arange(N) < 40, 0.0, 1.0)
    y = np.where(weight > 0.0, SCORE, 1e4)
    kept = {name: np.asarray(column, object)[40:].tolist() for name, column in TABLE.items()}
    model = TableRegressor(seed=0, time=None, weight="w").fit(TABLE | {"w": weight}, y)
    target = model.model_.target
    assert (target.mean, target.scale) == (np.mean(SCORE[40:]), np.std(SCORE[40:]))
    plain = TableRegressor(seed=0, time=None).fit(kept, SCORE[40:])
    np.testing.assert_array_equal(model.predict(TABLE), plain.predict(TABLE))
    labels = np.where(weight > 0.0, LABELS, "yes")
    chosen = TableClassifier(seed=0, time=None, weight="w").fit(TABLE | {"w": weight}, labels)
    by_hand = TableClassifier(seed=0, time=None).fit(kept, LABELS[40:])
    np.testing.assert_array_equal(chosen.predict_proba(TABLE), by_hand.predict_proba(TABLE))
    with pytest.raises(ValueError, match="at least two rows must have a target and a weight above 0, got 1"):
        TableClassifier(weight="w").fit(TABLE | {"w": 1.0 * (np.arange(N) == 7)}, LABELS)


def test_tools_of_scikit_learn_know_the_estimators():
    """Scores of folds, searches, pipelines, calibration and ensembles, compared with folds that are made by hand."""
    import pandas as pd
    from sklearn import base
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import VotingRegressor
    from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline

    table, model = pd.DataFrame(TABLE), TableClassifier(seed=0, time=None)
    assert base.is_classifier(model)
    assert base.is_regressor(TableRegressor())
    folds = list(StratifiedKFold(2).split(table, LABELS))
    by_hand = []
    for train, test in folds:
        predicted = base.clone(model).fit(table.iloc[train], LABELS[train]).predict(table.iloc[test])
        by_hand.append(np.mean(predicted == LABELS[test]))
    assert cross_val_score(model, table, LABELS, cv=2).tolist() == by_hand  # stratified, since it is a classifier
    search = GridSearchCV(model, {"seed": [0]}, cv=2).fit(table, LABELS)
    assert search.best_score_ == np.mean(by_hand)
    plain = model.fit(table, LABELS).predict(table)
    np.testing.assert_array_equal(make_pipeline(base.clone(model)).fit(table, LABELS).predict(table), plain)
    calibrated = CalibratedClassifierCV(base.clone(model), cv=2).fit(table, LABELS)
    np.testing.assert_allclose(calibrated.predict_proba(table).sum(axis=1), 1.0, rtol=1e-6)
    regressor = TableRegressor(seed=0, time=None)
    both = VotingRegressor([("a", regressor), ("b", base.clone(regressor).set_params(seed=1))]).fit(table, SCORE)
    alone = [base.clone(regressor).set_params(seed=seed).fit(table, SCORE).predict(table) for seed in (0, 1)]
    np.testing.assert_allclose(both.predict(table), np.mean(alone, axis=0))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: TableClassifier(trial=3), TypeError, "TableClassifier: unknown argument 'trial'"),
        (lambda: TableClassifier(task="regression"), TypeError, "unknown argument 'task'"),
        (lambda: TableClassifier(trials=-1), ValueError, "trials must be >= 0, got -1"),
        (lambda: TableClassifier(time=0), ValueError, "time must be > 0, got 0"),
        (lambda: TableClassifier(cv=1), ValueError, "cv must be >= 2, got 1"),
        (lambda: TableClassifier(sep=3), TypeError, "sep must be a string or None, got 3"),
        (lambda: TableClassifier(ignore="a", text=["a"]), ValueError, "column 'a' must have one role, got ignore and"),
        (lambda: TableClassifier().fit(TABLE, "z"), ValueError, "the table has no column 'z'"),
        (lambda: TableClassifier().fit(TABLE, None), TypeError, "y must be the name of a column or the targets"),
        (lambda: TableClassifier().fit(TABLE, 3), TypeError, "y must be the name of a column or the targets, got 3"),
        (lambda: TableClassifier().fit(TABLE, np.array(3.0)), TypeError, "y must be the name of a column or the targ"),
        (lambda: TableClassifier().fit(TABLE, dict(enumerate(LABELS))), TypeError, "y must be the name .*(dict)"),
        (lambda: TableClassifier().fit(TABLE, set(range(N))), TypeError, "y must be the name .*(set)"),
        (lambda: TableClassifier().fit(TABLE, np.ones((N, 2))), ValueError, r"y must have one value .*\(120, 2\)"),
        (lambda: TableClassifier().fit(TABLE, LABELS[:5]), ValueError, "y has 5 values, the table has 120 rows"),
        (lambda: TableClassifier().fit(TABLE, ["a"] * N), ValueError, "at least two classes, got 1: 'a'"),
        (lambda: TableClassifier().fit(np.zeros((3, 2)), [0, 1, 0]), TypeError, "must be a frame, a mapping .* or a p"),
        (lambda: TableRegressor().fit(TABLE, LABELS), ValueError, "must hold numbers for regression, got 'no', 'yes'"),
        (lambda: TableRegressor().fit(TABLE, [1e400] * N), ValueError, "must hold numbers below 1e300 in size, got"),
        (lambda: TableClassifier().predict(TABLE), ValueError, "not fitted; call fit first"),
        (lambda: TableClassifier(weight="kind").fit(TABLE, LABELS), ValueError, "weight: column 'kind' must hold fini"),
        (lambda: TableClassifier(time_column="kind").fit(TABLE, LABELS), ValueError, "must hold dates or numbers, got"),
        (lambda: TableClassifier().fit({"l": [[1]] * 9}, [0, 1, 0] * 3), ValueError, "no column to learn from .*lis"),
    ],
)  # fmt: skip
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_column_that_is_gone_is_named(classifier):
    with pytest.raises(ValueError, match="the table has no column 'kind'"):
        classifier.predict({"size": [1.0]})


def test_the_columns_that_name_rows_stand_beside_predictions(tmp_path, capsys):
    table = TABLE | {"who": [f"p{i}" for i in range(N)]}
    model = TableClassifier(seed=0, id="who").fit(table, LABELS)
    assert model.dictionary_["who"].kind == "id"
    model.save(tmp_path / "m.safetensors")
    loaded = TableModel.load(tmp_path / "m.safetensors")
    assert list(loaded.predict(table))[:2] == ["who", "target"]
    (tmp_path / "d.csv").write_text("who,kind,size\n007,north,2.5\n")
    assert cli.main(["predict", str(tmp_path / "m.safetensors"), str(tmp_path / "d.csv")]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("007,yes,")
    assert read_table(tmp_path / "d.csv").names == ("who", "kind", "size")


@pytest.mark.parametrize("kind", [TableClassifier, TableRegressor])
def test_too_little_time_for_a_network_gives_a_linear_model(kind):
    """As `fastreg tune` does, with a warning that says so."""
    y = LABELS if kind is TableClassifier else 3.0 * SCORE + 1.0
    with pytest.warns(UserWarning, match=f"{kind.__name__}: the model is linear, since no network was found in 1e-05"):
        model = kind(preset="fast", time=1e-5, jobs=1, seed=0).fit(TABLE, y)
    assert model.search_ is None
    assert len(model.model_.model.layers) == 1
    assert model.score(TABLE, y) > 0.8


def test_networks_that_all_diverge_leave_a_linear_model():
    recipe = Recipe(small=(Candidate(width=4, steps=50, rate=1e30),), trials=1, folds=2)
    with pytest.warns(UserWarning, match="the model is linear, since no network could be trained: "):
        model = TableRegressor(preset=recipe, time=None, jobs=1, seed=0).fit(TABLE, SCORE)
    assert np.isfinite(model.predict(TABLE)).all()


@pytest.mark.parametrize("small", [(), (Candidate(bins=16, layers=0, steps=100),)], ids=["empty", "linear"])
@pytest.mark.parametrize("time", [None, 3600.0])
def test_a_recipe_without_a_network_says_so(time, small):
    """The warning does not end with whatever the search said last."""
    recipe = Recipe(small=small, trials=1, folds=2)
    why = "^TableRegressor: the model is linear, since no candidate of the recipe has a hidden layer$"
    with pytest.warns(UserWarning, match=why):
        model = TableRegressor(preset=recipe, time=time, jobs=1, seed=0).fit(TABLE, SCORE)
    assert np.isfinite(model.predict(TABLE)).all()
