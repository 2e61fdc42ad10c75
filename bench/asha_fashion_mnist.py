"""Successive halving beside plain random search on Fashion-MNIST: the same proposals, far fewer epochs.

    FASTREG_DATA=DIR python bench/asha_fashion_mnist.py [--trials 32] [--epochs 27] [--first 1] [--json out.json]

DIR holds fashion-mnist/ with the four original files. Trials train on 50,000 of the training images and are scored on
the other 10,000; only the best trial of each search is evaluated on the test images. Both searches propose the same
networks (they have one seed). Random search trains each to the end; asynchronous successive halving (ASHA, Li et al.,
MLSys 2020) continues a third of them at each rung. The question is whether it finds as good a score with at most a
quarter of the epochs.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
from pathlib import Path
from typing import Any

import machine
import numpy as np

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("FASTREG_DATA", HERE.parents[1] / "shared" / "data")) / "fashion-mnist"
BATCH = 256
# Scores of one network differ by about this much from seed to seed. A smaller difference counts as none.
NOISE = 0.002


def read(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Images as float32 rows in [0, 1], and labels."""

    def bytes_of(name: str, header: int) -> np.ndarray:
        with gzip.open(DATA / f"{name}.gz") as file:
            return np.frombuffer(file.read(), np.uint8, offset=header)

    images = bytes_of(f"{kind}-images-idx3-ubyte", 16).reshape(-1, 784)
    return (images / np.float32(255)).astype(np.float32), bytes_of(f"{kind}-labels-idx1-ubyte", 8).astype(np.int64)


def space() -> dict[str, Any]:
    from fastreg.search import Integer, LogUniform, Uniform

    return {
        "learning_rate": LogUniform(1e-5, 1e-1),
        "units": Integer(32, 256, step=32),
        "dropout": Uniform(0.0, 0.6),
        "l2": LogUniform(1e-7, 1e-2),
    }


def build(params: dict[str, Any]) -> Any:
    import fastreg as fr
    from fastreg import layers, optimizers, regularizers

    l2 = regularizers.L2(params["l2"])
    model = fr.Sequential(
        [
            layers.Dense(params["units"], activation="relu", kernel_regularizer=l2),
            layers.Dropout(params["dropout"]),
            layers.Dense(params["units"], activation="relu", kernel_regularizer=l2),
            layers.Dropout(params["dropout"]),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizers.Adam(params["learning_rate"]), "sparse_categorical_crossentropy", ["accuracy"])
    return model


def run(name: str, pruner: Any, data: Any, options: argparse.Namespace) -> dict[str, Any]:
    from fastreg.search import RandomSearch

    x, y, folds, x_test, y_test = data
    search = RandomSearch(
        build,
        space(),
        n_trials=options.trials,
        cv=folds,
        scoring="accuracy",
        pruner=pruner,
        n_jobs=options.workers,
        seed=options.seed,
        refit=False,
        keep_models=True,
    ).fit(x, y, epochs=options.epochs, batch_size=BATCH)
    model = search.ensemble(1)
    return {
        "search": name,
        "epochs": sum(sum(trial.epochs) for trial in search.trials_),
        "seconds": search.seconds_,
        "best": search.best_score_,
        "test": float((model.predict(x_test).argmax(axis=1) == y_test).mean()),
        "params": search.best_params_,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=27)
    parser.add_argument("--first", type=int, default=1, help="epochs of ASHA's first rung (default 1)")
    parser.add_argument("--workers", type=int, default=len(machine.usable_cpus()))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", metavar="PATH")
    options = parser.parse_args()
    if not DATA.is_dir():
        parser.error(f"{DATA} does not exist; set FASTREG_DATA to the folder above it")
    from fastreg.search import ASHA

    x, y = read("train")
    order = np.random.default_rng(options.seed).permutation(len(x))
    data = (x, y, [(order[:50_000], order[50_000:])], *read("t10k"))
    schedule = ASHA(min_epochs=options.first, factor=3)
    rows = [run("random", None, data, options), run("ASHA", schedule, data, options)]
    print(
        f"\n{machine.cpu_name()}, {options.workers} workers, {options.trials} trials of up to {options.epochs} epochs\n"
    )
    print("| search | epochs | seconds | best accuracy | test accuracy of it |\n|---|---|---|---|---|")
    for row in rows:
        print(f"| {row['search']} | {row['epochs']} | {row['seconds']:.1f} | {row['best']:.4f} | {row['test']:.4f} |")
    share = rows[1]["epochs"] / rows[0]["epochs"]
    reached = rows[1]["best"] >= rows[0]["best"] - NOISE
    verdict = "as good" if reached else "worse"
    print(f"\nASHA: {share:.0%} of the epochs, a score {verdict} (less than {NOISE} counts as none)")
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
