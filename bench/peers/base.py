"""What a contender offers. What it does not override it cannot do; the table then says so."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, NamedTuple, Protocol

from workloads import Floats, Labels, Layer, Network, Update


class Unsupported(Exception):
    """The library cannot do this; the message says what."""


class Prediction(NamedTuple):
    """`call(x)`, or `call(x, out=out)` where the library writes into an array that it is given, returns the finished
    probabilities. What the call itself needs in Python is the library's own time.
    """

    call: Callable[..., Any]
    x: Any
    out: Floats | None = None

    def __call__(self) -> Any:
        return self.call(self.x) if self.out is None else self.call(self.x, out=self.out)


class Trainer(Protocol):
    """A network in training; it goes on from its present weights. It ends each run with the work done."""

    def run(self, epochs: int, shuffle: bool = True) -> int:
        """Rows that were processed. Without shuffling they go in order."""

    def weights(self) -> list[Layer]: ...

    def predict(self, x: Floats) -> Floats:
        """Probabilities, (rows, outputs)."""


class Updater(Protocol):
    """An optimizer and the one flat vector that it updates."""

    def set_gradient(self, g: Floats) -> None: ...

    def step(self) -> None: ...

    def finish(self) -> None:
        """Waits for the steps."""

    def parameters(self) -> Floats: ...


class Peer:
    """One library, driven as someone who cares for its speed would drive it, on a given number of threads."""

    label = ""
    package = ""
    # kind of workload (train, update, predict): what a reader of the figure must know.
    notes: ClassVar[dict[str, str]] = {}
    # Where it departs from the reference by design: "network" (it cannot train this one), "adam" (another epsilon),
    # "moving variance" (unbiased). What is named here is not compared.
    differs: frozenset[str] = frozenset()

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def version(self) -> str:
        raise NotImplementedError

    def trainer(self, net: Network, weights: list[Layer], x: Floats, y: Labels) -> Trainer:
        raise Unsupported("does not train")

    def updater(self, rule: Update, w: Floats) -> Updater:
        """Owns w from here on."""
        raise Unsupported("has no optimizer step of its own")

    def predictor(self, net: Network, weights: list[Layer], x: Floats) -> Prediction:
        """The network in the form that answers soonest, and x in the library's own type."""
        raise Unsupported("does not predict")

    def inference(self) -> AbstractContextManager[Any]:
        """Entered once around many predictions."""
        return nullcontext()
