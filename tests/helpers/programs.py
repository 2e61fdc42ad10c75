"""What the tests of the promises share: small data, small models, and programs run in a process of their own.

A test that changes the process (threads, signals, fork, environment) or that could crash or hang it runs its program
through `run_program`, which turns a crash, a hang or a non-zero exit into a readable failure. No fixtures live here.
"""
from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import fastreg as fr
import numpy as np
from fastreg import layers, optimizers, regularizers
from fastreg.model.core import core_of

HELPERS = Path(__file__).resolve().parent
TESTS = HELPERS.parent
# What decides threads and ISA must come from the test alone, not from the shell that runs it.
CONTROLLED = ("FASTREG_ISA", "FASTREG_NUM_THREADS", "FASTREG_CGROUP_ROOT", "FASTREG_L2_CACHE", "FASTREG_MATMUL_UNIT",
              "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def run_program(source: str, *args: object, env: Mapping[str, str] | None = None, timeout: float = 60.0,
                preexec: Any = None) -> subprocess.CompletedProcess[str]:
    """Runs Python source in a new process that can import this module; fails unless it exits with 0 in time."""
    done = try_program(source, *args, env=env, timeout=timeout, preexec=preexec)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def try_program(source: str, *args: object, env: Mapping[str, str] | None = None, timeout: float = 60.0,
                preexec: Any = None) -> subprocess.CompletedProcess[str]:
    """As `run_program`, but hands back any exit status. A program that outlives `timeout` raises TimeoutExpired."""
    environment = {k: v for k, v in os.environ.items() if k not in CONTROLLED}
    given = filter(None, [os.environ.get("PYTHONPATH")])
    environment["PYTHONPATH"] = os.pathsep.join([str(HELPERS), str(TESTS), *given])
    environment.update(env or {})
    command = [sys.executable, "-X", "faulthandler", "-c", source, *map(str, args)]
    return subprocess.run(command, env=environment, timeout=timeout, capture_output=True, text=True,
                          preexec_fn=preexec, check=False)


def on_terminal(source: str) -> str:
    """A program that runs `source` with a terminal as standard error, then prints as JSON how often its line was
    rewritten, how many lines it took, and all of it."""
    return f"""
import json, os, pty, sys, traceback
leader, follower = pty.openpty()
if os.fork() == 0:
    os.close(leader)
    os.dup2(follower, 2)
    try:
        exec({source!r}, {{}})
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)
os.close(follower)
data = b""
while True:
    try:
        piece = os.read(leader, 65536)
    except OSError:
        break
    if not piece:
        break
    data += piece
assert os.wait()[1] == 0, data.decode()
print(json.dumps([data.count(b"\\r") - data.count(b"\\r\\n"), data.count(b"\\n"), data.decode()]))
"""


def threads_used(setup: str, work: str, threads: int) -> int:
    """How many threads `work`, one line of Python after `setup`, adds to its process, of which `threads` may work.

    OpenMP keeps the threads of a region for the caller's next one, so they are counted afterwards: whoever samples
    while the work runs may not get a CPU before it ends.
    """
    return int(last_json(run_program(f"""
import json, os
import fastreg as fr
fr.set_num_threads({threads})
{setup}
def tasks():
    return len(os.listdir("/proc/self/task"))
before = tasks()
{work}
print(json.dumps(tasks() - before))
""")))


def prompt(work: Callable[[], Any], patience: float = 60.0) -> Any:
    """What `work()` gives or raises, called in a thread of its own; fails if it has not ended after `patience` seconds.

    A guard against hanging, not a measurement: what `work` must not wait for takes at least ten times as long.
    """
    ended: list[tuple[bool, Any]] = []

    def run() -> None:
        try:
            ended.append((True, work()))
        except BaseException as error:  # raised again in the test's own thread
            ended.append((False, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(patience)
    assert ended, f"it has not ended after {patience} s"
    fine, found = ended[0]
    if not fine:
        raise found
    return found


def wait_for_fit(model: Any, seconds: float = 0.1) -> None:
    """Returns, in another thread than the fit of the model, when that is under way and has had some time of the CPU.

    Gives up after a minute, so that a test whose fit has ended long ago fails and does not hang.
    """
    end = time.monotonic() + 60
    while not core_of(model).fitted.taken() and time.monotonic() < end:
        time.sleep(0.001)
    enough = time.process_time() + seconds
    while time.process_time() < enough and time.monotonic() < end:
        time.sleep(0.005)


def count_steps(work: Callable[[], Any]) -> int:
    """How many lines of Python `work()` runs and how many C functions they call, threads that it starts included.

    What bookkeeping costs, on any machine and under any load.
    """
    steps = count()

    def trace(frame: Any, event: str, argument: Any) -> Any:
        if event == "line":
            next(steps)
        return trace

    def profile(frame: Any, event: str, argument: Any) -> None:
        if event == "c_call":
            next(steps)

    before = sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile()
    threading.settrace(trace)
    threading.setprofile(profile)
    sys.settrace(trace)
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(before[1])
        sys.settrace(before[0])
        threading.settrace(before[2])  # type: ignore[arg-type]
        threading.setprofile(before[3])
    return next(steps)


def last_json(done: subprocess.CompletedProcess[str]) -> Any:
    """The JSON value that a program printed on its last line."""
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def refusal(error: Any, words: Sequence[str] = ()) -> Iterator[None]:
    """Demands an error of a type (or of one of several) whose message matches every pattern of `words`."""
    try:
        yield
    except error as caught:
        message = str(caught)
    else:
        raise AssertionError(f"nothing was raised; expected {error} with {list(words)}")
    for word in words:
        assert re.search(rf"(?<![A-Za-z])(?:{word})", message), f"{word!r} is not in {message!r}"


def blobs(n: int = 96, features: int = 10, classes: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Learnable classes: float32 X (n, features) and int64 labels (n,), every class present."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % classes)
    centres = rng.normal(size=(classes, features))
    return (centres[y] + 0.7 * rng.normal(size=(n, features))).astype(np.float32), y


def line(n: int = 96, features: int = 3, outputs: int = 1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A noisy linear map: float32 X (n, features) and y (n, outputs)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, features)).astype(np.float32)
    y = x @ rng.normal(size=(features, outputs)) + 0.1 * rng.normal(size=(n, outputs))
    return x, y.astype(np.float32)


def tutorial_layers() -> list[Any]:
    """The tutorials' network: L1L2, batch normalisation and dropout in one."""
    return [
        layers.Dense(64, activation="relu", kernel_regularizer=regularizers.L1L2(l1=1e-3, l2=1e-3)),
        layers.BatchNormalization(),
        layers.Dropout(0.5),
        layers.Dense(1, activation="sigmoid"),
    ]


def compiled(stack: Sequence[Any], *, loss: Any = "binary_crossentropy", optimizer: Any = "adam",
             metrics: Sequence[Any] = (), seed: int = 0, n_features: int | None = None,
             parallel: bool = False) -> Any:
    """A compiled model; with n_features also built; with parallel every step is shared among threads, however small."""
    model = fr.Sequential(list(stack), seed=seed)
    model.compile(optimizer=optimizer, loss=loss, metrics=list(metrics))
    if n_features is not None or parallel:
        assert n_features is not None, "forcing threads needs a built model"
        model.build(n_features)
    if parallel:
        trainer_of(model).parallel_threshold = 0.0
    return model


def regressor(**keywords: Any) -> Any:
    return compiled([layers.Dense(4, activation="tanh"), layers.Dense(1)], loss="mse", **keywords)


def binary(**keywords: Any) -> Any:
    return compiled([layers.Dense(4, activation="relu"), layers.Dense(1, activation="sigmoid")], **keywords)


def multiclass(loss: Any = "sparse_categorical_crossentropy", units: int = 3, **keywords: Any) -> Any:
    return compiled([layers.Dense(4, activation="relu"), layers.Dense(units, activation="softmax")], loss=loss,
                    **keywords)


def long_epoch(rows: int = 1_000_000, n_features: int = 4, **keywords: Any) -> tuple[Any, np.ndarray, np.ndarray]:
    """A built model and data, an epoch of which takes at batch size 1 some 2 ms for each row: in all half an hour."""
    x, y = blobs(1000, n_features, 2)
    stack = [layers.Dense(2048, activation="relu"), layers.Dense(2048, activation="tanh"),
             layers.BatchNormalization(), layers.Dense(1, activation="sigmoid")]
    return compiled(stack, n_features=n_features, **keywords), np.tile(x, (rows // 1000, 1)), np.tile(y, rows // 1000)


def trainer_of(model: Any) -> Any:
    """The compiled trainer behind a built and compiled model: the one place of the tests that knows where it is."""
    return core_of(model).trainer_for(None)


def same_bits(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> bool:
    """Whether two lists of arrays agree in number, shape and every bit."""
    return len(a) == len(b) and all(
        u.shape == v.shape and u.dtype == v.dtype and u.tobytes() == v.tobytes() for u, v in zip(a, b, strict=True))


def finite(weights: Sequence[np.ndarray]) -> bool:
    return all(np.isfinite(w).all() for w in weights)


def overfitting(seed: int = 0, middle: Sequence[Any] = (), **keywords: Any) -> tuple[Any, ...]:
    """A model and data whose val_loss falls and then rises."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(24, 8)).astype(np.float32)
    y = (x[:, 0] + rng.normal(size=24) > 0).astype(np.float32)
    xv = rng.normal(size=(200, 8)).astype(np.float32)
    yv = (xv[:, 0] + rng.normal(size=200) > 0).astype(np.float32)
    stack = [layers.Dense(32, activation="relu"), *middle, layers.Dense(1, activation="sigmoid")]
    model = compiled(stack, optimizer=optimizers.Adam(0.005), seed=seed, metrics=["accuracy"], **keywords)
    return model, x, y, (xv, yv)


def file_parts(path: Path) -> tuple[dict[str, Any], bytes]:
    """(header as a dict, bytes of the tensors) of a file, read by the published layout and nothing of ours."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8:8 + length]), data[8 + length:]
