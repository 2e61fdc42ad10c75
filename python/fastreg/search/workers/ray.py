"""A Ray cluster as a ``concurrent.futures.Executor``: actors of one thread each. Ray is imported when one is made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures import wait as wait_for
from importlib import import_module
from typing import Any

from fastreg.internal.checks import AT_LEAST_ONE, check_int
from fastreg.internal.extras import needs
from fastreg.internal.forks import Lock

__all__ = ["RayExecutor"]


class RayExecutor(Executor):
    """Actors of Ray, each with one CPU and one call at a time. Starts Ray on this machine if it is not running.

    If the process of an actor dies, the call that ran in it raises an error, and a new actor takes its place.

    Args:
        n_workers: Number of actors, >= 1; None is one for each CPU of the cluster.
        **options: Further options of the actors, as of ``ray.remote``: ``resources``, ``runtime_env`` ...

    Raises:
        ImportError: If Ray is not installed.
        ValueError: If ``n_workers`` < 1.

    Example:
        A search on a cluster, where Ray is installed::

            with RayExecutor(8) as executor:
                RandomSearch(build, space, executor=executor).fit(X, y)
    """

    def __init__(self, n_workers: int | None = None, **options: Any) -> None:
        try:
            ray: Any = import_module("ray")
        except ImportError:
            raise ImportError(needs("RayExecutor", "ray", "ray")) from None
        if not ray.is_initialized():
            ray.init(log_to_driver=False)
        if n_workers is None:
            n_workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._max_workers = check_int("RayExecutor", "n_workers", n_workers, AT_LEAST_ONE)
        self._ray = ray
        self._kind = ray.remote(**{"num_cpus": 1, **options})(_Actor)
        self._actors = {self._kind.remote() for _ in range(self._max_workers)}
        self._idle = deque(self._actors)
        self._waiting: deque[tuple[Future[Any], tuple[Any, ...]]] = deque()
        self._open: set[Future[Any]] = set()
        self._lock = Lock()
        self._shut = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Calls ``fn`` on the next actor that is free. Raises RuntimeError after :meth:`shutdown`."""
        future: Future[Any] = Future()
        with self._lock.held:
            if self._shut:
                raise RuntimeError("RayExecutor: submit after shutdown")
            self._waiting.append((future, (fn, args, kwargs)))
            self._open.add(future)
        future.add_done_callback(self._open.discard)
        self._dispatch()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the actors: with ``wait`` after all running and queued calls, else at once."""
        with self._lock.held:
            self._shut = True
            waiting = [future for future, _ in self._waiting]
            under_way = list(self._open)
        if cancel_futures or not wait:
            for future in waiting:
                future.cancel()
        if wait:
            wait_for(under_way)
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors.clear()

    def _dispatch(self) -> None:
        """Gives waiting calls to idle actors, until no call waits or no actor is idle."""
        while True:
            with self._lock.held:
                if not self._idle or not self._waiting:
                    return
                future, call = self._waiting.popleft()
                if not future.set_running_or_notify_cancel():
                    continue
                actor = self._idle.popleft()
            try:
                answer = actor.call.remote(*call).future()
            except Exception as error:  # arguments that cannot be sent
                with self._lock.held:
                    self._idle.append(actor)
                future.set_exception(error)
                continue
            answer.add_done_callback(lambda done, actor=actor, future=future: self._answered(actor, future, done))

    def _answered(self, actor: Any, future: Future[Any], done: Future[Any]) -> None:
        error = done.exception()
        if isinstance(error, self._ray.exceptions.RayActorError):
            actor = self._replaced(actor)
        with self._lock.held:
            self._idle.append(actor)
        self._dispatch()
        if error is None:
            future.set_result(done.result())
        else:
            # Ray wraps what a call raises in an error of both kinds; the cause is what it raised.
            future.set_exception(getattr(error, "cause", None) or error)

    def _replaced(self, dead: Any) -> Any:
        """A new actor, which accepts calls while it starts. An actor that Ray restarts would refuse them in that time.

        Ray calls this in a thread of its own, in which ``kill`` would wait for ever. An actor without handles ends by
        itself.
        """
        new = self._kind.remote()
        with self._lock.held:
            if self._shut:
                return dead
            self._actors.discard(dead)
            self._actors.add(new)
        return new


class _Actor:
    """What runs in an actor's process."""

    def call(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return function(*args, **kwargs)
