"""Arguments that Keras has and that have no meaning here, so that its programs may go on naming them.

Each is taken at the values that ask for nothing; any other value is refused rather than ignored.
"""

from __future__ import annotations

from collections.abc import Mapping

from fastreg._checks import describe

_ASK_FOR_NOTHING: dict[str, dict[str, tuple[object, ...]]] = {
    "compile": {
        "loss_weights": (None,),
        "weighted_metrics": (None, []),
        "run_eagerly": (False, None),
        "steps_per_execution": (1,),
        "jit_compile": ("auto", True, False, None),
        "auto_scale_loss": (True, False),
    },
    "fit": {"steps_per_epoch": (None,), "validation_steps": (None,), "validation_freq": (1,)},
    "evaluate": {"steps": (None,), "callbacks": (None, [])},
    "predict": {"steps": (None,), "callbacks": (None, [])},
    "save": {"overwrite": (True,)},
}


def refuse_requests(call: str, arguments: Mapping[str, object]) -> None:
    """Raises TypeError for an argument that Keras does not have, ValueError for one that asks for something."""
    known = _ASK_FOR_NOTHING[call]
    for name, value in arguments.items():
        if name not in known:
            raise TypeError(f"{call}() got an unexpected keyword argument {name!r}")
        if not any(type(value) is type(neutral) and value == neutral for neutral in known[name]):
            only = " or ".join(map(repr, known[name]))
            raise ValueError(f"{call}: {name} is not supported and must be {only}, got {describe(value)}")
