"""Compares a first layer that reads the codes of a table with Dense on its dense features, on the Adult table.

    FASTREG_DATA=DIR python bench/table_input.py [--bins 128] [--units 128] [--hidden 1] [--repeats 5] [--instructions]

DIR holds adult.csv.gz. Both networks have the same features, initial weights, batches and optimizer (AdamW, batches of
128, GELU), on one thread. They train in turns; the times are medians, and their ratio is the median of the ratios of
neighbouring runs. It prints the memory of the encoded rows, the final losses, which must agree, and the time of one row
in a frozen network. With --instructions, both are run under Valgrind, too (on AVX2, as it knows no AVX-512), once and
twice as long, so that the difference counts the instructions of training steps alone.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("FASTREG_DATA", HERE.parents[1] / "shared" / "data")) / "adult.csv.gz"
BATCH = 128
CONTENDERS = ("codes", "dense")
# Steps whose instructions are counted.
COUNTED_STEPS = 64


def encoded(bins: int) -> tuple[Any, dict[str, Any], Any]:
    """The columns, the rows in both forms, and the targets."""
    import numpy as np
    from fastreg.tune.preparation import prepare

    data = prepare(str(DATA), "income", "is_test", None, 0)
    encoder = data.new_encoder(n_bins=bins).fit(data.codes)
    codes = encoder.with_dense(False)
    rows = {"codes": codes.transform(data.codes), "dense": encoder.transform(data.codes)}
    return encoder.columns, rows, data.y.astype(np.float32)


def network(name: str, columns: Any, units: int, hidden: int, width: int) -> Any:
    import fastreg as fr
    from fastreg import layers, optimizers

    first = layers.TableInput(units, columns, "gelu") if name == "codes" else layers.Dense(units, "gelu")
    more = [layers.Dense(units, "gelu") for _ in range(hidden - 1)]
    model = fr.Sequential([first, *more, layers.Dense(1, "sigmoid")], seed=0)
    model.compile(optimizers.AdamW(1e-3), "binary_crossentropy")
    model.build(width)
    return model


def row_time(model: Any, row: Any) -> float:
    """The median time of a call with one row, in microseconds."""
    predictor, calls = model.freeze(), 2000
    out = predictor(row)
    times = []
    for _ in range(9):
        start = time.perf_counter()
        for _ in range(calls):
            predictor(row, out=out)
        times.append((time.perf_counter() - start) / calls * 1e6)
    return statistics.median(times)


def compare(arguments: argparse.Namespace) -> None:
    import fastreg as fr

    fr.set_num_threads(1)
    columns, rows, y = encoded(arguments.bins)
    models = {
        name: network(name, columns, arguments.units, arguments.hidden, rows[name].shape[1]) for name in CONTENDERS
    }
    times: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    losses = {}
    for _ in range(arguments.repeats + 1):
        for name in CONTENDERS:
            start = time.perf_counter()
            history = models[name].fit(rows[name], y, batch_size=BATCH, epochs=3, verbose=0).history
            times[name].append(time.perf_counter() - start)
            losses[name] = history["loss"][-1]
    steps = 3 * -(-len(y) // BATCH)
    print(f"Adult, {arguments.bins} bins: {rows['codes'].shape[1]} codes, {rows['dense'].shape[1]} features")
    for name in CONTENDERS:
        step = statistics.median(times[name][1:]) / steps * 1e6
        one = row_time(models[name], rows[name][:1].copy())
        size = rows[name].nbytes / 1e6
        print(f"{name}: {step:.0f} us a step, {size:.1f} MB of rows, loss {losses[name]:.5f}")
        print(f"{name}: {one:.2f} us a row, frozen")
    ratios = sorted(dense / codes for codes, dense in zip(*(times[name][1:] for name in CONTENDERS), strict=True))
    print(f"time: {statistics.median(ratios):.2f} x ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    print(f"memory: {rows['dense'].nbytes / rows['codes'].nbytes:.1f} x")


def count(arguments: argparse.Namespace) -> None:
    """Prints the instructions of a training step of both."""
    import numpy as np

    columns, rows, y = encoded(arguments.bins)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in CONTENDERS:
            path = Path(folder) / f"{name}.npz"
            n = COUNTED_STEPS * BATCH
            np.savez(path, x=rows[name][:n], y=y[:n])
            model = network(name, columns, arguments.units, arguments.hidden, rows[name].shape[1])
            model.save(Path(folder) / f"{name}.safetensors")
            once, twice = (instructions(Path(folder), name, epochs) for epochs in (1, 2))
            found[name] = (twice - once) / COUNTED_STEPS
            print(f"{name}: {found[name] / 1e6:.3f} M instructions a step (AVX2)")
    print(f"instructions: {found['dense'] / found['codes']:.2f} x")


def instructions(folder: Path, name: str, epochs: int) -> int:
    program = f"""
import sys
import fastreg as fr, numpy as np
fr.set_num_threads(1)
data = np.load({str(folder / f"{name}.npz")!r})
model = fr.load({str(folder / f"{name}.safetensors")!r})
model.fit(data["x"], data["y"], batch_size={BATCH}, epochs={epochs}, verbose=0)
"""
    tool = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    command = [*tool, sys.executable, "-W", "ignore", "-c", program]
    environment = {**os.environ, "FASTREG_ISA": "avx2", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if collected is None:
        raise SystemExit(f"Valgrind counted nothing: {done.stderr[-500:]}")
    return int(collected[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bins", type=int, default=128)
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--hidden", type=int, default=1, help="hidden layers, the first one among them")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--instructions", action="store_true")
    arguments = parser.parse_args()
    compare(arguments)
    if arguments.instructions:
        count(arguments)


if __name__ == "__main__":
    main()
