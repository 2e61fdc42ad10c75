"""The runtime of fastreg: threads, instruction sets, versions."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np

from fastreg import _core
from fastreg.internal.checks import AT_LEAST_ONE, check_int

__all__ = ["get_num_threads", "set_num_threads", "show_config", "thread_limit"]

_explicit = False


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
    """How many threads one training or prediction may use, if this thread starts it."""
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


def show_config() -> None:
    """Prints versions, the instruction sets, and the number of threads with the reason for it.

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
        "compiler": info["compiler"],
        "numpy": np.__version__,
        "python": f"{platform.python_version()} on {platform.platform()}",
    }
    width = max(map(len, rows))
    print("\n".join(f"{name:<{width}}  {value}" for name, value in rows.items()))


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
