"""Serving: a trained network frozen for predictions one row at a time, and how long a call takes.

    python examples/serving.py [--calls 20000] [--seed 0]

The frozen network gives the same as `predict`, up to rounding, and does not change when training continues. Here
requests come from several threads, each of which reuses arrays of its own.
"""

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import fastreg as fr
import numpy as np
from fastreg import layers, optimizers
from toy_data import half_circles


def train(seed: int) -> fr.Sequential:
    x, y = half_circles(500, seed=seed)
    model = fr.Sequential(
        [layers.Dense(64, activation="relu"), layers.BatchNormalization(), layers.Dropout(0.2),
         layers.Dense(1, activation="sigmoid")],
        seed=seed,
    )
    model.compile(optimizer=optimizers.Adam(1e-2), loss="binary_crossentropy")
    model.fit(x, y, epochs=50, verbose=0)
    return model


def serve(p: fr.Predictor, rows: np.ndarray) -> np.ndarray:
    """The work of one thread: copies each request into its own row and reads the answer from its own output."""
    row, answer = np.empty((1, p.n_features), np.float32), np.empty((1, p.n_outputs), np.float32)
    answers = []
    for request in rows:
        row[0] = request
        p(row, out=answer)
        answers.append(answer.copy())
    return np.concatenate(answers)


def median_call(call: Callable[[], object], calls: int) -> float:
    """The median time of a call in microseconds, including the time of reading the clock."""
    clock, times = time.perf_counter_ns, np.empty(calls)
    for i in range(calls):
        start = clock()
        call()
        times[i] = clock() - start
    return float(np.median(times)) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model = train(options.seed)
    p = model.freeze()
    print(p)

    x, _ = half_circles(400, seed=options.seed + 1)
    requests = np.array_split(np.asarray(x, np.float32), 4)
    with ThreadPoolExecutor(4) as pool:
        answers = np.concatenate(list(pool.map(lambda rows: serve(p, rows), requests)))
    print(f"largest difference from predict: {np.abs(answers - model.predict(x)).max():.1e}")

    row, answer = requests[0][:1], np.empty((1, 1), np.float32)
    print(f"one row, p(x, out=y): {median_call(lambda: p(row, out=answer), options.calls):.2f} us a call")
    print(f"one row, predict(x):  {median_call(lambda: model.predict(row), options.calls):.2f} us a call")


if __name__ == "__main__":
    main()
