"""The tables of bench/tables.py: one row of SOURCES for each, with what it is and how it is made.

A table that is not on this machine raises `Absent`. Tables of other packages are read as files: the package itself is
not imported, so that `pip install --no-deps` is enough. Random tables of a formula are drawn with one seed, 0; the seed
of a run draws the split only.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tabular import series

BENCH = Path(__file__).resolve().parents[1]
CLASSES, NUMBERS = "classes", "numbers"
# A target of numbers with more values than this is predicted as a number, in tables of a folder.
_MOST_CLASSES = 20
_TEST_SHARE = 0.2


class Absent(Exception):
    """The table is not on this machine. The message says what is missing."""


@dataclass
class Data:
    """Raw columns as a frame of pandas, and targets: numbers, or 0 to n_classes - 1. `test` marks the rows of a
    published test part, if there is one; `text` names columns of sentences; `in_time` says that rows are in the order
    of time, so that the test part comes later than the training rows."""

    x: Any
    y: NDArray[Any]
    n_classes: int = 0
    test: NDArray[np.bool_] | None = None
    text: tuple[str, ...] = ()
    in_time: bool = False

    def split(self, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Training rows and test rows: the published ones, or a fifth that the seed draws, of each class its share."""
        from sklearn.model_selection import train_test_split

        if self.test is not None:
            return np.flatnonzero(~self.test), np.flatnonzero(self.test)
        rare = self.n_classes and np.bincount(self.y).min() < 2
        classes = self.y if self.n_classes and not rare else None
        train, test = train_test_split(np.arange(len(self.y)), test_size=_TEST_SHARE, random_state=seed,
                                       stratify=classes)  # fmt: skip
        return train, test


@dataclass(frozen=True)
class Source:
    name: str
    task: str
    origin: str
    load: Callable[[], Data] = field(repr=False)


def made(x: Any, y: Any, task: str, **more: Any) -> Data:
    """The data of a frame or a matrix with its targets; rows without a target are left out."""
    import pandas as pd

    y = pd.Series(np.asarray(y))
    x = x if isinstance(x, pd.DataFrame) else pd.DataFrame(x, columns=[f"x{i}" for i in range(np.shape(x)[1])])
    x, known = x.reset_index(drop=True), y.notna()
    if not known.all():
        x, y = x[known].reset_index(drop=True), y[known].reset_index(drop=True)
    if task == NUMBERS:
        return Data(x, y.to_numpy(np.float64), **more)
    classes, codes = np.unique(y.to_numpy(), return_inverse=True)
    return Data(x, codes, len(classes), **more)


def of_frame(frame: Any, target: str, task: str, drop: tuple[str, ...] = (), **more: Any) -> Data:
    return made(frame.drop(columns=[target, *drop]), frame[target], task, **more)


# Tables of the data folder.


def _path(name: str) -> Path:
    path = Path(os.environ.get("FASTREG_DATA", BENCH.parents[1] / "shared" / "data")) / name
    if not path.exists():
        raise Absent(f"{path} is not there; FASTREG_DATA names the folder")
    return path


def _csv(path: Path) -> Any:
    import pandas as pd

    return pd.read_csv(path, na_values=["?"])


def fold_zero(n: int) -> NDArray[np.bool_]:
    """The rows of fold 0 of the data folder: the 32-bit finalizer of murmur3 of the row number, modulo 5."""
    h = np.arange(n, dtype=np.uint64)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        h = ((h ^ (h >> np.uint64(shift))) * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    h ^= h >> np.uint64(16)
    return h % np.uint64(5) == 0


def adult() -> Data:
    frame = _csv(_path("adult.csv.gz"))
    return of_frame(frame, "income", CLASSES, ("is_test",), test=frame["is_test"].to_numpy() == 1)


def california() -> Data:
    frame = _csv(_path("california_housing.csv.gz"))
    return of_frame(frame, "median_house_value", NUMBERS, test=fold_zero(len(frame)))


def golub() -> Data:
    with np.load(_path("golub_leukemia.npz")) as file:
        return made(file["X"].astype(np.float64), file["y"], CLASSES, test=file["is_test"].astype(bool))


def sms_spam() -> Data:
    frame = _csv(_path("sms_spam.csv.gz"))
    return of_frame(frame, "label", CLASSES, test=fold_zero(len(frame)), text=("text",))


def etth1() -> Data:
    """The rise of the oil temperature in the next day, from all series, their changes in a day, hour and weekday."""
    import pandas as pd

    frame = _csv(_path("ETTh1.csv.gz"))
    date, series = pd.to_datetime(frame.pop("date")), list(frame.columns)
    for name in series:
        frame[f"{name}_change"] = frame[name] - frame[name].shift(24)
    frame["hour"], frame["weekday"] = date.dt.hour, date.dt.day_of_week
    target = frame["OT"].shift(-24) - frame["OT"]
    rows = frame[f"{series[0]}_change"].notna() & target.notna()
    n = int(rows.sum())
    return made(frame[rows], target[rows], NUMBERS, test=np.arange(n) >= n - n // 5, in_time=True)


def airline() -> Data:
    """log(passengers / a year before) from the same of the 13 months before; the last 24 months are the test part."""
    log = np.log(_csv(_path("airline_passengers.csv.gz"))["Passengers"].to_numpy(np.float64))
    growth = log[12:] - log[:-12]
    lags = np.column_stack([growth[13 - k : len(growth) - k] for k in range(1, 14)])
    target = growth[13:]
    return made(lags, target, NUMBERS, test=np.arange(len(target)) >= len(target) - 24, in_time=True)


def of_series(make: Callable[[], tuple[dict[str, NDArray[Any]], NDArray[np.float64]]]) -> Data:
    """Moments of random series; the last fifth is the test part."""
    import pandas as pd

    columns, target = make()
    n = len(target)
    return made(pd.DataFrame(columns), target, NUMBERS, test=np.arange(n) >= n - n // 5, in_time=True)


# Tables that scikit-learn has or makes.


def bundled(name: str, task: str) -> Data:
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return made(x, y, task)


def generated(maker: str, task: str, rows: int, **more: Any) -> Data:
    from sklearn import datasets

    x, y = getattr(datasets, maker)(n_samples=rows, random_state=0, **more)
    return made(x, y, task)


# Tables that other packages have.


def packaged(package: str, path: str, target: str, task: str, drop: tuple[str, ...] = ()) -> Data:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise Absent(f"{package} is not installed")
    file = Path(found.submodule_search_locations[0]) / path
    if not file.exists():
        raise Absent(f"this {package} has no {path}")
    return of_frame(_csv(file), target, task, drop)


# Tables of a folder.


def of_file(path: Path, target: str | None) -> Source:
    """A table whose target is the named or the last column."""
    import pandas as pd

    frame = _csv(path)
    column = str(frame.columns[-1]) if target is None else target
    if column not in frame.columns or len(frame.columns) < 2:
        raise ValueError(f"--target must be a column of {path}, beside others, got {column!r}")
    values = frame[column]
    number = pd.api.types.is_float_dtype(values) or pd.api.types.is_integer_dtype(values)
    task = NUMBERS if number and values.nunique() > _MOST_CLASSES else CLASSES
    name = path.name.split(".csv")[0]
    return Source(name, task, f"{path.name}, target {column}", partial(of_frame, frame, column, task))


def of_folder(folder: str, target: str | None) -> list[Source]:
    """A table for each .csv and .csv.gz file of a folder, by name."""
    paths = sorted(path for path in Path(folder).iterdir() if path.name.endswith((".csv", ".csv.gz")))
    if not paths:
        raise ValueError(f"--folder must have .csv or .csv.gz files, got {folder}")
    return [of_file(path, target) for path in paths]


def _packaged(name: str, task: str, package: str, path: str, target: str, *drop: str) -> Source:
    origin = f"{package}, {path}, target {target}" + (f", without {', '.join(drop)}" if drop else "")
    return Source(name, task, origin, partial(packaged, package, path, target, task, drop))


def _generated(name: str, task: str, maker: str, rows: int, **more: Any) -> Source:
    told = "".join(f", {key}={value}" for key, value in more.items())
    origin = f"sklearn.datasets.{maker}(n_samples={rows}{told}, random_state=0)"
    return Source(name, task, origin, partial(generated, maker, task, rows, **more))


def _series(name: str, make: Callable[[], Any], what: str) -> Source:
    return Source(name, NUMBERS, f"bench/tabular/series.py, {what}; test part: last fifth", partial(of_series, make))


def _bundled(name: str, task: str) -> Source:
    return Source(name, task, f"sklearn.datasets.load_{name}", partial(bundled, name, task))


SOURCES = (
    Source("california", NUMBERS, "data folder, test part: fold 0", california),
    Source("adult", CLASSES, "data folder, official test part", adult),
    Source("golub", CLASSES, "data folder, official test part", golub),
    Source("sms_spam", CLASSES, "data folder, test part: fold 0", sms_spam),
    Source("etth1", NUMBERS, "data folder, rise of the oil temperature within a day; test part: last fifth", etth1),
    Source("airline", NUMBERS, "data folder, log growth over a year from 13 lags; test part: last 24 months", airline),
    _series("coupled", series.coupled, "rise within a day of one of five series that depend on each other"),
    _series("threshold", series.threshold, "next step of a series that rises and falls by two rules"),
    _series("pair", series.pair, "next step of one of two prices that wander together"),
    _series("demand", series.demand, "next hour of a demand that grows"),
    _bundled("digits", CLASSES),
    _bundled("breast_cancer", CLASSES),
    _bundled("wine", CLASSES),
    _bundled("iris", CLASSES),
    _bundled("diabetes", NUMBERS),
    # Friedman, "Multivariate adaptive regression splines", 1991, with the noise of Breiman, "Bagging predictors", 1996.
    _generated("friedman1", NUMBERS, "make_friedman1", 2000, noise=1.0),
    _generated("friedman2", NUMBERS, "make_friedman2", 2000, noise=125.0),
    _generated("friedman3", NUMBERS, "make_friedman3", 2000, noise=0.1),
    _generated("sparse_uncorrelated", NUMBERS, "make_sparse_uncorrelated", 1000, n_features=20),
    _generated("swiss_roll", NUMBERS, "make_swiss_roll", 3000, noise=0.5),
    # Hastie, Tibshirani and Friedman, "The elements of statistical learning", 2009, example 10.2.
    _generated("hastie_10_2", CLASSES, "make_hastie_10_2", 6000),
    _generated("gaussian_quantiles", CLASSES, "make_gaussian_quantiles", 3000, n_features=8, n_classes=3),
    _generated("moons", CLASSES, "make_moons", 1000, noise=0.3),
    # Guyon, "Design of experiments of the NIPS 2003 variable selection benchmark", 2003.
    _generated("clusters_2", CLASSES, "make_classification", 2000, n_features=20, n_informative=6, n_redundant=4,
               n_clusters_per_class=3, flip_y=0.05),
    _generated("clusters_5", CLASSES, "make_classification", 6000, n_features=30, n_informative=12, n_redundant=6,
               n_classes=5, n_clusters_per_class=2, flip_y=0.02),
    _packaged("diamonds", NUMBERS, "plotnine", "data/diamonds.csv", "price"),
    _packaged("penguins", CLASSES, "plotnine", "data/penguins.csv", "species"),
    _packaged("txhousing", NUMBERS, "plotnine", "data/txhousing.csv", "median", "date"),
    _packaged("auto", NUMBERS, "ISLP", "data/Auto.csv", "mpg", "name"),
    _packaged("bikeshare", NUMBERS, "ISLP", "data/Bikeshare.csv", "bikers", "casual", "registered"),
    _packaged("carseats", NUMBERS, "ISLP", "data/Carseats.csv", "Sales"),
    _packaged("college", NUMBERS, "ISLP", "data/College.csv", "Outstate"),
    _packaged("default", CLASSES, "ISLP", "data/Default.csv", "default"),
    _packaged("hitters", NUMBERS, "ISLP", "data/Hitters.csv", "Salary"),
    _packaged("oj", CLASSES, "ISLP", "data/OJ.csv", "Purchase"),
    _packaged("wage", NUMBERS, "ISLP", "data/Wage.csv", "wage", "logwage"),
)  # fmt: skip
