"""Shared by all pictures: how texts from the user are shown, and how a figure is written.

Does not import matplotlib.
"""

from __future__ import annotations

import os
from functools import partial
from typing import IO, TYPE_CHECKING, cast

from fastreg.internal import whole_files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["for_notebooks", "plain", "save"]

# Characters of a label of an axis or a heading, at most: with more, the axes themselves have no room.
LABEL = 48


def plain(text: str, most: int = LABEL) -> str:
    r"""A text of the user as matplotlib draws it literally: no formula between dollar signs, on one line, not too long.

    Characters that cannot be shown (line breaks, lone surrogates) appear as escapes.

    Args:
        text: Any text.
        most: Characters to show, at most; a longer text ends with "…".

    Example:
        >>> from fastreg.internal.pictures import plain
        >>> print(plain("cost in $ or $\\alpha$"))
        cost in \$ or \$\alpha\$
        >>> plain("one\ntwo"), plain("0123456789", 5)
        ('one\\ntwo', '0123…')
    """
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: most + 1])
    if len(shown) > most:
        shown = shown[: most - 1] + "…"
    return shown.replace("$", r"\$")


def for_notebooks(figure: Figure) -> Figure:
    """The figure, which a notebook then shows as a picture.

    By itself IPython does so only for programs that import ``matplotlib.pyplot``, and shows the name of the class else.
    """
    figure._repr_png_ = partial(_png, figure)  # type: ignore[attr-defined]
    return figure


def _png(figure: Figure) -> bytes:
    import io

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def save(figure: Figure, path: whole_files.FilePath | IO[bytes]) -> None:
    """Writes a figure in the format that the path's ending says, whole or not at all.

    Without an ending the format is matplotlib's default, and its name is added to the path, as ``savefig`` does. An
    object with a method ``write`` is written to directly.

    Raises:
        OSError: If the file cannot be written.
        ValueError: If matplotlib does not know the format.
    """
    import io

    if hasattr(path, "write"):
        figure.savefig(cast("IO[bytes]", path))
        return
    target = whole_files.path_text("savefig", "path", path)
    ending = os.path.splitext(target)[1][1:]
    if not ending:
        ending = figure.canvas.get_default_filetype()
        target = f"{target.rstrip('.')}.{ending}"
    buffer = io.BytesIO()
    figure.savefig(buffer, format=ending.lower())
    whole_files.write(target, buffer.getvalue())
