"""How the commands on tables fail: by one error whose message is one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["TuneError", "as_tune_errors", "one_line"]

# Characters of a message, at most: one may quote a cell of any length.
_LONGEST = 1000


class TuneError(Exception):
    """The command cannot be carried out; the message says why, in one line."""


@contextmanager
def as_tune_errors() -> Iterator[None]:
    """Raises errors of data and packages as TuneError; those of the system (OSError) pass."""
    try:
        yield
    except MemoryError as error:
        raise TuneError(f"there is not enough memory{f': {one_line(error)}' if str(error) else ''}") from error
    except (ValueError, ImportError) as error:
        raise TuneError(one_line(error)) from error
    except OSError:
        raise
    except Exception as error:  # of a package, or a mistake of ours: the user has one line, a program the chain
        raise TuneError(f"{type(error).__name__}: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """The message of an error without line breaks, cut if it is very long."""
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
