"""A Predictor as Python sees it: arguments and their errors, what is written where, references, copies, threads."""

import contextlib
import copy
import doctest
import gc
import inspect
import itertools
import pickle
import re
import sys
import threading
import tracemalloc
import weakref

import fastreg as fr
import numpy as np
import pytest
from fastreg import _core, callbacks, layers
from programs import blobs, compiled, refusal, run_program, tutorial_layers

N = 10


@pytest.fixture(scope="module")
def model():
    x, y = blobs(64, N, 2)
    model = compiled(tutorial_layers())
    model.fit(x, y, epochs=2, verbose=0)
    return model


@pytest.fixture(scope="module")
def p(model):
    return model.freeze()


@pytest.fixture
def x():
    return np.random.default_rng(1).normal(size=(7, N)).astype(np.float32)


def test_forms_of_the_call(p, x):
    y = p(x)
    assert type(y) is np.ndarray
    assert y.dtype == np.float32
    assert y.shape == (7, 1)
    assert y.flags.c_contiguous
    assert y.flags.writeable
    out = np.full((7, 1), np.nan, np.float32)
    for call in (lambda: p(x, out), lambda: p(x, out=out), lambda: p(x=x, out=out), lambda: p(out=out, x=x)):
        out.fill(np.nan)
        assert call() is out
        assert out.tobytes() == y.tobytes()
    for call in (lambda: p(x, None), lambda: p(x, out=None), lambda: p(x=x)):
        assert call() is not y
        assert call().tobytes() == y.tobytes()
    # A keyword that was built at run time is not the interned one.
    assert p(x, **{"".join(["o", "ut"]): out}) is out


def test_attributes(p):
    assert (p.n_features, p.n_outputs) == (N, 1)
    assert repr(p) == "<Predictor: 10 -> 64 relu -> 1 sigmoid>"
    assert fr.Predictor is type(p)
    assert fr.Predictor.__text_signature__ == "(network, feature_names=None, matmul_precision='highest', /)"
    with pytest.raises(AttributeError):
        p.n_features = 3
    with pytest.raises(AttributeError):
        p.anything = 3
    with pytest.raises(TypeError):
        fr.Predictor.n_features = 3


def test_help():
    """The signature of a call, and examples that run: the walk over docstrings leaves the compiled module out."""
    p = compiled([layers.Dense(1)], loss="mse", n_features=2).freeze()
    assert str(inspect.signature(p)) == "(x, out=None)"
    assert str(inspect.signature(fr.Predictor)) == "(network, feature_names=None, matmul_precision='highest', /)"
    assert p.__call__(np.ones((3, 2), np.float32)).tobytes() == p(np.ones((3, 2), np.float32)).tobytes()
    for part in ("Args:", "Returns:", "Raises:"):
        assert part in fr.Predictor.__call__.__doc__
    test = doctest.DocTestParser().get_doctest(fr.Predictor.__doc__, {}, "Predictor", None, 0)
    assert len(test.examples) >= 5
    assert doctest.DocTestRunner().run(test).failed == 0


def test_weak_references(model):
    p = model.freeze()
    dropped = []
    reference = weakref.ref(p, dropped.append)
    cache = weakref.WeakKeyDictionary({p: 1})
    assert reference() is p
    assert cache[p] == 1
    del p
    gc.collect()
    assert dropped == [reference]
    assert not cache


def test_everything_numeric_is_converted(p, x):
    y = p(x)
    same = {
        "list": x.tolist(),
        "float64": x.astype(np.float64),
        "float16": x.astype(np.float16),
        "big endian": x.astype(">f4"),
        "Fortran order": np.asfortranarray(x),
        "every second row": np.repeat(x, 2, axis=0)[::2],
        "every second column": np.repeat(x, 2, axis=1)[:, ::2],
        "reversed": x[::-1].copy()[::-1],
        "not aligned": np.frombuffer(b"_" + x.tobytes(), np.float32, offset=1).reshape(x.shape),
        "read-only": np.frombuffer(x.tobytes(), np.float32).reshape(x.shape),
        "memory map": x.view(np.memmap),
        "objects": x.astype(object),
    }
    assert not same["not aligned"].flags.aligned
    for what, value in same.items():
        expected = p(np.ascontiguousarray(value, np.float32)) if what == "float16" else y
        assert p(value).tobytes() == expected.tobytes(), what
    whole = np.arange(3 * N).reshape(3, N) % 5
    expected = p(whole.astype(np.float32))
    for dtype in (np.uint8, np.int8, np.int16, np.int32, np.int64, np.uint64):
        assert p(whole.astype(dtype)).tobytes() == expected.tobytes(), dtype
    assert p(whole > 2).tobytes() == p((whole > 2).astype(np.float32)).tobytes()


class Frame:
    """What a data frame is to NumPy."""

    def __init__(self, values):
        self.values, self.columns = values, [f"c{i}" for i in range(values.shape[1])]

    def __array__(self, dtype=None, copy=None):
        return self.values


def test_a_frame_is_converted(p, x):
    assert p(Frame(x.astype(np.float64))).tobytes() == p(x).tobytes()


def test_no_rows_give_no_rows(p):
    assert p(np.empty((0, N), np.float32)).shape == (0, 1)
    assert p(np.empty((0, N))).shape == (0, 1)
    out = np.empty((0, 1), np.float32)
    assert p(np.empty((0, N), np.float32), out=out) is out


def test_no_features_are_touched(p, x):
    before = x.copy()
    p(x, out=np.empty((7, 1), np.float32))
    assert x.tobytes() == before.tobytes()


def test_nothing_behind_out_is_written(p, x):
    memory = np.full(7 + 64, 7.0, np.float32)
    p(x, out=memory[32:39].reshape(7, 1))
    assert (memory[:32] == 7).all()
    assert (memory[39:] == 7).all()


BAD_X = [
    (np.zeros((2, N + 1), np.float32), ValueError, ["x", "10 features", "11"]),
    (np.zeros((2, N + 1)), ValueError, ["x", "10 features", "11"]),
    (np.zeros(N, np.float32), ValueError, ["x", "2-D", r"\(10,\)", r"reshape\(1, -1\)"]),
    (np.zeros((1, 2, N), np.float32), ValueError, ["x", "2-D", r"\(1, 2, 10\)"]),
    (np.float32(1), ValueError, ["x", "2-D"]),
    ([], ValueError, ["x", "2-D"]),
    ([[1.0] * N, [1.0]], ValueError, ["x", "same length"]),
    (np.zeros((2, N), complex), TypeError, ["x", "real", "complex128"]),
    (np.full((2, N), "a"), TypeError, ["x", "numbers"]),
    (None, TypeError, ["x", "numbers", "None"]),
    ("abc", TypeError, ["x", "numbers", "abc"]),
    (np.full((3, N), 1e300), ValueError, ["x", "float32", r"1e\+300", "column 0", "row 0"]),
    (np.ma.masked_array(np.zeros((1, N), np.float32), np.eye(1, N, dtype=bool)), ValueError, ["x", "masked"]),
]


@pytest.mark.parametrize(("value", "error", "words"), BAD_X, ids=[str(i) for i in range(len(BAD_X))])
def test_bad_x(p, value, error, words):
    with refusal(error, words):
        p(value)
    out = np.full((2, 1), 5.0, np.float32)
    with refusal(error, words):
        p(value, out=out)
    assert (out == 5).all()


READ_ONLY = np.zeros((7, 1), np.float32)
READ_ONLY.flags.writeable = False
BAD_OUT = [
    ([[0.0]] * 7, TypeError, ["out", "NumPy array", "written"]),
    (7, TypeError, ["out", "NumPy array"]),
    (np.zeros((7, 1)), TypeError, ["out", "float32", "float64"]),
    (np.zeros((7, 1), ">f4"), TypeError, ["out", "float32", ">f4"]),
    (np.zeros((6, 1), np.float32), ValueError, ["out", r"\(7, 1\)", r"\(6, 1\)"]),
    (np.zeros((7, 2), np.float32), ValueError, ["out", r"\(7, 1\)", r"\(7, 2\)"]),
    (np.zeros(7, np.float32), ValueError, ["out", r"\(7, 1\)", r"\(7,\)"]),
    (READ_ONLY, ValueError, ["out", "writable"]),
    (np.zeros((14, 1), np.float32)[::2], ValueError, ["out", "C-contiguous"]),
    (np.frombuffer(bytearray(29), np.float32, offset=1).reshape(7, 1), ValueError, ["out", "aligned"]),
    (np.ma.masked_array(np.zeros((7, 1), np.float32), np.eye(7, 1, dtype=bool)), TypeError, ["out", "mask", "data"]),
]


@pytest.mark.parametrize(("out", "error", "words"), BAD_OUT, ids=[str(i) for i in range(len(BAD_OUT))])
def test_bad_out(p, x, out, error, words):
    before = np.array(out).tobytes()
    for value in (x, x.astype(np.float64)):
        with refusal(error, words):
            p(value, out=out)
    assert np.array(out).tobytes() == before


def test_out_must_not_overlap_x():
    model = compiled([layers.Dense(4)], loss="mse", n_features=4)
    p = model.freeze()
    memory = np.zeros((20, 4), np.float32)
    for begin in (0, 3, 6):
        with refusal(ValueError, ["out", "overlap"]):
            p(memory[3:7], out=memory[begin:begin + 4])
    p(memory[4:8], out=memory[:4])
    p(memory[4:8], out=memory[8:12])
    # What is converted is a copy, and may be overwritten.
    wide = np.zeros((4, 4))
    p(wide, out=wide.view(np.float32)[:2].reshape(4, 4))


@pytest.mark.parametrize(
    ("args", "keywords", "words"),
    [
        ((), {}, ["x"]),
        ((), {"out": None}, ["x"]),
        ((1, 2, 3), {}, ["3 arguments"]),
        ((1,), {"x": 1}, ["two values", "x"]),
        ((1, None), {"out": None}, ["two values", "out"]),
        ((1,), {"batch_size": 1}, ["unexpected", "batch_size"]),
    ],
)
def test_bad_arguments(p, args, keywords, words):
    with refusal(TypeError, words):
        p(*args, **keywords)


@pytest.mark.parametrize("args", [(), (1,), ("a",), (None,), ({},), (1, 2), ([1],), ([(1,)],)])
def test_bad_construction(args):
    with pytest.raises((TypeError, ValueError, RuntimeError)):
        fr.Predictor(*args)


def test_a_model_is_told_to_freeze(model):
    with refusal(TypeError, ["Sequential", r"model\.freeze\(\)"]):
        fr.Predictor(model)


def test_out_may_be_a_memory_map(p, x, tmp_path):
    out = np.memmap(tmp_path / "y", np.float32, "w+", shape=(7, 1))
    assert p(x, out=out) is out
    assert out.tobytes() == p(x).tobytes()


KERNEL, ONES = np.ones((3, 2), np.float32), np.ones(2, np.float32)


@pytest.mark.parametrize(
    "state",
    [
        [],
        [("relu", 3, KERNEL, None, None)],
        [("relu", 4, KERNEL, None, None, None)],
        [("relu", 0, None, None, None, None)],
        [("relu", 3, KERNEL, np.ones(3, np.float32), None, None)],
        [("relu", 3, KERNEL, ONES, ONES, ONES)],
        [("relu", 2, None, ONES, None, ONES)],
        [("nothing", 3, KERNEL, None, None, None)],
        [("relu", 3, KERNEL.astype(np.float64), None, None, None)],
        [("relu", 3, KERNEL, None, None, None), ("relu", 3, KERNEL, None, None, None)],
        [("relu", -1, None, None, None, None)],
        [("relu", 3, np.ones((3, 0), np.float32), None, None, None)],
    ],
)
def test_a_damaged_state_is_refused(state):
    with pytest.raises((TypeError, ValueError, RuntimeError)):
        fr.Predictor(state)


def test_freeze_needs_weights():
    for model in (fr.Sequential(), fr.Sequential([layers.Dense(1)])):
        with refusal(ValueError, ["freeze"]):
            model.freeze()
    model = fr.Sequential([layers.Dense(2)])
    model.build(3)
    assert model.freeze()(np.zeros((1, 3))).shape == (1, 2)


def test_training_goes_on_and_the_predictor_stays(x):
    data, y = blobs(64, N, 2)
    model = compiled(tutorial_layers())
    model.fit(data, y, epochs=1, verbose=0)
    p = model.freeze()
    before = p(x)
    model.fit(data, y, epochs=2, verbose=0)
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    assert p(x).tobytes() == before.tobytes()
    del model
    gc.collect()
    assert p(x).tobytes() == before.tobytes()


def test_freeze_within_a_callback(x):
    data, y = blobs(64, N, 2)
    frozen = []

    class Freeze(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            frozen.append((self.model.freeze(), self.model.predict(x)))

    compiled(tutorial_layers()).fit(data, y, epochs=3, verbose=0, callbacks=[Freeze()])
    assert len(frozen) == 3
    for p, expected in frozen:
        np.testing.assert_allclose(p(x), expected, rtol=1e-5)


STATES = [
    tutorial_layers(),
    [layers.BatchNormalization(), layers.Activation("tanh"), layers.Dense(17, use_bias=False)],
    [layers.Dense(3, "softmax"), layers.BatchNormalization()],
    [layers.Activation("gelu")],
]


@pytest.mark.parametrize("stack", STATES, ids=range(len(STATES)))
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles(stack, protocol, x):
    p = compiled(stack, loss="mse", n_features=N).freeze()
    for same in (pickle.loads(pickle.dumps(p, protocol)), copy.copy(p), copy.deepcopy(p)):
        assert repr(same) == repr(p)
        assert same(x).tobytes() == p(x).tobytes()


@pytest.mark.parametrize(("layer", "error", "message"), [
    (7, TypeError, "a layer must be a tuple, got 7"),
    (("relu", 2), ValueError, "a layer has 6 or 7 fields, got 2"),
    ((1, 2, None, None, None, None), TypeError, "activation must be a string, got 1"),
    ((b"relu", 2, None, None, None, None), TypeError, "activation must be a string, got b'relu'"),
    ((("relu", 1.0), 2, None, None, None, None), ValueError, "activation must be a string or four fields"),
    ((("celu", 1.0, 0.0, "0"), 2, None, None, None, None), TypeError, "a parameter of an activation must be a float"),
    ((("celu", 1.0, 0.0, 0.0), 2, None, None, None, None, 3), TypeError, "the form of a layer must be three fields"),
    (("relu", 2, None, None, None, None, (1, "unit", 0.0)), TypeError, "rectified must be a bool"),
    (("relu", 2, None, None, None, None, (False, "mean", 0.0)), ValueError, "the statistic must be none, unit"),
    (("relu", 2, None, None, None, None, (False, "unit", None)), TypeError, "epsilon must be a float"),
    (("relu", 2, None, None, None, None, (False, "standard", -1.0)), ValueError, "epsilon must be >= 0"),
    (("relu", 2, None, None, None, None, (True, "none", 0.0)), ValueError, "must have a scale where it is rectified"),
    (("relu", 2, np.zeros((2, 2), np.float32), None, None, None, (False, "unit", 0.0)), ValueError, "no kernel where"),
    (("relu", 2, None, *[np.zeros(2, np.float32)] * 3, (False, "unit", 0.0)), ValueError, "no scale where"),
    (("bad", 2, None, None, None, None), ValueError, "activation"),
    (("relu", "2", None, None, None, None), TypeError, "inputs must be an integer, got '2'"),
    (("relu", 2.5, None, None, None, None), TypeError, "inputs must be an integer, got 2.5"),
    (("relu", None, None, None, None, None), TypeError, "inputs must be an integer, got None"),
    *[(("relu", inputs, None, None, None, None), ValueError, f"inputs must be in [1, 2**63), got {inputs}")
      for inputs in (-1, 0, 2**63, -2**64)],
    *[(("relu", inputs, None, None, None, None), ValueError, "more than the")
      for inputs in (2**40, 2**62, (2**64 + 32) // 3)],
    (("relu", 2, np.zeros((2, 2)), None, None, None), TypeError, "kernel must have dtype float32"),
    (("relu", 2, np.zeros((3, 2), np.float32), None, None, None), ValueError, "in * out values"),
])
def test_a_state_that_is_none(p, layer, error, message):
    """What a pickle holds is checked like any argument."""
    with pytest.raises(error, match=re.escape(message)):
        type(p)([layer])


def test_pickles_into_another_process(p, x, tmp_path):
    (tmp_path / "p").write_bytes(pickle.dumps((p, x)))
    program = """
import pathlib, pickle, sys
folder = pathlib.Path(sys.argv[1])
p, x = pickle.loads((folder / "p").read_bytes())
(folder / "y").write_bytes(p(x).tobytes())
"""
    run_program(program, tmp_path, env={"FASTREG_ISA": _core.active_isa()})
    assert (tmp_path / "y").read_bytes() == p(x).tobytes()


def references(*objects):
    return [sys.getrefcount(thing) for thing in objects]


def test_references_are_balanced(p, x):
    out, wrong = np.empty((7, 1), np.float32), np.empty((3, 3), np.float32)
    other, double = x[:, :4], x.astype(np.float64)
    shared = (p, x, out, wrong, other, double, None, type(p))
    calls = [
        lambda: p(x), lambda: p(x, out), lambda: p(x, out=out), lambda: p(x=x, out=None), lambda: p(double, out),
        lambda: p(other), lambda: p(x, out=wrong), lambda: p(x, oops=out), lambda: p(x, out, out=out), lambda: p(),
        lambda: p("a"), lambda: p(x, x), lambda: repr(p), lambda: pickle.loads(pickle.dumps(p)), lambda: p.n_features,
        lambda: type(p)([1]),
    ]
    for call in calls:
        for repetition in range(12):
            if repetition == 2:
                before = references(*shared)
            with contextlib.suppress(TypeError, ValueError, RuntimeError):
                call()
        # None's count wanders with whatever the interpreter does; a leak would be one for each of the ten calls.
        assert all(abs(b - a) < 5 for a, b in zip(before, references(*shared), strict=True)), before


def test_calls_do_not_allocate(p, x):
    """Not one block that Python or NumPy accounts for, from the second call on."""
    out = np.empty((7, 1), np.float32)
    large_x = np.zeros((3000, N), np.float32)
    large_out = np.empty((3000, 1), np.float32)
    for rows, result in ((x, out), (large_x, large_out)):
        p(rows, out=result)
        repeat = itertools.repeat(None, 100)
        tracemalloc.start()
        for _ in repeat:
            p(rows, out=result)
        base, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for _ in itertools.repeat(None, 100):
            p(rows, out=result)
        now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert now - base < 100
        assert peak - base < 200


def test_many_threads_at_once():
    """Sizes that take the stack, and sizes that take scratch of the thread; with the lock held and released."""
    rng = np.random.default_rng(0)
    model = compiled([layers.Dense(200, "relu"), layers.BatchNormalization(), layers.Dense(130, "tanh"),
                      layers.Dense(3, "softmax")], loss="mse", n_features=50)
    p = model.freeze()
    batches = [rng.normal(size=(n, 50)).astype(np.float32) for n in (1, 2, 6, 31, 128, 300)]
    expected = [p(x).tobytes() for x in batches]
    wrong = []
    start = threading.Barrier(8)

    def work(rank):
        start.wait()
        out = [np.empty((len(x), 3), np.float32) for x in batches]
        for i in range(120):
            k = (i + rank) % len(batches)
            if p(batches[k], out=out[k]).tobytes() != expected[k]:
                wrong.append((rank, i))

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="there is no lock to let go")
@pytest.mark.parametrize(("n", "calls", "lets_go"), [(1, 1000, False), (5000, 10_000, True)])
@pytest.mark.parametrize("stack", [[layers.Dense(128, "tanh"), layers.Dense(1)],
                                   [layers.BatchNormalization(), layers.Activation("gelu")]],
                         ids=["products", "elements"])
def test_large_calls_let_others_run(stack, n, calls, lets_go):
    """Another thread gets its turn within a large call (soon, even on one CPU), and never within a small one."""
    p = compiled(stack, loss="mse", n_features=32).freeze()
    x, out = np.zeros((n, 32), np.float32), np.empty((n, p.n_outputs), np.float32)
    p(x, out=out)
    running, turns, seen = threading.Event(), [], []

    def work():
        running.set()
        for _ in range(calls):
            p(x, out=out)
            if turns:
                break
        seen.extend(turns)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)  # so that nobody is made to give the lock away
    try:
        worker = threading.Thread(target=work)
        worker.start()
        running.wait()
        turns.append(1)
        worker.join()
    finally:
        sys.setswitchinterval(before)
    assert bool(seen) == lets_go
