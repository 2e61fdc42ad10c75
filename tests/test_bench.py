"""The benchmarks run, refuse to time what differs, and clean the environment that slows NumPy down."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCH = Path(__file__).resolve().parents[1] / "bench"


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.syspath_prepend(str(BENCH))
    import harness

    yield harness
    for name in ("harness", "workloads", "baselines", "benchmarks"):
        sys.modules.pop(name, None)


def run(*arguments: object, status: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCH / "run.py"), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**os.environ, **environment}, check=False
    )
    assert done.returncode == status, done.stderr
    return done


def test_run(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    out = run(
        *("adam", "predict-small", "--repeats", 5, "--calls", 200, "--json", path),
        OPENBLAS_CORETYPE="Haswell",
        OPENBLAS_L2_SIZE="512",
        OMP_NUM_THREADS="2",
    ).stdout
    written = json.loads(path.read_text(encoding="utf-8"))
    machine, rows = written["machine"], written["rows"]
    assert machine["environment"]["OPENBLAS_CORETYPE"] is None
    assert machine["environment"]["OPENBLAS_L2_SIZE"] is None
    assert machine["environment"]["OMP_NUM_THREADS"] == "1"
    assert machine["fastreg_threads"] == 1
    assert [(r["workload"], r["unit"]) for r in rows[:2]] == [
        ("adam + l1 + l2, 1e4", "GB/s"),
        ("adam + l1 + l2, 1e6", "GB/s"),
    ]
    assert [r["metric"] for r in rows[2:]] == ["p50", "p99", "p50", "p99"]
    for row in rows:
        assert row["workload"] in out
        for values in row["values"].values():
            assert len(values) == 5
            assert min(values) > 0


def test_run_refuses_what_it_does_not_know() -> None:
    assert "names must be among train-small, train-mid, adam," in run("nothing", status=2).stderr
    assert "--repeats must be >= 5, got 4" in run("--repeats", 4, status=2).stderr


def test_contenders_alternate_and_ratios_are_of_neighbours(harness) -> None:  # type: ignore[no-untyped-def]
    order: list[str] = []
    samples = {"a": iter([0.0, 10, 20, 40, 80, 160]), "b": iter([0.0, 5, 10, 10, 40, 80])}

    def contender(name: str):  # type: ignore[no-untyped-def]
        def one_run() -> dict[str, float]:
            order.append(name)
            return {"rate": next(samples[name])}

        return one_run

    metrics = [harness.Metric("rate", "1/s", higher_is_better=True)]
    (row,) = harness.compare("x", metrics, {name: contender(name) for name in "ab"}, repeats=5)
    assert "".join(order) == "ab" * 6
    assert row.values == {"a": [10, 20, 40, 80, 160], "b": [5, 10, 10, 40, 80]}
    assert row.quartiles("a") == (20, 40, 80)
    assert row.advantage("a", "b") == 2
    assert harness.Row("x", "p50", "us", False, {"a": [1.0] * 5, "b": [3.0] * 5}).advantage("a", "b") == 3
    with pytest.raises(ValueError, match="repeats must be >= 5"):
        harness.compare("x", metrics, {}, repeats=4)


def test_the_check_finds_a_difference(harness, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    import baselines
    import benchmarks
    import workloads

    monkeypatch.setattr(benchmarks, "accuracy", lambda *_: 0.5)  # the deterministic steps must be enough to notice
    benchmarks.check_training(workloads.SMALL)
    honest = baselines.Trainer._penalise
    monkeypatch.setattr(baselines.Trainer, "_penalise", staticmethod(lambda layer, l1, l2: honest(layer, l1, 2 * l2)))
    with pytest.raises(benchmarks.Disagreement, match="training 10-64-1, weights 0"):
        benchmarks.check_training(workloads.SMALL)
    benchmarks.check_adam(workloads.ADAM)
    with pytest.raises(benchmarks.Disagreement, match="adam"):
        benchmarks.require_close("adam", np.float32([1.0]), np.float32([np.nan]), 1e-6)
