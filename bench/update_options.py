"""The bandwidth of an optimizer's pass with its options, beside that of the plain pass.

    taskset -c 0 .venv/bin/python bench/update_options.py [parameters]

A pass is limited by the memory at these sizes, so each variant is judged by the bytes that it moves in a second: of
each array that it reads or writes, once for each time. The variants take turns; printed are medians with quartiles.
"""

from __future__ import annotations

import statistics
import sys
import time

import fastreg as fr
import numpy as np
from fastreg import ops, optimizers

TURNS = 5

# name: the options, the penalties, and the bytes of a parameter. Adam reads w, g, m and v and writes w, m and v; an
# average is read and written; a norm reads the gradient once more, and with penalties the weights too.
PLAIN = 28
VARIANTS = {
    "plain": ({}, {}, PLAIN),
    "decay, l1, l2": ({"weight_decay": 0.01}, {"l1": 1e-5, "l2": 1e-5}, PLAIN),
    "average": ({"use_ema": True}, {}, PLAIN + 8),
    "clipvalue": ({"clipvalue": 0.5}, {}, PLAIN),
    "global_clipnorm": ({"global_clipnorm": 1.0}, {}, PLAIN + 4),
    "average, clipvalue, decay, l1, l2": (
        {"use_ema": True, "clipvalue": 0.5, "weight_decay": 0.01}, {"l1": 1e-5, "l2": 1e-5}, PLAIN + 8,
    ),
    "average, global_clipnorm, decay, l1, l2": (
        {"use_ema": True, "global_clipnorm": 1.0, "weight_decay": 0.01}, {"l1": 1e-5, "l2": 1e-5}, PLAIN + 16,
    ),
}


def seconds(updater: ops.Updater, g: np.ndarray) -> float:
    start = time.perf_counter()
    updater.step(g)
    return time.perf_counter() - start


def main() -> None:
    n = int(float(sys.argv[1])) if len(sys.argv) > 1 else 50_000_000
    fr.set_num_threads(1)
    rng = np.random.default_rng(0)
    g = rng.standard_normal(n, dtype=np.float32)
    repeats = max(1, 2_000_000 // n)
    found: dict[str, list[float]] = {name: [] for name in VARIANTS}
    updaters = {
        name: ops.Updater(optimizers.Adam(1e-3, **options), rng.standard_normal(n, dtype=np.float32), **penalties)
        for name, (options, penalties, _) in VARIANTS.items()
    }
    for updater in updaters.values():
        seconds(updater, g)  # the first touches new pages
    for _ in range(TURNS):
        for name, updater in updaters.items():
            times = [seconds(updater, g) for _ in range(repeats)]
            found[name].append(n * VARIANTS[name][2] / statistics.median(times) / 1e9)
    plain = statistics.median(found["plain"])
    print(f"{n:,} parameters, one thread, {TURNS} turns")
    for name, rates in found.items():
        low, middle, high = statistics.quantiles(rates, n=4, method="inclusive")
        print(f"{name:42} {middle:6.2f} GB/s [{low:.2f}, {high:.2f}]  {middle / plain:6.1%} of plain")


if __name__ == "__main__":
    main()
