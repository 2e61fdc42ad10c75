"""Distils models of scikit-learn on several tables, and measures how much of the gap to other networks is closed.

    FASTREG_DATA=DIR python bench/distill.py [--tables california,adult,digits] [--teachers boosting,forest,process,
        pipeline] [--time 60] [--jobs 2] [--seed 0] [--json out.json]

DIR holds california_housing.csv.gz and adult.csv.gz; digits, breast_cancer, wine and diabetes are scikit-learn's own. A
fifth of the rows is held back, drawn by the seed; teachers learn from the others, and so do the student (from the
teacher's answers) and two networks from the true targets: the default one is MLPClassifier or MLPRegressor of
fastreg.sklearn with defaults and early stopping; the plain one is found by the recipe of `fastreg tune`, in the same
time as the student. The share of the gap to each that is closed is (network - student) / (network - teacher) in mean
squared error or log-loss on the rows held back. Where the teacher is no better, there is no gap, which is printed as
"-"; the median is that of the others. Times of a row are medians, of the frozen network from codes to prediction.

The teachers: boosting is HistGradientBoosting with 500 rounds of rate 0.05; a forest has 300 trees with leaves of at
least 2 rows; a Gaussian process is fitted on at most 2,000 rows, or for classes by Laplace's approximation on 1,000;
the pipeline expands numbers by splines and joins extremely randomised trees and boosting by voting. Before all of them,
missing cells are filled and groups encoded as indicators.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import machine
import numpy as np

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("FASTREG_DATA", HERE.parents[1] / "shared" / "data"))
TABLES = ("california", "adult", "digits", "breast_cancer", "wine", "diabetes")
TEACHERS = ("boosting", "forest", "process", "pipeline")
GAPS = ("gap to default closed", "gap to plain closed")
# Rows of a Gaussian process for numbers, and for classes.
PROCESS_ROWS, PROCESS_ROWS_OF_CLASSES = 2000, 1000


def table_of(name: str) -> tuple[Any, Any, bool]:
    """The columns, the targets, and whether they are numbers."""
    import pandas as pd
    from sklearn import datasets

    if name == "california":
        frame = pd.read_csv(DATA / "california_housing.csv.gz")
        return frame, frame.pop("median_house_value") / 1e5, True
    if name == "adult":
        frame = pd.read_csv(DATA / "adult.csv.gz", na_values="?").drop(columns="is_test")
        return frame, frame.pop("income"), False
    data = getattr(datasets, f"load_{name}")(as_frame=True)
    return data.data, data.target, name == "diabetes"


def encoded(frame: Any, last: Any, numbers: Any) -> Any:
    """A pipeline that fills, encodes and scales columns before the last step."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    groups = [name for name in frame if frame[name].dtype.kind not in "iuf"]
    others = [name for name in frame if name not in groups]
    filled = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    columns = make_column_transformer(
        (filled, groups), (make_pipeline(SimpleImputer(), *numbers), others), sparse_threshold=0.0
    )
    return make_pipeline(columns, last)


def teacher_of(name: str, frame: Any, numbers: bool) -> tuple[Any, int]:
    """A model to fit, and on how many rows at most."""
    from sklearn import ensemble
    from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
    from sklearn.preprocessing import SplineTransformer, StandardScaler

    kind = "Regressor" if numbers else "Classifier"
    boosting = getattr(ensemble, f"HistGradientBoosting{kind}")(max_iter=500, learning_rate=0.05, random_state=0)
    if name == "boosting":
        return encoded(frame, boosting, ()), len(frame)
    if name == "forest":
        forest = getattr(ensemble, f"RandomForest{kind}")(300, min_samples_leaf=2, n_jobs=1, random_state=0)
        return encoded(frame, forest, ()), len(frame)
    if name == "process":
        if numbers:
            kernel = ConstantKernel() * RBF(3.0) + WhiteKernel(0.1)
            process: Any = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
            return encoded(frame, process, (StandardScaler(),)), PROCESS_ROWS
        process = GaussianProcessClassifier(ConstantKernel() * RBF(3.0), random_state=0)
        return encoded(frame, process, (StandardScaler(),)), PROCESS_ROWS_OF_CLASSES
    trees = getattr(ensemble, f"ExtraTrees{kind}")(100, min_samples_leaf=3, n_jobs=1, random_state=0)
    both = [("trees", trees), ("boosting", boosting)]
    voting = ensemble.VotingRegressor(both) if numbers else ensemble.VotingClassifier(both, voting="soft")
    return encoded(frame, voting, (StandardScaler(), SplineTransformer(4))), len(frame)


def default_score(frame: Any, y: Any, numbers: bool, kept: Any, held: Any, seed: int) -> float:
    """The RMSE or log-loss on the rows `held` of the default network, which learns the true targets of those `kept`."""
    from fastreg.sklearn import MLPClassifier, MLPRegressor
    from sklearn.metrics import log_loss, root_mean_squared_error
    from sklearn.preprocessing import StandardScaler

    network = (MLPRegressor if numbers else MLPClassifier)(early_stopping=True, random_state=seed)
    model = encoded(frame, network, (StandardScaler(),)).fit(frame.iloc[kept], y.iloc[kept])
    if numbers:
        return float(root_mean_squared_error(y.iloc[held], model.predict(frame.iloc[held])))
    return float(log_loss(y.iloc[held], model.predict_proba(frame.iloc[held]), labels=model.classes_))


def gap_closed(network: float, student: float, teacher: float, numbers: bool) -> float | None:
    """Which share of the way from a network to the teacher the student has come; None where the teacher is no better.

    Numbers are scored by the RMSE, whose squares are compared.
    """
    power = 2 if numbers else 1
    gap = network**power - teacher**power
    return (network**power - student**power) / gap if gap > 0 else None


def measured(table: str, teacher: str, seconds: float, jobs: int, seed: int, preset: str) -> dict[str, Any]:
    """One row of the result."""
    from fastreg.table import distill

    frame, y, numbers = table_of(table)
    order = np.random.default_rng(seed).permutation(len(frame))
    held, kept = np.sort(order[: len(frame) // 5]), np.sort(order[len(frame) // 5 :])
    learned = frame.iloc[kept].reset_index(drop=True)
    model, most = teacher_of(teacher, learned, numbers)
    some = np.random.default_rng(seed).permutation(len(learned))[:most]
    begun = time.monotonic()
    model.fit(learned.iloc[some], y.iloc[kept].iloc[some])
    fitted = time.monotonic() - begun
    target = "true target"
    found = distill(
        model,
        learned.assign(**{target: y.iloc[kept].to_numpy()}),
        target,
        test=frame.iloc[held].assign(**{target: y.iloc[held].to_numpy()}),
        time=seconds,
        jobs=jobs,
        seed=seed,
        preset=preset,
    )
    score = "RMSE" if numbers else "log-loss"
    scores = {"teacher": found.scores["teacher"][score], "student": found.scores["student"][score]}
    scores["default network"] = default_score(frame, y, numbers, kept, held, seed)
    if plain := found.scores.get("plain network"):
        scores["plain network"] = plain[score]
    return {
        "table": table,
        "model": teacher,
        "score": score,
        **scores,
        "gap to default closed": gap_closed(scores["default network"], scores["student"], scores["teacher"], numbers),
        "gap to plain closed": found.gap_closed,
        "agreement": dict(found.agreement),
        "µs student": 1e6 * found.row_seconds,
        "µs teacher": 1e6 * found.teacher_seconds,
        "rows made": found.n_made,
        "s teacher": fitted,
        "s": found.seconds,
    }


def line(row: dict[str, Any]) -> str:
    """A row of the table as Markdown."""
    names = ("teacher", "student", "default network", "plain network")
    scores = " | ".join(f"{row.get(name, float('nan')):.4f}" for name in names)
    shares = [row[name] for name in GAPS]
    gaps = " | ".join("-" if share is None else f"{share:.2f}" for share in shares)
    near = ", ".join(f"{name} {value:.4f}" for name, value in row["agreement"].items())
    return (
        f"| {row['table']} | {row['model']} | {row['score']} | {scores} | {gaps} | {near} | {row['µs student']:.1f} | "
        f"{row['µs teacher']:.0f} | {row['s']:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", default="california,adult,digits")
    parser.add_argument("--teachers", default=",".join(TEACHERS))
    parser.add_argument("--time", type=float, default=60.0, help="seconds, the plain network included")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    for option, known in (("tables", TABLES), ("teachers", TEACHERS)):
        if unknown := [name for name in getattr(given, option).split(",") if name not in known]:
            parser.error(f"--{option}: unknown {unknown[0]!r}; known: {', '.join(known)}")
    print("| table | model | score | teacher | student | default network | plain network | gap to default closed "
          "| gap to plain closed | student beside the teacher | µs student | µs teacher | s |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    rows = []
    for table in given.tables.split(","):
        for teacher in given.teachers.split(","):
            rows.append(measured(table, teacher, given.time, given.jobs, given.seed, given.preset))
            print(line(rows[-1]), flush=True)
    print()
    for name in GAPS:
        closed = [row[name] for row in rows if row[name] is not None]
        median = f"median {statistics.median(closed):.2f} of {len(closed)}" if closed else "none"
        print(f"{name}: {median} with a gap, of {len(rows)} in all")
    if given.json is not None:
        given.json.write_text(json.dumps({"machine": machine.facts(given.jobs, ()), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
