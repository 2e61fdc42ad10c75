"""What a finished search offers: the best parameters and model, the table, a summary, pictures, an ensemble.

The data are held while the object lives, to refit and to build ensembles; a pickle leaves them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.extras import needs
from fastreg.internal.progress import say
from fastreg.internal.whole_files import FilePath
from fastreg.search.folds.evaluation import Context, FoldResult, Task, refit
from fastreg.search.folds.scoring import Scoring
from fastreg.search.found import results
from fastreg.search.found.results import Trial
from fastreg.search.options import ModelT
from fastreg.search.workers.executors import make_runner

if TYPE_CHECKING:
    from fastreg.search.found.ensemble import Ensemble
    from fastreg.search.plan import Plan
    from fastreg.search.run import Run
    from fastreg.search.space.space import Space

__all__ = ["Found"]

# Attributes that a search has only once it was fitted; those of the best only if there is one.
_OF_MODEL = ("best_model_", "best_preprocess_")
_FITTED = (
    *("best_params_", "best_score_", "best_trial_", *_OF_MODEL, "results_", "trials_", "failures_", "n_trials_"),
    *("n_splits_", "metric_", "direction_", "seed_", "seconds_", "stopped_by_"),
)


class Found(Generic[ModelT]):
    """Base of the searches: everything that needs a finished one."""

    verbose: int
    n_jobs: int
    executor: Any
    refit: bool | str
    best_params_: dict[str, Any]
    best_score_: float
    best_trial_: Trial
    best_model_: ModelT
    best_preprocess_: Any
    results_: dict[str, Any]
    trials_: list[Trial]
    failures_: list[Trial]
    n_trials_: int
    n_splits_: int
    metric_: str
    direction_: str
    seed_: int
    seconds_: float
    stopped_by_: str
    _context: Context | None
    _scoring: Scoring
    _kept: dict[int, list[FoldResult]]
    _no_model: str
    _space: Space

    def __getattr__(self, name: str) -> Any:
        # Only called for what is not there.
        if name in _FITTED:
            who = type(self).__name__
            if "trials_" not in self.__dict__:
                raise AttributeError(f"{name}: this {who} was not fitted yet; call fit first")
            why = self._no_model if name in _OF_MODEL and "best_trial_" in self.__dict__ else "no trial has a score"
            raise AttributeError(f"{name}: {why}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __getstate__(self) -> dict[str, Any]:
        # Executors hold threads or processes; the data are the user's.
        executor = self.executor if isinstance(self.executor, str) else None
        return self.__dict__ | {"_context": None, "executor": executor}

    def _forget(self) -> None:
        """Drops what an earlier fit found."""
        for name in (*_FITTED, "_context", "_scoring", "_kept", "_no_model", "_space"):
            self.__dict__.pop(name, None)

    def _found(self, plan: Plan, run: Run, stopped_by: str, seconds: float) -> None:
        """Takes over what a run found.

        Raises:
            RuntimeError: If no trial has a score.
            KeyboardInterrupt: If Ctrl-C came before any had.
        """
        scorers, n_folds = plan.context.scorers, len(plan.context.folds)
        self._context, self._scoring, self._kept = plan.context, scorers, run.models
        self._space = plan.space
        self._no_model = "the search was made with refit=False; refit_best() trains it"
        self.trials_ = [trial for _, trial in sorted(run.trials.items())]
        self.failures_ = [trial for trial in self.trials_ if trial.state in ("failed", "diverged")]
        self.n_trials_, self.n_splits_, self.seed_ = len(self.trials_), n_folds, plan.seed
        self.metric_, self.direction_ = scorers.primary, scorers.direction
        self.stopped_by_, self.seconds_ = stopped_by, seconds
        self.results_ = results.tabulate(self.trials_, scorers.directions, n_folds)
        best = results.best_trial(self.trials_, scorers.direction)
        if best is None:
            if stopped_by == "interrupt":
                raise KeyboardInterrupt
            raise RuntimeError(self._nothing_found())
        self.best_trial_, self.best_score_, self.best_params_ = best, best.score, best.params

    def _nothing_found(self) -> str:
        if not self.failures_:
            what = f"{self.n_trials_} were pruned, the others not finished" if self.n_trials_ else "none was finished"
            return f"search: no trial has a score: {what} when the search ended, by: {self.stopped_by_}"
        counts = results.count_states(self.trials_)
        told = ", ".join(f"{counts[state]} {state}" for state in results.STATES if counts[state])
        first = self.failures_[0]
        return f"search: no trial has a score ({told}); the first, trial {first.number}, {first.state}:\n{first.error}"

    # The best model.

    def _refit_unless_interrupted(self) -> None:
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
        """Trains the best parameters on all rows, for the median of the folds' best epochs: ``best_model_``.

        ``fit`` does it by itself unless ``refit=False`` or Ctrl-C ended it. Callbacks that monitor validation values
        are left out, since no rows are held out.

        Returns:
            The model.

        Raises:
            ValueError: If the search came from a pickle, which has no data.
            Exception: What training raises.
        """
        context, trial = self._data("refit_best"), self.best_trial_
        result = refit(context, Task(trial.number, 0, trial.params, stop=trial.median_best_epoch))
        if result.state != "ok":
            raise RuntimeError(f"search: the refit of trial {trial.number} {result.state}:\n{result.error}")
        self.best_model_, self.best_preprocess_ = result.model, result.preprocess
        return self.best_model_

    def predict(self, X: Any) -> NDArray[Any]:
        """What the best model gives for rows of features, transformed by ``best_preprocess_`` where there is one."""
        return np.asarray(self._best().predict(self._transformed(X)))

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """The best estimator's probabilities; those of a ``Sequential`` are its :meth:`predict`."""
        return np.asarray(self._best().predict_proba(self._transformed(X)))

    def score(self, X: Any, y: Any) -> float:
        """The primary metric of the best model on some rows, in its own direction."""
        return self.scores(X, y)[self.metric_]

    def scores(self, X: Any, y: Any) -> dict[str, float]:
        """All metrics of the best model on some rows."""
        features = self._transformed(X)
        rows = np.arange(len(y), dtype=np.uint32)
        return self._scoring.score(self.best_model_, features, y, rows)

    def _best(self) -> Any:
        return self.best_model_

    def _transformed(self, x: Any) -> Any:
        chain = self.best_preprocess_
        return x if chain is None else chain.transform(x)

    def _data(self, call: str) -> Context:
        self.trials_  # noqa: B018 -- raises where there was no fit
        if self._context is None:
            raise ValueError(f"{call}: a search that was pickled has no data; fit it again")
        return self._context

    # The table.

    def to_frame(self) -> Any:
        """``results_`` as a pandas DataFrame.

        Raises:
            ImportError: If pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise ImportError(needs("to_frame", "tune", "pandas")) from None
        return pandas.DataFrame(self.results_)

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

    def ensemble(self, k: int = 10, *, candidates: int = 25) -> Ensemble:
        """The best average of the folds' models, chosen by greedy selection on the rows that they were scored on.

        From the ``candidates`` best trials, one is added ``k`` times, with replacement, each time the one that makes
        the mean of all chosen so far score best; the best of these ``k`` sets is taken (Caruana et al., "Ensemble
        selection from libraries of models", ICML 2004). Models are those of ``keep_models=True``, or are trained again
        from their seeds, exactly as before.

        Args:
            k: Trials to choose, with replacement, >= 1.
            candidates: Trials to choose from, >= 1.

        Raises:
            ValueError: If an argument is out of range, no trial was trained to the full budget, or models are missing
                and the data are too (after a pickle).

        Example:
            >>> import numpy as np
            >>> import fastreg as fr
            >>> from fastreg.search import RandomSearch, LogUniform
            >>> x = np.random.default_rng(0).normal(size=(90, 3))
            >>> def build(params):
            ...     model = fr.Sequential([fr.layers.Dense(8, "tanh"), fr.layers.Dense(1)])
            ...     model.compile(fr.optimizers.Adam(params["lr"]), "mse")
            ...     return model
            >>> search = RandomSearch(build, {"lr": LogUniform(1e-3, 1e-1)}, n_trials=6, cv=3, seed=0, verbose=0)
            >>> ensemble = search.fit(x, np.sin(x[:, 0]), epochs=30).ensemble(4)
            >>> float(ensemble.weights_.sum()), ensemble.predict(x).shape
            (1.0, (90, 1))
        """
        from fastreg.search.found.ensemble import select

        return select(self, k, candidates)

    def _retrained(self, trials: list[Trial]) -> dict[int, list[FoldResult]]:
        """The folds of trials with their models, trained again where they were not kept."""
        missing = [trial for trial in trials if trial.number not in self._kept]
        found = {trial.number: list(self._kept.get(trial.number, ())) for trial in trials}
        if not missing:
            return found
        with make_runner(self._data("ensemble"), self.n_jobs, self.executor) as runner:
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
