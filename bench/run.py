"""Compares fastreg with those of NumPy, PyTorch, JAX, Keras, scikit-learn and ONNX Runtime that are installed.

    python bench/run.py                                   # everything; about half an hour
    python bench/run.py train predict-small-1 --json out.json --plot out.png
    python bench/run.py train --threads 2                 # two threads, beside one
    python bench/run.py --list                            # the names of rows and groups

Before anything is timed, each contender must compute the same as bench/oracle.py; a difference stops the run. `kernels`
and `limits` are measured by C++ programs: cmake --preset bench && cmake --build --preset bench. The JSON file is
rewritten after each row, so that a stopped run leaves what it has measured. The exit status is 0 only if the run was
completed and measured something, and 130 if it was interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import machine
import measure
import peers
import programs
import results
import tasks
from contenders import Stopped

PROGRAMS = ("limits", "kernels")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="rows or groups, or limits or kernels; everything where none is given")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    parser.add_argument("--repeats", type=int, default=5, help="counted runs of each contender, at least 5 (default 5)")
    parser.add_argument("--seconds", type=float, default=0.3, help="aim for one repeat of a rate (default 0.3)")
    parser.add_argument("--calls", type=int, default=20_000, help="predictions in each repeat (default 20000)")
    parser.add_argument("--threads", type=int, default=1, help="threads of every library (default 1)")
    parser.add_argument("--cpus", help="CPUs to run on, as 1 or 0,1 (default: the last usable ones, one a thread)")
    parser.add_argument("--peers", help=f"only these, of {', '.join(peers.PEERS)}")
    parser.add_argument("--programs", help="folder of bench_kernels and bench_limits (default build/bench/bench)")
    parser.add_argument("--json", metavar="PATH", help="write every value, the summary and the machine to PATH")
    parser.add_argument("--plot", metavar="PATH", help="write a picture of ratios and roofline to PATH (matplotlib)")
    options = parser.parse_args()
    if options.repeats < 5:
        parser.error(f"--repeats must be >= 5 for quartiles to mean anything, got {options.repeats}")
    if options.calls < 100:
        parser.error(f"--calls must be >= 100 for a p99, got {options.calls}")
    if options.threads < 1:
        parser.error(f"--threads must be >= 1, got {options.threads}")
    options.peers = options.peers.split(",") if options.peers else list(peers.PEERS)
    unknown = sorted(set(options.peers) - set(peers.PEERS))
    if unknown:
        parser.error(f"--peers must be among {', '.join(peers.PEERS)}, got {', '.join(unknown)}")
    usable = machine.usable_cpus()
    try:
        options.cpus = tuple(map(int, options.cpus.split(","))) if options.cpus else tuple(usable[-options.threads :])
    except ValueError:
        parser.error(f"--cpus must be numbers as in 0,1, got {options.cpus}")
    if usable and not set(options.cpus) <= set(usable):
        parser.error(f"--cpus must be among {usable}, got {list(options.cpus)}")
    options.programs_wanted = [name for name in PROGRAMS if not options.names or name in options.names]
    names = [name for name in options.names if name not in PROGRAMS]
    try:
        options.rows = tasks.chosen(names) if names or not options.names else []
    except ValueError as error:
        parser.error(f"{error}; limits and kernels too")
    return options


def measure_all(
    options: argparse.Namespace,
    tools: programs.Programs,
    session: measure.Session,
    add: Callable[[list[results.Row]], None],
) -> tuple[int, str]:
    """Measures the rows and passes each to `add`. Returns the exit status and, if it is not 0, why the run stopped."""
    try:
        with session:
            for name in options.programs_wanted:
                measure.progress(f"measuring {name}")
                add(getattr(tools, name)(options.repeats))
            for task in options.rows:
                measure.progress(f"measuring {task.name}")
                add(session.measure(task))
    except Stopped as reason:
        return 1, f"stopped: {reason}"
    except KeyboardInterrupt:
        return 130, "interrupted"
    return 0, ""


def run(options: argparse.Namespace) -> int:
    tools = programs.Programs(options.programs, options.cpus, options.threads)
    facts = machine.facts(options.threads, options.cpus)
    print(machine.headline(facts), flush=True)
    rows: list[results.Row] = []

    def add(new: list[results.Row]) -> None:
        for row in new:
            results.print_row(row)
        sys.stdout.flush()
        rows.extend(new)
        facts["versions"], facts["notes"] = session.versions(), session.notes()
        if options.json:
            results.write(options.json, rows, facts)

    plan = measure.Plan(
        options.repeats,
        options.seconds,
        options.calls,
        options.threads,
        options.cpus,
        frozenset(options.peers),
        tools.ping if options.threads > 1 else lambda: None,
    )
    session = measure.Session(plan)
    status, failure = measure_all(options, tools, session, add)
    for label, version in facts.get("versions", {}).items():
        notes = "; ".join(f"{kind}: {text}" for kind, text in facts["notes"][label].items())
        print(f"{label} is {version}: {notes}")
    print("\n".join(["", *results.summary_lines(rows)]))
    measured = any(row.values for row in rows)
    if options.json and rows:
        measure.progress(f"wrote {options.json}")
    if options.plot and measured:
        import plot

        plot.draw(rows, facts, options.plot)
        measure.progress(f"wrote {options.plot}")
    if not measured and not failure:
        status, failure = 1, "nothing was measured"
    if failure:
        print(f"run.py: {failure}", file=sys.stderr)
    return status


def main() -> None:
    options = arguments()
    if options.list:
        for group in tasks.GROUPS:
            print(f"{group}: {', '.join(row.name for row in tasks.ROWS.values() if row.group == group)}")
        print(f"measured by C++ programs: {', '.join(PROGRAMS)}")
        return
    raise SystemExit(run(options))


if __name__ == "__main__":
    main()
