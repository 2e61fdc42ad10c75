"""The code uses the standard terms of its field: idioms that hide them do not come back.

Each idiom has a pattern that does not match ordinary English. What is searched is everything that people read in the
sources: names, comments, docstrings and messages. This file is left out.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = {".h", ".cpp", ".py", ".pyi", ".md", ".txt", ".cmake"}
FOLDERS = ("cpp", "python", "tests", "bench", "examples", "docs", "cmake")
SOURCES = [
    *sorted(path for path in ROOT.glob("*.md") if path.name != "CHANGELOG.md"),
    *sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES),
]
# The standard term: a pattern of the idiom.
IDIOMS = {
    "backward pass": r"\bways? back\b|\bback through the\b",
    "transposed": r"\bturned\b(?! (?:in)?to\b)|\bturning W\b|_turned\b",
    "boundary": r"-byte border",
    "idle value": r"\basks? for nothing\b",
    "the name of the default or one phrase": r"\bAs there\.",
}


@pytest.mark.parametrize("term", IDIOMS)
def test_the_standard_term_is_used(term: str) -> None:
    found = []
    for path in SOURCES:
        if path != Path(__file__).resolve():
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if re.search(IDIOMS[term], line):
                    found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not found, f"say {term} instead:\n" + "\n".join(found)


@pytest.mark.parametrize("text", ["dx^T is turned on its way out", "what a batch leaves for its way back", "W_turned"])
def test_the_patterns_find_idioms(text: str) -> None:
    assert any(re.search(pattern, text) for pattern in IDIOMS.values())


@pytest.mark.parametrize("text", ["the text is turned into a number", "a switch that is on", "they take turns"])
def test_the_patterns_leave_ordinary_words_alone(text: str) -> None:
    assert not any(re.search(pattern, text) for pattern in IDIOMS.values())
