"""Tables of series: each row is a moment, its columns are values and changes until then, its target is what comes.

Rows are in the order of time and neighbours share most of their target, so rows drawn at random are easier to predict
than later ones. The random series are drawn with one seed, 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["coupled", "demand", "pair", "threshold"]

_Frame = tuple[dict[str, NDArray[Any]], NDArray[np.float64]]


def _autoregression(rng: np.random.Generator, keep: float, n: int) -> NDArray[np.float64]:
    """A series of unit variance that keeps a share of its value in each step."""
    noise = rng.normal(size=n) * np.sqrt(1.0 - keep**2)
    found, value = np.empty(n), rng.normal()
    for t in range(n):
        found[t] = value = keep * value + noise[t]
    return found


def coupled(n: int = 12_000) -> _Frame:
    """The rise of one of five slow hourly series within a day, from all, their changes in a day, hour and weekday."""
    rng, hour = np.random.default_rng(0), np.arange(n + 48)
    slow = [_autoregression(rng, keep, len(hour)) for keep in (0.9995, 0.999, 0.995, 0.98, 0.9)]
    day = np.sin(2.0 * np.pi * hour / 24.0)
    level = 3.0 * slow[0] + slow[2] + np.tanh(slow[1]) * day + 0.5 * _autoregression(rng, 0.95, len(hour))
    series = [level, *(one + 0.5 * day + 0.3 * rng.normal(size=len(hour)) for one in slow[1:])]
    now = slice(24, n + 24)
    columns = {f"s{i}": one[now] for i, one in enumerate(series)}
    columns |= {f"s{i}_change": one[now] - one[:n] for i, one in enumerate(series)}
    columns |= {"hour": hour[now] % 24, "weekday": hour[now] // 24 % 7}
    return columns, level[48:] - level[now]


def threshold(n: int = 6_000) -> _Frame:
    """The next step of a series that follows its last steps in one way after a rise and in another one after a fall,
    from its last eight values, which wander."""
    rng = np.random.default_rng(0)
    steps = np.zeros(n + 60)
    for t in range(2, len(steps)):
        rise = steps[t - 1] > 0.0
        steps[t] = (0.6 if rise else -0.4) * steps[t - 1] + (-0.3 if rise else 0.3) * steps[t - 2] + 0.5 * rng.normal()
    level = np.cumsum(steps)
    end = len(level) - 1
    return {f"lag{k}": level[end - n - k : end - k] for k in range(8)}, steps[end - n + 1 :]


def pair(n: int = 6_000) -> _Frame:
    """The next step of one of two prices that wander together, from the last three values of both: it closes the gap,
    quickly where that is wide."""
    rng = np.random.default_rng(0)
    first, second = np.zeros(n + 10), np.zeros(n + 10)
    for t in range(1, n + 10):
        gap = first[t - 1] - second[t - 1]
        first[t] = first[t - 1] - 0.05 * gap - 0.15 * gap * (abs(gap) > 1.0) + 0.3 * rng.normal()
        second[t] = second[t - 1] + 0.3 * rng.normal()
    end = n + 9
    prices = {"a": first, "b": second}
    columns = {f"{name}{k}": one[end - n - k : end - k] for name, one in prices.items() for k in range(3)}
    return columns, np.diff(first)[end - n :]


def demand(n: int = 10_000) -> _Frame:
    """The demand of the next hour, which grows, from that of a day, two days and a week before, the last hours, the
    temperature, hour and weekday."""
    rng, hour = np.random.default_rng(0), np.arange(n + 200)
    cold = 8.0 * np.cos(2.0 * np.pi * hour / 8766.0) + 4.0 * _autoregression(rng, 0.99, len(hour))
    daily = np.sin(2.0 * np.pi * (hour % 24 - 8) / 24.0)
    rest = (hour // 24 % 7 >= 5).astype(float)
    base = 100.0 + 20.0 * hour / len(hour) + 15.0 * daily * (1.0 - 0.6 * rest) + 1.5 * np.maximum(cold, 0.0)
    load = base * (1.0 + 0.03 * _autoregression(rng, 0.97, len(hour)) + 0.02 * rng.normal(size=len(hour)))
    now = np.arange(199, 199 + n)
    columns = {f"before{k}": load[now - k] for k in (0, 1, 2, 23, 47, 167)}
    columns |= {"temperature": 12.0 - cold[now], "hour": (now + 1) % 24, "weekday": (now + 1) // 24 % 7}
    return columns, load[now + 1]
