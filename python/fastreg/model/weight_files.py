"""Files of weights alone: ``save_weights`` and ``load_weights``.

A file of weights is a safetensors file like that of a whole model, whose description says only ``{"weights": [...]}``,
the path of each weight in the order of the tensors. The weights of a whole model's file can be loaded, too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastreg import _core
from fastreg.internal.checks import check_bool
from fastreg.model import files
from fastreg.model.core import CoreModel
from fastreg.model.weights import weights_of_model

__all__ = ["load_weights", "save_weights"]


def save_weights(model: CoreModel, filepath: files.StrOrBytesPath, overwrite: object = True) -> None:
    """See :meth:`fastreg.Model.save_weights`."""
    model.require_network("save_weights")
    files.check_ending(filepath)
    if not check_bool("save_weights", "overwrite", overwrite) and files.exists(filepath):
        raise FileExistsError(f"save_weights: {files.text_of(filepath)} exists, and overwrite is False")
    with model.changing.held:  # another thread may change the layers
        network = model.require_network("save_weights")
        text = json.dumps({"weights": [weight.path for weight in weights_of_model(model)]})
    names = [name for name, _, _ in network.weight_info()]
    _core.save_file(files.encoded(filepath), text, dict(zip(names, network.get_weights(), strict=True)))


def load_weights(model: CoreModel, filepath: files.StrOrBytesPath, skip_mismatch: object = False) -> None:
    """See :meth:`fastreg.Model.load_weights`."""
    skips = check_bool("load_weights", "skip_mismatch", skip_mismatch)
    network = model.require_network("load_weights")
    file = files.opened(filepath)
    shapes = {name: shape for name, shape in file.shapes.items() if not name.startswith("optimizer.")}
    info = {name: shape for name, shape, _ in network.weight_info()}
    if not skips and (problem := _difference(info, shapes)):
        raise ValueError(
            f"load_weights: {files.text_of(filepath)} must hold the weights of this model, but {problem}; "
            "skip_mismatch=True loads those that fit"
        )
    places = {name: place for place, name in enumerate(file.shapes)}
    current = network.get_weights()
    loaded: list[ArrayLike] = [
        _read(file, places[name], shape) if shapes.get(name) == shape else now
        for (name, shape), now in zip(info.items(), current, strict=True)
    ]
    model.set_weights(loaded)


def _read(file: _core.ModelReader, place: int, shape: Sequence[int]) -> NDArray[np.float32]:
    return file.read(place, 0, math.prod(shape)).reshape(tuple(shape))


def _difference(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> str:
    """In words, how the tensors of a file differ from the weights of a model; empty if they do not."""
    if missing := [name for name in expected if name not in found]:
        return f"it lacks {', '.join(missing)}"
    if extra := [name for name in found if name not in expected]:
        return f"it has {', '.join(extra)}, which the model has not"
    wrong = [f"{name} has shape {found[name]}, not {shape}" for name, shape in expected.items() if found[name] != shape]
    return "; ".join(wrong)
