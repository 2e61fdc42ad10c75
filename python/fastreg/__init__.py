"""fastreg: small and medium regularised dense networks, trained and served fast on a CPU.

This file lists the public names. A module is imported when it is first used. Only the compiled module is imported
immediately, so that an unavailable instruction set (``FASTREG_ISA``) is an ImportError here.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    from fastreg._core import DivergenceError, __version__
except ImportError as _error:
    # It imports NumPy, and turns whatever ends that into an ImportError.
    if isinstance(_error.__cause__, KeyboardInterrupt):
        raise _error.__cause__ from None
    raise

if TYPE_CHECKING:
    from fastreg import (
        activations,
        callbacks,
        constraints,
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
    from fastreg.layers import Input
    from fastreg.model.loading import load
    from fastreg.model.model import Model
    from fastreg.model.sequential import Sequential
    from fastreg.runtime import (
        get_matmul_precision,
        get_num_threads,
        matmul_precision,
        set_matmul_precision,
        set_num_threads,
        show_config,
        thread_limit,
    )

__all__ = [
    "DivergenceError",
    "Input",
    "Model",
    "Predictor",
    "Sequential",
    "__version__",
    "activations",
    "callbacks",
    "constraints",
    "diagnosis",
    "get_matmul_precision",
    "get_num_threads",
    "initializers",
    "layers",
    "load",
    "losses",
    "matmul_precision",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "plots",
    "regularizers",
    "schedules",
    "search",
    "set_matmul_precision",
    "set_num_threads",
    "show_config",
    "thread_limit",
    "utils",
]

# Names that live in a module; the others of __all__ are modules.
_HOMES = {
    "Input": "layers",
    "Model": "model.model",
    "Predictor": "_core",
    "Sequential": "model.sequential",
    "get_matmul_precision": "runtime",
    "get_num_threads": "runtime",
    "load": "model.loading",
    "matmul_precision": "runtime",
    "set_matmul_precision": "runtime",
    "set_num_threads": "runtime",
    "show_config": "runtime",
    "thread_limit": "runtime",
}


if not TYPE_CHECKING:  # otherwise a type checker would allow every name

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            from fastreg.internal.old_paths import load

            if (module := load(__name__, name)) is not None:
                return module
            if name in ("sklearn", "table"):
                told = f"module 'fastreg' has no attribute {name!r} before 'import fastreg.{name}'"
                raise AttributeError(told, name=name)
            from fastreg.internal.checks import absent_names

            absent_names(__name__)(name, depth=2)
        module = import_module(f"fastreg.{_HOMES.get(name, name)}")
        value = getattr(module, name) if name in _HOMES else module
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _OldPaths:
    """Finds modules that moved at their old paths. Python calls it for modules that were not found elsewhere."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        """The import specification of a module of fastreg that moved; None for any other module."""
        if not name.startswith("fastreg."):
            return None
        from fastreg.internal import old_paths

        return old_paths.find_spec(name)


sys.meta_path.append(_OldPaths)
