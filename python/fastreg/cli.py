"""The `fastreg` command: parses arguments and reports errors; each subcommand's work lives in a module of its own.

Results go to standard output, progress and errors to standard error. Exit status 0: done; 1: could not be done, and the
message says why; 2: wrong usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command with `argv` (the process's own arguments where None) and returns the exit status."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.version:
        import fastreg

        print(f"fastreg {fastreg.__version__}")
        return 0
    if arguments.command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        return _demo(arguments)
    except KeyboardInterrupt:
        print("fastreg: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fastreg", description="Regularised dense neural networks on a CPU.")
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="train one network plain and regularised, and compare them",
        description="Trains the same network plain and regularised on few rows of scikit-learn's digits, prints the "
        "scores and a diagnosis of each, and writes a picture of their learning curves. Takes seconds.",
    )
    demo.add_argument(
        "--output",
        type=Path,
        default=Path("fastreg-demo.png"),
        metavar="PATH",
        help="where the picture goes (default: %(default)s)",
    )
    demo.add_argument("--seed", type=_seed, default=2, help="of the split, the weights and dropout (default: 2)")
    demo.add_argument("--quiet", action="store_true", help="show no progress")
    return parser


def _seed(text: str) -> int:
    seed = int(text) if text.isdecimal() else -1
    if not 0 <= seed < 2**32:
        raise argparse.ArgumentTypeError(f"must be an integer in [0, 2**32), got {text!r}")
    return seed


def _demo(arguments: argparse.Namespace) -> int:
    from . import demo

    try:
        report = demo.run(arguments.output, seed=arguments.seed, verbose=0 if arguments.quiet else 1)
    except (demo.MissingPackageError, demo.OutputError) as error:
        print(f"fastreg demo: {error}", file=sys.stderr)
        return 1
    print(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
