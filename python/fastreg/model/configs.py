"""The configuration of a model in Keras's form, ``get_config``, and a new model from it.

It holds the layers, how they are connected, the name and the seed; it has no weights, and nothing that ``compile`` was
given. It is the description that files hold (core/description.cpp), with each layer as ``{"class_name": ..., "config":
...}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from fastreg import layers
from fastreg.internal.checks import describe
from fastreg.model import files
from fastreg.model.core import CoreModel

__all__ = ["compile_config_of", "compile_from_config", "config_of", "core_from_config", "from_json", "to_json"]

# What a file needs and a configuration does not.
_OF_FILES = ("format", "fastreg")


def config_of(model: CoreModel) -> dict[str, Any]:
    """See :meth:`fastreg.Model.get_config`."""
    if model.graph is None:
        described: dict[str, Any] = {
            "name": model.name,
            "seed": model.seed,
            **_input_of(model),
            "layers": [layer.to_config() for layer in model.layers],
        }
    else:
        described = model.description(model.known_shape())
    config = {name: value for name, value in described.items() if name not in _OF_FILES}
    config["layers"] = [
        {"class_name": layer["type"], "config": {name: value for name, value in layer.items() if name != "type"}}
        for layer in config["layers"]
    ]
    return config


def _input_of(model: CoreModel) -> dict[str, Any]:
    """The number of features, or where a row has another number of dimensions its shape."""
    shape = model.input_shape
    flat = shape is None or len(shape) == 1
    return {"n_features": model.n_features} if flat else {"input_shape": list(shape or ())}


def core_from_config(config: object) -> CoreModel:
    """The model of a configuration, without weights.

    Raises:
        ValueError: If the configuration is not one of a model, is incomplete, or contradicts itself.
    """
    if not isinstance(config, Mapping) or not isinstance(config.get("layers"), list):
        raise ValueError(f"from_config: config must be a dict with the layers of a model, got {describe(config)}")
    parts = []
    for i, part in enumerate(config["layers"]):
        if not isinstance(part, Mapping) or not isinstance(part.get("config"), Mapping):
            raise ValueError(f"from_config: layers[{i}] must have a class_name and a config, got {describe(part)}")
        parts.append({"type": part.get("class_name"), **part["config"]})
    try:
        name, seed = config.get("name"), config.get("seed")
        if "nodes" in config:
            return files.graph_of({**config, "layers": parts}, name, cast(int, seed))[0]
        model, found = CoreModel(name, seed), files.parts_of(parts)
        shape = config.get("input_shape", config.get("n_features"))
        model.append(found if shape is None else [layers.Input(shape), *found])
    except (ValueError, TypeError) as error:
        raise ValueError(f"from_config: {error}") from error
    return model


def to_json(model: CoreModel, **kwargs: Any) -> str:
    """See :meth:`fastreg.Model.to_json`."""
    return json.dumps({"class_name": model.owner, "config": config_of(model)}, **kwargs)


def from_json(text: object) -> CoreModel:
    """The model of a text that ``to_json`` made, without weights."""
    try:
        described = json.loads(text)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise ValueError(f"model_from_json: json_string must be what to_json made: {error}") from None
    if not isinstance(described, Mapping) or "config" not in described:
        raise ValueError(f"model_from_json: json_string must be what to_json made, got {describe(described)}")
    return core_from_config(described["config"])


def compile_config_of(model: CoreModel) -> dict[str, Any] | None:
    """See :meth:`fastreg.Model.get_compile_config`."""
    if model.optimizer is None:
        return None
    losses = [loss.to_config() for loss in model.losses]
    several = model.output_count > 1
    metrics, weighted = (
        [[one if isinstance(one, str) else one.to_config() for one in found] for found in entries]
        for entries in (model.metrics, model.weighted_metrics)
    )
    return {
        "optimizer": model.optimizer.to_config(),
        "loss": (losses if several else losses[0]) if losses else None,
        "loss_weights": None if model.loss_weights is None else list(model.loss_weights),
        "metrics": metrics if several else [*metrics[0]] if metrics else [],
        **({"weighted_metrics": weighted if several else [*weighted[0]]} if any(weighted) else {}),
        **({} if model.matmul_precision == "highest" else {"matmul_precision": model.matmul_precision}),
    }


def compile_from_config(model: CoreModel, config: object) -> None:
    """See :meth:`fastreg.Model.compile_from_config`."""
    if not isinstance(config, Mapping) or not {"optimizer", "loss", "metrics"} <= set(config):
        raise ValueError(
            f"compile_from_config: config must be what get_compile_config returned, got {describe(config)}"
        )
    model.compile(
        config["optimizer"],
        config["loss"],
        config["metrics"],
        config.get("loss_weights"),
        config.get("weighted_metrics"),
        config.get("matmul_precision", "highest"),
    )
