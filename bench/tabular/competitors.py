"""Who competes in bench/tables.py: one row of COMPETITORS for each. Libraries are imported by the process that fits.

A competitor is fitted on raw columns within the seconds of `Settings`, and predicts probabilities of all classes, or
numbers. Its `row` is the quickest call from Python for one row, and `intervals` fits anew and gives intervals of 90 %.
"""

from __future__ import annotations

import importlib
import importlib.util
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tabular.encoding import Encoding
from tabular.scores import LEVEL, aligned, margin, of_classes

# The share of the training rows whose errors measure intervals, as in fastreg.
_APART = 0.2
# The column of time that tables in the order of time get.
_TIME = "number of the row"


@dataclass(frozen=True)
class Settings:
    """What a competitor may know beside the training rows. `n_classes` is 0 where numbers are predicted, and `in_time`
    says that the rows are in the order of time and those to predict come later.
    """

    n_classes: int
    seed: int
    seconds: float
    threads: int
    text: tuple[str, ...] = ()
    in_time: bool = False


class Competitor(ABC):
    # Modules that are loaded before the time begins.
    modules: tuple[str, ...] = ("sklearn.feature_extraction.text", "sklearn.model_selection")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.model: Any = None
        for name in self.modules:
            importlib.import_module(name)

    @abstractmethod
    def fit(self, x: Any, y: Any) -> None:
        """Trains `model` on a frame of rows and their targets."""

    def predict(self, x: Any) -> NDArray[np.float64]:
        """Probabilities (n, n_classes), or numbers (n,)."""
        return self.outputs(self.model, x)

    def outputs(self, model: Any, x: Any) -> NDArray[np.float64]:
        if not self.settings.n_classes:
            return np.asarray(model.predict(x), dtype=np.float64)
        return aligned(model.predict_proba(x), model.classes_, self.settings.n_classes)

    def call(self, x: Any) -> Callable[[], Any]:
        """A prediction for a frame as the library's users write it."""
        model = self.model
        return lambda: model.predict_proba(x) if self.settings.n_classes else model.predict(x)

    def row(self, x: Any) -> Callable[[], Any]:
        """The quickest way to predict a frame of one row that the library offers in Python."""
        return self.call(x)

    def intervals(self, x: Any, y: Any, new: Any) -> NDArray[np.float64] | None:
        """Lower and upper bounds (n, 2) of new rows; None if the library has none."""
        return None


class Fastreg(Competitor):
    """`TableClassifier` and `TableRegressor` on the raw columns, and with the number of the row as the column of time
    where rows are in its order.
    """

    preset = "default"
    modules = ("fastreg.table.estimators", "fastreg.table.regressor")

    def _fitted(self, x: Any, y: Any, **more: Any) -> Any:
        import fastreg as fr
        from fastreg.table import TableClassifier, TableRegressor

        s = self.settings
        fr.set_num_threads(s.threads)
        kind = TableClassifier if s.n_classes else TableRegressor
        if s.in_time:
            x = x.assign(**{_TIME: np.arange(len(x))})
            more |= {"time_column": _TIME, "ignore": (_TIME,)}
        return kind(preset=self.preset, time=s.seconds, seed=s.seed, jobs=s.threads, **more).fit(x, y)

    def fit(self, x: Any, y: Any) -> None:
        self.model = self._fitted(x, y)

    def row(self, x: Any) -> Callable[[], Any]:
        """The frozen blend on the codes of the row, encoding included."""
        from fastreg.table import Table

        made, table = self.model.model_, Table.of(x)
        frozen, codes, documents = made.freeze(), made.schema.codes(table), made.schema.documents(table)
        return lambda: frozen(codes, documents)

    def intervals(self, x: Any, y: Any, new: Any) -> NDArray[np.float64] | None:
        bounds: NDArray[np.float64] = self._fitted(x, y, interval=LEVEL).predict_interval(new)
        return bounds


class FastregFast(Fastreg):
    preset = "fast"


class FastregBest(Fastreg):
    preset = "best"


class FastregRealMlp(Competitor):
    """RealMLP-TD of fastreg with its defaults. It does not look at the time. (Holzmüller et al., "Better by default",
    2024.)
    """

    modules = (*Competitor.modules, "fastreg.sklearn.realmlp")

    def fit(self, x: Any, y: Any) -> None:
        import fastreg as fr
        from fastreg.sklearn import RealMLPClassifier, RealMLPRegressor

        s = self.settings
        fr.set_num_threads(s.threads)
        self.encoding = Encoding(x, s.text)
        kind = RealMLPClassifier if s.n_classes else RealMLPRegressor
        self.model = kind(form="TD", random_state=s.seed).fit(self.encoding(x), y)

    def predict(self, x: Any) -> NDArray[np.float64]:
        return super().predict(self.encoding(x))

    def call(self, x: Any) -> Callable[[], Any]:
        return super().call(self.encoding(x))


class HistGB(Competitor):
    """HistGradientBoosting with its defaults. It does not look at the time."""

    modules = (*Competitor.modules, "sklearn.ensemble")

    def fit(self, x: Any, y: Any) -> None:
        self.encoding = Encoding(x, self.settings.text)
        self.model = self.new().fit(self.encoding(x), y)

    def new(self, **parameters: Any) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        kind = HistGradientBoostingClassifier if self.settings.n_classes else HistGradientBoostingRegressor
        return kind(random_state=self.settings.seed, categorical_features="from_dtype", **parameters)

    def predict(self, x: Any) -> NDArray[np.float64]:
        return super().predict(self.encoding(x))

    def call(self, x: Any) -> Callable[[], Any]:
        return super().call(self.encoding(x))

    def row(self, x: Any) -> Callable[[], Any]:
        """An array where all columns are numbers: it saves the reading of the frame."""
        encoded = self.encoding(x)
        return super().call(encoded if self.encoding.categories else encoded.to_numpy(np.float64))

    def intervals(self, x: Any, y: Any, new: Any) -> NDArray[np.float64] | None:
        """Two quantiles by boosting, conformalised (Romano et al., "Conformalized quantile regression", 2019)."""
        from sklearn.model_selection import train_test_split

        encoding = Encoding(x, self.settings.text)
        parts = train_test_split(encoding(x), y, test_size=_APART, random_state=self.settings.seed)
        ends = ((1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0)
        models = [self.new(loss="quantile", quantile=q).fit(parts[0], parts[2]) for q in ends]
        lower, upper = (model.predict(parts[1]) for model in models)
        more = margin(np.maximum(lower - parts[3], parts[3] - upper))
        low, high = (model.predict(encoding(new)) for model in models)
        return np.column_stack([low - more, high + more])


class HistGBSearch(HistGB):
    """A random search until the time is out, the defaults first, judged as fastreg judges: by the log-loss or the
    squared error, with five folds below 5,000 rows and one held-out fifth from there on, later rows where they are in
    the order of time. The best is fitted again.
    """

    modules = (*HistGB.modules, "scipy.stats")

    def fit(self, x: Any, y: Any) -> None:
        until = time.perf_counter() + self.settings.seconds
        self.encoding = Encoding(x, self.settings.text)
        encoded, best, least = self.encoding(x), {}, np.inf
        folds = list(self._folds(y))
        # The longest fit of a fold; one on all rows takes little more.
        self.tried, self.longest = 0, 0.0
        for parameters in self._drawn():
            loss = self._judged(parameters, encoded, y, folds, until)
            if loss is None:
                break
            self.tried += 1
            if loss < least:
                best, least = parameters, loss
        self.model = self.new(**best).fit(encoded, y)

    def _judged(self, parameters: dict[str, Any], x: Any, y: Any, folds: list[Any], until: float) -> float | None:
        """The mean loss of the folds; None if the time would be out before they and a fit on all rows were done."""
        losses = []
        for fold in folds:
            start = time.perf_counter()
            if start + 2.25 * self.longest > until:
                return None
            losses.append(self._loss(parameters, x, y, *fold))
            self.longest = max(self.longest, time.perf_counter() - start)
        return float(np.mean(losses))

    def intervals(self, x: Any, y: Any, new: Any) -> NDArray[np.float64] | None:
        return None

    def _drawn(self) -> Iterator[dict[str, Any]]:
        from scipy.stats import loguniform, uniform

        yield {}
        random = np.random.RandomState(self.settings.seed)
        draw = {
            "learning_rate": loguniform(0.01, 0.3),
            "max_iter": loguniform(50, 1000),
            "max_leaf_nodes": loguniform(4, 128),
            "min_samples_leaf": loguniform(2, 100),
            "l2_regularization": loguniform(1e-3, 100.0),
            "max_features": uniform(0.3, 0.7),
        }
        whole = ("max_iter", "max_leaf_nodes", "min_samples_leaf")
        while True:
            values = {name: float(of.rvs(random_state=random)) for name, of in draw.items()}
            yield {name: round(value) if name in whole else value for name, value in values.items()}

    def _folds(self, y: Any) -> Iterator[tuple[Any, Any]]:
        from sklearn.model_selection import KFold, StratifiedKFold, TimeSeriesSplit

        n, held_out = len(y), len(y) >= 5000
        if self.settings.in_time:
            latest = np.arange(n - n // 5), np.arange(n - n // 5, n)
            return iter([latest]) if held_out else TimeSeriesSplit(5).split(y)
        kind = StratifiedKFold if self.settings.n_classes else KFold
        folds = kind(5, shuffle=True, random_state=self.settings.seed).split(np.zeros(n), y)
        return iter([next(folds)]) if held_out else folds

    def _loss(self, parameters: dict[str, Any], x: Any, y: Any, train: Any, test: Any) -> float:
        found = self.outputs(self.new(**parameters).fit(x.iloc[train], y[train]), x.iloc[test])
        if self.settings.n_classes:
            return of_classes(y[test], found)["log_loss"]
        return float(np.mean((found - y[test]) ** 2))


class Mlp(Competitor):
    """scikit-learn's network with its defaults behind medians, z-scores and one-hot columns; numbers standardised.

    The epochs are made one by one, so that they can end when the time is out: at most 200 as in `fit`, and none after
    eleven in a row that improve the training loss by less than 1e-4.
    """

    modules = (*Competitor.modules, "sklearn.neural_network", "sklearn.compose", "sklearn.pipeline")

    def fit(self, x: Any, y: Any) -> None:
        from sklearn.neural_network import MLPClassifier, MLPRegressor
        from sklearn.pipeline import make_pipeline

        begun = time.perf_counter()
        s = self.settings
        self.encoding = Encoding(x, s.text)
        encoded = self.encoding(x)
        scaling = self.encoding.scaling(encoded)
        features = scaling.transform(encoded)
        self.mean, self.scale = (0.0, 1.0) if s.n_classes else (float(np.mean(y)), float(np.std(y)))
        targets = y if s.n_classes else (y - self.mean) / self.scale
        model = (MLPClassifier if s.n_classes else MLPRegressor)(random_state=np.random.RandomState(s.seed))
        given = {"classes": np.unique(y)} if s.n_classes else {}
        stale, best = 0, np.inf
        while model.max_iter > len(getattr(model, "loss_curve_", ())) and stale <= model.n_iter_no_change:
            model.partial_fit(features, targets, **given)
            stale = stale + 1 if model.loss_ > best - model.tol else 0
            best = min(best, model.loss_)
            if time.perf_counter() - begun > s.seconds:
                break
        self.model = make_pipeline(scaling, model)

    def predict(self, x: Any) -> NDArray[np.float64]:
        return super().predict(self.encoding(x)) * self.scale + self.mean

    def call(self, x: Any) -> Callable[[], Any]:
        return super().call(self.encoding(x))


class Linear(Competitor):
    """Ridge or logistic regression behind medians, z-scores and one-hot columns. Its penalty is chosen by rows left
    out, each in turn for numbers and five folds for classes. It does not look at the time.
    """

    modules = (*Competitor.modules, "sklearn.linear_model", "sklearn.compose", "sklearn.pipeline")

    def fit(self, x: Any, y: Any) -> None:
        from sklearn.pipeline import make_pipeline

        self.encoding = Encoding(x, self.settings.text)
        encoded = self.encoding(x)
        scaling = self.encoding.scaling(encoded)
        features = scaling.transform(encoded)
        self.model = make_pipeline(scaling, self.new(features.shape[1]).fit(features, y))

    def new(self, n_features: int) -> Any:
        from sklearn.linear_model import LogisticRegression, RidgeCV
        from sklearn.model_selection import GridSearchCV

        if not self.settings.n_classes:
            return RidgeCV(np.logspace(-3, 4, 29))
        grid = {"C": np.logspace(-3, 2, 6)}
        return GridSearchCV(LogisticRegression(max_iter=1000), grid, scoring="neg_log_loss")

    def predict(self, x: Any) -> NDArray[np.float64]:
        return super().predict(self.encoding(x))

    def call(self, x: Any) -> Callable[[], Any]:
        return super().call(self.encoding(x))


class Svm(Linear):
    """A support vector machine with a Gaussian kernel on the same features, for small tables; penalty and width of the
    kernel are chosen by five folds, and probabilities are those of a sigmoid of its margins.
    """

    modules = (*Linear.modules, "sklearn.svm", "sklearn.calibration")

    def new(self, n_features: int) -> Any:
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.compose import TransformedTargetRegressor
        from sklearn.model_selection import GridSearchCV
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC, SVR

        widths = [factor / n_features for factor in (0.1, 0.3, 1.0)]
        if self.settings.n_classes:
            return CalibratedClassifierCV(GridSearchCV(SVC(), {"C": [1.0, 10.0], "gamma": widths}), ensemble=False)
        found = GridSearchCV(SVR(), {"C": [0.1, 1.0, 10.0], "gamma": widths})
        return TransformedTargetRegressor(found, transformer=StandardScaler())


class RealMlp(Competitor):
    """RealMLP-TD of pytabkit with its defaults, on the CPU, told the time; medians for missing numbers, which it does
    not take. (Holzmüller et al., "Better by default", 2024.)
    """

    modules = (*Competitor.modules, "pytabkit")

    def fit(self, x: Any, y: Any) -> None:
        from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

        s = self.settings
        self.encoding = Encoding(x, s.text)
        self.medians = x[self.encoding.numbers].median()
        kind = RealMLP_TD_Classifier if s.n_classes else RealMLP_TD_Regressor
        model = kind(device="cpu", random_state=s.seed, n_threads=s.threads)
        limit = {"time_to_fit_in_seconds": max(int(s.seconds), 1)}
        self.model = model.fit(self.whole(x), y, cat_col_names=self.encoding.categories, **limit)

    def whole(self, x: Any) -> Any:
        """The encoded frame without missing cells."""
        encoded = self.encoding(x)
        encoded[self.encoding.numbers] = encoded[self.encoding.numbers].fillna(self.medians)
        for name in self.encoding.categories:
            encoded[name] = encoded[name].cat.add_categories("missing").fillna("missing")
        return encoded

    def predict(self, x: Any) -> NDArray[np.float64]:
        return super().predict(self.whole(x))

    def call(self, x: Any) -> Callable[[], Any]:
        return super().call(self.whole(x))


@dataclass(frozen=True)
class Entry:
    """A competitor by name, and the package that it needs. Where `asked` is set, it runs only if it is named."""

    name: str
    kind: type[Competitor]
    package: str
    asked: bool = False

    def installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None


COMPETITORS = (
    Entry("fastreg", Fastreg, "fastreg"),
    Entry("fastreg-fast", FastregFast, "fastreg", asked=True),
    Entry("fastreg-best", FastregBest, "fastreg", asked=True),
    Entry("fastreg-realmlp", FastregRealMlp, "fastreg", asked=True),
    Entry("histgb", HistGB, "sklearn"),
    Entry("histgb-search", HistGBSearch, "sklearn"),
    Entry("mlp", Mlp, "sklearn"),
    Entry("linear", Linear, "sklearn", asked=True),
    Entry("svm", Svm, "sklearn", asked=True),
    Entry("realmlp", RealMlp, "pytabkit"),
)
