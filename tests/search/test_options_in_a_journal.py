"""A journal has the texts of a space's options: those that it could not tell apart are refused, others found again."""

import json

import pytest
from fastreg.search import Choice, GridSearch, RandomSearch, Space, When
from fastreg.search.values import encode
from searches import two_classes

X, Y = two_classes()


def go(build, path, resume=False, search=RandomSearch, **options):
    given = {"cv": 2, "seed": 0, "verbose": 0, "n_jobs": 1, "refit": False, **options}
    if search is RandomSearch:
        given["n_trials"] = 2
    return search(build, given.pop("space"), journal=path, resume=resume, **given).fit(X, Y)


class Silent:
    """An object without a text of its own."""


class Addressed:
    """An object whose text has an address in a form of its own."""

    def __repr__(self):
        return f"<Addressed 0x{id(self):012x}>"


ALIKE = {
    "two lambdas": {"f": [lambda x: x, lambda x: -x]},
    "lambdas in lists": {"f": [[lambda x: x], [lambda x: -x]]},
    "lambdas in dicts": {"f": [{"g": lambda x: x}, {"g": lambda x: -x}]},
    "objects": {"f": [Silent(), Silent()]},
    "objects with addresses": {"f": [Addressed(), Addressed()]},
    "nested": {"f": Choice([1, Choice([lambda x: x, lambda x: -x])])},
    "in dicts of a list": [{"f": [lambda x: x]}, {"f": [lambda x: -x], "g": [1]}],
    "constants of a list": [{"f": Silent(), "g": [1]}, {"f": Silent(), "g": [2]}],
    "NaN and None": {"f": [float("nan"), None]},
    "infinity and its name": {"f": [float("inf"), "inf"]},
    "conditional": {"k": ["a", "b"], "f": When("k", "a", [lambda: 1, lambda: 2])},
}


class Anything:
    """An estimator of any parameters."""

    def get_params(self, deep=True):
        return dict(vars(self))

    def set_params(self, **params):
        vars(self).update(params)
        return self

    def fit(self, x, y):
        return self

    def score(self, x, y):
        return 0.5


def ready(**names):
    return Anything().set_params(**names)


@pytest.mark.parametrize("name", ALIKE)
def test_options_that_are_written_alike_need_names_in_a_journal(name, tmp_path):
    space, build = ALIKE[name], ready(f=None, g=None, k=None)
    with pytest.raises(ValueError, match=r"journal cannot tell two options of parameter 'f' apart, both are written"):
        go(build, tmp_path / "j", space=space)
    assert not (tmp_path / "j").exists()
    assert go(build, None, space=space).n_trials_ >= 1, "without a journal they are fine"


def named(x):
    return x


def other(x):
    return -x


@pytest.mark.parametrize(
    "options",
    [
        [named, other], [named, lambda x: x], [1, 1.0, True, "1"], [[named], [other]], [None, "None"],
        [Addressed(), named],
    ],
)  # fmt: skip
def test_options_that_differ_in_their_texts_go_on(options, tmp_path):
    space, given = {"f": options}, {"search": GridSearch}
    before = go(ready(f=None), tmp_path / "j", space=space, **given)
    after = go(ready(f=None), tmp_path / "j", space=space, resume=True, **given)
    assert after.results_["params"] == before.results_["params"]


def test_the_same_object_in_two_dicts_of_a_list_is_one(tmp_path):
    f = Silent()
    go(ready(f=None, g=None), tmp_path / "j", space=[{"f": [f], "g": [1]}, {"f": [f], "g": [2]}])


def test_objects_within_lists_and_dicts_are_found_again():
    space = Space({"f": [[named], [other], {"g": other}]})
    for value in ([other], {"g": other}):
        recorded = json.loads(json.dumps(encode(value)))
        point = space.locate({"f": recorded})
        assert space.build(point.__getitem__) == {"f": value}
    assert space.locate({"f": [{"repr": "<function third>"}]}) is None
    assert space.locate({"f": [named, other]}) is None
