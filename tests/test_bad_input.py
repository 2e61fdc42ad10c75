"""Arrays that are refused: an error of the right kind that names argument, rule and value, before anything has changed.

One table of bad inputs: add a row.
"""
from __future__ import annotations

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers
from programs import binary, blobs, compiled, last_json, line, multiclass, refusal, regressor, run_program, same_bits

N, F = 40, 3
X, Y = line(N, F)
BX, BY = blobs(N, F, 2)
MX, MY = blobs(N, F, 3)


def put(array, index, value):
    array = np.array(array, np.float64 if np.asarray(array).dtype.kind == "f" else None)
    array[index] = value
    return array


# id: (model, x, y, more arguments of fit, error, what the message must hold: argument, rule, value).
BAD = {
    "x flat": (regressor, X[:, 0], Y, {}, ValueError, ["x", "2-D|2 dimensions|two", r"\(40,\)|1"]),
    "x cube": (regressor, X[None], Y, {}, ValueError, ["x", "2-D|2 dimensions|two", r"\(1, 40, 3\)|3"]),
    "x scalar": (regressor, 3.0, Y, {}, ValueError, ["x", "2-D|2 dimensions|two"]),
    "x None": (regressor, None, Y, {}, TypeError, ["x", "None"]),
    "x text": (regressor, [["a", "b"]] * N, Y, {}, TypeError, ["x", "number|cast|numeric"]),
    "x bytes": (regressor, np.full((N, F), b"ab"), Y, {}, TypeError, ["x", "number|cast|numeric"]),
    "x dates": (regressor, np.zeros((N, F), "datetime64[s]"), Y, {}, TypeError, ["x", "datetime64"]),
    "x complex": (regressor, X + 1j, Y, {}, TypeError, ["x", "real", "complex"]),
    "x complex list": (regressor, (X + 1j).tolist(), Y, {}, TypeError, ["x", "real", "complex"]),
    "x objects": (regressor, np.full((N, F), object(), object), Y, {}, TypeError, ["x"]),
    "x objects with None": (regressor, np.full((N, F), None, object), Y, {}, (TypeError, ValueError), ["x", "number"]),
    "x records": (regressor, np.zeros((N, F), [("a", "f4")]), Y, {}, TypeError, ["x"]),
    "x dict": (regressor, {"a": 1}, Y, {}, TypeError, ["x", "dict"]),
    "x ragged": (regressor, [[1.0, 2.0], [3.0]], Y[:2], {}, ValueError, ["x"]),
    "x string": (regressor, "data.csv", Y, {}, TypeError, ["x"]),
    "x no rows": (regressor, X[:0], Y[:0], {}, ValueError, ["x", "row|empty", "0"]),
    "x no columns": (regressor, X[:, :0], Y, {}, ValueError, ["x", "column|feature|empty", "0"]),
    "x and y differ": (regressor, X, Y[:-1], {}, ValueError, ["x", "y", "40", "39"]),
    "x NaN": (regressor, put(X, (7, 2), np.nan), Y, {}, ValueError, ["x", "finite|NaN", "column 2"]),
    "x NaN float32": (regressor, put(X, (7, 2), np.nan).astype(np.float32), Y, {}, ValueError, ["x", "column 2"]),
    "x infinite": (regressor, put(X, (0, 1), np.inf), Y, {}, ValueError, ["x", "finite|inf", "column 1"]),
    "x minus infinite": (regressor, put(X, (39, 0), -np.inf), Y, {}, ValueError, ["x", "finite|inf", "column 0"]),
    "x beyond float32": (regressor, put(X, (3, 1), 1e300), Y, {}, ValueError, ["x", "float32", "column 1", "1e"]),
    "x beyond float32, int": (regressor, np.full((N, F), 10**50, object), Y, {}, ValueError, ["x", "float32"]),
    "x beyond floats": (regressor, np.full((N, F), 10**400, object), Y, {}, ValueError, ["x", "within", "float32"]),
    "y None": (regressor, X, None, {}, TypeError, ["y", "None"]),
    "y scalar": (regressor, X, 1.0, {}, ValueError, ["y"]),
    "y cube": (regressor, X, Y[:, :, None], {}, ValueError, ["y", r"\(40, 1, 1\)|3"]),
    "y too wide": (regressor, X, np.hstack([Y, Y]), {}, ValueError, ["y", "1", "2"]),
    "y a row": (regressor, X, Y.T, {}, ValueError, ["y", r"\(1, 40\)|1"]),
    "y NaN": (regressor, X, put(Y, (5, 0), np.nan), {}, ValueError, ["y", "finite|NaN"]),
    "y infinite": (regressor, X, put(Y[:, 0], 5, np.inf), {}, ValueError, ["y", "finite|inf"]),
    "y beyond float32": (regressor, X, put(Y, (5, 0), -1e200), {}, ValueError, ["y", "float32"]),
    "y complex": (regressor, X, Y + 0j, {}, TypeError, ["y", "real", "complex"]),
    "y text": (regressor, X, ["a"] * N, {}, TypeError, ["y"]),
    "y NaN in a column": (lambda: compiled([layers.Dense(2)], loss="mse"), X, put(np.hstack([Y, Y]), (1, 1), np.nan),
                          {}, ValueError, ["y", "column 1"]),
    "binary beyond one": (binary, BX, BY * 2, {}, ValueError, ["y", r"\[0, 1\]|0 and 1|0 or 1", "2"]),
    "binary below zero": (binary, BX, BY * 2.0 - 1, {}, ValueError, ["y", r"\[0, 1\]|0 and 1|0 or 1", "-1"]),
    "binary text and numbers": (binary, BX, ["no", *BY[1:].tolist()], {}, TypeError, ["y", "strings", "row 1"]),
    "label too large": (multiclass, MX, put(MY, 4, 3), {}, ValueError, ["y", r"\[0, 3\)|\[0, 2\]|0 to 2", "3"]),
    "label negative": (multiclass, MX, put(MY, 4, -1), {}, ValueError, ["y", "0", "-1"]),
    "label fractional": (multiclass, MX, put(MY.astype(float), 4, 1.5), {}, ValueError, ["y", "integer|whole", "1.5"]),
    "label NaN": (multiclass, MX, put(MY.astype(float), 4, np.nan), {}, ValueError, ["y", "nan|NaN|finite"]),
    "label 2^32": (multiclass, MX, put(MY.astype(np.int64), 4, 1 << 32), {}, ValueError, ["y", "4294967296"]),
    "label 2^64 - 1": (multiclass, MX, put(MY.astype(np.uint64), 4, (1 << 64) - 1), {}, ValueError, ["y"]),
    "labels one-hot": (multiclass, MX, np.eye(3)[MY], {}, ValueError, ["y", "categorical_crossentropy|labels|3"]),
    "one-hot flat": (lambda: multiclass("categorical_crossentropy"), MX, MY, {}, ValueError,
                     ["y", "one-hot|sparse_categorical_crossentropy|3"]),
    "one-hot too wide": (lambda: multiclass("categorical_crossentropy"), MX, np.eye(4)[MY], {}, ValueError,
                         ["y", "3", "4"]),
    "probability below zero": (lambda: multiclass("categorical_crossentropy"), MX, np.eye(3)[MY] - 0.1, {},
                               ValueError, ["y", "0", "-0.1"]),
    "weight short": (regressor, X, Y, {"sample_weight": np.ones(N - 1)}, ValueError, ["sample_weight", "40", "39"]),
    "weight 2-D": (regressor, X, Y, {"sample_weight": np.ones((N, 2))}, ValueError, ["sample_weight"]),
    "weight negative": (regressor, X, Y, {"sample_weight": put(np.ones(N), 3, -1.0)}, ValueError,
                        ["sample_weight", ">= 0|negative", "-1"]),
    "weight NaN": (regressor, X, Y, {"sample_weight": put(np.ones(N), 3, np.nan)}, ValueError,
                   ["sample_weight", "nan|NaN|finite"]),
    "weight infinite": (regressor, X, Y, {"sample_weight": put(np.ones(N), 3, np.inf)}, ValueError,
                        ["sample_weight", "inf|finite"]),
    "weights all zero": (regressor, X, Y, {"sample_weight": np.zeros(N)}, ValueError, ["sample_weight", "0|zero"]),
    "weight text": (regressor, X, Y, {"sample_weight": "balanced"}, TypeError, ["sample_weight"]),
    "weight complex": (regressor, X, Y, {"sample_weight": np.ones(N) * 1j}, TypeError, ["sample_weight", "real"]),
    "class_weight a list": (multiclass, MX, MY, {"class_weight": [1, 2, 3]}, TypeError, ["class_weight", "dict"]),
    "class_weight unknown": (multiclass, MX, MY, {"class_weight": "heavy"}, (TypeError, ValueError),
                             ["class_weight", "heavy", "balanced"]),
    "class_weight negative": (multiclass, MX, MY, {"class_weight": {0: 1.0, 1: -1.0, 2: 1.0}}, ValueError,
                              ["class_weight", "-1"]),
    "class_weight NaN": (multiclass, MX, MY, {"class_weight": {0: 1.0, 1: np.nan, 2: 1.0}}, ValueError,
                         ["class_weight", "nan"]),
    "class_weight beyond floats": (multiclass, MX, MY, {"class_weight": {0: 10**400}}, ValueError,
                                   ["class_weight", "class 0", "finite", r"2\*\*1328"]),
    "class_weight of a huge label": (multiclass, MX, MY, {"class_weight": {10**5000: 1.0}}, ValueError,
                                     ["class_weight", "labels", r"2\*\*16609"]),
    "class_weight out of range": (multiclass, MX, MY, {"class_weight": {0: 1.0, 1: 1.0, 2: 1.0, 3: 1.0}}, ValueError,
                                  ["class_weight", "3"]),
    "class_weight of a regression": (regressor, X, Y, {"class_weight": {0: 1.0}}, ValueError, ["class_weight"]),
    "validation x flat": (regressor, X, Y, {"validation_data": (X[:, 0], Y)}, ValueError, ["validation_data|x_val"]),
    "validation narrow": (regressor, X, Y, {"validation_data": (X[:, :2], Y)}, ValueError,
                          ["validation_data", "3", "2"]),
    "validation NaN": (regressor, X, Y, {"validation_data": (put(X, (0, 2), np.nan), Y)}, ValueError,
                       ["validation_data", "column 2"]),
    "validation y short": (regressor, X, Y, {"validation_data": (X, Y[:3])}, ValueError, ["validation_data", "3"]),
    "validation empty": (regressor, X, Y, {"validation_data": (X[:0], Y[:0])}, ValueError, ["validation_data", "0"]),
    "validation alone": (regressor, X, Y, {"validation_data": X}, (TypeError, ValueError), ["validation_data"]),
    "validation of four": (regressor, X, Y, {"validation_data": (X, Y, Y, Y)}, ValueError, ["validation_data", "4"]),
    "validation label": (multiclass, MX, MY, {"validation_data": (MX, MY + 1)}, ValueError, ["validation_data", "3"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_names_argument_rule_and_value(case):
    make, x, y, more, error, words = BAD[case]
    model = make()
    with refusal(error, words):
        model.fit(x, y, verbose=0, **more)


@pytest.mark.parametrize("case", [case for case in BAD if not BAD[case][3] and case != "x no columns"])
def test_evaluate_refuses_what_fit_refuses(case):
    make, x, y, _, error, words = BAD[case]
    model = make()
    model.build(F)
    with refusal(error, words):
        model.evaluate(x, y, verbose=0)


@pytest.mark.parametrize("case", [case for case in BAD if case.startswith("x ") and case != "x and y differ"])
def test_predict_refuses_what_fit_refuses(case):
    make, x, _, _, error, words = BAD[case]
    model = make()
    model.build(F)
    with refusal(error, [word for word in words if word != "y"]):
        model.predict(x)


def test_a_refused_fit_changes_nothing():
    model = regressor()
    model.fit(X, Y, verbose=0)
    before, history = model.get_weights(), model.history
    for case in ("x NaN", "y None", "weight negative", "validation narrow", "x and y differ"):
        _, x, y, more, error, _ = BAD[case]
        with pytest.raises(error):
            model.fit(x, y, verbose=0, **more)
    assert same_bits(before, model.get_weights())
    assert model.history is history


def test_the_width_of_a_built_model_is_kept():
    model = regressor(n_features=F)
    for action in (model.predict, lambda x: model.fit(x, Y, verbose=0), lambda x: model.evaluate(x, Y, verbose=0)):
        with refusal(ValueError, ["x", "3", "2"]):
            action(X[:, :2])


@pytest.mark.parametrize("stack", [
    [(1 << 31) - 1, (1 << 31) - 1], [1 << 20, 1 << 20, 1 << 20], [10**6, 10**6], [1 << 40], [1 << 70],
])
def test_a_network_larger_than_memory_is_refused_before_anything_is_allocated(stack):
    program = """
import json, resource, sys
import numpy as np
import fastreg as fr
from fastreg import layers
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
found = []
before = peak()
for way in ("build", "fit"):
    try:
        model = fr.Sequential([layers.Dense(units) for units in [*json.loads(sys.argv[1]), 1]], seed=0)
        model.compile(loss="mse", optimizer="adam")
        if way == "build":
            model.build(10)
        else:
            model.fit(np.ones((4, 10), np.float32), np.ones((4, 1), np.float32), verbose=0)
        found.append("built")
    except ValueError as error:
        found.append(str(error))
print(json.dumps([found, peak() - before]))
"""
    found, grown = last_json(run_program(program, stack))
    for message in found:
        assert message != "built"
        assert message.strip()
        assert any(word in message for word in ("memory", "units", "parameters"))
    assert grown < 64 << 20


def test_memory_of_the_message_is_named():
    model = fr.Sequential([layers.Dense(2_000_000_000), layers.Dense(1000)], seed=0)
    model.compile(loss="mse", optimizer="adam")
    with refusal(ValueError, ["memory|bytes|GB|GiB"]):
        model.build(1000)
