"""Checks and converts what a user passes as ``x``, ``y`` and weights, arrays and data frames, for the core.

It knows losses, which determine what targets are, and nothing of models.
"""
