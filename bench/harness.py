"""Times contenders against each other in one process and says where that was. Knows nothing of what it times.

Contenders alternate (A B A B ...), so that a slow minute of the machine hits both; the ratio is the median of the
ratios of neighbours. NumPy must not be imported before `prepare_process` has run: OpenBLAS reads its environment when
it loads.
"""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

# These select OpenBLAS kernels by hand; where they are set wrongly NumPy runs at half its speed.
DISTORTING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
THREADS = (
    "FASTREG_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

Sample = Mapping[str, float]
Contender = Callable[[], Sample]


def prepare_process(cpu: int | None) -> None:
    """Pins the process to one CPU and restarts it with one thread per library and no OpenBLAS overrides."""
    if cpu is not None:
        if not hasattr(os, "sched_setaffinity"):
            raise SystemExit("--cpu: this system cannot pin a process to a CPU")
        try:
            os.sched_setaffinity(0, {cpu})
        except OSError:
            raise SystemExit(f"--cpu must be one of {sorted(os.sched_getaffinity(0))}, got {cpu}") from None
    wanted = {k: v for k, v in os.environ.items() if k not in DISTORTING} | dict.fromkeys(THREADS, "1")
    if wanted != dict(os.environ):
        os.execve(sys.executable, sys.orig_argv, wanted)


@dataclass
class Row:
    """One metric of one workload: the values of every repeat, by contender."""

    workload: str
    metric: str
    unit: str
    higher_is_better: bool
    values: dict[str, list[float]] = field(default_factory=dict)

    def quartiles(self, contender: str) -> tuple[float, float, float]:
        return tuple(statistics.quantiles(self.values[contender], n=4, method="inclusive"))  # type: ignore[return-value]

    def advantage(self, first: str, second: str) -> float:
        """How many times better `first` is than `second`: the median over neighbouring repeats."""
        pairs = zip(self.values[first], self.values[second], strict=True)
        return statistics.median(a / b if self.higher_is_better else b / a for a, b in pairs)

    def as_json(self) -> dict[str, object]:
        summary = {
            name: dict(zip(("lower_quartile", "median", "upper_quartile"), self.quartiles(name), strict=True))
            for name in self.values
        }
        return {**asdict(self), "summary": summary}


@dataclass(frozen=True)
class Metric:
    name: str
    unit: str
    higher_is_better: bool


def compare(
    workload: str, metrics: list[Metric], contenders: Mapping[str, Contender], repeats: int, warmups: int = 1
) -> list[Row]:
    """Runs the contenders in turn, `repeats` times each after `warmups` runs that are not counted.

    Warns on standard error where other processes took more than 5 % of the CPU time of a counted run.
    """
    if repeats < 5:
        raise ValueError(f"repeats must be >= 5 for quartiles to mean anything, got {repeats}")
    rows = [Row(workload, m.name, m.unit, m.higher_is_better, {c: [] for c in contenders}) for m in metrics]
    for _ in range(warmups):
        for run in contenders.values():
            run()
    disturbed = 0
    for _ in range(repeats):
        for name, run in contenders.items():
            wall, cpu = time.perf_counter(), time.process_time()
            sample = run()
            disturbed += time.process_time() - cpu < 0.95 * (time.perf_counter() - wall)
            for row in rows:
                row.values[name].append(sample[row.metric])
    if disturbed:
        total = repeats * len(contenders)
        print(f"{workload}: other processes took CPU time in {disturbed} of {total} runs", file=sys.stderr)
    return rows


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def call_latencies(call: Callable[[], object], calls: int) -> Sample:
    """p50 and p99 in microseconds of single calls; two readings of the clock are part of each."""
    clock = time.perf_counter_ns
    times = [0] * calls
    for i in range(calls):
        start = clock()
        call()
        times[i] = clock() - start
    times.sort()
    return {"p50": times[calls // 2] * 1e-3, "p99": times[calls * 99 // 100] * 1e-3}


def cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
    except OSError:
        return platform.processor() or "unknown"


def blas_in_use() -> list[dict[str, object]]:
    """Libraries and kernels that NumPy's products really use, as threadpoolctl finds them."""
    try:
        import threadpoolctl
    except ModuleNotFoundError:
        return [{"error": "unknown: threadpoolctl is not installed"}]
    keys = ("internal_api", "version", "architecture", "num_threads")
    return [{k: pool.get(k) for k in keys} for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]


def machine() -> dict[str, object]:
    """What a reader needs to judge the figures."""
    import numpy as np

    affinity = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return {
        "cpu": cpu_name(),
        "system": platform.platform(),
        "cpus_usable": affinity,
        "load_average": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "clock_overhead_us": call_latencies(lambda: None, 10_000)["p50"],
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numpy_simd": np.show_config(mode="dicts")["SIMD Extensions"],  # type: ignore[index]
        "numpy_blas": np.show_config(mode="dicts")["Build Dependencies"]["blas"].get("openblas configuration"),  # type: ignore[index]
        "blas_in_use": blas_in_use(),
        "environment": {k: os.environ.get(k) for k in (*DISTORTING, *THREADS)},
    }


def format_value(value: float) -> str:
    for limit, divisor, suffix in ((1e6, 1e6, " M"), (1e4, 1e3, " k")):
        if value >= limit:
            return f"{value / divisor:.3g}{suffix}"
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def print_table(rows: list[Row], first: str, second: str) -> None:
    def cell(row: Row, name: str) -> str:
        low, middle, high = (format_value(v) for v in row.quartiles(name))
        return f"{middle} [{low} .. {high}]"

    head = ("workload", "metric", first, second, "ratio")
    lines = [head] + [
        (r.workload, f"{r.metric}, {r.unit}", cell(r, first), cell(r, second), f"{r.advantage(first, second):.2f} x")
        for r in rows
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        aligned = [
            text.ljust(w) if i < 2 else text.rjust(w) for i, (text, w) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(aligned))


def write_json(path: str, rows: list[Row], facts: Mapping[str, object]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"machine": facts, "rows": [row.as_json() for row in rows]}, file, indent=1)
        file.write("\n")
