"""``Search``, the base of all searches: their arguments, ``fit``, and access to the results.

``plan.py`` checks the arguments, ``run.py`` runs the search, and a ``FittedSearch`` (``found/fitted.py``) holds the
results, to which this class delegates. This file puts the parts together; the classes of ``search.py`` differ in the
points tried.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from numpy.typing import NDArray

from fastreg.internal.call_errors import refuses_unknown_arguments, wants_targets
from fastreg.internal.extras import needs
from fastreg.internal.whole_files import FilePath
from fastreg.search import plan as planning
from fastreg.search.folds.deadline import Deadline
from fastreg.search.found.fitted import FITTED, FittedSearch
from fastreg.search.found.results import Trial, warn_of_gaps
from fastreg.search.found.scikit_learn import OF_ESTIMATOR, SearchNames
from fastreg.search.journal import Journal
from fastreg.search.live import LiveLine
from fastreg.search.options import ModelT, SearchOptions
from fastreg.search.parameters import GIVEN, Parameters, one_of, parameters_of
from fastreg.search.run import Run, SearchLimits
from fastreg.search.strategy.strategies import Strategy
from fastreg.search.workers.executors import make_runner

if TYPE_CHECKING:
    from fastreg.search.found.ensemble import Ensemble
    from fastreg.search.options import Build

__all__ = ["Search"]

_S = TypeVar("_S", bound="Search[Any]")


class Search(SearchNames, Parameters, Generic[ModelT]):
    """The base of the four searches. :class:`RandomSearch` is a good one to begin with.

    Args:
        build: A function ``build(params)`` that returns a compiled ``Sequential``, or ``(model, fit_arguments)``; or a
            compiled model; or an estimator with ``fit`` and ``set_params``. A function must make a new model at every
            call; models and estimators among the parameters are copied for each call. A model without a seed gets one
            that is derived from (search seed, trial, fold). A compiled model is not changed: each fold trains a new
            one with its layers, without its weights, and as if it had no seed; the names of parameters are those that
            ``compile`` and ``fit`` know, see :class:`~fastreg.search.folds.compiled.CompiledModel`.
        space: A dict from names to distributions, lists (of options) or constants; or a list of such dicts; or a
            :class:`~fastreg.search.Space`.
        n_trials: The largest number of trials, >= 1; None: until the space, ``time_limit`` or ``target_score`` ends the
            search.
        cv: Number of folds (shuffled by the seed, and stratified if the loss or the classifier treats targets as
            classes), a splitter of :mod:`fastreg.search.folds.cross_validation` or scikit-learn, or a list of (training
            rows, scored rows). None is 5 folds.
        scoring: Name of a metric, a scorer of scikit-learn, a callable, or several of these; None: the model's own
            metric. Directions are known, and scores are never negated. Trials are ranked by the first one, or by the
            one that ``refit`` names. A callable may return a dict of scores, unless ``refit`` is True.
        refit: True: train the best parameters on all rows, for the median of the folds' best epochs. The name of a
            metric: the same, but by that metric. A function: it is given :attr:`cv_results_` and returns the index of
            the trial to train. False: do not train.
        n_jobs: The number of trials and folds that run at the same time; -1 and None are all processors. They share one
            thread budget.
        executor: None or ``"threads"``; ``"processes"``; any ``concurrent.futures.Executor``; a Dask client's executor;
            a :class:`~fastreg.search.RayExecutor`.
        pruner: None trains every trial to the end; see :class:`~fastreg.search.MedianPruner`,
            :class:`~fastreg.search.SuccessiveHalving`, :class:`~fastreg.search.Hyperband`,
            :class:`~fastreg.search.ASHA`. A trial that the latter three train in parts is trained as if it were at
            once. Their full budget is ``epochs``, or the most of the trials' own.
        early_stopping_on: The rows for callbacks that monitor ``val_...``: ``"inner"``, a part of a fold's training
            rows; or ``"fold"``, the scored rows, which makes scores optimistic.
        preprocess: ``"standard"``, a transformer or a list of them, fitted on the training rows of each fold.
        constraint: A function ``constraint(params)`` that returns whether a point may be proposed.
        seed: The seed of folds, proposals and the models' seeds, in [0, 2**64). None draws one (:attr:`seed_`), or
            takes that of the journal that is resumed.
        journal: Path of a file that gets a line for every finished fold, with a fingerprint of its model; None writes
            no file. Options of the space must differ in their texts; two lambdas, for example, do not.
        resume: Whether to continue from the journal, if there is one, with a ``build`` that returns the same models.
            The space of the journal may be narrower; its trials then count as evidence. Another ``build`` is refused.
            One that only trains its models differently before it returns them is not recognised: begin a new journal
            then. Other arguments of ``fit`` are refused, too. A callback of your own counts by its class and its
            ``__repr__``, or without one by its public attributes; functions count by their names.
        time_limit: Seconds, > 0, after which running fits end and are discarded. The refit takes additional time.
        target_score: The mean score of a trial that ends the search at once.
        max_failures: The number of failed trials that are tolerated; one more ends the search. None: any number.
        error_score: The score of a fold whose training or scoring raises an exception. NaN: the trial ends there, and
            has no score. A number: the other folds of the trial are trained, too, and the trial is ranked by the mean
            of its folds, as in scikit-learn; so the number should be worse than any real score, or such a trial may be
            the best one. It does not reach ``target_score``, and if all folds of all trials raise, so does the search.
            ``"raise"``: the search ends, and raises the exception of the first such trial. A score that is not finite
            raises nothing: see :class:`~fastreg.search.Trial`. An exception of the refit is always raised. An exception
            that a signal handler raises within a fold counts as the fold's, as in scikit-learn; what is not derived
            from ``Exception``, as ``KeyboardInterrupt`` and ``SystemExit``, ends the search.
        initial: A list of parameters to try first, each a point of the space. Constants of the space may be left out.
        return_train_score: Whether to score the training rows, too.
        keep_models: Whether to keep the folds' models, for :meth:`ensemble`.
        verbose: 0 shows nothing, 1 shows a line on standard error.
        estimator: Another name of ``build``.
        param_grid: Another name of ``space``.
        param_distributions: Another name of ``space``.

    The results also have scikit-learn's names, see :class:`~fastreg.search.found.scikit_learn.SearchNames`.

    Attributes:
        best_params_: The parameters of the best trial, which has the largest budget, a score in every fold and the best
            mean.
        best_score_: Its mean score, in the metric's own direction.
        best_trial_: The best :class:`~fastreg.search.Trial`.
        best_model_: The model that is trained on all rows. With ``preprocess``, its input is the result of
            ``best_preprocess_.transform``, and it knows the names of that, if there are any; :meth:`predict` does both
            steps.
        best_preprocess_: The transformers fitted on all rows, or None.
        results_: Columns by scikit-learn's names, with a row for each trial in the order of proposal.
        trials_: The trials, with the histories of their folds.
        failures_: The trials that failed or diverged, with their tracebacks, and those whose metric is not defined.
        n_trials_: The number of trials.
        n_splits_: The number of folds of each trial.
        metric_: The metric by which trials are ranked.
        direction_: ``"max"`` or ``"min"``.
        seed_: The seed.
        seconds_: The time that the search took, including the refit.
        stopped_by_: ``"trials"``, ``"space"``, ``"time"``, ``"target"``, ``"failures"`` or ``"interrupt"`` (Ctrl-C).
    """

    best_params_: dict[str, Any]
    best_score_: float
    best_trial_: Trial
    best_model_: ModelT
    best_estimator_: ModelT
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
    # The results of the last fit.
    _fitted: FittedSearch[ModelT] | None = None
    # Whether the warning about the spreads of the features has already been given.
    _spreads_known = False

    @refuses_unknown_arguments
    def __init__(
        self,
        build: Build[ModelT] = GIVEN,
        space: Any = GIVEN,
        *,
        n_trials: int | None = None,
        cv: Any = 5,
        scoring: Any = None,
        refit: Any = True,
        n_jobs: int | None = -1,
        executor: Any = None,
        pruner: Any = None,
        early_stopping_on: str = "inner",
        preprocess: Any = None,
        constraint: Any = None,
        seed: int | None = None,
        journal: FilePath | None = None,
        resume: bool = False,
        time_limit: float | None = None,
        target_score: float | None = None,
        max_failures: int | None = None,
        error_score: float | str = math.nan,
        initial: Sequence[Mapping[str, Any]] | None = None,
        return_train_score: bool = False,
        keep_models: bool = False,
        verbose: int = 1,
        estimator: Any = GIVEN,
        param_grid: Any = GIVEN,
        param_distributions: Any = GIVEN,
    ) -> None:
        self.build = one_of(self, build=build, estimator=estimator)
        self.space = one_of(self, space=space, param_grid=param_grid, param_distributions=param_distributions)
        self.n_trials = n_trials
        self.cv = cv
        self.scoring = scoring
        self.refit = refit
        self.n_jobs = n_jobs
        self.executor = executor
        self.pruner = pruner
        self.early_stopping_on = early_stopping_on
        self.preprocess = preprocess
        self.constraint = constraint
        self.seed = seed
        self.journal = journal
        self.resume = resume
        self.time_limit = time_limit
        self.target_score = target_score
        self.max_failures = max_failures
        self.error_score = error_score
        self.initial = initial
        self.return_train_score = return_train_score
        self.keep_models = keep_models
        self.verbose = verbose

    if not TYPE_CHECKING:  # otherwise a type checker would allow every attribute

        def __setattr__(self, name: str, value: Any) -> None:
            if name not in self.__dict__ and not self._takes(name):
                raise self._refuse(name)
            if name in FITTED and self._fitted is not None:
                setattr(self._fitted, name, value)
            else:
                object.__setattr__(self, name, value)

        def __delattr__(self, name: str) -> None:
            if name in FITTED and self._fitted is not None:
                delattr(self._fitted, name)
            else:
                object.__delattr__(self, name)

    def __sklearn_tags__(self) -> Any:
        # scikit-learn's own tools ask for it, so that it is there to be imported.
        from sklearn.utils import Tags, TargetTags, get_tags

        if hasattr(self.build, "__sklearn_tags__"):
            return get_tags(self.build)
        return Tags(estimator_type=None, target_tags=TargetTags(required=True))

    # The search.

    @wants_targets
    def fit(self: _S, X: Any, y: Any, groups: Any = None, **fit_arguments: Any) -> _S:
        """Searches.

        Args:
            X: Features, (rows, features).
            y: Targets.
            groups: Group of each row, for splitters that want it.
            **fit_arguments: For the models' ``fit``: ``epochs``, ``batch_size``, ``callbacks``, ``sample_weight``...
                Each fold gets copies of the callbacks, made at once, so that they refer to each other as before.
                ``callbacks`` may be a function that makes them for a fold: it is given an object with ``trial``,
                ``fold`` (None for the fit on all rows) and ``params``, and is called once before the first trial, too.
                A ``BackupAndRestore`` is taken only from such a function. Folds show nothing; ``verbose``, 0 unless it
                is given, is that of the best model's fit on all rows.

        Returns:
            Itself. Ctrl-C ends it early with the best so far, and without a refit; a second one raises.

        Raises:
            ValueError: If an argument is out of range or a name unknown, before the first trial; if the journal exists
                and ``resume`` is not set, or is of another search or other models.
            TypeError: If an argument is of the wrong kind, or ``build`` returns one model again.
            RuntimeError: If no trial has a score; the message has the first traceback.
        """
        started = time.monotonic()
        self._forget()
        options = self._options()
        plan = planning.prepare(options, X, y, groups, fit_arguments)
        context, limit = plan.context, options.time_limit
        deadline = None if limit is None else Deadline(limit - (time.monotonic() - started))
        with ExitStack() as stack:
            journal, older = None, []
            if options.journal is not None:
                agrees: dict[str, Any] = {"widens": plan.space.widens, "replays": plan.replays}
                agrees["check"] = partial(planning.check_models, plan, options.journal)
                journal = Journal(options.journal, plan.header(X, y), resume=options.resume, **agrees)
                stack.enter_context(journal)
                if journal.first_number:
                    older = planning.take_evidence(plan, journal, options.n_trials)
            runner = stack.enter_context(make_runner(context, options.workers, options.executor))
            live = LiveLine(options.verbose, plan.total(options.n_trials))
            run = Run(
                plan.schedule,
                runner,
                directions=context.scorers.directions,
                n_folds=len(context.folds),
                epochs=context.epochs,
                journal=journal,
                live=live,
                limits=SearchLimits(deadline, options.target_score, *options.failures),
                keep_models=options.keep_models,
                older=older,
            )
            stopped_by = run.go()
        live.finish(f"ended by: {stopped_by}")
        if options.error_score == "raise":
            run.raise_first_failure()
        seconds = time.monotonic() - started
        known = planning.known_of(context, X)
        found = FittedSearch[ModelT](context, plan.space, plan.seed, run.trials, run.models, stopped_by, seconds, known)
        self._fitted = found
        found.require_score()
        warn_of_gaps(found.trials_, context.scorers.names)
        if callable(options.refit):
            found.choose(options.refit)
        if options.refit:
            found.refit_unless_interrupted()
        found.seconds_ = time.monotonic() - started
        return self

    def _options(self) -> SearchOptions:
        shared = {name: getattr(self, name) for name in parameters_of(Search)}
        return SearchOptions(**shared, make_strategy=self._strategy, spreads_known=self._spreads_known)

    def _forget(self) -> None:
        """Drops what an earlier fit found."""
        for name in ("_fitted", *FITTED):
            self.__dict__.pop(name, None)

    # What was found.

    def _found(self, name: str) -> FittedSearch[ModelT]:
        if self._fitted is None:
            raise AttributeError(f"{name}: this {type(self).__name__} was not fitted yet; call fit first")
        return self._fitted

    if not TYPE_CHECKING:  # otherwise a type checker would allow every attribute

        def __getattr__(self, name: str) -> Any:
            # Only called for what is not there.
            if name in FITTED or name in OF_ESTIMATOR:
                return getattr(self._found(name), name)
            text = f"{type(self).__name__!r} object has no attribute {name!r}"
            if not name.startswith("_"):
                from fastreg.internal.absent import instead  # needed for errors only

                text += instead("search's member", name)
            raise AttributeError(text, name=name)

    def __sklearn_is_fitted__(self) -> bool:
        return self._fitted is not None

    def __getstate__(self) -> dict[str, Any]:
        # Executors hold threads or processes.
        return self.__dict__ | {"executor": self.executor if isinstance(self.executor, str) else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "trials_" in state:
            state = dict(state)
            state["_fitted"] = FittedSearch.from_older_pickle(state)
        self.__dict__.update({"error_score": math.nan, "initial": None} | state)  # older pickles have neither

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
        return self._found("trials_").refit_best()

    def best_models(self, k: int) -> list[ModelT]:
        """The models of the ``k`` best trials, the best one first, each trained on all rows as ``best_model_`` is.

        Only trials with the largest budget and a score in every fold count; there may be fewer than ``k``. With
        ``preprocess``, the input of each is the result of ``best_preprocess_.transform``.

        Args:
            k: The number of models, >= 1.

        Raises:
            ValueError: If ``k`` is out of range, or the search came from a pickle, which has no data.
            RuntimeError: If a training fails; the message has its traceback.
        """
        return self._found("trials_").best_models(k)

    def predict(self, X: Any) -> NDArray[Any]:
        """Predictions of the best model for rows of features, which ``best_preprocess_`` transforms if it exists."""
        return self._found("best_model_").predict(X)

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """The best estimator's probabilities; those of a network are its :meth:`predict`, logits as probabilities.

        Raises:
            ValueError: If the loss of the network does not treat targets as classes.
        """
        return self._found("best_model_").predict_proba(X)

    @wants_targets
    def score(self, X: Any, y: Any) -> float:
        """The primary metric of the best model on some rows, in its own direction."""
        return self._found("metric_").score(X, y)

    @wants_targets
    def scores(self, X: Any, y: Any) -> dict[str, float]:
        """All metrics of the best model on some rows."""
        return self._found("best_preprocess_").scores(X, y)

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
        return self._found("trials_").summary()

    def plot(self, kind: str = "history", path: FilePath | None = None, **options: Any) -> Any:
        """A picture of the search, as :func:`fastreg.search.found.plots.plot` draws it. Needs matplotlib."""
        return self._found("trials_").plot(kind, path, **options)

    def report(
        self, path: FilePath, title: str | None = None, notes: Mapping[str, str] | None = None
    ) -> None:
        """Writes one HTML page with the table and the pictures; see :func:`fastreg.search.found.report.write`."""
        self._found("trials_").report(path, title, notes)

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
        return self._found("trials_").ensemble(k, candidates, self._options().workers, self.executor)

    def _strategy(self) -> Strategy:
        """Proposes the trials; a subclass says which."""
        raise NotImplementedError
