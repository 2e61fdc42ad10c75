"""Measures the precisions of matrix products: speed beside PyTorch and JAX in bfloat16, and scores of trained models.

    python bench/matmul_precision.py speed [--threads 1] [--repeats 7] [--json out.json]
    FASTREG_DATA=DIR python bench/matmul_precision.py scores [--seeds 5] [--json out.json]

`speed`: an epoch of training and calls of the frozen network, for each precision that this CPU computes. Contenders
that are installed take turns in one process: PyTorch in float32 and under autocast to bfloat16, JAX in float32 and with
operands cast to bfloat16. Each figure is the median; beside it stands the rate of the products in GFLOP/s and its share
of the rate of float32 products that a square product of NumPy reaches in the same turns, with the largest and the
smallest of the latter as a sign of a busy neighbour. `scores`: final scores of the same training at each precision for
the same seeds, with their mean and range; DIR holds the data of the tests.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import fastreg as fr
import machine
import numpy as np
from fastreg import _core, layers

WORDS = tuple(word for word in ("highest", "high", "medium") if _core.matmul_precision_computes(word))
NETWORKS = ((784, 256, 128, 10), (1024, 2048, 2048, 10))
BATCHES = {NETWORKS[0]: 128, NETWORKS[1]: 512}
ROWS = (1, 32, 256, 1024)
PROBE = 768


def data_of(sizes: tuple[int, ...], rows: int) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, sizes[0])).astype(np.float32)
    return x, random.integers(0, sizes[-1], rows).astype(np.int64)


def model_of(sizes: tuple[int, ...], word: str, seed: int = 1) -> Any:
    stack = [layers.Dense(units, "relu") for units in sizes[1:-1]]
    model = fr.Sequential([fr.Input((sizes[0],)), *stack, layers.Dense(sizes[-1], "softmax")], seed=seed)
    model.compile(fr.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", ["accuracy"], matmul_precision=word)
    return model


# ------------------------------------------------------------------------------------------------------ contenders


def of_fastreg(sizes: tuple[int, ...], x: Any, y: Any) -> dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]]:
    made = {}
    for word in WORDS:
        model = model_of(sizes, word)

        def train(model: Any = model) -> None:
            model.fit(x, y, batch_size=BATCHES[sizes], epochs=1, verbose=0)

        made[f"fastreg {word}"] = (train, model.freeze())
    return made


def of_torch(sizes: tuple[int, ...], x: Any, y: Any) -> dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]]:
    import torch
    from torch import nn

    made = {}
    xs, ys = torch.from_numpy(x), torch.from_numpy(y)
    for name, reduced in (("PyTorch float32", False), ("PyTorch bfloat16 autocast", True)):
        stack: list[Any] = []
        for i, o in pairwise(sizes):
            stack += [nn.Linear(i, o), nn.ReLU()]
        model = nn.Sequential(*stack[:-1])
        optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)

        def train(model: Any = model, optimizer: Any = optimizer, on: bool = reduced) -> None:
            order = torch.randperm(len(xs))
            for rows in order.split(BATCHES[sizes]):
                optimizer.zero_grad(set_to_none=True)
                with torch.autocast("cpu", torch.bfloat16, enabled=on):
                    loss = nn.functional.cross_entropy(model(xs[rows]), ys[rows])
                loss.backward()
                optimizer.step()

        served = copy.deepcopy(model).bfloat16() if reduced else model

        def predict(rows: Any, served: Any = served, on: bool = reduced) -> Any:
            with torch.inference_mode():
                given = torch.from_numpy(rows)
                return torch.softmax(served(given.bfloat16() if on else given).float(), 1).numpy()

        made[name] = (train, predict)
    return made


def of_jax(sizes: tuple[int, ...], x: Any, y: Any) -> dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]]:
    import jax
    import jax.numpy as jnp
    from jax import lax

    made = {}
    for name, kind in (("JAX float32", jnp.float32), ("JAX bfloat16", jnp.bfloat16)):
        random = np.random.default_rng(1)
        weights = [
            (jnp.asarray(random.normal(size=(i, o)).astype(np.float32) * (2 / i) ** 0.5), jnp.zeros(o, np.float32))
            for i, o in pairwise(sizes)
        ]

        def forward(weights: Any, x: Any, kind: Any = kind) -> Any:
            for n, (w, b) in enumerate(weights):
                x = lax.dot(x.astype(kind), w.astype(kind), preferred_element_type=jnp.float32) + b
                x = jax.nn.relu(x) if n + 1 < len(weights) else x
            return x

        def loss(weights: Any, x: Any, y: Any, forward: Any = forward) -> Any:
            return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(forward(weights, x)), y[:, None], 1))

        def epoch(state: Any, x: Any, y: Any, loss: Any = loss) -> Any:
            def step(state: Any, rows: Any) -> Any:
                weights, m, v, t = state
                g = jax.grad(loss)(weights, x[rows], y[rows])
                t = t + 1
                m = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, m, g)
                v = jax.tree.map(lambda a, b: 0.999 * a + 0.001 * b * b, v, g)
                rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
                weights = jax.tree.map(lambda w, a, b: w - rate * a / (jnp.sqrt(b) + 1e-7), weights, m, v)
                return (weights, m, v, t), 0.0

            order = jnp.arange(len(x)).reshape(-1, BATCHES[sizes])
            return lax.scan(step, state, order)[0]

        zeros = jax.tree.map(jnp.zeros_like, weights)
        compiled, predict = jax.jit(epoch), jax.jit(lambda w, x, forward=forward: jax.nn.softmax(forward(w, x)))
        state = [(weights, zeros, zeros, jnp.float32(0))]

        def train(state: Any = state, compiled: Any = compiled) -> None:
            state[0] = jax.block_until_ready(compiled(state[0], x, y))

        made[name] = (train, lambda rows, predict=predict, weights=weights: np.asarray(predict(weights, rows)))
    return made


def contenders(sizes: tuple[int, ...], x: Any, y: Any) -> dict[str, Any]:
    made = of_fastreg(sizes, x, y)
    for others in (of_torch, of_jax):
        try:
            made |= others(sizes, x, y)
        except ImportError as absent:
            print(f"left out: {absent}")
    return made


# ----------------------------------------------------------------------------------------------------------- speed


def seconds(call: Callable[[], Any], times: int) -> float:
    begun = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - begun) / times


def in_turns(calls: dict[str, Callable[[], Any]], flops: float, repeats: int) -> dict[str, Any]:
    """Median seconds of each call, taken in turns with a product of NumPy's."""
    square = np.ones((PROBE, PROBE), np.float32)
    times: dict[str, list[float]] = {name: [] for name in calls}
    probes, counts = [], {}
    for name, call in calls.items():
        call()
        counts[name] = max(1, round(0.05 / seconds(call, 1)))
    for _ in range(repeats):
        probes.append(2 * PROBE**3 / seconds(lambda: square @ square, 3) * 1e-9)
        for name, call in calls.items():
            times[name].append(seconds(call, counts[name]))
    probe = statistics.median(probes)
    print(f"    NumPy's product {probe:.0f} GFLOP/s [{min(probes):.0f}, {max(probes):.0f}]")
    out: dict[str, Any] = {"probe": [min(probes), probe, max(probes)]}
    first = statistics.median(times["fastreg highest"])
    for name, taken in times.items():
        value = statistics.median(taken)
        rate = flops / value * 1e-9
        shares = f"{rate / probe:>5.2f}  {first / value:>5.2f} x highest"
        print(f"    {name:<28} {value * 1e6:>12.1f} us  {rate:>6.0f} GFLOP/s  {shares}", flush=True)
        out[name] = {"seconds": value, "gflops": rate}
    return out


def speed(options: argparse.Namespace) -> dict[str, Any]:
    fr.set_num_threads(options.threads)
    try:
        import torch

        torch.set_num_threads(options.threads)
    except ImportError:
        pass
    out: dict[str, Any] = {}
    for sizes in NETWORKS:
        name = "-".join(map(str, sizes))
        weights = sum(i * o for i, o in pairwise(sizes))
        x, y = data_of(sizes, 4 * BATCHES[sizes])
        entered = contenders(sizes, x, y)
        print(f"train {name}, batch {BATCHES[sizes]}")
        flops = (6.0 * weights - 2.0 * sizes[0] * sizes[1]) * len(x)  # the first layer passes no gradient on
        out[f"train {name}"] = in_turns({k: train for k, (train, _) in entered.items()}, flops, options.repeats)
        for rows in ROWS:
            print(f"frozen {name}, {rows} rows")
            given = np.resize(x, (rows, sizes[0]))
            calls = {k: partial(predict, given) for k, (_, predict) in entered.items()}
            out[f"frozen {name} {rows}"] = in_turns(calls, 2.0 * weights * rows, options.repeats)
    return out


# ---------------------------------------------------------------------------------------------------------- scores


def fashion_mnist() -> tuple[Any, ...]:
    import fashion_mnist as data

    x, y = data.read("train")
    return (x, y, *data.read("t10k"), (784, 256, 128, 10), 5)


def digits() -> tuple[Any, ...]:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    parts = train_test_split((x / 16).astype(np.float32), y, test_size=0.3, random_state=0, stratify=y)
    return (parts[0], parts[2], parts[1], parts[3], (64, 256, 128, 10), 30)


def scores(options: argparse.Namespace) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for table in (fashion_mnist, digits):
        x, y, x_test, y_test, sizes, epochs = table()
        print(table.__name__)
        for word in WORDS:
            found = []
            for seed in range(options.seeds):
                model = model_of(sizes, word, seed)
                model.fit(x, y, batch_size=BATCHES.get(sizes, 64), epochs=epochs, verbose=0)
                found.append(float(np.mean(np.argmax(model.freeze()(x_test), 1) == y_test)))
            print(f"    {word:<8} accuracy {statistics.mean(found):.4f} [{min(found):.4f}, {max(found):.4f}]")
            out[f"{table.__name__} {word}"] = found
    for name, file, target, drop in (
        ("adult", "adult.csv.gz", "income", "is_test"),
        ("california", "california_housing.csv.gz", "median_house_value", None),
    ):
        out |= tables(name, file, target, drop, options.seeds)
    return out


def tables(name: str, file: str, target: str, drop: str | None, seeds: int) -> dict[str, Any]:
    """A plain network on standardised numbers and one-hot levels; a fifth of the rows is held out."""
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    folder = Path(os.environ.get("FASTREG_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    frame = pd.read_csv(folder / file)
    y, x = frame[target], frame.drop(columns=[target, *([drop] if drop else [])])
    regression = pd.api.types.is_float_dtype(y)
    numbers = x.select_dtypes("number").columns
    columns = make_column_transformer(
        (StandardScaler(), list(numbers)),
        (OneHotEncoder(sparse_output=False, handle_unknown="ignore"), [c for c in x if c not in set(numbers)]),
    )
    labels = (y - y.mean()) / y.std() if regression else pd.Series(pd.factorize(y)[0])
    x = x.fillna(x[numbers].median())
    x_train, x_test, y_train, y_test = train_test_split(x, labels, test_size=0.2, random_state=0)
    given, held = (np.asarray(a, np.float32) for a in (columns.fit_transform(x_train), columns.transform(x_test)))
    kind = np.float32 if regression else np.int64
    out = {}
    print(name)
    for word in WORDS:
        found = []
        for seed in range(seeds):
            last = layers.Dense(1) if regression else layers.Dense(2, "softmax")
            stack = [fr.Input((given.shape[1],)), layers.Dense(256, "relu"), layers.Dense(256, "relu"), last]
            model = fr.Sequential(stack, seed=seed)
            loss = "mse" if regression else "sparse_categorical_crossentropy"
            model.compile(fr.optimizers.Adam(1e-3), loss, matmul_precision=word)
            model.fit(given, np.asarray(y_train, kind), batch_size=128, epochs=8, verbose=0)
            p = model.freeze()(held)
            truth = np.asarray(y_test, kind)
            score = np.sqrt(np.mean((p.ravel() - truth) ** 2)) if regression else np.mean(p.argmax(1) == truth)
            found.append(float(score))
        label = "RMSE in standard deviations" if regression else "accuracy"
        print(f"    {word:<8} {label} {statistics.mean(found):.4f} [{min(found):.4f}, {max(found):.4f}]", flush=True)
        out[f"{name} {word}"] = found
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["speed", "scores"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(f"{machine.cpu_name()}; unit {_core.matmul_unit() or 'none'}; {options.threads} thread(s)")
    out = speed(options) if options.part == "speed" else scores(options)
    if options.json:
        options.json.write_text(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
