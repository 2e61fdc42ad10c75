"""The moment at which a search ends does not follow a clock that people set, and is the same on other machines."""

import pickle
import time

import pytest
from fastreg.search.folds.deadline import Deadline


def test_a_deadline_does_not_follow_a_clock_that_people_set(monkeypatch):
    end = Deadline(600.0)
    monkeypatch.setattr(time, "time", lambda: 1e10)
    assert not end.is_over
    assert 0.0 < end.left <= 600.0
    assert Deadline(-1.0).is_over


def test_no_module_measures_durations_with_such_a_clock():
    from pathlib import Path

    import fastreg

    sources = Path(fastreg.__file__).parent.rglob("*.py")
    assert not [path.name for path in sources if "time.time()" in path.read_text()]


def test_a_copy_of_a_deadline_has_the_seconds_that_were_left(monkeypatch):
    sent = pickle.dumps(Deadline(100.0))
    here = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: here - 1e6)  # another machine, whose clock began later
    assert pickle.loads(sent).left == pytest.approx(100.0, abs=5.0)
    assert pickle.loads(pickle.dumps(Deadline(-1.0))).is_over
