"""One contender in a process of its own: `python worker.py PEER THREADS CPUS`, driven by contenders.py over pipes.

It reads a JSON object a line and answers each with one:
    {"start": row, "seconds": s, "calls": n}   builds and checks the contender of a row
    {"repeat": 1}                              makes one repeat of it
    {"check_threads": row}                     compares the weights of one thread with those of several
    {"products": shapes}                       times NumPy's matrix products
An empty line ends it. What libraries print goes to standard error.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any


def main() -> None:
    name, threads, cpus = sys.argv[1], int(sys.argv[2]), [int(cpu) for cpu in sys.argv[3].split(",") if cpu]
    if cpus:
        os.sched_setaffinity(0, cpus)  # before any library makes its threads
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")

    def answer(content: dict[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    import load
    import peers
    import tasks
    from peers.base import Unsupported

    peer = peers.load(name, threads)
    answer({"version": peer.version(), "label": peer.label, "notes": peer.notes})
    watch = load.Watch()
    repeat: Callable[[], tasks.Sample] | None = None
    for line in sys.stdin:
        if not line.strip():
            break
        request = json.loads(line)
        try:
            if "start" in request:
                repeat = None
                gc.collect()
                settings = tasks.Settings(request["seconds"], request["calls"])
                repeat = tasks.ROWS[request["start"]].start(peer, settings)
                answer({"started": True})
            elif "check_threads" in request:
                answer(check_threads(peer, tasks.ROWS[request["check_threads"]], threads))
            elif "products" in request:
                answer({"seconds": {json.dumps(shape): product_seconds(*shape) for shape in request["products"]}})
            else:
                assert repeat is not None
                watch.begin()
                sample = repeat()
                answer({"sample": dict(sample), "foreign": watch.foreign_share()})
        except Unsupported as reason:
            answer({"unsupported": str(reason)})
        except tasks.Disagreement as reason:
            answer({"disagreement": str(reason)})


def check_threads(peer: Any, row: Any, threads: int) -> dict[str, Any]:
    """Whether fastreg's weights after training are the same bits on one and on `threads` threads."""
    import dataclasses

    import fastreg
    import workloads

    net = dataclasses.replace(row.net, rows=min(row.net.rows, 20 * row.net.batch + 1))
    x, y = workloads.classification_data(net, net.rows)
    results = []
    for count in (1, threads):
        fastreg.set_num_threads(count)
        trainer = peer.trainer(net, workloads.initial_weights(net), x, y)
        trainer.run(2)
        results.append([array.tobytes() for layer in trainer.weights() for array in layer.arrays()])
    return {"equal": results[0] == results[1], "arrays": len(results[0])}


def product_seconds(form: str, n: int, fan_in: int, fan_out: int) -> float:
    """One of NumPy's products as a training step needs it, the best of several windows (as in timing.h)."""
    import time

    import numpy as np

    rng = np.random.default_rng(0)
    x, w, y = (rng.standard_normal(shape, dtype=np.float32) for shape in ((n, fan_in), (fan_in, fan_out), (n, fan_out)))
    left, right = {"NN": (x, w), "TN": (x.T, y)}.get(form, (y, w.T))
    out = np.empty((left.shape[0], right.shape[1]), np.float32)

    def window(times: int) -> float:
        start = time.thread_time()
        for _ in range(times):
            np.matmul(left, right, out=out)
        return time.thread_time() - start

    times = 1
    while window(times) < 0.002:
        times *= 2
    return min(window(times) for _ in range(5)) / times


if __name__ == "__main__":
    main()
