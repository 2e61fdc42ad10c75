"""From a core to the model that users call, and from a file: the core that ``files.py`` reads, under its face."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastreg.model import files
from fastreg.model.core import CoreModel
from fastreg.model.model import Model
from fastreg.model.sequential import Sequential

__all__ = ["face_over", "load", "read"]


def load(path: files.StrOrBytesPath) -> Model:
    """The model of a file that ``save`` wrote: a :class:`fastreg.Sequential` or a :class:`fastreg.Model`.

    It is compiled if it was compiled when it was saved, and was saved with its optimizer. Then a further ``fit``
    continues bit for bit as if the model had not been saved.

    Args:
        path: The file. Its content determines the format, not its name.

    Raises:
        ValueError: If the file is damaged, truncated, not a model, or inconsistent; the message says why.
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
    return read(path)[0]


def read(path: files.StrOrBytesPath, with_training: bool = True) -> tuple[Model, Mapping[str, Any]]:
    """The model of a file and the whole description, with members that ``extra`` of ``files.save`` added.

    Args:
        path: The file.
        with_training: False leaves the model as it is before ``compile``.
    """
    core, description = files.read(path, with_training)
    return face_over(core), description


def face_over(core: CoreModel) -> Model:
    """The face over a core that is there: a ``Sequential`` over a chain, a ``Model`` over a graph."""
    return Sequential._of(core) if core.graph is None else Model._of(core)
