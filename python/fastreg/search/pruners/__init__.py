"""Pruners decide which trial trains next and how far: to the end, until a median, or by rungs of successive halving."""
