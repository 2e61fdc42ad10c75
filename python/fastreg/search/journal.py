"""The journal of a search: an append-only file of JSON lines, from which a killed search continues.

The first line describes the search. Each further line is one finished fold, which is written and fsynced before the
fold counts. A widened search appends another line like the first one, after which the numbers of trials start again.
values.py describes how values are written. A line ends with its checksum; records.py describes what it may contain. If
the last line is incomplete, it was being written when the search was killed, and it is cut off. A file lock ensures
that there is one writer at a time. This module knows nothing of how folds are computed.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastreg.internal import whole_files
from fastreg.internal.checks import SEED_LIMIT, describe
from fastreg.internal.forks import in_child
from fastreg.search import records
from fastreg.search.records import FORMAT, MARK
from fastreg.search.values import encode

__all__ = ["Journal", "recorded_seed"]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name

    def __getattr__(name: str) -> Any:
        from fastreg.internal.old_paths import old_name

        return old_name(__name__, name)

# Parts of the header that there are only where a search was given them.
_OPTIONAL = ("error_score", "initial")

Record = dict[str, Any]
Key = tuple[int, int, int | None]
# Lines as they are in the file, with their numbers.
Lines = list[tuple[int, Record]]


class Journal:
    """An open journal, locked.

    Args:
        path: The file.
        header: The description of the search, with the keys ``seed`` and ``space``. That of an existing journal must be
            equal.
        resume: Continue from an existing journal; if there is none, a new one is started.
        widens: Whether the space of this search contains every point of a space that an older journal describes.
        replays: Whether this search would propose the same trials again. If not, the trials of the journal count as
            those of an older search.
        check: A function that is called with the folds of an existing journal before anything is written. It raises an
            error if this search must not continue from them.

    Attributes:
        header: The current header, as JSON values.
        first_number: The number of the first trial of this search: 0, or more after older, narrower searches.
        lines: The number of folds recorded.

    Raises:
        ValueError: If there is a journal and ``resume`` is not set, it was written by another search, or it is damaged
            or no journal.
        TypeError: If ``path`` is no path.
        RuntimeError: If another search is writing it.
        OSError: If the file cannot be opened or written; ``filename`` is that of the journal.
    """

    def __init__(
        self,
        path: whole_files.FilePath,
        header: Record,
        *,
        resume: bool,
        widens: Callable[[Any], bool],
        replays: bool = True,
        check: Callable[[list[Record]], None] | None = None,
    ) -> None:
        self.path = Path(whole_files.path_text("search", "journal", path))
        self._descriptor = -1
        in_child(self)
        with self._named_errors():
            try:
                self._open()
                lines = self._read(resume)
                self.header = json.loads(json.dumps(encode(header), allow_nan=False))
                self._settle(lines, widens, replays, check)
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the lock and closes the file."""
        if self._descriptor >= 0:
            import fcntl

            # The lock belongs to all who have the file open. A child that was forked a moment ago may still have it.
            try:
                with self._named_errors():
                    fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            finally:
                self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with self._named_errors():
                os.close(descriptor)

    def _after_fork(self) -> None:
        # The lock stays that of the parent; a child that lives on would keep it beyond the end of the search.
        self._close()

    def find(self, trial: int, fold: int, stop: int | None, params: Mapping[str, Any]) -> Record | None:
        """The record of a fold trained up to ``stop`` epochs, if there is one; it is handed out once.

        Raises:
            ValueError: If there is one, of other parameters.
        """
        record = self._folds.pop((trial, fold, stop), None)
        if record is None:
            return None
        if record["params"] != json.loads(json.dumps(encode(params))):
            raise ValueError(
                f"journal: {self.path} has {record['params']} for trial {trial}, this search proposes "
                f"{encode(params)}; the strategy or its packages differ from those of the journal"
            )
        return record

    def older(self) -> list[list[Record]]:
        """The folds of older, narrower searches: a list for each trial and epoch it was trained up to, ascending."""
        found: dict[tuple[int, int], list[Record]] = {}
        for record in self._older:
            found.setdefault((record["trial"], record["stop"] or 0), []).append(record)
        return [records for _, records in sorted(found.items(), key=lambda item: item[0])]

    def append(self, record: Record) -> None:
        """Writes a finished fold. It is on the disk when this returns."""
        with self._named_errors():
            self._write(record)
        self.lines += 1

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Errors of the system that name no file, or the folder, name the journal."""
        try:
            yield
        except OSError as error:
            error.filename = str(self.path)
            raise

    def _open(self) -> None:
        fresh = not self.path.exists()
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            raise ValueError(f"journal: {self.path} must be a regular file")
        self._lock()
        if fresh:
            _sync_folder(self.path)

    def _lock(self) -> None:
        import fcntl

        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(f"journal: {self.path} is being written by another search") from None

    def _read(self, resume: bool) -> Lines:
        """All whole lines. A torn last line is cut off, once the file is known to be a journal."""
        if not os.fstat(self._descriptor).st_size:
            return []
        if not resume:
            raise ValueError(f"journal: {self.path} exists; pass resume=True to go on from it, or name another file")
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            data = file.read(len(_BEGIN))
            # Another file, which may be large.
            if data != _BEGIN[: len(data)]:
                raise ValueError(
                    f"journal: {self.path} is not a journal of a search: line 1 must begin with {_BEGIN.decode()}"
                )
            data += file.read()
        # A header that was torn while it was written is as good as none.
        end = data.rfind(b"\n") + 1
        lines = [(number, self._parse(number, line)) for number, line in enumerate(data[:end].split(b"\n")[:-1], 1)]
        if end < len(data):
            os.ftruncate(self._descriptor, end)
            os.fsync(self._descriptor)
        return lines

    def _parse(self, number: int, line: bytes) -> Record:
        with self._named_damage(number):
            record = records.parse(line.removesuffix(b"\r"))
            if MARK in record:
                records.check_header(record)
            return record

    @contextmanager
    def _named_damage(self, number: int) -> Iterator[None]:
        """Puts the names of the file and the line in front of an error that is found in a line."""
        try:
            yield
        except ValueError as error:
            raise ValueError(f"journal: {self.path} is damaged in line {number}: {error}") from None

    def _settle(
        self,
        lines: Lines,
        widens: Callable[[Any], bool],
        replays: bool,
        check: Callable[[list[Record]], None] | None,
    ) -> None:
        """Compares headers, separates this search's folds from older ones, and writes a header if one is needed."""
        headers = [(number, record) for number, record in lines if MARK in record]
        self.first_number = 0
        self._older: list[Record] = []
        self._folds: dict[Key, Record] = {}
        changed = not headers
        if headers:
            number, last = headers[-1]
            self._compare(number, last, widens)
            changed = last["space"] != self.header["space"]
        n_trials = self._check_sequence(lines)
        folds = [record for _, record in lines if MARK not in record]
        self.lines = len(folds)
        if headers and check is not None:
            check(folds)
        if headers:
            self.first_number = n_trials if changed or not replays else last["first_number"]
        for record in folds:
            if record["trial"] < self.first_number:
                self._older.append(record)
            else:
                self._folds[_key(record)] = record
        if changed:
            self._write({MARK: FORMAT, **self.header, "first_number": self.first_number})

    def _check_sequence(self, lines: Lines) -> int:
        """Checks the folds, each and beside those before it; gives the number that follows those of all trials."""
        params: dict[int, Any] = {}
        found: dict[Key, int] = {}
        first = n_trials = 0
        for number, record in lines:
            with self._named_damage(number):
                if MARK in record:
                    records.check_known(record, (MARK, "first_number", *self.header))
                    first = record["first_number"]
                    if first != n_trials:
                        raise ValueError(f"first_number must be {n_trials}, one more than the last trial, got {first}")
                    continue
                records.check_fold(record, self.header)
                trial = record["trial"]
                if trial < first:
                    raise ValueError(f"trial must be >= {first}, the first_number of this search, got {trial}")
                if params.setdefault(trial, record["params"]) != record["params"]:
                    raise ValueError(
                        f"params must be the same in all folds of trial {trial}, {describe(params[trial])}, got "
                        f"{describe(record['params'])}"
                    )
                if (other := found.setdefault(_key(record), number)) != number:
                    raise ValueError(
                        f"trial, fold and stop must not be those of another line, got {trial}, {record['fold']} and "
                        f"{record['stop']}, which line {other} has"
                    )
                n_trials = max(n_trials, trial + 1)
        return n_trials

    def _compare(self, number: int, old: Record, widens: Callable[[Any], bool]) -> None:
        """Raises where an old header is not that of this search, or of a narrower one."""
        new, differing = self.header, []
        for name in _OPTIONAL:
            if name in old and name not in new:
                differing.append(f"{name} (the journal has {describe(old[name])})")
        for name in new:
            if name not in old:
                differing.append(f"{name} (the journal has none)")
            elif _counting(name, old[name]) != _counting(name, new[name]):
                if name == "space":
                    with self._named_damage(number):
                        records.check_space(old[name])
                    if not widens(old[name]):
                        differing.append("space (it neither equals nor widens the journal's)")
                else:
                    there, here = (_counting(name, header[name]) for header in (old, new))
                    differing.append(f"{name} ({_difference(there, here)})")
        if differing:
            raise ValueError(
                f"journal: {self.path}, line {number}, was written by another search; what differs: "
                f"{'; '.join(differing)}"
            )

    def _write(self, record: Record) -> None:
        data = (records.seal(json.dumps(encode(record), allow_nan=False, separators=(",", ":"))) + "\n").encode()
        begin = os.fstat(self._descriptor).st_size
        try:
            rest = data
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
        except OSError:
            with suppress(OSError):  # the next search that resumes cuts off what is left of the line
                os.ftruncate(self._descriptor, begin)
            raise


# The beginning of the first line.
_BEGIN = f'{{"{MARK}":'.encode()


def recorded_seed(path: whole_files.FilePath) -> int | None:
    """The seed of an existing journal; None if there is no journal, or none that can be read.

    Raises:
        OSError: If the file cannot be read.
    """
    name = whole_files.path_text("search", "journal", path)
    try:
        # Without waiting for the other end of a pipe.
        with open(os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode) or file.read(len(_BEGIN)) != _BEGIN:
                return None
            seed = records.parse(_BEGIN + file.readline().rstrip(b"\r\n")).get("seed")
    except (FileNotFoundError, ValueError):  # the journal itself says what is wrong with it
        return None
    except OSError as error:
        error.filename = name
        raise
    return seed if type(seed) is int and 0 <= seed < SEED_LIMIT else None


def _key(record: Record) -> Key:
    return record["trial"], record["fold"], record["stop"]


def _counting(name: str, value: Any) -> Any:
    """A value of a header without options that do not change the search: those of what a fit shows."""
    if name == "fit" and isinstance(value, dict):
        return {key: item for key, item in value.items() if key != "verbose"}
    return value


def _difference(old: Any, new: Any) -> str:
    """Two values of a header, or where they differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        parts = [k for k in sorted(old.keys() | new.keys()) if old.get(k) != new.get(k)]
        return ", ".join(f"{k}: {old.get(k)!r} there, {new.get(k)!r} here" for k in parts)
    return f"{describe(old)} there, {describe(new)} here"


def _sync_folder(path: Path) -> None:
    """Makes the name of a new file last."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
