"""Strategies, which choose the point of each trial by ask and tell: grid, random, quasi-random and Bayesian."""
