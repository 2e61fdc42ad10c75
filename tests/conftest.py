"""What every test shares: a seeded generator and the tolerances, as formulas of dtype and reduction length."""

import importlib
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

# Several processes share the CPUs with the tests. A team that spins for others, which have no CPU meanwhile, takes ten
# times as long, and so do BLAS's threads. Libraries read this when they are loaded. Programs of `run_program` start
# without the first, so what is promised of waiting threads is tested as users have it.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest

# The background jobs of a script ignore Ctrl-C, and so would the tests of interrupts and every program that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

BENCH = Path(__file__).resolve().parents[1] / "bench"
EPS = float(np.finfo(np.float32).eps)

# Around every vector length (4, 8 and 16 floats) and panel (64): 0, 1, w - 1, w, w + 1, 2 w + 3.
SIZES = (0, 1, 3, 4, 5, 7, 8, 9, 11, 15, 16, 17, 19, 35, 63, 64, 65, 131)


def pytest_collection_modifyitems(items):
    """Refuses names of tests with an address, which another process that runs some of the tests would not know."""
    bad = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if bad:
        raise pytest.UsageError(f"give the cases of {bad[0]} names with ids=, such as tests/helpers/ids.py makes")


@pytest.fixture
def rng(request):
    """Seeded by the test's name, so that neighbours do not share data and a failure repeats."""
    return np.random.default_rng(list(request.node.name.encode()))


@pytest.fixture
def bench(monkeypatch):
    """The modules of bench/ by name, forgotten afterwards."""
    monkeypatch.syspath_prepend(str(BENCH))
    before = set(sys.modules)
    yield SimpleNamespace(load=importlib.import_module)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(BENCH)):
            del sys.modules[name]


def assert_close(actual, desired, terms=1, magnitude=None, ulps=4.0, what=""):
    """|actual - desired| <= eps (ulps + terms) magnitude: float32 rounding of a sum of `terms` products.

    magnitude: the sum of the absolute values of the terms, an array like desired; without one it is |desired|, which
    suits results without cancellation.
    """
    actual = np.asarray(actual)
    assert actual.dtype == np.float32, f"{what} is {actual.dtype}"
    desired = np.asarray(desired, np.float64)
    assert actual.shape == desired.shape, f"{what}: shape {actual.shape}, expected {desired.shape}"
    magnitude = np.abs(desired) if magnitude is None else np.broadcast_to(magnitude, desired.shape)
    bound = EPS * (ulps + terms) * np.maximum(magnitude, np.abs(desired)) + np.finfo(np.float32).tiny
    error = np.abs(actual - desired)
    bad = ~(error <= bound)
    if bad.any():
        worst = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error / bound)), error.shape)
        raise AssertionError(
            f"{what}: {bad.sum()} of {bad.size} elements beyond tolerance; worst at {tuple(map(int, worst))}: "
            f"got {actual[worst]!r}, expected {desired[worst]!r}, error {error[worst]:.3g}, allowed {bound[worst]:.3g}"
        )
