"""Compares two runs of bench/run.py: before, after, the change in per cent, and whether it is more than noise.

    python bench/compare.py before.json after.json [--peers] [--least 3]

A change counts if the ranges between the quartiles of both runs do not overlap and the medians differ by at least
`--least` per cent. The exit status is 1 if fastreg became slower by that measure or lost a value, and 2 if the files
cannot be compared.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass

import results
from results import FASTREG, Row


@dataclass(frozen=True)
class Change:
    """The change of one contender in one row. `gain` is in per cent, and positive where the second run is better."""

    row: Row
    contender: str
    before: tuple[float, float, float]
    after: tuple[float, float, float]
    least: float

    @property
    def gain(self) -> float:
        better, worse = (self.after, self.before) if self.row.higher_is_better else (self.before, self.after)
        return 100 * (results.quotient(better[1], worse[1]) - 1)

    @property
    def vanished(self) -> bool:
        """Whether a value has become none at all."""
        return math.isfinite(self.before[1]) and not math.isfinite(self.after[1])

    @property
    def beyond_noise(self) -> bool:
        apart = self.after[0] > self.before[2] or self.after[2] < self.before[0]
        return apart and abs(self.gain) >= self.least

    @property
    def regression(self) -> bool:
        return self.vanished or (self.beyond_noise and self.gain < 0)

    def line(self) -> tuple[str, ...]:
        mark = "NO VALUE" if self.vanished else "SLOWER" if self.regression else "faster" if self.beyond_noise else ""
        spans = (
            f"{results.format_value(m)} [{results.format_value(a)} .. {results.format_value(b)}]"
            for a, m, b in (self.before, self.after)
        )
        metric, gain = f"{self.row.metric}, {self.row.unit}", "-" if math.isnan(self.gain) else f"{self.gain:+.1f} %"
        return self.row.workload, metric, self.contender, *spans, gain, mark


def changes(before: list[Row], after: list[Row], *, peers: bool, least: float) -> list[Change]:
    """The changes of what both runs measured: fastreg and the limits of the machine; with `peers` also the others."""
    earlier = {row.key: row for row in before}
    found = []
    for row in after:
        old = earlier.get(row.key)
        for name in row.values:
            if old is not None and old.values.get(name) and (peers or name.startswith((FASTREG, "machine"))):
                found.append(Change(row, name, old.quartiles(name), row.quartiles(name), least))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--peers", action="store_true", help="the peers' rows too: they show how alike the runs were")
    parser.add_argument("--least", type=float, default=3.0, help="smaller changes are none, in per cent (default 3)")
    options = parser.parse_args()
    try:
        (old_machine, old), (new_machine, new) = results.read(options.before), results.read(options.after)
    except (OSError, ValueError) as error:
        print(f"compare.py: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    for key in ("cpu", "threads", "numpy"):
        if old_machine.get(key) != new_machine.get(key):
            print(f"note: {key} was {old_machine.get(key)}, is {new_machine.get(key)}")
    found = changes(old, new, peers=options.peers, least=options.least)
    if not found:
        print(f"compare.py: {options.before} and {options.after} have no row in common", file=sys.stderr)
        raise SystemExit(2)
    lines = [("workload", "metric", "contender", "before", "after", "change", ""), *(change.line() for change in found)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    slower = [change for change in found if change.regression and change.contender.startswith(FASTREG)]
    values = {row.key: row.values for row in new}
    missing = [(row.key, name) for row in old for name in row.values if name not in values.get(row.key, {})]
    for key, name in missing:
        print(f"only in {options.before}: {key}, {name}")
    print(f"{len(found)} compared, {sum(c.beyond_noise and c.gain > 0 for c in found)} faster, {len(slower)} slower")
    lost = any(name.startswith(FASTREG) and key in values for key, name in missing)
    raise SystemExit(1 if slower or lost else 0)


if __name__ == "__main__":
    main()
