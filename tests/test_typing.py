"""What a type checker sees of ordinary programs: `mypy --strict` finds nothing, and knows the types that count.

`reveal_type(...)  # -> TYPE` in a program says what mypy must find there.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import cases
import fastreg
import pytest
from fastreg import layers, losses, metrics, optimizers, schedules
from fastreg.internal import keras_arguments

HEAD = """
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import fastreg as fr
from fastreg import callbacks, initializers, layers, losses, metrics, optimizers, regularizers, schedules
from fastreg.search import BayesianSearch, GridSearch, LogUniform, RandomSearch

rng = np.random.default_rng(0)
x = rng.normal(size=(64, 4)).astype(np.float32)
y = x[:, 0] > 0
model = fr.Sequential([layers.Dense(8, activation="relu"), layers.Dense(1, activation="sigmoid")], seed=0)
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
"""

PROGRAMS = {
    "fit and look": """
history = model.fit(x, y, epochs=2, batch_size=8, validation_data=(x, y), verbose=0)
last: float = history.history["val_loss"][-1]
reveal_type(history)  # -> fastreg.callbacks.history.History
model.fit(x, y, validation_split=0.25, class_weight={0: 1.0, 1: 2.0}, sample_weight=np.ones(64), verbose=0)
model.fit(x.tolist(), y.tolist(), class_weight="balanced", rows=[0, 1], validation_rows=np.arange(8), verbose=0)
model.fit(x, y, validation_data=[x, y, np.ones(64)], verbose=0)
print(model.history.history["loss"], model.history.epoch)
""",
    "scores": """
model.fit(x, y, verbose=0)
scores = model.evaluate(x, y, verbose=0, return_dict=True)
reveal_type(scores)  # -> dict[str, float]
reveal_type(scores["loss"])  # -> float
better: bool = scores["accuracy"] > 0.5
loss, accuracy = model.evaluate(x, y, verbose=0)
flag = bool(len(x))
maybe = model.evaluate(x, y, return_dict=flag, verbose=0)
reveal_type(model.predict(x))  # -> numpy.ndarray[Any, numpy.dtype[numpy.float32]]
reveal_type(model.get_weights()[0])  # -> numpy.ndarray[Any, numpy.dtype[numpy.float32]]
model.set_weights(model.get_weights())
model.set_weights([w.tolist() for w in model.get_weights()])
""",
    "rates": """
model.optimizer.learning_rate = 1e-3
model.optimizer.learning_rate = schedules.CosineDecay(1e-2, 100)
model.learning_rate = 1e-2
model.learning_rate *= 0.5
reveal_type(model.learning_rate)  # -> float
rate: float = model.optimizer.learning_rate
model.compile(optimizers.SGD(schedules.ExponentialDecay(0.1, 10, 0.9), momentum=0.9), losses.BinaryCrossentropy())
model.compile(optimizers.Adam(lambda step: 1e-3 / (1 + step), clipnorm=1.0), "mse", [metrics.MeanAbsoluteError()])
reveal_type(schedules.StepDecay(0.1, 10, 0.5)(3))  # -> float
reveal_type(model.optimizer)  # -> fastreg.model.views.BoundOptimizer
""",
    "forms and shapes": """
model.compile(optimizer={"class_name": "Adam", "config": {"learning_rate": 0.01}}, loss="mse")
model.compile(optimizers.Adam(1e-2).to_config(), loss="mse")
model.compile(model.optimizer, loss="mse")
reveal_type(layers.Input(4).shape)  # -> tuple[int, ...]
reveal_type(layers.Input([28, 28], name="image", dtype="uint8").shape)  # -> tuple[int, ...]
layers.Input(shape=(4,))
layers.InputLayer(input_shape=[4])
layers.InputLayer(4)
fr.Sequential([layers.Dense(1, input_shape=[4])])
fr.Sequential([layers.Dense(1, input_shape=(4,))])
""",
    "callbacks": """
class Halve(callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if logs is not None and logs["loss"] > 1.0:
            self.model.learning_rate /= 2
            self.model.stop_training = True

stopping = callbacks.EarlyStopping(monitor="val_loss", patience=5)
model.fit(x, y, validation_split=0.2, callbacks=[stopping, Halve(), callbacks.TimeLimit(5.0)], verbose=0)
model.fit(x, y, callbacks=Halve(), verbose=0)
stopping.set_model(model)
stopping.on_train_begin()
stopping.on_epoch_end(0, {"val_loss": 1.0})
reveal_type(stopping.best)  # -> float | None
judged = model.fit(x, y, validation_split=0.2, verbose=0)
print(fr.diagnosis.diagnose(judged), fr.diagnosis.diagnose(1.0, 0.9).verdict)
figure = fr.plots.learning_curves({"run": model.history})
""",
    "files": """
from pathlib import Path

model.fit(x, y, verbose=0)
model.save("net.safetensors")
model.save(Path("net.safetensors"), include_optimizer=False)
model.save(b"net.safetensors")
same = fr.load(Path("net.safetensors"))
reveal_type(same)  # -> fastreg.model.model.Model
reveal_type(fr.models.load_model("net.safetensors", compile=False))  # -> fastreg.model.model.Model
reveal_type(fr.models.clone_model(model))  # -> fastreg.model.sequential.Sequential
reveal_type(same.freeze())  # -> fastreg._core.Predictor
""",
    "serving": """
model.build(4)
p = model.freeze()
reveal_type(p)  # -> fastreg._core.Predictor
out = np.empty((64, 1), np.float32)
reveal_type(p(x, out=out))  # -> numpy.ndarray[Any, numpy.dtype[numpy.float32]]
p([[1.0, 2.0, 3.0, 4.0]])

def answer(predictor: fr.Predictor, row: list[float]) -> float:
    return float(predictor([row])[0, 0])
""",
    "layers": """
stack = [
    layers.Input(shape=(4,)),
    layers.Dense(16, "relu", kernel_regularizer=regularizers.L1L2(1e-3, 1e-3), kernel_initializer="he_normal"),
    layers.BatchNormalization(momentum=0.9),
    layers.Dropout(0.5),
    layers.Activation("tanh"),
    layers.Dense(1, bias_initializer=initializers.Zeros(), kernel_regularizer=regularizers.l2(0.1)),
]
net = fr.Sequential(stack, name="net")
net.add(layers.Dense(1))
net.pop()
for layer in net.layers:
    print(layer.name, layer.get_weights(), layer.count_params())
net.summary()
reveal_type(net.count_params())  # -> int
with fr.thread_limit(1):
    reveal_type(fr.get_num_threads())  # -> int
reveal_type(fr.utils.to_categorical([0, 1, 2]))  # -> numpy.ndarray[Any, numpy.dtype[numpy.float64]]
""",
    "activations and operators": """
from functools import partial

from fastreg import activations

for form in (activations.gelu, partial(activations.leaky_relu, negative_slope=0.2)):
    layers.Dense(4, form)
layers.Dense(4, layers.LeakyReLU(0.2))
layers.Dense(4, activation={"type": "leaky_relu", "negative_slope": 0.2})
layers.Activation(activations.relu)
value = fr.Input((4,))
reveal_type(1 - layers.Dense(4, activations.relu)(value) * value / 2)  # -> fastreg.internal.layer_base.Value
""",
    "loops of one's own": """
from fastreg import ops

w, b = np.zeros((4, 1), np.float32), np.zeros(1, np.float32)
step = ops.Updater("adam", w, l2=1e-3)
for _ in range(3):
    out = ops.dense(x, w, b)
    step.step(np.ones_like(w))
h = ops.dropout(x, 0.5, seed=1)
z = ops.activation(h.tolist(), "relu")
""",
    "searches": """
def build(params: dict[str, Any]) -> fr.Sequential:
    made = fr.Sequential([layers.Dense(4, "relu"), layers.Dense(1, "sigmoid")])
    made.compile(optimizers.Adam(params["rate"]), "binary_crossentropy", ["accuracy"])
    return made

def with_arguments(params: Mapping[str, Any]) -> tuple[fr.Sequential, dict[str, Any]]:
    return build(dict(params)), {"batch_size": 8}

search = RandomSearch(build, {"rate": LogUniform(1e-4, 1e-1)}, n_trials=3, cv=3, seed=0, scoring="accuracy")
search.fit(x, y, epochs=2, callbacks=[callbacks.EarlyStopping(patience=1)])
reveal_type(search.best_model_)  # -> fastreg.model.sequential.Sequential
reveal_type(search.best_score_)  # -> float
search.best_model_.save("best.safetensors")
reveal_type(search.fit(x, y).best_model_.predict(x))  # -> numpy.ndarray[Any, numpy.dtype[numpy.float32]]
other = GridSearch(with_arguments, {"rate": [0.1, 0.2]}, cv=2)
reveal_type(other.best_model_)  # -> fastreg.model.sequential.Sequential

class Ridge:
    coefficients = [1.0]
    def fit(self, x: Any, y: Any) -> Ridge:
        return self
    def set_params(self, **params: Any) -> Ridge:
        return self

reveal_type(BayesianSearch(Ridge(), {"alpha": [0.1]}).fit(x, y).best_model_.coefficients)  # -> list[float]

def report(done: RandomSearch) -> str:
    return str(done.best_params_["rate"]) + done.summary()
""",
}


def least(kind):
    """The text of the arguments that a class cannot be made without."""
    given = {"shape": (4,)} if kind is layers.Input else cases.needed(kind)
    return "".join(
        f"{name}={'schedules.' * isinstance(value, schedules.LearningRateSchedule)}{value!r}, "
        for name, value in given.items()
    )


def with_every_idle_argument():
    """A program that gives every class all arguments of Keras at their idle values."""
    for module in (layers, losses, metrics, optimizers, schedules):
        for name in module.__all__:
            kind = getattr(module, name)
            if "_accepts_further_argument" not in getattr(kind, "__dict__", {}):
                continue
            given = {
                argument: next(v for v in ("float32", "zeros", "ones", 0.5, 1) if values.holds(v))
                if isinstance(values, keras_arguments._Kind)
                else values[0]
                for argument, values in keras_arguments.idle_arguments(kind).items()
            }
            arguments = ", ".join(f"{argument}={value!r}" for argument, value in given.items())
            yield f"{module.__name__.removeprefix('fastreg.')}.{name}({least(kind)}{arguments})\n"


# The classes that a repr names without their module.
NAMED = """from fastreg.initializers import GlorotUniform, Zeros
from fastreg.layers import CategoricalColumn, Dense, NumericColumn, PlainColumn
"""
PROGRAMS["Keras's arguments"] = NAMED + "".join(with_every_idle_argument())

MISTAKES = {
    "layers.Dense(3, kernel_constraint=3)": "arg-type",
    "layers.Dense(3, kernel_constrain=None)": "call-arg",
    "layers.Dense(3).trained": "attr-defined",
    "layers.Conv2D(3)": "attr-defined",
    "fr.Modell()": "attr-defined",
    "model.predct(x)": "attr-defined",
    "model.fit(x, y, epochs='many')": "arg-type",
    "model.fit(x, y, callbacks=3)": "arg-type",
    "model.predict(x).no_such_thing": "attr-defined",
    "model.evaluate(x, y, return_dict=True).append(1)": "attr-defined",
    "model.optimizer.learning_rate = 'fast'": "assignment",
    "fr.load(3)": "arg-type",
    "fr.load('net.safetensors').predct(x)": "attr-defined",
    "fr.Sequential([layers.Dense(3)], layers.Dense(1))": "arg-type",
    "layers.Dense(3, activation=3)": "arg-type",
    "fr.Input((3,)) + 'a'": "operator",
    "model.predict(object())": "arg-type",
    "fr.Input('3')": "arg-type",
    "layers.Dense(3, input_shape='3')": "arg-type",
    "model.compile(3, 'mse')": "arg-type",
}


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """What mypy says of each program: lines without the file's name. It is run once, for all of them."""
    folder = tmp_path_factory.mktemp("programs")
    files = {}
    for i, (name, program) in enumerate([*PROGRAMS.items(), *((mistake, mistake + "\n") for mistake in MISTAKES)]):
        files[f"program{i}.py"] = name
        (folder / f"program{i}.py").write_text(HEAD + program)
    # fastreg is checked elsewhere; here it is what a user has installed.
    options = ["--strict", "--no-error-summary", "--follow-imports=silent", "--cache-dir", folder / "cache"]
    home = Path(fastreg.__file__).parents[1]
    environment = {k: v for k, v in os.environ.items() if k != "MYPYPATH"}
    if home.name != "site-packages":
        environment["MYPYPATH"] = str(home)
    result = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *files],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stderr == ""
    said = {name: [] for name in files.values()}
    for line in result.stdout.splitlines():
        file, _, rest = line.partition(":")
        said[files[file]].append(rest)
    return said


def plain(text):
    """A type as any version of mypy and NumPy writes it."""
    text = text.replace("builtins.", "").replace("tuple[Any, ...]", "Any")
    text = re.sub(r"Union\[(.*), (.*)\]$", r"\1 | \2", text)
    return re.sub(r"numpy\.floating\[numpy\._typing\._\w+\._32Bit\]", "numpy.float32", text)


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_ordinary_program_passes_strict(name, checked):
    lines = checked[name]
    text = (HEAD + PROGRAMS[name]).splitlines()
    expected = {i: line.partition("# -> ")[2] for i, line in enumerate(text, 1) if "# -> " in line}
    found = {}
    for line in lines:
        told = re.match(r'(\d+): note: Revealed type is "(.*)"$', line)
        assert told, f"{line}\n{text[int(line.partition(':')[0]) - 1]}"
        found[int(told[1])] = plain(told[2])
    assert found == expected


@pytest.mark.parametrize(("statement", "code"), MISTAKES.items())
def test_a_mistake_is_found(statement, code, checked):
    """The types are not so wide that nothing could be wrong."""
    errors = [line for line in checked[statement] if ": error: " in line]
    assert len(errors) == 1, errors
    assert errors[0].endswith(f"[{code}]")


def test_the_programs_run(tmp_path, monkeypatch):
    """What is checked is what works; but for the searches, which are tested elsewhere."""
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    for name, program in PROGRAMS.items():
        if name != "searches":
            exec(compile(HEAD + program, name, "exec"), {"reveal_type": lambda value: value, "__name__": "program"})
