"""The promises on threads: one result for any count, a budget that obeys, no lock held while a fit runs.

`parallel_threshold = 0` shares even the smallest step among threads, so that small networks, whose columns are fewer
than the threads, take the threaded path too.
"""
from __future__ import annotations

import os
import sys
import threading
import time

import fastreg as fr
import numpy as np
import pytest
import reference as ref
from cases import ACTIVATIONS, LAYER_CASES, LOSS_CASES, METRIC_CASES, USUAL_OPTIMIZERS
from fastreg import callbacks, layers, optimizers, regularizers
from pairs import last_activation, targets
from programs import (
    blobs,
    compiled,
    last_json,
    line,
    long_epoch,
    run_program,
    same_bits,
    threads_used,
    trainer_of,
    tutorial_layers,
    wait_for_fit,
)

COUNTS = (1, 2, 3)


@pytest.fixture(autouse=True)
def restore_thread_count():
    before = fr.get_num_threads()
    yield
    fr.set_num_threads(before)


def stopping():
    return [callbacks.EarlyStopping(monitor="val_loss", patience=1, restore_best_weights=True)]


# id: (layers, loss, optimizer, (n, features, classes or outputs), keywords of fit). Odd widths, columns fewer than
# threads, a last batch of one row, full batch, and every part of a step that could be reduced in another order.
NETWORKS = {
    "tutorial": (tutorial_layers, "binary_crossentropy", "adam", (97, 10, 2), {"batch_size": 32}),
    "odd": (lambda: [layers.Dense(33, activation="tanh"), layers.Dense(17, activation="gelu"),
                     layers.Dense(5, activation="softmax")],
            "sparse_categorical_crossentropy", optimizers.SGD(0.1, momentum=0.9, nesterov=True), (83, 7, 5),
            {"batch_size": 20}),
    "narrow": (lambda: [layers.Dense(2, activation="silu"), layers.BatchNormalization(), layers.Dense(1)],
               "mse", optimizers.RMSprop(1e-2), (50, 3, 1), {"batch_size": 8}),
    "single": (lambda: [layers.Dense(1)], "mse", optimizers.SGD(0.05), (40, 1, 1), {"batch_size": None}),
    "wide": (lambda: [layers.Dense(130, activation="elu", kernel_regularizer=regularizers.L2(1e-3)),
                      layers.Dropout(0.3), layers.Dense(70, activation="leaky_relu"), layers.BatchNormalization(),
                      layers.Dense(10, activation="softmax")],
             "sparse_categorical_crossentropy", optimizers.AdamW(1e-2), (200, 40, 10),
             {"batch_size": 64, "metrics": ["accuracy"], "validation_split": 0.25, "stop": True}),
    **{clip: (lambda: [layers.Dense(130, activation="elu", kernel_regularizer=regularizers.L1L2(1e-3, 1e-3)),
                       layers.BatchNormalization(), layers.Dense(200, activation="tanh"),
                       layers.Dense(10, activation="softmax")],
              "sparse_categorical_crossentropy", optimizers.SGD(0.1, 0.9, **{clip: 0.01}), (100, 40, 10), {})
       for clip in ("clipvalue", "clipnorm", "global_clipnorm")},
    "proximal": (lambda: [layers.Dense(19, activation="softplus",
                                       kernel_regularizer=regularizers.L1(1e-2, proximal=True)), layers.Dense(3)],
                 "mse", "adam", (64, 20, 3), {"batch_size": 16}),
    "full batch": (tutorial_layers, "binary_crossentropy", "rmsprop", (301, 10, 2), {"batch_size": None}),
    "weighted": (lambda: [layers.Dropout(0.2), layers.Dense(37, use_bias=False), layers.BatchNormalization(),
                          layers.Activation("relu"), layers.Dense(1, activation="sigmoid")],
                 "binary_crossentropy", "sgd", (121, 11, 2), {"batch_size": 32, "weighted": True}),
    **{f"rule {name}": (lambda: [layers.Dense(19, "elu", kernel_regularizer=regularizers.L1L2(1e-3, 1e-3)),
                                 layers.BatchNormalization(), layers.Dense(3, "softmax")],
                        "sparse_categorical_crossentropy", case.made, (97, 11, 3), {"batch_size": 32})
       for name, case in USUAL_OPTIMIZERS.items()},
    **{f"loss {name}": (lambda loss=case.oracle: [layers.Dense(19, "tanh"),
                                                  layers.Dense(3 * loss.heads, last_activation(loss))],
                        case.made, optimizers.SGD(0.05), (97, 11, 3 * case.oracle.heads),
                        {"batch_size": 32, "targets": case.oracle})
       for name, case in LOSS_CASES.items()},
    **{f"metric {name}": (lambda k=case.oracle.outputs or 3: [layers.Dense(k, "sigmoid")], loss, "adam",
                          (97, 11, case.oracle.outputs or 3),
                          {"batch_size": 32, "metrics": [case.made], "targets": ref.loss_of(loss)})
       for name, case in METRIC_CASES.items()
       for loss in ["sparse_categorical_crossentropy" if case.oracle.targets == "labels" else "binary_crossentropy"]},
    **{f"activation {name}": (lambda name=name: [layers.Dense(19, name), layers.Activation(name), layers.Dense(1)],
                              "mse", optimizers.SGD(1e-3 if name == "log_softmax" else 0.01), (97, 11, 1),
                              {"batch_size": 32})
       for name in ACTIVATIONS if name != "exponential"},
    # One after another would leave the range of floats.
    "activation exponential": (lambda: [layers.Dense(19, "exponential"), layers.Dense(1)], "mse",
                               optimizers.SGD(1e-5), (97, 11, 1), {"batch_size": 32}),
    **{f"layer {name}": (lambda made=case.made: [layers.Dense(37, "tanh"), made, layers.Dense(1)],
                         "mse", optimizers.SGD(0.01), (97, 11, 1), {"batch_size": 32})
       for name, case in LAYER_CASES.items()
       if case.around[0] and case.made.input_rule.limit is None and name != "residual"},
    "activities": (lambda: [layers.Dense(37, "relu", activity_regularizer="l1l2"),
                            layers.BatchNormalization(momentum=None),
                            layers.Dense(5, "softmax", activity_regularizer="l2")],
                   "sparse_categorical_crossentropy", "adam", (97, 11, 5), {"batch_size": 32, "validation_split": 0.2}),
}


def train(case, threads, epochs=4):
    """Weights, history and outputs after training with a thread count, as one list of arrays."""
    stack, loss, optimizer, (n, features, outputs), options = NETWORKS[case]
    options = dict(options)
    x, y = line(n, features, outputs) if loss == "mse" else blobs(n, features, outputs)
    if (oracle := options.pop("targets", None)) is not None:
        y = targets(oracle, n, outputs, np.random.default_rng(0))
    metrics = options.pop("metrics", [])
    keywords = {"callbacks": stopping()} if options.pop("stop", False) else {}
    if options.pop("weighted", False):
        keywords["sample_weight"] = np.linspace(0.5, 2.0, n).astype(np.float32)
    fr.set_num_threads(threads)
    model = compiled(stack(), loss=loss, optimizer=optimizer, metrics=metrics, seed=3, n_features=features,
                     parallel=True)
    history = model.fit(x, y, epochs=epochs, verbose=0, **options, **keywords)
    logs = [np.asarray(history.history[key], dtype=np.float64) for key in sorted(history.history)]
    score = np.atleast_1d(np.asarray(model.evaluate(x, y, verbose=0), dtype=np.float64))
    return [*model.get_weights(), *logs, score, model.predict(x)]


@pytest.mark.parametrize("case", NETWORKS)
def test_training_is_bitwise_equal_for_any_thread_count(case):
    results = {threads: train(case, threads) for threads in COUNTS}
    for threads in COUNTS[1:]:
        assert same_bits(results[1], results[threads]), f"{threads} threads differ from one"


def test_the_cases_train():
    """Equality above would also hold for a fit that does nothing."""
    for case in NETWORKS:
        short, long = train(case, 1, epochs=1), train(case, 1, epochs=4)
        assert not same_bits(short[:1], long[:1]), case


def test_large_network_is_bitwise_equal_with_the_threshold_it_comes_with():
    x, y = blobs(512, 200, 10, seed=4)
    results = []
    for threads in COUNTS:
        fr.set_num_threads(threads)
        model = compiled([layers.Dense(384, activation="relu"), layers.BatchNormalization(), layers.Dropout(0.2),
                          layers.Dense(257, activation="relu"), layers.Dense(10, activation="softmax")],
                         loss="sparse_categorical_crossentropy", seed=5, n_features=200)
        model.fit(x, y, batch_size=128, epochs=2, verbose=0)
        results.append([*model.get_weights(), model.predict(x), np.asarray(model.evaluate(x, y, verbose=0))])
    assert same_bits(results[0], results[1])
    assert same_bits(results[0], results[2])


FITTED = """
from programs import blobs, compiled
from fastreg import layers
x, y = blobs(4096, 64, 2)
stack = [layers.Dense(128, activation="relu"), layers.Dense(1, activation="sigmoid")]
model = compiled(stack, n_features=64, parallel=True)
"""
FIT = "model.fit(x, y, epochs=5, batch_size=256, verbose=0)"


@pytest.mark.skipif(sys.platform != "linux", reason="counts /proc/self/task")
@pytest.mark.parametrize("threads", COUNTS)
def test_a_fit_runs_on_as_many_threads_as_were_set(threads):
    """Also above the core count, and the other tests of this file really compare different counts."""
    assert threads_used(FITTED, FIT, threads) == threads - 1


def test_set_num_threads_obeys_and_reports():
    for n in (1, 2, 7, (os.cpu_count() or 1) + 5):
        fr.set_num_threads(n)
        assert fr.get_num_threads() == n


@pytest.mark.parametrize(("value", "error"), [
    (0, ValueError), (-1, ValueError), (10**12, ValueError), (1.5, TypeError), ("2", TypeError), (None, TypeError),
    (True, TypeError),
])
def test_set_num_threads_rejects(value, error):
    fr.set_num_threads(2)
    with pytest.raises(error, match="n") as caught:
        fr.set_num_threads(value)
    assert str(value) in str(caught.value) or type(value).__name__ in str(caught.value)
    assert fr.get_num_threads() == 2


def test_numpy_integers_count():
    fr.set_num_threads(np.int64(3))
    assert fr.get_num_threads() == 3


# The default is the least of affinity, cgroup quota and one of the two variables; FASTREG_NUM_THREADS goes before
# OMP_NUM_THREADS. `cores` is what the affinity mask of this test run allows.
def default_threads(env=None, cpus=None):
    preexec = None if cpus is None else lambda: os.sched_setaffinity(0, cpus)
    source = "import fastreg as fr; print(fr.get_num_threads())"
    return last_json(run_program(source, env=env, preexec=preexec))


linux = pytest.mark.skipif(sys.platform != "linux", reason="affinity and cgroups are Linux's")


@linux
@pytest.mark.parametrize(("env", "limit"), [
    ({}, None),
    ({"FASTREG_NUM_THREADS": "1"}, 1),
    ({"OMP_NUM_THREADS": "1"}, 1),
    ({"FASTREG_NUM_THREADS": "2", "OMP_NUM_THREADS": "1"}, 2),
    ({"FASTREG_NUM_THREADS": "1", "OMP_NUM_THREADS": "2"}, 1),
    ({"FASTREG_NUM_THREADS": "4096"}, None),
])
def test_default_thread_count_follows_the_environment(env, limit, tmp_path):
    cores = len(os.sched_getaffinity(0))
    env = {"FASTREG_CGROUP_ROOT": str(tmp_path), **env}
    assert default_threads(env) == min(cores, limit or cores)


@linux
@pytest.mark.parametrize("value", ["0", "-3", "many", "1.5", "99999999999999999999"])
def test_a_senseless_variable_of_ours_is_a_value_error(value):
    program = """
import fastreg as fr
try:
    fr.get_num_threads()
except ValueError as error:
    print(error)
fr.set_num_threads(3)
print(fr.get_num_threads())
"""
    message, count = run_program(program, env={"FASTREG_NUM_THREADS": value}).stdout.splitlines()
    assert "FASTREG_NUM_THREADS" in message
    assert value in message
    assert count == "3", "what is set explicitly needs no variable"


@linux
@pytest.mark.parametrize(("value", "limit"), [("0", None), ("-3", None), ("many", None), ("", None), ("1,4", 1)])
def test_the_variable_of_others_counts_where_it_is_a_number(value, limit, tmp_path):
    cores = len(os.sched_getaffinity(0))
    count = default_threads({"FASTREG_CGROUP_ROOT": str(tmp_path), "OMP_NUM_THREADS": value})
    assert count == min(cores, limit or cores)


@linux
def test_default_thread_count_follows_the_affinity_mask(tmp_path):
    one = {min(os.sched_getaffinity(0))}
    assert default_threads({"FASTREG_CGROUP_ROOT": str(tmp_path)}, cpus=one) == 1


# Files under the cgroup root -> the limit they set (None: none).
CGROUPS = {
    "v2, one CPU": ({"cpu.max": "100000 100000\n"}, 1),
    "v2, half a CPU": ({"cpu.max": "50000 100000\n"}, 1),
    "v2, other period": ({"cpu.max": "10000 10000\n"}, 1),
    "v2, many": ({"cpu.max": "6400000 100000\n"}, None),
    "v2, no limit": ({"cpu.max": "max 100000\n"}, None),
    "v1, one CPU": ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
    "v1, no limit": ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
    "none": ({}, None),
    "damaged": ({"cpu.max": "what?"}, None),
    "empty": ({"cpu.max": ""}, None),
    "zero period": ({"cpu.max": "100000 0\n"}, None),
}


@linux
@pytest.mark.parametrize("case", CGROUPS)
def test_default_thread_count_follows_the_cgroup_quota(case, tmp_path):
    files, limit = CGROUPS[case]
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    cores = len(os.sched_getaffinity(0))
    assert default_threads({"FASTREG_CGROUP_ROOT": str(tmp_path)}) == min(cores, limit or cores)


def test_python_threads_run_while_a_fit_does():
    """Nothing of Python is called within an epoch: had the fit held the GIL, no thread would have ended it there."""
    fr.set_num_threads(1)
    model, x, y = long_epoch(10_000)
    signal = callbacks.StopSignal()

    def tick():
        wait_for_fit(model)
        for _ in range(50):
            time.sleep(0.001)
        signal.set()

    ticker = threading.Thread(target=tick)
    ticker.start()
    history = model.fit(x, y, batch_size=1, epochs=1, verbose=0, callbacks=[signal])
    ticker.join()
    assert (history.stopped_by, history.epoch) == ("stop_signal", [])


def in_threads(jobs):
    """Runs callables at the same time; returns their results, raises the first of their errors."""
    results, errors, gate = [None] * len(jobs), [], threading.Barrier(len(jobs))

    def work(i, job):
        try:
            gate.wait(20)
            results[i] = job()
        except BaseException as error:  # handed to the test's own thread below
            errors.append(error)

    workers = [threading.Thread(target=work, args=item, daemon=True) for item in enumerate(jobs)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert not worker.is_alive(), "a thread hangs"
    if errors:
        raise errors[0]
    return results


@pytest.mark.parametrize("threads", [1, 2])
def test_fits_side_by_side_give_the_results_of_fits_one_after_another(threads):
    fr.set_num_threads(threads)

    def job(seed):
        x, y = blobs(256, 10, 2, seed=seed)
        model = compiled(tutorial_layers(), seed=seed, n_features=10, parallel=threads > 1)
        return lambda: (model.fit(x, y, epochs=5, verbose=0), model.get_weights())[1]

    alone = [job(seed)() for seed in range(4)]
    together = in_threads([job(seed) for seed in range(4)])
    assert all(same_bits(a, b) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("threads", [1, 2])
def test_one_model_predicts_and_evaluates_from_many_threads(threads):
    fr.set_num_threads(threads)
    x, y = blobs(3000, 10, 2)
    model = compiled(tutorial_layers(), n_features=10, parallel=threads > 1)
    model.fit(x, y, epochs=1, verbose=0)
    parts = [x[i::6] for i in range(6)]
    expected = [model.predict(part) for part in parts]
    for _ in range(5):
        assert same_bits(expected, in_threads([lambda part=part: model.predict(part) for part in parts]))
    loss = model.evaluate(x, y, verbose=0)
    assert in_threads([lambda: model.evaluate(x, y, verbose=0)] * 4) == [loss] * 4


def test_two_fits_of_one_model_at_once_are_an_error_or_take_turns():
    """One model holds one set of weights: steps of two fits must not mix. Threads are switched as often as can be."""
    program = """
import json, sys
import fastreg as fr
from programs import blobs, compiled, same_bits, tutorial_layers
from test_threads import in_threads
sys.setswitchinterval(1e-6)
x, y = blobs(256, 10, 2)
def make():
    return compiled(tutorial_layers(), n_features=10)
turns = [make(), make()]
for i, model in enumerate(turns):
    for _ in range(i + 1):
        model.fit(x, y, epochs=3, verbose=0)
mixed = []
for _ in range(200):
    model, refused = make(), []
    def fit():
        try:
            model.fit(x, y, epochs=3, verbose=0)
        except RuntimeError as error:
            refused.append(str(error))
    in_threads([fit, fit])
    if not same_bits(model.get_weights(), turns[0 if refused else 1].get_weights()):
        mixed.append(refused)
    assert all("fit" in text for text in refused)
    model.fit(x, y, verbose=0)
print(json.dumps(mixed))
"""
    assert last_json(run_program(program, timeout=100)) == []


def test_threshold_is_where_the_tests_expect_it():
    model = compiled(tutorial_layers(), n_features=10)
    assert trainer_of(model).parallel_threshold > 0


@pytest.mark.skipif(sys.platform != "linux", reason="counts /proc/self/task")
def test_a_fit_obeys_the_limit_of_its_thread():
    assert threads_used(FITTED, f"with fr.thread_limit(2): {FIT}", 3) == 1


FROZEN = """
import numpy as np
from fastreg import layers
p = fr.Sequential([fr.Input((20,)), layers.Activation("gelu")]).freeze()
x = np.ones((300_000, 20), np.float32)
y = np.empty_like(x)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts /proc/self/task")
@pytest.mark.parametrize("threads", COUNTS)
def test_a_frozen_network_without_products_is_shared_too(threads):
    assert threads_used(FROZEN, "for _ in range(10): p(x, out=y)", threads) == threads - 1
