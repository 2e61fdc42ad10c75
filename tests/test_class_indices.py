"""Labels of every type become indices, or are refused with the row."""

import numpy as np
import pytest
from fastreg import losses
from fastreg.data.arrays import class_indices

LOSS = losses.SparseCategoricalCrossentropy()
VALUES = [3, 0, 1, 2, 3, 0, 4]
TYPES = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "g", ">i4", ">i8", ">f4", ">f8"]
LAYOUTS = {
    "contiguous": lambda a: a,
    "every second": lambda a: np.repeat(a, 2)[::2],
    "reversed": lambda a: a[::-1].copy()[::-1],
    "a column": lambda a: np.stack([a, a], axis=1)[:, :1],
    "not aligned": lambda a: np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].view(a.dtype),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", TYPES)
def test_labels_of_every_type_and_layout(kind, layout):
    given = LAYOUTS[layout](np.array(VALUES, dtype=kind))
    found = class_indices(given, LOSS, 5, "y")
    assert found.dtype == np.int32
    assert found.tolist() == VALUES
    assert not np.shares_memory(found, given)


def test_labels_that_are_bools_and_no_labels():
    assert class_indices(np.array([True, False]), LOSS, 2, "y").tolist() == [1, 0]
    assert class_indices(np.array([], dtype=np.int64), LOSS, 2, "y").tolist() == []


@pytest.mark.parametrize("kind", [kind for kind in TYPES if "u" not in kind])
def test_a_label_below_zero_is_refused(kind):
    with pytest.raises(ValueError, match=r"y: labels must be in \[0, 5\) for 5 outputs, got -1.* in row 7"):
        class_indices(np.array([*VALUES, -1], dtype=kind), LOSS, 5, "y")


@pytest.mark.parametrize("kind", TYPES)
def test_a_label_beyond_the_classes_is_refused(kind):
    with pytest.raises(ValueError, match=r"y: labels must be in \[0, 4\) for 4 outputs, got 4.* in row 6"):
        class_indices(np.array(VALUES, dtype=kind), LOSS, 4, "y")


@pytest.mark.parametrize("label", [2**31, 2**31 + 1, 2**32, 2**32 + 1, 2**53 + 1, 2**63 - 1])
@pytest.mark.parametrize("kind", ["i8", "u8"])
def test_a_label_of_many_bits_is_not_cut_off(label, kind):
    with pytest.raises(ValueError, match=rf"got {label} in row 1"):
        class_indices(np.array([0, label], dtype=kind), LOSS, 5, "y")


@pytest.mark.parametrize("label", [0.5, 3.9999997, np.nan])
@pytest.mark.parametrize("kind", ["f4", "f8", "g", ">f8"])
def test_a_label_that_is_no_whole_number_is_refused(label, kind):
    with pytest.raises(ValueError, match=r"needs whole numbers as labels, got .* in row 7"):
        class_indices(np.array([*VALUES, label], dtype=kind), LOSS, 5, "y")


@pytest.mark.parametrize("label", [np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_infinity_is_refused(label, kind):
    with pytest.raises(ValueError, match=r"labels must be in .* got -?inf in row 1"):
        class_indices(np.array([0, label], dtype=kind), LOSS, 5, "y")


@pytest.mark.parametrize("kind", ["i1", "i2", "i8", "f4", ">i8"])
def test_labels_that_others_change_after_they_are_checked(kind):
    """The core uses indices as places in memory. An array that changes once it is checked stands for another thread."""
    labels = np.array(VALUES, dtype=kind)

    class Changing(np.ndarray):
        def max(self, *arguments, **options):
            largest = super().max(*arguments, **options)
            labels[2] = 100
            return largest

    loss = losses.SparseCategoricalCrossentropy(ignore_class=3)  # labels that do not count take the slower way
    found = class_indices(labels.view(Changing), loss, 5, "y")
    assert 0 <= found.min() <= found.max() < 5
