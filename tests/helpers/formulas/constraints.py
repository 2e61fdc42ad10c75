"""Constraints: what a weight is brought back to after an update."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from formulas import Formula

EPSILON = 1e-7


@dataclass(frozen=True)
class Constraint(Formula):
    def project(self, w):
        raise NotImplementedError


@dataclass(frozen=True)
class OfNorms(Constraint):
    """Those that scale vectors of a weight to a norm."""

    def wanted(self, norms):
        raise NotImplementedError

    def project(self, w):
        axis = tuple(self.axis) if isinstance(self.axis, (tuple, list)) else self.axis
        norms = np.sqrt((w * w).sum(axis=axis, keepdims=True))
        return w * (self.wanted(norms) / (EPSILON + norms))


@dataclass(frozen=True)
class MaxNorm(OfNorms):
    max_value: float = 2.0
    axis: int | tuple[int, ...] = 0

    def wanted(self, norms):
        return np.minimum(norms, self.max_value)


@dataclass(frozen=True)
class NonNeg(Constraint):
    def project(self, w):
        return np.maximum(w, 0.0)


@dataclass(frozen=True)
class UnitNorm(OfNorms):
    axis: int | tuple[int, ...] = 0

    def wanted(self, norms):
        return np.ones_like(norms)


@dataclass(frozen=True)
class MinMaxNorm(OfNorms):
    min_value: float = 0.0
    max_value: float = 1.0
    rate: float = 1.0
    axis: int | tuple[int, ...] = 0

    def wanted(self, norms):
        return (1.0 - self.rate) * norms + self.rate * np.clip(norms, self.min_value, self.max_value)


# The rows. The norms of the weights that the tests train are about 1.
CONSTRAINTS = {
    "max norm": MaxNorm(0.8),
    "max norm of inputs": MaxNorm(0.8, axis=1),
    "max norm of the last axis": MaxNorm(0.8, axis=-1),
    "max norm of all": MaxNorm(1.5, axis=(0, 1)),
    "non neg": NonNeg(),
    "unit norm": UnitNorm(),
    "unit norm of inputs": UnitNorm(axis=1),
    "min max norm": MinMaxNorm(0.7, 0.9, 0.3),
    "min max norm of all": MinMaxNorm(2.0, 2.5, 0.5, axis=(1, 0)),
}
