"""The runtime of fastreg: threads, the precision of matrix products, instruction sets, versions."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np

from fastreg import _core
from fastreg.internal.checks import AT_LEAST_ONE, check_choice, check_int

__all__ = [
    "PRECISIONS",
    "checked_matmul_precision",
    "get_matmul_precision",
    "get_num_threads",
    "matmul_precision",
    "set_matmul_precision",
    "set_num_threads",
    "show_config",
    "thread_limit",
]

_explicit = False

# The words that stand in models and files, which are PyTorch's, and what JAX's words mean.
PRECISIONS = ("highest", "high", "medium")
_MEANINGS = {word: word for word in PRECISIONS} | {"float32": "highest", "bfloat16_3x": "high", "bfloat16": "medium"}
_of_process = "highest"


class _OfThread(threading.local):
    """What :func:`matmul_precision` or a search has set for a thread; None where it is the process's."""

    precision: str | None = None


of_thread = _OfThread()


def set_num_threads(n: int) -> None:
    """Sets how many threads one training or prediction may use; results do not depend on it.

    ``n`` may exceed the number of processors. The default is the minimum of the CPUs in the affinity mask, the CPU
    quota of the control group, and ``FASTREG_NUM_THREADS`` or else ``OMP_NUM_THREADS``.

    Args:
        n: >= 1.

    Raises:
        ValueError: If ``n`` < 1.
        TypeError: If ``n`` is no integer.
    """
    global _explicit
    _core.set_num_threads(check_int("set_num_threads", "n", n, AT_LEAST_ONE, 2**31))
    _explicit = True


def get_num_threads() -> int:
    """How many threads one training or prediction may use, if this thread starts it.

    Example:
        >>> import fastreg as fr
        >>> with fr.thread_limit(1):
        ...     fr.get_num_threads()
        1
    """
    return _core.get_num_threads()


def thread_limit(n: int) -> AbstractContextManager[None]:
    """Limits each training or prediction that this thread starts within a ``with`` to at most ``n`` threads.

    Other threads, and what :func:`set_num_threads` has set for them, are not affected, so that a program with workers
    can give each of them its share. A nested limit can only lower it. Results do not depend on it.

    Args:
        n: >= 1.

    Raises:
        ValueError: If ``n`` < 1.
        TypeError: If ``n`` is no integer.

    Example:
        >>> import fastreg as fr
        >>> with fr.thread_limit(1):
        ...     fr.get_num_threads()
        1
    """
    return _limited(check_int("thread_limit", "n", n, AT_LEAST_ONE, 2**31))


@contextmanager
def _limited(n: int) -> Iterator[None]:
    before = _core.get_thread_limit()
    _core.set_thread_limit(min(n, before) if before else n)
    try:
        yield
    finally:
        _core.set_thread_limit(before)


def set_matmul_precision(precision: str) -> None:
    """Sets how models that are compiled from now on compute the matrix products of their dense layers.

    It is the setting of the whole process, for which :func:`matmul_precision` may set another one in a thread. It is
    read by ``compile``, ``fit`` of an estimator, and ``predict`` and ``freeze`` of a model that is not compiled; models
    that are compiled keep theirs, in copies and files too.

    A product ``y = x w`` sums ``x[i, j] w[j, k]`` over ``j`` in float32. ``"highest"`` takes float32 numbers.
    ``"medium"`` rounds each number to bfloat16, ``r(x)``, which has 8 significant bits: ``y = r(x) r(w)``. ``"high"``
    splits each into two such numbers, ``x1 = r(x)`` and ``x2 = r(x - x1)``: ``y = x1 w1 + x1 w2 + x2 w1``. Weights,
    biases, moments, statistics and losses are float32 whatever the precision. On a CPU without a unit for such products
    the words are accepted and mean ``"highest"``; :func:`show_config` says so.

    Args:
        precision: ``"highest"`` (the default), ``"high"`` or ``"medium"``, as in
            ``torch.set_float32_matmul_precision``; or JAX's words for them, ``"float32"``, ``"bfloat16_3x"`` and
            ``"bfloat16"``.

    Raises:
        ValueError: If it is another word.
        TypeError: If it is no string.

    Example:
        >>> import fastreg as fr
        >>> fr.set_matmul_precision("bfloat16")
        >>> fr.get_matmul_precision()
        'medium'
        >>> fr.set_matmul_precision("highest")
    """
    global _of_process
    _of_process = checked_matmul_precision("set_matmul_precision", "precision", precision)


def get_matmul_precision() -> str:
    """The precision that a model gets if this thread compiles it: ``"highest"``, ``"high"`` or ``"medium"``.

    Example:
        >>> import fastreg as fr
        >>> with fr.matmul_precision("medium"):
        ...     fr.get_matmul_precision()
        'medium'
    """
    return of_thread.precision or _of_process


def matmul_precision(precision: str) -> AbstractContextManager[None]:
    """Sets the precision of matrix products of models that this thread compiles within a ``with``.

    Other threads and what :func:`set_matmul_precision` has set for them are not affected. If ``with`` statements are
    nested, the innermost one counts. Searches, recipes of tables and their workers in threads and processes use the
    precision of the thread that started them.

    Args:
        precision: As of :func:`set_matmul_precision`.

    Raises:
        ValueError: If it is another word.
        TypeError: If it is no string.

    Example:
        >>> import fastreg as fr
        >>> model = fr.Sequential([fr.Input((8,)), fr.layers.Dense(1)], seed=0)
        >>> with fr.matmul_precision("medium"):
        ...     model.compile("adam", "mse")
        >>> model.matmul_precision, fr.get_matmul_precision()
        ('medium', 'highest')
    """
    return _precise(checked_matmul_precision("matmul_precision", "precision", precision))


@contextmanager
def _precise(precision: str) -> Iterator[None]:
    before, of_thread.precision = of_thread.precision, precision
    try:
        yield
    finally:
        of_thread.precision = before


def checked_matmul_precision(owner: str, name: str, value: object) -> str:
    """The precision of a word: ``"highest"``, ``"high"`` or ``"medium"``.

    Args:
        owner: The call, for messages.
        name: The name of the argument, for messages.
        value: One of these words or of JAX's.

    Raises:
        ValueError: If it is another word.
        TypeError: If it is no string.
    """
    return _MEANINGS[check_choice(owner, name, value, _MEANINGS)]


def show_config() -> None:
    """Prints versions, the instruction sets, the threads and the precision of products, with the reasons for them.

    Example:
        >>> import fastreg as fr
        >>> fr.show_config()  # doctest: +ELLIPSIS
        fastreg ...
    """
    info = _core.build_info()
    isa = f"{_core.active_isa()} (available: {', '.join(_core.available_isas())})"
    rows = {
        "fastreg": f"{info['version']} ({info['build_type']} build)",
        "instruction set": isa + (" by FASTREG_ISA" if os.environ.get("FASTREG_ISA") else ""),
        "threads": f"{get_num_threads()} ({_thread_source()})",
        "matmul precision": f"{get_matmul_precision()} ({_computed_precisions()})",
        "compiler": info["compiler"],
        "numpy": np.__version__,
        "python": f"{platform.python_version()} on {platform.platform()}",
    }
    width = max(map(len, rows))
    print("\n".join(f"{name:<{width}}  {value}" for name, value in rows.items()))


def _computed_precisions() -> str:
    """How each precision but the highest is computed on this CPU."""
    how = "bfloat16 products by " + _core.matmul_unit()
    computed = {word: how if _core.matmul_precision_computes(word) else "as highest" for word in ("medium", "high")}
    if len(set(computed.values())) == 1:
        return f"medium and high: {computed['high']}"
    return "; ".join(f"{word}: {told}" for word, told in computed.items())


def _thread_source() -> str:
    count = get_num_threads()
    if _core.get_thread_limit() == count:
        return "thread_limit"
    if _explicit:
        return "set_num_threads"
    for name in ("FASTREG_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(name, "").strip()
        if value:
            if value == str(count):
                return name
            break
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return "CPU affinity" if count == available else "cgroup CPU quota"
