"""Starts a worker process for each contender, with its own threads, CPUs and environment, and lets them work one at a
time, in turn. Imports no library that is timed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# These variables choose kernels by hand. If one is set wrongly, a library runs at half its speed.
DISTORTING = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "MKL_DEBUG_CPU_TYPE",
    "MKL_ENABLE_INSTRUCTIONS",
    "ONEDNN_MAX_CPU_ISA",
    "ATEN_CPU_CAPABILITY",
)
THREADS = ("FASTREG_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")


class Stopped(Exception):
    """A contender computed something other than the reference, or its process died. The message says which and what."""


def clean_environment(threads: int, extra: dict[str, str]) -> dict[str, str]:
    """The current environment, with every library set to `threads` threads and without variables that slow one down."""
    kept = {k: v for k, v in os.environ.items() if k not in DISTORTING and not k.startswith("OMP_")}
    # JAX and Keras read these.
    ours = {"JAX_PLATFORMS": "cpu", "KERAS_BACKEND": "jax", "PYTHONWARNINGS": "ignore"}
    ours["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false" if threads == 1 else ""
    return kept | dict.fromkeys(THREADS, str(threads)) | ours | extra


@dataclass(frozen=True)
class Contender:
    """A peer under given conditions. `suffix` distinguishes it from the same peer under others."""

    peer: str
    threads: int
    cpus: tuple[int, ...]
    suffix: str = ""
    environment: tuple[tuple[str, str], ...] = ()


@dataclass
class Worker:
    """A contender's process. `label`, `version` and `notes` are what the contender reports about itself.

    Between its answers the process is stopped. Threads that wait by spinning (OMP_WAIT_POLICY=active, and the thread
    pools of some libraries) would otherwise take a CPU from the next contender.
    """

    contender: Contender
    label: str = ""
    version: str = ""
    notes: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[str] | None = None

    def open(self) -> None:
        c = self.contender
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py"), c.peer, str(c.threads), ",".join(map(str, c.cpus))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean_environment(c.threads, dict(c.environment)),
        )
        hello = self._answer()
        self.label, self.version, self.notes = hello["label"] + c.suffix, hello["version"], hello["notes"]
        self._process.send_signal(signal.SIGSTOP)

    def ask(self, **request: Any) -> dict[str, Any]:
        process = self._running()
        assert process.stdin is not None
        process.send_signal(signal.SIGCONT)
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # _answer says how it ended
        answer = self._answer()
        process.send_signal(signal.SIGSTOP)
        if "disagreement" in answer:
            raise Stopped(answer["disagreement"])
        return answer

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError(f"{self.contender.peer}: open() comes first")
        return self._process

    def _answer(self) -> dict[str, Any]:
        process = self._running()
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            status = process.wait()
            raise Stopped(f"{self.contender.peer}: the process ended with status {status}; see its error above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Ends the process, whatever state it is in."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.send_signal(signal.SIGCONT)
        try:
            self._process.stdin.close()
            self._process.wait(timeout=10)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process = None
