"""Measures rows. Each contender has a worker process of its own, and the workers take turns, so that a slow minute of
the machine affects all alike. A repeat that other processes disturbed is measured again, and flagged if that does not
help.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import load
import peers
from contenders import Contender, Stopped, Worker
from results import FASTREG, Row
from tasks import Task


@dataclass(frozen=True)
class Plan:
    """How to measure. `peers` are the contenders; `ping` returns the round trip of a cache line in ns, or None."""

    repeats: int = 5
    seconds: float = 0.3
    calls: int = 20_000
    threads: int = 1
    cpus: tuple[int, ...] = ()
    peers: frozenset[str] = frozenset(peers.PEERS)
    ping: Callable[[], float | None] = field(default=lambda: None)


def lineup(task: Task, plan: Plan) -> list[Contender]:
    """The contenders of a row.

    Several threads are compared with one thread, with both ways of waiting, and on one CPU.
    """
    line = [Contender(name, plan.threads, plan.cpus) for name in task.contenders if name in plan.peers]
    if plan.threads > 1 and task.group == "train" and FASTREG in plan.peers:
        one = plan.cpus[:1]
        line[1:1] = [
            Contender(FASTREG, 1, one, ", 1 thread"),
            Contender(FASTREG, plan.threads, plan.cpus, ", passive waits", (("OMP_WAIT_POLICY", "passive"),)),
            Contender(FASTREG, plan.threads, plan.cpus, ", active waits", (("OMP_WAIT_POLICY", "active"),)),
            Contender(FASTREG, plan.threads, one, f", {plan.threads} threads on 1 CPU"),
        ]
    return line


class Session:
    """The workers of one run. It is a context manager that ends them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.workers: dict[Contender, Worker] = {}

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers.values():
            worker.close()

    def versions(self) -> dict[str, str]:
        return {worker.label: worker.version for worker in self.workers.values()}

    def notes(self) -> dict[str, dict[str, str]]:
        return {worker.label: worker.notes for worker in self.workers.values()}

    def worker(self, contender: Contender) -> Worker:
        if contender not in self.workers:
            self.workers[contender] = worker = Worker(contender)
            worker.open()
        return self.workers[contender]

    def measure(self, task: Task) -> list[Row]:
        """Measures a row. Raises Stopped if a contender does not compute what it should, or dies."""
        rows = [Row(task.label, m.name, m.unit, m.higher_is_better, task.group) for m in task.metrics]
        running = []
        for contender in lineup(task, self.plan):
            if not peers.installed(contender.peer):
                for row in rows:
                    row.absent[contender.peer] = "not installed"
                continue
            worker = self.worker(contender)
            answer = worker.ask(start=task.name, seconds=self.plan.seconds, calls=self.plan.calls)
            if "unsupported" in answer:
                for row in rows:
                    row.absent[worker.label] = answer["unsupported"]
            else:
                running.append(worker)
        if self.plan.threads > 1 and task.group.startswith("train") and running:
            self._check_bits(task, running[0], rows)
        pings = []
        for _ in range(self.plan.repeats):
            pings.append(self.plan.ping())
            for worker in running:
                _repeat(worker, rows)
        known = sorted(p for p in pings if p is not None)
        if known:
            text = f"a cache line goes from CPU to CPU and back in {known[0]:.0f} to {known[-1]:.0f} ns, " + (
                f"median {known[len(known) // 2]:.0f}"
            )
            for row in rows:
                row.notes.append(text)
        return rows

    def _check_bits(self, task: Task, worker: Worker, rows: list[Row]) -> None:
        answer = worker.ask(check_threads=task.name)
        if not answer["equal"]:
            raise Stopped(f"{task.label}: {self.plan.threads} threads give other weights than one")
        text = f"weights are bit-equal to one thread's ({answer['arrays']} arrays)"
        for row in rows:
            row.notes.append(text)


def _repeat(worker: Worker, rows: list[Row]) -> None:
    """One repeat. If others take CPU time, it is measured up to three times, and the least disturbed one counts."""
    tries = []
    for _ in range(3):
        answer = worker.ask(repeat=1)
        tries.append((answer["foreign"], answer["sample"]))
        if answer["foreign"] <= load.LIMIT:
            break
    foreign, sample = min(tries, key=lambda pair: pair[0])
    for row in rows:
        row.values.setdefault(worker.label, []).append(sample[row.metric])
        if foreign > load.LIMIT:
            row.disturbed[worker.label] = row.disturbed.get(worker.label, 0) + 1


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
