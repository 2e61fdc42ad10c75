"""``Recipe``: how the best blend of networks for a table is found, as data; the presets are recipes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from fastreg.internal.checks import (
    AT_LEAST_ONE,
    FRACTION,
    INNER_FRACTION,
    Range,
    check_bool,
    check_choice,
    check_int,
    check_real,
)
from fastreg.table.candidates import LARGE, LINEAR, REALMLP_ALONE, SMALL, Candidate

__all__ = ["AMOUNTS", "PRESETS", "Recipe"]

# How much is tried, and with a design of its own.
AMOUNTS = ("fast", "default", "best")
PRESETS = (*AMOUNTS, "realmlp")


@dataclass(frozen=True)
class Recipe:
    """What is tried on a table, how it is judged, and how the best are blended.

    First the candidates of the list are tried in their order, a linear model before all others, then neighbours of the
    best. They are judged by cross-validation below ``large_rows`` rows, and by one held-out part from there on. The
    blend is the mean of the networks that a greedy selection picks from the predictions for rows that they were not
    trained on (Caruana et al., "Ensemble selection from libraries of models", ICML 2004); each is trained again on all
    rows, and the probabilities are calibrated by one temperature (Guo et al., "On calibration of modern neural
    networks", ICML 2017), or by isotonic curves where rows allow (``calibrating.py``). The defaults were measured on
    tables of 150 to 50,000 rows.

    Attributes:
        small: The candidates for tables below ``large_rows`` rows.
        large: Those for larger tables.
        large_rows: The number of rows from which on a table is large, >= 1.
        trials: Networks to try at most, the neighbours included and the linear model not, >= 1.
        folds: Folds of the cross-validation of small tables, and the inverse of the held-out share of large ones, >= 2.
        cv: Folds for tables of all sizes, >= 2; None decides by the number of rows.
        picks: Picks of the greedy selection, with replacement, >= 1.
        members: Different networks of the blend at most, >= 1.
        patience: The search ends if so many neighbours improve the blend by less than ``least_gain``, >= 1.
        least_gain: A share of the loss, in [0, 1).
        judging: The share of the time that candidates may take, in (0, 1); the rest is for training again. Neighbours
            may take more where training again is short.

        with_linear: Whether the linear model may be a member of the blend. It is judged in any case.

    Raises:
        ValueError: If a value is out of range.
        TypeError: If one is of the wrong type.

    Example:
        >>> from fastreg.table import Candidate, Recipe
        >>> recipe = Recipe(small=(Candidate(bins=8, width=32, steps=200),), trials=1)
        >>> recipe.members, Recipe.preset("fast").members
        (16, 3)
    """

    small: tuple[Candidate, ...] = SMALL
    large: tuple[Candidate, ...] = LARGE
    large_rows: int = 5000
    trials: int = 64
    folds: int = 5
    cv: int | None = None
    picks: int = 16
    members: int = 16
    patience: int = 8
    least_gain: float = 0.005
    judging: float = 0.5
    with_linear: bool = True

    def __post_init__(self) -> None:
        for name in ("large_rows", "trials", "picks", "members", "patience"):
            check_int("Recipe", name, getattr(self, name), AT_LEAST_ONE)
        for name in ("folds", *(() if self.cv is None else ("cv",))):
            check_int("Recipe", name, getattr(self, name), Range("be >= 2", 2))
        check_real("Recipe", "least_gain", self.least_gain, FRACTION)
        check_real("Recipe", "judging", self.judging, INNER_FRACTION)
        check_bool("Recipe", "with_linear", self.with_linear)
        for name in ("small", "large"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
            for entry in getattr(self, name):
                if not isinstance(entry, Candidate):
                    raise TypeError(f"Recipe: {name} must hold candidates, got {entry!r}")

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Recipe:
        """A recipe by its name, with some attributes changed; None leaves one as it is.

        Args:
            name: "fast" tries the first three candidates and blends at most three networks; "default" tries the list
                and then neighbours until they improve nothing; "best" goes on for longer, and blends more; "realmlp"
                trains one network, RealMLP-TD, until where it was best for rows held out, within 256 epochs, or fewer
                if the time is too short.
            **changes: Attributes of the recipe.

        Raises:
            ValueError: If there is no such preset, or a value is out of range.
        """
        check_choice("Recipe", "preset", name, PRESETS)
        made = {
            "fast": cls(trials=3, members=3),
            "default": cls(),
            "best": cls(trials=256, picks=32, members=32, patience=24, least_gain=0.002),
            # One held-out part is enough where nothing is to be chosen.
            "realmlp": cls((), REALMLP_ALONE, large_rows=1, trials=1, members=1, with_linear=False),
        }[name]
        return made.changed(**changes)

    def changed(self, **changes: Any) -> Recipe:
        """The recipe with other values of some attributes; None leaves one as it is."""
        return replace(self, **{key: value for key, value in changes.items() if value is not None})

    def candidates(self, n_rows: int, task: str | None = None, one_unit: bool = False) -> tuple[Candidate, ...]:
        """What is tried on so many rows to learn from, in order, the linear model first.

        Args:
            n_rows: The number of rows.
            task: "classification" or "regression"; None gives the candidates for either.
            one_unit: Whether the table has columns of one unit. Without them no candidate has ``scale="shared"``.
        """
        return (LINEAR, *self.listed(n_rows, task, one_unit)[: self.trials])

    def listed(self, n_rows: int, task: str | None = None, one_unit: bool = False) -> tuple[Candidate, ...]:
        """The list for so many rows to learn from, a task, and columns of one unit or none."""
        chosen = self.large if n_rows >= self.large_rows else self.small
        fitting = (one for one in chosen if None in (task, one.task) or one.task == task)
        fitting = (one for one in fitting if one_unit or one.scale == "own")
        return tuple(candidate.on(n_rows) for candidate in fitting)

    def n_splits(self, n_rows: int) -> int | None:
        """The folds of the cross-validation; None where one part is held out."""
        return self.cv if self.cv is not None else self.folds if n_rows < self.large_rows else None
