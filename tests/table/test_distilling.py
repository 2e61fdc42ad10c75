"""Networks that imitate models of other libraries: teachers of all forms, how near they come, and what is refused."""

import numpy as np
import pytest

pytest.importorskip("pandas")
pytest.importorskip("sklearn")
pytest.importorskip("narwhals")

import pandas as pd
from fastreg.table import Candidate, Recipe, Table, TableClassifier, TableRegressor, distill
from fastreg.table.model import TableModel
from fastreg.table.raw_rows import RawRows
from fastreg.table.reading import read_table
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor, RandomForestClassifier
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

QUICK = Candidate(bins=8, width=32, dropout=0.0, decay=0.01, rate=0.01, steps=400)
RECIPE = Recipe(small=(QUICK,), large=(QUICK,), trials=1)
TINY = Recipe(small=(Candidate(bins=4, width=8, steps=40, rate=0.02),), trials=1, folds=2)


def frame(n=400, seed=0):
    """Numbers, whole numbers and groups, some of them missing, and three targets that follow from them."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"a": rng.normal(size=n), "town": rng.choice(["north", "south", "west"], n),
                          "rooms": rng.integers(1, 9, n)})
    level = 2 * np.abs(table["a"]) + (table["town"] == "north") + 0.1 * table["rooms"] + rng.normal(0, 0.3, n) - 1.5
    table.loc[::17, "a"] = np.nan
    two, three = np.where(level > 0.5, "yes", "no"), np.array(["low", "mid", "top"])[np.digitize(level, [0.0, 1.0])]
    return table, {"number": level.to_numpy(), "two": two, "three": three}


def pipeline(model):
    return make_pipeline(make_column_transformer((OneHotEncoder(), ["town"]), remainder=SimpleImputer()), model)


def of_array(model, table, y):
    """A model that was fitted on an array of numbers."""
    return model.fit(table[["a", "rooms"]].fillna(0.0).to_numpy(), y)


def rule(rows):
    return np.abs(np.nan_to_num(np.asarray(rows["a"], np.float64))) + (np.asarray(rows["town"]) == "north")


def shares(rows):
    chance = np.clip(rule(rows) / 4.0, 0.0, 1.0)
    return np.column_stack([1.0 - chance, chance])


# The teacher, and what it learned.
TEACHERS = {
    "boosting of numbers": (lambda: pipeline(GradientBoostingRegressor(n_estimators=50, random_state=0)), "number"),
    "boosting of two classes": (lambda: pipeline(GradientBoostingClassifier(n_estimators=50, random_state=0)), "two"),
    "forest of three classes": (
        lambda: pipeline(RandomForestClassifier(20, min_samples_leaf=5, random_state=0)), "three"),
    "labels alone": (lambda: pipeline(RidgeClassifier()), "three"),
}


@pytest.fixture(scope="module")
def found():
    """Each teacher, distilled with true targets for scores."""
    table, targets = frame()
    test, truth = frame(200, seed=1)
    made = {}
    for name, (make, target) in TEACHERS.items():
        teacher = make().fit(table, targets[target])
        rows, held = table.assign(y=targets[target]), test.assign(y=truth[target])
        made[name] = teacher, distill(teacher, rows, "y", test=held, preset=RECIPE, rows=3000, time=None, jobs=1)
    return made


@pytest.mark.parametrize("name", TEACHERS)
def test_the_student_is_nearer_to_the_teacher_than_the_plain_network(found, name):
    """Measured over ten seeds of data and networks: its mean square is at most 0.5 of the plain network's."""
    teacher, result = found[name]
    table, targets = frame()
    test, _ = frame(200, seed=1)
    y = targets[TEACHERS[name][1]]
    estimator = (TableRegressor if TEACHERS[name][1] == "number" else TableClassifier)(preset=RECIPE, time=None, jobs=1)
    plain = estimator.fit(table, y)
    if TEACHERS[name][1] == "number":
        given = teacher.predict(test)
        own, other = (np.mean((model.predict(test) - given) ** 2) for model in (result, plain))
        assert result.agreement["RMSE"] == pytest.approx(np.sqrt(own), rel=1e-3)
    else:
        labels = list(teacher.classes_)
        hard = np.eye(len(labels))[[labels.index(label) for label in teacher.predict(test)]]
        given = teacher.predict_proba(test) if hasattr(teacher, "predict_proba") else hard
        own, other = (np.mean((model.predict_proba(test) - given) ** 2) for model in (result, plain))
        assert result.agreement["same class"] == np.mean(result.predict(test) == np.array(labels)[given.argmax(axis=1)])
    assert own < 0.9 * other, (own, other)


@pytest.mark.parametrize("name", TEACHERS)
def test_scores_are_those_of_the_rows_held_back(found, name):
    teacher, result = found[name]
    test, truth = frame(200, seed=1)
    y = truth[TEACHERS[name][1]]
    assert (result.n_rows, result.n_made, result.n_test) == (400, 3000, 200)
    assert set(result.scores) == {"teacher", "student", "plain network"}
    if TEACHERS[name][1] == "number":
        for scores, predicted in ((result.scores["teacher"], teacher.predict(test)),
                                  (result.scores["student"], result.predict(test))):
            assert scores["RMSE"] == pytest.approx(np.sqrt(np.mean((predicted - y) ** 2)), rel=1e-4)
        losses = {of: scores["RMSE"] ** 2 for of, scores in result.scores.items()}
    else:
        for scores, predicted in ((result.scores["teacher"], teacher.predict(test)),
                                  (result.scores["student"], result.predict(test))):
            assert scores["accuracy"] == pytest.approx(np.mean(predicted == y))
        losses = {of: scores["log-loss"] for of, scores in result.scores.items()}
    teacher_loss, student, plain = (losses[of] for of in ("teacher", "student", "plain network"))
    if plain > teacher_loss:
        assert result.gap_closed == pytest.approx((plain - student) / (plain - teacher_loss))
    else:
        assert result.gap_closed is None
    assert result.teacher_seconds > 0 < result.row_seconds


def test_the_network_is_one_file_and_frozen(found, tmp_path):
    _, result = found["forest of three classes"]
    test, _ = frame(50, seed=2)
    outputs = result.predict_proba(test)
    frozen = result.model.freeze()
    np.testing.assert_allclose(frozen(result.model.schema.codes(Table.of(test))), outputs, atol=1e-5)
    result.model.save(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(TableModel.load(tmp_path / "m.safetensors").outputs(test), outputs)
    assert result.model.target.classes.tolist() == ["low", "mid", "top"]
    numbers = found["boosting of numbers"][1]
    with pytest.raises(ValueError, match="predict_proba needs a teacher of classes"):
        numbers.predict_proba(test)


@pytest.mark.parametrize("form", ["pandas", "mapping", "polars", "arrow", "batch", "file"])
def test_a_function_gets_rows_as_the_table_has_them(form, tmp_path):
    table, _ = frame(200)
    seen = []

    def teacher(rows):
        seen.append(rows)
        return rule(rows.to_pandas() if form in ("arrow", "batch") else rows)

    if form == "mapping":
        given = {name: table[name].tolist() for name in table}
    elif form == "polars":
        given = pytest.importorskip("polars").from_pandas(table)
    elif form in ("arrow", "batch"):
        arrow = pytest.importorskip("pyarrow")
        given = (arrow.Table if form == "arrow" else arrow.RecordBatch).from_pandas(table, preserve_index=False)
    else:
        given = table
    if form == "file":
        given = str(tmp_path / "t.csv")
        table.to_csv(given, index=False)
    result = distill(teacher, given, preset=TINY, rows=100, time=None, jobs=1)
    kind = {"mapping": dict, "file": pd.DataFrame, "batch": type(seen[0])}.get(form, type(given))
    assert all(type(rows) is kind for rows in seen)
    assert result.model.target.name == "prediction"
    assert (result.scores, result.gap_closed) == ({}, None)
    for rows in seen:
        numbers = np.asarray(rows["rooms"]).astype(np.float64)
        assert np.all(numbers == np.round(numbers))
        assert set(np.asarray(rows["town"]).tolist()) <= {"north", "south", "west"}
    columns = [np.asarray(rows["a"]).astype(np.float64) for rows in seen]
    made = np.concatenate([column for column in columns if len(column) == 100])
    assert np.isnan(made).any()  # missing cells stay missing
    assert not set(made[~np.isnan(made)].tolist()) <= set(table["a"].tolist())  # and numbers are jittered


def test_models_of_arrays_and_functions_of_probabilities():
    table, targets = frame(200)
    numbers = table[["a", "rooms"]].fillna(0.0)
    process = GaussianProcessRegressor(alpha=0.1).fit(numbers.to_numpy(), targets["number"])
    result = distill(process, numbers, preset=TINY, rows=100, time=None, jobs=1)
    assert result.model.target.task == "regression"
    named = distill(shares, table, classes=["low", "high"], preset=RECIPE, rows=2000, time=None, jobs=1)
    np.testing.assert_array_equal(named.model.target.labels, ["high", "low"])  # in order, with their probabilities
    assert np.abs(named.predict_proba(table) - shares(table)[:, ::-1]).mean() < 0.05
    second = distill(lambda rows: shares(rows)[:, 1], table, targets["two"], task="classification", preset=TINY,
                     rows=100, time=None, jobs=1, compare=False)
    assert second.model.target.labels == ("no", "yes")
    assert set(second.scores) == {"teacher", "student"}
    labels = distill(lambda rows: np.where(rule(rows) > 1, "b", "a"), table, preset=TINY, rows=100, time=None, jobs=1)
    assert labels.model.target.labels == ("a", "b")


def test_texts_and_dates_are_mixed_whole():
    """A student of a rule of words and months, which are cells of the table in all rows that are made."""
    rng = np.random.default_rng(0)
    words = rng.choice(["good", "bad"], 300)
    notes = [f"a {word} place number {i} with a view over some hills" for i, word in enumerate(words)]
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 700, 300), unit="D")
    table = pd.DataFrame({"note": notes, "day": days, "a": rng.normal(size=300)})
    seen = []

    def teacher(rows):
        seen.append(rows)
        return 2.0 * rows["note"].str.contains("good") + (rows["day"] > pd.Timestamp("2021-01-01")) + 0.1 * rows["a"]

    result = distill(teacher, table, preset=RECIPE, rows=2000, time=None, jobs=1)
    assert [column.kind for column in result.model.schema.columns] == ["text", "date", "numeric"]
    assert all(set(rows["note"]) <= set(notes) and set(rows["day"]) <= set(days) for rows in seen)
    pairs = set(zip(notes, days, strict=True))
    made = max(seen, key=len)
    assert not set(zip(made["note"], made["day"], strict=True)) <= pairs
    assert result.agreement["R²"] > 0.9


def test_threads_do_not_change_a_bit():
    table, targets = frame(300)
    teacher = pipeline(GradientBoostingClassifier(n_estimators=20, random_state=0)).fit(table, targets["three"])
    given = {"preset": RECIPE.changed(trials=2), "rows": 3000, "time": None, "seed": 3}
    one, two = (distill(teacher, table, targets["three"], jobs=jobs, **given) for jobs in (1, 2))
    np.testing.assert_array_equal(one.predict_proba(table), two.predict_proba(table))
    assert (one.scores, one.gap_closed, one.agreement) == (two.scores, two.gap_closed, two.agreement)
    other = distill(teacher, table, targets["three"], jobs=1, **(given | {"seed": 4}))
    assert np.abs(other.predict_proba(table) - one.predict_proba(table)).max() > 0


def test_no_time_still_gives_a_network():
    table, _ = frame(200)
    result = distill(rule, table, preset=RECIPE, time=1e-3, jobs=1)
    assert result.search.members_[0].candidate.steps == 300
    assert result.search.n_trials_ == 1
    assert result.n_made < 20_000  # nor was there time to ask the teacher for all


class Odd:
    """A model whose answers are what a function makes of the rows."""

    def __init__(self, answer):
        self.predict = answer


def fails(rows):
    raise RuntimeError("the model\nis broken")


HOSTILE = {
    "no method": (object(), {}, TypeError, "teacher: it must have predict_proba or predict, or be a function"),
    "a class": (GradientBoostingRegressor, {}, TypeError, "teacher: it must have predict_proba or predict"),
    "a class that was not seen": (
        Odd(lambda rows: np.where(np.arange(len(rows)) < 1, "first" if len(rows) < 80 else "a", "b")), {},
        ValueError, "gave 'first', which is not among its classes 'a', 'b'; classes= names all of them"),
    "too few answers": (Odd(lambda rows: np.zeros(3)), {}, ValueError, r"predict must give an answer for each of 80"),
    "one number": (Odd(lambda rows: 1.0), {}, ValueError, r"an answer for each of 80 rows, got shape \(\)"),
    "missing numbers": (
        Odd(lambda rows: np.where(np.arange(len(rows)) < 3, np.nan, 1.0)), {}, ValueError, "finite numbers, 3 of 80"),
    "infinite numbers": (Odd(lambda rows: np.full(len(rows), np.inf)), {}, ValueError, "finite numbers, 80 of 80"),
    "huge numbers": (Odd(lambda rows: 1e301 * np.arange(len(rows))), {}, ValueError, "below 1e300"),
    "an exception": (Odd(fails), {}, ValueError, "teacher: predict failed for 80 rows: RuntimeError: the model is bro"),
    "a cube": (Odd(lambda rows: np.zeros((len(rows), 2, 2))), {}, ValueError, "one number or class a row, got shape"),
    "no probabilities": (
        Odd(lambda rows: np.ones((len(rows), 2))), {"classes": ["a", "b"]}, ValueError, "with the sum 1, got"),
    "negative probabilities": (
        Odd(lambda rows: np.tile([-0.5, 1.5], (len(rows), 1))), {"classes": ["a", "b"]}, ValueError, "with the sum 1"),
    "no classes": (shares, {}, ValueError, "classes must name the 2 classes of its probabilities"),
    "too many classes": (shares, {"classes": ["a", "b", "c"]}, ValueError, "of 2 classes, classes names 3"),
    "one class twice": (shares, {"classes": ["a", "a"]}, ValueError, "classes"),
    "always the same": (Odd(lambda rows: np.ones(len(rows))), {}, ValueError, "more than one value"),
    "table of numbers": (
        Odd(lambda rows: np.ones((len(rows), 2))), {"task": "regression"}, ValueError, "one number or class a row"),
    "classes of others": (
        lambda rows: np.where(rows["rooms"] > 4, "b", "a"), {"target": "town"}, ValueError, "no row .* classes a, b"),
    "too few targets": (rule, {"target": [1.0]}, ValueError, "distill: target has 1 values, the table has 100 rows"),
    "targets of two": (rule, {"target": np.ones((100, 2))}, ValueError, "target must have one value for each row"),
    "a number as target": (rule, {"target": 3}, TypeError, "target must be the name of a column or the targets, got 3"),
    "no such column": (rule, {"target": "twon"}, ValueError, "twon"),
    "test without the target": (
        rule, {"target": "town", "test": frame(20)[0][["a", "rooms"]]}, ValueError,
        "test must have the columns of the table, it lacks town"),
    "test without columns": (
        rule, {"test": frame(20)[0][["a"]]}, ValueError, "test must have the columns .*, it lacks town, rooms"),
    "no such test": (rule, {"test": "nowhere.csv"}, ValueError, "neither a column of the table nor a file"),
    "marks of others": (rule, {"test": "rooms"}, ValueError, "must hold 0 and 1 only"),
    "unknown option": (rule, {"weight": "a"}, TypeError, "unknown argument 'weight'"),
    "unknown task": (rule, {"task": "ranking"}, ValueError, "unknown task 'ranking'"),
    "negative rows": (rule, {"rows": -1}, ValueError, "rows must be"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_cannot_be_is_said_before_networks_are_trained(name, monkeypatch):
    teacher, given, kind, told = HOSTILE[name]
    monkeypatch.setattr("fastreg.table.distilling.cook", lambda *_: pytest.fail("a network is trained"))
    with pytest.raises(kind, match=told) as caught:
        distill(teacher, frame(100)[0], **{"rows": 100, "time": None, **given})
    assert "\n" not in str(caught.value)


def test_columns_that_the_teacher_was_fitted_on():
    table, targets = frame(100)
    teacher = pipeline(GradientBoostingRegressor(n_estimators=2)).fit(table, targets["number"])
    with pytest.raises(ValueError, match="lacks columns that it was fitted on: town"):
        distill(teacher, table.drop(columns="town"), time=None)
    with pytest.raises(ValueError, match="an array of 2 columns, the table has 3 without the target"):
        distill(of_array(GradientBoostingRegressor(n_estimators=2), table, targets["number"]), table, time=None)
    more = table.assign(other=np.arange(100) % 7)
    result = distill(teacher, more, preset=TINY, rows=50, time=None, jobs=1)
    assert [column.name for column in result.model.schema.columns] == ["a", "town", "rooms"]


@pytest.mark.parametrize("form", ["model of arrays", "function of positions"])
def test_rows_to_score_may_have_their_columns_in_any_order(form):
    """A model that knows columns by their order gets that of the table, whatever the order and the rest of the test."""
    rng = np.random.default_rng(0)
    table, test = (pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"]) for n in (100, 60))
    table["y"], test["y"] = (3.0 * rows["a"] + 10.0 * rows["b"] - 2.0 * rows["c"] for rows in (table, test))
    model = LinearRegression().fit(table[["a", "b", "c"]].to_numpy(), table["y"])
    teacher = model if form == "model of arrays" else lambda rows: model.predict(np.asarray(rows))
    other = test.assign(more=1.0)[["c", "more", "y", "b", "a"]]
    result = distill(teacher, table, "y", test=other, preset=TINY, rows=50, time=None, jobs=1)
    expected = np.sqrt(np.mean((model.predict(test[["a", "b", "c"]].to_numpy()) - test["y"]) ** 2))
    assert expected < 1e-9
    assert result.scores["teacher"]["RMSE"] < 1e-9


class OfShares:
    """A model whose ``predict_proba`` gives what a function makes of the probability of "yes"."""

    def __init__(self, form, **attributes):
        self._form = form
        self.__dict__.update(attributes)

    def predict_proba(self, rows):
        return self._form(1.0 / (1.0 + np.exp(-3.0 * np.asarray(rows["a"], np.float64))))


@pytest.mark.parametrize("attributes", [{}, {"classes_": ["no", "yes"]}])
@pytest.mark.parametrize("form", [lambda chance: chance, lambda chance: chance[:, None]])
def test_one_column_of_probabilities_is_that_of_the_second_class(form, attributes):
    table = frame(200)[0].fillna(0.0)
    truth = np.where(table["a"] > 0, "yes", "no")
    result = distill(OfShares(form, **attributes), table, truth, preset=TINY, rows=50, time=None, jobs=1, compare=False)
    assert result.model.target.labels == ("no", "yes")
    assert result.scores["teacher"]["accuracy"] == 1.0
    held = np.random.default_rng([0, 1]).permutation(200)[:40]
    loss = np.mean(np.log1p(np.exp(-3.0 * np.abs(table["a"].to_numpy()[held]))))
    assert result.scores["teacher"]["log-loss"] == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("truth", [True, False])
def test_the_columns_of_a_frame_name_the_classes_of_its_probabilities(truth):
    """In whatever order they are; until now that of the true targets counted, and all scores were those of the wrong
    class."""
    table = frame(200)[0].fillna(0.0)
    labels = np.where(table["a"] > 0, "yes", "no")
    teacher = OfShares(lambda chance: pd.DataFrame({"yes": chance, "no": 1.0 - chance}))
    given = {"preset": TINY, "rows": 50, "time": None, "jobs": 1, "compare": False}
    result = distill(teacher, table, labels if truth else None, **given)
    assert result.model.target.labels == ("no", "yes")
    assert np.mean(result.predict(table) == labels) > 0.8
    if truth:
        assert result.scores["teacher"]["accuracy"] == 1.0
    named = distill(teacher, table, classes=["no", "yes"], **given)  # what is given counts
    assert np.mean(named.predict(table) == labels) < 0.2


def test_labels_may_be_written_as_floats():
    table = frame(100)[0].fillna(0.0)
    teacher = Odd(lambda rows: (np.asarray(rows["a"]) > 0).astype(float))
    teacher.classes_ = np.array([0, 1])
    result = distill(teacher, table, (table["a"] > 0).astype(int), preset=TINY, rows=50, time=None, jobs=1)
    assert result.model.target.labels == ("0", "1")
    assert result.scores["teacher"]["accuracy"] == 1.0


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_teacher_gets_the_columns_of_a_file_as_pandas_reads_them(form, tmp_path):
    """Truth values are no texts, with which an encoder knows none of them, and texts of a typed file no numbers."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=100), "ok": rng.random(100) > 0.5})
    table["area"] = rng.choice(["010", "20"], 100)
    table["gaps"] = np.where(rng.random(100) > 0.2, table["ok"].astype(object), None)
    table["said"] = np.where(table["ok"], "True", "False")
    table["y"] = 2.0 * table["a"] + 3.0 * table["ok"] + (table["area"] == "20")
    path = str(tmp_path / f"table.{form}")
    table.to_csv(path, index=False) if form == "csv" else table.to_parquet(path)
    read = pd.read_csv(path) if form == "csv" else pd.read_parquet(path)
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["ok", "area"]), ("passthrough", ["a"]))
    model = make_pipeline(encoder, LinearRegression()).fit(read.drop(columns="y"), read["y"])
    seen = []

    def teacher(rows):
        seen.append(rows)
        return model.predict(rows)

    result = distill(teacher, path, "y", preset=TINY, rows=50, time=None, jobs=1, compare=False)
    assert result.scores["teacher"]["RMSE"] < 1e-6
    for name in ("a", "ok", "area", "gaps", "said"):
        assert all(rows[name].dtype == read[name].dtype for rows in seen), name
        assert {str(value) for value in seen[0][name].dropna()} <= {str(value) for value in read[name].dropna()}


def test_missing_values_of_a_csv_file_are_those_of_pandas(tmp_path):
    """Words for a missing value, in columns of numbers, truth values and texts; a typed file keeps its texts."""
    words = ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
             "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]  # fmt: skip
    path = tmp_path / "gaps.csv"
    columns = {
        "number": [*words, "2.5"], "whole": [*words, "3"], "truth": [*words, "True"], "text": [*words, "a b"],
        "nothing": [*words, ""], "full": list(range(len(words) + 1)), "lower": ["na"] * (len(words) + 1),
    }  # fmt: skip
    pd.DataFrame(columns).to_csv(path, index=False)
    found = RawRows(read_table(path)).rows(np.arange(len(words) + 1))
    expected = pd.read_csv(path)
    for name in columns:
        assert found[name].dtype == expected[name].dtype, name
    pd.testing.assert_frame_equal(found.where(found.notna(), None), expected.where(expected.notna(), None))
    texts = tmp_path / "texts.parquet"
    pd.DataFrame({"text": ["NA", "null", "a"]}).to_parquet(texts)
    assert RawRows(read_table(texts)).rows(np.arange(3))["text"].tolist() == ["NA", "null", "a"]
