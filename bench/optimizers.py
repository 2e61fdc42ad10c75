"""The step of every optimizer that PyTorch has, too, against PyTorch's, fused or with foreach, whichever is faster.

    taskset -c 0 python bench/optimizers.py [NAME...] [--sizes 10000 1000000 50000000] [--json FILE]

Both run in this process on one thread, in turns, on vectors of the same size; before anything is timed, twenty steps of
both must agree. A value is the median of five repeats, each of at least 0.1 seconds, with the quartiles. The traffic
counts each array once a read and once a write: the parameters, the gradient, the moments.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import fastreg
import numpy as np
import torch
from fastreg import ops, optimizers

REPEATS, SECONDS = 5, 0.1


class Row(NamedTuple):
    """fastreg's optimizer, the name and the options of PyTorch's, and how many arrays it keeps."""

    ours: optimizers.Optimizer
    name: str
    options: dict[str, Any]
    moments: int


ROWS = {
    "sgd": Row(optimizers.SGD(1e-3), "SGD", {}, 0),
    "momentum": Row(optimizers.SGD(1e-3, 0.9), "SGD", {"momentum": 0.9}, 1),
    "nesterov": Row(optimizers.SGD(1e-3, 0.9, True), "SGD", {"momentum": 0.9, "nesterov": True}, 1),
    "adam": Row(optimizers.Adam(), "Adam", {"eps": 1e-7}, 2),
    "amsgrad": Row(optimizers.Adam(amsgrad=True), "Adam", {"eps": 1e-7, "amsgrad": True}, 3),
    "adamw": Row(optimizers.AdamW(weight_decay=0.01), "AdamW", {"eps": 1e-7, "weight_decay": 0.01}, 2),
    "nadam": Row(optimizers.Nadam(), "NAdam", {"eps": 1e-7, "momentum_decay": 1.0}, 2),
    "radam": Row(optimizers.RAdam(), "RAdam", {}, 2),
    "adamax": Row(optimizers.Adamax(), "Adamax", {"eps": 1e-7}, 2),
    "rmsprop": Row(optimizers.RMSprop(), "RMSprop", {"alpha": 0.9, "eps": 1e-7}, 1),
    "rmsprop with momentum": Row(
        optimizers.RMSprop(momentum=0.9), "RMSprop", {"alpha": 0.9, "eps": 1e-7, "momentum": 0.9}, 2
    ),
    "centered rmsprop": Row(
        optimizers.RMSprop(epsilon=1e-3, centered=True), "RMSprop", {"alpha": 0.9, "eps": 1e-3, "centered": True}, 2
    ),
    "adagrad": Row(optimizers.Adagrad(), "Adagrad", {"eps": 1e-7, "initial_accumulator_value": 0.1}, 1),
    "adadelta": Row(optimizers.Adadelta(1.0), "Adadelta", {"lr": 1.0, "rho": 0.95, "eps": 1e-7}, 2),
    "rprop": Row(optimizers.Rprop(1e-3), "Rprop", {}, 2),
}


def ours(row: Row, w: np.ndarray, g: np.ndarray) -> Callable[[], object]:
    updater = ops.Updater(row.ours, w)
    return lambda: updater.step(g)


def theirs(row: Row, w: np.ndarray, g: np.ndarray, way: str) -> Callable[[], object]:
    """A step of PyTorch's; way is an argument of its constructor. It is NotImplementedError where there is no such."""
    parameter = torch.nn.Parameter(torch.from_numpy(w))
    parameter.grad = torch.from_numpy(g)
    kind = getattr(torch.optim, row.name)
    try:
        return kind([parameter], **{"lr": 1e-3, **row.options, way: True}).step
    except (TypeError, RuntimeError, ValueError) as error:
        raise NotImplementedError(way) from error


def data(size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.standard_normal(size, dtype=np.float32), np.float32(0.1) * rng.standard_normal(size, dtype=np.float32)


def check(name: str, way: str) -> None:
    """Twenty steps on one gradient, whose sign changes. Their difference is a few roundings of weights and steps."""
    row, (w, g) = ROWS[name], data(10_007)
    mine, other = w.copy(), w.copy()
    ours_now, theirs_now = g.copy(), g.copy()
    steps = ours(row, mine, ours_now), theirs(row, other, theirs_now, way)
    for t in range(20):
        for now in (ours_now, theirs_now):
            now[:] = g if t % 3 else -g
        for step in steps:
            step()
    worst = float(np.abs(mine - other).max())
    if not worst < 2e-5:
        raise AssertionError(f"{name}: {worst} from PyTorch's with {way}")


def seconds(step: Callable[[], object], count: int) -> float:
    begun = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - begun) / count


def measured(name: str, size: int) -> dict[str, Any]:
    row, contenders = ROWS[name], {}
    w, g = data(size)
    contenders["fastreg"] = ours(row, w.copy(), g)
    for way in ("fused", "foreach"):
        try:
            contenders[way] = theirs(row, w.copy(), g, way)
            contenders[way]()
        except NotImplementedError:
            contenders.pop(way, None)
            continue
        except RuntimeError:  # some say only in the first step that they have no such way
            contenders.pop(way, None)
            continue
        check(name, way)
    for step in contenders.values():
        step()
    counts = {way: max(1, int(SECONDS / seconds(step, 1))) for way, step in contenders.items()}
    times: dict[str, list[float]] = {way: [] for way in contenders}
    for _ in range(REPEATS):
        for way, step in contenders.items():
            times[way].append(seconds(step, counts[way]))
    found: dict[str, Any] = {"name": name, "size": size}
    for way, values in times.items():
        low, median, high = statistics.quantiles(values, n=4)
        found[way] = {"us": 1e6 * median, "quartiles": [1e6 * low, 1e6 * high]}
    best = min((way for way in times if way != "fastreg"), key=lambda way: found[way]["us"])
    traffic = (12 + 8 * row.moments) * size
    return {**found, "best": best, "times": found[best]["us"] / found["fastreg"]["us"],
            "GB/s": 1e-3 * traffic / found["fastreg"]["us"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *ROWS], metavar="NAME", help=", ".join(ROWS))
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 1_000_000, 50_000_000])
    parser.add_argument("--json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    fastreg.set_num_threads(1)
    results = []
    print(f"{'rule':24}{'size':>10}{'fastreg us':>12}{'PyTorch us':>12} {'way':8}{'times':>7}{'GB/s':>7}", flush=True)
    for size in given.sizes:
        for name in given.names or ROWS:
            found = measured(name, size)
            results.append(found)
            print(f"{name:24}{size:10.0e}{found['fastreg']['us']:12.1f}{found[found['best']]['us']:12.1f} "
                  f"{found['best']:8}{found['times']:7.2f}{found['GB/s']:7.1f}", flush=True)
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
