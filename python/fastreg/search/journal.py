"""The journal of a search: an append-only file of JSON lines that a killed search goes on from.

The first line says what was searched; each further line is one finished fold, written and fsynced before the fold
counts. A widened search appends a line like the first one, from which on trials are numbered anew. Floats round-trip
exactly, NaN is null, infinities are the strings "inf" and "-inf"; values that JSON lacks stand as {"repr": ...}.
One writer at a time, under a file lock. Knows nothing of how folds are computed.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from fastreg._checks import describe
from fastreg._forks import in_child
from fastreg.search.tree import text_of

__all__ = ["Journal", "decode_float", "encode", "fingerprint", "recorded_seed"]

FORMAT = 1
_MARK = "fastreg_search"

# Bytes that are hashed at a time.
_BLOCK = 1 << 24

Record = dict[str, Any]
Key = tuple[int, int, int | None]


class Journal:
    """An open journal, locked.

    Args:
        path: The file.
        header: What is searched, with the keys ``seed`` and ``space``: an existing journal must say the same.
        resume: Go on from an existing journal; a missing one is a fresh start.
        widens: Whether the space of this search holds every point of one described by an older journal.
        replays: Whether this search would propose the same trials again; if not, those of the journal count as older.

    Attributes:
        header: The present header, as JSON values.
        first_number: Number that the first trial of this search has: 0, or more after older, narrower searches.
        lines: Folds recorded.

    Raises:
        ValueError: If there is a journal and ``resume`` is not set, it was written by another search, or it is damaged
            or no journal.
        RuntimeError: If another search is writing it.
        OSError: If the file cannot be opened or written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        header: Record,
        *,
        resume: bool,
        widens: Callable[[Any], bool],
        replays: bool = True,
    ) -> None:
        self.path = Path(path)
        fresh = not self.path.exists()
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        in_child(self)
        try:
            self._lock()
            if fresh:
                _sync_folder(self.path)
            records = self._read(resume)
            self.header = json.loads(json.dumps(encode(header), allow_nan=False))
            self._settle(records, widens, replays)
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file, which ends the lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _after_fork(self) -> None:
        # The lock belongs to all who have the file open: a child that lives on would keep it.
        self.close()

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
        self._write(record)
        self.lines += 1

    def _lock(self) -> None:
        import fcntl

        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(f"journal: {self.path} is being written by another search") from None

    def _read(self, resume: bool) -> list[Record]:
        """All whole lines. A torn last line is cut off, once the file is known to be a journal."""
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            data = file.read()
        if not data:
            return []
        if not resume:
            raise ValueError(f"journal: {self.path} exists; pass resume=True to go on from it, or name another file")
        # A header that was torn while it was written is as good as none.
        torn_header = b"\n" not in data and _could_begin_a_header(data)
        end = 0 if torn_header else data.rfind(b"\n") + 1
        records = list(self._parse(data[:end]))
        if not torn_header and (not records or _MARK not in records[0]):
            raise ValueError(f"journal: {self.path} is not a journal of a search")
        if end < len(data):
            os.ftruncate(self._descriptor, end)
            os.fsync(self._descriptor)
        return records

    def _parse(self, data: bytes) -> Iterator[Record]:
        for number, line in enumerate(data.splitlines(), 1):
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict) or not (_MARK in record or {"trial", "fold", "stop"} <= record.keys()):
                what = "is not a journal of a search" if number == 1 else f"is damaged in line {number}"
                raise ValueError(f"journal: {self.path} {what}")
            yield record

    def _settle(self, records: list[Record], widens: Callable[[Any], bool], replays: bool) -> None:
        """Compares headers, tells this search's folds from older ones, and writes a header where one is due."""
        headers = [record for record in records if _MARK in record]
        folds = [record for record in records if _MARK not in record]
        self.first_number, self.lines = 0, len(folds)
        self._older: list[Record] = []
        self._folds: dict[Key, Record] = {}
        changed = not headers
        if headers:
            last = headers[-1]
            _compare(self.path, last, self.header, widens)
            changed = last["space"] != self.header["space"]
            anew = changed or not replays
            self.first_number = max((r["trial"] + 1 for r in folds), default=0) if anew else last["first_number"]
        for record in folds:
            if record["trial"] < self.first_number:
                self._older.append(record)
            else:
                self._folds[record["trial"], record["fold"], record["stop"]] = record
        if changed:
            self._write({_MARK: FORMAT, **self.header, "first_number": self.first_number})

    def _write(self, record: Record) -> None:
        data = (json.dumps(encode(record), allow_nan=False, separators=(",", ":")) + "\n").encode()
        while data:
            data = data[os.write(self._descriptor, data) :]
        os.fsync(self._descriptor)


def recorded_seed(path: str | os.PathLike[str]) -> int | None:
    """The seed that an existing journal begins with; None where there is no journal, or none that can be read."""
    try:
        with open(path, "rb") as file:
            seed = json.loads(file.readline())["seed"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return seed if type(seed) is int else None


def _could_begin_a_header(data: bytes) -> bool:
    start = f'{{"{_MARK}":'.encode()
    return data[: len(start)] == start[: len(data)]


def _compare(path: Path, old: Record, new: Record, widens: Callable[[Any], bool]) -> None:
    """Raises where an old header is not that of this search, or of a narrower one."""
    if old[_MARK] != FORMAT:
        raise ValueError(f"journal: {path} has format {old[_MARK]}, this version of fastreg reads {FORMAT}")
    differing = []
    for name in new:
        if name not in old:
            differing.append(f"{name} (the journal has none)")
        elif old[name] != new[name]:
            if name == "space":
                if not widens(old[name]):
                    differing.append("space (it neither equals nor widens the journal's)")
            elif isinstance(old[name], dict) and isinstance(new[name], dict):
                parts = [k for k in sorted(old[name].keys() | new[name].keys()) if old[name].get(k) != new[name].get(k)]
                told = ", ".join(f"{k}: {old[name].get(k)!r} there, {new[name].get(k)!r} here" for k in parts)
                differing.append(f"{name} ({told})")
            else:
                differing.append(f"{name} ({describe(old[name])} there, {describe(new[name])} here)")
    if differing:
        raise ValueError(f"journal: {path} was written by another search; what differs: {'; '.join(differing)}")


def encode(value: object) -> Any:
    """A value as what JSON can hold; see the top of this file."""
    if value is None or isinstance(value, (bool, int, str)):
        return value if type(value) in (bool, int, str, type(None)) else _plain(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return None if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, np.generic):
        return encode(value.item())
    if isinstance(value, np.ndarray):
        return {"array": fingerprint(value)}
    return {"repr": text_of(value)}


def _plain(value: object) -> Any:
    """A subclass's value (an enum's member, NumPy's string) as the plain one."""
    return int(value) if isinstance(value, int) else str(value)


def decode_float(value: object) -> float:
    """The float that :func:`encode` made a JSON value of."""
    return math.nan if value is None else float(cast("float | str", value))


def fingerprint(*arrays: object) -> str:
    """A hash of the shapes, dtypes and values of arrays, lists, data frames or sparse matrices; None is nothing."""
    digest = hashlib.blake2b(digest_size=16)
    for given in arrays:
        if given is None:
            digest.update(b"none")
            continue
        if hasattr(given, "tocsr"):
            sparse = given.tocsr()
            digest.update(fingerprint(sparse.data, sparse.indices, sparse.indptr, sparse.shape).encode())
            continue
        array = np.asarray(given)
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        if array.dtype.hasobject:
            digest.update(repr(array.tolist()).encode())
            continue
        step = max(1, _BLOCK // max(1, array[:1].nbytes)) if array.ndim else 1
        for start in range(0, len(array) if array.ndim else 1, step):
            block = array[start : start + step] if array.ndim else array
            digest.update(np.ascontiguousarray(block).tobytes())
    return digest.hexdigest()


def _sync_folder(path: Path) -> None:
    """Makes the name of a new file last."""
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
