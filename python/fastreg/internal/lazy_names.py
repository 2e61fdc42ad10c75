"""Lazy names of a package: the module that a name lives in is loaded when the name is first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazy_names"]


def lazy_names(
    package: str, homes: Mapping[str, str], absent: Callable[..., Any] | None = None
) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package.

    Args:
        package: Its ``__name__``.
        homes: The module of the package that each name lives in.
        absent: What is called with any other name and the number of frames to the caller; None looks for old names.
    """

    def getattr_of_package(name: str) -> Any:
        if name not in homes:
            if absent is not None:
                return absent(name, 2)
            from fastreg.internal.old_paths import old_name

            return old_name(package, name)
        value = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return getattr_of_package
