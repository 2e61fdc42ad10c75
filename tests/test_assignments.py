"""Assignments to attributes take effect; those that would have no effect are refused with a hint at what can be set."""
from __future__ import annotations

import copy
import pickle
from unittest import mock

import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks, layers, ops
from fastreg.search import BayesianSearch, GridSearch, QuasiRandomSearch, RandomSearch
from programs import compiled, line, refusal, same_bits
from searches import build, two_classes

X, Y = line(40, 3)


def network():
    return compiled([layers.Dense(4, "relu"), layers.Dropout(0.5), layers.BatchNormalization(), layers.Dense(1)],
                    loss="mse", n_features=3)


class Derived(fr.Sequential):
    """A Keras habit: a model that sets itself up, with attributes of its own."""

    alpha = 0.0

    def __init__(self, units=2):
        self.before = 1
        super().__init__([layers.Dense(units), layers.Dense(1)], seed=0)
        self.units = units
        self.alpha = 3.0


REFUSED_OF_MODELS = ["layers", "loss", "metrics", "optimizer", "built", "weights", "trainable_weights",
                     "run_eagerly", "jit_compile", "feature_names_in_"]


@pytest.mark.parametrize("name", [*REFUSED_OF_MODELS, "foo", "stop_trainin", "lr", "batch_size", "dtype"])
@pytest.mark.parametrize("value", [False, True, None, 0.5])
def test_a_model_takes_only_what_has_an_effect(name, value):
    with refusal(AttributeError, [name, "cannot be set", "stop_training", "learning_rate", "seed"]):
        setattr(network(), name, value)


@pytest.mark.parametrize("name", REFUSED_OF_MODELS)
def test_neither_does_a_class_of_ones_own(name):
    with refusal(AttributeError, [name, "cannot be set"]):
        setattr(Derived(), name, None)


def test_messages_say_what_to_do():
    model = network()
    for name, word in {"layers": "add", "loss": "compile", "weights": "set_weights",
                       "stop_trainin": "did you mean 'stop_training'"}.items():
        with refusal(AttributeError, [word]):
            setattr(model, name, None)


def test_attributes_of_ones_own_class_stay():
    model = Derived(5)
    model.note = "mine"
    assert (model.before, model.units, model.alpha, model.note) == (1, 5, 3.0, "mine")
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert type(other) is Derived
        assert (other.before, other.units, other.alpha, other.note) == (1, 5, 3.0, "mine")
        assert same_bits(other.get_weights(), model.get_weights())

    class Overrides(Derived):
        trainable = True

        @property
        def loss(self):
            return "mine"

    other = Overrides()
    other.trainable = False
    assert (other.trainable, other.loss) == (False, "mine")


def test_what_can_be_set_takes_effect(tmp_path, capsys):
    model = network()
    model.name = "another"
    model.summary()
    assert '"another"' in capsys.readouterr().out
    model.save(tmp_path / "net.safetensors")
    assert fr.load(tmp_path / "net.safetensors").name == "another"
    model.learning_rate = 0.125
    model.optimizer.learning_rate = 0.25
    assert model.learning_rate == model.optimizer.learning_rate == 0.25
    model.stop_training = True
    model.history = None
    assert model.history is None
    for bad, error in ((3, TypeError), (None, TypeError)):
        with pytest.raises(error, match="name"):
            model.name = bad
    with mock.patch.object(model, "predict", return_value=7):
        assert model.predict(X) == 7
    assert model.predict(X).shape == (40, 1)


def test_a_seed_that_is_set_decides_the_weights_or_is_refused():
    model, other = fr.Sequential([layers.Dense(3)], seed=1), fr.Sequential([layers.Dense(3)], seed=2)
    model.seed = 2
    model.build(4)
    other.build(4)
    assert same_bits(model.get_weights(), other.get_weights())
    with refusal(AttributeError, ["seed", "weights"]):
        model.seed = 3
    assert model.seed == 2
    fresh = fr.Sequential()
    for bad in (-1, 2**64, "1", 0.5, None):
        with pytest.raises((TypeError, ValueError), match="Sequential: seed"):
            fresh.seed = bad


@pytest.mark.parametrize("name", ["rate", "units", "foo", "name", "kernel", "description", "_index"])
def test_a_layer_of_a_model_takes_nothing(name):
    model = network()
    for layer in model.layers:
        with refusal(AttributeError, [type(layer.description).__name__, name, "cannot be set", "set_weights"]):
            setattr(layer, name, 0)
    kernel = np.ones((3, 4), np.float32)
    model.layers[0].set_weights([kernel, np.zeros(4)])
    assert same_bits([model.layers[0].get_weights()[0]], [kernel])


def test_an_optimizer_of_a_model_takes_a_rate_alone():
    model = network()
    for name in ("momentum", "clipnorm", "foo", "description"):
        with refusal(AttributeError, [name, "learning_rate", "compile"]):
            setattr(model.optimizer, name, 0.5)


CHANGES = {
    "item": lambda items: items.__setitem__(0, layers.Dense(7)),
    "slice": lambda items: items.__setitem__(slice(None), []),
    "delete": lambda items: items.__delitem__(0),
    "append": lambda items: items.append(layers.Dense(1)),
    "extend": lambda items: items.extend([layers.Dense(1)]),
    "insert": lambda items: items.insert(0, layers.Dense(1)),
    "pop": lambda items: items.pop(),
    "remove": lambda items: items.remove(items[0]),
    "clear": lambda items: items.clear(),
    "reverse": lambda items: items.reverse(),
    "sort": lambda items: items.sort(key=id),
    "add": lambda items: items.__iadd__([1]),
    "multiply": lambda items: items.__imul__(2),
}


@pytest.mark.parametrize("change", CHANGES)
def test_lists_of_a_model_that_are_made_anew_take_no_change(change):
    model = network()
    model.compile("sgd", "mse", ["mae"])
    with refusal(TypeError, [r"model\.layers", "add", "pop"]):
        CHANGES[change](model.layers)
    with refusal(TypeError, [r"model\.metrics", "compile"]):
        CHANGES[change](model.metrics)


def test_what_is_made_of_these_lists_is_a_plain_list():
    model = network()
    assert isinstance(model.layers, list)
    assert model.layers == [*model.layers]
    more = [layers.Dense(2)]
    for made in (model.layers[:-1], model.layers + more, copy.copy(model.layers), list(model.layers)):
        assert type(made) is list
        made.append(layers.Dense(1))
    fr.Sequential(model.layers[:-1] + more)
    loaded = pickle.loads(pickle.dumps(model.layers))
    assert [layer.name for layer in loaded] == [layer.name for layer in model.layers]


@pytest.mark.parametrize("description", [
    layers.Dense(3), layers.Dropout(0.5), fr.Input((3,)), fr.optimizers.Adam(), fr.losses.MeanSquaredError(),
    fr.metrics.MeanSquaredError(),
    fr.regularizers.L2(0.1), fr.initializers.Zeros(), fr.schedules.ExponentialDecay(0.1, 10, 0.9),
], ids=lambda d: type(d).__name__)
def test_a_description_takes_nothing(description):
    for name in ("foo", "name", "units", "rate", "learning_rate", "shape"):
        with pytest.raises(AttributeError):
            setattr(description, name, 1)


def test_an_updater_keeps_its_array():
    """The core updates the array that it was made with, whatever another attribute would say."""
    w = np.ones(3, np.float32)
    updater = ops.Updater("sgd", w)
    with pytest.raises(AttributeError):
        updater.w = np.zeros(3, np.float32)
    updater.step(np.ones(3, np.float32))
    assert updater.w is w
    assert (w < 1).all()


def test_early_stopping_is_what_was_set_before_the_run():
    x, y = line(40, 3)
    epochs = {}
    for patience in (0, 3):
        stopping = callbacks.EarlyStopping("loss", min_delta=1e9, patience=9)
        stopping.patience = patience
        model = compiled([layers.Dense(1)], loss="mse")
        epochs[patience] = len(model.fit(x, y, epochs=20, callbacks=[stopping], verbose=0).epoch)
    assert epochs == {0: 2, 3: 4}


@pytest.mark.parametrize(("name", "bad"), [
    ("patience", -1), ("patience", "3"), ("mode", "most"), ("min_delta", np.nan), ("monitor", 3), ("baseline", "low"),
    ("restore_best_weights", 2), ("start_from_epoch", -1), ("verbose", -1),
])
def test_early_stopping_checks_what_is_set_as_it_does_its_arguments(name, bad):
    stopping = callbacks.EarlyStopping()
    before = getattr(stopping, name)
    with pytest.raises((TypeError, ValueError), match=f"EarlyStopping: .*{name}"):
        setattr(stopping, name, bad)
    assert getattr(stopping, name) == before


def test_early_stopping_takes_no_change_during_a_run():
    stopping = callbacks.EarlyStopping("loss", patience=5)

    class Impatient(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.mine = epoch  # callbacks of one's own are free
            stopping.patience = 0

    with refusal(AttributeError, ["patience", "during a run"]):
        network().fit(X, Y, epochs=5, callbacks=[stopping, Impatient()], verbose=0)
    assert stopping.patience == 5
    stopping.patience = 0
    with refusal(AttributeError, ["patinece", "did you mean 'patience'"]):
        stopping.patinece = 3
    stopping.mine = 3
    assert stopping.mine == 3


def test_a_time_limit_is_checked_when_it_is_set():
    limit = callbacks.TimeLimit(5)
    limit.seconds = 60
    assert limit.seconds == 60.0
    for bad in (0, -1, np.inf, "60"):
        with pytest.raises((TypeError, ValueError), match="TimeLimit: seconds"):
            limit.seconds = bad


@pytest.mark.parametrize(("stop", "name"), [
    *((callbacks.TimeLimit(5), name) for name in ("second", "limit", "on_epoch_end")),
    *((callbacks.StopSignal(), name) for name in ("stop", "set", "is_set", "seconds")),
])
def test_stops_take_only_what_has_an_effect(stop, name):
    with refusal(AttributeError, [name]):
        setattr(stop, name, True)

    class Mine(type(stop)):
        pass

    mine = Mine(*((5,) if isinstance(stop, callbacks.TimeLimit) else ()))
    mine.note = 3
    assert mine.note == 3
    stop.on_epoch_end = lambda epoch, logs=None: None


@pytest.mark.parametrize("name", ["fit", "predict", "save", "add"])
@pytest.mark.parametrize("value", [1, None, "later"])
def test_a_method_stays_one(name, value):
    model = network()
    with refusal(AttributeError, [f"Sequential: {name} cannot be set to .* it is a method"]):
        setattr(model, name, value)
    setattr(model, name, len)
    delattr(model, name)
    assert getattr(model, name).__func__ is getattr(fr.Sequential, name)


@pytest.mark.parametrize("name", ["name", "seed", "stop_training", "history", "learning_rate", "loss"])
def test_what_a_model_has_cannot_be_deleted(name):
    for model in (network(), Derived()):
        with pytest.raises(AttributeError, match=name):
            delattr(model, name)
    model = Derived()
    del model.units
    assert not hasattr(model, "units")
    assert copy.deepcopy(model).before == 1


@pytest.mark.parametrize("kind", [GridSearch, RandomSearch, QuasiRandomSearch, BayesianSearch])
def test_a_search_takes_its_arguments_alone(kind):
    search = kind(build, {"units": [2, 3], "lr": [0.1]}, verbose=0)
    for name in ("n_trails", "foo", "njobs", "scorer"):
        with refusal(AttributeError, [kind.__name__, name, "cannot be set", "n_trials"]):
            setattr(search, name, 3)
    with refusal(AttributeError, ["did you mean 'n_trials'"]):
        search.n_trails = 3
    for name in search.get_params():
        setattr(search, name, getattr(search, name))

    class Mine(kind):
        pass

    mine = Mine(build, {"units": [2]})
    mine.note = 3
    assert mine.note == 3


def test_what_is_set_on_a_search_takes_effect():
    x, y = two_classes()
    search = GridSearch(build, {"units": [2, 3, 4], "lr": [0.1]}, cv=2, seed=0, n_jobs=1, verbose=0)
    search.n_trials = 2
    assert len(search.fit(x, y).trials_) == 2
    copied = copy.deepcopy(search)
    copied.n_trials = 1
    assert len(copied.fit(x, y).trials_) == 1
