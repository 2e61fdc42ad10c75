"""Objects of the compiled module that nobody has made: what ``cls.__new__(cls)`` returns, or a constructor that failed.

Every method and property of every class is tried in one process, which must survive; that they all raise TypeError is
what it prints. The classes are found in the module, so a new one is tried too.
"""
from __future__ import annotations

import pytest
from fastreg import _core
from programs import last_json, run_program

hasattr(_core, "absent")  # binds every part of the module
CLASSES = sorted(name for name, kind in vars(_core).items() if isinstance(kind, type) and "__init__" in vars(kind))

TRY = """
import json, sys
import numpy as np
from fastreg import _core

kind = getattr(_core, sys.argv[1])
x = np.ones((1, 3), np.float32)
arguments = [(), (x,), (0,), ([],), ({},), (1, 2), (0, 0, x[0]), ({}, []), ([], [], [])]
tried, survived = 0, []
for name, member in vars(kind).items():
    own = not name.startswith("__") or name in ("__call__", "__reduce__")
    if not own or name.startswith("_pybind11"):
        continue
    calls = [None] if isinstance(member, property) else arguments
    for given in calls:
        for unmade in (kind.__new__(kind), type("Derived", (kind,), {}).__new__(kind)):
            tried += 1
            try:
                getattr(unmade, name) if given is None else getattr(unmade, name)(*given)
            except TypeError:
                continue
            survived.append(name)
print(json.dumps([tried, survived]))
"""


def test_the_classes_are_found():
    assert {"Network", "Trainer", "ModelReader", "Updater", "StopSignal", "TablePredictor"} <= set(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_methods_of_an_unmade_object_raise(name):
    tried, survived = last_json(run_program(TRY, name))
    assert tried > 0
    assert survived == []


FAIL = """
import sys
from fastreg import _core

kind = getattr(_core, sys.argv[1])
unmade = kind.__new__(kind)
for attempt in [lambda: unmade.__init__(object())] + [
    lambda name=name: getattr(unmade, name) for name, member in vars(kind).items() if isinstance(member, property)
]:
    try:
        attempt()
    except TypeError:
        continue
    raise AssertionError("no TypeError")
"""


@pytest.mark.parametrize("name", CLASSES)
def test_a_constructor_that_failed_leaves_an_unmade_object(name):
    run_program(FAIL, name)
