"""fastreg beside hand-written NumPy, one core, in one run: prints a table and writes JSON where asked.

    python bench/run.py                          # everything, one to two minutes
    python bench/run.py train-small adam --repeats 11 --cpu 1 --json out.json

Before anything is timed the contenders must compute the same; a difference stops the run. Only the standard library may
be imported here before the process is prepared (see harness.py).
"""

import argparse
import sys

import harness


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="what to run; everything where none is given")
    parser.add_argument("--repeats", type=int, default=7, help="counted runs of each contender, at least 5 (default 7)")
    parser.add_argument("--calls", type=int, default=10_000, help="predictions timed in each repeat (default 10000)")
    parser.add_argument("--large", action="store_true", help="adam: 5e7 parameters too (needs 2 GB of memory)")
    parser.add_argument("--cpu", type=int, help="pin the process to this CPU")
    parser.add_argument("--json", metavar="PATH", help="write every value, the summary and the machine to PATH")
    options = parser.parse_args()
    if options.repeats < 5:
        parser.error(f"--repeats must be >= 5, got {options.repeats}")
    if options.calls < 100:
        parser.error(f"--calls must be >= 100 for a p99, got {options.calls}")
    harness.prepare_process(options.cpu)

    import benchmarks

    unknown = sorted(set(options.names) - set(benchmarks.ALL))
    if unknown:
        parser.error(f"names must be among {', '.join(benchmarks.ALL)}, got {', '.join(unknown)}")
    facts = harness.machine() | benchmarks.library_facts()
    print(benchmarks.headline(facts), flush=True)
    rows = []
    for name in options.names or benchmarks.ALL:
        print(f"running {name}", file=sys.stderr, flush=True)
        rows += benchmarks.ALL[name](options)
    harness.print_table(rows, benchmarks.FASTREG, benchmarks.NUMPY)
    if options.json:
        harness.write_json(options.json, rows, facts)
        print(f"wrote {options.json}", file=sys.stderr)


if __name__ == "__main__":
    main()
