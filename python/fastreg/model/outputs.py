"""Splits the arguments of ``compile`` by output, and makes the keys under which outputs are reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import is_
from typing import Any, cast

from fastreg import _core
from fastreg import metrics as _metrics
from fastreg.internal.checks import NON_NEGATIVE, check_real, describe
from fastreg.losses import Loss
from fastreg.metrics.base import FunctionMetric, Metric

__all__ = ["Report", "by_output", "check_weights", "log_keys", "losses_of_the_core", "resolved"]


def by_output(argument: str, value: object, names: Sequence[str]) -> list[object]:
    """Splits an argument of ``compile`` into one entry for each output; an entry that is missing is None.

    Args:
        argument: The argument's name.
        value: One value for all outputs; a list or tuple with one for each; or a dict by their names, which may leave
            out some. With one output a list of metrics belongs to that output.
        names: The names of the outputs.

    Raises:
        ValueError: If the length of a list is not the number of outputs, or a key is not the name of an output.
    """
    if value is None or isinstance(value, str):
        return [value] * len(names)
    if isinstance(value, (list, tuple)):
        if len(names) == 1 and argument in ("metrics", "weighted_metrics"):
            return [value]
        if len(value) != len(names):
            outputs = ", ".join(map(repr, names))
            raise ValueError(
                f"compile: {argument} must be one for each of the {len(names)} outputs ({outputs}), got {len(value)}"
            )
        return list(value)
    if isinstance(value, Mapping) and ("type" not in value or "type" in names):
        if unknown := [key for key in value if key not in names]:
            raise ValueError(
                f"compile: {argument} must have names of outputs as keys, got {unknown[0]!r}; known: "
                f"{', '.join(map(repr, names))}"
            )
        return [value.get(name) for name in names]
    return [value] * len(names)


def check_weights(value: object, names: Sequence[str]) -> tuple[float, ...] | None:
    """Returns ``loss_weights`` of ``compile`` as one number for each output, or None for None.

    An output that a dict leaves out has the weight 1.

    Raises:
        ValueError: If a weight is negative or not finite, or there is not one for each output.
        TypeError: If a weight is not a number.
    """
    if value is None:
        return None
    if not isinstance(value, (list, tuple, Mapping)) and len(names) > 1:
        raise TypeError(f"compile: loss_weights must be a list or a dict by outputs, got {describe(value)}")
    given = by_output("loss_weights", value, names)
    return tuple(1.0 if one is None else check_real("compile", "loss_weights", one, NON_NEGATIVE) for one in given)


def log_keys(names: Sequence[str], metrics: Sequence[Sequence[Metric]]) -> dict[str, str]:
    """The keys of evaluated values in the order of the core, each with the better direction, "min" or "max".

    With one output they are ``loss`` and the names of the metrics. With several they are ``loss``, the losses of the
    outputs, ``a_loss``, and the metrics of each, ``a_accuracy``.

    Raises:
        ValueError: If two keys are the same.
    """
    if len(names) == 1:
        return {"loss": "min"} | {metric.name: metric.direction for metric in metrics[0]}
    pairs = [("loss", "min"), *((f"{name}_loss", "min") for name in names)]
    for name, found in zip(names, metrics, strict=True):
        pairs += [(f"{name}_{metric.name}", metric.direction) for metric in found]
    keys = [key for key, _ in pairs]
    for key in keys:
        twice = key if keys.count(key) > 1 else f"val_{key}" if f"val_{key}" in keys else None
        if twice is not None:
            raise ValueError(
                f"compile: names of outputs and metrics must give different keys of the history, got {twice!r} twice"
            )
    return dict(pairs)


def resolved(
    entries: Sequence[tuple[str | Metric, ...]],
    weighted: Sequence[tuple[str | Metric, ...]],
    chosen: Sequence[Loss],
    widths: Sequence[int],
) -> list[list[Metric]]:
    """The metrics of each output, where ``"accuracy"`` is replaced by the one that fits.

    Args:
        entries: What ``compile`` was given as metrics of each output.
        weighted: The same for weighted metrics.
        chosen: The losses.
        widths: The widths of the outputs.
    """
    weighted = weighted or [()] * len(entries)
    return [list(_resolved_once(*of_output)) for of_output in zip(entries, chosen, widths, weighted, strict=True)]


@lru_cache(maxsize=64)
def _resolved_once(
    entries: tuple[str | Metric, ...], loss: Loss, n_outputs: int, weighted: tuple[str | Metric, ...]
) -> tuple[Metric, ...]:
    """The metrics of an output. They are remembered, because every evaluation asks for them."""
    return tuple(_metrics.resolve(entries, loss, n_outputs, weighted))


def losses_of_the_core(chosen: Sequence[Loss]) -> list[dict[str, Any]]:
    """The JSON forms of losses for the core, which knows functions of Python by their numbers."""
    functions = [loss for loss in chosen if not loss.in_files]
    numbers = {id(loss): i for i, loss in enumerate(functions)}
    return [
        loss.to_config()
        if loss.in_files
        else {"type": "Function", "index": numbers[id(loss)], "labels": loss.targets == "labels"}
        for loss in chosen
    ]


class Report:
    """The keys of a model's logs and its functions of Python, which every fit and evaluation asks for.

    They are remembered, with what they depend on.
    """

    def __init__(self) -> None:
        self._known: tuple[object, tuple[object, ...], tuple[dict[str, str], _core.Functions]] | None = None

    def of(
        self,
        shape: object,
        settings: tuple[object, ...],
        names: Sequence[str],
        resolve: Callable[[Any], Sequence[Sequence[Metric]]],
    ) -> tuple[dict[str, str], _core.Functions]:
        """The keys and the functions.

        Args:
            shape: The shape of a row.
            settings: What else they depend on, layers, losses, metrics and weighted metrics; objects that are replaced
                and not changed.
            names: The names of the outputs.
            resolve: Returns the metrics of each output for a shape.
        """
        known = self._known
        if known is None or known[0] != shape or not all(map(is_, known[1], settings)):
            found = resolve(shape)
            metrics = [one.value for listed in found for one in listed if isinstance(one, FunctionMetric)]
            functions = [one.of_rows for one in cast(Any, settings[1]) if not one.in_files]
            self._known = known = (shape, settings, (log_keys(names, found), (metrics, functions)))
        return known[2]
