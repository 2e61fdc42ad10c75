"""Penalties of a parameter w, and what goes with every update rule."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Penalty(NamedTuple):
    l1: float = 0.0
    l2: float = 0.0
    proximal: bool = False

    def value(self, w):
        return self.l1 * np.abs(w).sum() + self.l2 * (w * w).sum()

    def gradient(self, w):
        return (0.0 if self.proximal else self.l1 * np.sign(w)) + 2.0 * self.l2 * w


class Orthogonality(NamedTuple):
    """factor times the mean of |cos| over all pairs of different rows, or columns."""

    factor: float = 0.01
    mode: str = "rows"
    proximal = False  # the part of a penalty that the optimizer sees
    l1 = 0.0

    def units(self, w):
        v = w if self.mode == "rows" else w.T
        norms = np.maximum(np.sqrt((v * v).sum(axis=1, keepdims=True)), 1e-7)
        return v / norms, norms

    def value(self, w):
        u, _ = self.units(w)
        n = len(u)
        products = np.abs(u @ u.T)
        return self.factor * (products.sum() - np.trace(products)) / (n * (n - 1)) if n > 1 else 0.0

    def gradient(self, w):
        u, norms = self.units(w)
        n = len(u)
        signs = np.sign(u @ u.T)
        np.fill_diagonal(signs, 0.0)
        g = 2.0 * self.factor / (n * (n - 1)) * signs @ u if n > 1 else 0.0 * u
        along = np.where(norms > 1e-7, (g * u).sum(axis=1, keepdims=True), 0.0)  # a shorter one is divided by 1e-7
        d = (g - along * u) / norms
        return d if self.mode == "rows" else d.T


NO_PENALTY = Penalty()


class Options(NamedTuple):
    """What every rule can have besides; a rule with a weight_decay of its own has it there."""

    weight_decay: float = 0.0
    use_ema: bool = False
    ema_momentum: float = 0.99
    ema_overwrite_frequency: int | None = None
    gradient_accumulation_steps: int | None = None


NO_OPTIONS = Options()


def soft_threshold(w, threshold):
    return np.sign(w) * np.maximum(np.abs(w) - threshold, 0.0)
