"""The pages for users are correct: their Python programs run, and every path and link on them exists.

The programs of a page run one after another in one process, as a reader types them.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
README_LINES = 100


def identifier(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def programs(page: Path) -> str:
    """The Python programs of a page, joined."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE))


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [page for page in PAGES if programs(page)], ids=identifier)
def test_programs_run(page: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    command = [sys.executable, "-W", "error", "-c", programs(page)]
    environment = {**os.environ, "MPLBACKEND": "agg"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300,
                          check=False)
    assert done.returncode == 0, done.stderr


def test_there_are_programs() -> None:
    assert len([page for page in PAGES if programs(page)]) >= 5


@pytest.mark.parametrize("page", PAGES, ids=identifier)
def test_links_and_paths_exist(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+://", target):
            continue
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), f"{identifier(page)} links to {target}"
        assert not anchor or anchor in headings(linked), f"{identifier(page)} links to {target}"
    named = re.findall(r"(?<![\w/.])((?:cpp|python|tests|bench|examples|cmake|docs|\.ci)/[\w./-]*[\w/])", text)
    missing = [path for path in named if not (ROOT / path).exists()]
    assert not missing, f"{identifier(page)} names {missing}"


def test_the_index_lists_every_page() -> None:
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", (ROOT / "docs/README.md").read_text(encoding="utf-8")))
    assert linked == {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= README_LINES


@pytest.mark.skipif(not (ROOT / ".ci").exists(), reason="source distributions leave .ci out")
def test_the_first_commands_are_those_of_continuous_integration() -> None:
    """The commands that install and run, and that test, are tried by `.ci/run` as the README has them."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    ci = (ROOT / ".ci/run").read_text(encoding="utf-8")
    test = "python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/pytest"
    install = "python3 -m venv .venv && .venv/bin/pip install '.[demo]' && "
    assert f"    {test}\n" in readme
    assert f"    {install}.venv/bin/fastreg demo\n" in readme
    assert test in ci
    assert install in ci


@pytest.mark.skipif(not (ROOT / ".ci").exists(), reason="source distributions leave .ci out")
@pytest.mark.parametrize("marker", ["peer", "cluster"])
def test_continuous_integration_names_all_files_with_tests_of_a_marker(marker: str) -> None:
    """It names them, as pytest would else collect all tests once more."""
    command = re.search(rf"pytest -m {marker} (.*)", (ROOT / ".ci/run").read_text(encoding="utf-8"))
    assert command is not None
    named = [ROOT / word for word in command[1].split() if word.startswith("tests/")]
    marked = [path for path in (ROOT / "tests").rglob("*.py") if f"mark.{marker}" in path.read_text(encoding="utf-8")]
    assert marked
    assert [path for path in marked if not any(path.is_relative_to(place) for place in named)] == []
