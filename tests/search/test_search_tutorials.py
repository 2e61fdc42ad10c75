"""Programs in the words of tutorials run with only their import lines changed; where possible, under both imports."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("scipy")

PROGRAMS = Path(__file__).resolve().parents[1] / "helpers/search_tutorials"


def run(source):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_compiled_model_is_tuned_and_trained_with_what_was_found():
    lines = run((PROGRAMS / "breast_cancer.py").read_text(encoding="utf-8")).splitlines()
    assert re.fullmatch(r"Best: 0\.9\d+ using \{'batch_size': (16|64), 'learning_rate': 0\.01\}", lines[0])
    assert len(lines) == 6
    assert float(lines[-1].removeprefix("Test accuracy: ")) > 0.9


def test_a_program_of_scikit_learn_prints_the_same():
    source = (PROGRAMS / "digits.py").read_text(encoding="utf-8")
    theirs = source.replace("from fastreg.search import", "from sklearn.model_selection import")
    assert "fastreg" not in theirs
    assert json.loads(run(source)) == json.loads(run(theirs))
