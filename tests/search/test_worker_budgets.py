"""Worker processes get their share of the threads of the search, whatever number they would use by themselves."""

import json
import os
import subprocess
import sys

import pytest
from programs import HELPERS

# What each worker says of its threads; another one replaces the first that dies.
PROGRAM = """
import json, os, sys
sys.path.insert(0, {tests!r})
os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})  # one processor, for the workers too
import fastreg as fr
from fastreg.search.folds.dry_run import make_context
from fastreg.search.folds.evaluation import Task
from fastreg.search.workers.executors import make_runner
from search_folds import X, Y, Dies, collect

class Reports(Dies):
    def score(self, x, y):
        return float(fr.get_num_threads())

def told(budget, n_jobs):
    if budget:
        fr.set_num_threads(budget)
    c = make_context(Reports(), [{{"how": "never"}}], X, Y, cv=2)
    dies = {{"how": "once", "path": {mark!r} + str(budget)}}
    with make_runner(c, n_jobs, "processes") as runner:
        results = collect(runner, [Task(0, 0, dies), *(Task(i, 0, {{"how": "never"}}) for i in range(1, 4))])
    return sorted({{result.scores["score"] for result in results}})

if __name__ == "__main__":
    print(json.dumps([fr.get_num_threads(), told(None, 2), told(4, 2), told(6, 1), fr.get_num_threads()]))
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors cannot be chosen here")
@pytest.mark.parametrize("variable", [None, "FASTREG_NUM_THREADS"])
def test_an_explicit_budget_reaches_worker_processes(variable, tmp_path):
    """An explicit number is obeyed above the processors that there are, and above what the environment says."""
    script = tmp_path / "script.py"
    script.write_text(PROGRAM.format(tests=str(HELPERS), mark=str(tmp_path / "died")))
    environment = {k: v for k, v in os.environ.items() if k not in ("FASTREG_NUM_THREADS", "OMP_NUM_THREADS")}
    if variable is not None:
        environment[variable] = "1"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [1, [1.0], [2.0], [6.0], 6]
