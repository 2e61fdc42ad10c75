"""Candidates: networks that a recipe tries on a table, as data; and new ones near those that did well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from fastreg.internal.checks import (
    AT_LEAST_ONE,
    FRACTION,
    NON_NEGATIVE,
    POSITIVE,
    Range,
    check_choice,
    check_int,
    check_real,
)
from fastreg.table.realmlp_td import DECAY, DROPOUT

__all__ = ["LARGE", "LINEAR", "REALMLP_ALONE", "REALMLP_S", "SMALL", "Candidate", "batch_size", "neighbour"]

_ACTIVATIONS = ("gelu", "relu", "silu", "selu", "mish")
_DESIGNS, _TASKS = ("plain", "realmlp", "realmlp_td", "tabm"), ("classification", "regression")
_SCALES = ("own", "shared")
_SHARE = Range("be in (0, 1]", 0.0, 1.0, "(]")


@dataclass(frozen=True)
class Candidate:
    """A network and how it is trained: AdamW under the schedule :class:`fastreg.schedules.CosLog`, no early stopping.

    Attributes:
        bins: The bins of the piecewise-linear encoding of a numeric column, >= 0. With 0 there is the scaled number
            alone.
        width: The units of a hidden layer, >= 1.
        layers: The number of hidden layers, >= 0. Without any the model is linear.
        activation: "gelu", which goes with bins, "relu", which goes with bare numbers, "silu", "selu" or "mish".
        dropout: The dropout behind each hidden layer, in [0, 1).
        decay: The weight decay of AdamW, >= 0.
        rate: The height of the waves of the learning rate, > 0.
        steps: The number of steps of training, >= 1.
        batch: The rows of a step, >= 1. None is 32 below 2,000 rows, 64 below 5,000 and 128 from there on.
        design: "plain"; "realmlp": the layers of RealMLP-TD-S, see :data:`REALMLP_S`, whose rates are some twenty
            times as high; "realmlp_td": RealMLP-TD, see :data:`REALMLP_ALONE`, which has an encoding of its own and so
            no bins, and whose dropout and decay fade in the second half of the steps; or "tabm": members that share
            kernels, see :class:`fastreg.layers.EnsembleDense`, of which each has a batch in a step. A recipe judges
            "realmlp_td" after each of some 64 parts of its training and keeps the best one, see ``until``.
        epochs: In a recipe's list, the number of passes over the rows that takes the place of ``steps`` as soon as the
            number of rows is known, >= 1; None leaves the steps as they are.
        members: The number of members of the design "tabm", >= 1.
        task: "classification" or "regression" where the candidate is for one of them; None is for both.
        scale: "own" scales each column of numbers by itself; "shared" gives those of one unit, as pixels are, one
            offset and one spread (:class:`TableEncoder` has the formula). A recipe tries such a candidate only on
            tables that have columns of one unit.
        until: The share of the steps after which the training of the design "realmlp_td" ends, in (0, 1]; schedules
            are those of all steps. Where a candidate is judged, all steps are trained, and it is trained again until
            where it was best, in the median of the folds. Other designs have 1.

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
    design: str = "plain"
    task: str | None = None
    epochs: int | None = None
    members: int = 16
    scale: str = "own"
    until: float = 1.0

    def __post_init__(self) -> None:
        for name, allowed in (("bins", NON_NEGATIVE), ("width", AT_LEAST_ONE), ("layers", NON_NEGATIVE)):
            check_int("Candidate", name, getattr(self, name), allowed)
        for name in ("steps", "members"):
            check_int("Candidate", name, getattr(self, name), AT_LEAST_ONE)
        for name in ("batch", "epochs"):
            if getattr(self, name) is not None:
                check_int("Candidate", name, getattr(self, name), AT_LEAST_ONE)
        check_choice("Candidate", "activation", self.activation, _ACTIVATIONS)
        check_choice("Candidate", "design", self.design, _DESIGNS)
        if self.task is not None:
            check_choice("Candidate", "task", self.task, _TASKS)
        check_choice("Candidate", "scale", self.scale, _SCALES)
        if self.design == "realmlp_td" and self.scale != "own":
            raise ValueError(f"Candidate: scale must be 'own' with the design 'realmlp_td', got {self.scale!r}")
        check_real("Candidate", "until", self.until, _SHARE)
        if self.design != "realmlp_td" and self.until != 1.0:
            raise ValueError(f"Candidate: until must be 1 with the design {self.design!r}, got {self.until!r}")
        if self.design == "realmlp_td" and self.bins:
            raise ValueError(f"Candidate: bins must be 0 with the design 'realmlp_td', got {self.bins}")
        for real, range_ in (("dropout", FRACTION), ("decay", NON_NEGATIVE), ("rate", POSITIVE)):
            check_real("Candidate", real, getattr(self, real), range_)

    def __str__(self) -> str:
        encoding = f"b{self.bins}" if self.bins else "scaled"
        encoding += ", one scale" if self.scale == "shared" else ""
        shape = f"{self.layers} x {self.width} {self.activation}, dropout {self.dropout:g}" if self.layers else "linear"
        batch = "" if self.batch is None else f", batch {self.batch}"
        design = "" if self.design == "plain" else f", {self.design}"
        design += f" of {self.members} members" if self.design == "tabm" else ""
        part = f"{self.last_step} of " if self.until < 1.0 else ""
        length = f"{part}{self.steps} steps" if self.epochs is None else f"{self.epochs} epochs"
        return f"{encoding}, {shape}{design}, decay {self.decay:g}, rate {self.rate:g}, {length}{batch}"

    @property
    def params(self) -> dict[str, Any]:
        """The attributes by name, those that change nothing left out where older journals have not got them."""
        given = asdict(self)
        if self.epochs is None:
            del given["epochs"]
        if self.design != "tabm":
            del given["members"]
        if self.scale == "own":
            del given["scale"]
        if self.until == 1.0:
            del given["until"]
        return given

    @property
    def keeps_best(self) -> bool:
        """Whether it is judged after each part of its training, and the best one counts."""
        return self.design == "realmlp_td"

    @property
    def last_step(self) -> int:
        """The number of steps after which the training ends, >= 1."""
        return max(round(self.until * self.steps), 1)

    def on(self, n_rows: int) -> Candidate:
        """The candidate for so many rows, with steps in place of epochs."""
        if self.epochs is None:
            return self
        size = min(batch_size(self, n_rows), n_rows)
        return replace(self, steps=self.epochs * -(-n_rows // size), epochs=None)


# The linear model, which every recipe tries first: a network that is worse is never chosen alone.
LINEAR = Candidate(bins=0, layers=0, dropout=0.0, decay=0.01, rate=0.01)
# Strong regularisation for noisy tables.
_CALM = Candidate(bins=8, width=128, dropout=0.4, decay=0.3, rate=1e-3, steps=800)
_BARE = Candidate(bins=0, activation="relu", decay=0.01)

#: RealMLP-TD-S, the simple form of RealMLP with tuned defaults (Holzmüller, Grinsztajn and Steinwart, "Better by
#: default: strong pre-tuned MLPs and boosted trees on tabular data", NeurIPS 2024): numbers scaled robustly and clipped
#: smoothly, a learned scale for each feature whose rate is six times as high, three hidden layers of 256 units in the
#: neural tangent parametrisation (weights are drawn from N(0, 1) and divided by the root of the layer's inputs, which
#: under Adam is the same as weights and rates divided by it), biases from N(0, 1) with a tenth of the rate, a last
#: layer that begins at zero, Adam with beta_2 = 0.95, and four waves of the rate. There it trains for 256 epochs; here
#: the steps are part of the candidate. Labels are not smoothed, since the log-loss decides.
#: The first is for classes (without smoothing its log-loss on Adult and wine was worse than all others'), the second
#: for numbers. :class:`fastreg.sklearn.RealMLPClassifier` has all that was published.
REALMLP_S = (
    Candidate(0, 256, 3, "selu", 0.0, 0.0, 0.04, 3000, 256, "realmlp", "classification"),
    Candidate(0, 256, 3, "mish", 0.0, 0.0, 0.07, 3000, 256, "realmlp", "regression"),
)
#: RealMLP-TD, the full form of the same paper, for 256 epochs as published; ``realmlp_td.py`` says what it has besides.
REALMLP_ALONE = (
    Candidate(0, 256, 3, "selu", DROPOUT, DECAY, 0.04, 3000, 256, "realmlp_td", "classification", 256),
    Candidate(0, 256, 3, "mish", DROPOUT, DECAY, 0.2, 3000, 256, "realmlp_td", "regression", 256),
)

# For columns of one unit. With a scale of its own, a pixel that is hardly ever set counts as much as all others.
_ONE_SCALE = (replace(_BARE, scale="shared"), Candidate(bins=0, scale="shared"))

# What is tried on tables below 5,000 rows, in this order.
SMALL = (
    *_ONE_SCALE,
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
    *_ONE_SCALE,
    Candidate(bins=128, width=128),
    REALMLP_S[1],
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
_CHOICES: dict[str, dict[str, tuple[Any, ...]]] = {
    "plain": {
        "bins": _BINS, "width": _WIDTHS, "layers": _LAYERS, "activation": ("gelu", "relu", "silu"),
        "dropout": _DROPOUTS, "decay": _DECAYS, "rate": _RATES, "steps": _STEPS,
    },
    "realmlp": {
        "bins": _BINS, "width": _WIDTHS, "layers": _LAYERS, "activation": ("selu", "mish", "relu", "gelu"),
        "dropout": _DROPOUTS, "rate": (0.01, 0.02, 0.04, 0.07, 0.1), "steps": _STEPS,
    },
    "realmlp_td": {
        "width": _WIDTHS, "layers": _LAYERS, "activation": ("selu", "mish", "relu", "gelu"), "dropout": _DROPOUTS,
        "rate": (0.02, 0.04, 0.07, 0.1, 0.2, 0.4), "steps": _STEPS,
    },
    "tabm": {
        "bins": _BINS, "width": _WIDTHS, "layers": _LAYERS, "activation": ("gelu", "relu", "silu"),
        "dropout": _DROPOUTS, "decay": _DECAYS, "rate": _RATES, "steps": _STEPS, "members": (4, 8, 16, 32),
    },
}  # fmt: skip
# Draws of a neighbour before it may be one that was tried.
_DRAWS = 50


def neighbour(best: Sequence[Candidate], tried: Sequence[Candidate], rng: np.random.Generator) -> Candidate:
    """A candidate that differs in one or two values from one of the best, and was not tried if there is such a one."""
    found = best[0]
    for _ in range(_DRAWS):
        parent = replace(best[int(rng.integers(len(best)))], until=1.0)
        choices = _CHOICES[parent.design]
        names = rng.choice(list(choices), size=int(rng.integers(1, 3)), replace=False).tolist()
        found = replace(parent, **{name: _moved(choices[name], getattr(parent, name), rng) for name in names})
        if found not in tried:
            break
    return found


def _moved(choices: Sequence[Any], value: Any, rng: np.random.Generator) -> Any:
    """Another value: one of the next ones where they have an order."""
    if isinstance(value, str):
        return [choice for choice in choices if choice != value][int(rng.integers(len(choices) - 1))]
    near = [max((c for c in choices if c < value), default=None), min((c for c in choices if c > value), default=None)]
    known = [choice for choice in near if choice is not None]
    return known[int(rng.integers(len(known)))]


def batch_size(candidate: Candidate, n_rows: int) -> int:
    """The rows of a step."""
    if candidate.batch is not None:
        return candidate.batch
    return 32 if n_rows < 2_000 else 64 if n_rows < 5_000 else 128
