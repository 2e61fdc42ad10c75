"""A fit that the system has no memory for raises MemoryError, and the next one, with memory again, is as ever.

The real thing, under a limit of the address space; test_failing_allocations.py lets single allocations fail.
"""
from __future__ import annotations

import sys

import pytest
from programs import last_json, run_program

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limit is of the address space as Linux counts it")

# What a limit leaves a fit, in MB more than the process has. The fit makes some ten buffers of 8 MB, and some small.
ROOM = range(2, 110, 6)

PROGRAM = """
import json, os, resource, sys
from fastreg.model.core import core_of
import fastreg as fr
import numpy as np
from fastreg import layers
from programs import same_bits
fr.set_num_threads(1)
x = np.random.default_rng(0).normal(size=(8, 1000)).astype(np.float32)
y = x[:, :1].copy()

def new_model():
    model = fr.Sequential([layers.Dense(1000, "relu"), layers.Dense(1000, "relu"), layers.Dense(1)], seed=0)
    model.compile("adam", "mse")
    return model

def fit(model, epochs):
    model.fit(x, y, epochs=epochs, verbose=0, validation_data=(x, y))

def limited(model, mb):
    in_use = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (in_use + (mb << 20), before[1]))
    try:
        fit(model, 2)
        return "fitted"
    except MemoryError:
        return "MemoryError"
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)

model = new_model()
fit(model, 2)
expected = model.get_weights()
outcomes = {}
for mb in map(int, sys.argv[1:]):
    print(mb, "MB", file=sys.stderr, flush=True)   # the last words of a crash
    model = new_model()
    outcome = limited(model, mb)
    if outcome == "MemoryError":
        done = core_of(model).trainer.epoch if core_of(model).trainer is not None else 0
        assert done in (0, 1), done
        fit(model, 2 - done)
    outcomes[mb] = outcome if same_bits(model.get_weights(), expected) else "other weights after " + outcome
print(json.dumps(outcomes))
"""


def test_the_next_fit_is_as_ever():
    outcomes = last_json(run_program(PROGRAM, *ROOM, timeout=240))
    kinds = list(outcomes.values())
    assert set(kinds) == {"MemoryError", "fitted"}, outcomes
    assert kinds.count("MemoryError") >= 6, outcomes
