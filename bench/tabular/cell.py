"""Measures one cell of bench/tables.py, a competitor on a table with a seed, in a process of its own:

    python -m tabular.cell '{"table": "iris", "competitor": "histgb", "seed": 0, "time": 60, "threads": 2, ...}'

The last line of the output is the cell as JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

from tabular import scores, sources
from tabular.competitors import COMPETITORS, Competitor, Settings

# Calls of one row: as many as fit into the seconds, within these limits.
_FEWEST_CALLS, _MOST_CALLS, _CALL_SECONDS = 20, 2000, 0.3


def median_us(call: Callable[[], Any]) -> float:
    """The median time of a call in microseconds, the first few left out."""
    for _ in range(5):
        call()
    times: list[float] = []
    until = time.perf_counter() + _CALL_SECONDS
    while len(times) < _FEWEST_CALLS or (len(times) < _MOST_CALLS and time.perf_counter() < until):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1e6


def load() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def measured(competitor: Competitor, data: sources.Data, seed: int, intervals: bool) -> dict[str, Any]:
    """Scores, seconds and times of one row of a competitor on the split of a seed."""
    train, test = data.split(seed)
    x, y, new, truth = data.x.iloc[train], data.y[train], data.x.iloc[test], data.y[test]
    found: dict[str, Any] = {"rows_train": len(train), "rows_test": len(test), "columns": data.x.shape[1]}
    found["load"] = load()
    begun = time.perf_counter()
    competitor.fit(x, y)
    found["seconds"] = time.perf_counter() - begun
    predicted = competitor.predict(new)
    found |= scores.of_classes(truth, predicted) if data.n_classes else scores.of_numbers(truth, predicted)
    found["row_us"] = median_us(competitor.row(new.iloc[:1]))
    found["frame_row_us"] = median_us(competitor.call(new.iloc[:1]))
    if intervals and not data.n_classes:
        begun = time.perf_counter()
        bounds = competitor.intervals(x, y, new)
        if bounds is not None:
            found["interval_seconds"] = time.perf_counter() - begun
            found |= scores.of_intervals(truth, bounds)
    return found


def source_of(request: dict[str, Any]) -> sources.Source:
    """The table by its name; the tables of a folder come first."""
    own = sources.of_folder(request["folder"], request["target"]) if request.get("folder") else []
    return next(source for source in [*own, *sources.SOURCES] if source.name == request["table"])


def measure(request: dict[str, Any]) -> dict[str, Any]:
    data = source_of(request).load()
    entry = next(entry for entry in COMPETITORS if entry.name == request["competitor"])
    settings = Settings(data.n_classes, request["seed"], request["time"], request["threads"], data.text, data.in_time)
    return measured(entry.kind(settings), data, request["seed"], request["intervals"])


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of networks that have not converged and arrays without names
    print("\n" + json.dumps(measure(json.loads(sys.argv[1]))))
