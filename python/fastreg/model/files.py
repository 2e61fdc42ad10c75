"""Model files: saving a ``CoreModel``, and making one from a file.

A file is in the safetensors format, with float32 tensors and one metadata key, ``fastreg``, which holds the JSON
description (fields in cpp/core/description.cpp; ``name``, ``feature_names``, ``classes`` and ``state`` are Python's).
C++ reads and writes the bytes (cpp/core/serialize.cpp): it replaces files atomically and refuses damaged ones. This
module checks names and shapes against the network that the description specifies. Loading constructs descriptions and
runs no code of the file.
"""

from __future__ import annotations

import json
import math
import os
import stat
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import _core, layers, losses, metrics, optimizers
from fastreg.data import arrays
from fastreg.internal.checks import check_bool, check_choice, describe
from fastreg.internal.layer_base import Shape, check_shape
from fastreg.model import graphs, labels
from fastreg.model.core import CoreModel
from fastreg.model.nested import Nested
from fastreg.model.training_form import training_description
from fastreg.runtime import PRECISIONS
from fastreg.schedules.base import RunLength

__all__ = ["check_ending", "encoded", "exists", "graph_of", "opened", "parts_of", "read", "save", "text_of"]

StrOrBytesPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Tensors = dict[str, NDArray[np.float32]]
Shapes = Mapping[str, tuple[int, ...]]

# The number of values that are read at a time. A larger model is never in memory twice.
_BLOCK = 1 << 18

# Endings of Keras's own files, which its programs name; the file is fastreg's all the same.
_OF_KERAS = (".keras", ".h5", ".hdf5")
# Endings that say that a file is of another format.
_OF_OTHERS = (
    *(".pt", ".pt2", ".pth", ".ckpt", ".onnx", ".ort", ".npz", ".npy", ".pkl", ".pickle", ".joblib", ".dill"),
    *(".pb", ".mlmodel", ".mlpackage", ".gguf", ".pmml", ".msgpack", ".cbm", ".ubj", ".json", ".yaml", ".yml", ".csv"),
    *(".tsv", ".parquet", ".mat", ".zip", ".tar", ".gz", ".tflite"),
)


def save(
    model: CoreModel,
    path: StrOrBytesPath,
    include_optimizer: bool = True,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """See :meth:`fastreg.Sequential.save`. ``extra`` is further members of the description, which ``load`` ignores."""
    with_optimizer = check_bool("save", "include_optimizer", include_optimizer)
    model.require_network("save")
    check_ending(path)
    with model.changing.held:  # all that follows is of one model, although another thread may change it
        network, trainer, run_length = model.require_network("save"), model.trainer, model.run_length
        description = model.description(model.known_shape())
        if model.feature_names is not None:
            description["feature_names"] = list(model.feature_names)
        if model.classes is not None and len(model.classes) == max(network.n_outputs, 2):
            description["classes"] = list(model.classes)
        trained = with_optimizer and bool(model.losses)
        if trained:
            _check_losses(model)
            description |= training_description(model, None) | {"format": description["format"]}
    if trained:
        weights, moments, description["state"] = _trained(network, trainer, run_length)
    else:
        weights, moments = network.get_weights(), {}
    tensors = dict(zip((name for name, _, _ in network.weight_info()), weights, strict=True)) | moments
    text = json.dumps({**(extra or {}), **description}, allow_nan=False)
    _core.save_file(encoded(path), text, tensors)
    if text_of(path).lower().endswith(_OF_KERAS):
        warnings.warn(
            f"save: {text_of(path)} is a file of fastreg's own format, whatever its name says: Keras cannot read it, "
            "fastreg.load can; name it .safetensors to avoid this warning",
            UserWarning,
            stacklevel=3,
        )


def _trained(
    network: _core.Network, trainer: _core.Trainer | None, run_length: RunLength | None
) -> tuple[list[NDArray[np.float32]], Tensors, dict[str, Any]]:
    """The weights, the moments and the state, all of the same step, although another thread may fit the model."""
    if trainer is None:
        return network.get_weights(), {}, {"step": 0, "epoch": 0}
    weights, moments, step, epoch, shown = trainer.get_state()
    state: dict[str, Any] = {"step": step, "epoch": epoch}
    if shown:
        state["averages_shown"] = True
    if run_length is not None and _fits(run_length):
        state["run_length"] = list(run_length)
    return weights, moments, state


def _check_losses(model: CoreModel) -> None:
    """Raises ValueError if a loss is a function of Python."""
    for loss in model.losses:
        if not loss.in_files:
            raise ValueError(
                f"save: a file cannot hold loss {loss.key!r}, a function of Python; give include_optimizer=False and "
                "compile the loaded model again, or use save_weights"
            )


def check_ending(path: StrOrBytesPath) -> None:
    """Raises ValueError for a name that ends as the files of another format do."""
    ending = os.path.splitext(text_of(path))[1].lower()
    if ending in _OF_OTHERS:
        raise ValueError(
            f"save: path must end in .safetensors, or in .keras, .h5 or no known ending, since the file has fastreg's "
            f"own format, a safetensors file, got {ending!r}"
        )


def read(path: StrOrBytesPath, with_training: bool = True) -> tuple[CoreModel, Mapping[str, Any]]:
    """The model of a file and the whole description, with members that ``extra`` of :func:`save` added.

    Args:
        path: The file.
        with_training: False leaves the model as it is before ``compile``.
    """
    file = opened(path)
    try:
        description = _object(json.loads(file.description), "the description")
        if "weights" in description and "layers" not in description:
            raise ValueError("the file holds weights alone: build the model and call its load_weights")
        return _restore(description, file, with_training), description
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{text_of(path)}: {error}") from error


def opened(path: StrOrBytesPath) -> _core.ModelReader:
    """A file with its header read and checked. Raises ValueError if it is damaged or not fastreg's."""
    try:
        return _core.ModelReader(encoded(path))
    except ValueError as error:
        found = _foreign_format(path)
        raise ValueError(f"{error}{found}") from None


def exists(path: StrOrBytesPath) -> bool:
    """Whether there is a file of this name."""
    return os.path.lexists(encoded(path))


def encoded(path: object) -> bytes:
    """A path as the bytes that the system uses for it."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise TypeError(f"path: must be a string, bytes or a path, got {describe(path)}")
    try:
        return os.fsencode(path)
    except UnicodeEncodeError as error:
        raise ValueError(f"path: must be a name that the file system can have, got {describe(path)}: {error}") from None


def text_of(path: object) -> str:
    """A path as text, for messages."""
    return os.fsdecode(encoded(path))


def _foreign_format(path: StrOrBytesPath) -> str:
    """The end of the message for a file that is not fastreg's: what kind of file it is, if that can be recognised."""
    try:
        # A pipe must neither be waited for nor emptied.
        with open(os.open(encoded(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            begin = file.read(16) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
    except OSError:
        return ""
    kind = next((kind for kind, told in _SIGNATURES if told(begin)), None)
    if kind is None:
        return ""
    if kind.startswith("a zip"):
        kind = _kind_of_archive(path) or kind
    return (
        f". It is {kind}, and fastreg reads only what it saved: build the model with fastreg's layers and hand the "
        "weights over, as NumPy arrays, with set_weights"
    )


_SIGNATURES: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("an HDF5 file, as Keras writes them", lambda b: b.startswith(b"\x89HDF\r\n\x1a\n")),
    ("a zip archive", lambda b: b.startswith(b"PK\x03\x04")),
    ("a NumPy file", lambda b: b.startswith(b"\x93NUMPY")),
    ("a pickle", lambda b: b[:1] == b"\x80" and b[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")),
    ("a TensorFlow Lite model", lambda b: b[4:8] == b"TFL3"),
    ("a GGUF file", lambda b: b.startswith(b"GGUF")),
    ("a file compressed by gzip", lambda b: b.startswith(b"\x1f\x8b")),
)


def _kind_of_archive(path: StrOrBytesPath) -> str | None:
    import zipfile

    try:
        with open(encoded(path), "rb") as file, zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return None
    if "model.weights.h5" in names or "config.json" in names:
        return "a Keras model"
    if any(name.endswith(("/data.pkl", "/version")) for name in names):
        return "a PyTorch file"
    if names and all(name.endswith(".npy") for name in names):
        return "a NumPy archive"
    return None


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} must be an object, got {describe(value)}")
    return value


def _member(parent: Mapping[str, Any], name: str, kind: type, what: str) -> Any:
    value = parent.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{what}: {name} must be of type {kind.__name__}, got {describe(value)}")
    return value


def _restore(description: Mapping[str, Any], file: _core.ModelReader, with_training: bool) -> CoreModel:
    version = _member(description, "format", int, "the description")
    if version not in (1, 2):
        raise ValueError(f"format must be 1 or 2, got {version}; a newer fastreg may read it")
    configs = _member(description, "layers", list, "the description")
    seed, name = _member(description, "seed", int, "the description"), description.get("name")
    if version == 2:
        model, shape = graph_of(description, name, seed)
    else:
        model = CoreModel(name, seed)
        model.append(parts_of(configs))
        shape = (_member(description, "n_features", int, "the description"),)
    moments = {name: shape for name, shape in file.shapes.items() if name.startswith("optimizer.")}
    _read_weights(model, shape, file)
    model.feature_names = _feature_names(description.get("feature_names"), model)
    model.classes = labels.from_file(description.get("classes"), model.output_widths(shape)[0])
    if description.get("loss") is None:
        _require_same({}, moments)
    if description.get("loss") is None or not with_training:
        return model
    _compile(model, description)
    _restore_state(model, _object(description.get("state"), "state"), file, moments)
    return model


def parts_of(configs: list[Any]) -> list[layers.Layer]:
    """The layers of a list of their JSON forms."""
    return [layer_of(config, f"layers[{i}]") for i, config in enumerate(configs)]


def layer_of(config: Any, where: str) -> layers.Layer:
    """The layer of a JSON form; a model within the model too."""
    if not isinstance(config, Mapping) or config.get("type") != "Nested":
        return layers.get(config, where)
    name, seed = config.get("name"), _member(config, "seed", int, where)
    if "structure" not in config:
        core, shape = CoreModel(name, seed), config.get("input_shape")
        parts: list[Any] = parts_of(_member(config, "layers", list, where))
        core.append(parts if shape is None else [layers.Input(tuple(shape)), *parts])
        return Nested(core, trainable=config.get("trainable") is not False)
    forms = _object(config.get("forms"), where)
    if forms.get("inputs") not in graphs.FORMS or forms.get("outputs") not in graphs.FORMS:
        raise ValueError(f"{where}: forms must be those of inputs and outputs, got {dict(forms)}")
    names = [_member(config, names, list, where) for names in ("input_names", "output_names")]
    found, graph = graphs.of_structure(config["structure"], names[0], names[1], layer_of)
    graph = graph._replace(input_form=forms["inputs"], output_form=forms["outputs"])
    return Nested(CoreModel(name, seed, found, graph), trainable=config.get("trainable") is not False)


def graph_of(description: Mapping[str, Any], name: str | None, seed: int) -> tuple[CoreModel, Shape]:
    """The model of a graph, and the shape of the rows of its first input."""
    configs = _member(description, "layers", list, "the description")
    inputs = tuple(
        (_member(port, "name", str, "inputs"), _member(port, "n_features", int, "inputs"))
        for port in map(_port, _member(description, "inputs", list, "the description"))
    )
    outputs = [_port(port) for port in _member(description, "outputs", list, "the description")]
    for port in outputs:
        _member(port, "name", str, "outputs")
        _member(port, "value", int, "outputs")
    _member(description, "nodes", list, "the description")
    if not isinstance(description.get("blocks", []), list):
        raise ValueError(f"blocks must be a list, got {describe(description['blocks'])}")
    if not inputs or not outputs:
        raise ValueError("inputs and outputs must be one at least each")
    if "structure" in description:
        names = [name for name, _ in inputs], [port["name"] for port in outputs]
        found, graph = graphs.of_structure(description["structure"], *names, layer_of)
    else:
        found, graph = graphs.folded(parts_of(configs), inputs, description)
    face = _object(description.get("model"), "model")
    if face.get("type") == "Sequential":
        model = CoreModel(name, seed)
        model.append([layers.Input(graph.shapes[0]), *found])
    else:
        forms: list[Any] = [face.get("inputs"), face.get("outputs")]
        if face.get("type") != "Model" or not all(form in graphs.FORMS for form in forms):
            raise ValueError(f"model must be a Sequential, or a Model with the forms of its ports, got {face}")
        model = CoreModel(name, seed, found, graph._replace(input_form=forms[0], output_form=forms[1]))
    shape = graph.shapes[0]
    made = graphs.to_config(model.layers, model.graph_for(shape), model.flat_for(shape))
    same = ["inputs", "nodes", "outputs"] + (["layers"] if "structure" in description else [])
    if any(made[part] != description[part] for part in same) or len(made["layers"]) != len(configs):
        raise ValueError("nodes and blocks or structure do not make the model that they are said to be")
    return model, shape


def _port(value: object) -> Mapping[str, Any]:
    return _object(value, "an input or output")


def _compile(model: CoreModel, description: Mapping[str, Any]) -> None:
    given = description["loss"]
    several = isinstance(given, list)
    chosen = [losses.get(_object(one, "loss"), "loss") for one in (given if several else [given])]
    found = _metrics_of(description, "metrics", several)
    weighted = _metrics_of(description, "weighted_metrics", several)
    names = model.output_names
    if len(chosen) != len(names) or len(found) not in (0, len(names)):
        raise ValueError(f"loss and metrics must be for {len(names)} outputs, got {len(chosen)} and {len(found)}")
    if len(weighted) not in (0, len(names)):
        raise ValueError(f"weighted_metrics must be for {len(names)} outputs, got {len(weighted)}")
    model.compile(
        optimizers.get(_object(description.get("optimizer"), "optimizer"), "optimizer"),
        chosen,
        dict(zip(names, found, strict=False)),
        description.get("loss_weights"),
        dict(zip(names, weighted, strict=False)),
        check_choice("the description", "matmul_precision", description.get("matmul_precision", "highest"), PRECISIONS),
    )


def _metrics_of(description: Mapping[str, Any], member: str, several: bool) -> list[list[metrics.Metric]]:
    """The metrics of each output that a member of a description has."""
    entries = description.get(member, [])
    if not isinstance(entries, list):
        raise ValueError(f"{member} must be a list, got {describe(entries)}")
    if several and not all(isinstance(of_output, list) for of_output in entries):
        raise ValueError(f"{member} must be a list for each output, got {describe(entries)}")
    return [
        [metrics.get(_object(entry, member), member) for entry in of_output]
        for of_output in (entries if several else [entries])
    ]


def _feature_names(value: object, model: CoreModel) -> Any:
    """The names of columns; with several inputs a tuple of those, or None, for each."""
    widths = model.input_widths()
    if value is None or len(widths) == 1:
        return _names_of_one(value, widths[0])
    if not isinstance(value, list) or len(value) != len(widths):
        raise ValueError(f"feature_names must be one list for each input, got {describe(value)}")
    return tuple(_names_of_one(names, width) for names, width in zip(value, widths, strict=True))


def _names_of_one(value: object, width: int | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"feature_names must be a list of strings, got {describe(value)}")
    if len(value) != width:
        raise ValueError(f"feature_names must be one for each of the {width} features, got {len(value)}")
    return tuple(value)


def _read_weights(model: CoreModel, shape: Shape, file: _core.ModelReader) -> None:
    # Before the network is built: a description may ask for far more memory than its file has weights.
    shapes = {name: shape for name, shape in file.shapes.items() if not name.startswith("optimizer.")}
    promised = model.weight_count(shape)
    held = sum(math.prod(shape) for shape in shapes.values())
    if promised != held:
        raise ValueError(f"the layers have {promised} weights, the tensors hold {held}")
    model.build(check_shape("build", "input_shape", shape))
    network = model.require_network("load")
    info = network.weight_info()
    _require_same({name: shape for name, shape, _ in info}, shapes)
    places = {name: place for place, name in enumerate(file.shapes)}
    for index, (name, shape, _) in enumerate(info):
        for first, block in _blocks(file, places[name], shape):
            if not _core.all_finite(block):
                arrays.to_float32(file.read(places[name], 0, math.prod(shape)).reshape(shape), f"the file: {name}")
            if name.endswith("variance") and block.min() < 0:
                raise ValueError(f"the file: {name} must be >= 0, got {float(block.min())!r}")
            network.set_weight_part(index, first, block)


def _blocks(file: _core.ModelReader, place: int, shape: tuple[int, ...]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The values of the tensor with index ``place``, one block at a time, each with the index at which it begins."""
    size = math.prod(shape)
    for first in range(0, size, _BLOCK):
        yield first, file.read(place, first, min(_BLOCK, size - first))


def _restore_state(model: CoreModel, state: Mapping[str, Any], file: _core.ModelReader, moments: Shapes) -> None:
    step, epoch = (_member(state, name, int, "state") for name in ("step", "epoch"))
    if not (0 <= step < 2**63 and 0 <= epoch < 2**63):
        raise ValueError(f"state: step and epoch must be in [0, 2**63), got {step} and {epoch}")
    if not moments and step == 0:
        return  # compiled and never trained
    trainer = model.trainer_for(None)
    expected = trainer.moment_shapes()
    _require_same(expected, moments)
    places = {name: place for place, name in enumerate(file.shapes)}
    for index, (name, shape) in enumerate(expected.items()):
        for first, block in _blocks(file, places[name], shape):
            trainer.set_moment_part(index, first, block)
    trainer.step, trainer.epoch = step, epoch
    trainer.averages_shown = check_bool("state", "averages_shown", state.get("averages_shown", False))
    model.run_length = _run_length(state.get("run_length"))


def _run_length(value: object) -> RunLength | None:
    """The length of the last run, without which a schedule in epochs has no rate between two fits.

    Files of older versions, and of models without a fit, have none.
    """
    if value is None:
        return None
    whole = isinstance(value, list) and len(value) == 3 and all(type(one) is int for one in value)
    if not (isinstance(value, list) and whole and value[0] >= 1 and value[1] >= 0 and _fits(RunLength(*value))):
        raise ValueError(
            "state: run_length must be a list of three integers below 2**63, the first at least 1 and the second at "
            f"least 0, got {describe(value)}"
        )
    return RunLength(*value)


def _fits(run: RunLength) -> bool:
    """Whether schedules can count in numbers of this size; a fit may be given any number of epochs."""
    return all(-(2**63) < one < 2**63 for one in run)


def _require_same(expected: Shapes, found: Shapes) -> None:
    """Raises ValueError unless the tensors have exactly the expected names and shapes."""
    if missing := [name for name in expected if name not in found]:
        raise ValueError(f"tensors are missing: {', '.join(missing)}")
    if extra := [name for name in found if name not in expected]:
        raise ValueError(f"tensors that do not belong to the network: {', '.join(extra)}")
    for name, shape in expected.items():
        if found[name] != shape:
            raise ValueError(f"tensor {name} must have shape {shape}, got {found[name]}")
