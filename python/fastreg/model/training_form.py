"""The JSON form of what ``compile`` was given: loss, optimizer and metrics, as C++ and files have it.

The core of a model, which uses this module, is an argument.
"""

from __future__ import annotations

from typing import Any

from fastreg import _core
from fastreg.metrics.base import FunctionMetric
from fastreg.model import graphs
from fastreg.model.outputs import losses_of_the_core
from fastreg.optimizers import Optimizer

__all__ = ["training_description"]


def training_description(core: Any, network: _core.Network | None) -> dict[str, Any]:
    """The JSON form of what ``compile`` was given, for the network of C++ that is trained, or for a file (None)."""
    for_file = network is None
    optimizer = core.require_optimizer("fit")
    given = core.require_losses("fit")
    chosen = [loss.to_config() for loss in given] if for_file else losses_of_the_core(given)
    metrics, weighted = _described_metrics(core, for_file)
    several = len(chosen) > 1 or core.loss_weights is not None
    weights = {} if core.loss_weights is None else {"loss_weights": list(core.loss_weights)}
    return {
        "format": 1,
        "loss": chosen if several else chosen[0],
        **weights,
        "optimizer": optimizer.to_config() if network is None else _optimizer_of_the_core(core, network, optimizer),
        "metrics": metrics if several else metrics[0],
        **({"weighted_metrics": weighted if several else weighted[0]} if any(weighted) else {}),
        **({} if core.matmul_precision == "highest" else {"matmul_precision": core.matmul_precision}),
    }


def _described_metrics(core: Any, for_file: bool) -> tuple[list[list[Any]], list[list[Any]]]:
    """The JSON forms of the metrics of each output, and of the weighted ones; files cannot hold functions."""
    plain: list[list[Any]] = []
    weighted: list[list[Any]] = []
    functions = 0
    for entries, found in zip(core.metrics, core.resolved_metrics(), strict=True):
        plain.append([])
        weighted.append([])
        for i, metric in enumerate(found):
            into = (plain if i < len(entries) else weighted)[-1]
            if not isinstance(metric, FunctionMetric):
                into.append(metric.to_config())
            elif not for_file:
                into.append({"type": "Function", "index": functions})
                functions += 1
    return plain, weighted


def _optimizer_of_the_core(core: Any, network: _core.Network, optimizer: Optimizer) -> dict[str, Any]:
    """The optimizer's JSON form for C++, which knows layers by their numbers only."""
    config = optimizer.core_config()
    excluded = config.get("excluded_from_weight_decay")
    if excluded:
        weights = [name for name, _, _ in network.weight_info()]
        config["excluded_from_weight_decay"] = [
            name for text in excluded for name in graphs.core_names(core.layers, core.owner, weights, text)
        ]
    return config
