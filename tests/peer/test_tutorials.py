"""Programs in Keras's words run under Keras and under fastreg with only the import lines changed.

Each program of tests/helpers/tutorials prints one line of JSON: keys and shapes, which must be the same, and scores on
rows that were not trained on, which must be comparable: initial weights and the order of rows differ.
"""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("keras")
pytestmark = [pytest.mark.peer, pytest.mark.slow]

HELPERS = Path(__file__).resolve().parents[1] / "helpers"
DATA = Path(os.environ.get("FASTREG_DATA", HELPERS.parents[2] / "shared" / "data"))
PROGRAMS = sorted((HELPERS / "tutorials").glob("*.py"))

# How much worse a score of fastreg may be than Keras's: in accuracy and AUC absolutely, in errors as a share.
WORSE, MORE = 0.04, 0.15
ERRORS = ("mae", "mse")


def run(source: str) -> dict:
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    command = [sys.executable, "-W", "ignore", "-c", source, str(DATA)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def in_keras(source: str) -> str:
    changed = re.sub(r"(?m)^(from|import) fastreg\b", r"\1 keras", source)
    assert changed != source
    assert "fastreg" not in changed
    return changed


def test_there_are_twelve_programs():
    assert len(PROGRAMS) >= 12


@pytest.mark.parametrize("path", PROGRAMS, ids=[path.stem for path in PROGRAMS])
def test_a_program_of_keras(path):
    source = path.read_text(encoding="utf-8")
    if "sys.argv[1]" in source and not DATA.exists():
        pytest.skip(f"{DATA} is not there; FASTREG_DATA names the folder of data")
    ours, theirs = run(source), run(in_keras(source))
    assert ours["keys"] == theirs["keys"]
    assert ours["shapes"] == theirs["shapes"]
    assert ours["weights"] == theirs["weights"]
    assert ours["scores"].keys() == theirs["scores"].keys()
    for name, score in ours["scores"].items():
        if name in ERRORS:
            assert score <= theirs["scores"][name] * (1 + MORE), name
        else:
            assert score >= theirs["scores"][name] - WORSE, name
