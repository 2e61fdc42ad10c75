"""Seeds: one global seed as Keras has it, seeds for the models of one thread, and the seed of a model without one."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np

from fastreg.internal.checks import NON_NEGATIVE, SEED_LIMIT, check_int

__all__ = ["default_seed", "draw_seed", "set_random_seed"]

# Seeds for models made without one, after set_random_seed; None: the operating system's.
_seeds: Iterator[int] | None = None


class _OfThread(threading.local):
    """Seeds for models made without one by this thread, within default_seed or in a search; None: as anywhere."""

    seeds: Iterator[int] | None = None


of_thread = _OfThread()


def set_random_seed(seed: int) -> None:
    """Seeds Python's and NumPy's global generators, and the models made from now on without a ``seed`` of their own.

    Args:
        seed: In [0, 2**32).

    Raises:
        ValueError: If the seed is out of range.

    Example:
        >>> import fastreg as fr
        >>> def new_weights():
        ...     fr.utils.set_random_seed(7)
        ...     return fr.Sequential([fr.Input((3,)), fr.layers.Dense(2)]).get_weights()[0]
        >>> bool((new_weights() == new_weights()).all())
        True
    """
    import random

    global _seeds
    checked = check_int("set_random_seed", "seed", seed, NON_NEGATIVE, 2**32)
    random.seed(checked)
    np.random.seed(checked)  # noqa: NPY002 -- Keras seeds it, and programs draw their data from it
    _seeds = seeds_from(checked)


def default_seed(seed: int) -> AbstractContextManager[None]:
    """Seeds the models that this thread makes within a ``with`` and without a ``seed`` of their own.

    The seeds of the first model, the second model and so on are functions of ``seed`` alone, so that running the same
    program again makes the same models. Other threads, :func:`set_random_seed` and the global generators are not
    affected. If ``with`` statements are nested, the innermost one counts.

    Args:
        seed: In [0, 2**64).

    Raises:
        ValueError: If the seed is out of range.

    Example:
        >>> import fastreg as fr
        >>> def seeds():
        ...     with fr.utils.default_seed(5):
        ...         return fr.Sequential().seed, fr.Sequential().seed, fr.Sequential(seed=1).seed
        >>> first, second, third = seeds()
        >>> seeds() == (first, second, third), first != second, third
        (True, True, 1)
    """
    return _seeded(check_int("default_seed", "seed", seed, NON_NEGATIVE, SEED_LIMIT))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    before, of_thread.seeds = of_thread.seeds, seeds_from(seed)
    try:
        yield
    finally:
        of_thread.seeds = before


def seeds_from(seed: int) -> Iterator[int]:
    """The seeds of one model after another, as functions of a seed. Not a generator: threads may share it."""

    # A child sequence for each model, so that the models of a program differ.
    def child(i: int) -> int:
        return int(np.random.SeedSequence(seed, spawn_key=(i,)).generate_state(1, np.uint64)[0] >> np.uint64(16))

    return map(child, itertools.count())


def draw_seed() -> int:
    """A seed for a model made without one."""
    if of_thread.seeds is not None:
        return next(of_thread.seeds)
    return int.from_bytes(os.urandom(6), "little") if _seeds is None else next(_seeds)
