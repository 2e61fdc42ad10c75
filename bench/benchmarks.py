"""The benchmarks by name: builds both contenders, checks that they compute the same, hands them to the harness.

Everything runs on one thread (see harness.py). fastreg is used through its public interface (only the name of
the ISA comes from the compiled module).
"""

import argparse
import dataclasses
from collections.abc import Callable

import baselines
import fastreg as fr
import harness
import numpy as np
from fastreg import _core, layers, ops, optimizers, regularizers
from numpy.typing import NDArray
from workloads import ADAM, MID, SMALL, AdamStep, Floats, Network, classification_data, initial_weights

FASTREG, NUMPY = "fastreg", "NumPy"
RATE = harness.Metric("rate", "samples/s", higher_is_better=True)
TRAFFIC = harness.Metric("traffic", "GB/s", higher_is_better=True)
LATENCIES = [harness.Metric(name, "us a call", higher_is_better=False) for name in ("p50", "p99")]


class Disagreement(AssertionError):
    """The contenders do not compute the same, so their times mean nothing."""


def require_close(what: str, ours: Floats, theirs: Floats, tolerance: float) -> None:
    off = float(np.max(np.abs(ours.astype(np.float64) - theirs)))
    if not off <= tolerance:
        raise Disagreement(f"{what}: fastreg and NumPy differ by {off:.3g}, allowed {tolerance:.3g}")


def build_model(net: Network) -> fr.Sequential:
    stack: list[object] = []
    for index, (_, units) in enumerate(net.shapes):
        penalty = regularizers.L1L2(l1=net.l1[index], l2=net.l2[index])
        if index + 1 < len(net.shapes):
            stack.append(layers.Dense(units, activation="relu", kernel_regularizer=penalty))
            stack.append(layers.BatchNormalization(momentum=net.bn_momentum, epsilon=net.bn_epsilon))
            stack.append(layers.Dropout(net.dropout))
        else:
            head = "sigmoid" if net.binary else "softmax"
            stack.append(layers.Dense(units, activation=head, kernel_regularizer=penalty))
    model = fr.Sequential(stack, seed=0)
    adam = optimizers.Adam(
        learning_rate=net.learning_rate, beta_1=net.beta_1, beta_2=net.beta_2, epsilon=net.adam_epsilon
    )
    model.compile(optimizer=adam, loss="binary_crossentropy" if net.binary else "sparse_categorical_crossentropy")
    model.build(net.sizes[0])
    model.set_weights(initial_weights(net))
    return model


def accuracy(net: Network, probabilities: Floats, y: NDArray[np.int64]) -> float:
    predicted = probabilities[:, 0] > 0.5 if net.binary else probabilities.argmax(axis=1)
    return float(np.mean(predicted == y))


def check_training(net: Network) -> None:
    """Without dropout and shuffling ten steps from the same weights must agree; with both, the accuracy must.

    float32 sums in another order differ by about 1e-7 of a weight a step, and Adam's division can make the error of a
    small gradient one of the whole step, hence the tolerance of a tenth of a step's largest change.
    """
    plain = dataclasses.replace(net, dropout=0.0, rows=10 * net.batch)
    x, y = classification_data(plain, plain.rows)
    model, trainer = build_model(plain), baselines.Trainer(plain, initial_weights(plain))
    model.fit(x, y, batch_size=plain.batch, epochs=1, shuffle=False, verbose=0)
    trainer.run(x, y, 1, shuffle=False)
    for index, (ours, theirs) in enumerate(zip(model.get_weights(), trainer.weights(), strict=True)):
        require_close(f"training {net.label}, weights {index}", ours, theirs, 0.1 * net.learning_rate)

    rows = min(net.rows, 10_000)
    x, y = classification_data(net, rows)
    model, trainer = build_model(net), baselines.Trainer(net, initial_weights(net))
    model.fit(x, y, batch_size=net.batch, epochs=3, verbose=0)
    trainer.run(x, y, 3)
    ours = accuracy(net, model.predict(x), y)
    theirs = accuracy(net, baselines.predictor(net, trainer.weights())(x), y)
    if abs(ours - theirs) > 0.02:
        raise Disagreement(f"training {net.label}: accuracy {ours:.4f} with fastreg, {theirs:.4f} with NumPy")


def train(net: Network, options: argparse.Namespace) -> list[harness.Row]:
    check_training(net)
    x, y = classification_data(net, net.rows)
    model, trainer = build_model(net), baselines.Trainer(net, initial_weights(net))

    def rate(run: Callable[[], object]) -> harness.Contender:
        return lambda: {"rate": net.rows * net.epochs / harness.seconds(run)}

    contenders = {
        FASTREG: rate(lambda: model.fit(x, y, batch_size=net.batch, epochs=net.epochs, verbose=0)),
        NUMPY: rate(lambda: trainer.run(x, y, net.epochs)),
    }
    return harness.compare(f"train {net.label}, batch {net.batch}", [RATE], contenders, options.repeats)


def adam_contenders(spec: AdamStep, size: int) -> dict[str, tuple[Floats, Callable[[Floats], None]]]:
    """For each contender a vector of its own, all equal, and the step that updates it with a gradient."""
    start = np.random.default_rng(3).standard_normal(size, dtype=np.float32)
    ours, theirs = start.copy(), start
    adam = optimizers.Adam(
        learning_rate=spec.learning_rate, beta_1=spec.beta_1, beta_2=spec.beta_2, epsilon=spec.epsilon
    )
    updater = ops.Updater(adam, ours, l1=spec.l1, l2=spec.l2)
    return {FASTREG: (ours, updater.step), NUMPY: (theirs, baselines.Adam(theirs, spec).step)}


def check_adam(spec: AdamStep, size: int = 10_007, steps: int = 5) -> None:
    pair = adam_contenders(spec, size)
    rng = np.random.default_rng(4)
    for _ in range(steps):
        g = rng.standard_normal(size, dtype=np.float32)
        for _, step in pair.values():
            step(g.copy())
    require_close("adam", pair[FASTREG][0], pair[NUMPY][0], 1e-6)


def adam(options: argparse.Namespace) -> list[harness.Row]:
    check_adam(ADAM)
    rows: list[harness.Row] = []
    for size in [10_000, 1_000_000] + ([50_000_000] if options.large else []):
        g = np.float32(0.1) * np.random.default_rng(5).standard_normal(size, dtype=np.float32)
        steps = max(2, 50_000_000 // size)

        def traffic(step: Callable[[Floats], None], g: Floats = g, steps: int = steps) -> harness.Contender:
            def run() -> harness.Sample:
                duration = harness.seconds(lambda: [step(g) for _ in range(steps)])
                return {"traffic": ADAM.bytes_per_parameter * g.size * steps / duration * 1e-9}

            return run

        contenders = {who: traffic(step) for who, (_, step) in adam_contenders(ADAM, size).items()}
        rows += harness.compare(
            f"adam + l1 + l2, {size:.0e}".replace("e+0", "e"), [TRAFFIC], contenders, options.repeats
        )
    return rows


def predict(net: Network, options: argparse.Namespace) -> list[harness.Row]:
    model, folded = build_model(net), baselines.predictor(net, initial_weights(net))
    rows: list[harness.Row] = []
    for batch in (1, 32):
        x, _ = classification_data(net, batch)
        require_close(f"predict {net.label}", model.predict(x), folded(x), 1e-5)
        calls = {FASTREG: lambda x=x: model.predict(x), NUMPY: lambda x=x: folded(x)}
        contenders = {
            who: (lambda call=call: harness.call_latencies(call, options.calls)) for who, call in calls.items()
        }
        rows += harness.compare(f"predict {net.label}, batch {batch}", LATENCIES, contenders, options.repeats)
    return rows


ALL: dict[str, Callable[[argparse.Namespace], list[harness.Row]]] = {
    "train-small": lambda options: train(SMALL, options),
    "train-mid": lambda options: train(MID, options),
    "adam": adam,
    "predict-small": lambda options: predict(SMALL, options),
    "predict-mid": lambda options: predict(MID, options),
}


def library_facts() -> dict[str, object]:
    return {"fastreg": fr.__version__, "fastreg_isa": _core.active_isa(), "fastreg_threads": fr.get_num_threads()}


def headline(facts: dict[str, object]) -> str:
    pools = facts["blas_in_use"]
    kernels = ", ".join(f"{p['internal_api']} {p['version']} {p['architecture']}" for p in pools if "error" not in p)
    return (
        f"{facts['cpu']}, CPUs {facts['cpus_usable']}, one thread; fastreg {facts['fastreg']} {facts['fastreg_isa']}; "
        f"NumPy {facts['numpy']}, {kernels or 'BLAS unknown'}; Python {facts['python']}"
    )
