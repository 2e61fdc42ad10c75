"""One trial: its folds, its models, their training, their scores. Knows nothing of spaces, strategies and workers."""
