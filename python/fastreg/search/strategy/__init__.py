"""Which point of the space the next trial is: grid, random, quasi-random and Bayesian strategies, by ask and tell."""
