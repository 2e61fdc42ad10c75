"""Model files: what is saved of a model, and how a model is made of a file again.

A file is safetensors with the tensors of float32 and one metadata key, ``fastreg``, that holds the JSON description
(fields in cpp/core/description.cpp; ``name``, ``feature_names`` and ``state`` are Python's own). Bytes are C++'s
business (cpp/core/serialize.cpp): it writes atomically and takes no damaged file. Here names and shapes are checked
against the network that the description stands for. Loading constructs descriptions and runs no code of the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastreg import _core, _data, layers, losses, metrics, optimizers
from fastreg._checks import check_bool, describe

if TYPE_CHECKING:
    from fastreg.model import Sequential

__all__ = ["load", "save"]

Tensors = dict[str, NDArray[np.float32]]


def save(
    model: Sequential,
    path: str | os.PathLike[str],
    include_optimizer: bool = True,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """See :meth:`fastreg.Sequential.save`; ``extra``: further members of the description, which ``load`` passes by."""
    with_optimizer = check_bool("save", "include_optimizer", include_optimizer)
    network = model._require_network("save")
    description = model._description(network.n_features)
    tensors: Tensors = dict(zip((name for name, _, _ in network.weight_info()), network.get_weights(), strict=True))
    if model._feature_names is not None:
        description["feature_names"] = list(model._feature_names)
    trainer = model._trainer
    if with_optimizer and model._loss is not None:
        description |= model._training_description(for_file=True)
        description["state"] = {"step": trainer.step if trainer else 0, "epoch": trainer.epoch if trainer else 0}
        tensors |= trainer.get_moments() if trainer else {}
    _core.save_file(_path(path), json.dumps({**(extra or {}), **description}, allow_nan=False), tensors)


def load(path: str | os.PathLike[str]) -> Sequential:
    """The model of a file that :meth:`fastreg.Sequential.save` wrote.

    It is compiled if it was when saved (and was saved with its optimizer); a further ``fit`` then goes on bit for bit
    as if nothing had happened in between.

    Args:
        path: The file.

    Raises:
        ValueError: If the file is damaged, truncated, no model, or does not fit together; the message says in what.
        OSError: If the file cannot be read.

    Example:
        >>> import fastreg as fr, os, tempfile
        >>> model = fr.Sequential([fr.layers.Dense(1)], seed=0)
        >>> model.build(3)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "net.safetensors")
        ...     model.save(path)
        ...     same = fr.load(path)
        >>> bool((same.get_weights()[0] == model.get_weights()[0]).all())
        True
    """
    where = _path(path)
    text, tensors = _core.load_file(where)
    try:
        return _restore(_object(json.loads(text), "the description"), tensors)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{where}: {error}") from error


def _path(path: object) -> str:
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise TypeError(f"path: must be a string or a path, got {describe(path)}")
    return os.fsdecode(path)


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} must be an object, got {describe(value)}")
    return value


def _member(parent: Mapping[str, Any], name: str, kind: type, what: str) -> Any:
    value = parent.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{what}: {name} must be of type {kind.__name__}, got {describe(value)}")
    return value


def _restore(description: Mapping[str, Any], tensors: Tensors) -> Sequential:
    from fastreg.model import Sequential

    version = _member(description, "format", int, "the description")
    if version != 1:
        raise ValueError(f"format must be 1, got {version}; a newer fastreg may read it")
    configs = _member(description, "layers", list, "the description")
    model = Sequential(
        [layers.get(config, f"layers[{i}]") for i, config in enumerate(configs)],
        name=description.get("name"),
        seed=_member(description, "seed", int, "the description"),
    )
    _check_weights(model, _member(description, "n_features", int, "the description"), tensors)
    model._feature_names = _feature_names(description.get("feature_names"), model)
    if description.get("loss") is None:
        _require_same({}, {n: t for n, t in tensors.items() if n.startswith("optimizer.")})
        return model
    entries = description.get("metrics", [])
    if not isinstance(entries, list):
        raise ValueError(f"metrics must be a list, got {describe(entries)}")
    model.compile(
        optimizers.get(_object(description.get("optimizer"), "optimizer"), "optimizer"),
        losses.get(_object(description["loss"], "loss"), "loss"),
        [metrics.get(_object(entry, "metrics"), "metrics") for entry in entries],
    )
    _restore_state(model, _object(description.get("state"), "state"), tensors)
    return model


def _feature_names(value: object, model: Sequential) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"feature_names must be a list of strings, got {describe(value)}")
    if len(value) != model._n_features:
        raise ValueError(f"feature_names must be one for each of the {model._n_features} features, got {len(value)}")
    return tuple(value)


def _check_weights(model: Sequential, n_features: int, tensors: Tensors) -> None:
    # Before the network is built: a description may ask for far more memory than its file has weights.
    weights = {name: tensor for name, tensor in tensors.items() if not name.startswith("optimizer.")}
    promised = model._weight_count(n_features)
    held = sum(tensor.size for tensor in weights.values())
    if promised != held:
        raise ValueError(f"the layers have {promised} weights, the tensors hold {held}")
    model.build(n_features)
    network = model._require_network("load")
    _require_same({name: shape for name, shape, _ in network.weight_info()}, weights)
    info = network.weight_info()
    network.set_weights(_data.network_weights([weights[name] for name, _, _ in info], info, "the file"))


def _restore_state(model: Sequential, state: Mapping[str, Any], tensors: Tensors) -> None:
    step, epoch = (_member(state, name, int, "state") for name in ("step", "epoch"))
    if not (0 <= step < 2**63 and 0 <= epoch < 2**63):
        raise ValueError(f"state: step and epoch must be in [0, 2**63), got {step} and {epoch}")
    moments = {name: tensor for name, tensor in tensors.items() if name.startswith("optimizer.")}
    if not moments and step == 0:
        return  # compiled and never trained
    trainer = model._trainer_for(None)
    _require_same({name: moment.shape for name, moment in trainer.get_moments().items()}, moments)
    trainer.set_moments(moments)
    trainer.step, trainer.epoch = step, epoch


def _require_same(expected: Mapping[str, tuple[int, ...]], tensors: Tensors) -> None:
    """Raises ValueError unless the tensors have exactly the expected names and shapes."""
    if missing := [name for name in expected if name not in tensors]:
        raise ValueError(f"tensors are missing: {', '.join(missing)}")
    if extra := [name for name in tensors if name not in expected]:
        raise ValueError(f"tensors that do not belong to the network: {', '.join(extra)}")
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            raise ValueError(f"tensor {name} must have shape {shape}, got {tensors[name].shape}")
