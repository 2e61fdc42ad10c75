"""Features whose spreads differ by more than 1,000 give one warning that names them; what does no harm gives none."""
from __future__ import annotations

import copy
import warnings

import fastreg as fr
import numpy as np
import pytest
from fastreg import _core, layers
from fastreg.search import GridSearch, cross_validate, nested_cross_validate
from frames import FRAMES
from programs import compiled
from searches import build

N = 120
RNG = np.random.default_rng(5)
BASE = RNG.normal(size=(N, 4))
Y = (BASE[:, 0] > 0).astype(np.float32)
WIDE = BASE * [1, 1e5, 1, 2e4] + np.array([0, 3e5, -7, 0])


def network(*first):
    return compiled([*first, layers.Dense(1, "sigmoid")], loss="binary_crossentropy")


def warned(work):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        work()
    assert all(item.category is UserWarning for item in caught)
    assert all(item.filename == __file__ for item in caught), "the warning must point at the caller's line"
    return [str(item.message) for item in caught]


def fit(x, *first, **more):
    return warned(lambda: network(*first).fit(x, Y[: len(x)], verbose=0, **more))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64, "list"])
def test_one_warning_names_the_columns_and_what_to_do(kind):
    given = WIDE.tolist() if kind == "list" else np.round(WIDE * 100).astype(kind)
    [message] = fit(given)
    for word in ("spreads", "1000", "1 (", "3 (", "StandardScaler", "BatchNormalization"):
        assert word in message
    wide, narrow = message.split("smallest")
    assert "1 (" in wide
    assert "0 (" in narrow
    assert "2 (" in narrow


@pytest.mark.parametrize("kind", FRAMES)
def test_columns_are_called_by_their_names(kind):
    columns = ["age", "income", "size", "debt"]
    [message] = fit(FRAMES[kind]({name: WIDE[:, i].tolist() for i, name in enumerate(columns)}))
    wide, narrow = message.split("smallest")
    assert "'income' (" in wide
    assert "'debt' (" in wide
    assert "'age' (" in narrow
    assert "'size' (" in narrow


def test_it_warns_once_for_a_model():
    model = network()
    assert len(warned(lambda: model.fit(WIDE, Y, verbose=0))) == 1
    for again in (model, copy.deepcopy(model)):
        assert not warned(lambda again=again: again.fit(WIDE, Y, verbose=0))
        again.compile("sgd", "binary_crossentropy")
        assert not warned(lambda again=again: again.fit(WIDE, Y, verbose=0))


def test_a_model_of_a_file_was_warned_of_before(tmp_path):
    model = network()
    warned(lambda: model.fit(WIDE, Y, verbose=0))
    model.save(tmp_path / "net.safetensors")
    loaded = fr.load(tmp_path / "net.safetensors")
    assert not warned(lambda: loaded.fit(WIDE, Y, verbose=0))


def rare(n, value=1.0):
    column = np.zeros((n, 1))
    column[::64] = value
    return column


SILENT = {
    "one scale": lambda: BASE,
    "a factor of 900": lambda: BASE * [1, 900, 1, 1],
    "all of them wide": lambda: BASE * 1e6,
    "a shift is no spread": lambda: BASE + np.array([0, 1e4, 1e5, -1e6]),
    "a constant column": lambda: np.hstack([BASE, np.full((N, 1), 1e9)]),
    "a constant narrow column": lambda: np.hstack([BASE * 1e6, np.full((N, 1), 1e-3)]),
    "rounding noise": lambda: np.hstack([BASE, BASE[:, :1] * 1e-15]),
    "bytes": lambda: (BASE * 20).astype(np.int64).astype(np.uint8),
    "bools": lambda: BASE > 0,
    "a rare category beside numbers": lambda: np.hstack([BASE * 100, rare(N)]),
    "pixels that are hardly ever set": lambda: np.hstack([RNG.integers(0, 256, (N, 40)), rare(N)]).astype(np.float32),
    "black and white with a faint pixel": lambda: np.hstack([RNG.random((N, 40)) < 0.5, np.eye(N, 1) / 255]),
    "black and white of bytes": lambda: np.hstack([255.0 * (RNG.random((N, 40)) < 0.5), rare(N, 0.5)]),
    "constant but for rounding, beside wide ones": lambda: np.hstack(
        [BASE * 1e5, 1000 * np.where(BASE[:, :1] > 0, 1, 1 + 1e-7)]).astype(np.float32),
    "narrow beside one scale": lambda: np.hstack([BASE, BASE[:, ::-1] * 1e-5]),
    "one column": lambda: BASE[:, :1] * 1e6,
    "one row": lambda: WIDE[:1],
}


@pytest.mark.parametrize("case", SILENT)
def test_what_does_no_harm_is_passed_over(case):
    assert fit(SILENT[case]()) == []


def told(x):
    model = compiled([layers.Dense(1)], loss="mse", n_features=x.shape[1])
    return warned(lambda: model.fit(x, np.zeros(len(x)), epochs=1, verbose=0))


@pytest.mark.parametrize("largest", [1, 16, 255])
@pytest.mark.parametrize("kind", ["blurred", "enlarged", "rotated"])
def test_images_with_a_faint_rim_are_passed_over(kind, largest):
    ndimage = pytest.importorskip("scipy.ndimage")
    images = pytest.importorskip("sklearn.datasets").load_digits().images[:200] * (largest / 16)
    change = {
        "blurred": lambda image: ndimage.gaussian_filter(np.pad(image, 10), 1.5),
        "enlarged": lambda image: np.clip(ndimage.zoom(np.pad(image, 3), 2, order=3), 0, largest),
        "rotated": lambda image: ndimage.rotate(np.pad(image, 10), 15, reshape=False, order=1),
    }[kind]
    assert told(np.array([change(image).ravel() for image in images])) == []


def test_a_table_of_people_is_warned_of():
    """Shaped as the census table "adult": years, weights of the sample, gains of capital that are mostly 0, a flag."""
    gains = np.where(RNG.random(N) < 0.1, RNG.exponential(1e4, N), 0)
    table = np.column_stack([RNG.integers(17, 90, N), RNG.normal(2e5, 1e5, N), RNG.integers(1, 17, N), gains,
                             RNG.random(N) < 0.5])
    [message] = told(table)
    assert "standard deviations: 1 (" in message


def test_images_and_standardised_tables_are_passed_over():
    datasets = pytest.importorskip("sklearn.datasets")
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    decomposition = pytest.importorskip("sklearn.decomposition")

    digits = datasets.load_digits().data
    for x in (digits, digits / 16, digits.astype(np.float32), preprocessing.StandardScaler().fit_transform(digits)):
        assert told(x) == []
    whitened = decomposition.PCA(whiten=True).fit_transform(preprocessing.StandardScaler().fit_transform(digits))
    assert told(whitened) == []
    tables = datasets.load_wine().data, datasets.load_breast_cancer().data
    for x in tables:
        assert told(preprocessing.StandardScaler().fit_transform(x)) == []
    for x in tables:  # proline has a deviation of 314, hue one of 0.2
        assert len(told(x.astype(np.float32))) == 1


def test_batch_normalisation_before_the_first_dense_layer_is_enough():
    assert fit(WIDE, layers.BatchNormalization()) == []
    assert fit(WIDE, layers.Dropout(0.1), layers.BatchNormalization()) == []
    assert len(fit(WIDE, layers.Dense(3), layers.BatchNormalization())) == 1


def test_only_rows_that_are_trained_on_count():
    x = BASE.copy()
    x[::2] *= [1, 1e6, 1, 1]
    assert fit(x, rows=np.arange(1, N, 2)) == []
    assert len(fit(x, rows=np.arange(0, N, 2))) == 1


def test_standardising_is_what_helps():
    """The claim of the message: as it is such a table trains to nonsense; standardised, or with the layer, not."""
    y = (BASE[:, 0] + BASE[:, 2] > 0).astype(np.float32)
    scaled = (WIDE - WIDE.mean(0)) / WIDE.std(0)
    accuracies = []
    for x, first in ((WIDE, []), (scaled, []), (WIDE, [layers.BatchNormalization(momentum=0.9)])):
        model = compiled([*first, layers.Dense(1, "sigmoid")], loss="binary_crossentropy", metrics=["accuracy"])
        model.compile(fr.optimizers.Adam(0.05), "binary_crossentropy", ["accuracy"])
        warned(lambda model=model, x=x: model.fit(x, y, epochs=60, verbose=0))
        accuracies.append(model.evaluate(x, y, verbose=0)[1])
    assert accuracies[0] < 0.8
    assert accuracies[1] > 0.95
    assert accuracies[2] > 0.95


@pytest.mark.parametrize("executor", [None, "processes"])
def test_a_search_warns_once(executor, capfd):
    space = {"units": [2, 3], "lr": [0.1]}
    search = GridSearch(build, space, cv=3, seed=0, n_jobs=2, executor=executor, verbose=0)
    [message] = warned(lambda: search.fit(WIDE, Y))
    assert "preprocess='standard'" in message
    assert "spreads" not in capfd.readouterr().err
    assert not warned(lambda: search.best_model_.fit(WIDE, Y, verbose=0))
    scaled = GridSearch(build, space, cv=3, seed=0, n_jobs=1, preprocess="standard", verbose=0)
    assert warned(lambda: scaled.fit(WIDE, Y)) == []


def test_cross_validation_warns_once():
    params = {"units": 2, "lr": 0.1}
    assert len(warned(lambda: cross_validate(build, WIDE, Y, params=params, cv=3, seed=0, n_jobs=1))) == 1
    search = GridSearch(build, {"units": [2], "lr": [0.1]}, cv=2, seed=0, n_jobs=1, verbose=0)
    assert len(warned(lambda: nested_cross_validate(search, WIDE, Y, cv=3))) == 1


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_quick_look_at_features_sees_every_row_that_is_examined(kind):
    x = np.full((40, 7), -100, kind)[:, 1:]
    rows = np.arange(40, dtype=np.uint32)[::-1].copy()
    assert _core.rows_within(x, None, 1, 100)
    assert _core.rows_within(x, rows, 3, 100)
    assert not _core.rows_within(x, rows[:3], 3, 99)
    for beyond in (101, -101, np.nan, np.inf, -np.inf):
        x[:] = 0
        x[37, 5] = beyond
        assert _core.rows_within(x, None, 2, 100)
        assert not _core.rows_within(x, None, 37, 100)
        assert not _core.rows_within(x, rows, 2, 100)
        assert _core.rows_within(x, rows[3:], 1, 100)


def test_the_quick_look_at_features_refuses_what_it_cannot_read():
    x = np.zeros((5, 2), np.float32)
    with pytest.raises(ValueError, match="rows must be below 5, got 5"):
        _core.rows_within(x, np.array([5], np.uint32), 1, 1)
    with pytest.raises(ValueError, match="step must be > 0, got 0"):
        _core.rows_within(x, None, 0, 1)
    with pytest.raises(TypeError, match="x must have dtype float32 or float64"):
        _core.rows_within(x.astype(np.uint8), None, 1, 1)


def test_the_rows_that_are_trained_on_decide_and_not_others():
    x = np.tile(BASE, (25, 1)).astype(np.float32)
    rows = np.arange(1, len(x), 3)
    x[rows, 1] *= 1e5  # every third row, between those that are examined of all
    [message] = fit_of_rows(x, rows)
    assert "1 (" in message
    assert fit_of_rows(x, rows - 1) == []


def fit_of_rows(x, rows):
    return warned(lambda: network().fit(x, np.tile(Y, 25), rows=rows, verbose=0))
