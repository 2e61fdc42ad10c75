"""The benchmarks run, refuse to time what computes something else, and clean the environment that slows NumPy down."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCH = Path(__file__).resolve().parents[1] / "bench"
SETTINGS = {"seconds": 0.001, "calls": 100}


def run(*arguments, status=0, program="run.py", **environment):
    command = [sys.executable, str(BENCH / program), *map(str, arguments)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def test_run(tmp_path):
    path = tmp_path / "out.json"
    out = run(
        *("adam-1e4", "predict-small-1", "--repeats", 5, "--calls", 200, "--seconds", 0.01, "--json", path),
        *("--peers", "fastreg,fastreg-predict,numpy", "--programs", tmp_path),
        OPENBLAS_CORETYPE="Haswell",
        OPENBLAS_L2_SIZE="512",
        OMP_NUM_THREADS="2",
    ).stdout
    written = json.loads(path.read_text(encoding="utf-8"))
    machine, rows = written["machine"], written["rows"]
    assert machine["removed_from_environment"] == {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_L2_SIZE": "512"}
    assert all(pool.get("num_threads", 1) == 1 for pool in machine["blas_in_use"])
    assert machine["versions"]["NumPy"] == f"NumPy {np.__version__}"
    assert [(r["workload"], r["metric"], r["unit"]) for r in rows] == [
        ("adam + l1 + l2, 1e4 parameters", "traffic", "GB/s"),
        ("predict 10-64-1, batch 1", "p50", "us a call"),
        ("predict 10-64-1, batch 1", "p99", "us a call"),
    ]
    assert {"fastreg", "NumPy"} <= set(rows[0]["values"])
    assert {"fastreg, predict", "NumPy"} <= set(rows[1]["values"])
    for row in rows:
        assert f"{row['workload']}: {row['metric']}" in out
        for name, values in row["values"].items():
            assert len(values) == 5
            assert min(values) > 0
            assert row["summary"][name]["lower_quartile"] <= row["summary"][name]["upper_quartile"]


def test_run_says_what_is_absent(tmp_path):
    done = run("limits", "kernels", "--programs", tmp_path, status=1)
    assert done.stdout.count("absent: not built: cmake --preset bench") == 2
    assert "nothing was measured" in done.stderr


def put_program(folder, name, script):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("end", "status", "word"),
    [("exit 3", 1, "bench_kernels: the process ended with status 3"), ("kill -INT $PPID; sleep 9", 130, "interrupted")],
)
def test_a_run_that_stops_keeps_what_it_measured(tmp_path, end, status, word):
    line = '{"name": "read", "metric": "rate", "unit": "GB/s", "value": 5}'
    put_program(tmp_path, "bench_limits", f"echo '{line}'")
    put_program(tmp_path, "bench_kernels", end)
    path = tmp_path / "out.json"
    done = run("limits", "kernels", "adam-1e4", "--programs", tmp_path, "--json", path, status=status)
    assert word in done.stderr
    (row,) = json.loads(path.read_text(encoding="utf-8"))["rows"]
    assert row["values"] == {"machine": [5] * 5}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bench_kernels", "bench_limits", "out.json"]


def test_ratios_are_fastregs_wherever_it_stands(bench, capsys):
    results = bench.load("results")
    values = {"NumPy": [2.0] * 5, "fastreg": [6.0] * 5, "JAX": [3.0] * 5}
    results.print_row(results.Row("w", "rate", "1/s", True, values=values))
    of = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[1:]}
    assert of["NumPy"].endswith("3.00 x")
    assert of["JAX"].endswith("2.00 x")
    assert not of["fastreg"].endswith("x")
    del values["fastreg"]
    results.print_row(results.Row("w", "rate", "1/s", True, values=values))
    assert " x" not in capsys.readouterr().out


def test_run_refuses_what_it_does_not_know():
    assert "names must be rows or groups (train, update," in run("nothing", status=2).stderr
    assert "--repeats must be >= 5" in run("--repeats", 4, status=2).stderr
    assert "--peers must be among fastreg," in run("--peers", "abacus", status=2).stderr
    listed = run("--list").stdout
    for name in ("train-small", "train-mid", "train-large", "adam-5e7", "sgd-1e6", "predict-mid-32", "import"):
        assert name in listed


def test_summary_names_the_best_peer_and_says_when_it_is_ahead(bench):
    results = bench.load("results")
    row = results.Row("w", "rate", "1/s", True)
    row.values = {"fastreg": [10.0] * 5, "fastreg, 1 thread": [99.0] * 5, "slow": [1.0] * 5, "quick": [12.0] * 5}
    line = results.summary_lines([row])[1]
    assert "quick" in line
    assert line.endswith("0.83 x  BEHIND")
    latency = results.Row("w", "p50", "us", False, values={"fastreg": [1.0] * 5, "slow": [3.0] * 5})
    assert results.summary_lines([latency])[1].endswith("3.00 x")


def test_quartiles_and_ratios_of_neighbours(bench):
    results = bench.load("results")
    row = results.Row("x", "rate", "1/s", True, values={"a": [10, 20, 40, 80, 160], "b": [5, 10, 10, 40, 80]})
    assert row.quartiles("a") == (20, 40, 80)
    assert row.advantage("a", "b") == 2
    assert results.Row.from_json(json.loads(json.dumps(row.as_json()))) == row


class FakeWorker:
    """Answers as a worker does; the shares of foreign CPU time come from a list."""

    def __init__(self, name, order, foreign):
        self.label, self._order, self._foreign = name, order, iter(foreign)

    def ask(self, **request):
        assert request == {"repeat": 1}
        self._order.append(self.label)
        return {"foreign": next(self._foreign), "sample": {"rate": float(len(self._order))}}


def test_a_disturbed_repeat_is_made_again_and_flagged_where_that_does_not_help(bench):
    measure, results = bench.load("measure"), bench.load("results")
    order = []
    row = results.Row("x", "rate", "1/s", True)
    measure._repeat(FakeWorker("a", order, [0.01]), [row])
    measure._repeat(FakeWorker("b", order, [0.5, 0.0]), [row])
    measure._repeat(FakeWorker("c", order, [0.5, 0.2, 0.3]), [row])
    assert order == ["a", "b", "b", "c", "c", "c"]
    assert row.values == {"a": [1.0], "b": [3.0], "c": [5.0]}
    assert row.disturbed == {"c": 1}


def test_contenders_take_turns(bench, monkeypatch):
    measure, results, tasks = bench.load("measure"), bench.load("results"), bench.load("tasks")
    order = []

    class Worker(FakeWorker):
        def ask(self, **request):
            return {"started": True} if "start" in request else super().ask(**request)

    session = measure.Session(measure.Plan(peers=frozenset({"fastreg", "numpy"})))
    monkeypatch.setattr(session, "worker", lambda c: Worker(c.peer, order, [0.0] * 9))
    task = dataclasses.replace(tasks.ROWS["train-small"], contenders=("fastreg", "numpy"))
    (row,) = session.measure(task)
    assert order == ["fastreg", "numpy"] * 5
    assert isinstance(row, results.Row)
    assert [len(v) for v in row.values.values()] == [5, 5]


def test_two_threads_are_compared_with_one(bench):
    measure, tasks = bench.load("measure"), bench.load("tasks")
    line = measure.lineup(tasks.ROWS["train-small"], measure.Plan(threads=2, cpus=(0, 1)))
    ours = {c.suffix: (c.threads, c.cpus, dict(c.environment)) for c in line if c.peer == "fastreg"}
    assert ours == {
        "": (2, (0, 1), {}),
        ", 1 thread": (1, (0,), {}),
        ", passive waits": (2, (0, 1), {"OMP_WAIT_POLICY": "passive"}),
        ", active waits": (2, (0, 1), {"OMP_WAIT_POLICY": "active"}),
        ", 2 threads on 1 CPU": (2, (0,), {}),
    }


def small(bench, **changes):
    """A network whose kinds of layers and penalties are those of the measured ones, and quick to check."""
    workloads = bench.load("workloads")
    return workloads.Network((7, 12, 9, 3), batch=16, rows=160, l2=1e-3, l2_everywhere=True, **changes)


@pytest.mark.parametrize("peer", ["fastreg", "numpy"])
@pytest.mark.parametrize("changes", [{}, {"batch_norm": False, "weight_decay": 0.1}, {"dropout": 0.3, "l1": 1e-3}])
def test_contenders_train_as_the_reference_does(bench, peer, changes):
    tasks = bench.load("tasks")
    row = tasks.Train("x", small(bench, **changes))
    assert row.start(bench.load("peers").load(peer, 1), tasks.Settings(**SETTINGS))()["rate"] > 0


@pytest.mark.parametrize("peer", ["fastreg", "numpy"])
def test_contenders_update_and_predict_as_the_reference_does(bench, peer):
    tasks, workloads, base = bench.load("tasks"), bench.load("workloads"), bench.load("peers.base")
    contender = bench.load("peers").load(peer, 1)
    for rule in workloads.UPDATES:
        tasks.check_update(contender, rule)
    for net in (workloads.SMALL, small(bench)):
        try:
            sample = tasks.Predict("x", net, 3).start(contender, tasks.Settings(**SETTINGS))()
        except base.Unsupported:
            assert peer == "fastreg"
        else:
            assert 0 < sample["p50"] <= sample["p99"]


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")  # the other libraries' own
@pytest.mark.parametrize("peer", ["torch", "torch-compile", "jax", "jax-scan", "keras", "sklearn"])
def test_peers_compute_what_the_reference_does(bench, peer):
    peers, tasks, base = bench.load("peers"), bench.load("tasks"), bench.load("peers.base")
    pytest.importorskip(peers.PEERS[peer][2])
    if peer.startswith("jax"):
        pytest.importorskip("optax")
    contender = peers.load(peer, 1)
    settings = tasks.Settings(**SETTINGS)
    tasks.Train("x", small(bench)).start(contender, settings)()
    for task in (tasks.Predict("x", small(bench), 3), tasks.Step("x", bench.load("workloads").UPDATES[0], 1000)):
        try:
            task.start(contender, settings)()
        except base.Unsupported:
            assert peer in ("jax-scan", "keras", "sklearn"), f"{peer} can do {task.group}"


def test_the_check_finds_a_difference(bench, monkeypatch):
    tasks, numpy_peer = bench.load("tasks"), bench.load("peers.numpy_peer")
    contender = numpy_peer.NumPy(1)
    honest = numpy_peer.NumPyTrainer._penalise
    monkeypatch.setattr(
        numpy_peer.NumPyTrainer, "_penalise", lambda self, layer, index: honest(self, layer, 0) if index else None
    )
    with pytest.raises(tasks.Disagreement, match="NumPy, training 7-12-9-3: kernel of layer 0 is off by"):
        tasks.check_training(contender, small(bench))
    with pytest.raises(tasks.Disagreement, match="adam is off by nan"):
        tasks.require_close("adam", np.float32([1.0]), np.float32([np.nan]), 1e-6)


def test_limits_of_load_are_seen(bench):
    watch = bench.load("load").Watch()
    watch.cpus = {0}
    watch.begin()
    subprocess.run([sys.executable, "-c", "import time; time.sleep(0.2)"], check=True)
    assert watch.foreign_share() > 0.5  # waiting looks as if another process had the CPU


def write_runs(results, folder, before, after):
    paths = []
    for name, values in (("before", before), ("after", after)):
        rows = [
            results.Row(w, "rate", "1/s", True, values={"fastreg": v, "NumPy": [1.0] * 5}) for w, v in values.items()
        ]
        paths.append(str(folder / f"{name}.json"))
        results.write(paths[-1], rows, {"cpu": "x", "threads": 1, "numpy": "2"})
    return paths


@pytest.mark.parametrize(
    ("after", "status", "words"),
    [
        ([100, 101, 102, 103, 104], 0, "0 faster, 0 slower"),
        ([80, 81, 82, 83, 84], 1, "SLOWER"),
        ([60, 70, 80, 103, 110], 0, "0 faster, 0 slower"),  # slower, but the middle halves overlap
        ([98.8, 98.9, 99, 99.1, 99.2], 0, "0 faster, 0 slower"),  # apart, but by less than 3 %
        ([120, 121, 122, 123, 124], 0, "faster"),
        ([0.0] * 5, 1, "SLOWER"),
        ([float("nan")] * 5, 1, "NO VALUE"),
    ],
)
def test_compare(bench, tmp_path, after, status, words):
    paths = write_runs(bench.load("results"), tmp_path, {"w": [100, 101, 102, 103, 104]}, {"w": after})
    out = run(*paths, program="compare.py", status=status).stdout
    assert words in out
    assert "NumPy" not in out
    assert "NumPy" in run(*paths, "--peers", program="compare.py", status=status).stdout


@pytest.mark.parametrize(
    ("before", "after", "higher_is_better", "gain"),
    [
        (0.0, 5.0, True, "+inf %"),
        (0.0, 0.0, True, "+0.0 %"),
        (5.0, 0.0, False, "+inf %"),
        (0.0, 5.0, False, "-100.0 %"),
        (float("nan"), 5.0, True, "-"),
        (float("nan"), float("nan"), False, "-"),
    ],
)
def test_compare_takes_values_that_are_no_ratio(bench, before, after, higher_is_better, gain):
    compare, results = bench.load("compare"), bench.load("results")
    old, new = (results.Row("w", "m", "u", higher_is_better, values={"fastreg": [v] * 5}) for v in (before, after))
    (change,) = compare.changes([old], [new], peers=False, least=3.0)
    assert change.line()[-2] == gain
    assert change.regression == (gain == "-100.0 %")


def test_compare_misses_fastreg_in_a_row(bench, tmp_path):
    """A contender that fails is left out of its row: that is no success."""
    results = bench.load("results")
    before = write_runs(results, tmp_path, {"a": [9.0] * 5, "b": [9.0] * 5}, {})[0]
    rows = [results.Row(w, "rate", "1/s", True, values={"NumPy": [1.0] * 5}) for w in "ab"]
    rows[0].values["fastreg"] = [9.0] * 5
    after = str(tmp_path / "lost.json")
    results.write(after, rows, {"cpu": "x", "threads": 1, "numpy": "2"})
    assert ": b" in run(before, after, program="compare.py", status=1).stdout.split("only in", 1)[1]


def test_compare_refuses_what_it_cannot_compare(bench, tmp_path):
    paths = write_runs(bench.load("results"), tmp_path, {"a": [1.0] * 5}, {"b": [1.0] * 5})
    assert "no row in common" in run(*paths, program="compare.py", status=2).stderr
    (tmp_path / "broken.json").write_text("{}")
    assert "was not written by" in run(paths[0], tmp_path / "broken.json", program="compare.py", status=2).stderr
    assert "No such file" in run(paths[0], tmp_path / "nowhere.json", program="compare.py", status=2).stderr


def test_picture(bench, tmp_path):
    pytest.importorskip("matplotlib")
    plot, results = bench.load("plot"), bench.load("results")
    facts = {"cpu": "x", "threads": 1}
    rows = [
        results.Row("train", "rate", "1/s", True, "train", {"fastreg": [4.0] * 5, "NumPy": [2.0] * 5, "X": [8.0] * 5}),
        results.Row("read 32 KB", "rate", "GB/s", True, "limits", {"machine": [200.0] * 5}),
        results.Row("NN 1->1, batch 1", "time", "ns", False, "kernels", {"fastreg avx2": [10.0] * 5}),
    ]
    rows[2].facts = {"flops": 200.0, "bytes": 100.0, "peak": 100.0, "isa": "avx2"}
    assert plot._point(rows[2]) == (2.0, 20.0)
    plot.draw(rows, facts, str(tmp_path / "out.png"))
    assert (tmp_path / "out.png").stat().st_size > 10_000
    with pytest.raises(ValueError, match="nothing to draw"):
        plot.draw(rows[1:2], facts, str(tmp_path / "out.png"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--peers", "fastreg,abacus"], "must be among fastreg, torch, torch-compile, sklearn, got abacus"),
        (["--epochs", "abacus=3"], "must be among fastreg, torch, torch-compile, sklearn, got abacus"),
        (["--epochs", "fastreg"], "--epochs must be numbers >= 1 by name"),
        (["--epochs", "fastreg=0"], "--epochs must be numbers >= 1 by name"),
    ],
)
def test_fashion_mnist_refuses_what_it_does_not_know(tmp_path, words, message):
    (tmp_path / "fashion-mnist").mkdir()
    assert message in run(*words, program="fashion_mnist.py", status=2, FASTREG_DATA=str(tmp_path)).stderr
