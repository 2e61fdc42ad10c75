"""What a model is copied and pickled as: descriptions and numbers, without the objects of the core and the locks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastreg.model.sequential import Sequential


def state_of(model: Sequential) -> dict[str, Any]:
    """The state to pickle.

    Raises:
        RuntimeError: Within a callback, or while another thread fits the model.
    """
    model._require_idle("pickle")
    state = model.__dict__ | {"_network": None, "_trainer": None}
    del state["_fit_lock"], state["_making"]
    if model._network is not None:
        state["weights"] = model._network.get_weights()
    if model._trainer is not None:
        state["trainer"] = (model._trainer.step, model._trainer.epoch, model._trainer.get_moments())
    return state


def restore(model: Sequential, state: dict[str, Any]) -> None:
    """Fills a model that has nothing yet."""
    weights, trainer = state.pop("weights", None), state.pop("trainer", None)
    model.__dict__.update(state)
    model._make_locks()
    if weights is not None:
        model._require_network("unpickle").set_weights(weights)
    if trainer is not None:
        made = model._trainer_for(None)
        made.step, made.epoch, moments = trainer
        made.set_moments(moments)
