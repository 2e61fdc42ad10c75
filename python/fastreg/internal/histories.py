"""Which values of logs a history has, and to which epoch they belong: those of validation may be of some only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["real_number", "validation_places"]


def validation_places(call: str, given: Any) -> Sequence[int]:
    """The places, among the epochs of a history, of those that the validation values belong to.

    Args:
        call: The call that needs them, for the message.
        given: A ``History``, or its ``history`` dict.

    Raises:
        ValueError: If some epochs have no validation and a dict cannot tell which.
    """
    values = getattr(given, "history", given)
    counts = {len(column) for key, column in values.items() if key.startswith("val_")}
    trained = [len(column) for key, column in values.items() if not key.startswith("val_")]
    n = max(trained or counts, default=0)
    if counts <= {n}:
        return range(n)
    validated, epochs = getattr(given, "validation_epoch", None), getattr(given, "epoch", ())
    if validated is None or counts != {len(validated)} or not set(validated) <= set(epochs):
        raise ValueError(
            f"{call}: the history must have a validation value for each of its {n} epochs, got {min(counts)}; the "
            "History that fit returns knows the epochs of validation_freq, and may be given itself"
        )
    return [epochs.index(epoch) for epoch in validated]


def real_number(value: Any) -> float | None:
    """A value of logs as a float, also one of another library's types; None for what is no single real number."""
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, (str, bytes, bytearray, np.complexfloating)) or getattr(value, "ndim", 0) != 0:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
