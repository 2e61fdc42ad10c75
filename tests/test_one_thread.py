"""What one thread does by itself: limits and seeds that hold within a with statement."""

from __future__ import annotations

import threading

import fastreg as fr
import pytest
from fastreg import utils

# --------------------------------------------------------------------------------------- what one thread does by itself

def in_another_thread(function):
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join(30)
    return results[0]


def test_a_thread_limit_is_for_its_thread():
    fr.set_num_threads(5)
    with fr.thread_limit(2):
        assert fr.get_num_threads() == 2
        assert in_another_thread(fr.get_num_threads) == 5
        fr.set_num_threads(7)
        assert fr.get_num_threads() == 2
        with fr.thread_limit(1):
            assert fr.get_num_threads() == 1
        with fr.thread_limit(3):
            assert fr.get_num_threads() == 2, "a limit within a limit can only lower it"
        assert fr.get_num_threads() == 2
        fr.set_num_threads(1)
        assert fr.get_num_threads() == 1, "it is a limit, not a number"
        fr.set_num_threads(7)
    assert fr.get_num_threads() == 7


def test_a_thread_limit_ends_with_an_exception():
    fr.set_num_threads(5)
    with pytest.raises(KeyError), fr.thread_limit(3), fr.thread_limit(2):
        raise KeyError
    assert fr.get_num_threads() == 5


def test_a_thread_limit_holds_only_within_with():
    fr.set_num_threads(5)
    limit = fr.thread_limit(2)
    assert fr.get_num_threads() == 5
    with limit:
        assert fr.get_num_threads() == 2


@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), (None, TypeError),
                                              (True, TypeError), (2**31, ValueError)])
def test_thread_limit_rejects(value, error):
    with pytest.raises(error, match="thread_limit: n"):
        fr.thread_limit(value)


def test_show_config_names_the_limit(capsys):
    fr.set_num_threads(5)
    with fr.thread_limit(4):
        fr.show_config()
        assert "4 (thread_limit)" in capsys.readouterr().out
    fr.show_config()
    assert "5 (set_num_threads)" in capsys.readouterr().out


def seeds(n=3):
    return [fr.Sequential().seed for _ in range(n)]


def test_a_default_seed_decides_the_seeds_of_its_thread():
    def within(seed):
        with utils.default_seed(seed):
            return seeds()

    first = within(5)
    assert len({*first, *within(6), *within(2**64 - 1)}) == 9
    assert first == within(5) == in_another_thread(lambda: within(5))
    with utils.default_seed(5):
        assert seeds(1) == first[:1]
        assert in_another_thread(lambda: seeds(1)) != first[1:2], "other threads draw their own"
        assert fr.Sequential(seed=7).seed == 7
        assert within(6) == within(6)
        assert seeds(2) == first[1:], "the inner one has ended, and the model with a seed took none"
    assert seeds() != first


def test_a_default_seed_comes_before_the_global_one(monkeypatch):
    monkeypatch.setattr("fastreg.utils.seeds._seeds", None)
    utils.set_random_seed(1)
    expected = seeds(2)
    utils.set_random_seed(1)
    assert seeds(1) == expected[:1]
    with utils.default_seed(2):
        assert seeds(1) != expected[1:]
    assert seeds(1) == expected[1:], "it went on where it was"
    with pytest.raises(KeyError), utils.default_seed(2):
        raise KeyError
    utils.set_random_seed(1)
    assert seeds(2) == expected


def test_models_take_seeds_from_many_threads_at_once(monkeypatch):
    monkeypatch.setattr("fastreg.utils.seeds._seeds", None)
    utils.set_random_seed(3)
    expected = seeds(400)
    utils.set_random_seed(3)
    drawn = [[] for _ in range(4)]
    threads = [threading.Thread(target=lambda into=into: into.extend(seeds(100))) for into in drawn]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seed for part in drawn for seed in part) == sorted(expected)


@pytest.mark.parametrize(("value", "error"), [(-1, ValueError), (2**64, ValueError), (0.5, TypeError),
                                              (None, TypeError)])
def test_default_seed_rejects(value, error):
    with pytest.raises(error, match="default_seed: seed"):
        utils.default_seed(value)
