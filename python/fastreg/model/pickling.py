"""Pickles of models that were written before models had a core: one flat dict of attributes."""

from __future__ import annotations

from typing import Any

from fastreg.model.core import CoreModel

__all__ = ["from_older_pickle"]

_OPTIONAL = {"_feature_names": None, "_spreads_known": False}
_ATTRIBUTES = ("name", "seed", "_layers", "_n_features", "_optimizer", "_loss", "_metrics", *_OPTIONAL)


def from_older_pickle(state: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a face, its core among them."""
    given = _OPTIONAL | state
    core = CoreModel.__new__(CoreModel)
    attributes = {name.removeprefix("_"): given.pop(name) for name in _ATTRIBUTES}
    loss, metrics = attributes.pop("loss"), attributes.pop("metrics")
    attributes |= {"losses": () if loss is None else (loss,), "metrics": (metrics,), "loss_weights": None}
    attributes |= {"owner": "Sequential", "graph": None}
    core.__setstate__(attributes | {"network": given.pop("weights", None), "trainer": given.pop("trainer", None)})
    del given["_network"], given["_trainer"]
    return given | {"_core": core}
