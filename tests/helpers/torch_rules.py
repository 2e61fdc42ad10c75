"""Rows of ``formulas/rules.py`` in PyTorch's words, for the comparisons with it."""

from dataclasses import fields

import torch
from pairs import float32


def values(rule):
    """The values of a row as the core has them, without the options that all rules share."""
    given = {f.name: getattr(rule, f.name) for f in fields(rule) if f.name not in ("clip", "options")}
    return {name: float32(value) for name, value in given.items()}


def of_torch(rule):
    """(class, options) in PyTorch; None if it has nothing that computes the same."""
    given = values(rule)
    name = {"Nadam": "NAdam"}.get(type(rule).__name__, type(rule).__name__)
    if not hasattr(torch.optim, name):
        return None
    given["lr"] = given.pop("learning_rate")
    if "beta_1" in given:
        given["betas"] = given.pop("beta_1"), given.pop("beta_2")
    if "epsilon" in given:
        given["eps"] = given.pop("epsilon")
    if name == "RMSprop":
        given["alpha"] = given.pop("rho")
    if name == "NAdam":
        given["momentum_decay"] = 1.0
    if name == "Rprop":
        given["etas"] = given.pop("eta_minus"), given.pop("eta_plus")
        given["step_sizes"] = given.pop("step_size_min"), given.pop("step_size_max")
    return name, given
