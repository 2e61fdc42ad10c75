"""What `fastreg tune` says to do next: each rule speaks when it applies, and is silent otherwise."""

from types import SimpleNamespace

import numpy as np
import pytest
from fastreg.tune.advice import advise
from fastreg.tune.outcome import Contender, RowCounts
from fastreg.tune.scores import ClassScores, Scores

EVEN = (ClassScores("a", 5000, 0.9, 0.9, 0.9), ClassScores("b", 5000, 0.9, 0.9, 0.9))
RARE = (ClassScores("a", 9985, 0.9, 0.9, 0.9), ClassScores("b", 15, 0.9, 0.9, 0.25))


def result(best=0.9, linear=0.8, constant=0.5, train=0.91, n=9000, classes=EVEN, rows=10_000, unseen=0, trials=64,
           stopped_by="trials", importance=None, alike=0.0):
    """A result as the rules see it."""
    def scores(value):
        return Scores(rows, {"accuracy": value}, classes, None, unseen)

    named = {"network": best, "linear model": linear, "always 'a'": constant}
    return SimpleNamespace(
        contenders=tuple(Contender(name, scores(value)) for name, value in named.items()), scores=scores(best),
        train_scores=scores(train), rows=RowCounts(n, rows, 0, ""),
        search=SimpleNamespace(n_trials_=trials, alike_=alike),
        is_network=trials > 0, stopped_by=stopped_by, importance=importance,
    )


def importance(*means):
    found = np.array(means)
    return SimpleNamespace(names=[f"c{i}" for i in range(len(means))], importances_mean=found,
                           importances_std=np.full(len(means), 0.01))


RULES = {
    "The time ended the search after 3 networks": {"trials": 3, "stopped_by": "time"},
    "The time ended before a network was found": {"trials": 0, "stopped_by": "time"},
    "It was interrupted before a network was found": {"trials": 0, "stopped_by": "interrupt"},
    "The search was interrupted": {"stopped_by": "interrupt"},
    "errors of a linear model correlate by 0.87": {"alike": 0.873},
    "hardly better than that of always 'a'": {"best": 0.5},
    "A linear model does about as well": {"linear": 0.9},
    "is rare: look for a column": {"best": 1.0, "train": 1.0},
    "more rows, or fewer columns": {"train": 1.0},
    "only 400 rows to learn from": {"n": 400},
    "fix the accuracy to about": {"rows": 100},
    "7 of the rows held back have a class": {"unseen": 7},
    "Rare classes: 'b' (15 rows, F1 0.25)": {"classes": RARE},
    "Column 'c0' decides nearly everything": {"importance": importance(0.4, 0.0)},
    "The model hardly uses 'c1'": {"importance": importance(0.4, 0.0, 0.3)},
}


def test_nothing_to_say():
    assert advise(result()) == ()
    assert advise(result(importance=importance(0.2, 0.3))) == ()


@pytest.mark.parametrize("text", RULES)
def test_each_rule_speaks(text):
    assert any(text in sentence for sentence in advise(result(**RULES[text])))
