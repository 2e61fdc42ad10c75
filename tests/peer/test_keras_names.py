"""Every public name of Keras that makes sense for dense networks is there, with every argument.

tests/helpers/keras_names.py has the exceptions with their reasons, and prints what is missing.
"""
import keras_names
import pytest
from keras_names import EXCEPTIONS, Missing, excepted

pytest.importorskip("keras")
pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def missing():
    return list(keras_names.missing())


@pytest.mark.parametrize("module", EXCEPTIONS)
def test_nothing_is_missing_without_a_reason(missing, module):
    assert not [str(one) for one in missing if one.module == module and not keras_names.allowed(one)]


@pytest.mark.parametrize("module", EXCEPTIONS)
def test_every_exception_is_a_name_of_keras_that_is_not_there(missing, module):
    theirs, ours = keras_names.modules()[module]
    assert not [name for name in excepted(module) if name not in keras_names.public(theirs) or hasattr(ours, name)]


def test_a_missing_name_and_a_missing_argument_would_be_seen(missing, monkeypatch):
    import fastreg.layers

    assert Missing("layers", "Conv2D") in missing
    assert not keras_names.accepts(fastreg.layers.Dense, "no_argument_of_this_name")
    assert keras_names.accepts(fastreg.layers.Dense, "units")
    monkeypatch.setattr(keras_names, "EXCEPTIONS", EXCEPTIONS | {"layers": {}})
    assert not keras_names.allowed(Missing("layers", "Conv2D"))
