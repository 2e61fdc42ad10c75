"""The module in which Keras has ``Model``, ``Sequential`` and ``load_model``. Here other modules define them."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from fastreg.internal.checks import absent_names, check_bool, describe
from fastreg.internal.keras_arguments import refuse_requests
from fastreg.model import configs, files, loading
from fastreg.model.core import core_of
from fastreg.model.model import Model
from fastreg.model.sequential import Sequential

__all__ = ["Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = absent_names(__name__)


def __dir__() -> list[str]:
    return sorted(__all__)


def load_model(
    filepath: files.StrOrBytesPath, custom_objects: object = None, compile: bool = True, safe_mode: bool = True
) -> Model:
    """:func:`fastreg.load` with Keras's arguments.

    Args:
        filepath: The file.
        custom_objects: None or ``{}``, since every class is built in; an argument of Keras.
        compile: False does not load how the model was compiled and the state of its optimizer.
        safe_mode: Has no effect and is accepted because Keras has it; loading never runs code of a file.

    Raises:
        ValueError: If the file is damaged or is not a model of fastreg, or ``custom_objects`` is not empty.
        OSError: If the file cannot be read.

    Example:
        >>> import os, tempfile
        >>> import fastreg as fr
        >>> model = fr.Sequential([fr.Input((3,)), fr.layers.Dense(2)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "net.safetensors")
        ...     fr.models.save_model(model, path)
        ...     same = fr.models.load_model(path)
        >>> bool((same.predict([[1, 2, 3]]) == model.predict([[1, 2, 3]])).all())
        True
    """
    refuse_requests("load_model", {"custom_objects": custom_objects, "safe_mode": safe_mode})
    return loading.read(filepath, with_training=check_bool("load_model", "compile", compile))[0]


def save_model(model: Model, filepath: files.StrOrBytesPath, overwrite: bool = True, zipped: object = None) -> None:
    """:meth:`fastreg.Model.save` with Keras's arguments.

    Args:
        model: The model.
        filepath: The file.
        overwrite: Only True; an existing file is replaced in one step.
        zipped: Is accepted because Keras has it; only None.

    Raises:
        ValueError: If the model is not built, or an argument has another value.
        OSError: If the file cannot be written.

    Example:
        >>> import os, tempfile
        >>> import fastreg as fr
        >>> model = fr.Sequential([fr.Input((3,)), fr.layers.Dense(2)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "net.safetensors")
        ...     fr.models.save_model(model, path)
        ...     os.path.exists(path)
        True
    """
    refuse_requests("save", {"overwrite": overwrite, "zipped": zipped})
    model.save(filepath)


@overload
def clone_model(model: Sequential, seed: int | None = None, **keras: object) -> Sequential: ...
@overload
def clone_model(model: Model, seed: int | None = None, **keras: object) -> Model: ...
def clone_model(model: Model, seed: int | None = None, **keras: object) -> Model:
    """A new model with the same layers, untrained and not compiled.

    Args:
        model: The model.
        seed: The seed of the new model. None takes that of ``model``, so that both had the same initial weights.
        **keras: Keras's other arguments, accepted only at values that change nothing.

    Example:
        >>> import fastreg as fr
        >>> model = fr.Sequential([fr.Input((3,)), fr.layers.Dense(2)], seed=0)
        >>> copy = fr.models.clone_model(model)
        >>> bool((copy.layers[0].kernel.numpy() == model.layers[0].kernel.numpy()).all())
        True
    """
    refuse_requests("clone_model", keras)
    if not isinstance(model, Model):
        raise TypeError(f"clone_model: model must be a Sequential or a Model, got {describe(model)}")
    config = configs.config_of(core_of(model))
    return loading.face_over(configs.core_from_config(config if seed is None else config | {"seed": seed}))


def model_from_json(json_string: str, custom_objects: object = None) -> Model:
    """The model of a text that :meth:`fastreg.Model.to_json` made. It has no weights and is not compiled.

    Args:
        json_string: The text.
        custom_objects: None or ``{}``, since every class is built in; an argument of Keras.

    Raises:
        ValueError: If the text is not one that ``to_json`` made.

    Example:
        >>> import fastreg as fr
        >>> model = fr.Sequential([fr.Input((3,)), fr.layers.Dense(2)])
        >>> fr.models.model_from_json(model.to_json()).output_shape
        (None, 2)
    """
    refuse_requests("load_model", {"custom_objects": custom_objects})
    return loading.face_over(configs.from_json(json_string))
