"""Finds and runs the C++ programs of this folder and makes rows of the JSON lines that they print.

A line is {"name", "metric", "unit", "value"}. Lines of kernels also have "isa" and "peak" (GFLOP/s of multiply-adds on
one core) and, where they apply, "flops", "bytes" and the "shape" of a product (form, rows, in, out).
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from contenders import Contender, Stopped, Worker, clean_environment
from results import Row

ROOT = Path(__file__).resolve().parents[1]
# The test of the kernels, which also times the calls that it compares.
TABLE = "../tests/cpp/test_table"
HINT = "cmake --preset bench && cmake --build --preset bench"


class Programs:
    def __init__(self, folder: str | None, cpus: tuple[int, ...], threads: int) -> None:
        self._folder = Path(folder) if folder else ROOT / "build/bench/bench"
        self._cpus, self._threads = cpus, threads

    def ping(self) -> float | None:
        """Round trip of a cache line between the first two CPUs in ns, None where it cannot be measured."""
        if len(self._cpus) < 2 or not self._exists("bench_limits"):
            return None
        (line,) = self._lines("bench_limits", "ping", str(self._cpus[0]), str(self._cpus[1]))
        return float(line["value"])

    def limits(self, repeats: int) -> list[Row]:
        """The limits of the machine: multiply-adds, bandwidths, and the bare memory traffic of each update rule."""
        if not self._exists("bench_limits"):
            return [Row("machine limits", "rate", "", True, "limits", absent={"bench_limits": f"not built: {HINT}"})]
        rows: dict[str, Row] = {}
        for _ in range(repeats):
            for line in self._lines("bench_limits", "all", *map(str, self._cpus[: self._threads])):
                row = Row(line["name"], line["metric"], line["unit"], line["unit"] != "ns", "limits")
                rows.setdefault(row.key, row).values.setdefault("machine", []).append(line["value"])
        return list(rows.values())

    def kernels(self, repeats: int) -> list[Row]:
        """The entries of the kernel table, with matrix products compared with NumPy's of the same shapes."""
        if not self._exists("bench_kernels"):
            return [Row("kernels", "rate", "", True, "kernels", absent={"bench_kernels": f"not built: {HINT}"})]
        rows: dict[str, Row] = {}
        pin = ["--cpu", str(self._cpus[0])] if self._cpus else []
        numpy = Worker(Contender("numpy", 1, self._cpus[:1]))
        numpy.open()
        try:
            for _ in range(repeats):
                lines = self._lines("bench_kernels", "--json", *pin)
                theirs = numpy.ask(products=[line["shape"] for line in lines if "shape" in line])["seconds"]
                if self._exists(TABLE):
                    lines += self._lines(TABLE, "--bench", str(min(self._cpus, default=0)), lines[0]["isa"])
                for line in lines:
                    row = Row(line["name"], line["metric"], line["unit"], line["metric"] == "rate", "kernels")
                    row = rows.setdefault(row.key, row)
                    row.values.setdefault(f"fastreg {line['isa']}", []).append(line["value"])
                    if "shape" in line:
                        seconds = theirs[json.dumps(line["shape"])]
                        value = seconds * 1e9 if line["unit"] == "ns" else line["flops"] / seconds * 1e-9
                        row.values.setdefault("NumPy", []).append(value)
                    if "flops" in line:
                        row.facts = {k: line[k] for k in ("flops", "bytes", "peak", "isa")}
        finally:
            numpy.close()
        return list(rows.values())

    def _exists(self, program: str) -> bool:
        return (self._folder / program).is_file()

    def _lines(self, program: str, *words: str) -> list[dict[str, Any]]:
        command, environment = [str(self._folder / program), *words], clean_environment(self._threads, {})
        done = subprocess.run(command, env=environment, check=False, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise Stopped(f"{program}: the process ended with status {done.returncode}; see its error above")
        return [json.loads(line) for line in done.stdout.splitlines()]
