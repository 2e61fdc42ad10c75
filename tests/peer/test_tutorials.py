"""Programs in Keras's words run under Keras and under fastreg with only the import lines changed.

Each program of tests/helpers/tutorials prints one line of JSON: keys and shapes, which must be the same, and scores on
rows that were not trained on, whose medians over seeds must be comparable.
"""
import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable
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


# Programs draw weights, noise and the order of rows, and one draw of a small network may be much better than another.
# So each program is run with several seeds, fixed so that a result is the same in every run, and medians are compared.
# A seed takes fastreg a fraction of a second, and Keras several.
SEEDS, KERAS_SEEDS = 9, 3
SEEDED = """
import contextlib, io
from fastreg.utils import set_random_seed
for seed in range({seeds}):
    set_random_seed(seed)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile({source!r}, "program", "exec"), {{"__name__": "__main__"}})
    print(printed.getvalue().splitlines()[-1])
"""


def run(source: str, seeds: int, change: Callable[[str], str] = str) -> list[dict]:
    """What the program printed last with each seed; `change` is applied to the source, and to what repeats it."""
    program = change(SEEDED.format(source=change(source), seeds=seeds))
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    command = [sys.executable, "-W", "ignore", "-c", program, str(DATA)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == seeds
    return results


def medians(results: list[dict]) -> dict[str, float]:
    return {name: statistics.median(result["scores"][name] for result in results) for name in results[0]["scores"]}


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
    ours, theirs = run(source, SEEDS), run(source, KERAS_SEEDS, in_keras)
    for name in ("keys", "shapes", "weights"):  # of the first runs: later ones may number the names that are drawn
        assert ours[0][name] == theirs[0][name], name
    scores, expected = medians(ours), medians(theirs)
    assert scores.keys() == expected.keys()
    for name, score in scores.items():
        if name in ERRORS:
            assert score <= expected[name] * (1 + MORE), name
        else:
            assert score >= expected[name] - WORSE, name
