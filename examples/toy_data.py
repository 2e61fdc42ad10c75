"""Data for the examples: two interleaved half circles with noise, and few training rows, so that networks over-fit."""

import numpy as np


def half_circles(rows: int, noise: float = 0.3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points (rows, 2) as float32 and labels (rows,), 0 or 1, half of each, in random order."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(rows) % 2
    angle = np.pi * rng.random(rows)
    x = np.where(
        y[:, None] == 0,
        np.column_stack([np.cos(angle), np.sin(angle)]),
        np.column_stack([1.0 - np.cos(angle), 0.5 - np.sin(angle)]),
    )
    return (x + noise * rng.standard_normal((rows, 2))).astype(np.float32), y
