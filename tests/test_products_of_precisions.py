"""What "high" and "medium" compute, and what they leave alone.

Each unit runs in a process of its own: the CPU's, none, and the portable forms of units, which every machine has. The
program trains and freezes in it, and the tests compare what it saved with helpers/matmul_precisions.py.
"""

import subprocess

import fastreg as fr
import numpy as np
import pytest
from fastreg import _core, layers
from matmul_precisions import LEAST_ROWS, LEAST_WIDTH, Value, dense, exact, gradients, of_layer
from programs import last_json, run_program, same_bits, try_program

UNITS = ["", "none", "amx_portable", "avx512_bf16_portable"]
WORDS = ["highest", "high", "medium"]
# No multiples of the tiles. With more layers the bounds would become too wide to tell precisions apart.
WIDTHS, RELUS = (70, 131, 97), (True, False)
ROWS, STEPS, RATE = 83, 3, 0.5
# Some of its layers are too narrow for reduced precision.
DEEP = (70, 131, 97, 33, 5, 97)

PROGRAM = """
import json, sys
import numpy as np
import fastreg as fr
from fastreg import _core
from test_products_of_precisions import ROWS, STEPS, data, fit, network
out, computes = sys.argv[1], {}
saved = {}
x, y = data(ROWS)
more = data(1000)[0]
for word in ("highest", "high", "medium"):
    computes[word] = _core.matmul_precision_computes(word)
    model = network(word)
    for step in range(STEPS + 1):
        for i, weight in enumerate(model.get_weights()):
            saved[f"{word}/{step}/{i}"] = weight
        if step < STEPS:
            fit(model, x, y)
    saved[f"{word}/predict"] = model.predict(more)
    saved[f"{word}/evaluate"] = np.array(model.evaluate(x, y, verbose=0))
    for n in (1, 7, 40):
        saved[f"{word}/predict by {n}"] = np.concatenate([model.predict(more[i:i + n]) for i in range(0, 1000, n)])
    fresh = network("highest")
    fresh.set_weights(model.get_weights())
    saved[f"{word}/predict of highest"] = fresh.predict(more)
    for frozen_word in ("highest", "high", "medium"):
        saved[f"{word}/frozen {frozen_word}"] = fresh.freeze(frozen_word)(more)
    frozen = fresh.freeze(word)
    for n in (1, 7, 40):
        saved[f"{word}/by {n}"] = np.concatenate([frozen(more[i:i + n]) for i in range(0, 1000, n)])
    few, narrow = network(word), network(word, widths=(70, 63, 97))
    fit(few, x[:31], y[:31])
    fit(narrow, x, y)
    for i, weight in enumerate(few.get_weights() + narrow.get_weights()):
        saved[f"{word}/small/{i}"] = weight
np.savez(out, **saved)
print(json.dumps([computes, _core.matmul_unit()]))
"""

# Threads share the work of a step, whatever they would decide themselves; and a run that is saved in its middle.
THREADS = """
import hashlib, json, os, sys
import fastreg as fr
from test_products_of_precisions import DEEP, data, network
x, y = data(250)
digests = {}
for word in ("highest", "high", "medium"):
    for threads in (1, 2, 3):
        fr.set_num_threads(threads)
        model = network(word, DEEP, "adam")
        model._core.trainer_for(None).parallel_threshold = 0.0
        for resumed in range(2):
            model.fit(x, y, batch_size=100, epochs=2, verbose=0)
            if threads == 3 and not resumed:
                model.save(sys.argv[1])
                model = fr.load(sys.argv[1])
                model._core.trainer_for(None).parallel_threshold = 0.0
        arrays = [*model.get_weights(), model.freeze()(x), model.predict(x)]
        digests.setdefault(word, []).append(hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest())
print(json.dumps(digests))
"""


def data(n):
    random = np.random.default_rng(n)
    return random.normal(size=(n, 70)).astype("f"), random.normal(size=(n, 97)).astype("f")


def network(word, widths=WIDTHS, optimizer=None):
    """relu between the layers, whose widths end as those of the targets."""
    hidden = [layers.Dense(units, "relu", bias_initializer="random_normal") for units in widths[1:-1]]
    last = layers.Dense(widths[-1], bias_initializer="random_normal")
    model = fr.Sequential([fr.Input((widths[0],)), *hidden, last], seed=5)
    model.compile(optimizer or fr.optimizers.SGD(RATE), "mse", matmul_precision=word)
    return model


def fit(model, x, y):
    """One step."""
    model.fit(x, y, batch_size=len(x), epochs=1, shuffle=False, verbose=0)


def environment(unit):
    return {"FASTREG_MATMUL_UNIT": unit} if unit else {}


@pytest.fixture(scope="module", params=UNITS, ids=lambda unit: unit or "of the CPU")
def computed(request, tmp_path_factory):
    """What a unit computed: arrays by name, which precisions it has, and its name."""
    path = tmp_path_factory.mktemp("products") / "saved.npz"
    computes, unit = last_json(run_program(PROGRAM, path, env=environment(request.param)))
    if request.param:
        assert unit == ("" if request.param == "none" else request.param)
    with np.load(path) as file:
        return {name: file[name] for name in file}, computes, unit


def weights_of(saved, prefix):
    return [saved[f"{prefix}/{i}"] for i in range(sum(name.startswith(f"{prefix}/") for name in saved))]


def assert_within(found, value, name):
    error = np.abs(np.asarray(found, np.float64) - value.v)
    assert (error <= value.e).all(), f"{name}: {np.max(error / value.e):.3g} times the bound"


@pytest.mark.parametrize("word", WORDS)
def test_each_step_has_the_gradients_of_its_precision(computed, word):
    """From the weights before a step those after it follow, whatever earlier steps did."""
    saved, computes, _ = computed
    x, y = data(ROWS)
    for step in range(STEPS):
        before, after = weights_of(saved, f"{word}/{step}"), weights_of(saved, f"{word}/{step + 1}")
        for i, d in enumerate(gradients(x, y, before, RELUS, word if computes[word] else "highest")):
            expected = before[i] - RATE * d.v
            rounding = 2.0**-22 * (np.abs(before[i]) + RATE * np.abs(d.v))
            assert_within(after[i], d._replace(v=expected, e=RATE * d.e + rounding), f"weight {i} after step {step}")


def test_a_precision_that_is_not_computed_stands_for_the_highest(computed):
    saved, computes, unit = computed
    highest = weights_of(saved, f"highest/{STEPS}")
    for word in ("high", "medium"):
        same = same_bits(weights_of(saved, f"{word}/{STEPS}"), highest)
        assert same != computes[word], f"{word} by {unit!r}"
    assert computes["highest"]
    assert computes["medium"] == bool(unit)
    assert computes["high"] == unit.startswith("amx")


def test_the_bounds_tell_precisions_apart(computed):
    """What one of them computes is beyond the bounds of another one."""
    saved, computes, _ = computed
    x, y = data(ROWS)
    for word, other in (("medium", "highest"), ("high", "medium"), ("highest", "medium")):
        before, after = weights_of(saved, f"{word}/0"), weights_of(saved, f"{word}/1")
        found = gradients(x, y, before, RELUS, other)
        for i in (0, 2):  # the kernels
            step = RATE * found[i].v
            bound = RATE * found[i].e + 2.0**-22 * (np.abs(before[i]) + np.abs(step))
            beyond = (np.abs(after[i] - (before[i] - step)) > bound).any()
            assert beyond or not computes[word], f"weight {i} of {word}"


def test_highest_has_the_bits_that_it_has_without_a_unit(computed):
    saved, _, _ = computed
    model = network(None)
    for step in range(STEPS):
        assert same_bits(model.get_weights(), weights_of(saved, f"highest/{step}"))
        fit(model, *data(ROWS))
    assert same_bits(model.get_weights(), weights_of(saved, f"highest/{STEPS}"))


def test_small_layers_and_batches_are_computed_in_float32(computed):
    assert (LEAST_WIDTH, LEAST_ROWS) == (64, 32)
    saved, _, _ = computed
    small = [weights_of(saved, f"{word}/small") for word in WORDS]
    assert len(small[0]) == 8
    assert same_bits(small[0], small[1])
    assert same_bits(small[0], small[2])


@pytest.mark.parametrize("word", WORDS)
def test_evaluate_scores_what_predict_gives(computed, word):
    saved, _, _ = computed
    x, y = data(ROWS)
    weights, value = weights_of(saved, f"{word}/{STEPS}"), exact(x)
    used = word if computed[1][word] else "highest"
    for i, relu in enumerate(RELUS):
        value = dense(value, exact(weights[2 * i]), exact(weights[2 * i + 1]), relu, used)[1]
    difference, total = value.v - y, float(saved[f"{word}/evaluate"])
    bound = np.mean(2 * np.abs(difference) * value.e + value.e**2) + 1e-6 * np.mean(difference**2)
    assert abs(total - np.mean(difference**2)) <= bound


@pytest.mark.parametrize("word", WORDS)
def test_rows_of_a_prediction_do_not_depend_on_each_other(computed, word):
    saved, _, _ = computed
    for n in (1, 7, 40):
        assert same_bits([saved[f"{word}/frozen {word}"]], [saved[f"{word}/by {n}"]]), f"{n} rows in a call"
        assert same_bits([saved[f"{word}/predict"]], [saved[f"{word}/predict by {n}"]]), f"{n} rows in a call"


@pytest.mark.parametrize("call", ["frozen", "predict"])
@pytest.mark.parametrize("word", WORDS)
def test_outputs_are_those_of_the_precision(computed, word, call):
    saved, computes, _ = computed
    found = saved[f"{word}/frozen {word}" if call == "frozen" else f"{word}/predict"]
    used = word if computes[word] else "highest"
    highest = saved[f"{word}/frozen highest" if call == "frozen" else f"{word}/predict of highest"]
    assert same_bits([found], [highest]) == (used == "highest")
    weights, value = weights_of(saved, f"{word}/{STEPS}"), exact(data(1000)[0])
    for i, relu in enumerate(RELUS):
        kernel, bias = exact(weights[2 * i]), exact(weights[2 * i + 1])
        how = of_layer(used, 1000, *kernel.v.shape)
        value = dense(value, kernel, bias, relu, how)[1]
    assert_within(found, value, f"{call} {word}")


@pytest.mark.parametrize("word", WORDS)
def test_a_frozen_graph_has_the_precision_too(word):
    entry = fr.Input((70,))
    a = layers.Dense(131, "relu")(entry)
    model = fr.Model(entry, layers.Dense(97)(layers.Add()([a, layers.Dense(131)(a)])), seed=2)
    x, frozen = data(300)[0], model.freeze(word)
    found, used = frozen(x), word if _core.matmul_precision_computes(word) else "highest"
    assert same_bits([found], [np.concatenate([frozen(x[i : i + 7]) for i in range(0, 300, 7)])])
    kernels = [(exact(layer.kernel.numpy()), exact(layer.bias.numpy())) for layer in model.layers if layer.weights]
    first = dense(exact(x), *kernels[0], True, used)[1]
    second = dense(first, *kernels[1], False, used)[1]
    total = Value(first.v + second.v, first.e + second.e + 2.0**-23 * (np.abs(first.v) + np.abs(second.v)))
    assert_within(found, dense(total, *kernels[2], False, used)[1], f"frozen {word}")


FUSED = """
import json
import numpy as np
import fastreg as fr
from fastreg import layers
from test_products_of_precisions import FUSIONS, ROWS, data, fit
x, y = data(ROWS)
errors = {}
for name, make in FUSIONS.items():
    steps = {}
    for word in ("highest", "high", "medium"):
        for threads in (1, 2):
            fr.set_num_threads(threads)
            last = layers.Dense(97, bias_initializer="random_normal")
            model = fr.Sequential([fr.Input((70,)), layers.Dense(131), *make(), last], seed=5)
            model.compile(fr.optimizers.SGD(0.5), "mse", matmul_precision=word)
            model._core.trainer_for(None).parallel_threshold = 0.0
            before = model.get_weights()
            fit(model, x, y)
            steps[word, threads] = [a - b for a, b in zip(model.get_weights(), before)]
    errors[name] = {
        word: [
            max(
                float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-30))  # also of weights that must stay
                for a, b in zip(steps[word, 1], steps["highest", 1])
            ),
            all(np.array_equal(a, b) for a, b in zip(steps[word, 1], steps[word, 2])),
        ]
        for word in ("high", "medium")
    }
print(json.dumps(errors))
"""
# What is fused with the product of a wide layer, or needs the value before the activation.
FUSIONS = {
    "relu": lambda: [layers.Dense(97, "relu")],
    "tanh": lambda: [layers.Dense(97, "tanh")],
    "gelu": lambda: [layers.Dense(97, "gelu")],
    "dropout": lambda: [layers.Dense(97, "relu"), layers.Dropout(0.4)],
    "dropout of gelu": lambda: [layers.Dense(97, "gelu"), layers.Dropout(0.4)],
    "batch normalisation": lambda: [layers.Dense(97, "relu"), layers.BatchNormalization()],
    "frozen weights": lambda: [layers.Dense(97, "gelu", trainable=False)],
    "no bias": lambda: [layers.Dense(97, "relu", use_bias=False)],
}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit or "of the CPU")
def test_what_is_fused_with_a_product_is_done_in_each_precision(unit):
    """A step is that of the highest precision but for rounding, and has the same bits on two threads."""
    found = last_json(run_program(FUSED, env=environment(unit)))
    assert found.keys() == FUSIONS.keys()
    for name, of_words in found.items():
        for word, (error, same) in of_words.items():
            assert error < {"high": 1e-3, "medium": 0.15}[word], f"{name}, {word}: {error}"
            assert same, f"{name}, {word}: bits depend on threads"


FAR = """
import json
import numpy as np
import fastreg as fr
from fastreg import layers
random = np.random.default_rng(0)
z = random.normal(size=(500, 70)).astype("f")
errors = {}
for shift in (0.0, 0.3, 2.0, 15.0, 1000.0):
    for kind in ("Normalization", "BatchNormalization", "Rescaling", "Two"):
        x = (z + shift).astype("f")
        first = {"Normalization": layers.Normalization, "BatchNormalization": layers.BatchNormalization,
                 "Two": layers.Normalization, "Rescaling": lambda: layers.Rescaling(1.0, offset=-shift)}[kind]()
        if kind in ("Normalization", "Two"):
            first.adapt(x)
        scaled = [layers.Rescaling(1.0)] if kind == "Two" else []
        model = fr.Sequential([fr.Input((70,)), *scaled, first, layers.Dense(131, "relu"), layers.Dense(1)], seed=0)
        if kind == "BatchNormalization":
            mean, variance = x.mean(0), x.var(0)
            model.set_weights([np.ones(70, "f"), np.zeros(70, "f"), mean, variance, *model.get_weights()[4:]])
        for word in ("high", "medium"):
            exact = model.freeze("highest")(x)
            wrong = model.freeze(word)(x) - exact
            errors[f"{kind} {shift:g} {word}"] = float(np.sqrt(np.mean(wrong**2) / np.mean(exact**2)))
print(json.dumps(errors))
"""


@pytest.mark.parametrize("unit", ["", "amx_portable", "avx512_bf16_portable"], ids=lambda unit: unit or "of the CPU")
def test_what_is_far_from_zero_is_normalised_before_it_is_rounded(unit):
    """A frozen model folds a normalisation into the product behind it only where that costs little precision."""
    errors = last_json(run_program(FAR, env=environment(unit)))
    assert len(errors) == 40
    for name, error in errors.items():
        _, shift, word = name.split()
        # float32 itself has lost digits of what is 1,000 deviations away
        assert error < (0.008 if word == "medium" else 2e-4 if float(shift) < 100 else 2e-3), name


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit or "of the CPU")
def test_threads_and_resumed_runs_have_the_same_bits(unit, tmp_path):
    digests = last_json(run_program(THREADS, tmp_path / "net.safetensors", env=environment(unit)))
    assert {word: len(set(found)) for word, found in digests.items()} == dict.fromkeys(WORDS, 1)


def test_models_do_not_take_the_precision_of_others():
    x, y = data(300)
    alone = network("highest", DEEP, "adam")
    alone.fit(x, y, batch_size=100, epochs=4, verbose=0)
    with fr.matmul_precision("medium"):
        model, other = network("highest", DEEP, "adam"), network(None, DEEP, "adam")
        for _ in range(4):
            model.fit(x, y, batch_size=100, epochs=1, verbose=0)
            other.fit(x, y, batch_size=100, epochs=1, verbose=0)
    assert other.matmul_precision == "medium"
    assert same_bits(model.get_weights(), alone.get_weights())


def test_show_config_names_the_unit():
    told = {
        "none": "highest (medium and high: as highest)",
        "amx_portable": "highest (medium and high: bfloat16 products by amx_portable)",
        "avx512_bf16_portable": "highest (medium: bfloat16 products by avx512_bf16_portable; high: as highest)",
    }
    for unit, expected in told.items():
        done = run_program("import fastreg as fr; fr.show_config()", env=environment(unit))
        assert f"matmul precision  {expected}\n" in done.stdout


def test_a_unit_that_there_is_not_is_an_import_error():
    done = try_program("import fastreg", env={"FASTREG_MATMUL_UNIT": "tpu"})
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.returncode != 0
    assert "ImportError: FASTREG_MATMUL_UNIT must be one of none, " in done.stderr
    assert "got 'tpu'" in done.stderr
    assert _core.matmul_unit() != "tpu"
