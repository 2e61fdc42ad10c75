"""The face of a search: ``GridSearch``, ``RandomSearch``, ``QuasiRandomSearch``, ``BayesianSearch``.

They differ in the strategy alone. ``plan.py`` checks the arguments, ``run.py`` runs, ``found.py`` holds what was found;
this file has the arguments and puts the parts together.
"""

from __future__ import annotations

import inspect
import time
from contextlib import ExitStack
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from fastreg.internal.checks import check_choice, did_you_mean
from fastreg.internal.whole_files import FilePath
from fastreg.search import plan as planning
from fastreg.search.found.fitted import Found
from fastreg.search.journal import Journal
from fastreg.search.live import LiveLine
from fastreg.search.options import ModelT
from fastreg.search.pruners.pruning import Schedule
from fastreg.search.run import Limits, Run
from fastreg.search.space.tree import text_of
from fastreg.search.strategy.strategies import Grid, QuasiRandom, Random, Strategy
from fastreg.search.workers.executors import make_runner

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from fastreg.search.options import Build, Options

__all__ = ["BayesianSearch", "GridSearch", "QuasiRandomSearch", "RandomSearch", "Search"]

# Characters of an argument in repr().
_LONGEST_SHOWN = 100

_S = TypeVar("_S", bound="Search[Any]")


class Search(Found[ModelT]):
    """What the four searches share; :class:`RandomSearch` is one to begin with.

    Args:
        build: ``build(params)`` that returns a compiled ``Sequential``, or ``(model, fit_arguments)``; or an estimator
            with ``fit`` and ``set_params``. A function must make a new model at every call; models and estimators
            among the parameters are copied for each. A model made without a seed gets one from (search seed, trial,
            fold).
        space: Name to distribution, list (its items) or constant; or a list of such dicts; or a
            :class:`~fastreg.search.Space`.
        n_trials: Most trials, >= 1; None: until the space, ``time_limit`` or ``target_score`` ends the search.
        cv: Number of folds (shuffled by the seed, stratified where the loss or the classifier takes targets for
            classes), a splitter of :mod:`fastreg.search.folds.cross_validation` or scikit-learn, or a list of
            (training rows, scored rows).
        scoring: Name of a metric, a scorer of scikit-learn, a callable, or several; None: the model's own. Directions
            are known, nothing is negated. Trials are ranked by the first, or by the one that ``refit`` names.
        refit: True: train the best parameters on all rows, for the median of the folds' best epochs. A metric's name:
            so, by that metric. False: do not.
        n_jobs: Trials and folds at a time; -1 is all processors. One thread budget is divided among them.
        executor: None or ``"threads"``; ``"processes"``; any ``concurrent.futures.Executor``; a Dask client's; a
            :class:`~fastreg.search.RayExecutor`.
        pruner: None trains every trial to the end; see :class:`~fastreg.search.MedianPruner`,
            :class:`~fastreg.search.SuccessiveHalving`, :class:`~fastreg.search.Hyperband`,
            :class:`~fastreg.search.ASHA`.
        early_stopping_on: Rows that callbacks which monitor ``val_...`` watch: ``"inner"``, a part of a fold's training
            rows; or ``"fold"``, the scored ones, which makes scores too good.
        preprocess: ``"standard"``, a transformer or a list of them, fitted on the training rows of each fold.
        constraint: ``constraint(params)`` that says which points may be proposed.
        seed: In [0, 2**64): decides folds, proposals and the models' seeds. None draws one (:attr:`seed_`), or takes
            that of the journal that is resumed.
        journal: Path of a file that gets a line for every finished fold, with a fingerprint of its model; None writes
            nothing. Options of the space must differ in their texts, as two lambdas do not.
        resume: Go on from the journal, if there is one, with a ``build`` that gives the same models. Its space may be
            narrower; its trials then count as evidence. Another ``build`` is refused, but not one that only trains its
            models otherwise before it returns them: begin a new journal then.
        time_limit: Seconds, > 0, after which running fits end; what they did is dropped. The refit comes on top.
        target_score: Mean score of a trial that ends the search at once.
        max_failures: Failed trials that are put up with; one more ends the search. None: any number.
        return_train_score: Score the training rows too.
        keep_models: Keep the folds' models, for :meth:`ensemble`.
        verbose: 0 shows nothing, 1 a line on standard error.

    Attributes:
        best_params_: Of the best trial. It has the largest budget, a score in every fold and the best mean.
        best_score_: Its mean score, in the metric's own direction.
        best_trial_: The :class:`~fastreg.search.Trial`.
        best_model_: Trained on all rows. Where there is ``preprocess``, it takes what ``best_preprocess_.transform``
            gives, not the table as it was; :meth:`predict` does both. If that has names, it knows them.
        best_preprocess_: The transformers fitted on all rows, or None.
        results_: Columns by name, as scikit-learn calls them, a row for each trial in the order of proposal.
        trials_: The trials, with the histories of their folds.
        failures_: Those that failed or diverged, with their tracebacks.
        n_trials_: How many there are.
        n_splits_: Folds of each.
        metric_: The metric that decides.
        direction_: ``"max"`` or ``"min"``.
        seed_: The seed.
        seconds_: That the search took, refit included.
        stopped_by_: ``"trials"``, ``"space"``, ``"time"``, ``"target"``, ``"failures"`` or ``"interrupt"`` (Ctrl-C).
    """

    # Whether a warning about the spreads of the features would be the second of its kind.
    _spreads_known = False

    def __init__(
        self,
        build: Build[ModelT],
        space: Any,
        *,
        n_trials: int | None = None,
        cv: Any = 5,
        scoring: Any = None,
        refit: bool | str = True,
        n_jobs: int = -1,
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
        return_train_score: bool = False,
        keep_models: bool = False,
        verbose: int = 1,
    ) -> None:
        self.build = build
        self.space = space
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
        self.return_train_score = return_train_score
        self.keep_models = keep_models
        self.verbose = verbose

    # Parameters, as scikit-learn's tools expect them.

    @classmethod
    def _names(cls) -> list[str]:
        return list(_parameters_of(cast(Any, cls)))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments that the search was made with."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self: _S, **params: Any) -> _S:
        """Changes arguments; what was found stays until the next ``fit``.

        Raises:
            ValueError: If there is no such argument.
        """
        for name, value in params.items():
            if name not in self._names():
                known = ", ".join(self._names())
                hint = did_you_mean(name, self._names())
                raise ValueError(f"{type(self).__name__}: unknown argument {name!r}; known: {known}{hint}")
            setattr(self, name, value)
        return self

    if not TYPE_CHECKING:  # a checker of types goes on to know which attributes there are

        def __setattr__(self, name: str, value: Any) -> None:
            if name not in self.__dict__ and not self._takes(name):
                known, hint = ", ".join(self._names()), did_you_mean(name, self._names())
                raise AttributeError(f"{type(self).__name__}: {name} cannot be set{hint}; what can be: {known}")
            object.__setattr__(self, name, value)

    def _takes(self, name: str) -> bool:
        """Whether setting the attribute may have an effect: those that end in an underscore are results."""
        own = not type(self).__module__.startswith("fastreg.")
        return name.startswith("_") or name.endswith("_") or own or name in self._names() or hasattr(type(self), name)

    def __repr__(self) -> str:
        parameters = inspect.signature(type(self)).parameters
        given = {name: getattr(self, name) for name in self._names()}
        shown = [_shown(given.pop("build")), _shown(given.pop("space"))]
        for name, value in given.items():
            default = parameters[name].default
            if value is not default and not (type(value) is type(default) and value == default):
                shown.append(f"{name}={_shown(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def __sklearn_tags__(self) -> Any:
        # scikit-learn's own tools ask for it, so that it is there to be imported.
        from sklearn.utils import Tags, TargetTags, get_tags

        if hasattr(self.build, "__sklearn_tags__"):
            return get_tags(self.build)
        return Tags(estimator_type=None, target_tags=TargetTags(required=True))

    # The search.

    def fit(self: _S, X: Any, y: Any, groups: Any = None, **fit_arguments: Any) -> _S:
        """Searches.

        Args:
            X: Features, (rows, features).
            y: Targets.
            groups: Group of each row, for splitters that want it.
            **fit_arguments: For the models' ``fit``: ``epochs``, ``batch_size``, ``callbacks``, ``sample_weight``...
                Folds show nothing; ``verbose``, 0 unless it is given, is that of the best model's fit on all rows.

        Returns:
            Itself. Ctrl-C ends it early with the best so far, and without a refit; a second one raises.

        Raises:
            ValueError: If an argument is out of range or a name unknown, before the first trial; if the journal exists
                and ``resume`` is not set, or is of another search or other models.
            TypeError: If an argument is of the wrong kind, or ``build`` returns one model again.
            RuntimeError: If no trial has a score; the message has the first traceback.
        """
        started, now = time.monotonic(), time.time()
        self._forget()
        plan = planning.prepare(self, X, y, groups, fit_arguments)
        context = plan.context
        limits = Limits(
            None if self.time_limit is None else now + self.time_limit, self.target_score, self.max_failures
        )
        with ExitStack() as stack:
            journal, older = None, []
            if self.journal is not None:
                agrees: dict[str, Any] = {"widens": plan.space.widens, "replays": plan.replays}
                agrees["check"] = partial(planning.check_models, plan, self.journal)
                journal = Journal(self.journal, plan.header(X, y), resume=self.resume, **agrees)
                stack.enter_context(journal)
                if journal.first_number:
                    older = planning.take_evidence(plan, journal, self.n_trials)
            runner = stack.enter_context(make_runner(context, self.n_jobs, self.executor))
            live = LiveLine(self.verbose, plan.total(self.n_trials))
            run = Run(
                plan.schedule,
                runner,
                directions=context.scorers.directions,
                n_folds=len(context.folds),
                epochs=context.epochs,
                journal=journal,
                live=live,
                limits=limits,
                keep_models=self.keep_models,
                older=older,
            )
            stopped_by = run.go()
        live.finish(f"ended by: {stopped_by}")
        self._found(plan, run, stopped_by, time.monotonic() - started)
        if self.refit:
            self._refit_unless_interrupted()
        self.seconds_ = time.monotonic() - started
        return self

    def _strategy(self) -> Strategy:
        """Proposes the trials; a subclass says which."""
        raise NotImplementedError


@cache
def _parameters_of(cls: type[Search]) -> tuple[str, ...]:
    return tuple(name for name in inspect.signature(cls).parameters if name != "options")


def _shown(value: Any) -> str:
    """An argument in a line of text; a pruner by its arguments."""
    if isinstance(value, Schedule):
        described = value.describe()
        arguments = ", ".join(f"{name}={item!r}" for name, item in described.items() if name != "type")
        return f"{described['type']}({arguments})"
    text = text_of(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


def _complete_signature(cls: type[_S]) -> type[_S]:
    """Shows the arguments behind ``**options`` in the signature."""
    own = inspect.signature(cls.__init__).parameters
    all_of_them = dict(inspect.signature(Search.__init__).parameters) | own
    del all_of_them["options"], all_of_them["self"]
    order = {"build": 0, "space": 1}
    arranged = sorted(all_of_them.values(), key=lambda p: order.get(p.name, 2 + (p.name not in own)))
    cls.__signature__ = inspect.Signature(arranged)  # type: ignore[attr-defined]
    return cls


@_complete_signature
class GridSearch(Search[ModelT]):
    """Every point of a grid, in order.

    Args:
        build: As for :class:`Search`.
        space: Name to list of values; or a list of such grids. An :class:`~fastreg.search.Integer` counts as the list
            of its values; a continuous distribution is a ValueError.
        n_trials: As for :class:`Search`: the first so many points.
        **options: The other arguments of :class:`Search`.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> from fastreg.search import GridSearch
        >>> x = np.random.default_rng(0).normal(size=(120, 4))
        >>> y = x[:, 0] > 0
        >>> def build(params):
        ...     model = fr.Sequential([fr.layers.Dense(params["units"], "relu"), fr.layers.Dense(1, "sigmoid")])
        ...     model.compile(fr.optimizers.Adam(params["lr"]), "binary_crossentropy", ["accuracy"])
        ...     return model
        >>> search = GridSearch(build, {"lr": [1e-2, 1e-6], "units": [4, 8]}, cv=3, seed=0, verbose=0)
        >>> search.fit(x, y, epochs=20).best_params_["lr"]
        0.01
        >>> search.results_["mean_test_score"].shape
        (4,)
    """

    def __init__(
        self, build: Build[ModelT], space: Any, *, n_trials: int | None = None, **options: Unpack[Options]
    ) -> None:
        super().__init__(build, space, n_trials=n_trials, **options)

    def _strategy(self) -> Strategy:
        return Grid()


@_complete_signature
class RandomSearch(Search[ModelT]):
    """Points drawn at random. Trial t depends on the seed and t alone, so more trials go on where fewer ended.

    Args:
        build: As for :class:`Search`.
        space: As for :class:`Search`.
        n_trials: As for :class:`Search`.
        **options: The other arguments of :class:`Search`.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> from fastreg.search import Integer, LogUniform, RandomSearch
        >>> x = np.random.default_rng(0).normal(size=(120, 4))
        >>> y = x @ [1.0, -2.0, 0.0, 0.5]
        >>> def build(params):
        ...     model = fr.Sequential([fr.layers.Dense(params["units"], "relu"), fr.layers.Dense(1)])
        ...     model.compile(fr.optimizers.Adam(params["lr"]), "mse")
        ...     return model
        >>> space = {"lr": LogUniform(1e-3, 1e-1), "units": Integer(4, 32)}
        >>> search = RandomSearch(build, space, n_trials=8, cv=3, seed=0, verbose=0).fit(x, y, epochs=20)
        >>> search.metric_, search.direction_, search.best_score_ < 1
        ('loss', 'min', True)
        >>> search.predict(x).shape
        (120, 1)
    """

    def __init__(
        self, build: Build[ModelT], space: Any, *, n_trials: int | None = 64, **options: Unpack[Options]
    ) -> None:
        super().__init__(build, space, n_trials=n_trials, **options)

    def _strategy(self) -> Strategy:
        return Random()


@_complete_signature
class QuasiRandomSearch(Search[ModelT]):
    """Points of a sequence that covers the space more evenly than random ones do. Needs scipy.

    Args:
        build: As for :class:`Search`.
        space: As for :class:`Search`.
        n_trials: As for :class:`Search`; for Sobol's sequence best a power of 2.
        sequence: ``"sobol"`` or ``"halton"``, scrambled by the seed.
        **options: The other arguments of :class:`Search`.

    Example:
        >>> from fastreg.search import QuasiRandomSearch, Uniform
        >>> QuasiRandomSearch(len, {"dropout": Uniform(0, 0.5)}, n_trials=16).sequence
        'sobol'
    """

    def __init__(
        self,
        build: Build[ModelT],
        space: Any,
        *,
        n_trials: int | None = 64,
        sequence: str = "sobol",
        **options: Unpack[Options],
    ) -> None:
        super().__init__(build, space, n_trials=n_trials, **options)
        self.sequence = sequence

    def _strategy(self) -> Strategy:
        return QuasiRandom(check_choice("QuasiRandomSearch", "sequence", self.sequence, ("sobol", "halton")))


@_complete_signature
class BayesianSearch(Search[ModelT]):
    """Points that a model of the scores so far finds promising. Needs Optuna (extra ``bayesian``).

    Trial t is proposed from the trials up to t - 8 (the lag of the pruner, :class:`~fastreg.search.FullBudget` where
    there is none), so that the trials do not depend on the number of workers.

    Args:
        build: As for :class:`Search`.
        space: As for :class:`Search`.
        n_trials: As for :class:`Search`.
        sampler: ``"tpe"``, ``"gp"`` (which needs PyTorch too), ``"cmaes"``, or a function of a seed that returns one of
            Optuna's samplers.
        n_startup_trials: Random ones to begin with.
        **options: The other arguments of :class:`Search`.

    Example:
        >>> from fastreg.search import BayesianSearch, Uniform
        >>> BayesianSearch(len, {"dropout": Uniform(0, 0.5)}, n_trials=32).sampler
        'tpe'
    """

    def __init__(
        self,
        build: Build[ModelT],
        space: Any,
        *,
        n_trials: int | None = 64,
        sampler: Any = "tpe",
        n_startup_trials: int = 10,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(build, space, n_trials=n_trials, **options)
        self.sampler = sampler
        self.n_startup_trials = n_startup_trials

    def _strategy(self) -> Strategy:
        from fastreg.search.strategy.bayesian import Bayesian

        return Bayesian(self.sampler, n_startup_trials=self.n_startup_trials)
