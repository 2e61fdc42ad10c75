"""Folds: their properties beside scikit-learn's splitters, what every form of ``cv=`` means, and what is refused."""

import dataclasses
import pickle
import warnings

import numpy as np
import pytest
from fastreg.search.folds import cross_validation as cv
from hypothesis import given, settings
from hypothesis import strategies as st

sklearn = pytest.importorskip("sklearn.model_selection")

N = 60
Y = np.repeat([0, 1, 2], [30, 20, 10])
REAL = np.linspace(0.0, 1.0, N)
GROUPS = np.arange(N) // 4


def rows_of(pairs):
    return [(train.tolist(), test.tolist()) for train, test in pairs]


def assert_partition(pairs, n):
    """Every row is scored once, and trained on in all other folds."""
    for train, test in pairs:
        assert train.dtype == test.dtype == np.uint32
        assert np.array_equal(np.union1d(train, test), np.arange(n))
        assert not np.intersect1d(train, test).size
    assert np.array_equal(np.sort(np.concatenate([test for _, test in pairs])), np.arange(n))


@given(n=st.integers(2, 80), k=st.integers(2, 10), seed=st.integers(0, 2**64 - 1))
@settings(max_examples=60, deadline=None)
def test_k_fold_has_parts_of_equal_size(n, k, seed):
    if n < k:
        with pytest.raises(ValueError, match=f"cv: {k} folds need as many rows at least, got {n}"):
            cv.make_folds(k, None, np.zeros(n), seed=seed)
        return
    pairs = cv.make_folds(k, None, np.zeros(n), seed=seed)
    assert_partition(pairs, n)
    sizes = sorted(len(test) for _, test in pairs)
    theirs = sorted(len(test) for _, test in sklearn.KFold(k).split(np.zeros(n)))
    assert sizes == theirs


@given(labels=st.lists(st.integers(0, 3), min_size=20, max_size=90), k=st.integers(2, 5), seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_stratified_shares_are_as_even_as_scikit_learns(labels, k, seed):
    y = np.array(labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pairs = cv.make_folds(k, None, y, seed=seed, classes=True)
    assert_partition(pairs, len(y))
    assert max(len(t) for _, t in pairs) - min(len(t) for _, t in pairs) <= 1
    for label in np.unique(y):
        counts = [int((y[test] == label).sum()) for _, test in pairs]
        assert max(counts) - min(counts) <= 1
    if np.bincount(y, minlength=4)[np.unique(y)].min() >= k:
        split = sklearn.StratifiedKFold(k).split(y, y)
        theirs = [sorted(int((y[test] == label).sum()) for label in np.unique(y)) for _, test in split]
        assert np.sum(theirs) == len(y)
        for label in np.unique(y):
            ours = sorted(int((y[test] == label).sum()) for _, test in pairs)
            assert ours == sorted(int((y[t] == label).sum()) for _, t in sklearn.StratifiedKFold(k).split(y, y))


def test_an_int_is_shuffled_by_the_seed_and_stratified_for_classes():
    first, again, other = (rows_of(cv.make_folds(3, None, Y, seed=seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    for _, test in cv.make_folds(5, None, Y):
        assert np.bincount(Y[test]).tolist() == [6, 4, 2]
    _, test = cv.make_folds(2, None, REAL)[0]
    assert not np.array_equal(test, np.arange(30))
    assert rows_of(cv.make_folds(3, None, Y)) == rows_of(cv.make_folds(cv.KFold(3), None, Y))
    assert rows_of(cv.make_folds(np.int64(3), None, Y)) == rows_of(cv.make_folds(3, None, Y))


def test_stratified_false_and_real_targets_do_not_look_at_classes():
    plain = rows_of(cv.make_folds(cv.KFold(3, stratified=False), None, Y))
    assert plain == rows_of(cv.make_folds(3, None, REAL))
    assert plain == rows_of(cv.make_folds(3, None, Y, classes=False))
    assert plain != rows_of(cv.make_folds(3, None, Y))


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (np.array([True, False] * 5), True),
        (np.array(["a", "b"] * 5), True),
        (np.array(["a", "b"] * 5, dtype=object), True),
        (np.arange(10) % 3, True),
        (np.arange(10), False),  # each value once
        (np.arange(1000) % 101, False),
        (np.arange(1000) % 100, True),
        (np.arange(10) % 2 + 0.0, False),
        (np.eye(2)[np.arange(10) % 2], False),
        (np.array([0.5, "a"] * 5, dtype=object), False),
    ],
)
def test_what_are_classes(y, classes):
    assert (cv.class_labels(y) is not None) == classes
    assert (cv.class_labels(y, False)) is None


def test_class_labels_of_a_loss_that_says_so():
    assert cv.class_labels(np.array([2.0, 7.0, 2.0]), True).tolist() == [0, 1, 0]
    assert cv.class_labels(np.array([[0, 1], [1, 0]]), True).tolist() == [1, 0]
    assert cv.class_labels(np.array([["b"], ["a"]])).tolist() == [1, 0]


def test_a_rare_class_warns_and_is_an_error_where_stratified_was_asked_for():
    y = np.array([0] * 10 + [1] * 2)
    with pytest.warns(UserWarning, match=r"class number 1 \(in sorted order\) has 2 rows, fewer than the 3 folds"):
        cv.make_folds(3, None, y)
    with pytest.raises(ValueError, match="2 rows, fewer than the 3 folds; use fewer folds, or stratified=False"):
        cv.make_folds(cv.KFold(3, stratified=True), None, y)
    with pytest.raises(ValueError, match="stratified=True needs targets that are classes"):
        cv.make_folds(cv.KFold(3, stratified=True), None, REAL)


def test_a_class_that_training_lacks_warns():
    with pytest.warns(UserWarning, match="cv: fold 0 is scored on 1 of 2 classes that its training rows lack"):
        cv.make_folds([([0, 1], [2, 3])], None, np.array([0, 0, 0, 1]))


@given(seed=st.integers(0, 2**32), k=st.integers(2, 6))
@settings(max_examples=40, deadline=None)
def test_groups_stay_whole(seed, k):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 12, 100)
    pairs = cv.make_folds(cv.GroupKFold(k), None, np.zeros(100), groups=groups, seed=seed)
    assert_partition(pairs, 100)
    for train, test in pairs:
        assert not set(groups[train]) & set(groups[test])
    # Filled greedily, largest first, no part exceeds the mean by more than the largest group; scikit-learn's are such.
    theirs = [len(test) for _, test in sklearn.GroupKFold(k).split(np.zeros(100), groups=groups)]
    assert sorted(len(test) for _, test in pairs) == sorted(theirs)


def test_groups_with_an_int_and_a_share():
    labels = np.array([f"g{g}" for g in GROUPS], dtype=object)
    assert rows_of(cv.make_folds(3, None, Y, groups=labels)) == rows_of(
        cv.make_folds(cv.GroupKFold(3), None, Y, groups=GROUPS.astype(str))
    )
    [(train, test)] = cv.make_folds(0.2, None, REAL, groups=GROUPS)
    assert len(test) == 12
    assert not set(GROUPS[train]) & set(GROUPS[test])
    with pytest.raises(ValueError, match="GroupKFold needs groups"):
        cv.make_folds(cv.GroupKFold(3), None, Y)
    with pytest.raises(ValueError, match="16 folds need as many groups at least, got 15"):
        cv.make_folds(16, None, Y, groups=GROUPS)
    with pytest.raises(ValueError, match=r"groups: must have shape \(60,\), one label for each row, got \(3,\)"):
        cv.make_folds(3, None, Y, groups=[1, 2, 3])


@pytest.mark.parametrize("n", [20, 23])
@pytest.mark.parametrize(
    "options", [{}, {"gap": 2}, {"test_size": 2}, {"max_train_size": 5}, {"gap": 1, "test_size": 3},
                {"gap": 2, "max_train_size": 3}], ids=str
)
def test_time_series_is_scikit_learns(n, options):
    ours = rows_of(cv.make_folds(cv.TimeSeriesSplit(4, **options), None, np.zeros(n), seed=3))
    theirs = [(a.tolist(), b.tolist()) for a, b in sklearn.TimeSeriesSplit(4, **options).split(np.zeros(n))]
    assert ours == theirs


def test_time_series_too_short():
    with pytest.raises(ValueError, match="leaves nothing to train on in the first fold of 5 rows"):
        cv.make_folds(cv.TimeSeriesSplit(4, gap=1), None, np.zeros(5))
    with pytest.raises(ValueError, match="of 3 rows"):
        cv.make_folds(cv.TimeSeriesSplit(4), None, np.zeros(3))


def test_repeats_differ():
    pairs = cv.make_folds(cv.RepeatedKFold(3, 4), None, Y, seed=5)
    assert len(pairs) == 12
    repeats = [tuple(map(tuple, rows_of(pairs[i : i + 3]))) for i in range(0, 12, 3)]
    for i in range(0, 12, 3):
        assert_partition(pairs[i : i + 3], N)
    assert len({str(repeat) for repeat in repeats}) == 4
    # The first repeats do not depend on how many follow.
    assert rows_of(cv.make_folds(cv.RepeatedKFold(3, 2), None, Y, seed=5)) == rows_of(pairs)[:6]


def test_hold_out_is_stratified():
    [(train, test)] = cv.make_folds(0.3, None, Y, seed=1)
    assert np.bincount(Y[test]).tolist() == [9, 6, 3]
    assert len(train) == 42
    assert_partition([(train, test), (test, train)], N)
    assert rows_of(cv.make_folds(cv.HoldOut(0.3), None, Y, seed=1)) == rows_of([(train, test)])
    assert rows_of(cv.make_folds(0.3, None, Y, seed=2)) != rows_of([(train, test)])


@given(counts=st.lists(st.integers(1, 30), min_size=1, max_size=5), share=st.floats(0.05, 0.95))
@settings(max_examples=80, deadline=None)
def test_shares_of_classes_are_off_by_less_than_one_row(counts, share):
    y = np.repeat(np.arange(len(counts)), counts)
    n = len(y)
    if not 0 < round(n * share) < n:
        with pytest.raises(ValueError, match="both need one at least"):
            cv.make_folds(share, None, y, classes=True)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        [(_, test)] = cv.make_folds(share, None, y, classes=True)
    assert len(test) == round(n * share)
    for label, count in enumerate(counts):
        assert abs((y[test] == label).sum() - count * len(test) / n) <= 1


def test_inner_split_keeps_copies_of_a_row_together():
    rows = np.array([5, 3, 3, 9, 7, 7, 7, 1, 2, 4], np.uint32)
    labels = np.arange(10) % 2
    train, held = cv.inner_split(rows, 0.3, labels, 0)
    assert len(held) == 2
    assert not np.intersect1d(train, held).size
    assert np.array_equal(np.union1d(train, held), np.unique(rows))
    assert train.dtype == held.dtype == np.uint32
    assert [row for row in rows if row in set(train)] == train.tolist()
    with pytest.raises(ValueError, match=r"validation_split: 0\.1 of 2 rows to train on leaves 2 for one side and 0"):
        cv.inner_split(rows[1:4], 0.1, None, 0)


def test_pairs_are_taken_as_they_are():
    mask = np.arange(N) < 10
    pairs = cv.make_folds([([5, 3, 3], range(10, 12)), (~mask, mask)], None, REAL)
    assert pairs[0][0].tolist() == [5, 3, 3]
    assert pairs[0][1].tolist() == [10, 11]
    assert pairs[1][1].tolist() == list(range(10))
    assert rows_of(cv.make_folds(iter([(mask, ~mask)]), None, REAL))[0][0] == list(range(10))


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "there must be one fold at least, got an empty list"),
        ([([0], [])], "the scored rows of fold 0: there must be one at least"),
        ([([], [0])], "the training rows of fold 0: there must be one at least"),
        ([([0], [60])], r"the scored rows of fold 0 must be in \[0, 60\), got 60"),
        ([([-1], [0])], r"the training rows of fold 0 must be in \[0, 60\), got -1"),
        ([([0, 1, 2], [3]), ([0, 1, 2], [2, 1])], "fold 1 has 2 rows on both sides, row 1 the first"),
        ([([0.5], [1])], "must be a list of row numbers or a mask"),
        ([([0, 1],)], r"fold 0 must be a pair \(train, test\)"),
        ([3], r"fold 0 must be a pair \(train, test\)"),
        ([([True, False], [1])], r"a mask must have shape \(60,\), one for each row, got \(2,\)"),
    ],
)
def test_bad_pairs(pairs, message):
    with pytest.raises(ValueError, match=message):
        cv.make_folds(pairs, None, REAL)


@pytest.mark.parametrize("bad", [None, True, "5", b"x", object(), 3 + 0j])
def test_what_is_no_cv(bad):
    with pytest.raises(TypeError, match=r"cv: must be an int, a float, a splitter or a list of \(train, test\) pairs"):
        cv.make_folds(bad, None, Y)


@pytest.mark.parametrize("bad", [1, 0, -3, 0.0, 1.0, 1.5, float("nan")])
def test_numbers_out_of_range(bad):
    with pytest.raises(ValueError, match="cv: "):
        cv.make_folds(bad, None, Y)


@pytest.mark.parametrize(
    "make",
    [
        lambda: cv.KFold(1),
        lambda: cv.GroupKFold(1),
        lambda: cv.RepeatedKFold(5, 0),
        lambda: cv.TimeSeriesSplit(0),
        lambda: cv.TimeSeriesSplit(5, gap=-1),
        lambda: cv.TimeSeriesSplit(5, test_size=0),
        lambda: cv.HoldOut(1.0),
        lambda: cv.HoldOut(0),
    ],
)
def test_splitters_check_their_arguments(make):
    with pytest.raises(ValueError, match="must be"):
        make()


@pytest.mark.parametrize("bad", [2.5, "5", True])
def test_splitters_check_types(bad):
    with pytest.raises(TypeError, match="KFold: n_splits must be an integer"):
        cv.KFold(bad)


@pytest.mark.parametrize(
    "splitter", [cv.KFold(3), cv.GroupKFold(4), cv.TimeSeriesSplit(3, 1), cv.RepeatedKFold(3, 2), cv.HoldOut(0.3)]
)
def test_splitters_are_plain_values(splitter):
    assert pickle.loads(pickle.dumps(splitter)) == splitter
    assert eval(repr(splitter), vars(cv)) == splitter
    assert hash(splitter) == hash(dataclasses.replace(splitter))


@pytest.mark.parametrize(
    ("splitter", "groups"),
    [
        (sklearn.KFold(4), None),
        (sklearn.StratifiedKFold(4, shuffle=True, random_state=3), None),
        (sklearn.LeaveOneGroupOut(), GROUPS),
        (sklearn.StratifiedGroupKFold(3), GROUPS),
        (sklearn.PredefinedSplit(np.arange(N) % 3 - 1), None),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.filterwarnings("ignore:cv. fold")  # unshuffled KFold leaves classes out
def test_scikit_learns_splitters(splitter, groups):
    x = np.zeros((N, 2))
    ours = rows_of(cv.make_folds(splitter, x, Y, groups=groups))
    assert ours == [(a.tolist(), b.tolist()) for a, b in splitter.split(x, Y, groups)]


@pytest.mark.parametrize("make", [lambda: sklearn.ShuffleSplit(3), lambda: sklearn.KFold(3, shuffle=True)])
def test_a_splitter_without_a_seed_gets_the_searchs(make):
    splitter = make()
    first, again, other = (rows_of(cv.make_folds(splitter, None, REAL, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert splitter.random_state is None


def test_folds_of_lists_and_columns():
    expected = rows_of(cv.make_folds(3, None, Y))
    assert rows_of(cv.make_folds(3, None, Y.tolist())) == expected
    assert rows_of(cv.make_folds(3, None, Y[:, None])) == expected
    with pytest.raises(ValueError, match="y: must hold a target for each row"):
        cv.make_folds(3, None, [])


def test_take():
    rows = np.array([2, 0], np.uint32)
    assert cv.take([10, 11, 12], rows).tolist() == [12, 10]
    assert cv.take(np.arange(6).reshape(3, 2), rows).tolist() == [[4, 5], [0, 1]]
    sparse = pytest.importorskip("scipy.sparse")
    assert cv.take(sparse.csr_matrix(np.eye(3)), rows).toarray().tolist() == [[0, 0, 1], [1, 0, 0]]


def test_take_of_a_data_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]}, index=[7, 8, 9])
    assert cv.take(frame, np.array([2, 0], np.uint32))["b"].tolist() == ["z", "x"]


def share_of_ones(pairs, y):
    return np.array([y[test].mean() for _, test in pairs])


@given(seed=st.integers(0, 2**32), k=st.integers(2, 6))
@settings(max_examples=40, deadline=None)
def test_stratified_groups_stay_whole(seed, k):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 12, 100)
    y = rng.integers(0, 3, 100)
    pairs = cv.make_folds(cv.StratifiedGroupKFold(k), None, y, groups=groups, seed=seed, classes=True)
    assert_partition(pairs, 100)
    for train, test in pairs:
        assert not set(groups[train]) & set(groups[test])
    again = cv.make_folds(cv.StratifiedGroupKFold(k), None, y, groups=groups, seed=seed, classes=True)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(pairs, again, strict=True))


def test_stratified_groups_have_even_shares():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), rng.integers(1, 12, 60))
    y = (rng.random(60) < 0.3)[groups].astype(int) ^ (rng.random(len(groups)) < 0.05)
    pairs = cv.make_folds(cv.StratifiedGroupKFold(4), None, y, groups=groups)
    plain = cv.make_folds(cv.GroupKFold(4), None, y, groups=groups)
    theirs = list(sklearn.StratifiedGroupKFold(4, shuffle=True, random_state=0).split(y, y, groups))
    assert share_of_ones(pairs, y).std() < 0.5 * share_of_ones(plain, y).std()
    assert share_of_ones(pairs, y).std() < 1.5 * share_of_ones(theirs, y).std() + 0.01
    sizes = np.array([len(test) for _, test in pairs])
    assert sizes.std() < 0.1 * sizes.mean()


def test_stratified_groups_that_cannot_be():
    y, groups = np.array([0, 1] * 6), np.repeat([0, 1, 2], 4)
    with pytest.raises(ValueError, match="StratifiedGroupKFold needs groups; give fit groups="):
        cv.make_folds(cv.StratifiedGroupKFold(2), None, y)
    with pytest.raises(ValueError, match="StratifiedGroupKFold needs targets that are classes"):
        cv.make_folds(cv.StratifiedGroupKFold(2), None, y + 0.5, groups=groups)
    with pytest.raises(ValueError, match="4 folds need as many groups at least, got 3"):
        cv.make_folds(cv.StratifiedGroupKFold(4), None, y, groups=groups)
    with pytest.raises(ValueError, match="StratifiedGroupKFold: n_splits must be >= 2, got 1"):
        cv.StratifiedGroupKFold(1)
    whole = cv.make_folds(cv.StratifiedGroupKFold(3), None, np.repeat([0, 1], 6), groups=groups, classes=True)
    assert sorted(len(test) for _, test in whole) == [4, 4, 4], "no part stays empty"


@pytest.mark.filterwarnings("ignore:cv. fold")  # a group may have all rows of a class
@given(seed=st.integers(0, 2**32), k=st.integers(2, 6), more=st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_no_part_of_few_stratified_groups_is_empty(seed, k, more):
    """One group has nearly all rows, and the shares of the classes would be most even if others were put together."""
    rng = np.random.default_rng(seed)
    groups = np.concatenate([np.arange(k + more), np.zeros(30, np.int64)])
    y = np.concatenate([rng.integers(0, 2, k + more), np.tile([0, 1], 15)])
    pairs = cv.make_folds(cv.StratifiedGroupKFold(k), None, y, groups=groups, seed=seed, classes=True)
    assert len(pairs) == k
    assert_partition(pairs, len(y))
    assert all(len(test) for _, test in pairs)


def test_groups_may_be_labels_of_several_types():
    labels = [None, "a", 1, 2.5, (1, 2)]
    array = np.empty(60, object)
    array[:] = [labels[g % 5] for g in GROUPS]
    pairs = cv.make_folds(cv.GroupKFold(5), None, Y, groups=array)
    scored = [list({str(label) for label in array[test]}) for _, test in pairs]
    assert sorted(scored) == sorted([str(label)] for label in labels)
