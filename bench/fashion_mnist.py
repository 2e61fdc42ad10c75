"""Measures how long fastreg, PyTorch and scikit-learn take to reach a given test accuracy on Fashion-MNIST.

    FASTREG_DATA=DIR python bench/fashion_mnist.py [--threads 1] [--seeds 5] [--goal 0.89] [--json out.json]

DIR holds fashion-mnist/ with the four original files. The network is 784-256-128-10 with batch normalisation before
the relu, dropout, and a cosine schedule. scikit-learn has none of the three and uses a plain network with Adam at a
constant rate. Each contender first chooses how many epochs it needs. It trains on 50,000 of the training images and
takes the smallest number whose accuracy on the other 10,000, averaged over three seeds, exceeds the goal by `MARGIN`,
because a validation set that was used to choose is optimistic; if there is none, it takes the best number up to
`MOST_EPOCHS`. Then it trains on all 60,000 images with this number and other seeds, and is evaluated on the test images
only at the end of such a run. The time is that of the fit alone. Contenders run in processes of their own, in turn.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import machine
import peers
from contenders import clean_environment

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("FASTREG_DATA", HERE.parents[1] / "shared" / "data")) / "fashion-mnist"
CONTENDERS = ("fastreg", "torch", "sklearn")  # and "torch-compile", which is slower at this size
LABELS = {"fastreg": "fastreg", "torch": "PyTorch", "torch-compile": "PyTorch, compiled", "sklearn": "scikit-learn"}
HIDDEN, CLASSES = (256, 128), 10
# The same settings for fastreg and PyTorch, which were chosen on the validation images.
BATCH, RATE, DROPOUT, BN_MOMENTUM = 128, 5e-3, 0.05, 0.9
MARGIN = 0.008
CHOOSING_SEEDS = (100, 101, 102)
FEWEST_EPOCHS, MOST_EPOCHS = 3, 20


def read(kind: str) -> tuple[Any, Any]:
    """Images as float32 rows, scaled so that the training images have mean 0 and variance 1, and labels."""
    import numpy as np

    def bytes_of(name: str, header: int) -> Any:
        with gzip.open(DATA / f"{name}.gz") as file:
            return np.frombuffer(file.read(), np.uint8, offset=header)

    images = bytes_of(f"{kind}-images-idx3-ubyte", 16).reshape(-1, 784)
    mean, deviation = 72.94035223214286, 90.02118235130519  # of the 60,000 training images
    x = ((images - np.float32(mean)) / np.float32(deviation)).astype(np.float32)
    return x, bytes_of(f"{kind}-labels-idx1-ubyte", 8).astype(np.int64)


def fit_fastreg(x: Any, y: Any, epochs: int, seed: int, threads: int) -> tuple[float, Any]:
    import fastreg as fr
    from fastreg import layers, optimizers, schedules

    fr.set_num_threads(threads)
    stack: list[Any] = []
    for units in HIDDEN:
        stack += [layers.Dense(units, use_bias=False), layers.BatchNormalization(momentum=BN_MOMENTUM)]
        stack += [layers.Activation("relu"), layers.Dropout(DROPOUT)]
    model = fr.Sequential([*stack, layers.Dense(CLASSES, activation="softmax")], seed=seed)
    schedule = schedules.CosineDecay(RATE, epochs * -(-len(x) // BATCH))
    model.compile(optimizer=optimizers.Adam(schedule), loss="sparse_categorical_crossentropy")
    start = time.perf_counter()
    model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0)
    return time.perf_counter() - start, lambda rows: model.predict(rows).argmax(axis=1)


def fit_torch(x: Any, y: Any, epochs: int, seed: int, threads: int, compiled: bool) -> tuple[float, Any]:
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    modules: list[nn.Module] = []
    for fan_in, units in zip((x.shape[1], *HIDDEN), HIDDEN, strict=False):
        modules += [nn.Linear(fan_in, units, bias=False), nn.BatchNorm1d(units, eps=1e-3, momentum=1 - BN_MOMENTUM)]
        modules += [nn.ReLU(), nn.Dropout(DROPOUT)]
    model = nn.Sequential(*modules, nn.Linear(HIDDEN[-1], CLASSES))
    for module in model:
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)  # fastreg's and Keras's default
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, eps=1e-7, fused=True)
    steps = epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    images, labels = torch.from_numpy(x), torch.from_numpy(y)

    def loss_of(xb: torch.Tensor, yb: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(model(xb), yb)

    loss = torch.compile(loss_of, dynamic=False) if compiled else loss_of
    if compiled:  # not counted: it happens once, and can be kept on disk; the last batch has another size
        for rows in {BATCH, len(x) % BATCH or BATCH}:
            loss(images[:rows], labels[:rows]).backward()
        optimizer.zero_grad(set_to_none=True)
    start = time.perf_counter()
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(images))
        xs, ys = images[order], labels[order]
        for xb, yb in zip(xs.split(BATCH), ys.split(BATCH), strict=True):
            optimizer.zero_grad(set_to_none=True)
            loss(xb, yb).backward()
            optimizer.step()
            schedule.step()
    took = time.perf_counter() - start
    model.eval()

    def classify(rows: Any) -> Any:
        with torch.inference_mode():
            return model(torch.from_numpy(rows)).argmax(1).numpy()

    return took, classify


def plain_sklearn(seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(HIDDEN, batch_size=128, random_state=seed, tol=0, n_iter_no_change=1000)


def fit_sklearn(x: Any, y: Any, epochs: int, seed: int) -> tuple[float, Any]:
    model = plain_sklearn(seed).set_params(max_iter=epochs)
    start = time.perf_counter()
    model.fit(x, y)
    return time.perf_counter() - start, model.predict


def fit(name: str, x: Any, y: Any, epochs: int, seed: int, threads: int) -> tuple[float, Any]:
    """Trains a network. Returns (seconds, a function from images to classes)."""
    if name == "fastreg":
        return fit_fastreg(x, y, epochs, seed, threads)
    if name == "sklearn":
        return fit_sklearn(x, y, epochs, seed)
    return fit_torch(x, y, epochs, seed, threads, compiled=name == "torch-compile")


def accuracy(classify: Any, x: Any, y: Any) -> float:
    return float((classify(x) == y).mean())


def choose(name: str, goal: float, threads: int) -> dict[str, Any]:
    """The smallest number of epochs whose mean validation accuracy exceeds the goal by the margin.

    Uses no test images.
    """
    import numpy as np

    x, y = read("train")
    order = np.random.default_rng(0).permutation(len(x))
    here, there = order[:50_000], order[50_000:]
    tried = {}
    # At a constant rate a longer run begins like a shorter one, so scikit-learn's run is continued epoch by epoch.
    running = {seed: plain_sklearn(seed) for seed in CHOOSING_SEEDS} if name == "sklearn" else {}
    for epochs in range(1 if running else FEWEST_EPOCHS, MOST_EPOCHS + 1):
        scores = []
        for seed in CHOOSING_SEEDS:
            if running:
                classify = running[seed].partial_fit(x[here], y[here], classes=range(CLASSES)).predict
            else:
                _, classify = fit(name, x[here], y[here], epochs, seed, threads)
            scores.append(accuracy(classify, x[there], y[there]))
        tried[epochs] = statistics.fmean(scores)
        if tried[epochs] >= goal + MARGIN:
            return {"epochs": epochs, "validation": tried[epochs]}
    best = max(tried, key=lambda epochs: tried[epochs])
    return {"epochs": best, "validation": tried[best]}


def final(name: str, epochs: int, seed: int, threads: int) -> dict[str, Any]:
    x, y = read("train")
    # A short fit beforehand, so that memory, threads and kernels are warm in the fits that count.
    fit(name, x[:2048], y[:2048], 1, seed, threads)
    seconds, classify = fit(name, x, y, epochs, seed, threads)
    return {"seconds": seconds, "accuracy": accuracy(classify, *read("t10k"))}


def earlier_choice(text: str, parser: argparse.ArgumentParser) -> dict[str, dict[str, Any]]:
    """The numbers of epochs that --epochs gives, by contender."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    if any(not epochs.isdecimal() or int(epochs) == 0 for _, _, epochs in pairs):
        parser.error(f"--epochs must be numbers >= 1 by name, as in fastreg=7,torch=7, got {text}")
    return {name: {"epochs": int(epochs)} for name, _, epochs in pairs}


def child(words: list[str], threads: int, cpus: list[int]) -> Any:
    """Runs this program with the given arguments in a process of its own and returns the JSON that it prints."""
    command = [sys.executable, str(Path(__file__).resolve()), "--child", *words, "--threads", str(threads)]
    command += ["--cpus", ",".join(map(str, cpus))]
    done = subprocess.run(command, env=clean_environment(threads, {}), check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cpus", default="", help="CPUs to run on, as 0,1 (default: the last usable ones)")
    parser.add_argument("--seeds", type=int, default=5, help="runs that count (default 5)")
    parser.add_argument("--goal", type=float, default=0.89, help="test accuracy to reach (default 0.89)")
    parser.add_argument("--peers", default=",".join(CONTENDERS))
    parser.add_argument("--epochs", default="", help="of an earlier choice, as fastreg=7,torch=7: these choose no more")
    parser.add_argument("--json", metavar="PATH")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not DATA.is_dir():
        parser.error(f"{DATA} does not exist; set FASTREG_DATA to the folder above it")
    cpus = [int(c) for c in options.cpus.split(",") if c] or machine.usable_cpus()[-options.threads :]
    if options.child:
        os.sched_setaffinity(0, cpus)
        what, name, *numbers = options.child
        if what == "choose":
            result = choose(name, options.goal, options.threads)
        else:
            epochs, seed = map(int, numbers)
            result = final(name, epochs, seed, options.threads)
        print(json.dumps(result))
        return
    wanted = options.peers.split(",")
    chosen = earlier_choice(options.epochs, parser)
    unknown = sorted({*wanted, *chosen} - set(LABELS))
    if unknown:
        parser.error(f"--peers and --epochs must be among {', '.join(LABELS)}, got {', '.join(unknown)}")
    names = [name for name in wanted if peers.installed(name)]
    for name in names:
        if name in chosen:
            continue
        chosen[name] = child(["choose", name], options.threads, cpus)
        print(
            f"{LABELS[name]}: {chosen[name]['epochs']} epochs, validation {chosen[name]['validation']:.4f}", flush=True
        )
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for seed in range(options.seeds):
        for name in names:
            runs[name].append(child(["final", name, str(chosen[name]["epochs"]), str(seed)], options.threads, cpus))
    report(runs, chosen, options)


def report(runs: dict[str, Any], chosen: dict[str, Any], options: argparse.Namespace) -> None:
    """Prints a Markdown table of median times with ranges and of test accuracies."""
    print(f"\n{machine.cpu_name()}, {options.threads} thread(s), test accuracy {options.goal} wanted\n")
    print(
        "| library | epochs | seconds, median (range) | times fastreg's | test accuracy, median (range) | at the goal |"
    )
    print("|---|---|---|---|---|---|")
    first = statistics.median(r["seconds"] for r in runs["fastreg"]) if "fastreg" in runs else None
    for name, results in runs.items():
        seconds, scores = ([r[key] for r in results] for key in ("seconds", "accuracy"))
        middle = statistics.median(seconds)
        ratio = f"{middle / first:.1f}" if first and name != "fastreg" else ""
        reached = sum(score >= options.goal for score in scores)
        times = f"{middle:.2f} ({min(seconds):.2f} to {max(seconds):.2f})"
        accuracies = f"{statistics.median(scores):.4f} ({min(scores):.4f} to {max(scores):.4f})"
        epochs = chosen[name]["epochs"]
        print(f"| {LABELS[name]} | {epochs} | {times} | {ratio} | {accuracies} | {reached} of {len(scores)} |")
    if options.json:
        Path(options.json).write_text(json.dumps({"chosen": chosen, "runs": runs}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
