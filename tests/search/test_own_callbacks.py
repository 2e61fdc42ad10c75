"""Callbacks of a search's folds: lists of them, references between them, and what they may do to the training."""

import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks, layers, optimizers
from fastreg.search import ASHA, GridSearch, Hyperband, LogUniform, MedianPruner, RandomSearch, SuccessiveHalving
from fastreg.search.folds.dry_run import make_context
from fastreg.search.folds.evaluation import Task, evaluate
from fastreg.search.pruners.trial_schedule import Thresholds
from search_folds import ok, same

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4)).astype(np.float32)
Y = np.sin(2 * X[:, 0]) + X[:, 1]
PRUNERS = [None, SuccessiveHalving(), Hyperband(), ASHA(), MedianPruner(1, 1)]


def build(params):
    model = fr.Sequential([layers.Dense(8, "relu"), layers.Dense(1)])
    model.compile(optimizers.Adam(params.get("rate", 0.05)), "mse")
    return model


def searched(items, pruner=None, **options):
    search = RandomSearch(build, {"rate": LogUniform(1e-3, 1e-1)}, n_trials=6, cv=2, seed=1, verbose=0, n_jobs=1,
                          refit=False, pruner=pruner, **options)
    return search.fit(X, Y, epochs=9, batch_size=16, callbacks=items)


def found(search):
    return [(trial.state, trial.scores, trial.histories, trial.best_epoch) for trial in search.trials_]


@pytest.mark.parametrize("pruner", PRUNERS, ids=lambda pruner: type(pruner).__name__)
def test_a_list_of_callbacks_counts_as_its_callbacks(pruner):
    items = [callbacks.ReduceLROnPlateau("val_loss", patience=0), callbacks.EarlyStopping("val_loss", patience=1)]
    expected = found(searched(items, pruner))
    several = callbacks.CallbackList(items)
    for given in (several, [several], [items[0], callbacks.CallbackList([callbacks.CallbackList(items[1:])])],
                  lambda fold: several, lambda fold: [several]):
        assert found(searched(given, pruner)) == expected


def test_a_journal_sees_into_a_list_of_callbacks(tmp_path):
    def go(of_build, patience, wrap):
        item = wrap([callbacks.EarlyStopping("loss", patience=patience)])

        def made(params):
            return (build(params), {"callbacks": item}) if of_build else build(params)

        search = GridSearch(made, {"rate": [0.01]}, cv=2, seed=0, verbose=0, refit=False, resume=True,
                            journal=tmp_path / f"{of_build}")
        return search.fit(X, Y, epochs=2, **({} if of_build else {"callbacks": item}))

    for of_build in (False, True):
        for wrap in (list, callbacks.CallbackList, lambda items: [callbacks.CallbackList(items)]):
            go(of_build, 3, wrap)
            with pytest.raises(ValueError, match=r"what differs: fit|with other arguments of fit"):
                go(of_build, 4, wrap)


class Follows(callbacks.Callback):
    """Notes what another callback of the list has found."""

    seen: list = []  # noqa: RUF012

    def __init__(self, other):
        self.other = other

    def on_train_end(self, logs=None):
        self.seen.append((self.other.best_epoch, self.other.stopped_epoch))


@pytest.mark.parametrize("pruner", [None, SuccessiveHalving()], ids=["none", "halving"])
def test_a_callback_that_refers_to_another_one_gets_its_copy(pruner, monkeypatch):
    monkeypatch.setattr(Follows, "seen", [])
    stopping = callbacks.EarlyStopping("loss", patience=0, min_delta=1e9)
    searched([stopping, Follows(stopping)], pruner)
    assert stopping.stopped_epoch == 0, "the callback itself is not used"
    assert {ended for _, ended in Follows.seen} == ({1} if pruner is None else {0, 1})


class EndsAfter(callbacks.Callback):
    def __init__(self, epochs, hook):
        self.epochs = epochs
        setattr(self, hook, self.end)
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def end(self, number, logs=None):
        if self.epoch + 1 == self.epochs:
            self.model.stop_training = True


@pytest.mark.parametrize("hook", ["on_epoch_end", "on_train_batch_end"])
@pytest.mark.parametrize("epochs", range(1, 10))
def test_a_callback_ends_the_training_wherever_budgets_end(epochs, hook):
    fit = {"epochs": 9, "batch_size": 80, "callbacks": [EndsAfter(epochs, hook)]}
    c = make_context(build, [{}], X, Y, cv=3, seed=1, fit_arguments=fit)
    whole = ok(evaluate(c, Task(3, 1, {}, keep_model=True)))
    assert whole.epochs == epochs
    model, start = None, 0
    for stop in (1, 3, 4, 9):
        result = ok(evaluate(c, Task(3, 1, {}, start, stop, model, keep_model=True)))
        model, start = result.model, stop
        assert result.epochs == min(epochs, stop)
    assert result.scores == whole.scores
    assert same(result.model.get_weights(), whole.model.get_weights())


class Hides(callbacks.Callback):
    """Leaves nothing of the value that a search compares."""

    def __init__(self, value):
        self.value = value

    def on_epoch_end(self, epoch, logs=None):
        logs["val_loss"] = self.value
        if self.value is None:
            del logs["val_loss"]


@pytest.mark.parametrize("value", [None, -1.0, float("nan"), "text"])
def test_the_median_rule_compares_what_was_measured(value):
    fit = {"epochs": 4, "batch_size": 16}
    curves = []
    for items in ([], [Hides(value)]):
        c = make_context(build, [{}], X, Y, cv=3, seed=1, fit_arguments={**fit, "callbacks": items})
        curves.append(ok(evaluate(c, Task(3, 1, {}, thresholds=Thresholds(((), (), ()))))).curve)
    assert curves[0] == curves[1]
    assert np.isfinite(curves[0]).all()


def test_folds_do_not_share_a_backup(tmp_path):
    backup = callbacks.BackupAndRestore(tmp_path / "all")
    message = "callbacks of a search must not have a BackupAndRestore, whose one folder all folds would use"
    for given in (backup, [backup], callbacks.CallbackList([backup])):
        with pytest.raises(ValueError, match=message):
            searched(given)
    with pytest.raises(ValueError, match=message):
        GridSearch(lambda params: (build(params), {"callbacks": [backup]}), {"rate": [0.1]}, cv=2, verbose=0).fit(X, Y)
    own = searched(lambda fold: [callbacks.BackupAndRestore(tmp_path / f"{fold.trial}-{fold.fold}")])
    assert found(own) == found(searched([]))


@pytest.mark.parametrize("how", [
    {"validation_steps": 1}, {"validation_steps": 1, "validation_split": 0.2, "validation_batch_size": 4},
    {"validation_freq": [2, 3], "validation_data": (X[:10], Y[:10])},
], ids=str)  # fmt: skip
def test_the_refit_has_no_validation_and_needs_none(how):
    search = RandomSearch(build, {"rate": LogUniform(1e-3, 1e-1)}, n_trials=2, cv=2, seed=1, verbose=0)
    search.fit(X, Y, epochs=3, batch_size=16, callbacks=[callbacks.EarlyStopping("val_loss", patience=99)], **how)
    assert list(search.best_model_.history.history) == ["loss"]
