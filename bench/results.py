"""Measured rows: their quartiles and ratios, the table, the JSON file. Uses the standard library only."""

from __future__ import annotations

import json
import math
import os
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

FASTREG = "fastreg"
# Ratios that are closer to 1 than this are noise and are called level.
LEVEL = 0.03


def quotient(a: float, b: float) -> float:
    """a / b of values that may be 0: 1 if both are 0, infinite if only b is."""
    if b == 0:
        return math.nan if math.isnan(a) else 1.0 if a == 0 else math.inf
    return a / b


@dataclass
class Row:
    """One metric of one workload: the values of every repeat, by contender. `absent` says why a contender has none;
    `disturbed` counts values taken while other processes had more than a few per cent of the CPU; `notes` are for the
    reader.
    """

    workload: str
    metric: str
    unit: str
    higher_is_better: bool
    group: str = ""
    values: dict[str, list[float]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    disturbed: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)  # of a kernel: its flops, bytes, isa and the peak beside it

    @property
    def key(self) -> str:
        return f"{self.workload} | {self.metric}"

    def quartiles(self, contender: str) -> tuple[float, float, float]:
        values = self.values[contender]
        if len(values) == 1:
            return (values[0],) * 3
        low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
        return low, middle, high

    @property
    def subject(self) -> str | None:
        """The contender to compare with: fastreg, its first variant, or the machine; None if none of them ran."""
        return next((name for name in self.values if name.startswith((FASTREG, "machine"))), None)

    def advantage(self, first: str, second: str) -> float:
        """How many times better `first` is than `second`: the median over neighbouring repeats."""
        pairs = zip(self.values[first], self.values[second], strict=False)
        return statistics.median(quotient(a, b) if self.higher_is_better else quotient(b, a) for a, b in pairs)

    def best_other(self, first: str) -> str | None:
        """The best contender that is not a variant of the first."""
        others = [name for name in self.values if not name.startswith(FASTREG) and name != first]
        return min(others, key=lambda name: self.advantage(first, name), default=None)

    def as_json(self) -> dict[str, Any]:
        names = ("lower_quartile", "median", "upper_quartile")
        summary = {name: dict(zip(names, self.quartiles(name), strict=True)) for name in self.values}
        return {**asdict(self), "summary": summary}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Row:
        return cls(**{k: v for k, v in data.items() if k != "summary"})


def format_value(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    for limit, divisor, suffix in ((1e6, 1e6, " M"), (1e4, 1e3, " k")):
        if value >= limit:
            return f"{value / divisor:.3g}{suffix}"
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def format_range(row: Row, contender: str) -> str:
    low, middle, high = (format_value(v) for v in row.quartiles(contender))
    flag = f"  disturbed {row.disturbed[contender]}" if row.disturbed.get(contender) else ""
    return f"{middle:>7} [{low} .. {high}]{flag}"


def print_row(row: Row) -> None:
    """Prints every contender with median, quartiles and fastreg's advantage; kernels and limits on one line."""
    first = row.subject
    if row.group in ("kernels", "limits") and first is not None:
        cells = [f"{name} {format_range(row, name).strip()}" for name in row.values]
        cells += [f"{row.advantage(first, name):.2f} x" for name in row.values if name != first]
        if row.facts and row.unit == "GFLOP/s" and row.facts["peak"] > 0:
            cells.append(f"{100 * row.quartiles(first)[1] / row.facts['peak']:.1f} % of the peak")
        print(f"{row.workload}, {row.unit}: {', '.join(cells)}")
        return
    print(f"{row.workload}: {row.metric}{', ' * bool(row.unit)}{row.unit}")
    for name in row.values:
        times = float("nan") if first in (None, name) else row.advantage(first, name)
        ratio = f"{times:8.2f} x" if math.isfinite(times) else ""
        print(f"    {name:26} {format_range(row, name):34}{ratio}")
    for name, reason in row.absent.items():
        print(f"    {name:26} absent: {reason}")
    for note in row.notes:
        print(f"    {note}")


def summary_lines(rows: list[Row]) -> list[str]:
    """One line for each row of fastreg: it, the best peer and their ratio, with a mark where the peer is ahead."""
    table = [("workload", "metric", "fastreg", "best peer", "", "ratio")]
    for row in rows:
        first = row.subject
        if first is None:
            continue
        other = row.best_other(first)
        ours = format_value(row.quartiles(first)[1])
        if other is None:
            table.append((row.workload, f"{row.metric}, {row.unit}", ours, "", "", ""))
            continue
        ratio = row.advantage(first, other)
        if not math.isfinite(ratio):
            continue
        theirs = format_value(row.quartiles(other)[1])
        mark = "  BEHIND" if ratio < 1 - LEVEL else "  level" if ratio < 1 + LEVEL else ""
        table.append((row.workload, f"{row.metric}, {row.unit}", ours, other, theirs, f"{ratio:.2f} x{mark}"))
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    left = (0, 1, 3)
    lines = []
    for line in table:
        cells = (
            text.ljust(w) if i in left else text.rjust(w) for i, (text, w) in enumerate(zip(line, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return lines


def write(path: str, rows: list[Row], facts: Mapping[str, Any]) -> None:
    """Writes the file. If this is interrupted, the previous file stays."""
    part = f"{path}.part"
    with open(part, "w", encoding="utf-8") as file:
        json.dump({"machine": facts, "rows": [row.as_json() for row in rows]}, file, indent=1)
        file.write("\n")
    os.replace(part, path)


def read(path: str) -> tuple[dict[str, Any], list[Row]]:
    """Reads the file. Raises OSError, or ValueError if this program did not write it."""
    with open(path, encoding="utf-8") as file:
        try:
            data = json.load(file)
            return data["machine"], [Row.from_json(row) for row in data["rows"]]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"{path} was not written by bench/run.py: {error!r}") from error
