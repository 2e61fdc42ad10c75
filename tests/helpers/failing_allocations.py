"""The calls whose allocations fail one after another, and what a failed call leaves as it was.

allocation_faults.py lets them fail, and test_failing_allocations.py runs it.
"""
from __future__ import annotations

import copy
import json
import os
import pickle
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fastreg as fr
import numpy as np
from allocation_faults import Bits, Scenario, judge
from failing_allocations_of_tables import cells_scenario, table_predictor_scenario
from fastreg import _core, layers, losses, ops, optimizers, regularizers
from fastreg.callbacks import EarlyStopping
from fastreg.model.core import core_of
from fastreg.model.training_form import training_description
from fastreg.search.folds.evaluation import Task, evaluate
from programs import blobs, line, trainer_of

EPOCHS, BATCH, ROWS = 3, 32, 80


def bits(*arrays: Any) -> Bits:
    return [np.ascontiguousarray(array).tobytes() for array in arrays]


def model_bits(model: Any) -> Bits:
    """Weights, moments, steps and epochs; whether the trainer is made does not matter."""
    found = bits(*model.get_weights()) if core_of(model).network is not None else []
    if core_of(model).trainer is not None and core_of(model).trainer.step > 0:
        moments = core_of(model).trainer.get_moments()
        found += bits(*moments.values(), [core_of(model).trainer.step, core_of(model).trainer.epoch])
    return found


X, LABELS = blobs(ROWS, 6, 2)
XV, LABELS_V = blobs(140, 6, 2, seed=1)
WEIGHTS = np.linspace(0.5, 1.5, ROWS)


def shared(make: Callable[[], Any]) -> Callable[[], Any]:
    """The same subject each time, for calls that must not change it."""
    subject = make()
    return lambda: subject


def network_layers(units: int = 9) -> list[Any]:
    return [layers.Dense(units, "relu", kernel_regularizer=regularizers.L1L2(1e-3, 1e-3)), layers.BatchNormalization(),
            layers.Dropout(0.3), layers.Dense(5, "gelu"), layers.Dense(2, "softmax")]


def new_model(optimizer: Any = "adam") -> Any:
    model = fr.Sequential(network_layers(), seed=1)
    model.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"])
    return model


def built_model() -> Any:
    model = new_model()
    model.build(6)
    return model


def trained_model() -> Any:
    model = new_model()
    model.fit(X, LABELS, epochs=1, batch_size=16, verbose=0)
    return model


def epochs_of(model: Any) -> int:
    return 0 if core_of(model).trainer is None else core_of(model).trainer.epoch


def train(model: Any, **arguments: Any) -> Bits:
    """Trains up to the last epoch, from wherever the model is."""
    model.fit(X, LABELS, **{"epochs": EPOCHS, "initial_epoch": epochs_of(model), "batch_size": BATCH, "verbose": 0,
                            "sample_weight": WEIGHTS, "validation_data": (XV, LABELS_V), **arguments})
    return model_bits(model)


def until(epoch: int, **arguments: Any) -> Bits:
    """A model after so many epochs without a failure."""
    model = new_model()
    if epoch == 0:
        model.build(6)
        return model_bits(model)
    return train(model, epochs=epoch, **arguments)


def not_at_an_epochs_end(expected: list[Bits]) -> Callable[[Any], str]:
    def complaint(model: Any) -> str:
        if core_of(model).network is None:
            return ""
        return "" if model_bits(model) == expected[epochs_of(model)] else "the model is not that of a complete epoch"
    return complaint


def fit_scenario() -> Scenario:
    return Scenario(new_model, train, complaint=not_at_an_epochs_end([until(epoch) for epoch in range(EPOCHS + 1)]))


def log_loss(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    chosen = np.arange(len(y_true)), y_true
    gradient = np.zeros_like(y_pred)
    gradient[chosen] = -1 / y_pred[chosen]
    return -np.log(y_pred[chosen]), gradient


def function_scenario() -> Scenario:
    """A loss in Python: each step has memory of its own, in C++ and in the function."""
    def make() -> Any:
        model = fr.Sequential(network_layers(), seed=1)
        model.compile("adam", losses.Custom(log_loss, labels=True), ["accuracy"])
        return model

    def act(model: Any) -> Bits:
        return train(model, epochs=2, batch_size=40)

    expected = [make(), make(), make()]
    expected[0].build(6)
    train(expected[1], epochs=1, batch_size=40)
    act(expected[2])
    return Scenario(make, act, complaint=not_at_an_epochs_end([model_bits(model) for model in expected]))


def fit_again_scenario() -> Scenario:
    """Larger batches than those of an earlier fit, more rows to score: what that fit has left is too small."""
    def enlarge(model: Any) -> Bits:
        model.fit(X, LABELS, epochs=4, initial_epoch=epochs_of(model), batch_size=64, validation_data=(X, LABELS),
                  verbose=0)
        return model_bits(model)

    def started() -> Any:
        model = new_model()
        model.fit(X[:8], LABELS[:8], epochs=1, batch_size=4, validation_data=(XV[:3], LABELS_V[:3]), verbose=0)
        return model

    expected: list[Bits] = [[], model_bits(started())]
    for last in (2, 3, 4):
        model = started()
        model.fit(X, LABELS, epochs=last, initial_epoch=1, batch_size=64, validation_data=(X, LABELS), verbose=0)
        expected.append(model_bits(model))
    return Scenario(started, enlarge, complaint=not_at_an_epochs_end(expected))


def stopping_scenario() -> Scenario:
    """Early stopping that restores: after a failure the weights are those of one of the epochs."""
    def act(model: Any) -> Bits:
        return train(model, epochs=6, initial_epoch=0,
                     callbacks=[EarlyStopping("val_loss", patience=2), EarlyStopping("loss", start_from_epoch=2)])

    ends = [until(epoch) for epoch in range(7)]
    weights = {tuple(end[: len(ends[0])]) for end in ends}

    def complaint(model: Any) -> str:
        if core_of(model).network is None:
            return ""
        steps = 0 if core_of(model).trainer is None else core_of(model).trainer.step
        if steps != epochs_of(model) * -(-ROWS // BATCH):
            return f"{steps} steps in {epochs_of(model)} epochs"
        if tuple(bits(*model.get_weights())) not in weights:
            return "the weights are not those of a complete epoch"
        twin = pickle.loads(pickle.dumps(model))
        return "" if act(model) == act(twin) else "the model does not train on as its copy does"

    return Scenario(new_model, act, complaint=complaint)


def wide_scenario() -> Scenario:
    """Buffers so large that they are mapped, steps that two threads share, and kernels in reduced precision."""
    x, y = line(40, 260, 1)
    fr.set_num_threads(2)

    def make() -> Any:
        model = fr.Sequential([layers.Dense(512, "relu"), layers.Dense(1)], seed=2)
        model.compile(optimizers.SGD(1e-3, momentum=0.9), "mse")
        model.build(260)
        return model

    def act(model: Any) -> Bits:
        trainer_of(model).parallel_threshold = 0.0
        model.fit(x, y, epochs=2, initial_epoch=epochs_of(model), verbose=0)
        many = np.tile(x, (20, 1))
        reduced = model._core.network.predict(many, None, "medium")
        scores = model.evaluate(many, np.tile(y, (20, 1)), verbose=0)
        return [*model_bits(model), *bits(model.predict(many), scores, reduced)]

    expected = []
    for epochs in range(3):
        model = make()
        if epochs:
            model.fit(x, y, epochs=epochs, verbose=0)
        expected.append(model_bits(model))
    return Scenario(make, act, complaint=not_at_an_epochs_end(expected))


def predict_scenario() -> Scenario:
    return Scenario(shared(trained_model), lambda model: bits(model.predict(np.tile(X, (9, 1)))), model_bits)


def batch_scenario() -> Scenario:
    """One batch at a time: after a failure the model is that of a complete step."""
    def act(model: Any) -> Bits:
        if model.optimizer.iterations == 0:  # otherwise a call that failed has made the step
            model.train_on_batch(X[:24], LABELS[:24])
        values = model.test_on_batch(X[24:60], LABELS[24:60])
        return [*model_bits(model), *bits(np.asarray(values))]

    def started() -> Any:
        model = new_model()
        model.build(6)
        core_of(model).trainer_for((6,))
        return model

    after = started()
    act(after)
    ends = [model_bits(started()), model_bits(after)]

    def complaint(model: Any) -> str:
        return "" if model_bits(model) in ends else "the model is not that of a complete step"

    return Scenario(started, act, complaint=complaint)


def evaluate_scenario() -> Scenario:
    def act(model: Any) -> Bits:
        return [*bits(model.evaluate(X[:40], LABELS[:40], verbose=0),
                      model.evaluate(XV, LABELS_V, sample_weight=np.ones(140), verbose=0)),
                *model_bits(model)]

    return Scenario(shared(trained_model), act, model_bits)


def metrics_scenario() -> Scenario:
    """Rows for the states of metrics of each form: rows that could not be added are not part of the value."""
    y, t, w = XV[:40, :1].astype(np.float32), (XV[:40, 1:2] > 0).astype(np.float32), np.ones(40, np.float32)
    kinds = ("AUC", "F1Score", "MeanSquaredError", "MedianAbsoluteError")

    def make() -> list[Any]:
        states = [_core.MetricState(json.dumps({"type": kind}), 1, False) for kind in kinds]
        for state in states:
            state.add(t[:20], y[:20])
        return states

    def act(states: list[Any]) -> Bits:
        fresh = _core.MetricState('{"type": "AUC"}', 1, False)
        for state in (*states, fresh):
            state.reset()
            state.add(t, y, w)
        rows = _core.metric_rows('{"type": "MeanAbsoluteError"}', t, y)
        return bits(rows, *(state.values() for state in (*states, fresh)))

    def values(states: list[Any]) -> list[Bits]:
        return [bits(state.values()) for state in states]

    before, empty, after = make(), make(), make()
    for one, other in zip(empty, after, strict=True):
        one.reset()
        other.reset()
        other.add(t, y, w)
    allowed = [values(before), values(empty), values(after)]

    def complaint(states: list[Any]) -> str:
        found = values(states)
        wrong = [kind for i, kind in enumerate(kinds) if found[i] not in [of_all[i] for of_all in allowed]]
        return f"states have some of the rows: {wrong}" if wrong else ""

    return Scenario(make, act, complaint=complaint)


def save_scenario(folder: Path) -> Scenario:
    path = folder / "saved.safetensors"

    model = trained_model()

    def make() -> Any:
        path.write_bytes(b"what was there before")
        return model

    def act(model: Any) -> Bits:
        model.save(path)
        return [path.read_bytes()]

    def state(model: Any) -> Any:
        return path.read_bytes(), sorted(os.listdir(folder)), model_bits(model)

    return Scenario(make, act, state)


def load_scenario(folder: Path) -> Scenario:
    path = folder / "loaded.safetensors"
    trained_model().save(path)
    return Scenario(lambda: None, lambda _: model_bits(fr.load(path)))


def freeze_scenario() -> Scenario:
    def act(model: Any) -> Bits:
        frozen = model.freeze()
        again = pickle.loads(pickle.dumps(frozen))
        wide = np.tile(X, (60, 1))
        return [repr(frozen).encode(), *bits(frozen(X[:1]), frozen(wide), again(X), frozen(X.astype(np.float64)))]

    def make() -> Any:
        model = fr.Sequential([layers.BatchNormalization(), *network_layers(40), layers.Activation("tanh")], seed=1)
        model.build(6)
        return model

    return Scenario(shared(make), act, model_bits)


def frozen_scenario() -> Scenario:
    """Calls of a predictor in a thread of their own, each of which has to get its buffers first."""
    def make() -> Any:
        model = fr.Sequential(network_layers(100), seed=1)
        model.build(6)
        return model.freeze()

    def act(frozen: Any) -> Bits:
        with ThreadPoolExecutor(1) as thread:
            return [*thread.submit(lambda: bits(frozen(X))).result(),
                    *thread.submit(lambda: bits(frozen(X[:1]), frozen(np.tile(X, (9, 1))))).result()]

    return Scenario(shared(make), act, lambda frozen: bits(frozen(X)))


def pickle_scenario() -> Scenario:
    return Scenario(shared(trained_model), lambda model: [*model_bits(pickle.loads(pickle.dumps(model))),
                                                          *model_bits(copy.deepcopy(model))],
                    model_bits)


def weights_scenario() -> Scenario:
    def act(model: Any) -> Bits:
        weights = model.get_weights()
        model.set_weights([np.full_like(w, 0.5) for w in weights])
        half = model.get_weights()
        model.set_weights(weights)
        return bits(*half, *weights)

    # set_weights is all or nothing, so a failure between the two leaves the halves.
    whole = [model_bits(trained_model()), None]
    halves = trained_model()
    halves.set_weights([np.full_like(w, 0.5) for w in halves.get_weights()])
    whole[1] = model_bits(halves)

    def complaint(model: Any) -> str:
        if model_bits(model) not in whole:
            return "some of the weights were set, others not"
        model.set_weights(trained_model().get_weights())
        return ""

    return Scenario(trained_model, act, complaint=complaint)


def layers_scenario() -> Scenario:
    """Layers that come and go: the other weights stay whatever happens."""
    def act(model: Any) -> Bits:
        if len(model.layers) == 5:
            model.add(layers.Dense(3, "tanh"))
        added = model_bits(model)
        model.pop()
        return added[:-1] + model_bits(model)

    kept = len(bits(*trained_model().get_weights()))
    before = bits(*trained_model().get_weights())

    def complaint(model: Any) -> str:
        return "" if bits(*model.get_weights())[:kept] == before else "the weights of the other layers are lost"

    return Scenario(trained_model, act, complaint=complaint)


def operations() -> Iterator[Any]:
    x, w, b = X[:20], np.linspace(-1, 1, 24).reshape(6, 4).astype(np.float32), np.ones(4, np.float32)
    z, y = ops.dense(x, w, b), ops.dense(x, w, b, "gelu")
    yield from (z, y)
    yield from ops.dense_backward(x, w, z, y, "gelu")
    softmax = ops.dense(x, w, b, "softmax")
    yield from ops.loss("categorical_crossentropy", softmax, np.eye(4, dtype=np.float32)[np.arange(20) % 4])
    yield from ops.loss("sparse_categorical_crossentropy", z, np.arange(20) % 4, np.ones(20), from_logits=True)
    yield ops.activation(x, "silu")
    yield ops.activation_backward(x, x, "silu")
    yield ops.dropout(x, 0.5, seed=3)
    ones, zeros = np.ones(6, np.float32), np.zeros(6, np.float32)
    yield from ops.batch_norm_train(x, ones, zeros, zeros.copy(), ones.copy())
    yield ops.batch_norm(x, ones, zeros, zeros, ones)
    yield from ops.batch_norm_backward(x, x, ones, zeros, ones)


def ops_scenario() -> Scenario:
    return Scenario(lambda: None, lambda _: bits(*operations()))


def updater_scenario() -> Scenario:
    """An updater over parameters of the caller's: made, and stepped."""
    rules = [optimizers.SGD(0.1, momentum=0.9), optimizers.AdamW(0.1), optimizers.RMSprop(0.1, clipnorm=1.0)]

    def act(_: Any) -> Bits:
        found = []
        for rule in rules:
            w = np.ones(50, np.float32)
            updater = ops.Updater(rule, w)
            updater.step(np.full(50, 0.3, np.float32))
            updater.step(np.full(50, -0.1, np.float32))
            found += bits(w)
        return found

    return Scenario(lambda: None, act)


def search_scenario() -> Scenario:
    from search_folds import PARAMS, context

    def act(made: Any) -> Bits:
        result = evaluate(made, Task(0, 1, PARAMS))
        if result.state == "failed":
            if re.search(r"^MemoryError", result.error or "", re.MULTILINE):
                raise MemoryError
            raise AssertionError(result.error)
        return bits(list(result.scores.values()))

    return Scenario(lambda: context(fit_arguments={"epochs": 2, "validation_split": 0.2}), act)


def core_scenario() -> Scenario:
    """What the compiled module makes: a network, a trainer, a signal."""
    text = json.dumps(core_of(built_model()).description((6,)))
    model = trained_model()
    training = json.dumps(training_description(core_of(model), core_of(model).require_network("fit")))

    def act(_: Any) -> Bits:
        network = _core.Network(text)
        trainer = _core.Trainer(network, training)
        signal = _core.StopSignal()
        signal.set()
        verdict, waited = _core.judge_epoch(EarlyStopping("loss").rule(0, "min"), 1, 0.5, 0.25, 0)
        return bits(*network.get_weights(), [trainer.step, signal.is_set, verdict == "stop", waited])

    return Scenario(lambda: None, act)


def limits_scenario(folder: Path) -> Scenario:
    """The memory that the process may use, read from files of its groups: none is missed. All have their own limit."""
    limit = 1_000_000
    for group_line in ["0::/", *Path("/proc/self/cgroup").read_text().splitlines()]:
        _, controllers, path = group_line.split(":", 2)
        mount, name = ("", "memory.max") if not controllers else ("memory", "memory.limit_in_bytes")
        group = folder / mount / path.strip("/")
        if controllers in ("", "memory") and not (group / name).exists():
            group.mkdir(parents=True, exist_ok=True)
            limit //= 2
            (group / name).write_text(str(limit).zfill(40))   # longer than what a string holds without allocating
    os.environ["FASTREG_CGROUP_ROOT"] = str(folder)
    return Scenario(lambda: None, lambda _: bits([_core.memory_limit()]))


def schema_scenario() -> Scenario:
    return Scenario(lambda: None, lambda _: bits([len(str(_core.schema())), len(_core.activations())]))


SCENARIOS: dict[str, Callable[[Path], Scenario]] = {
    "limits": limits_scenario,
    "core": lambda _: core_scenario(),
    "schema": lambda _: schema_scenario(),
    "fit": lambda _: fit_scenario(),
    "fit with a function": lambda _: function_scenario(),
    "fit again": lambda _: fit_again_scenario(),
    "early stopping": lambda _: stopping_scenario(),
    "wide": lambda _: wide_scenario(),
    "batch": lambda _: batch_scenario(),
    "evaluate": lambda _: evaluate_scenario(),
    "metrics": lambda _: metrics_scenario(),
    "predict": lambda _: predict_scenario(),
    "save": save_scenario,
    "load": load_scenario,
    "freeze": lambda _: freeze_scenario(),
    "frozen": lambda _: frozen_scenario(),
    "rows of codes": lambda _: table_predictor_scenario(),
    "cells": lambda _: cells_scenario(),
    "pickle": lambda _: pickle_scenario(),
    "weights": lambda _: weights_scenario(),
    "layers": lambda _: layers_scenario(),
    "ops": lambda _: ops_scenario(),
    "updater": lambda _: updater_scenario(),
    "search": lambda _: search_scenario(),
}


def main(name: str, most_alone: int, most_children: int) -> None:
    judge(name, SCENARIOS[name], most_alone, most_children)
