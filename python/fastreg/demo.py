"""`fastreg demo`: the same network plain and regularised on few rows of real data, side by side.

Uses the public Python interface only, and scikit-learn and matplotlib, which are imported when it runs.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastreg import callbacks, layers, optimizers, plots, regularizers, schedules
from fastreg.diagnosis.verdicts import Diagnosis, diagnose
from fastreg.internal.extras import needs
from fastreg.internal.progress import printable
from fastreg.model.sequential import Sequential

if not TYPE_CHECKING:  # otherwise a type checker would allow every name

    def __getattr__(name: str) -> Any:
        from fastreg.internal.old_paths import old_name

        return old_name(__name__, name)

TRAINING_ROWS, VALIDATION_ROWS = 400, 400
UNITS, EPOCHS, BATCH, PATIENCE, LEARNING_RATE = 256, 200, 32, 30, 1e-3


class MissingPackageError(Exception):
    """An optional package is not installed."""


class OutputError(Exception):
    """The picture cannot be written."""


@dataclass(frozen=True)
class Data:
    """Training, validation and test rows: images as (n, 64) in [0, 1], digits as (n,)."""

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    x_validation: NDArray[np.float32]
    y_validation: NDArray[np.int64]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.int64]


@dataclass(frozen=True)
class TrainedNetwork:
    """The result of one network."""

    history: callbacks.History
    best_epoch: int | None
    train: float
    validation: float
    test: float
    diagnosis: Diagnosis
    samples_per_second: float

    @property
    def gap(self) -> float:
        """How much better the network scores on the rows that it was trained on."""
        return self.train - self.test


def run(output: Path, *, seed: int, verbose: int = 1) -> str:
    """Trains both networks, writes the picture and returns the report.

    Raises:
        MissingPackageError: If scikit-learn or matplotlib is not installed.
        OutputError: If ``output`` cannot be written.
    """
    _require_packages()
    _require_writable(output)
    data = load_data(seed)
    outcomes = {}
    for name, model, stopping in (
        ("plain", plain_network(seed), None),
        ("regularised", regularised_network(seed), early_stopping()),
    ):
        if verbose:
            print(f"training the {name} network", file=sys.stderr, flush=True)
        outcomes[name] = train(model, data, stopping, verbose)
    try:
        plots.learning_curves(
            {name: outcome.history for name, outcome in outcomes.items()},
            output,
            best_epochs={name: o.best_epoch for name, o in outcomes.items() if o.best_epoch is not None},
            title=f"The same network on {len(data.x)} digits, plain and regularised",
        )
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror or error}") from error
    return report(data, outcomes, output, seed)


def _require_packages() -> None:
    missing: dict[str, str] = {}
    for module, package in (("sklearn.datasets", "scikit-learn"), ("matplotlib.figure", "matplotlib")):
        try:
            import_module(module)
        except ImportError as error:
            missing[package] = str(error)
    if missing:
        raise MissingPackageError(f"{needs('it', 'demo', *missing)} ({'; '.join(missing.values())})")


def _require_writable(output: Path) -> None:
    """Reports errors in the path of the picture before the training, not after it."""
    from matplotlib.figure import Figure

    known = Figure().canvas.get_supported_filetypes()
    if output.suffix[1:].lower() not in known:
        raise OutputError(f"--output must end in one of {', '.join('.' + k for k in sorted(known))}, got {output}")
    if output.is_dir():
        raise OutputError(f"--output must be a file, got the directory {output}")
    if not output.absolute().parent.is_dir():
        raise OutputError(f"--output must be in a folder that exists, got {output}")


def load_data(seed: int) -> Data:
    """Scikit-learn's 1797 digits, split by class: few rows to train on, as many to validate, the rest to test."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    x, y = (x / 16.0).astype(np.float32), y.astype(np.int64)
    x, x_rest, y, y_rest = train_test_split(x, y, train_size=TRAINING_ROWS, stratify=y, random_state=seed)
    x_validation, x_test, y_validation, y_test = train_test_split(
        x_rest, y_rest, train_size=VALIDATION_ROWS, stratify=y_rest, random_state=seed
    )
    return Data(x, y, x_validation, y_validation, x_test, y_test)


def plain_network(seed: int) -> Sequential:
    """Two hidden layers that are far too wide for the few rows, and nothing that holds them back."""
    model = Sequential(
        [
            layers.Dense(UNITS, activation="relu"),
            layers.Dense(UNITS, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ],
        seed=seed,
    )
    model.compile(
        optimizer=optimizers.Adam(LEARNING_RATE), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def regularised_network(seed: int) -> Sequential:
    """The same layers with L1 and L2 penalties, batch normalisation, dropout and a rate that falls to 0."""

    def hidden() -> list[layers.Layer]:
        return [
            layers.Dense(UNITS, activation="relu", kernel_regularizer=regularizers.L1L2(l1=1e-5, l2=1e-3)),
            layers.BatchNormalization(momentum=0.9),
            layers.Dropout(0.5),
        ]

    model = Sequential([*hidden(), *hidden(), layers.Dense(10, activation="softmax")], seed=seed)
    steps = EPOCHS * -(-TRAINING_ROWS // BATCH)
    model.compile(
        optimizer=optimizers.Adam(schedules.CosineDecay(LEARNING_RATE, steps)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def early_stopping() -> callbacks.EarlyStopping:
    """Early stopping of the regularised network, which restores the weights of its best epoch."""
    return callbacks.EarlyStopping(monitor="val_loss", patience=PATIENCE)


def train(model: Sequential, data: Data, stopping: callbacks.EarlyStopping | None, verbose: int) -> TrainedNetwork:
    """Fits the model, with early stopping where it is given, and scores the weights that were kept."""
    start = time.perf_counter()
    history = model.fit(
        data.x,
        data.y,
        batch_size=BATCH,
        epochs=EPOCHS,
        validation_data=(data.x_validation, data.y_validation),
        callbacks=[stopping] if stopping else [],
        verbose=verbose,
    )
    seconds = time.perf_counter() - start
    losses = history.history["val_loss"]
    best_epoch = stopping.best_epoch if stopping else None
    parts = (data.x, data.y), (data.x_validation, data.y_validation), (data.x_test, data.y_test)
    train_score, validation_score, test_score = (float(np.mean(model.predict(x).argmax(axis=1) == y)) for x, y in parts)
    kept = losses if best_epoch is None else losses[: best_epoch + 1]
    return TrainedNetwork(
        history=history,
        best_epoch=best_epoch,
        train=train_score,
        validation=validation_score,
        test=test_score,
        diagnosis=diagnose(train_score, validation_score, kept),
        samples_per_second=len(losses) * len(data.x) / seconds,
    )


def report(data: Data, outcomes: dict[str, TrainedNetwork], output: Path, seed: int) -> str:
    """The table, the diagnoses and where the picture is, as text."""
    rows = f"{len(data.x)} training, {len(data.x_validation)} validation and {len(data.x_test)} test rows"
    lines = [
        f"scikit-learn's digits, {rows}; {data.x.shape[1]}-{UNITS}-{UNITS}-10, batch {BATCH}, seed {seed}",
        "",
        f"{'network':<12} {'train':>7} {'validation':>11} {'test':>7} {'gap':>7} {'epochs':>7} {'samples/s':>10}",
    ]
    for name, o in outcomes.items():
        epochs = len(o.history.history["loss"])
        lines.append(
            f"{name:<12} {o.train:7.4f} {o.validation:11.4f} {o.test:7.4f} {o.gap:7.4f} {epochs:7d} "
            f"{o.samples_per_second:10,.0f}"
        )
    lines += ["scores are accuracies; gap = train - test", ""]
    lines += [f"{name + ':':<13}{outcome.diagnosis}" for name, outcome in outcomes.items()]
    lines += ["", f"learning curves: {printable(output.absolute())}"]
    return "\n".join(lines)
