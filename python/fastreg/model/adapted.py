"""Weights that layers have of data before any training: mean and variance of a ``Normalization``.

The core of a model, which uses this module, is an argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastreg import _core
from fastreg.internal.layer_base import Layer, Shape, every_layer

__all__ = ["require_statistics", "set_statistics"]


def _takes_statistics(core: Any) -> bool:
    """Whether there is such a layer."""
    return bool(core.facts.of(core.layers, "statistics", lambda: _has_statistics(core.layers)))


def _has_statistics(layers: Sequence[Layer]) -> bool:
    return any(hasattr(layer, "weights_for") for layer in every_layer(layers))


def set_statistics(core: Any, network: _core.Network, shape: Shape) -> None:
    """Sets the weights of a network that layers have of data already.

    Args:
        core: The model.
        network: Its network, which it may not have taken yet.
        shape: The shape of a row of its first input.
    """
    if not _takes_statistics(core):
        return
    owners: Sequence[Any] = core.flat_for(shape).layers
    for index, (name, size, _) in enumerate(network.weight_info()):
        _, owner, weight = name.split(".")
        layer = owners[int(owner)]
        if hasattr(layer, "weights_for") and (found := layer.weights_for(size[0], core)) is not None:
            network.set_weight_part(index, 0, found[weight])


def require_statistics(core: Any) -> None:
    """Raises ValueError if a ``Normalization`` has neither statistics nor other weights than the initial ones."""
    if core.network is None or core.input_shape is None:
        return
    if not _takes_statistics(core):
        return
    owners: Sequence[Any] = core.flat_for(core.input_shape).layers
    values = dict(zip((name for name, _, _ in core.network.weight_info()), core.network.get_weights(), strict=True))
    for name, mean in values.items():
        _, owner, weight = name.split(".")
        if weight != "mean" or owners[int(owner)].mean is not None:
            continue
        if not mean.any() and (values[f"layers.{owner}.variance"] == 1).all():
            raise ValueError("fit: a Normalization has no mean and variance; call its adapt(x) first")
