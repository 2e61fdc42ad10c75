"""The module in which Keras has ``Model``, ``Sequential`` and ``load_model``. Here other modules define them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastreg.internal.checks import absent_names, check_bool
from fastreg.internal.keras_arguments import refuse_requests
from fastreg.model import files, loading
from fastreg.model.model import Model
from fastreg.model.sequential import Sequential

__all__ = ["Model", "Sequential", "load_model"]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = absent_names(__name__)


def load_model(
    filepath: files.StrOrBytesPath, custom_objects: object = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """:func:`fastreg.load` with Keras's arguments.

    Args:
        filepath: The file.
        custom_objects: Is accepted because Keras has it; only None or ``{}``, since a file names only built-in parts.
        compile: False does not load how the model was compiled and the state of its optimizer.
        safe_mode: Has no effect and is accepted because Keras has it; loading never runs code of a file.

    Raises:
        ValueError: If the file is damaged or is not a model of fastreg, or ``custom_objects`` is not empty.
        OSError: If the file cannot be read.
    """
    refuse_requests("load_model", {"custom_objects": custom_objects, "safe_mode": safe_mode})
    return loading.read(filepath, with_training=check_bool("load_model", "compile", compile))[0]
