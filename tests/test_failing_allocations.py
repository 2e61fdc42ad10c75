"""Whatever allocation fails, a call raises MemoryError and nothing else, changes nothing, and when it is repeated
succeeds with the same bits.

`SCENARIOS` in failing_allocations.py is the table: add a function and its row. Each runs in a process of its own, so
that a crash fails only its test.
"""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from failing_allocations import SCENARIOS
from programs import last_json, run_program, try_program

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="failing_allocations.cpp is for Linux"),
    pytest.mark.skipif(shutil.which("g++") is None, reason="failing_allocations.cpp needs g++"),
]

# Failures of a scenario: alone, and in forked children with all that follow, which take longer.
MOST_ALONE, MOST_CHILDREN = 220, 30
# Those whose calls take longest.
FEWER = {"wide": 50, "fit": 150, "fit with a function": 100, "early stopping": 100, "load": 150, "pickle": 150,
         "layers": 150, "search": 100}

RUN = """
import sys
import failing_allocations
failing_allocations.main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
"""


@pytest.fixture(scope="module")
def preloaded(tmp_path_factory):
    """The environment of a program whose allocations can be made to fail."""
    library = tmp_path_factory.mktemp("preloaded") / "failing_allocations.so"
    source = Path(__file__).parent / "helpers/failing_allocations.cpp"
    subprocess.run(["g++", "-std=c++17", "-O1", "-shared", "-fPIC", source, "-o", library, "-ldl"], check=True)
    return {"LD_PRELOAD": os.pathsep.join([str(library), *filter(None, [os.environ.get("LD_PRELOAD")])])}


@pytest.fixture(scope="module")
def outcomes(preloaded):
    """(exit status, its result as JSON or None, the end of standard error) of each scenario."""
    found = {}
    for name in SCENARIOS:
        done = try_program(RUN, name, FEWER.get(name, MOST_ALONE), MOST_CHILDREN, env=preloaded, timeout=300)
        result = last_json(done) if done.returncode == 0 else None
        found[name] = done.returncode, result, done.stderr[-3000:]
    return found


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_failing_allocation_is_a_memory_error_and_nothing_more(name, outcomes):
    status, result, words = outcomes[name]
    assert status == 0, f"the process died: {status}\n{words}"
    assert result["failures"] > 3
    assert result["wrong"] == []


def test_there_were_two_thousand_failures_at_least(outcomes):
    assert sum(result["failures"] for _, result, _ in outcomes.values() if result is not None) >= 2000


def test_the_failures_are_made_where_the_module_allocates(preloaded):
    """From the first one on: the library of the tests must not miss what it is there for."""
    program = """
from allocation_faults import Faults
from failing_allocations import wide_scenario
faults, scenario = Faults(), wide_scenario()
expected = scenario.act(scenario.make())
result, asked = faults.call(scenario, scenario.make(), 0, False)
assert result == expected
outcomes = [faults.call(scenario, scenario.make(), number, True)[0] for number in (1, asked // 2, asked + 1)]
assert outcomes == [None, None, expected]
print(asked)
"""
    assert int(run_program(program, env=preloaded).stdout) > 50


def test_constructors_of_the_module_keep_what_they_have_made():
    """pybind11's own constructor frees an object twice, or ends the process, where it cannot register it."""
    sources = sorted((Path(__file__).parents[1] / "cpp" / "bindings").glob("*.cpp"))
    text = "\n".join(source.read_text() for source in sources)
    assert len(re.findall(r"\bclass_of<\w+>\(module", text)) == text.count("is_new_style_constructor()") > 0
    assert not re.search(r"py::class_<\w+> *\w*\(module", text), "class_of makes all classes"
    assert "py::init" not in text
