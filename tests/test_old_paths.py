"""Modules and names that moved are found where they were, by programs and by pickles, and the import costs no more.

``golden/public_names.txt`` has the public modules of an older version with the names that each lists, and
``golden/older.pkl`` objects that it pickled.
"""

import importlib
import pickle
import subprocess
import sys
from pathlib import Path

import fastreg as fr
import numpy as np
import pytest
from fastreg.internal.old_paths import _MOVED, _NAMES
from fastreg.model.core import CoreModel

# Instruction sets round differently, in each of some hundred operations.
ATOL = 100 * np.finfo(np.float32).eps
GOLDEN = Path(__file__).parent / "golden"
NAMES = dict(line.split(":") for line in (GOLDEN / "public_names.txt").read_text().splitlines())


@pytest.mark.parametrize("module", NAMES)
def test_public_names_are_where_they_were(module):
    found = importlib.import_module(module)
    assert not [name for name in NAMES[module].split() if not hasattr(found, name)]


@pytest.mark.parametrize("module", NAMES)
def test_a_program_may_import_them(module):
    space = {}
    names = NAMES[module].split()
    exec(f"import {module}" + (f"\nfrom {module} import {', '.join(names)}" if names else ""), space)
    assert set(names) <= set(space)


def test_what_is_listed_as_moved_is_there():
    for old, new in _MOVED.items():
        assert importlib.import_module(f"fastreg.{old}").__name__ == f"fastreg.{old}"
        importlib.import_module(f"fastreg.{new}")
    for old, names in _NAMES.items():
        module = importlib.import_module(f"fastreg.{old}")
        for name in names:
            assert getattr(module, name) is not None


def test_an_old_path_gives_the_same_objects_and_takes_what_is_set():
    old, new = (importlib.import_module(f"fastreg.search.{name}") for name in ("executors", "workers.executors"))
    assert old.make_runner is new.make_runner
    assert "make_runner" in old.__all__
    assert "make_runner" in dir(old)
    old.probe = 1
    assert new.probe == 1
    del old.probe
    assert not hasattr(new, "probe")
    assert fr.io.load is fr.load
    assert fr.search.Schedule is fr.search.TrialSchedule
    assert fr.model.Sequential is fr.Sequential


@pytest.mark.parametrize("name", ["fastreg.nothing", "fastreg.search.nothing", "fastreg.io.nothing"])
def test_what_never_was_is_not_found(name):
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(name)
    package, _, last = name.rpartition(".")
    assert not hasattr(importlib.import_module(package), last)


def test_a_name_that_never_was_in_a_moved_module_is_an_error():
    for module in ("io", "search.pruning", "search.run", "table", "search.space"):
        with pytest.raises(AttributeError, match="nothing"):
            importlib.import_module(f"fastreg.{module}").nothing  # noqa: B018


def test_old_paths_load_when_they_are_used():
    program = (
        "import sys, fastreg\n"
        "first = [name for name in sys.modules if name.startswith('fastreg')]\n"
        "import fastreg.io\n"
        "print(first, 'fastreg.internal.old_paths' in sys.modules, fastreg.io.load.__module__)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.split("] ")[1].split() == ["True", "fastreg.model.loading"]
    assert sorted(done.stdout.split("] ")[0].strip("[").replace("'", "").split(", ")) == ["fastreg", "fastreg._core"]


# Whose names occur in the texts of older descriptions.
PARTS = (fr.callbacks, fr.initializers, fr.layers, fr.losses, fr.metrics, fr.optimizers, fr.regularizers, fr.schedules)


@pytest.fixture(scope="module")
def older():
    return pickle.loads((GOLDEN / "older.pkl").read_bytes())


def test_an_older_pickle_of_a_model(older):
    model, weights, x, outputs = (older[name] for name in ("model", "weights", "x", "outputs"))
    assert all(map(np.array_equal, model.get_weights(), weights))
    np.testing.assert_allclose(model.predict(x), outputs, atol=ATOL)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    assert (model.name, model.seed, model.mine) == ("older", 5, [1, 2])
    assert model.history.history["loss"] == older["losses"]
    assert isinstance(older["layer"], fr.layers.Dense)
    assert np.array_equal(older["layer"].get_weights()[0], weights[0])
    # It goes on where it was.
    copy = pickle.loads(pickle.dumps(model))
    for trained in (model, copy):
        trained.fit(x, older["y"], epochs=1, verbose=0)
        np.testing.assert_allclose(trained.predict(x), older["outputs_after"], atol=ATOL)
    assert np.array_equal(model.predict(x), copy.predict(x))


def test_older_pickles_of_descriptions_and_callbacks(older):
    """They are what their text makes today; a field that is new since then has its default."""
    names = {name: getattr(module, name) for module in PARTS for name in module.__all__}
    for written, text in older["described"]:
        home = vars(sys.modules[type(written).__module__])
        assert repr(written) == repr(eval(text, names | home))
        assert repr(pickle.loads(pickle.dumps(written))) == repr(written)


def test_an_older_pickle_of_a_search(older):
    search = older["search"]
    assert search.best_params_ == older["best_params"]
    assert search.best_score_ == older["best_score"]
    np.testing.assert_allclose(search.predict(older["x"]), older["best_outputs"], atol=ATOL)
    assert search.summary() == older["summary"]
    assert len(search.trials_) == search.n_trials_ == 3
    with pytest.raises(ValueError, match="has no data"):
        search.refit_best()
    again = pickle.loads(pickle.dumps(search))
    assert again.summary() == older["summary"]
    assert isinstance(older["search_not_fitted"], fr.search.GridSearch)
    with pytest.raises(AttributeError, match="not fitted yet"):
        older["search_not_fitted"].best_score_  # noqa: B018


def test_a_shallow_copy_of_a_model_has_weights_of_its_own():
    from copy import copy

    model = fr.Sequential([fr.Input((2,)), fr.layers.Dense(1)], seed=0)
    weights = model.get_weights()
    other = copy(model)
    other.set_weights([np.zeros_like(array) for array in weights])
    assert np.array_equal(model.get_weights()[0], weights[0])
    assert isinstance(other._core, CoreModel)
    assert other._core is not model._core
