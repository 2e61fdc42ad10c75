"""Strings as labels: the same training as with the numbers that scikit-learn's LabelEncoder gives."""

import copy
import json
import pickle

import fastreg as fr
import numpy as np
import pytest

NAMES = {2: ["no", "yes"], 3: ["Zug", "bus", "äpfel"]}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).astype(np.float32)
NUMBERS = {n: np.arange(60) % n for n in NAMES}
TEXTS = {n: np.array(names)[NUMBERS[n]] for n, names in NAMES.items()}
FORMS = {
    "array of strings": lambda y: y,
    "objects": lambda y: y.astype(object),
    "list": lambda y: y.tolist(),
    "list of NumPy's": list,
    "tuple": lambda y: tuple(y.tolist()),
    "pandas": lambda y: pytest.importorskip("pandas").Series(y, index=np.arange(60)[::-1]),
    "pandas categories": lambda y: pytest.importorskip("pandas").Series(y, dtype="category"),
    "polars": lambda y: pytest.importorskip("polars").Series(y.tolist()),
    "arrow": lambda y: pytest.importorskip("pyarrow").array(y.tolist()),
    "chunks of Arrow": lambda y: pytest.importorskip("pyarrow").chunked_array([y[:20].tolist(), y[20:].tolist()]),
    "dictionary of Arrow": lambda y: pytest.importorskip("pyarrow").array(y.tolist()).dictionary_encode(),
    "strings of NumPy": lambda y: y.astype(np.dtypes.StringDType()),
}


def model_of(n, units=None, loss=None):
    units = (1 if n == 2 else n) if units is None else units
    stack = [fr.layers.Dense(4, "relu"), fr.layers.Dense(units, "sigmoid" if units == 1 else "softmax")]
    model = fr.Sequential(stack, seed=0)
    usual = "binary_crossentropy" if units == 1 else "sparse_categorical_crossentropy"
    model.compile("adam", usual if loss is None else loss, ["accuracy"])
    return model


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("n", NAMES)
def test_the_same_as_with_numbers(n, form):
    encoder = pytest.importorskip("sklearn.preprocessing").LabelEncoder()
    numbers = encoder.fit_transform(TEXTS[n])
    plain, model = model_of(n), model_of(n)
    given = {"epochs": 3, "verbose": 0, "validation_split": 0.25}
    expected = plain.fit(X, numbers, **given).history
    assert model.fit(X, form(TEXTS[n]), **given).history == expected
    assert model.classes_.tolist() == encoder.classes_.tolist()
    assert model.classes_.dtype == object
    assert np.array_equal(model.predict(X), plain.predict(X))
    assert model.evaluate(X, form(TEXTS[n]), verbose=0) == plain.evaluate(X, numbers, verbose=0)
    assert model.test_on_batch(X, form(TEXTS[n])) == plain.test_on_batch(X, numbers)
    assert model.train_on_batch(X, form(TEXTS[n])) == plain.train_on_batch(X, numbers)


def test_validation_data_and_weights_of_classes():
    plain, model = model_of(3), model_of(3)
    weights = {"bus": 2.0, "Zug": 0.5}
    expected = plain.fit(
        *(X, NUMBERS[3]), epochs=2, verbose=0, validation_data=(X, NUMBERS[3]), class_weight={0: 0.5, 1: 2.0}
    )
    found = model.fit(X, TEXTS[3], epochs=2, verbose=0, validation_data=(X, TEXTS[3]), class_weight=weights)
    assert found.history == expected.history
    numbered = {0: 0.5, 1: 2.0}
    assert model.evaluate(X, TEXTS[3], class_weight=weights) == plain.evaluate(X, NUMBERS[3], class_weight=numbered)
    with pytest.raises(ValueError, match="class_weight: labels must be classes, 'Zug', 'bus', 'äpfel', got 'tram'"):
        model.fit(X, TEXTS[3], verbose=0, class_weight={"tram": 1.0})


def test_two_outputs_and_two_labels():
    model = model_of(2, 2)
    model.fit(X, TEXTS[2], verbose=0)
    labels = model.classes_[np.argmax(model.predict(X), axis=1)]
    assert set(labels) <= set(NAMES[2])


def test_a_second_fit_keeps_the_classes():
    model = model_of(3)
    model.fit(X, TEXTS[3], verbose=0)
    model.fit(X[:20], np.array(["bus"] * 20), verbose=0)
    model.fit(X, NUMBERS[3], verbose=0)  # numbers stay possible
    assert model.classes_.tolist() == NAMES[3]
    calls = {
        "y": lambda y: model.fit(X, y, verbose=0),
        "validation_data y": lambda y: model.fit(X, TEXTS[3], validation_data=(X, y), verbose=0),
        "y: ": lambda y: model.evaluate(X, y, verbose=0),
    }
    wrong = TEXTS[3].astype(object)
    wrong[[7, 9]] = ["tram", "ferry"]
    for name, call in calls.items():
        with pytest.raises(ValueError, match=rf"{name}.*'Zug', 'bus', 'äpfel'; got 'ferry', 'tram', first in row 7"):
            call(wrong)


def test_classes_are_in_copies_and_files(tmp_path):
    model = model_of(3)
    model.fit(X, TEXTS[3], verbose=0)
    path = tmp_path / "m.safetensors"
    for with_optimizer in (True, False):
        model.save(path, include_optimizer=with_optimizer)
        assert fr.load(path).classes_.tolist() == NAMES[3]
    for same in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert same.classes_.tolist() == NAMES[3]
        assert same.evaluate(X, TEXTS[3], verbose=0) == model.evaluate(X, TEXTS[3], verbose=0)


@pytest.mark.parametrize(
    "classes", ["abc", ["a", "b"], ["b", "a", "c"], ["a", "a", "b"], [1, 2, 3], {"a": 1}, ["a", "b", "c", "d"]]
)
def test_damaged_classes_in_a_file(tmp_path, classes):
    model = model_of(3)
    model.fit(X, TEXTS[3], verbose=0)
    path = tmp_path / "m.safetensors"
    model.save(path, include_optimizer=False)
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"]["fastreg"] = json.dumps(json.loads(header["__metadata__"]["fastreg"]) | {"classes": classes})
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
    with pytest.raises(ValueError, match="classes must be"):
        fr.load(path)


REFUSED = {
    "three labels, one output": (2, None, TEXTS[3], ValueError, "one output, which tells two classes apart, got 3"),
    "two labels, three outputs": (3, None, TEXTS[2], ValueError, "3 outputs, .* got 2 .*integers in .0, 3. as"),
    "one label": (2, None, ["same"] * 60, ValueError, "got 1 different labels: 'same'"),
    "mixed": (2, None, ["a", *[1] * 59], TypeError, "labels must all be strings, or all be integers, got 1 in row 1"),
    "missing": (2, None, ["a"] * 59 + [None], TypeError, "got None in row 59"),
    "another loss": (2, "mse", TEXTS[2], TypeError, "y: must be numbers, but it holds text"),
    "a column": (2, None, TEXTS[2][:, None], TypeError, "y: must be numbers, but column 0 holds text"),
    "too few": (2, None, TEXTS[2][:50], ValueError, "50"),
}


@pytest.mark.parametrize(("n", "loss", "y", "error", "told"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(n, loss, y, error, told):
    model = model_of(n, loss=loss)
    with pytest.raises(error, match=told):
        model.fit(X, y, verbose=0)
    assert not hasattr(model, "classes_")  # a fit without a step makes no classes


def test_labels_before_a_fit():
    model = model_of(2)
    model.build(3)
    with pytest.raises(ValueError, match="strings as labels need a model that was fitted on such labels, got 'no'"):
        model.evaluate(X, TEXTS[2], verbose=0)
    assert not hasattr(model, "classes_")


def test_other_outputs_after_the_fit(tmp_path):
    model = model_of(3)
    model.fit(X, TEXTS[3], verbose=0)
    model.pop()
    model.add(fr.layers.Dense(4, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="fitted on 3 classes and now has 4 outputs"):
        model.fit(X, TEXTS[3], verbose=0)
    model.save(tmp_path / "m.safetensors")
    assert not hasattr(fr.load(tmp_path / "m.safetensors"), "classes_")
