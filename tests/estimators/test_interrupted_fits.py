"""An interrupt ends a fit with a warning, also one of several networks: what was trained by then is the result."""

import numpy as np
import pytest
from fastreg.sklearn import MLPClassifier, MLPRegressor
from scipy import sparse
from sklearn.base import clone

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(60, 3))
VALUES = X @ [1.0, -2.0, 0.5]
QUICK = {"hidden_layer_sizes": 5, "max_iter": 6, "random_state": 0, "learning_rate_init": 0.05, "tol": 0.0}
KINDS = [MLPClassifier, MLPRegressor]


def targets(kind):
    return VALUES if kind is MLPRegressor else np.where(VALUES > 0, "high", "low")


def outputs(estimator):
    return estimator.predict(X) if isinstance(estimator, MLPRegressor) else estimator.predict_proba(X)[:, 1]


def interrupt_in(monkeypatch, epoch):
    """Raises KeyboardInterrupt once, when the epoch of this number of all networks ends, counted from 1."""
    from fastreg.sklearn.training import Watch

    usual, ended = Watch.epoch_ended, []

    def epoch_ended(self, loss):
        ended.append(loss)
        if len(ended) == epoch:
            raise KeyboardInterrupt
        return usual(self, loss)

    monkeypatch.setattr(Watch, "epoch_ended", epoch_ended)
    return ended


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("epoch", "trained"), [(1, 1), (4, 1), (7, 1), (9, 2), (13, 2), (18, 3)])
def test_an_interrupt_ends_the_fit_of_several_networks(kind, epoch, trained, form, monkeypatch):
    """The networks after the interrupted one were trained to their last epoch, one interrupt after the other."""
    x, whole = form(X), kind(**QUICK, n_models=3).fit(form(X), targets(kind))
    ended = interrupt_in(monkeypatch, epoch)
    fitted = kind(**QUICK, n_models=3)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        fitted.fit(x, targets(kind))
    assert len(ended) == epoch
    assert len(fitted.models_) == trained
    assert fitted.n_iter_ == min(epoch - 1, 6)
    done = (epoch - 1) // 6
    for ours, theirs in zip(fitted.models_[:done], whole.models_[:done], strict=True):
        np.testing.assert_array_equal(ours.get_weights()[0], theirs.get_weights()[0])
    each = [model.predict(X.astype(np.float32))[:, 0] for model in fitted.models_]
    np.testing.assert_allclose(outputs(fitted), np.mean(each, axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fitted.freeze()(X.astype(np.float32))[:, 0], outputs(fitted), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_warm_start_keeps_all_networks(kind, monkeypatch):
    fitted = kind(**QUICK, n_models=3, warm_start=True).fit(X, targets(kind))
    before = [model.get_weights()[0] for model in fitted.models_]
    interrupt_in(monkeypatch, 8)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        fitted.fit(X, targets(kind))
    after = [model.get_weights()[0] for model in fitted.models_]
    changed = [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    assert changed == [True, True, False]


def test_networks_that_an_interrupt_left_out_are_missed_by_a_warm_start(monkeypatch):
    fitted = MLPRegressor(**QUICK, n_models=3, warm_start=True)
    with monkeypatch.context() as patched:
        interrupt_in(patched, 9)
        with pytest.warns(UserWarning, match="interrupted"):
            fitted.fit(X, VALUES)
    with pytest.raises(ValueError, match=r"^MLPRegressor: n_models must stay 2, got 3"):
        fitted.fit(X, VALUES)
    assert len(clone(fitted).fit(X, VALUES).models_) == 3
