"""Random search with cross-validation on scikit-learn's digits: the best parameters, their test accuracy, an ensemble.

    python examples/search.py [--trials 32] [--journal digits.jsonl]

With a journal you may stop it at any time (Ctrl-C or kill) and start it again: it continues where it was.
"""

from __future__ import annotations

import argparse
from typing import Any

import fastreg as fr
import numpy as np
from fastreg import layers, regularizers
from fastreg.search import Choice, Integer, LogUniform, RandomSearch, Uniform
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SPACE = {
    "learning_rate": LogUniform(1e-4, 3e-2),
    "units": Integer(32, 256, step=32),
    "dropout": Uniform(0.0, 0.6),
    "l2": Choice([0.0, LogUniform(1e-6, 1e-2)]),
    "batch_size": [16, 32, 64],
}


def build(params: dict[str, Any]) -> tuple[fr.Sequential, dict[str, Any]]:
    penalty = regularizers.L2(params["l2"]) if params["l2"] else None
    model = fr.Sequential(
        [
            layers.Dense(params["units"], activation="relu", kernel_regularizer=penalty),
            layers.Dropout(params["dropout"]),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(fr.optimizers.Adam(params["learning_rate"]), "sparse_categorical_crossentropy", ["accuracy"])
    return model, {"batch_size": params["batch_size"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--journal", help="file that a stopped search goes on from")
    arguments = parser.parse_args()

    x, y = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split((x / 16).astype(np.float32), y, test_size=0.25, stratify=y, random_state=0)
    search = RandomSearch(
        build, SPACE, n_trials=arguments.trials, cv=3, seed=0, journal=arguments.journal, resume=bool(arguments.journal)
    )
    search.fit(x, y, epochs=arguments.epochs)
    print(search.summary())
    print(f"best model: test accuracy {search.score(x_test, y_test):.4f}")
    ensemble = search.ensemble(10)
    accuracy = np.mean(ensemble.predict(x_test).argmax(axis=1) == y_test)
    print(f"ensemble of {len(ensemble.members)} trials: test accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
