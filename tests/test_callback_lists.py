"""Callbacks made of others and of functions: what no call would reach, or could not call, is refused."""

import functools
import types

import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks, layers, search
from programs import overfitting

HOOKS = ["on_epoch_end", "on_train_batch_end", "on_train_begin", "on_test_end", "on_predict_batch_end", "set_model",
         "set_params", "get_state", "set_state"]  # fmt: skip


class Counts(callbacks.CallbackList):
    """A list with an attribute and a method of its own, but no hook."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.note = "mine"

    def count(self):
        return len(self.callbacks)


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("on_instance", [False, True], ids=["class", "instance"])
def test_a_hook_of_a_derived_list_is_refused(hook, on_instance):
    """The callbacks in the list were called, and the hook was not."""

    def fails(self, *arguments):
        raise AssertionError("called")

    several = Counts([callbacks.TerminateOnNaN()])
    if on_instance:
        setattr(several, hook, types.MethodType(fails, several))
    else:
        several = type("Mine", (Counts,), {hook: fails})([callbacks.TerminateOnNaN()])
    net, x, y, _ = overfitting()
    net.fit(x, y, verbose=0)
    step = net._core.trainer.step
    name = type(several).__name__
    for given in (several, [several], callbacks.CallbackList([several])):
        for call in ("fit", "evaluate", "predict"):
            arguments = (x,) if call == "predict" else (x, y)
            with pytest.raises(TypeError, match=f"^{call}: {hook} of a {name} would never be called, .* a Callback"):
                getattr(net, call)(*arguments, verbose=0, callbacks=given)
    assert net._core.trainer.step == step


def test_a_derived_list_without_hooks_is_its_callbacks():
    seen = []
    note = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    net, x, y, _ = overfitting()
    several = Counts([note, callbacks.EarlyStopping("loss", min_delta=100)], add_history=True)
    assert net.fit(x, y, epochs=9, verbose=0, callbacks=several) is several.callbacks[2]
    assert seen == [0, 1]
    assert several.count() == 3


def test_a_search_refuses_it_as_well():
    class Mine(callbacks.CallbackList):
        def on_epoch_end(self, epoch, logs=None):
            raise AssertionError("called")

    def build(params):
        model = fr.Sequential([layers.Dense(params["units"]), layers.Dense(1)])
        model.compile("adam", "mse")
        return model

    x = np.arange(40, dtype=np.float32).reshape(20, 2)
    found = search.GridSearch(build, {"units": [2, 3]}, cv=2, verbose=0, seed=0)
    with pytest.raises(TypeError, match=r"on_epoch_end of a Mine would never be called"):
        found.fit(x, x[:, 0], epochs=1, callbacks=Mine([callbacks.TerminateOnNaN()]))


async def waits(epoch, logs):
    raise AssertionError("never called")


def yields(epoch, logs):
    yield epoch


async def waits_and_yields(epoch, logs):
    yield epoch


class Waits:
    async def __call__(self, epoch, logs):
        raise AssertionError("never called")


class Yields:
    def __call__(self, epoch, logs):
        yield epoch


@pytest.mark.parametrize(("hook", "function", "words"), [
    ("on_epoch_end", lambda: None, r"is called with \(epoch, logs\), which the function refuses: too many positional"),
    ("on_epoch_begin", lambda epoch: None, r"is called with \(epoch, logs\), which the function refuses: too many"),
    ("on_train_batch_end", lambda a, b, c: None, r"is called with \(batch, logs\), .* missing a required argument"),
    ("on_test_batch_begin", lambda *, logs: None, r"is called with \(batch, logs\), which the function refuses"),
    ("on_train_end", lambda epoch, logs: None, r"is called with \(logs\), .* missing a required argument: 'logs'"),
    ("on_predict_begin", lambda: None, r"is called with \(logs\), which the function refuses: too many"),
    ("on_epoch_end", waits, "must be a function that runs when it is called, got an async one"),
    ("on_epoch_end", yields, "must be a function that runs when it is called, got one with yield"),
    ("on_epoch_end", waits_and_yields, "must be a function that runs when it is called, got one with yield"),
    ("on_epoch_end", Waits(), "must be a function that runs when it is called, got an async one"),
    ("on_epoch_end", Yields(), "must be a function that runs when it is called, got one with yield"),
    ("on_epoch_end", functools.partial(yields), "must be a function that runs when it is called, got one with yield"),
])  # fmt: skip
def test_a_function_that_cannot_be_called_is_refused_at_once(hook, function, words):
    """It failed within the first run, or did nothing at all."""
    with pytest.raises(TypeError, match=f"^LambdaCallback: {hook} {words}"):
        callbacks.LambdaCallback(**{hook: function})


def test_functions_of_every_form_that_take_the_arguments_are_called():
    seen = []

    class Notes:
        def __call__(self, epoch, logs, more=None):
            seen.append(("object", epoch))

        def method(self, epoch, logs=None):
            seen.append(("method", epoch))

    @functools.wraps(lambda epoch: None)  # what it wraps takes less
    def adapted(epoch, logs):
        seen.append(("adapted", epoch))

    forms = [Notes(), Notes().method, lambda *given: seen.append(("stars", given[0])), print,
             functools.partial(lambda name, epoch, logs: seen.append((name, epoch)), "partial"),
             adapted]  # fmt: skip
    net, x, y, _ = overfitting()
    given = [callbacks.LambdaCallback(on_epoch_end=form) for form in forms]
    net.fit(x, y, verbose=0, callbacks=given)
    assert seen == [("object", 0), ("method", 0), ("stars", 0), ("partial", 0), ("adapted", 0)]
