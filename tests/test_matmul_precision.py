"""The precision of matrix products as a setting: its words, its scope, and that whatever is compiled keeps it.

test_products_of_precisions.py has what is computed.
"""

import copy
import json
import pickle
import re
import struct
from concurrent.futures import ThreadPoolExecutor

import fastreg as fr
import numpy as np
import pytest
from fastreg import _core, layers
from programs import TESTS, blobs, last_json, run_program, same_bits

WORDS = {
    "highest": "highest",
    "high": "high",
    "medium": "medium",
    "float32": "highest",
    "bfloat16_3x": "high",
    "bfloat16": "medium",
}
CALLS = {
    "set_matmul_precision": fr.set_matmul_precision,
    "matmul_precision": fr.matmul_precision,
    "compile": lambda word: compiled(matmul_precision=word),
    "freeze": lambda word: compiled().freeze(matmul_precision=word),
}


@pytest.fixture(autouse=True)
def as_it_was():
    yield
    fr.set_matmul_precision("highest")


def compiled(**options):
    model = fr.Sequential([fr.Input((10,)), layers.Dense(8, "relu"), layers.Dense(1, "sigmoid")], seed=3)
    model.compile("adam", "binary_crossentropy", ["accuracy"], **options)
    return model


def in_another_thread(function):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result(30)


def description_of(path):
    """The JSON description in a safetensors file."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    return json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["fastreg"])


# ------------------------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(("word", "meant"), WORDS.items())
def test_words_of_pytorch_and_jax_mean_one_of_three(word, meant):
    assert compiled(matmul_precision=word).matmul_precision == meant
    assert compiled().freeze(word).matmul_precision == meant
    with fr.matmul_precision(word):
        assert fr.get_matmul_precision() == meant
    fr.set_matmul_precision(word)
    assert fr.get_matmul_precision() == meant


@pytest.mark.parametrize("call", CALLS)
def test_unknown_words_are_refused(call):
    name = "matmul_precision" if call in ("compile", "freeze") else "precision"
    known = "bfloat16, bfloat16_3x, float32, high, highest, medium"
    told = f"{call}: unknown {name} 'hihgest'; known: {known} (did you mean 'highest'?)"
    with pytest.raises(ValueError, match=f"^{re.escape(told)}$"):
        CALLS[call]("hihgest")
    for word in ("", "tf32", "float16", "lowest"):
        with pytest.raises(ValueError, match=f"{call}: unknown {name} '{word}'"):
            CALLS[call](word)
    with pytest.raises(TypeError, match=f"{call}: {name} must be one of .*, got 16"):
        CALLS[call](16)
    assert fr.get_matmul_precision() == "highest"


def test_a_refused_word_leaves_the_model_as_it_was():
    model = compiled(matmul_precision="medium")
    with pytest.raises(ValueError, match="unknown matmul_precision"):
        model.compile("sgd", "mse", matmul_precision="low")
    assert model.matmul_precision == "medium"
    assert type(model.optimizer.description).__name__ == "Adam"


def test_the_core_takes_its_own_words_alone():
    model = compiled()
    for word in ("bfloat16", "low"):
        with pytest.raises(ValueError, match=f'matmul_precision must be one of highest, high, medium, got "{word}"'):
            _core.Predictor(model._core.network, None, word)
    with pytest.raises(TypeError, match="matmul_precision must be a string, got 1"):
        _core.Predictor(model._core.network, None, 1)


def test_names_of_other_libraries_lead_to_the_setting():
    for name in ("mixed_precision", "set_float32_matmul_precision", "default_matmul_precision", "autocast"):
        with pytest.raises(AttributeError, match="set_matmul_precision"):
            getattr(fr, name)
    with pytest.raises(ValueError, match="matmul_precision='medium'"):
        layers.Dense(2, dtype="mixed_bfloat16")


# ----------------------------------------------------------------------------------------------------------- setting


def test_the_setting_is_of_the_process_and_a_with_of_its_thread():
    fr.set_matmul_precision("high")
    assert in_another_thread(fr.get_matmul_precision) == "high"
    with fr.matmul_precision("medium"):
        assert (fr.get_matmul_precision(), in_another_thread(fr.get_matmul_precision)) == ("medium", "high")
        with fr.matmul_precision("highest"):
            assert fr.get_matmul_precision() == "highest"
        assert fr.get_matmul_precision() == "medium"
        fr.set_matmul_precision("highest")
        assert fr.get_matmul_precision() == "medium", "the innermost with counts"
        assert in_another_thread(fr.get_matmul_precision) == "highest"
    assert fr.get_matmul_precision() == "highest"


def test_a_with_ends_after_an_error_too():
    with pytest.raises(KeyError), fr.matmul_precision("medium"):
        raise KeyError
    assert fr.get_matmul_precision() == "highest"


def test_compile_takes_the_setting_once():
    assert compiled().matmul_precision == "highest"
    with fr.matmul_precision("medium"):
        model = compiled()
        assert compiled(matmul_precision="high").matmul_precision == "high"
    assert model.matmul_precision == "medium"
    fr.set_matmul_precision("high")
    model.fit(*blobs(32, 10, 2), verbose=0)
    assert model.matmul_precision == "medium"
    model.compile("adam", "binary_crossentropy")
    assert model.matmul_precision == "high"


def test_a_model_that_is_not_compiled_has_none():
    model = fr.Sequential([fr.Input((4,)), layers.Dense(2)], seed=0)
    assert model.matmul_precision is None
    with fr.matmul_precision("medium"):
        assert model.freeze().matmul_precision == "medium"
    assert model.freeze().matmul_precision == "highest"
    with pytest.raises(AttributeError, match="matmul_precision cannot be set"):
        model.matmul_precision = "high"


def test_freeze_takes_that_of_the_model():
    model = compiled(matmul_precision="medium")
    with fr.matmul_precision("high"):
        assert model.freeze().matmul_precision == "medium"
        assert model.freeze("highest").matmul_precision == "highest"
    reshaped = fr.Sequential([fr.Input((2, 5)), layers.Flatten(), layers.Dense(1)], seed=0)
    assert reshaped.freeze("high").matmul_precision == "high"


def test_what_is_unusual_is_shown():
    text = []
    for word in ("highest", "medium"):
        model = compiled(matmul_precision=word)
        model.summary(print_fn=text.append)
        text += [repr(model), model._repr_html_(), repr(model.freeze())]
    usual, unusual = "\n".join(text[:4]), text[4:]
    assert "recision" not in usual
    assert unusual[0].endswith("\n Matmul precision: medium")
    assert unusual[1].endswith("built, matmul_precision='medium'>")
    assert "matmul precision: medium" in unusual[2]
    assert unusual[3] == "<Predictor: 10 -> 8 relu -> 1 sigmoid, matmul_precision=medium>"


def test_show_config_says_what_is_computed(capsys):
    with fr.matmul_precision("medium"):
        fr.show_config()
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("matmul precision"))
    unit = _core.matmul_unit()
    kind = unit.removesuffix("_portable")
    told = {
        "": "medium and high: as highest",
        "avx512_bf16": f"medium: bfloat16 products by {unit}; high: as highest",
        "amx": f"medium and high: bfloat16 products by {unit}",
    }[kind]
    assert line == f"matmul precision  medium ({told})"
    computed = [word for word in ("highest", "high", "medium") if _core.matmul_precision_computes(word)]
    assert computed == ["highest", *{"": [], "avx512_bf16": ["medium"], "amx": ["high", "medium"]}[kind]]
    with pytest.raises(ValueError, match="must be one of highest, high, medium"):
        _core.matmul_precision_computes("bfloat16")


# ----------------------------------------------------------------------------------------------------------- keeping


@pytest.mark.parametrize("word", ["highest", "high", "medium"])
def test_files_and_pickles_and_copies_keep_it(word, tmp_path):
    model = compiled(matmul_precision=word)
    model.fit(*blobs(32, 10, 2), verbose=0)
    path = tmp_path / "net.safetensors"
    model.save(path)
    assert description_of(path).get("matmul_precision") == (None if word == "highest" else word)
    other = "high" if word == "highest" else "highest"
    with fr.matmul_precision(other):
        found = [fr.load(path), pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)]
        clone = fr.models.clone_model(model)
        assert clone.matmul_precision is None
        clone.compile_from_config(json.loads(json.dumps(model.get_compile_config())))
        assert fr.load(path).freeze().matmul_precision == word
        uncompiled = fr.models.load_model(path, compile=False)
    assert [one.matmul_precision for one in (*found, clone)] == [word] * 5
    assert uncompiled.matmul_precision is None
    p = model.freeze()
    again = pickle.loads(pickle.dumps(p))
    assert (repr(again), again.matmul_precision) == (repr(p), word)


def test_pickles_of_frozen_models_keep_names_and_precision_apart():
    import pandas

    model = compiled(matmul_precision="medium")
    frame = pandas.DataFrame(blobs(32, 10, 2)[0], columns=list("abcdefghij"))
    model.fit(frame, blobs(32, 10, 2)[1], verbose=0)
    for given, size in (("medium", 3), ("highest", 2)):
        p = model.freeze(given)
        assert len(p.__reduce__()[1]) == size
        again = pickle.loads(pickle.dumps(p))
        assert (list(again.feature_names_in_), again.matmul_precision) == (list("abcdefghij"), given)


def test_what_older_versions_wrote_is_of_the_highest():
    older = sorted((TESTS / "golden").glob("*.safetensors"))
    assert older
    with fr.matmul_precision("medium"):
        assert {fr.load(path).matmul_precision for path in older} == {"highest"}
        assert pickle.loads((TESTS / "golden/older.pkl").read_bytes())["model"].matmul_precision == "highest"
        config = compiled(matmul_precision="highest").get_compile_config()
        assert "matmul_precision" not in config
        clone = fr.models.clone_model(compiled())
        clone.compile_from_config(config)
    assert clone.matmul_precision == "highest"


@pytest.mark.parametrize("value", ["bfloat16", "low", 16, None])
def test_a_file_with_another_word_is_refused(value, tmp_path):
    path = tmp_path / "net.safetensors"
    compiled(matmul_precision="medium").save(path)
    reader = _core.ModelReader(bytes(path))
    changed = json.loads(reader.description) | {"matmul_precision": value}
    tensors = {
        name: reader.read(i, 0, int(np.prod(shape))).reshape(shape)
        for i, (name, shape) in enumerate(reader.shapes.items())
    }
    _core.save_file(bytes(path), json.dumps(changed), tensors)
    with pytest.raises(ValueError, match="matmul_precision") as refused:
        fr.load(path)
    assert str(path) in str(refused.value)


def test_metrics_and_layers_that_are_changed_later_keep_it():
    model = compiled(matmul_precision="medium")
    model._core.add_metrics(["mae"])
    assert model.matmul_precision == "medium"
    model.layers[0].trainable = False
    assert model.matmul_precision == "medium"


RESUME = """
import json, sys
import fastreg as fr
from programs import blobs
model = fr.load(sys.argv[1])
model.fit(*blobs(83, 10, 2), batch_size=16, epochs=2, verbose=0)
model.save(sys.argv[2])
print(json.dumps([model.matmul_precision, fr.get_matmul_precision()]))
"""


def test_a_new_process_resumes_with_the_words_of_the_file(tmp_path):
    whole, half = compiled(matmul_precision="medium"), compiled(matmul_precision="medium")
    for model, epochs in ((whole, 4), (half, 2)):
        model.fit(*blobs(83, 10, 2), batch_size=16, epochs=epochs, verbose=0)
    half.save(tmp_path / "half.safetensors")
    done = run_program(RESUME, tmp_path / "half.safetensors", tmp_path / "whole.safetensors")
    assert last_json(done) == ["medium", "highest"]
    assert same_bits(fr.load(tmp_path / "whole.safetensors").get_weights(), whole.get_weights())


# -------------------------------------------------------------------------------------------------------- estimators


def test_estimators_have_it_as_a_parameter():
    import sklearn
    from fastreg.sklearn import MLPClassifier, MLPRegressor

    x, y = blobs(60, 5, 2)
    given = {"hidden_layer_sizes": 4, "max_iter": 2, "tol": 0.0, "n_iter_no_change": 99, "random_state": 0}
    for kind in (MLPClassifier, MLPRegressor):
        with pytest.warns(sklearn.exceptions.ConvergenceWarning), fr.matmul_precision("high"):
            fitted = [kind(**given, n_models=2, matmul_precision=word).fit(x, y.ravel()) for word in (None, "bfloat16")]
        assert [one.models_[1].matmul_precision for one in fitted] == ["high", "medium"]
        assert [one.freeze().matmul_precision for one in fitted] == ["high", "medium"]
        assert fitted[1].freeze("highest").matmul_precision == "highest"
        assert sklearn.clone(fitted[1]).matmul_precision == "bfloat16"
        for value, error in (("low", ValueError), (1, TypeError)):
            with pytest.raises(error, match=f"{kind.__name__}: .*matmul_precision"):
                kind(**given, matmul_precision=value).fit(x, y.ravel())
