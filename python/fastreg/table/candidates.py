"""Candidates: networks that a recipe tries on a table, as data; and new ones near those that did well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from fastreg.internal.checks import AT_LEAST_ONE, FRACTION, NON_NEGATIVE, POSITIVE, check_choice, check_int, check_real

__all__ = ["LARGE", "LINEAR", "SMALL", "Candidate", "batch_size", "neighbour"]

_ACTIVATIONS = ("gelu", "relu", "silu")


@dataclass(frozen=True)
class Candidate:
    """A network and how it is trained: AdamW under the schedule :class:`fastreg.schedules.CosLog`, no early stopping.

    Attributes:
        bins: The bins of the piecewise-linear encoding of a numeric column, >= 0. With 0 there is the scaled number
            alone.
        width: The units of a hidden layer, >= 1.
        layers: The number of hidden layers, >= 0. Without any the model is linear.
        activation: "gelu", which goes with bins, "relu", which goes with bare numbers, or "silu".
        dropout: The dropout behind each hidden layer, in [0, 1).
        decay: The weight decay of AdamW, >= 0.
        rate: The height of the waves of the learning rate, > 0.
        steps: The number of steps of training, >= 1.
        batch: The rows of a step, >= 1. None is 32 below 2,000 rows, 64 below 5,000 and 128 from there on.

    Raises:
        ValueError: If a value is out of range.
        TypeError: If one is of the wrong type.

    Example:
        >>> from fastreg.table import Candidate
        >>> str(Candidate(bins=48, width=128, dropout=0.4))
        'b48, 2 x 128 gelu, dropout 0.4, decay 0.1, rate 0.002, 3000 steps'
    """

    bins: int = 8
    width: int = 256
    layers: int = 2
    activation: str = "gelu"
    dropout: float = 0.1
    decay: float = 0.1
    rate: float = 2e-3
    steps: int = 3000
    batch: int | None = None

    def __post_init__(self) -> None:
        for name, allowed in (("bins", NON_NEGATIVE), ("width", AT_LEAST_ONE), ("layers", NON_NEGATIVE)):
            check_int("Candidate", name, getattr(self, name), allowed)
        check_int("Candidate", "steps", self.steps, AT_LEAST_ONE)
        if self.batch is not None:
            check_int("Candidate", "batch", self.batch, AT_LEAST_ONE)
        check_choice("Candidate", "activation", self.activation, _ACTIVATIONS)
        for real, range_ in (("dropout", FRACTION), ("decay", NON_NEGATIVE), ("rate", POSITIVE)):
            check_real("Candidate", real, getattr(self, real), range_)

    def __str__(self) -> str:
        encoding = f"b{self.bins}" if self.bins else "scaled"
        shape = f"{self.layers} x {self.width} {self.activation}, dropout {self.dropout:g}" if self.layers else "linear"
        batch = "" if self.batch is None else f", batch {self.batch}"
        return f"{encoding}, {shape}, decay {self.decay:g}, rate {self.rate:g}, {self.steps} steps{batch}"

    @property
    def params(self) -> dict[str, Any]:
        """The attributes by name."""
        return asdict(self)


# The linear model, which every recipe tries first: a network that is worse is never chosen alone.
LINEAR = Candidate(bins=0, layers=0, dropout=0.0, decay=0.01, rate=0.01)
# Strong regularisation for noisy tables.
_CALM = Candidate(bins=8, width=128, dropout=0.4, decay=0.3, rate=1e-3, steps=800)
_BARE = Candidate(bins=0, activation="relu", decay=0.01)

# What is tried on tables below 5,000 rows, in this order.
SMALL = (
    _CALM,
    Candidate(bins=16, activation="relu", decay=0.01),
    _BARE,
    Candidate(bins=48, activation="relu", decay=0.01, dropout=0.25),
    replace(_CALM, bins=0, activation="relu"),
    Candidate(bins=8, layers=3, activation="silu", dropout=0.25),
    Candidate(bins=8, activation="relu", decay=0.01),
    Candidate(bins=48, steps=6000),
)
# What is tried on larger ones.
LARGE = (
    Candidate(bins=128, width=128),
    _BARE,
    Candidate(bins=8, layers=3, activation="silu", dropout=0.25, steps=6000),
    Candidate(bins=48, width=128, dropout=0.4, decay=0.3, rate=1e-3, steps=1500),
    Candidate(bins=48, dropout=0.25),
    Candidate(bins=16, steps=6000),
    Candidate(bins=128, width=128, layers=1, dropout=0.3),
    Candidate(bins=48, width=384, layers=3, activation="silu", dropout=0.25, steps=1500),
)

# What a neighbour may have in place of a value.
_BINS, _WIDTHS, _DROPOUTS = (0, 8, 16, 48, 128), (64, 128, 256, 384), (0.0, 0.1, 0.25, 0.4, 0.5)
_DECAYS, _RATES = (0.003, 0.01, 0.03, 0.1, 0.3), (5e-4, 1e-3, 2e-3, 4e-3)
_STEPS, _LAYERS = (400, 800, 1500, 3000, 6000, 12000), (1, 2, 3)
_CHOICES: dict[str, tuple[Any, ...]] = {
    "bins": _BINS, "width": _WIDTHS, "layers": _LAYERS, "activation": _ACTIVATIONS,
    "dropout": _DROPOUTS, "decay": _DECAYS, "rate": _RATES, "steps": _STEPS,
}  # fmt: skip
# Draws of a neighbour before it may be one that was tried.
_DRAWS = 50


def neighbour(best: Sequence[Candidate], tried: Sequence[Candidate], rng: np.random.Generator) -> Candidate:
    """A candidate that differs in one or two values from one of the best, and was not tried if there is such a one."""
    found = best[0]
    for _ in range(_DRAWS):
        parent = best[int(rng.integers(len(best)))]
        names = rng.choice(list(_CHOICES), size=int(rng.integers(1, 3)), replace=False).tolist()
        found = replace(parent, **{name: _moved(name, getattr(parent, name), rng) for name in names})
        if found not in tried:
            break
    return found


def _moved(name: str, value: Any, rng: np.random.Generator) -> Any:
    """Another value: one of the next ones where they have an order."""
    choices = _CHOICES[name]
    if name == "activation":
        return [choice for choice in choices if choice != value][int(rng.integers(len(choices) - 1))]
    near = [max((c for c in choices if c < value), default=None), min((c for c in choices if c > value), default=None)]
    known = [choice for choice in near if choice is not None]
    return known[int(rng.integers(len(known)))]


def batch_size(candidate: Candidate, n_rows: int) -> int:
    """The rows of a step."""
    if candidate.batch is not None:
        return candidate.batch
    return 32 if n_rows < 2_000 else 64 if n_rows < 5_000 else 128
