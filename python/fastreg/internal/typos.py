"""Distinguishes a typo of a known name from a name with another meaning. Used for error messages only."""

from __future__ import annotations

import re
from collections.abc import Iterable

from fastreg.internal.absent import is_known_elsewhere, plain

# Letters of a name that may be a typo. A file may hold a name of megabytes.
_MOST = 200


def closest(value: str, known: Iterable[str], kind: str = "") -> str | None:
    """The known name of which ``value`` is probably a typo; None if there is none or more than one.

    Words are compared one by one, ignoring case. A word may differ by one edit (a letter added, missing or changed, or
    two letters swapped), by two edits if it has six letters or more, or it may be cut off after three letters or more.
    A different number, or a changed letter in a word of three letters or less, means another thing: ``l1`` and ``l2``,
    ``mae`` and ``mse``. Names that differ only in case and underscores are the same. A name that another library has
    for this kind (for any kind, if none is given) is not a typo.
    """
    names = dict.fromkeys(known)
    if value in names:
        return value
    if len(value) > _MOST:
        return None
    alike = [name for name in names if plain(name) == plain(value)]
    if alike:
        return _of_this_case(alike, value)
    if not value or is_known_elsewhere(value, kind):
        return None
    found = {name: cost for name in names if (cost := _cost(value, name)) is not None}
    best = [name for name, cost in found.items() if cost == min(found.values())]
    return _of_this_case(best, value) if len(set(map(plain, best))) == 1 else None


def _of_this_case(names: list[str], value: str) -> str:
    """The one of some names that differ in case and underscores only that begins as the value does."""
    return next((name for name in names if name[:1].isupper() == value[:1].isupper()), names[0])


def _cost(value: str, name: str) -> int | None:
    if re.findall(r"\d+", value) != re.findall(r"\d+", name):
        return None
    one, other = _parts(value), _parts(name)
    if len(one) != len(other):
        one, other = ["".join(one)], ["".join(other)]
    costs = [_word_cost(a, b) for a, b in zip(one, other, strict=True)]
    return None if any(cost is None for cost in costs) else sum(cost or 0 for cost in costs)


def _parts(name: str) -> list[str]:
    """``mean_squared_error`` and ``MeanSquaredError`` as three words."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_").split("_")


def _word_cost(a: str, b: str) -> int | None:
    longer = max(len(a), len(b))
    if longer <= 3 and len(a) == len(b) and sorted(a) != sorted(b):
        return None
    if len(a) >= 3 and b.startswith(a):
        return min(2, len(b) - len(a))
    most = 2 if longer >= 6 else 1
    if longer - min(len(a), len(b)) > most:  # there are at least as many edits
        return None
    cost = _edits(a, b)
    return cost if cost <= most else None


def _edits(a: str, b: str) -> int:
    """Fewest insertions, deletions, substitutions and swaps of neighbours that make one word of the other."""
    before, last = [0] * (len(b) + 1), list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]
