"""Times a step of RealMLP, in the simple and the full form, and what each part of the full form costs, on one thread.

    python bench/realmlp_step.py [--features 8] [--batch 256] [--repeats 7]

The networks take turns. It prints for each the median CPU time of a step with quartiles, and its ratio to the simple
form.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import fastreg as fr
import numpy as np
from fastreg import layers
from fastreg.table.realmlp import realmlp_layers, realmlp_optimizer
from fastreg.table.realmlp_td import Widths, realmlp_td, realmlp_td_optimizer

HIDDEN, ACTIVATION, STEPS = (256, 256, 256), "mish", 40


def chain(stack: Sequence[layers.Layer]) -> fr.Model:
    model = fr.Sequential(list(stack), seed=0)
    model.compile(realmlp_optimizer(0.07), "mse")
    return model


def full(n_features: int) -> fr.Model:
    model, _ = realmlp_td(Widths(n_features, 0, 0, 0), HIDDEN, ACTIVATION, 1, "linear", 0)
    model.compile(realmlp_td_optimizer(0.2, 1e-8, len(HIDDEN)), "mse")
    return model


def networks(n_features: int) -> dict[str, fr.Model]:
    plain = [layers.Dense(width, ACTIVATION) for width in HIDDEN]
    mixed = [part for width in HIDDEN for part in (layers.Dense(width), layers.ParametricActivation(ACTIVATION))]
    dropped = [part for layer in plain for part in (layer, layers.Dropout(0.15))]
    last = [layers.Dense(1)]
    return {
        "TD-S": chain(realmlp_layers(HIDDEN, ACTIVATION, n_features, 1, "linear")),
        "TD": full(n_features),
        "dense layers alone": chain(plain + last),
        "with periodic embeddings": chain([layers.PeriodicEmbedding(3), *plain, *last]),
        "with mixed activations": chain(mixed + last),
        "with dropout": chain(dropped + last),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, usual in (("features", 8), ("batch", 256), ("repeats", 7)):
        parser.add_argument(f"--{name}", type=int, default=usual, help=f"default {usual}")
    asked = parser.parse_args()
    fr.set_num_threads(1)
    rng, n = np.random.default_rng(0), asked.batch * STEPS
    x, y = rng.normal(size=(n, asked.features)).astype(np.float32), rng.normal(size=(n, 1)).astype(np.float32)
    models = networks(asked.features)
    found: dict[str, list[float]] = {name: [] for name in models}
    for repeat in range(asked.repeats + 1):
        for name, model in models.items():
            begun = time.process_time()
            model.fit(x, y, batch_size=asked.batch, epochs=1, verbose=0)
            if repeat:  # the first one warms up
                found[name].append((time.process_time() - begun) / STEPS * 1e3)
    simple = np.median(found["TD-S"])
    for name, times in found.items():
        low, middle, high = np.percentile(times, [25, 50, 75])
        print(f"{name:25} {middle:7.3f} ms a step ({low:.3f} to {high:.3f}), {middle / simple:.2f} x")


if __name__ == "__main__":
    main()
