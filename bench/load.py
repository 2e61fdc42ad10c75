"""Measures how much CPU time other processes took on our CPUs while something was timed, whatever that was."""

from __future__ import annotations

import os
import time

# A repeat during which others took a larger share is measured again.
LIMIT = 0.05


class Watch:
    """With one CPU, our own CPU time tells: a process that is alone gets all of it. With several, /proc/stat does (in
    steps of 10 ms), where there is one.
    """

    def __init__(self) -> None:
        self.cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()

    def begin(self) -> None:
        self._busy, self._own, self._wall = self._busy_seconds(), self._own_seconds(), time.perf_counter()

    def foreign_share(self) -> float:
        """The share of the CPU time since `begin` that other processes took, in [0, 1]."""
        wall = time.perf_counter() - self._wall
        own = self._own_seconds() - self._own
        if len(self.cpus) == 1:
            return max(0.0, 1 - own / wall)
        if not self.cpus or wall < 0.1:
            return 0.0
        return max(0.0, (self._busy_seconds() - self._busy - own) / (wall * len(self.cpus)))

    @staticmethod
    def _own_seconds() -> float:
        used = os.times()
        return time.process_time() + used.children_user + used.children_system

    def _busy_seconds(self) -> float:
        if len(self.cpus) < 2:
            return 0.0
        ticks = 0
        try:
            with open("/proc/stat", encoding="ascii") as lines:
                for line in lines:
                    name, *fields = line.split()
                    if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in self.cpus:
                        user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
                        ticks += user + nice + system + irq + softirq + steal
        except OSError:
            return 0.0
        return ticks / os.sysconf("SC_CLK_TCK")
