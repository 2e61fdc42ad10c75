"""How single allocations of a call fail, one after another, and what has to hold then; failing_allocations.py has the
calls. It runs in a process of its own, before whose libraries failing_allocations.cpp is loaded.

An allocation fails in two ways: alone in this process, where earlier calls have left their buffers and threads, and
together with all that follow in a forked child, where everything is made for the first time. Where a call makes very
many allocations, a part of them, evenly spread, stands for all.
"""
from __future__ import annotations

import ctypes
import json
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Bits = list[bytes]


@dataclass(frozen=True)
class Scenario:
    """`act(subject)` is the call whose allocations fail. It returns the bits of its result."""

    make: Callable[[], Any]
    act: Callable[[Any], Bits]
    # What a failed call leaves as it was.
    state: Callable[[Any], Any] = lambda subject: None
    # After a failed call, in place of the comparison of the states: what is wrong with the subject, or "".
    complaint: Callable[[Any], str] | None = None


class Faults:
    """The library of failing_allocations.cpp, which is loaded already."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL(None)
        self.library.arm_failures.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        self.library.disarm_failures.restype = ctypes.c_long
        code = re.search(r"^(\w+)-(\w+) r-xp .*/_core\.[^/]*$", Path("/proc/self/maps").read_text(), re.MULTILINE)
        assert code is not None, "the code of fastreg._core is not in memory"
        self.code = [int(address, 16) for address in code.groups()]

    def call(self, scenario: Scenario, subject: Any, number: int, all_after: bool) -> tuple[Bits | None, int]:
        """The result, or None for a MemoryError, and how many allocations there were."""
        self.library.arm_failures(number, all_after, *self.code)
        try:
            result = scenario.act(subject)
        except MemoryError:
            result = None
        finally:
            asked = self.library.disarm_failures()
        return result, asked


def attempt(faults: Faults, scenario: Scenario, expected: Bits, number: int, all_after: bool) -> str:
    """What is wrong when the allocation of this number fails, or ""."""
    subject = scenario.make()
    before = scenario.state(subject)
    result, _ = faults.call(scenario, subject, number, all_after)
    if result is not None:   # it was done another way
        return "" if result == expected else "another result"
    if scenario.complaint is not None:
        if complaint := scenario.complaint(subject):
            return complaint
    elif scenario.state(subject) != before:
        return "another state"
    if scenario.complaint is not None and scenario.act.__qualname__.startswith("stopping_scenario"):
        return ""   # compared with a copy already
    return "" if scenario.act(subject) == expected else "another result of the next call"


def guarded(faults: Faults, scenario: Scenario, expected: Bits, number: int, all_after: bool) -> str:
    try:
        return attempt(faults, scenario, expected, number, all_after)
    except BaseException:
        return traceback.format_exc()


def in_a_child(work: Callable[[], str]) -> str:
    """What `work()` returns, in a forked process, or how that ended."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, work().encode()[:60_000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode()
    status = os.waitpid(child, 0)[1]
    return said if status == 0 else f"the process died: signal {os.WTERMSIG(status)}, status {status}"


def spread(count: int, most: int) -> range:
    """Numbers of 1 to count, evenly spread, the last one among them."""
    step = max(1, -(-count // most))
    return range(count, 0, -step)[::-1]


def judge(name: str, made: Callable[[Path], Scenario], most_alone: int, most_children: int) -> None:
    """Prints as JSON how many failures there were and what was wrong with which."""
    faults, wrong = Faults(), []
    memory = Path("/dev/shm")   # saves to a disk take long
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        scenario = made(Path(folder))
        at_first = int(in_a_child(lambda: str(faults.call(scenario, scenario.make(), 0, False)[1])))
        expected = scenario.act(scenario.make())
        children = spread(at_first, most_children)
        for number in children:
            said = in_a_child(lambda number=number: guarded(faults, scenario, expected, number, True))
            if said:
                wrong.append(f"{number} of {at_first} and all after: {said}")
        usual = faults.call(scenario, scenario.make(), 0, False)[1]
        alone = spread(usual, most_alone)
        for number in alone:
            print(f"{name}: {number} of {usual} alone", file=sys.stderr, flush=True)   # the last words of a crash
            if said := guarded(faults, scenario, expected, number, False):
                wrong.append(f"{number} of {usual} alone: {said}")
    print(json.dumps({"failures": len(children) + len(alone), "wrong": wrong}))
