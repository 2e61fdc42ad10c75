"""A frozen model reads matrices of all types of numbers and any strides by blocks, as if they had been converted."""

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers
from programs import refusal

TYPES = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "g"]
# More rows than a block has, and a number of columns that fills no vector.
ROWS, COLS = 3001, 37


def values(type_, rows=ROWS, cols=COLS):
    drawn = np.random.default_rng(0).normal(size=(rows, cols)) * 3
    return drawn > 0 if type_ == "?" else np.abs(drawn).astype(type_) if type_[0] == "u" else drawn.astype(type_)


LAYOUTS = {
    "rows": lambda x: x,
    "every third row": lambda x: np.repeat(x, 3, axis=0)[::3],
    "every second column": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "Fortran": np.asfortranarray,
    "columns of a Fortran array": lambda x: np.asfortranarray(np.repeat(x, 2, axis=1))[:, ::2],
    "rows backwards": lambda x: x[::-1].copy()[::-1],
    "columns backwards": lambda x: x[:, ::-1].copy()[:, ::-1],
    "both backwards": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "every second column of a part": lambda x: np.hstack([np.repeat(x, 2, axis=1), x])[:, :2 * x.shape[1]:2],
    "read-only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
}
# Steps of zero.
REPEATED = {
    "one row": lambda x: np.broadcast_to(x[0], x.shape),
    "one column": lambda x: np.broadcast_to(x[:, :1], x.shape),
    "one number": lambda x: np.broadcast_to(x[0, 0], x.shape),
}


def chain(cols=COLS):
    model = fr.Sequential([layers.Dense(33, "relu"), layers.Dense(3, "softmax")], seed=0)
    model.build(cols)
    return model


def graph():
    x = fr.Input((COLS,))
    hidden = layers.Dense(16, "relu")(x)
    return fr.Model(x, layers.Dense(2)(layers.Concatenate()([hidden, x])), seed=0)


@pytest.fixture(scope="module", params=[chain, graph])
def p(request):
    return request.param().freeze()


@pytest.mark.parametrize("layout", LAYOUTS | REPEATED)
@pytest.mark.parametrize("type_", TYPES)
def test_rows_are_read_as_their_float32_copy(p, type_, layout):
    x = (LAYOUTS | REPEATED)[layout](values(type_))
    before = x.tobytes()
    expected = p(np.ascontiguousarray(x, np.float32))
    assert p(x).tobytes() == expected.tobytes()
    out = np.empty_like(expected)
    assert p(x, out=out) is out
    assert out.tobytes() == expected.tobytes()
    assert x.tobytes() == before


@pytest.mark.parametrize("rows", [0, 1, 2, 63, 64, 65, 1771, 1772])
@pytest.mark.parametrize("type_", ["f8", "i4"])
def test_any_number_of_rows(p, type_, rows):
    x = values(type_)[:rows]
    assert p(x).tobytes() == p(x.astype(np.float32)).tobytes()


def test_a_row_that_is_repeated_without_memory(p):
    row = values("f8", 1)
    expected = p(np.repeat(row.astype(np.float32), 50, axis=0))
    assert p(np.broadcast_to(row, (50, COLS))).tobytes() == expected.tobytes()
    column = np.broadcast_to(np.arange(50.0)[:, None], (50, COLS))
    assert p(column).tobytes() == p(np.ascontiguousarray(column, np.float32)).tobytes()


def test_every_float16_becomes_its_float32():
    model = fr.Sequential([layers.Activation("linear")], seed=0)
    model.build(64)
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16).reshape(-1, 64)
    with np.errstate(invalid="ignore"):
        expected = halves.astype(np.float32)
    found = model.freeze()(halves)
    numbers = ~np.isnan(expected)
    assert (np.isnan(found) == ~numbers).all()
    assert found[numbers].tobytes() == expected[numbers].tobytes()


def test_a_byte_of_a_bool_may_be_any(p):
    x = np.array([[0, 1, 2, 255, 0] * 8], np.uint8)[:, :COLS]
    assert p(x.view(np.bool_)).tobytes() == p((x != 0).astype(np.float32)).tobytes()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("type_", ["f8", "g"])
def test_what_float32_cannot_hold_is_refused_and_out_stays(p, type_, layout):
    whole = values(type_)
    whole[2500, 30] = 1e39
    x = LAYOUTS[layout](whole)
    out = np.full((ROWS, p.n_outputs), 5.0, np.float32)
    for call in (lambda: p(x), lambda: p(x, out=out), lambda: p(x, out=out[:7])):
        with refusal(ValueError, ["x", "range of float32", r"1e\+39", "column 30", "row 2500"]):
            call()
    assert (out == 5.0).all()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_infinity_and_nan_are_those_of_their_own_rows(p, layout):
    whole = values("f8", 130)
    clean = p(whole)
    whole[3, 2], whole[100, 5] = np.nan, np.inf
    found = p(LAYOUTS[layout](whole))
    others = np.setdiff1d(np.arange(130), [3, 100])
    assert found[others].tobytes() == clean[others].tobytes()
    assert np.isnan(found[3]).all()


@pytest.mark.parametrize("step", [1, 2])
def test_out_may_overlap_what_is_not_float32(p, step):
    n = 40
    memory = np.zeros((n, 2 * COLS))
    x = memory[:, ::step][:, :COLS]
    x[...] = values("f8", n)
    expected = p(x)
    out = memory.view(np.float32).reshape(-1)[: n * p.n_outputs].reshape(n, -1)
    assert p(x, out=out) is out
    assert out.tobytes() == expected.tobytes()


@pytest.mark.parametrize("transposed", [False, True], ids=["rows", "columns"])
@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("backwards", [False, True], ids=["", "backwards"])
@pytest.mark.parametrize("type_", ["f8", "i4", "f2"])
def test_out_may_be_any_part_of_many_rows(p, type_, transposed, place, backwards):
    """So many that they are converted in several parts: what is written must not be rows that are still to be read."""
    n = 30_000
    memory = np.zeros(n * COLS, type_)
    x = memory.reshape(COLS, n).T if transposed else memory.reshape(n, COLS)
    x = x[::-1] if backwards else x
    x[...] = values(type_, n)
    expected = p(x.copy())
    floats, size = memory.view(np.float32), n * p.n_outputs
    begin = int(place * (len(floats) - size))
    out = floats[begin : begin + size].reshape(n, -1)
    assert p(x, out=out) is out
    assert out.tobytes() == expected.tobytes()


@pytest.mark.parametrize("type_", ["f8", "i4"])
def test_threads_change_no_bit(type_):
    model, x = chain(), values(type_, 20_000)
    p = model.freeze()
    with fr.thread_limit(1):
        one = p(x)
    with fr.thread_limit(3):
        assert p(x).tobytes() == one.tobytes()


def test_column_names_do_not_matter_to_arrays():
    pd = pytest.importorskip("pandas")
    x = values("f8", 40)
    frame = pd.DataFrame(x, columns=[f"c{i}" for i in range(COLS)])
    model = chain()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(frame, np.arange(40) % 3, verbose=0)
    p = model.freeze()
    assert p(x).tobytes() == p(frame).tobytes()
    with refusal(ValueError, ["c0"]):
        p(frame[frame.columns[::-1]])


def test_one_number_in_each_row():
    """As for `predict`, it may be given as (n,), also to one of several inputs, whose names messages tell."""
    one = fr.Sequential([fr.Input((1,)), layers.Dense(2)], seed=0)
    values = np.linspace(-1.0, 1.0, 5)
    for given in (values, values.astype(np.float32), values.tolist(), values[::-1][::-1]):
        np.testing.assert_array_equal(one.freeze()(given), one.freeze()(values[:, None]))
    number, row = fr.Input((1,), name="number"), fr.Input((4,), name="row")
    several = fr.Model([number, row], layers.Dense(2)(layers.Concatenate()([number, row])), seed=0).freeze()
    rows = np.ones((5, 4), np.float32)
    np.testing.assert_array_equal(several([values, rows]), several([values[:, None], rows]))
    for x, words in (
        ([values, rows[0]], r"x\['row'\]: must be 2-D \(rows, features\), got shape \(4,\)"),
        ([values, rows[:, :3]], r"x\['row'\]: the network takes 4 features, got 3"),
        ([values, rows.astype(np.float64) * 1e39], r"x\['row'\]: must be within the range of float32"),
    ):
        with pytest.raises(ValueError, match=words):
            several(x)
