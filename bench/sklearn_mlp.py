"""Compares fastreg's estimators with scikit-learn's networks on five tables: scores and seconds, as a Markdown table.

    FASTREG_DATA=DIR python bench/sklearn_mlp.py [--seeds 5] [--threads 1]

Both have the same parameters, at first their defaults with the features as they are, then with standardised features:
scikit-learn behind a StandardScaler, fastreg with ``scale="standard"``. A seed determines the split, 80 % of the rows
to train on, and the random state of both, so that they begin with the same weights. Scores are accuracies and R2 on the
other rows, as means with standard deviations over the seeds; seconds are medians of the processor time of single fits,
which other processes on the machine disturb least. California housing is read from DIR and left out if it is not there;
the other tables come with scikit-learn.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

import machine


def tables() -> Iterator[tuple[str, bool, Any, Any]]:
    """Name, whether it has classes, features and targets of each table."""
    import tabm_california
    from sklearn import datasets

    for name in ("digits", "breast_cancer", "wine", "diabetes"):
        x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        yield name, name != "diabetes", x, y
    if tabm_california.DATA.exists():
        yield "California", False, *tabm_california.table()
    else:
        print(f"California is left out: {tabm_california.DATA} is not there", file=sys.stderr)


def contenders(classes: bool, standardised: bool, seed: int) -> dict[str, Any]:
    from fastreg import sklearn as ours
    from sklearn import neural_network as theirs
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    name = "MLPClassifier" if classes else "MLPRegressor"
    known = getattr(theirs, name)(random_state=seed)
    mine = getattr(ours, name)(random_state=seed, scale="standard" if standardised else None)
    return {"scikit-learn": make_pipeline(StandardScaler(), known) if standardised else known, "fastreg": mine}


def measure(classes: bool, x: Any, y: Any, standardised: bool, seeds: int) -> dict[str, dict[str, list[float]]]:
    """Scores, seconds and epochs of each contender. They take turns."""
    from sklearn.model_selection import train_test_split

    found: dict[str, dict[str, list[float]]] = {}
    for seed in range(seeds):
        parts = train_test_split(x, y, test_size=0.2, random_state=seed, stratify=y if classes else None)
        for name, estimator in contenders(classes, standardised, seed).items():
            begun = time.process_time()
            estimator.fit(parts[0], parts[2])
            seconds = time.process_time() - begun
            epochs = (estimator[-1] if hasattr(estimator, "steps") else estimator).n_iter_
            score = estimator.score(parts[1], parts[3])
            of = found.setdefault(name, {"score": [], "seconds": [], "epochs": []})
            for key, value in (("score", score), ("seconds", seconds), ("epochs", epochs)):
                of[key].append(float(value))
    return found


def row(name: str, classes: bool, features: str, found: dict[str, dict[str, list[float]]]) -> str:
    cells = [name, "accuracy" if classes else "R2", features]
    for contender in ("scikit-learn", "fastreg"):
        scores = found[contender]["score"]
        cells.append(f"{statistics.mean(scores):.4f} ± {statistics.stdev(scores):.4f}")
    for contender in ("scikit-learn", "fastreg"):
        of = found[contender]
        cells.append(f"{statistics.median(of['seconds']):.3f} ({statistics.median(of['epochs']):.0f})")
    ratio = statistics.median(a / b for a, b in zip(found["scikit-learn"]["seconds"], found["fastreg"]["seconds"],
                                                    strict=True))
    return "| " + " | ".join([*cells, f"{ratio:.1f}"]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="at least 2")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(arguments.threads)  # before NumPy is loaded

    import fastreg as fr

    fr.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")  # that they do not converge, and that spreads differ, is the same for both
    print(f"{machine.cpu_name()}, {arguments.threads} thread(s), {arguments.seeds} seeds\n")
    print("| table | score | features | scikit-learn | fastreg | seconds (epochs), scikit-learn | fastreg | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for name, classes, x, y in tables():
        for standardised in (False, True):
            found = measure(classes, x, y, standardised, arguments.seeds)
            print(row(name, classes, "standardised" if standardised else "as they are", found), flush=True)


if __name__ == "__main__":
    main()
