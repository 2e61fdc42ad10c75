"""The `fastreg` command: parses arguments and reports errors; each subcommand's work lives in a module of its own.

Results go to standard output, progress and errors to standard error. The exit status is 0 if the command succeeded, 1
if it failed (the message says why), and 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastreg.table.options import TableOptions

# What tables may be, in the help of commands.
_TABLE = "CSV (also compressed), Parquet, Feather or xlsx file"
_OR_INPUT = ", or - for CSV on standard input, which is read to its end first"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command with `argv` (the process's own arguments where None) and returns the exit status."""
    try:
        parser = _parser()
        arguments = parser.parse_args(argv)
        if arguments.command is None and not arguments.version:
            parser.print_help(sys.stderr)
            return 2
        return _run(arguments)
    except KeyboardInterrupt:
        print("fastreg: interrupted", file=sys.stderr)
        return 130


def _run(arguments: argparse.Namespace) -> int:
    try:
        with _plain_warnings():
            status = _version() if arguments.version else int(arguments.run(arguments))
            if sys.stdout is not None:
                sys.stdout.flush()  # what cannot be written is told here
            return status
    except BrokenPipeError:  # whoever read the output has enough
        _discard_output()
        return 1
    except OSError as error:  # such as a full disk
        _discard_output()
        return _failed(arguments.command or "--version", error)


def _version() -> int:
    from fastreg._core import __version__

    print(f"fastreg {__version__}")
    return 0


def _discard_output() -> None:
    """Whatever is still to be written is dropped, so that the interpreter does not fail again when it ends."""
    with suppress(OSError, AttributeError):  # a stream without a file, or none
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Shows warnings as lines of text, without the place in the code that Python adds."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        print(f"fastreg: warning: {' '.join(str(message).split())}", file=sys.stderr, flush=True)

    usual, warnings.showwarning = warnings.showwarning, show
    try:
        yield
    finally:
        warnings.showwarning = usual


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fastreg", description="Regularised dense neural networks on a CPU.")
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_demo(commands)
    _add_tune(commands)
    _add_predict(commands)
    _add_distill(commands)
    return parser


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
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
    demo.set_defaults(run=_demo)


def _add_tune(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from fastreg.table.options import add_reading_options

    tune = commands.add_parser(
        "tune",
        help="find the network that predicts a column of a table best",
        description="Reads a table, finds out what its columns are, searches for the network and the regularisation "
        "that predict one column best by cross-validation, and scores it on rows that the search never saw.",
    )
    tune.add_argument("data", help=f"{_TABLE} with a line of column names{_OR_INPUT}")
    tune.add_argument("--target", required=True, metavar="COLUMN", help="the column to predict")
    tune.add_argument(
        "--test",
        metavar="FILE_OR_COLUMN",
        help="a file with the rows to hold back, or a column that is 1 for them and 0 else, which is no feature then "
        "(default: a fifth of the rows, drawn by the seed)",
    )
    tune.add_argument(
        "--task", choices=("classification", "regression"), help="what the target is (default: told by its values)"
    )
    tune.add_argument(
        "--trials", type=_positive, metavar="N", help="networks to try at most (default: by the preset)"
    )
    tune.add_argument(
        "--preset",
        choices=("fast", "default", "best", "realmlp"),
        default="default",
        help="how much is tried and blended, or RealMLP alone (default: %(default)s)",
    )
    tune.add_argument(
        "--members",
        type=_positive,
        metavar="N",
        help="networks in the blend at most; 1 for a single one (default: by the preset)",
    )
    tune.add_argument(
        "--cv",
        type=_folds,
        metavar="K",
        help="folds of the validation (default: 5 below 5000 rows, a held-out fifth from there on)",
    )
    tune.add_argument(
        "--time",
        type=_time,
        default=60.0,
        metavar="SECONDS",
        help="to spend in all, or 'none': then the result depends on the seed alone (default: %(default)s)",
    )
    tune.add_argument("--seed", type=_seed, default=0, help="of everything that is drawn (default: %(default)s)")
    tune.add_argument("--jobs", type=_positive, metavar="N", help="networks to train at once (default: one a CPU)")
    tune.add_argument(
        "--interval",
        type=_level,
        metavar="LEVEL",
        help="make intervals that contain this share of new rows, such as 0.9, around predicted numbers",
    )
    _add_files(tune)
    tune.add_argument("--quiet", action="store_true", help="show no progress")
    add_reading_options(tune)
    tune.set_defaults(run=_tune)


def _add_files(tune: argparse.ArgumentParser) -> None:
    """The files that `fastreg tune` writes."""
    tune.add_argument("--out", type=Path, metavar="FILE", help="model file to write, for `fastreg predict`")
    tune.add_argument("--report", type=Path, metavar="FILE", help="HTML page to write, with table and pictures")
    tune.add_argument(
        "--journal",
        type=Path,
        metavar="FILE",
        help="file that gets a line for every fold of a network, from which a killed search goes on",
    )
    tune.add_argument("--resume", action="store_true", help="go on from the journal, if it exists")


def _add_predict(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from fastreg.table.options import add_reading_options

    predict = commands.add_parser(
        "predict",
        help="predict with a model that `fastreg tune` wrote",
        description="Writes CSV to standard output: the predicted column, then for classes the probability of each, "
        "or for numbers the bounds of the interval, if the model was tuned with --interval. Columns "
        "of the table that the model does not need are ignored.",
    )
    predict.add_argument("model", help="the model file")
    predict.add_argument("data", help=f"{_TABLE}{_OR_INPUT}")
    add_reading_options(predict, training=False)
    predict.set_defaults(run=_predict)


def _add_distill(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from fastreg.table.options import add_reading_options

    distill = commands.add_parser(
        "distill",
        help="train a network that imitates a model of another library",
        description="Asks a model, the teacher, for predictions on the rows of a table and on further rows that are "
        "made of them, trains networks on these, and compares them with the teacher on rows that are held back.",
    )
    distill.add_argument("data", help=f"{_TABLE} with column names{_OR_INPUT}")
    distill.add_argument(
        "--teacher",
        required=True,
        metavar="MODEL",
        help="module:object, the name of a model or a function in a module of Python, or a file .pkl, .pickle or "
        ".joblib, which needs --allow-pickle",
    )
    distill.add_argument(
        "--allow-pickle", action="store_true", help="load a teacher from a file, which runs code that it contains"
    )
    distill.add_argument(
        "--target", metavar="COLUMN", help="the column with the true targets, for scores; the teacher does not get it"
    )
    distill.add_argument(
        "--test",
        metavar="FILE_OR_COLUMN",
        help="a file with the rows to score, or a column that is 1 for them and 0 else; the teacher should not have "
        "learned from them (default: a fifth of the rows, drawn by the seed)",
    )
    distill.add_argument(
        "--task", choices=("classification", "regression"), help="what the teacher does (default: told by its answers)"
    )
    distill.add_argument(
        "--class",
        dest="classes",
        action="append",
        default=[],
        metavar="NAME",
        help="a class of the probabilities, in their order; repeated for each (default: those of the teacher)",
    )
    _add_limits(distill)
    distill.add_argument("--out", type=Path, metavar="FILE", help="model file to write, for `fastreg predict`")
    distill.add_argument("--quiet", action="store_true", help="show no progress")
    add_reading_options(distill, roles=False)
    distill.set_defaults(run=_distill)


def _add_limits(distill: argparse.ArgumentParser) -> None:
    """How much `fastreg distill` does."""
    distill.add_argument(
        "--rows", type=_count, metavar="N", help="rows to make (default: ten for each of the table, 20000 to 200000)"
    )
    distill.add_argument(
        "--no-comparison", action="store_true", help="train no plain network on the target, which takes half the time"
    )
    distill.add_argument(
        "--preset",
        choices=("fast", "default", "best"),
        default="default",
        help="how much is tried and blended (default: %(default)s)",
    )
    distill.add_argument(
        "--time",
        type=_time,
        default=60.0,
        metavar="SECONDS",
        help="to spend in all, or 'none': then the result depends on the seed alone (default: %(default)s)",
    )
    distill.add_argument("--seed", type=_seed, default=0, help="of everything that is drawn (default: %(default)s)")
    distill.add_argument("--jobs", type=_positive, metavar="N", help="networks to train at once (default: one a CPU)")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be an integer >= 0, got {text!r}")
    return int(text)


def _seed(text: str) -> int:
    seed = int(text) if text.isdecimal() else -1
    if not 0 <= seed < 2**32:
        raise argparse.ArgumentTypeError(f"must be an integer in [0, 2**32), got {text!r}")
    return seed


def _positive(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be an integer >= 1, got {text!r}")
    return value


def _folds(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 2:
        raise argparse.ArgumentTypeError(f"must be an integer >= 2, got {text!r}")
    return value


def _level(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value <= 0.999999:
        raise argparse.ArgumentTypeError(f"must be a share in (0, 0.999999], such as 0.9, got {text!r}")
    return value


def _time(text: str) -> float | None:
    return None if text == "none" else _seconds(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds > 0, got {text!r}")
    return value


def _demo(arguments: argparse.Namespace) -> int:
    from fastreg import demo

    try:
        report = demo.run(arguments.output, seed=arguments.seed, verbose=0 if arguments.quiet else 1)
    except (demo.MissingPackageError, demo.OutputError) as error:
        print(f"fastreg demo: {error}", file=sys.stderr)
        return 1
    print(report)
    return 0


def _tune(arguments: argparse.Namespace) -> int:
    def run(table: TableOptions) -> None:
        from fastreg.tune import command

        options = command.TuneOptions(
            data=arguments.data,
            target=arguments.target,
            test=arguments.test,
            task=arguments.task,
            trials=arguments.trials,
            preset=arguments.preset,
            members=arguments.members,
            cv=arguments.cv,
            time=arguments.time,
            seed=arguments.seed,
            out=arguments.out,
            report=arguments.report,
            journal=arguments.journal,
            resume=arguments.resume,
            jobs=-1 if arguments.jobs is None else arguments.jobs,
            verbose=0 if arguments.quiet else 1,
            table=table,
            interval=arguments.interval,
        )
        command.tune(options)

    return _on_tables("tune", arguments, run)


def _predict(arguments: argparse.Namespace) -> int:
    def run(table: TableOptions) -> None:
        from fastreg.tune.predicting import predict

        predict(arguments.model, arguments.data, options=table)

    return _on_tables("predict", arguments, run)


def _distill(arguments: argparse.Namespace) -> int:
    def run(table: TableOptions) -> None:
        from fastreg.tune import distilling

        options = distilling.DistillOptions(
            data=arguments.data,
            teacher=arguments.teacher,
            target=arguments.target,
            test=arguments.test,
            task=arguments.task,
            classes=tuple(arguments.classes),
            rows=arguments.rows,
            compare=not arguments.no_comparison,
            time=arguments.time,
            preset=arguments.preset,
            seed=arguments.seed,
            jobs=-1 if arguments.jobs is None else arguments.jobs,
            out=arguments.out,
            allow_pickle=arguments.allow_pickle,
            verbose=0 if arguments.quiet else 1,
            table=table,
        )
        distilling.distill(options)

    return _on_tables("distill", arguments, run)


def _on_tables(command: str, arguments: argparse.Namespace, run: Callable[[TableOptions], None]) -> int:
    """Runs a command with the options for reading tables, says in one line why it failed, and returns the status."""
    from fastreg.table.errors import TuneError, as_tune_errors
    from fastreg.table.options import reading_options
    from fastreg.tune.standard_input import as_file

    try:
        with as_tune_errors():
            table = reading_options(arguments)
        with as_file(arguments.data) as arguments.data:
            run(table)
    except (TuneError, OSError) as error:
        return _failed(command, error)
    return 0


def _failed(command: str, error: Exception) -> int:
    """Says in one line why a command has failed, and returns the exit status."""
    if isinstance(error, BrokenPipeError):
        raise error
    from fastreg.table.errors import one_line

    print(f"fastreg {command}: {one_line(error)}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
