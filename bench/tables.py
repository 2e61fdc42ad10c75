"""Compares `fastreg tune`'s blend on tables with boosted trees and networks of other libraries: scores, seconds, and
the time of one row.

    python bench/tables.py --json out.json --markdown out.md         # everything; a day for five seeds of a minute
    python bench/tables.py digits wine --seeds 2 --json out.json     # some tables
    python bench/tables.py --folder DIR --target price --json out.json
    python bench/tables.py --json out.json --resume                  # goes on where a run was stopped
    python bench/tables.py --list

Tables are those of the data folder (FASTREG_DATA, default ../shared/data), of scikit-learn, random ones by published
formulas, and files that plotnine and ISLP contain, if these are installed (`pip install --no-deps plotnine ISLP` is
enough). --folder takes CSV files of your own instead; the target is the last column, or --target. The images of the
data folder are no tables; bench/fashion_mnist.py has them.

Everyone has the same split, seconds and threads, and a process of its own for each cell, a competitor on a table with a
seed. A seed draws a fifth of the rows as the test part, unless the table has a published one, and is the random state
of everyone. Where rows are in the order of time and the test part comes last, those that can use it are told: fastreg
gets a column of time, which is no feature, and histgb-search is judged by later rows. Competitors (--competitors):
fastreg, and by name fastreg-fast and fastreg-best (presets) and fastreg-realmlp (RealMLP-TD); histgb and mlp,
scikit-learn's with their defaults; histgb-search, a random search of the same time; realmlp, RealMLP-TD of pytabkit, if
that is installed; by name linear and svm, which tell what else is in reach on a small table.
bench/tabular/competitors.py says how each is fitted. The defaults of HistGradientBoosting and fastreg-realmlp take the
time they take.

Scores are accuracy or RMSE, for classes the log-loss and the expected calibration error, for numbers the coverage and
the mean width of intervals of 90 % (each fit of intervals has the time again; --no-intervals leaves them out). Times of
a row are medians of calls from Python: the quickest that the library offers, encoding included, and in the JSON file
that of a frame of one row. The JSON file is rewritten after each cell. The exit status is 0 if all cells were measured,
1 if some failed, and 130 if the run was interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import machine
from contenders import clean_environment
from tabular import summary
from tabular.competitors import COMPETITORS
from tabular.sources import SOURCES, Absent, Source, of_folder

HERE = Path(__file__).resolve().parent
# Settings that cells of one file must share.
SHARED = ("time", "threads", "folder", "target")


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", help="names of tables; all where none is given")
    parser.add_argument("--list", action="store_true", help="print the tables and competitors and end")
    parser.add_argument("--folder", help="measure the .csv and .csv.gz files of this folder instead")
    parser.add_argument("--target", help="the column to predict in the files of --folder (default: the last)")
    parser.add_argument("--competitors", help=f"only these, of {', '.join(entry.name for entry in COMPETITORS)}")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0, 1, ... (default 5)")
    parser.add_argument("--time", type=float, default=60.0, help="seconds of each fit (default 60)")
    parser.add_argument("--threads", type=int, default=2, help="threads of everyone (default 2)")
    parser.add_argument("--no-intervals", action="store_true", help="leave intervals of numbers out")
    parser.add_argument("--json", metavar="FILE", help="write the cells to FILE, after each one")
    parser.add_argument("--resume", action="store_true", help="keep the cells of --json and measure the others")
    parser.add_argument("--markdown", metavar="FILE", help="write the table for the documents to FILE")
    options = parser.parse_args(words)
    for name, least in (("seeds", 1), ("threads", 1)):
        if getattr(options, name) < least:
            parser.error(f"--{name} must be >= {least}, got {getattr(options, name)}")
    if not 0 < options.time < float("inf"):
        parser.error(f"--time must be > 0 and finite, got {options.time}")
    if options.target is not None and options.folder is None:
        parser.error("--target needs --folder")
    if options.resume and options.json is None:
        parser.error("--resume needs --json")
    if options.json and not options.resume and os.path.exists(options.json):
        parser.error(f"--json must be a new file, or go on with --resume, got {options.json}")
    options.sources = _chosen_sources(parser, options)
    options.entries = _chosen_entries(parser, options)
    return options


def _chosen_sources(parser: argparse.ArgumentParser, options: argparse.Namespace) -> list[Source]:
    try:
        known = list(SOURCES) if options.folder is None else of_folder(options.folder, options.target)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    unknown = [name for name in options.tables if name not in {source.name for source in known}]
    if unknown:
        parser.error(f"tables must be among {', '.join(source.name for source in known)}, got {', '.join(unknown)}")
    return [source for source in known if not options.tables or source.name in options.tables]


def _chosen_entries(parser: argparse.ArgumentParser, options: argparse.Namespace) -> list[Any]:
    known = {entry.name: entry for entry in COMPETITORS}
    if options.competitors is None:
        return [entry for entry in COMPETITORS if not entry.asked]
    names = options.competitors.split(",")
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"--competitors must be among {', '.join(known)}, got {', '.join(unknown)}")
    return [known[name] for name in dict.fromkeys(names)]


def versions() -> dict[str, str]:
    """Those of the libraries that decide the scores and are installed."""
    found = {}
    for name in ("numpy", "pandas", "scikit-learn", "pytabkit", "torch"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


class Record:
    """The JSON file, and what is in it."""

    def __init__(self, options: argparse.Namespace, names: list[str], facts: dict[str, Any]) -> None:
        self.path = options.json
        settings = {name: getattr(options, name) for name in SHARED}
        self.data: dict[str, Any] = {"machine": facts, "settings": settings, "tables": {}, "cells": []}
        earlier: list[str] = []
        if options.resume and os.path.exists(options.json):
            with open(options.json, encoding="utf-8") as file:
                kept = json.load(file)
            for name in SHARED:
                if kept["settings"][name] != settings[name]:
                    raise ValueError(f"{options.json} has --{name} {kept['settings'][name]}, got {settings[name]}")
            earlier = kept["settings"]["competitors"]
            self.data |= {"tables": kept["tables"], "cells": summary.scored(kept["cells"])}
        order = [entry.name for entry in COMPETITORS if entry.name in {*earlier, *names}]
        settings["competitors"] = order

    def has(self, table: str, competitor: str, seed: int) -> bool:
        asked = table, competitor, seed
        return any(asked == (cell["table"], cell["competitor"], cell["seed"]) for cell in self.data["cells"])

    def add(self, cell: dict[str, Any]) -> None:
        self.data["cells"].append(cell)
        if self.path:
            part = f"{self.path}.part"
            with open(part, "w", encoding="utf-8") as file:
                json.dump(self.data, file, indent=1)
                file.write("\n")
            os.replace(part, self.path)


def in_process(request: dict[str, Any]) -> dict[str, Any]:
    """Measures a cell in a process of its own. A failure is a cell with an error."""
    places = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = clean_environment(request["threads"], {"PYTHONPATH": os.pathsep.join(places)})
    command = [sys.executable, "-m", "tabular.cell", json.dumps(request)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        return {"error": done.stderr.strip()[-2000:] or f"the process ended with status {done.returncode}"}
    found: dict[str, Any] = json.loads(done.stdout.strip().rsplit("\n", 1)[-1])
    return found


def told(cell: dict[str, Any]) -> str:
    head = f"{cell['table']}, {cell['competitor']}, seed {cell['seed']}: "
    if "error" in cell:
        return head + "failed: " + cell["error"].rsplit("\n", 1)[-1]
    score = f"{'accuracy' if cell['task'] == 'classes' else 'RMSE'} {cell['score']:.6g}"
    names = {"log_loss": "log-loss", "ece": "calibration error", "coverage": "coverage", "width": "mean width"}
    more = "".join(f", {text} {cell[key]:.4g}" for key, text in names.items() if key in cell)
    return f"{head}{score}{more}; {cell['seconds']:.1f} s, {cell['row_us']:.3g} us a row"


def measure_all(
    options: argparse.Namespace, entries: list[Any], record: Record, measure: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """Measures the cells that the record does not have. Competitors take turns."""
    for source in options.sources:
        try:
            source.load()
        except Absent as reason:
            print(f"{source.name} is left out: {reason}", flush=True)
            continue
        record.data["tables"][source.name] = {"task": source.task, "origin": source.origin}
        for seed in range(options.seeds):
            for entry in entries:
                if record.has(source.name, entry.name, seed):
                    continue
                key = {"table": source.name, "competitor": entry.name, "seed": seed}
                more = {name: getattr(options, name) for name in SHARED}
                cell = {**key, "task": source.task}
                cell |= measure({**key, **more, "intervals": not options.no_intervals})
                record.add(cell)
                print(told(cell), flush=True)


def run(options: argparse.Namespace, measure: Callable[[dict[str, Any]], dict[str, Any]] = in_process) -> int:
    facts = machine.facts(options.threads, tuple(machine.usable_cpus())) | {"versions": versions()}
    print(machine.headline(facts), flush=True)
    entries = [entry for entry in options.entries if entry.installed()]
    for entry in options.entries:
        if entry not in entries:
            print(f"{entry.name} is left out: {entry.package} is not installed", flush=True)
    try:
        record = Record(options, [entry.name for entry in entries], facts)
    except (OSError, ValueError, KeyError) as error:
        print(f"tables.py: --resume cannot read the file: {error!r}", file=sys.stderr)
        return 2
    status = 0
    try:
        measure_all(options, entries, record, measure)
    except KeyboardInterrupt:
        print("tables.py: interrupted", file=sys.stderr)
        status = 130
    data = record.data
    for line in summary.duels(data["cells"], data["settings"]["competitors"]):
        print(line)
    if options.markdown:
        Path(options.markdown).write_text(summary.markdown(data), encoding="utf-8")
    failed = sum("error" in cell for cell in data["cells"])
    if failed or not data["cells"]:
        print(f"tables.py: {failed} cells failed" if failed else "tables.py: nothing was measured", file=sys.stderr)
    return status or int(failed > 0 or not data["cells"])


def main() -> None:
    options = arguments()
    if options.list:
        for source in options.sources:
            print(f"{source.name} ({source.task}): {source.origin}")
        print(f"competitors: {', '.join(entry.name for entry in COMPETITORS)}")
        return
    raise SystemExit(run(options))


if __name__ == "__main__":
    main()
