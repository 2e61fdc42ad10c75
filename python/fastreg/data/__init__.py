"""Arrays and frames at the door: what a user passes as ``x``, ``y`` and weights, checked and converted for the core.

Knows losses, which say what targets are, and nothing of models.
"""
