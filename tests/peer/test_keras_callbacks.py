"""Callbacks, hooks and single batches under Keras and under fastreg: the same calls, keys, rates, files and steps."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import warnings

import fastreg as fr
import numpy as np
import pytest

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of Keras's and JAX's own imports
    keras = pytest.importorskip("keras")

LIBRARIES = (keras, fr)
RNG = np.random.default_rng(4)
X = RNG.normal(size=(90, 6)).astype("float32")
Y = (X[:, 0] + 0.5 * RNG.normal(size=90) > 0).astype("float32")
XV = RNG.normal(size=(33, 6)).astype("float32")
YV = (XV[:, 0] > 0).astype("float32")
START = [0.5 * RNG.normal(size=shape).astype("float32") for shape in ((6, 5), (5,), (5, 1), (1,))]


def model_of(library, loss="binary_crossentropy", metrics=("accuracy",)):
    model = library.Sequential([library.layers.Input((6,)), library.layers.Dense(5, activation="tanh"),
                                library.layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer=library.optimizers.SGD(0.1), loss=loss, metrics=list(metrics))
    model.set_weights(START)
    return model


def fit(library, callbacks=(), **options):
    model = model_of(library)
    options = {"batch_size": 16, "epochs": 3, "shuffle": False, "verbose": 0, "validation_data": (XV, YV), **options}
    with warnings.catch_warnings():
        if library is keras:
            warnings.simplefilter("ignore")
        history = model.fit(X, Y, callbacks=list(callbacks), **options)
    return model, history


def same_weights(models):
    for theirs, ours in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)


HOOKS = [f"on_{phase}_{moment}" for phase in ("train", "epoch", "test", "train_batch", "test_batch", "predict",
                                              "predict_batch") for moment in ("begin", "end")]


def recorder(library, calls, stop=None):
    """A callback that notes each call with its number and the keys of its logs."""

    class Notes(library.callbacks.Callback):
        pass

    for hook in HOOKS:
        def note(self, *given, hook=hook):
            number = given[0] if len(given) == 2 else None
            calls.append((hook, number, sorted(given[-1] or {}) if hook.endswith("end") else []))
            if stop == (hook, number, sum(name == hook and at == number for name, at, _ in calls)):
                self.model.stop_training = True

        if "epoch" in hook or "batch" in hook:
            setattr(Notes, hook, lambda self, number, logs=None, note=note: note(self, number, logs))
        else:
            setattr(Notes, hook, lambda self, logs=None, note=note: note(self, logs))
    return Notes()


@pytest.mark.parametrize("stop", [None, ("on_epoch_end", 1, 1), ("on_train_batch_end", 2, 2)])
def test_the_same_calls_in_the_same_order(stop):
    found = []
    for library in LIBRARIES:
        calls = []
        model, _ = fit(library, [recorder(library, calls, stop)], validation_batch_size=20)
        model.evaluate(XV, YV, batch_size=20, verbose=0, callbacks=[recorder(library, calls)])
        model.predict(XV, batch_size=20, verbose=0, callbacks=[recorder(library, calls)])
        found.append(calls)
    assert found[1] == found[0]


def test_the_same_weights_when_a_batch_ends_the_run():
    models = [fit(library, [recorder(library, [], ("on_train_batch_end", 2, 2))])[0] for library in LIBRARIES]
    same_weights(models)


CASES = {
    "plateau": lambda library: [library.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=0.02)],
    "plateau with a cooldown": lambda library: [library.callbacks.ReduceLROnPlateau("val_loss", factor=0.3, patience=1,
                                                                                  min_delta=0.05, cooldown=1)],
    "scheduler": lambda library: [library.callbacks.LearningRateScheduler(lambda epoch, rate: float(rate) * 0.7)],
    "scheduler by epoch": lambda library: [library.callbacks.LearningRateScheduler(lambda epoch: 0.2 / (1 + epoch))],
    "early stopping": lambda library: [library.callbacks.EarlyStopping("val_loss", patience=1, min_delta=0.03)],
    "terminate": lambda library: [library.callbacks.TerminateOnNaN()],
    "lambda": lambda library: [library.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None)],
}


@pytest.mark.parametrize("name", CASES)
def test_the_same_history(name):
    results = [fit(library, CASES[name](library), epochs=12) for library in LIBRARIES]
    theirs, ours = (history.history for _, history in results)
    assert sorted(ours) == sorted(theirs)
    for key in theirs:
        np.testing.assert_allclose(ours[key], theirs[key], rtol=5e-5, err_msg=key)
    if name != "early stopping":  # which restores the best weights here
        same_weights([model for model, _ in results])


@pytest.mark.parametrize(("freq", "steps"), [(2, None), ([1, 3], None), (1, 1)])
def test_the_same_validations(freq, steps):
    found = [fit(library, epochs=4, validation_freq=freq, validation_steps=steps)[1].history for library in LIBRARIES]
    assert sorted(found[0]) == sorted(found[1])
    for key in found[0]:
        np.testing.assert_allclose(found[1][key], found[0][key], rtol=5e-5, err_msg=key)


@pytest.mark.parametrize("each", [1, 2, 3])
def test_the_same_parts_of_epochs(each):
    """As long as there are rows left; then Keras ends the run with a warning, and here another pass begins."""
    found = [fit(library, epochs=6 // each, steps_per_epoch=each) for library in LIBRARIES]
    same_weights([model for model, _ in found])
    np.testing.assert_allclose(found[1][1].history["loss"], found[0][1].history["loss"], rtol=5e-5)


def test_the_same_csv_file(tmp_path):
    lines = []
    for library in LIBRARIES:
        path = tmp_path / f"{library.__name__}.csv"
        fit(library, [library.callbacks.CSVLogger(path)])
        lines.append([line.split(",") for line in path.read_text().splitlines()])
    assert lines[0][0] == lines[1][0]
    np.testing.assert_allclose(np.array(lines[1][1:], float), np.array(lines[0][1:], float), rtol=5e-5)


def test_the_same_names_of_checkpoints(tmp_path):
    names = []
    for library, ending in ((keras, "keras"), (fr, "safetensors")):
        folder = tmp_path / library.__name__
        template = str(folder / ("net-{epoch:02d}-{val_loss:.2f}." + ending))
        fit(library, [library.callbacks.ModelCheckpoint(template, save_best_only=True)])
        names.append(sorted(path.stem for path in folder.iterdir()))
    assert names[0] == names[1]


@pytest.mark.parametrize("weights", ["none", "rows", "classes"])
def test_the_same_steps_of_single_batches(weights):
    """And the same values, those of the batch."""
    given = {"none": {}, "rows": {"sample_weight": RNG.uniform(0.0, 3.0, 30).astype("float32")},
             "classes": {"class_weight": {0: 0.5, 1: 3.0}}}[weights]
    models = [model_of(library) for library in LIBRARIES]
    for step in range(9):
        rows = slice(30 * (step % 3), 30 * (step % 3) + 30)
        values = [model.train_on_batch(X[rows], Y[rows], **given, return_dict=True) for model in models]
        assert sorted(values[0]) == sorted(values[1])
        for key, value in values[0].items():
            if key == "loss" or weights == "none":
                assert values[1][key] == pytest.approx(float(value), rel=5e-5), (step, key)
        same_weights(models)
    tested = [model.test_on_batch(XV, YV, return_dict=True) for model in models]
    assert tested[1] == {key: pytest.approx(float(value), rel=5e-5) for key, value in tested[0].items()}
    np.testing.assert_allclose(models[1].predict_on_batch(XV), models[0].predict_on_batch(XV), rtol=2e-5, atol=2e-6)


def test_every_callback_of_keras_is_there():
    later = {"RemoteMonitor", "OrbaxCheckpoint"}
    names = {name for name in dir(keras.callbacks) if name[0].isupper()}
    assert names - set(fr.callbacks.__all__) <= later
