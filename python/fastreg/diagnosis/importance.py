"""How much a trained model relies on each feature: what its score loses if the feature is shuffled."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastreg.data import arrays
from fastreg.internal import pictures, whole_files
from fastreg.internal.call_errors import wants_targets
from fastreg.internal.checks import AT_LEAST_ONE, NON_NEGATIVE, SEED_LIMIT, check_int, describe
from fastreg.internal.extras import needs
from fastreg.model.core import core_of
from fastreg.model.model import Model
from fastreg.search.folds.scoring import Scorer, resolve
from fastreg.utils.seeds import draw_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Importance", "permutation_importance"]


class Importance:
    """The importance of each feature.

    Attributes:
        importances: What the score lost by each shuffling, (features, repeats). Positive: the feature helps, whether
            high or low scores are better.
        names: The names of the features.
        baseline: The score without any shuffling.
        metric: The name of the score.
    """

    def __init__(self, importances: NDArray[np.float64], names: Sequence[str], baseline: float, metric: str) -> None:
        self.importances, self.names = importances, list(names)
        self.baseline, self.metric = baseline, metric

    @property
    def importances_mean(self) -> NDArray[np.float64]:
        """The mean over the repeats, (features,)."""
        mean: NDArray[np.float64] = self.importances.mean(axis=1)
        return mean

    @property
    def importances_std(self) -> NDArray[np.float64]:
        """The standard deviation over the repeats, (features,)."""
        spread: NDArray[np.float64] = self.importances.std(axis=1)
        return spread

    def _order(self) -> list[int]:
        return [int(i) for i in np.argsort(-self.importances_mean, kind="stable")]

    def __str__(self) -> str:
        width = max(map(len, self.names))
        lines = [f"loss of {self.metric} (without shuffling {self.baseline:.4g})"]
        for i in self._order():
            lines.append(f"{self.names[i]:<{width}}  {self.importances_mean[i]:9.4g} ± {self.importances_std[i]:.2g}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Importance of {len(self.names)} features by {self.metric}>"

    def plot(self, path: whole_files.FilePath | None = None, most: int = 20) -> Figure:
        """Draws the most important features as bars, with one standard deviation of the repeats.

        Args:
            path: File to write, completely or not at all. Its ending determines the format. None writes no file.
            most: The largest number of features that are shown, >= 1.

        Raises:
            ModuleNotFoundError: If matplotlib is not installed; the extra ``plots`` has it.
        """
        count = check_int("plot", "most", most, AT_LEAST_ONE)
        try:
            from matplotlib.figure import Figure
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(needs("plot", "plots", "matplotlib"), name="matplotlib") from error
        shown = self._order()[:count][::-1]
        figure = pictures.for_notebooks(Figure(figsize=(5.4, 0.9 + 0.27 * len(shown)), dpi=130, layout="constrained"))
        axes = figure.subplots()
        means, spreads = self.importances_mean[shown], self.importances_std[shown]
        axes.barh(range(len(shown)), means, xerr=spreads, color="#0072b2", error_kw={"linewidth": 1.0})
        axes.set_yticks(range(len(shown)), [pictures.plain(self.names[i], 24) for i in shown])
        axes.set_xlabel(f"loss of {pictures.plain(self.metric.replace('_', ' '))} if shuffled")
        axes.grid(alpha=0.25, linewidth=0.6, axis="x")
        axes.spines[["top", "right"]].set_visible(False)
        if path is not None:
            pictures.save(figure, path)
        return figure


@wants_targets
def permutation_importance(
    model: Any,
    X: Any,
    y: ArrayLike,
    *,
    scoring: Any = None,
    n_repeats: int = 5,
    seed: int | None = None,
    sample_weight: ArrayLike | None = None,
) -> Importance:
    """Shuffles one feature at a time and measures what the score loses (Breiman, Machine Learning 45, 2001).

    Use rows that were not trained on: on training rows, features that the model merely memorised count as well. Two
    features that say the same thing share their importance, since each can stand in for the other.

    Args:
        model: A trained model or estimator.
        X: Features, (n, features), an array or a frame; it is not changed.
        y: Targets.
        scoring: One metric, as in a search; None is the model's own.
        n_repeats: How often each feature is shuffled, >= 1.
        seed: Seed of the shuffling in [0, 2**64); None draws one.
        sample_weight: A weight >= 0 for each row, with which the score is computed, (n,); None weighs all rows alike.

    Raises:
        ValueError: If an argument is out of range, there are several scores, or there are weights of rows and the score
            cannot use them: a callable of one's own, or the ``score`` of an estimator that takes none.
        TypeError: If X is neither an array nor a frame.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> x = np.random.default_rng(0).normal(size=(200, 3)).astype("float32")
        >>> model = fr.Sequential([fr.layers.Dense(1)], seed=0)
        >>> model.compile(fr.optimizers.Adam(0.1), "mse")
        >>> history = model.fit(x, 3 * x[:, 0] + x[:, 2], epochs=50, verbose=0)
        >>> found = fr.diagnosis.permutation_importance(model, x, 3 * x[:, 0] + x[:, 2], seed=0)
        >>> [int(i) for i in np.argsort(-found.importances_mean)]
        [0, 2, 1]
    """
    owner = "permutation_importance"
    repeats = check_int(owner, "n_repeats", n_repeats, AT_LEAST_ONE)
    chosen = draw_seed() if seed is None else check_int(owner, "seed", seed, NON_NEGATIVE, SEED_LIMIT)
    scorers = resolve(scoring, model)
    if len(scorers.names) > 1:
        raise ValueError(f"scoring: the importance is of one score, got {', '.join(scorers.names)}")
    table, names = _columns(X)
    targets = len(cast(Any, y))
    if not isinstance(model, Model) and targets != len(table):
        raise ValueError(f"{owner}: y must have a target for each of {len(table)} rows of X, got {targets}")
    weights = None
    if sample_weight is not None:
        arrays.sample_weights(sample_weight, len(table), name=f"{owner}: sample_weight")
        weights = np.asarray(sample_weight, np.float64).reshape(-1)
        _check_weighs(scorers.scorers[0], model)
    asked = _with_metric(model, scorers.scorers[0], weights is not None)
    rows = np.arange(len(table), dtype=np.uint32)

    def score(x: Any) -> float:
        found = scorers.score(asked, x, y, rows, sample_weight=weights, weighs_all=weights is not None)
        return found[scorers.primary]

    baseline = score(X)
    generator = np.random.default_rng(chosen)
    orders = [generator.permutation(len(table)) for _ in range(repeats)]
    sign = 1.0 if scorers.direction == "max" else -1.0
    found = np.empty((len(names), repeats))
    for j in range(len(names)):
        for repeat, order in enumerate(orders):
            found[j, repeat] = sign * (baseline - score(_shuffled(table, j, order)))
    return Importance(found, names, baseline, scorers.primary)


def _check_weighs(scorer: Scorer, model: Any) -> None:
    """Raises ValueError if the score is one that cannot use weights of rows."""
    taken = scorer.kind != "method" or "sample_weight" in inspect.signature(model.score).parameters
    if scorer.kind == "callable" or not taken:
        what = f"score of {type(model).__name__}" if scorer.kind == "method" else f"callable {scorer.name!r}"
        raise ValueError(
            f"permutation_importance: sample_weight must be None, since the {what} takes no weights; give scoring= the "
            "name of a metric or of one of scikit-learn's scorers"
        )


def _with_metric(model: Any, scorer: Scorer, weighted: bool) -> Any:
    """The model if it computes the score as it is, otherwise a copy that is compiled with the metric."""
    if scorer.kind != "core" or scorer.metric is None:
        return model
    if not weighted and scorer.key in {metric.name for metric in model.metrics}:
        return model
    made = copy.deepcopy(model)
    core = core_of(made)
    metrics: tuple[list[Any], list[Any]] = ([], [scorer.metric]) if weighted else ([scorer.metric], [])
    core.compile(core.optimizer, core.losses[0], metrics[0], core.loss_weights, metrics[1], core.matmul_precision)
    return made


def _columns(x: Any) -> tuple[Any, list[str]]:
    """A table whose columns can be shuffled, and the names of its columns."""
    if hasattr(x, "iloc"):
        return x, [str(name) for name in x.columns]
    if hasattr(x, "to_pandas"):  # polars and Arrow
        frame = x.to_pandas()
        return frame, [str(name) for name in frame.columns]
    if isinstance(x, Mapping) or hasattr(x, "toarray"):
        raise TypeError(f"permutation_importance: X must be an array or a frame, got {describe(x)}")
    array = np.asarray(x)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"permutation_importance: X must have shape (n, features), got {array.shape}")
    return array, [f"feature {j}" for j in range(array.shape[1])]


def _shuffled(table: Any, column: int, order: NDArray[np.int64]) -> Any:
    """A copy with one column in another order of rows."""
    made = table.copy()
    if hasattr(made, "iloc"):
        made.isetitem(column, made.iloc[order, column].to_numpy())
    else:
        made[:, column] = table[order, column]
    return made
