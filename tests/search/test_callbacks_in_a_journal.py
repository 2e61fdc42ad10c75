"""A resumed search notices other settings of callbacks, given to fit or returned by build, and of transformers."""

import copy
import os
import subprocess
import sys

import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks
from fastreg.search import GridSearch
from programs import HELPERS
from searches import two_classes

X, Y = two_classes()


class Falls(callbacks.Callback):
    """Lowers the rate after each epoch. Has no text of its own."""

    def __init__(self, factor=0.5, **more):
        self.factor, self._ended = factor, 0
        vars(self).update(more)

    def on_epoch_end(self, epoch, logs=None):
        self.model.learning_rate *= self.factor


class Rises(Falls):
    """Another class with the same attributes."""


class Named(Falls):
    """Has a text, which is trusted."""

    def __repr__(self):
        return f"Named({self.factor})"


class Stops(callbacks.EarlyStopping):
    """Early stopping whose text is that of the base class."""

    def __init__(self, share=0.5, **settings):
        super().__init__(**settings)
        self.share = share


class Plateau(callbacks.ReduceLROnPlateau):
    def __init__(self, share=0.5, **settings):
        super().__init__(**settings)
        self.share = share


def first_rule(epoch, *more):
    return 0.1


def second_rule(epoch, *more):
    return 0.01


def build(params):
    model = fr.Sequential([fr.layers.Dense(3, "relu"), fr.layers.Dense(1, "sigmoid")])
    model.compile(fr.optimizers.Adam(params["lr"], use_ema=True), "binary_crossentropy", ["accuracy"])
    return model


def go(path, given, of_build, **options):
    def made(params):
        return build(params), {"callbacks": given} if of_build else {}

    fit = {} if of_build else {"callbacks": given}
    search = GridSearch(made, {"lr": [0.01, 0.1]}, cv=2, seed=0, verbose=0, refit=False, journal=path,
                        resume=True, **options)
    return search.fit(X, Y, epochs=2, **fit).cv_results_["mean_test_score"].tolist()


DIFFER = {
    "attribute": (Falls(0.5), Falls(0.25)),
    "class": (Falls(0.5), Rises(0.5)),
    "text": (Named(0.5), Named(0.25)),
    "list": (Falls(a=[1, 2]), Falls(a=[1, 3])),
    "array": (Falls(a=np.arange(3.0)), Falls(a=np.arange(3.0) + 1e-9)),
    "long array": (Falls(a=np.zeros(5000)), Falls(a=np.eye(1, 5000, 2500))),
    "set": (Falls(a={"a", "b"}), Falls(a={"a", "c"})),
    "callback in a callback": (Falls(a=Falls(0.1)), Falls(a=Falls(0.2))),
    "derived": (Stops(0.5), Stops(0.25)),
    "derived, setting of the base": (Stops(patience=1), Stops(patience=2)),
    "derived from plateau": (Plateau(0.5), Plateau(0.25)),
    "derived or not": (callbacks.EarlyStopping(), Stops()),
    "swap": (callbacks.SwapEMAWeights(True), callbacks.SwapEMAWeights(False)),
    "guard": (callbacks.TerminateOnNaN(True), callbacks.TerminateOnNaN(False)),
    "function": (callbacks.LearningRateScheduler(first_rule), callbacks.LearningRateScheduler(second_rule)),
    "functions": (callbacks.LambdaCallback(first_rule), callbacks.LambdaCallback(second_rule)),
    "hooks": (callbacks.LambdaCallback(first_rule), callbacks.LambdaCallback(None, first_rule)),
}


@pytest.mark.parametrize("of_build", [False, True], ids=["fit", "build"])
@pytest.mark.parametrize("pair", DIFFER)
def test_other_settings_are_noticed(pair, of_build, tmp_path):
    first, second = DIFFER[pair]
    before = go(tmp_path / "j", [first], of_build)
    assert go(tmp_path / "j", [copy.deepcopy(first)], of_build) == before
    written = (tmp_path / "j").read_bytes()
    where = "arguments of fit" if of_build else "another search; what differs: fit"
    with pytest.raises(ValueError, match=where) as told:
        go(tmp_path / "j", [second], of_build)
    assert of_build or "callbacks" in str(told.value)
    assert (tmp_path / "j").read_bytes() == written


ALIKE = {
    "private": (Falls(_a=1), Falls(_a=2)),
    "text": (Named(0.5, a=1), Named(0.5, a=2)),
    "set": (Falls(a={"a", "b", "c"}), Falls(a={"c", "b", "a"})),
    "verbose": (Stops(verbose=1), Stops()),
    "number of numpy": (Falls(a=np.float64(0.5)), Falls(a=0.5)),
    "file": (callbacks.CSVLogger("a.csv"), callbacks.CSVLogger("b.csv")),
}


@pytest.mark.parametrize("of_build", [False, True], ids=["fit", "build"])
@pytest.mark.parametrize("pair", ALIKE)
def test_what_does_not_count_is_taken_up(pair, of_build, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = ALIKE[pair]
    before = go(tmp_path / "j", [first], of_build)
    assert go(tmp_path / "j", [second], of_build) == before


def test_a_single_callback_is_noticed_as_a_list_is(tmp_path):
    before = go(tmp_path / "j", Falls(0.5), False)
    assert go(tmp_path / "j", Falls(0.5), False) == before
    with pytest.raises(ValueError, match="what differs: fit"):
        go(tmp_path / "j", Falls(0.25), False)


def test_a_callback_that_was_used_before_is_taken_up(tmp_path):
    one = Stops(patience=1)
    before = go(tmp_path / "j", [one], False)
    build({"lr": 0.01}).fit(X, Y, epochs=3, validation_split=0.2, verbose=0, callbacks=[one])
    assert one.best is not None
    assert go(tmp_path / "j", [one], False) == before


def test_another_process_writes_the_same(tmp_path):
    program = f"""
import sys; sys.path[:0] = [{str(HELPERS)!r}, {os.path.dirname(__file__)!r}]
import test_callbacks_in_a_journal as t
t.go(sys.argv[1], [t.Falls(0.5, a={{"a", "b", "c"}}, b=[t.Rises()]), t.Stops(0.25)], False)
"""
    for hash_seed in "123":
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", program, tmp_path / "j"], capture_output=True, text=True,
                              check=False, env=environment)
        assert done.returncode == 0, done.stderr
    assert len((tmp_path / "j").read_text().splitlines()) == 1 + 2 * 2


@pytest.mark.parametrize(("callback", "text"), [
    (callbacks.LearningRateScheduler(len), "LearningRateScheduler(<built-in function len>)"),
    (callbacks.LambdaCallback(on_epoch_end=max), "LambdaCallback(on_epoch_end=<built-in function max>)"),
    (callbacks.SwapEMAWeights(True), "SwapEMAWeights(swap_on_epoch=True)"),
    (callbacks.TerminateOnNaN(), "TerminateOnNaN(raise_error=False)"),
])  # fmt: skip
def test_texts_of_callbacks_have_their_settings(callback, text):
    assert repr(callback) == text


class Scales:
    """A transformer without a text of its own."""

    def __init__(self, factor, **more):
        self.factor, self._private, self.fitted_ = factor, more, None

    def fit(self, x, y=None):
        self.fitted_ = True
        return self

    def transform(self, x):
        return np.asarray(x) * self.factor


class HasParams(Scales):
    def get_params(self, deep=True):
        return {"factor": self.factor}

    def set_params(self, **params):
        vars(self).update(params)
        return self


@pytest.mark.parametrize("kind", [Scales, HasParams])
def test_transformers_without_a_text_count_by_their_settings(kind, tmp_path):
    before = go(tmp_path / "j", [], False, preprocess=kind(2.0))
    assert go(tmp_path / "j", [], False, preprocess=[kind(2.0, aside=1)]) == before
    with pytest.raises(ValueError, match=r"what differs: preprocess .*settings"):
        go(tmp_path / "j", [], False, preprocess=kind(3.0))
