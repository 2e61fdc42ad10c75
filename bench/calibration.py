"""Compares what calibrates the probabilities of a table: nothing, one temperature, isotonic curves.

    python bench/calibration.py adult --seconds 40 --preset fast [--cv 2] [--seed 0]

The table is one of `bench/tables.py --list` that has classes. One search is made; its blend predicts the test rows with
each calibration, fitted on the same predictions for rows that its members were not trained on. It prints what fastreg
chose and why, and for each calibration accuracy, log-loss, expected calibration error and the number of different
probabilities, which tells how many ties there are.
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

import numpy as np
from fastreg.table import Recipe, TableClassifier, blending
from fastreg.table.calibration import fit_temperature
from fastreg.table.isotonic import Isotonic
from tabular.scores import of_classes
from tabular.sources import CLASSES, SOURCES

SHOWN = {"score": "accuracy", "log_loss": "log-loss", "ece": "calibration error"}


def searched(frame: Any, y: Any, arguments: argparse.Namespace) -> tuple[TableClassifier, tuple[Any, ...]]:
    """A fitted estimator, and what its calibration was fitted on."""
    given: list[tuple[Any, ...]] = []
    choose = blending.calibration

    def kept(*judged: Any) -> Any:
        given.append(judged)
        return choose(*judged)

    blending.calibration = kept
    try:
        recipe = Recipe.preset(arguments.preset)
        made = TableClassifier(preset=recipe, time=arguments.seconds, cv=arguments.cv, seed=arguments.seed, jobs=1)
        return made.fit(frame, y), given[-1]
    finally:
        blending.calibration = choose


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=[source.name for source in SOURCES if source.task == CLASSES])
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--cv", type=int)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    data = next(source for source in SOURCES if source.name == arguments.table).load()
    train, test = data.split(arguments.seed)
    y = np.asarray(data.y)
    model, (outputs, truth, weights, _) = searched(data.x.iloc[train], y[train], arguments)
    print(f"{model.search_.calibration.reason} ({len(truth)} judged rows)")
    calibrations: dict[str, dict[str, Any]] = {
        "nothing": {},
        "temperature": {"temperature": fit_temperature(outputs, truth, weights)},
        "isotonic": {"isotonic": Isotonic.fit(outputs, truth, weights)},
    }
    plain = dataclasses.replace(model.model_, temperature=1.0, isotonic=None)
    for name, change in calibrations.items():
        shares = plain.target.probabilities(dataclasses.replace(plain, **change).outputs(data.x.iloc[test]))
        places = np.searchsorted(model.classes_, y[test])
        scores = of_classes(places, shares)
        shown = ", ".join(f"{title} {scores[key]:.4f}" for key, title in SHOWN.items())
        print(f"{name:12s} {shown}, {len(np.unique(shares[:, -1]))} probabilities")


if __name__ == "__main__":
    main()
