"""From a file to the model that users call: the core that ``files.py`` reads, under its face."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastreg.model import files
from fastreg.model.sequential import Sequential

__all__ = ["load", "read"]


def load(path: files.StrOrBytesPath) -> Sequential:
    """The model of a file that :meth:`fastreg.Sequential.save` wrote.

    It is compiled if it was when saved (and was saved with its optimizer); a further ``fit`` then goes on bit for bit
    as if nothing had happened in between.

    Args:
        path: The file. What it is is told by its content, not by its name.

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
    return read(path)[0]


def read(path: files.StrOrBytesPath, with_training: bool = True) -> tuple[Sequential, Mapping[str, Any]]:
    """The model of a file and the whole description, with members that ``extra`` of ``files.save`` added.

    Args:
        path: The file.
        with_training: False leaves the model as it is before ``compile``.
    """
    core, description = files.read(path, with_training)
    return Sequential._of(core), description
