"""The kinds of work and the list of all rows. A row is an instance of a dataclass, which every worker process can
create again from its name. To add a row, append it to `ROWS`; to add a kind, write a class with the same three parts as
these.

`start(peer)` builds the contender, checks it against oracle.py and returns a function that makes one repeat and returns
a value for each metric. It raises `Unsupported` if the library cannot do the work, and `Disagreement` if it computes
something else, because its time means nothing then.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import oracle
import workloads
from numpy.typing import NDArray
from peers.base import Peer, Prediction, Trainer
from workloads import Network, Update

Sample = Mapping[str, float]
TRAINERS = ("fastreg", "numpy", "torch", "torch-compile", "jax", "jax-scan", "keras", "sklearn")
UPDATERS = ("fastreg", "numpy", "torch", "torch-compile", "jax")
PREDICTORS = (
    "fastreg",
    "fastreg-predict",
    "numpy",
    "torch",
    "torch-folded",
    "torch-compile",
    "jax",
    "keras",
    "sklearn",
    "onnxruntime",
)
# The peers that are ahead of the others in some row. Only these are timed on the many shapes.
BEST_TRAINERS = ("fastreg", "numpy", "torch", "jax", "jax-scan")
BEST_PREDICTORS = ("fastreg", "numpy", "torch-folded", "jax", "onnxruntime")
IMPORTED = ("fastreg", "torch", "jax", "keras", "sklearn", "onnxruntime")


class Disagreement(AssertionError):
    """A contender does not compute what the reference does."""


@dataclass(frozen=True)
class Metric:
    name: str
    unit: str
    higher_is_better: bool = True


@dataclass(frozen=True)
class Settings:
    """How long to measure. `seconds` is the target of one repeat of a rate, `calls` the predictions in one repeat."""

    seconds: float = 0.3
    calls: int = 20_000


class Task(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def metrics(self) -> tuple[Metric, ...]: ...
    @property
    def contenders(self) -> tuple[str, ...]: ...
    def start(self, peer: Peer, settings: Settings) -> Callable[[], Sample]: ...


def require_close(what: str, got: NDArray[Any], want: NDArray[Any], tolerance: float) -> None:
    off = float(np.max(np.abs(np.asarray(got, np.float64) - want)))
    if not off <= tolerance:
        raise Disagreement(f"{what} is off by {off:.3g}, allowed {tolerance:.3g}")


def elapsed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def calibrated(work: Callable[[int], object], seconds: float) -> int:
    """How many times `work` must be repeated to take about `seconds`. Its first call is not timed."""
    work(1)
    times, took = 1, elapsed(functools.partial(work, 1))
    while took < seconds / 4:
        times = max(2 * times, min(100 * times, int(times * seconds / max(took, 1e-6))))
        took = elapsed(functools.partial(work, times))
    return max(1, round(times * seconds / took))


@dataclass(frozen=True)
class Train:
    """Training a network with shuffling and dropout, over and over the same data."""

    name: str
    net: Network
    contenders: tuple[str, ...] = TRAINERS
    group: str = "train"
    in_flops: bool = False

    @property
    def label(self) -> str:
        return f"train {self.net.label}, batch {self.net.batch}"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (Metric("rate", "GFLOP/s" if self.in_flops else "samples/s"),)

    def start(self, peer: Peer, settings: Settings) -> Callable[[], Sample]:
        net = self.net
        check_training(peer, net)
        x, y = workloads.classification_data(net, net.rows)
        trainer = peer.trainer(net, workloads.initial_weights(net), x, y)
        epochs = calibrated(trainer.run, settings.seconds)
        worth = net.flops_per_row() * 1e-9 if self.in_flops else 1.0

        def repeat() -> Sample:
            start = time.perf_counter()
            rows = trainer.run(epochs)
            return {"rate": rows * worth / (time.perf_counter() - start)}

        return repeat


def check_training(peer: Peer, net: Network) -> None:
    """Without dropout and shuffling, steps from the same weights must agree; with both, the network must learn.

    With SGD, results differ only by the rounding of float32 sums. Adam's division can turn the error of a tiny gradient
    (that of a bias before batch normalisation is 0) into one of the size of a step, so it is checked with an epsilon
    that is larger than such errors.
    """
    # Among very many activations some are so close to 0 that rounding changes their sign, which relu makes visible;
    # therefore wide networks are checked on fewer rows.
    activations = sum(net.sizes[1:-1])
    steps = 10 if 10 * net.batch * activations <= 50_000 else 2
    batch = min(net.batch, max(4, 25_000 // activations))
    if "network" not in peer.differs:
        few = dataclasses.replace(net, batch=batch, rows=steps * batch, dropout=0.0)
        sgd = dataclasses.replace(few, sgd=True, weight_decay=0.0, learning_rate=0.1)
        check_steps(peer, sgd, 1e-6 * steps)
        if "adam" not in peer.differs:
            check_steps(peer, dataclasses.replace(few, epsilon=1e-3), 0.01 * steps * net.learning_rate)
    rows = min(net.rows, 10_000, max(10 * net.batch, int(2e10 / net.flops_per_row())))
    x, y = workloads.classification_data(net, rows)
    trainer = peer.trainer(net, workloads.initial_weights(net), x, y)
    if "network" in peer.differs:
        trainer.run(1)  # it chooses its first weights itself, in each run
    before = loss_of(net, trainer, x, y)
    trainer.run(10 if "network" in peer.differs else 2)
    after = loss_of(net, trainer, x, y)
    if not after < before:
        raise Disagreement(f"{peer.label}, training {net.label}: the loss goes from {before:.4f} to {after:.4f}")


def check_steps(peer: Peer, net: Network, tolerance: float) -> None:
    x, y = workloads.classification_data(net, net.rows)
    weights = workloads.initial_weights(net)
    trainer = peer.trainer(net, weights, x, y)
    trainer.run(1, shuffle=False)
    for index, (got, want) in enumerate(zip(trainer.weights(), oracle.trained(net, weights, x, y), strict=True)):
        names = ("kernel", "bias", "gamma", "beta", "moving mean", "moving variance")
        for name, ours, theirs in zip(names, got.arrays(), want.arrays(), strict=False):
            if name not in peer.differs:
                require_close(f"{peer.label}, training {net.label}: {name} of layer {index}", ours, theirs, tolerance)


def loss_of(net: Network, trainer: Trainer, x: workloads.Floats, y: workloads.Labels) -> float:
    p = np.asarray(trainer.predict(x), np.float64).reshape(len(x), -1)
    of_label = np.where(y > 0, p[:, -1], 1 - p[:, -1]) if net.binary else p[np.arange(len(x)), y]
    return float(-np.log(np.maximum(of_label, 1e-12)).mean())


@dataclass(frozen=True)
class Step:
    """One optimizer step at a time, called from Python, on a vector of `size` parameters."""

    name: str
    rule: Update
    size: int
    contenders: tuple[str, ...] = UPDATERS
    group: str = "update"

    @property
    def label(self) -> str:
        penalties = " + l1 + l2" if self.rule.l1 else ""
        return f"{self.rule.rule}{penalties}, {self.size:.0e} parameters".replace("e+0", "e")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (Metric("traffic", "GB/s"),)

    def start(self, peer: Peer, settings: Settings) -> Callable[[], Sample]:
        check_update(peer, self.rule)
        rng = np.random.default_rng(3)
        updater = peer.updater(self.rule, rng.standard_normal(self.size, dtype=np.float32))
        updater.set_gradient(np.float32(0.1) * rng.standard_normal(self.size, dtype=np.float32))

        def run(steps: int) -> None:
            step = updater.step
            for _ in range(steps):
                step()
            updater.finish()

        steps = calibrated(run, settings.seconds)
        moved = self.rule.bytes * self.size * steps * 1e-9
        return lambda: {"traffic": moved / elapsed(lambda: run(steps))}


def check_update(peer: Peer, rule: Update, size: int = 10_007, steps: int = 5) -> None:
    rng = np.random.default_rng(4)
    start = rng.standard_normal(size, dtype=np.float32)
    gradients = [rng.standard_normal(size, dtype=np.float32) for _ in range(steps)]
    updater = peer.updater(rule, start.copy())
    for g in gradients:
        updater.set_gradient(g.copy())
        updater.step()
    updater.finish()
    want = oracle.updated(rule, start.astype(np.float64), [g.astype(np.float64) for g in gradients])
    require_close(f"{peer.label}, {rule.rule}", updater.parameters(), want, 5e-6)


@dataclass(frozen=True)
class Predict:
    """Probabilities of a few rows, called from Python one call at a time."""

    name: str
    net: Network
    batch: int
    contenders: tuple[str, ...] = PREDICTORS
    group: str = "predict"

    @property
    def label(self) -> str:
        return f"predict {self.net.label}, batch {self.batch}"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return Metric("p50", "us a call", higher_is_better=False), Metric("p99", "us a call", higher_is_better=False)

    def start(self, peer: Peer, settings: Settings) -> Callable[[], Sample]:
        with peer.inference():
            predict = checked_predictor(peer, self.net, self.batch, self.label)
            # A slow call is repeated less often, so that a repeat takes at most ten times the target.
            affordable = calibrated(lambda n: [predict() for _ in range(n)], 10 * settings.seconds)
            calls = min(settings.calls, max(500, affordable))

        def repeat() -> Sample:
            with peer.inference():
                return call_latencies(predict, calls)

        return repeat


def checked_predictor(peer: Peer, net: Network, batch: int, label: str) -> Prediction:
    """What predicts `batch` rows in one call, after its probabilities were compared with the reference's."""
    x, _ = workloads.classification_data(net, batch)
    weights = workloads.initial_weights(net)
    want = oracle.predict(net, weights, x)
    predict = peer.predictor(net, weights, x)
    got = np.asarray(predict()).reshape(batch, -1)
    require_close(f"{peer.label}, {label}", got[:, -want.shape[1] :], want, 2e-5)
    return predict


def call_latencies(predict: Prediction, calls: int) -> Sample:
    """The median and the 99th percentile of single calls in microseconds. Each includes two readings of the clock."""
    clock = time.perf_counter_ns
    times = [0] * calls
    call, x, out = predict
    if out is None:
        for i in range(calls):
            start = clock()
            call(x)
            times[i] = clock() - start
    else:
        for i in range(calls):
            start = clock()
            call(x, out=out)
            times[i] = clock() - start
    times.sort()
    return {"p50": times[calls // 2] * 1e-3, "p99": times[calls * 99 // 100] * 1e-3}


@dataclass(frozen=True)
class PredictMany:
    """Probabilities of many rows in each call from Python."""

    name: str
    net: Network
    batch: int
    contenders: tuple[str, ...] = BEST_PREDICTORS
    group: str = "predict-many"

    @property
    def label(self) -> str:
        return f"predict {self.net.label}, {self.batch} rows"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (Metric("rate", "rows/s"),)

    def start(self, peer: Peer, settings: Settings) -> Callable[[], Sample]:
        with peer.inference():
            predict = checked_predictor(peer, self.net, self.batch, self.label)

            def run(calls: int) -> None:
                for _ in range(calls):
                    predict()

            calls = calibrated(run, settings.seconds)

        def repeat() -> Sample:
            with peer.inference():
                return {"rate": self.batch * calls / elapsed(lambda: run(calls))}

        return repeat


@dataclass(frozen=True)
class Aging:
    """A long run whose penalties shrink the weights.

    Its last epochs, which denormals would slow, are compared with its first.
    """

    name: str
    net: Network
    contenders: tuple[str, ...] = ("fastreg",)
    group: str = "aging"
    epochs: int = 500

    @property
    def label(self) -> str:
        how = "SGD" if self.net.sgd else "Adam"
        return f"epoch {self.epochs} of {self.net.label}, {how}, l1 {self.net.l1:g}, l2 {self.net.l2:g}"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return Metric("first", "ms an epoch", False), Metric("last / first", "", False)

    def start(self, peer: Peer, settings: Settings) -> Callable[[], Sample]:
        x, y = workloads.classification_data(self.net, self.net.rows)
        few = 5

        def repeat() -> Sample:
            # The labels do not depend on the rows, so that only noise and the penalty move the weights.
            trainer = peer.trainer(self.net, workloads.initial_weights(self.net), x, y[::-1].copy())
            first = elapsed(lambda: trainer.run(few))
            trainer.run(self.epochs - 2 * few)
            last = elapsed(lambda: trainer.run(few))
            return {"first": first / few * 1e3, "last / first": last / first}

        repeat()
        return repeat


@dataclass(frozen=True)
class Import:
    """The time that importing the library adds to a process that has NumPy, and the size of its own files."""

    name: str = "import"
    contenders: tuple[str, ...] = IMPORTED
    group: str = "import"
    label: str = "import after NumPy"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (
            Metric("import", "ms", False),
            Metric("import and first use", "ms", False),
            Metric("installed", "MB", False),
        )

    def start(self, peer: Peer, settings: Settings) -> Callable[[], Sample]:
        # Modules that are loaded at their first use.
        use = {"fastreg": "fastreg.Sequential", "sklearn": "import sklearn.neural_network"}.get(peer.package, "")
        clock = "print(time.perf_counter() - t)"
        program = f"import numpy, time\nt = time.perf_counter()\nimport {peer.package}\n{clock}\n{use}\n{clock}"
        size = installed_megabytes(peer.package)

        def repeat() -> Sample:
            done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
            imported, used = (1e3 * float(line) for line in done.stdout.split())
            return {"import": imported, "import and first use": used, "installed": size}

        repeat()
        return repeat


def installed_megabytes(package: str) -> float:
    """The size of the distributions that contain the package, or NaN if no installer has installed it."""
    names = {"sklearn": ["scikit-learn"], "jax": ["jax", "jaxlib"]}.get(package, [package])
    try:
        files = [f for name in names for f in importlib.metadata.files(name) or []]
    except importlib.metadata.PackageNotFoundError:
        return float("nan")
    paths = [Path(str(f.locate())) for f in files if "__pycache__" not in str(f)]
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def _rows() -> list[Task]:
    rows: list[Task] = [
        Train("train-small", workloads.SMALL),
        Train("train-mid", workloads.MID),
        Train("train-large", workloads.LARGE, in_flops=True),
    ]
    for rule in workloads.UPDATES:
        for size in (10_000, 1_000_000, 50_000_000):
            rows.append(Step(f"{rule.rule}-{size:.0e}".replace("e+0", "e"), rule, size))
    for name, net in (("small", workloads.SMALL), ("mid", workloads.MID)):
        rows += [Predict(f"predict-{name}-{batch}", net, batch) for batch in (1, 32)]
    rows += [PredictMany(f"predict-large-{batch}", workloads.LARGE, batch) for batch in (128, 512, 2048)]
    rows.append(PredictMany("predict-mid-60000", workloads.MID, 60_000))
    rows += [
        Aging(
            "aging-sgd",
            Network(
                (10, 64, 64, 1),
                32,
                20_000,
                batch_norm=False,
                l1=1e-3,
                l2=0.1,
                l2_everywhere=True,
                sgd=True,
                learning_rate=0.05,
            ),
        ),
        Aging("aging-adam", Network((10, 64, 1), 32, 20_000, dropout=0.5, l1=0.1, l2=0.1)),
        Import(),
    ]
    for net in workloads.OTHERS:
        rows.append(Train(f"train-{net.label}", net, BEST_TRAINERS, "train-others"))
    for batch, index in ((1, 1), (7, 9), (33, 2), (1000, 3), (7, 4), (33, 6), (1, 8)):
        net = workloads.OTHERS[index]
        rows.append(Predict(f"predict-{net.label}-{batch}", net, batch, BEST_PREDICTORS, "predict-others"))
    return rows


ROWS: dict[str, Task] = {row.name: row for row in _rows()}
GROUPS = tuple(dict.fromkeys(row.group for row in ROWS.values()))


def chosen(names: list[str]) -> list[Task]:
    """The rows of the given names and groups; all rows if none are given. Raises ValueError for anything else."""
    unknown = [name for name in names if name not in ROWS and name not in GROUPS]
    if unknown:
        raise ValueError(f"names must be rows or groups ({', '.join(GROUPS)}), got {', '.join(unknown)}")
    return [row for row in ROWS.values() if not names or row.name in names or row.group in names]
