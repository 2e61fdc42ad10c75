"""Searches on real local clusters of Dask and Ray: run with `pytest -m cluster`, where both are installed."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import search_folds
from fastreg import callbacks
from fastreg.search.folds.deadline import Deadline
from fastreg.search.folds.dry_run import make_context
from fastreg.search.folds.evaluation import Task, evaluate
from fastreg.search.workers.executors import make_runner
from fastreg.search.workers.ray import RayExecutor
from search_folds import PARAMS, Process, X, Y, collect, context, values

pytestmark = [
    pytest.mark.cluster,
    # Of the clusters' own: sockets and processes that the garbage collector finds, and their deprecations.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

FOLDER = str(Path(search_folds.__file__).parent)
TASKS = [
    Task(trial, fold, {"units": 4 + trial, "rate": 0.01}, keep_model=True) for trial in range(6) for fold in range(3)
]


@pytest.fixture(scope="module")
def importable():
    """Lets worker processes import the helpers of the tests."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [FOLDER, *filter(os.path.isdir, sys.path)]))
    yield
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture(scope="module")
def dask(importable):
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0")
    with cluster, distributed.Client(cluster) as client:
        yield client.get_executor(pure=False)


@pytest.fixture(scope="module")
def ray(importable):
    library = pytest.importorskip("ray")
    library.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    with RayExecutor(2) as executor:
        yield executor
    library.shutdown()


@pytest.fixture(params=["dask", "ray"])
def executor(request):
    return request.getfixturevalue(request.param)


def test_a_cluster_gives_the_same_bits(executor):
    c = context(fit_arguments={"callbacks": [callbacks.EarlyStopping(patience=3)]}, preprocess="standard")
    expected = values([evaluate(c, task) for task in TASKS])
    with make_runner(c, -1, executor) as runner:
        assert values(collect(runner, TASKS)) == expected
    with make_runner(c, 2, executor) as runner:  # the executor goes on after a search
        assert values(collect(runner, TASKS[:2])) == expected[:2]


def test_functions_that_are_no_module_s_are_sent(executor):
    c = context(lambda params: search_folds.build(params), scoring={"own": lambda model, x, y: float(len(y))})
    with make_runner(c, -1, executor) as runner:
        results = collect(runner, TASKS[:4])
    assert [result.scores for result in results] == [{"own": 50.0}] * 4


def located():
    return make_context(Process(), [{"how": "never", "path": ""}], X, Y, cv=2)


def test_tasks_run_on_all_workers(executor, tmp_path):
    params = {"how": "meet", "path": str(tmp_path)}
    with make_runner(located(), -1, executor) as runner:
        results = collect(runner, [Task(i, 0, params) for i in range(20)])
    places = {result.scores["score"] for result in results}
    assert len(places) == 2
    assert os.getpid() not in places


def test_a_worker_that_dies_is_replaced(executor, tmp_path):
    params = {"how": "once", "path": str(tmp_path / "file")}
    with make_runner(located(), -1, executor) as runner:
        results = collect(runner, [Task(i, 0, params) for i in range(6)])
    assert [result.state for result in results] == ["ok"] * 6, [result.error for result in results]
    assert os.path.exists(params["path"])


def test_cancel_and_deadline(executor):
    c = context(fit_arguments={"epochs": 10**9})
    with make_runner(c, -1, executor) as runner:
        deadline = Deadline(30.0)
        for i in range(3):
            runner.submit(Task(i, 0, PARAMS, deadline=deadline))
        time.sleep(0.5)
        runner.cancel()
        assert [runner.completed(60).state for _ in range(3)] == ["stopped"] * 3
        assert not deadline.is_over, "they did not wait for their fits, which only the deadline ends"
    with make_runner(c, -1, executor) as runner:
        runner.submit(Task(0, 0, PARAMS, deadline=Deadline(4.0)))
        assert runner.completed(60).state == "stopped"


def test_large_data_come_to_each_worker(executor):
    x = np.random.default_rng(0).normal(size=(1_000_000, 8)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    c = context(x=x, y=y, cv=2, fit_arguments={"epochs": 1, "batch_size": 4096})
    with make_runner(c, -1, executor) as runner:
        results = collect(runner, [Task(i, i % 2, PARAMS) for i in range(8)])
    assert {result.state for result in results} == {"ok"}, results[0].error


def test_ray_executor_is_an_executor(ray):
    assert list(ray.map(abs, [-1, 2, -3])) == [1, 2, 3]
    with pytest.raises(ZeroDivisionError):
        ray.submit(lambda: 1 / 0).result(60)
    futures = [ray.submit(time.sleep, 0.3) for _ in range(8)]
    assert futures[-1].cancel()
    futures[0].result(60)
    with RayExecutor(1, num_cpus=0) as other:
        slow = other.submit(time.sleep, 0.5)
    assert slow.done()
    with pytest.raises(RuntimeError, match="submit after shutdown"):
        other.submit(int)
    with pytest.raises(ValueError, match="RayExecutor: n_workers must be >= 1, got 0"):
        RayExecutor(0)


def test_a_search_on_a_cluster(executor):
    from fastreg.search import LogUniform, RandomSearch

    space = {"units": [4, 8, 16], "rate": LogUniform(1e-3, 1e-1)}
    arguments = {"n_trials": 8, "cv": 3, "seed": 1, "verbose": 0}
    here = RandomSearch(search_folds.build, space, n_jobs=1, **arguments).fit(X, Y, epochs=5)
    there = RandomSearch(search_folds.build, space, executor=executor, **arguments).fit(X, Y, epochs=5)
    assert there.best_params_ == here.best_params_
    assert there.best_score_ == here.best_score_
    assert np.array_equal(there.results_["mean_test_score"], here.results_["mean_test_score"])
