"""A warning about a loss of probabilities whose outputs are logits: the last layer has no sigmoid or softmax.

The loss then takes any numbers for probabilities, and the network trains badly without a word. It is what users of
PyTorch write, whose cross-entropies take logits.
"""

from __future__ import annotations

from typing import Any

from fastreg.losses import Loss
from fastreg.model.graphs import Flat
from fastreg.model.spreads import warn_at_caller

__all__ = ["warn_of_logits"]


def warn_of_logits(losses: tuple[Loss, ...], flat: Flat, names: list[str]) -> None:
    """Warns of outputs of layers without an activation that a loss takes for probabilities.

    Args:
        losses: The loss of each output.
        flat: The layers of the model as C++ has them.
        names: The names of the inputs.
    """
    for loss, value in zip(losses, flat.outputs, strict=False):
        if getattr(loss, "from_logits", True):
            continue
        layer: Any = flat.layers[flat.nodes[value - len(names)][0]]
        if hasattr(layer, "units") and getattr(layer, "activation", "") in (None, "linear"):
            kind = type(loss).__name__
            last = "sigmoid" if kind.startswith("Binary") else "softmax"
            warn_at_caller(
                f"the loss {kind} takes probabilities, but the last layer, {layer.kind}({layer.units}), has no "
                f"activation, so that its outputs are any numbers: write losses.{kind}(from_logits=True), or give the "
                f"layer activation={last!r}"
            )
