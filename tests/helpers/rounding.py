"""How far rounding errors can carry a network: what the oracle does differently an ulp away."""

import copy

import numpy as np

EPS = float(np.finfo(np.float32).eps)
# How many ulps of the weights the rounding errors of all the sums of a step are worth.
AS_OFTEN = 4.0


def an_ulp_away(net, rng):
    """The network with each weight, and each value that a layer makes, an ulp larger or smaller.

    What it does differently, no float32 network can help.
    """

    def moved(array):
        return array * (1.0 + rng.choice([-EPS, EPS], np.shape(array)))

    def rounding(forward):
        return lambda *arguments: moved(forward(*arguments))

    other = copy.deepcopy(net)
    for layer in other.layers:
        layer.p = {name: moved(w) for name, w in layer.p.items()}
        layer.forward = rounding(layer.forward)
    return other


def apart(net, others):
    """The largest difference of a weight."""
    pairs = [pair for other in others for pair in zip(net.get_weights(), other.get_weights(), strict=True)]
    return max((np.abs(a - b).max(initial=0.0) for a, b in pairs), default=0.0)
