"""Properties of a model that have no value or fail raise their own error, and `hasattr` returns False for them."""

from __future__ import annotations

import inspect
from unittest import mock

import fastreg as fr
import pytest
from fastreg import layers
from programs import compiled, refusal


class Broken(fr.Sequential):
    """Properties that ask for what is not there."""

    __slots__ = ("unset",)

    @property
    def half(self):
        return self.oops / 2

    @property
    def _private(self):
        return self.layers.oops

    @property
    def said(self):
        raise AttributeError("said: not before the dawn")


def test_the_error_within_a_property_shows():
    model = Broken([layers.Dense(1)])
    for name, word in {"half": "'oops'", "_private": "'oops'", "said": "said: not before the dawn",
                       "unset": "unset"}.items():
        assert not hasattr(model, name)
        with refusal(AttributeError, [word]):
            getattr(model, name)
        with pytest.raises(AttributeError) as caught:
            getattr(model, name)
        assert "did you mean" not in str(caught.value)


def test_feature_names_say_why_they_are_absent():
    model = compiled([layers.Dense(1)], loss="mse", n_features=3)
    assert not hasattr(model, "feature_names_in_")
    with refusal(AttributeError, ["feature_names_in_: the model was not fitted on a frame whose columns have names"]):
        _ = model.feature_names_in_


def test_a_model_that_is_not_compiled_has_no_learning_rate():
    model = fr.Sequential([layers.Dense(1)])
    assert not hasattr(model, "learning_rate")
    for error in (ValueError, AttributeError):
        with refusal(error, ["learning_rate: the model is not compiled"]):
            _ = model.learning_rate
    assert "optimizer" in dict(inspect.getmembers(model))
    assert callable(mock.create_autospec(model).predict)
    model.compile("sgd", "mse")
    assert model.learning_rate == pytest.approx(0.01)
