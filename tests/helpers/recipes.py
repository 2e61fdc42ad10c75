"""Small candidates, and small tables for them."""

import numpy as np
from fastreg.table import Candidate, Schema, Target
from fastreg.table.training import TrainingRows

TINY = (
    Candidate(bins=4, width=8, rate=0.02, steps=200),
    Candidate(bins=0, width=16, activation="relu", rate=0.02, steps=200),
    Candidate(bins=8, width=12, layers=1, activation="silu", dropout=0.3, rate=0.02, steps=200),
)


def rows_of(task, n=120, **more):
    """Rows whose target follows from a number and a group, with noise."""
    rng = np.random.default_rng(0)
    table = {"a": rng.normal(size=n).tolist(), "b": rng.choice(["u", "v", "w"], n).tolist()}
    level = 2 * np.abs(table["a"]) + (np.array(table["b"]) == "u") + rng.normal(0, 0.5, n) - 1.5  # nothing for a line
    if task == "regression":
        table["y"] = (100 + 10 * level).tolist()
    else:
        table["y"] = ["abc"[k] for k in np.digitize(level, [0.3] if task == "binary" else [-0.3, 0.7])]
    target, schema = Target.infer(table, "y"), Schema.infer(table, target="y")
    y, _ = target.encode(table)
    kinds = [column.kind for column in schema.columns]
    return table, schema, TrainingRows(target, kinds, schema.codes(table), y, **more)
