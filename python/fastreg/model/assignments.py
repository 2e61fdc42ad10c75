"""Which attributes of a model can be set: what would have no effect is refused, with a word on what to do instead.

A class of the user's own that is derived from ``Model`` or ``Sequential`` may have any further attribute. There only
those are refused that are read-only here or that Keras gives a meaning which they would not have.
"""

from __future__ import annotations

from types import FunctionType

from fastreg.internal.checks import NON_NEGATIVE, SEED_LIMIT, check_int, check_name, describe, did_you_mean

# What takes any value, since ``fit`` sets it itself.
FREE = frozenset(("history", "stop_training"))

_SETTABLE = ("history", "learning_rate", "name", "seed", "stop_training", "trainable")
_OF_THE_CORE = ("history", "name", "seed")

_INSTEAD = {
    "built": "build makes the weights",
    "feature_names_in_": "the first fit on a frame sets it",
    "layers": "add and pop change the layers",
    "loss": "compile sets it",
    "metrics": "compile sets it",
    "optimizer": "compile sets it, and optimizer.learning_rate can be set",
    "loss_weights": "compile sets them",
    "trainable_weights": "set_weights sets the weights",
    "weights": "set_weights sets the weights",
}

# What Keras lets one set on a model, and what has no meaning here.
_OF_KERAS = frozenset(
    (
        *("trainable_weights", "weights", "run_eagerly", "jit_compile", "steps_per_execution"),
        *("auto_scale_loss", "dtype_policy", "supports_masking", "input_spec", "activity_regularizer"),
        *("train_function", "test_function", "predict_function", "train_step", "test_step", "predict_step"),
    )
)


def check_deletion(model: object, owner: str, name: str) -> None:
    """Raises AttributeError for attributes that every model has. Those of a user's class or a test can be deleted."""
    if name in _OF_THE_CORE or (name in _SETTABLE and name in vars(model)):
        raise AttributeError(f"{owner}: {name} cannot be deleted; it can be set")


def checked_assignment(model: object, owner: str, name: str, value: object, has_weights: bool) -> object:
    """The checked value for a public attribute of a model.

    Args:
        model: The model.
        owner: What messages call it.
        name: The attribute.
        value: The new value.
        has_weights: Whether the model has weights, whose initial values depend on its seed.

    Raises:
        AttributeError: If setting it would have no effect.
        ValueError: If the value is out of range.
        TypeError: If the value is of the wrong kind.
    """
    if name == "name":
        return check_name(owner, "name", value)
    if name == "seed":
        if has_weights:
            raise AttributeError(
                f"{owner}: seed cannot be set once the model has weights, which it decided; a new model takes "
                "another"
            )
        return check_int(owner, "seed", value, NON_NEGATIVE, SEED_LIMIT)
    if name in _SETTABLE:
        return value
    home = next((cls for cls in type(model).__mro__ if name in vars(cls)), None)
    if home is not None and not home.__module__.startswith("fastreg."):
        return value  # an attribute of the user's class
    if home is not None and type(vars(home)[name]) is FunctionType:
        if callable(value):
            return value  # a test puts another in the place of a method
        raise AttributeError(
            f"{owner}: {name} cannot be set to {describe(value)}: it is a method; what can be set: "
            f"{', '.join(_SETTABLE)}"
        )
    derived = not type(model).__module__.startswith("fastreg.")
    if derived and home is None and name not in _OF_KERAS:
        return value
    hint = f": {_INSTEAD[name]}" if name in _INSTEAD else did_you_mean(name, _SETTABLE)
    raise AttributeError(f"{owner}: {name} cannot be set{hint}; what can be set: {', '.join(_SETTABLE)}")
