"""Workers of a search, whatever they are, compile with the precision of the thread that started it; so do tables'."""

from concurrent.futures import ThreadPoolExecutor

import fastreg as fr
import pytest
from fastreg import layers
from fastreg.model.core import CoreModel
from fastreg.search import GridSearch, cross_validate
from fastreg.search.folds.compiled import CompiledModel
from fastreg.search.folds.evaluation import Task, evaluate
from fastreg.search.workers.executors import make_runner
from fastreg.table import Recipe
from fastreg.table.blending import cook
from fastreg.table.chosen_metric import ChosenMetric
from fastreg.table.fold_journal import header
from recipes import TINY, rows_of
from search_folds import PARAMS, collect, context
from searches import build, two_classes

X, Y = two_classes()
SPACE = {"lr": [0.01], "units": [4]}


def compiled(**options):
    model = fr.Sequential([layers.Dense(6, "relu"), layers.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy", ["accuracy"], **options)
    return model


def searched(build, space, **options):
    return GridSearch(build, space, **{"cv": 3, "seed": 0, "verbose": 0, "n_jobs": 1, **options}).fit(X, Y, epochs=2)


@pytest.mark.parametrize("executor", ["threads", "processes", "one", "pool"])
def test_workers_use_the_precision_of_the_thread_that_searches(executor):
    tasks = [Task(0, fold, PARAMS, keep_model=True) for fold in range(3)]
    with fr.matmul_precision("medium"):
        made = context()
    with ThreadPoolExecutor(2) as pool:
        given = {"threads": (2, None), "processes": (2, "processes"), "one": (1, None), "pool": (2, pool)}[executor]
        runner = make_runner(made, *given)
        try:
            results = collect(runner, tasks)
        finally:
            runner.close()
    assert [result.model.matmul_precision for result in results] == ["medium"] * 3
    assert fr.get_matmul_precision() == "highest"


def test_a_build_that_names_a_precision_has_the_last_word():
    def of_its_own(params):
        model = build({"units": 4, "lr": 0.01})
        model.compile("adam", "binary_crossentropy", ["accuracy"], matmul_precision="high" if params["units"] else None)
        return model

    with fr.matmul_precision("medium"):
        made = context(of_its_own, params={"units": 1})
    models = [evaluate(made, Task(0, 0, {"units": units}, keep_model=True)).model for units in (1, 0)]
    assert [model.matmul_precision for model in models] == ["high", "medium"]


def test_models_that_a_search_refits_have_it():
    with fr.matmul_precision("medium"):
        found = searched(build, SPACE)
    assert found.best_model_.matmul_precision == "medium"
    assert searched(build, SPACE).best_model_.matmul_precision == "highest"


def test_a_compiled_model_is_searched_with_its_own():
    model = compiled(matmul_precision="medium")
    with fr.matmul_precision("high"):
        assert searched(model, {"learning_rate": [0.01]}).best_model_.matmul_precision == "medium"
        made, _ = CompiledModel(model)({"optimizer": "sgd"})
        assert made.matmul_precision == "medium"
        tried = [CompiledModel(model)({name: "bfloat16_3x"})[0] for name in
                 ("matmul_precision", "compile__matmul_precision")]
    assert [one.matmul_precision for one in tried] == ["high", "high"]
    with pytest.raises(ValueError, match="unknown matmul_precision 'low'"):
        CompiledModel(model)({"matmul_precision": "low"})


def test_a_resumed_search_notices_another_precision(tmp_path):
    path = tmp_path / "journal.jsonl"
    with fr.matmul_precision("medium"):
        searched(build, SPACE, journal=path)
        searched(build, SPACE, journal=path, resume=True)
    with pytest.raises(ValueError, match="optimizer"):
        searched(build, SPACE, journal=path, resume=True)


def test_a_cross_validation_has_the_precision_of_its_thread():
    with fr.matmul_precision("medium"):
        seen = []
        cross_validate(lambda params: seen.append(build({"units": 4, "lr": 0.01})) or seen[-1], X, Y, cv=3, epochs=1,
                       seed=0, n_jobs=2)
    assert {model.matmul_precision for model in seen} == {"medium"}
    assert len(seen) >= 3


@pytest.fixture
def compiled_with(monkeypatch):
    """The precision of every model that is compiled, in whatever thread."""
    seen = []
    compile_ = CoreModel.compile

    def recorded(core, *args, **keywords):
        compile_(core, *args, **keywords)
        seen.append(core.matmul_precision)

    monkeypatch.setattr(CoreModel, "compile", recorded)
    return seen


def test_recipes_of_tables_have_the_precision_of_their_thread(compiled_with):
    _, _, rows = rows_of("binary")
    recipe = Recipe(small=TINY[:2], trials=3, folds=2)
    for word in ("medium", "highest"):
        with fr.matmul_precision(word):
            cook(rows, recipe, ChosenMetric(rows.target), 3, 2, None)
        assert {*compiled_with} == {word}
        assert len(compiled_with) >= 5, "two networks in two folds, and members on all rows"
        compiled_with.clear()


def test_journals_of_recipes_tell_the_precision():
    _, _, rows = rows_of("binary")

    def told():
        return header(rows, Recipe(small=TINY, trials=3), ChosenMetric(rows.target), 3, [])

    assert "matmul_precision" not in told()
    with fr.matmul_precision("medium"):
        assert told()["matmul_precision"] == "medium"


def test_models_of_tables_are_frozen_with_a_precision():
    table, schema, rows = rows_of("binary")
    found = cook(rows, Recipe(small=TINY, trials=3), ChosenMetric(rows.target), 3, 1, None)
    model = found.of_table(schema, rows.target)
    usual, other = model.freeze(), model.freeze("medium")
    assert [frozen.predictor.matmul_precision for frozen in (usual, other)] == ["highest", "medium"]
    codes = schema.codes(table)
    assert other(codes).shape == usual(codes).shape


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_fold_that_ends_with_an_error_leaves_the_settings_of_its_thread(error):
    """Its precision, and the seeds of models that are made without one."""
    seen = []

    def failing(params):
        if params["units"] == 0:
            seen.append(fr.get_matmul_precision())
            raise error("no")
        return build(params)

    with fr.matmul_precision("medium"):
        made = context(failing, params={"units": 4, "lr": 0.01})
    with fr.utils.default_seed(5):
        expected = fr.Sequential().seed
    with fr.matmul_precision("high"), fr.utils.default_seed(5):
        try:
            result = evaluate(made, Task(0, 0, {"units": 0, "lr": 0.01}))
        except KeyboardInterrupt:
            result = None
        assert (result is None) == (error is KeyboardInterrupt)
        assert seen == ["medium"]
        assert fr.get_matmul_precision() == "high"
        assert fr.Sequential().seed == expected
