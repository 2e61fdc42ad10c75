"""The numerical tests once more under every other instruction set, each in a process of its own.

FASTREG_ISA is read when the module is imported, so another set needs another process; the default one runs in this.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fastreg import _core

TESTS = Path(__file__).parent
MODULES = (
    "table/test_frozen_rows.py",
    "test_activations.py",
    "test_extreme_numbers.py",
    "test_gradients.py",
    "test_layers.py",
    "test_losses.py",
    "test_optimizers.py",
    "test_predictor.py",
    "test_random.py",
    "test_trajectories.py",
)
OTHERS = [isa for isa in _core.available_isas() if isa != _core.active_isa()]


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("isa", OTHERS)
def test_module_under(isa, module):
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--tb=short",
            "--maxfail=5",
            "-p",
            "no:cacheprovider",
            str(TESTS / module),
        ],
        cwd=TESTS.parent,
        env={**os.environ, "FASTREG_ISA": isa},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, f"{module} under FASTREG_ISA={isa}:\n{run.stdout[-8000:]}{run.stderr[-2000:]}"


def test_the_forced_isa_is_the_one_in_use():
    """Otherwise the tests above would all say the same."""
    for isa in OTHERS:
        code = "from fastreg import _core; print(_core.active_isa())"
        run = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "FASTREG_ISA": isa},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.strip() == isa
