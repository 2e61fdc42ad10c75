"""Times `fastreg predict` on a long CSV file beside the reader alone, and measures its peak memory.

    python bench/predict_stream.py [--rows 1000000] [--columns 10 30] [--repeats 5] [--members 1 3] [--threads 2]
    python bench/predict_stream.py --rows 10000000 --columns 10 --repeats 1 --folder DIR     # a long file

The table is drawn with one seed: two thirds of the columns are numbers of up to eight digits, one third has levels, and
the target is a number or one of two classes. The model is a blend of the first candidates of the recipe for large
tables after a few steps of training, since weights do not change the time. The reader goes through the blocks of the
file as `predict` reads them and does nothing else: cells stay texts. Arrow alone is pyarrow's own reader, which makes
numbers of them. Each run is a process of its own, in turns; the time is that of the call, without the imports of Arrow
and of what it imports. A ratio is the median time of a reader divided by that of `predict`, which is the rate of
`predict` as a share of that reader's. The peak is the resident memory of the process of `predict` (VmHWM of Linux), and
of one that imports the same and reads nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from contenders import clean_environment

# Rows of the table that the model is made from, steps of each member, and rows that are written at once.
_TRAINED, _STEPS, _CHUNK = 20_000, 20, 100_000
_LEVELS = ("north", "south", "east", "west", "centre", "isle", "lake", "hill")


def drawn(rows: int, columns: int, rng: np.random.Generator) -> dict[str, Any]:
    """Columns of a part of the table by their names."""
    numbers = 2 * columns // 3
    found: dict[str, Any] = {}
    for i in range(numbers):
        values = rng.normal(100.0 * i, 10.0 ** (i % 4), rows)
        found[f"x{i}"] = np.round(values) if i % 3 == 0 else np.round(values, 4)
    for i in range(columns - numbers):
        found[f"c{i}"] = np.array(_LEVELS)[rng.integers(len(_LEVELS), size=rows)]
    return found


def write(path: Path, rows: int, columns: int) -> None:
    """The file, without the target."""
    import pyarrow
    from pyarrow import csv

    rng, writer = np.random.default_rng(0), None
    for begin in range(0, rows, _CHUNK):
        part = pyarrow.table(drawn(min(_CHUNK, rows - begin), columns, rng))
        writer = writer or csv.CSVWriter(path, part.schema)
        writer.write(part)
    if writer is not None:
        writer.close()


def model(path: Path, columns: int, members: int, classes: bool) -> None:
    """Writes a blend that predicts the table."""
    from dataclasses import replace

    from fastreg.table import Recipe, Schema, Target
    from fastreg.table.blending import join
    from fastreg.table.model import TableModel
    from fastreg.table.training import Features, TrainingRows, key_of, task_of, train

    rng = np.random.default_rng(1)
    table = drawn(_TRAINED, columns, rng)
    score = table["x1"] - 100.0 + rng.normal(size=_TRAINED)
    table["y"] = np.array(["no", "yes"])[(score > 0.0).astype(int)] if classes else np.round(score, 3)
    schema, target = Schema.infer(table, target="y"), Target.infer(table, "y")
    y, _ = target.encode(table)
    learned = TrainingRows(target, [column.kind for column in schema.columns], schema.codes(table), y)
    features, made = Features(learned, [np.arange(_TRAINED)]), []
    for candidate in Recipe().listed(_TRAINED, task_of(target))[:members]:
        encoded = features.get(0, candidate)
        made.append((train(learned, encoded, replace(candidate, steps=_STEPS), 0), encoded.encoder))
    encoders = {key_of(encoder): encoder for _, encoder in made}
    places = [list(encoders).index(key_of(encoder)) for _, encoder in made]
    joined = join([network for network, _ in made], places, [1] * len(made), 0)
    finish = {"temperature": 1.2} if classes else {"limits": (-3.0, 3.0)}
    TableModel(schema, tuple(encoders.values()), joined, target, **finish).save(path)


def timed(what: str, data: str, made: str, out: str) -> dict[str, Any]:
    """One run in this process: what it took, and the memory at its peak."""
    import fastreg as fr
    import pyarrow.compute
    from fastreg.table.reading import read_blocks
    from fastreg.tune.predicting import BLOCK, predict
    from pyarrow import csv

    pyarrow.compute.sum(pyarrow.array([0.0]))  # the first array imports pandas, where it is installed
    fr.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    begun, used = time.perf_counter(), time.process_time()
    if what == "predict":
        with open(out, "w", encoding="utf-8", newline="") as file:
            predict(made, data, file)
    elif what == "reader":
        for _ in read_blocks(data, rows=BLOCK):
            pass
    elif what == "arrow":
        for _ in csv.open_csv(data):
            pass
    found = {"seconds": time.perf_counter() - begun, "cpu": time.process_time() - used}
    return found | {"peak": peak()}


def peak() -> float:
    """The largest resident memory of this process so far in MiB. ru_maxrss would contain that of its parent."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) / 1024.0 for line in file if line.startswith("VmHWM"))


def in_process(threads: int, *words: str) -> dict[str, Any]:
    environment = clean_environment(threads, dict.fromkeys(("PYTHONPATH",), os.environ.get("PYTHONPATH", "")))
    command = [sys.executable, str(Path(__file__).resolve()), "--one", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def compare(options: argparse.Namespace, folder: Path, columns: int) -> None:
    data = folder / f"rows{options.rows}x{columns}.csv"
    if not data.exists():
        write(data, options.rows, columns)
    bare = in_process(options.threads, "nothing", str(data), "", "")["peak"]
    for members in options.members:
        for kind in options.targets:
            made, out = folder / f"{kind}{members}x{columns}.model", folder / "predicted.csv"
            model(made, columns, members, kind == "classes")
            runs: dict[str, list[dict[str, Any]]] = {"reader": [], "arrow": [], "predict": []}
            for _ in range(options.repeats):
                for what, found in runs.items():
                    found.append(in_process(options.threads, what, str(data), str(made), str(out)))
            seconds = {what: statistics.median(run["seconds"] for run in found) for what, found in runs.items()}
            cpu = {what: statistics.median(run["cpu"] for run in found) for what, found in runs.items()}
            ratios = [f"{seconds[what] / seconds['predict']:.2f}" for what in ("reader", "arrow")]
            spread, size = [run["seconds"] for run in runs["predict"]], data.stat().st_size / 2**20
            peaks = max(run["peak"] for run in runs["predict"])
            print(
                f"{options.rows} x {columns} ({size:.0f} MiB), {kind}, {members} members: "
                f"reader {seconds['reader']:.2f} s ({cpu['reader']:.2f} of CPU), Arrow alone {seconds['arrow']:.2f}, "
                f"predict {seconds['predict']:.2f} [{min(spread):.2f}, {max(spread):.2f}] ({cpu['predict']:.2f}); "
                f"ratio {ratios[0]}, to Arrow alone {ratios[1]}; "
                f"peak {peaks:.0f} MiB, {bare:.0f} without a file; "
                f"output {digest(out)}",
                flush=True,
            )


def digest(path: Path) -> str:
    with path.open("rb") as file:
        found = hashlib.sha256()
        while part := file.read(1 << 20):
            found.update(part)
        return found.hexdigest()[:12]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, nargs="+", default=[10, 30])
    parser.add_argument("--members", type=int, nargs="+", default=[1, 3], help="networks of the blend")
    parser.add_argument("--targets", nargs="+", default=["numbers", "classes"], choices=("numbers", "classes"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", help="where the files are kept; by default a folder that is removed")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(timed(*options.one)))
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(options.folder or made)
        folder.mkdir(parents=True, exist_ok=True)
        for columns in options.columns:
            compare(options, folder, columns)


if __name__ == "__main__":
    main()
