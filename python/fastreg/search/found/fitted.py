"""The results of a search: the best parameters and model, the table, pictures, an ensemble.

The object keeps a reference to the data, to refit and to build ensembles; a pickle does not contain them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.call_errors import wants_targets
from fastreg.internal.checks import AT_LEAST_ONE, check_int
from fastreg.internal.progress import say
from fastreg.internal.whole_files import FilePath
from fastreg.model.model import Model
from fastreg.search.folds.adapter import probabilities_of
from fastreg.search.folds.evaluation import Context, FoldResult, Task, refit
from fastreg.search.found import results
from fastreg.search.found.results import Trial
from fastreg.search.found.scikit_learn import OF_ESTIMATOR, OF_MODEL, VIEWS, SearchViews, checked_index
from fastreg.search.options import ModelT
from fastreg.search.space.space import Space
from fastreg.search.workers.executors import make_runner

if TYPE_CHECKING:
    from fastreg.search.found.ensemble import Ensemble

__all__ = ["FITTED", "FittedSearch"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_OF_DATA = ("classes_", "n_features_in_", "feature_names_in_")

# Attributes that there are once a search was fitted; those of the best only if there is one.
_OF_MODEL = ("best_model_", "best_preprocess_", *OF_MODEL)
FITTED = (
    *VIEWS,
    *("best_params_", "best_score_", "best_trial_", "best_model_", "best_preprocess_", "results_", "trials_"),
    *("failures_", "n_trials_", "n_splits_", "metric_", "direction_", "seed_", "seconds_", "stopped_by_"),
)


class FittedSearch(SearchViews, Generic[ModelT]):
    """The results of a search. A :class:`~fastreg.search.Search` has them as attributes with the same names.

    Args:
        context: The context of the trials, which includes the data; None after a pickle.
        space: The space of the search.
        seed: The seed.
        trials: The trials by number.
        models: For each trial, the results of its folds with models and predictions, if they were kept.
        stopped_by: What ended the search.
        seconds: How long it took.
        known: What the targets and the features of the search told: ``classes_``, ``n_features_in_`` and
            ``feature_names_in_``, or some of these.
    """

    best_params_: dict[str, Any]
    best_score_: float
    best_trial_: Trial
    best_model_: ModelT
    best_preprocess_: Any

    def __init__(
        self,
        context: Context,
        space: Space,
        seed: int,
        trials: Mapping[int, Trial],
        models: dict[int, list[FoldResult]],
        stopped_by: str,
        seconds: float,
        known: Mapping[str, Any] = _NOTHING,
    ) -> None:
        self.context: Context | None = context
        self.space, self._scoring, self._kept, self._known = space, context.scorers, models, dict(known)
        self._no_model = "the search was made with refit=False; refit_best() trains it"
        self.trials_ = [trial for _, trial in sorted(trials.items())]
        self.failures_ = [trial for trial in self.trials_ if trial.has_failed]
        self.n_trials_, self.n_splits_, self.seed_ = len(self.trials_), len(context.folds), seed
        self.metric_, self.direction_ = self._scoring.primary, self._scoring.direction
        self.multimetric_ = self._scoring.several
        self.stopped_by_, self.seconds_ = stopped_by, seconds
        self.results_ = results.tabulate(self.trials_, self._scoring.directions, self.n_splits_)
        best = results.best_trial(self.trials_, self._scoring.direction)
        # If every fold raised an exception, a trial with the error_score is no better than one without a score.
        if best is not None and not all(trial.is_all_error for trial in self.trials_):
            self._take_best(best)

    def _take_best(self, trial: Trial) -> None:
        self.best_trial_, self.best_score_, self.best_params_ = trial, trial.score, trial.params

    def choose(self, refit: Callable[[dict[str, Any]], Any]) -> None:
        """Makes the trial the best one whose index the function returns for ``cv_results_``."""
        self._take_best(self.trials_[checked_index(refit(self.cv_results_), len(self.trials_))])

    @classmethod
    def from_older_pickle(cls, state: dict[str, Any]) -> FittedSearch[Any]:
        """Makes the results from the attributes of a search, as in pickles of older versions."""
        made: FittedSearch[Any] = cls.__new__(cls)
        older = {"_context": "context", "_space": "space", "_scoring": "_scoring", "_kept": "_kept"}
        for name in (*FITTED, *older, "_no_model"):
            if name in state:
                setattr(made, older.get(name, name), state.pop(name))
        return made

    def __getattr__(self, name: str) -> Any:
        # Only called for what is not there.
        if name in OF_ESTIMATOR:
            return self._method(name)
        if name in _OF_DATA and "best_trial_" in self.__dict__:
            raise AttributeError(f"{name}: neither the best model nor the data of the search have it")
        if name in FITTED and "trials_" in self.__dict__:
            why = self._no_model if name in _OF_MODEL and "best_trial_" in self.__dict__ else "no trial has a score"
            raise AttributeError(f"{name}: {why}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"context": None}  # the data are the user's

    def require_score(self) -> None:
        """Raises an error if no trial has a score.

        Raises:
            RuntimeError: If no trial has one.
            KeyboardInterrupt: If Ctrl-C came before the first one had.
        """
        if "best_trial_" not in self.__dict__:
            if self.stopped_by_ == "interrupt":
                raise KeyboardInterrupt
            raise RuntimeError(self._nothing_found())

    def _nothing_found(self) -> str:
        if not self.failures_:
            what = f"{self.n_trials_} were pruned, the others not finished" if self.n_trials_ else "none was finished"
            return f"search: no trial has a score: {what} when the search ended, by: {self.stopped_by_}"
        counts = results.count_states(self.trials_)
        counts["failed"] += counts.pop("ok", 0)  # all folds of these have the error_score
        told = ", ".join(f"{counts[state]} {state}" for state in results.STATES if counts.get(state))
        first = self.failures_[0]
        state = "failed" if first.state == "ok" else first.state
        return f"search: no trial has a score ({told}); the first, trial {first.number}, {state}:\n{first.error}"

    # The best model.

    def refit_unless_interrupted(self) -> None:
        """Trains the best model, unless Ctrl-C has ended the search or interrupts the training."""
        if self.stopped_by_ == "interrupt":
            self._no_model = "the search was interrupted before the refit; refit_best() does it"
            say("search: interrupted, the best so far is kept; refit_best() trains the best model")
            return
        try:
            self.refit_best()
        except KeyboardInterrupt:
            self._no_model = "the refit was interrupted; refit_best() does it"
            say("search: the refit was interrupted; refit_best() does it")

    def refit_best(self) -> ModelT:
        """See ``Search.refit_best``."""
        result = self._trained("refit_best", self.best_trial_)
        self.best_model_, self.best_preprocess_, self.refit_time_ = result.model, result.preprocess, result.seconds
        return self.best_model_

    def _trained(self, call: str, trial: Trial) -> FoldResult:
        """The model of a trial, trained on all rows."""
        result = refit(self._data(call), Task(trial.number, 0, trial.params, stop=trial.median_best_epoch))
        if result.state != "ok":
            raise RuntimeError(f"search: the refit of trial {trial.number} {result.state}:\n{result.error}")
        return result

    def best_models(self, k: object) -> list[ModelT]:
        """See ``Search.best_models``."""
        count = check_int("best_models", "k", k, AT_LEAST_ONE)
        chosen = results.best_first(self.trials_, self.direction_)[:count]
        if not chosen:
            raise ValueError("best_models: no trial has a score")
        known, models = self.__dict__.get("best_model_"), []
        for trial in chosen:
            if known is not None and trial is self.best_trial_:
                models.append(known)
                continue
            result = self._trained("best_models", trial)
            # Without a refit there is none yet; it is fitted on the same rows for all.
            self.__dict__.setdefault("best_preprocess_", result.preprocess)
            models.append(result.model)
        return models

    def predict(self, X: Any) -> NDArray[Any]:
        """The outputs of the best model for rows of features, which ``best_preprocess_``, if any, transforms first."""
        return np.asarray(self._best().predict(self._transformed(X)))

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """See ``Search.predict_proba``."""
        best = self._best()
        if not isinstance(best, Model):
            return np.asarray(best.predict_proba(self._transformed(X)))
        return probabilities_of(best, best.predict(self._transformed(X)))

    @wants_targets
    def score(self, X: Any, y: Any) -> float:
        """The primary metric of the best model on some rows, in its own direction."""
        return self.scores(X, y)[self.metric_]

    @wants_targets
    def scores(self, X: Any, y: Any) -> dict[str, float]:
        """All metrics of the best model on some rows."""
        features = self._transformed(X)
        rows = np.arange(len(y), dtype=np.uint32)
        return self._scoring.score(self.best_model_, features, y, rows)

    def _method(self, name: str) -> Callable[[Any], Any]:
        """A method of the best estimator, for rows of features as the search got them."""
        method = getattr(self._best(), name)
        return lambda X: method(self._transformed(X))

    def _best(self) -> Any:
        return self.best_model_

    def _transformed(self, x: Any) -> Any:
        chain = self.best_preprocess_
        return x if chain is None else chain.transform(x)

    def _data(self, call: str) -> Context:
        if self.context is None:
            raise ValueError(f"{call}: a search that was pickled has no data; fit it again")
        return self.context

    def summary(self) -> str:
        """The ten best trials and a word on the failures, as text."""
        return results.summarise(
            self.trials_, self.metric_, self.direction_, self.n_splits_, self.seconds_, self.stopped_by_
        )

    def plot(self, kind: str = "history", path: FilePath | None = None, **options: Any) -> Any:
        """A picture of the search, as :func:`fastreg.search.found.plots.plot` draws it. Needs matplotlib."""
        from fastreg.search.found import plots

        return plots.plot(self, kind, path, **options)

    def report(
        self, path: FilePath, title: str | None = None, notes: Mapping[str, str] | None = None
    ) -> None:
        """Writes one HTML page with the table and the pictures; see :func:`fastreg.search.found.report.write`."""
        from fastreg.search.found import report

        report.write(self, path, title, notes)

    # Ensembles.

    def ensemble(self, k: object, candidates: object, n_jobs: int, executor: Any) -> Ensemble:
        """See ``Search.ensemble``."""
        from fastreg.search.found.ensemble import select

        picks = check_int("ensemble", "k", k, AT_LEAST_ONE)
        most = check_int("ensemble", "candidates", candidates, AT_LEAST_ONE)
        context, lower_is_better = self._data("ensemble"), self.direction_ == "min"
        trained = partial(self._retrained, n_jobs=n_jobs, executor=executor)
        return select(context, self.trials_, self.best_trial_, lower_is_better, trained, picks, most)

    def _retrained(self, trials: list[Trial], *, n_jobs: int, executor: Any) -> dict[int, list[FoldResult]]:
        """The folds of trials with their models, which are trained again if they were not kept."""
        missing = [trial for trial in trials if trial.number not in self._kept]
        found = {trial.number: list(self._kept.get(trial.number, ())) for trial in trials}
        if not missing:
            return found
        with make_runner(self._data("ensemble"), n_jobs, executor) as runner:
            tasks = [
                Task(trial.number, fold, trial.params, stop=trial.budget, keep_model=True)
                for trial in missing
                for fold in range(self.n_splits_)
            ]
            done = 0
            for sent, task in enumerate(tasks):
                runner.submit(task)
                while sent + 1 - done >= runner.slots:
                    result = runner.completed()
                    assert result is not None
                    found[result.trial].append(result)
                    done += 1
            while done < len(tasks):
                result = runner.completed()
                assert result is not None
                found[result.trial].append(result)
                done += 1
        for folds in found.values():
            folds.sort(key=lambda result: result.fold)
        return found
