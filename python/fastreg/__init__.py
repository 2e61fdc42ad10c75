"""fastreg: small and medium regularised dense networks, trained and served fast on a CPU.

This file lists the public names and computes nothing. The modules load when they are first touched; only the compiled
module loads at once, so that an instruction set that cannot be had (``FASTREG_ISA``) is an ImportError here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastreg._core import DivergenceError, __version__

if TYPE_CHECKING:
    from fastreg import (
        callbacks,
        diagnosis,
        initializers,
        layers,
        losses,
        metrics,
        models,
        ops,
        optimizers,
        plots,
        regularizers,
        schedules,
        search,
        utils,
    )
    from fastreg._core import Predictor
    from fastreg.io import load
    from fastreg.layers import Input
    from fastreg.model import Sequential
    from fastreg.runtime import get_num_threads, set_num_threads, show_config, thread_limit

__all__ = [
    "DivergenceError",
    "Input",
    "Predictor",
    "Sequential",
    "__version__",
    "callbacks",
    "diagnosis",
    "get_num_threads",
    "initializers",
    "layers",
    "load",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "plots",
    "regularizers",
    "schedules",
    "search",
    "set_num_threads",
    "show_config",
    "thread_limit",
    "utils",
]

# Names that live in a module; the others of __all__ are modules.
_HOMES = {
    "Input": "layers",
    "Predictor": "_core",
    "Sequential": "model",
    "get_num_threads": "runtime",
    "load": "io",
    "set_num_threads": "runtime",
    "show_config": "runtime",
    "thread_limit": "runtime",
}


if not TYPE_CHECKING:  # a type checker knows which names there are

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            from fastreg._checks import absent_names

            absent_names(__name__)(name, depth=2)
        module = import_module(f"fastreg.{_HOMES.get(name, name)}")
        value = getattr(module, name) if name in _HOMES else module
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
