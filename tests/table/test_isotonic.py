"""Isotonic calibration: the curves of scikit-learn, when they are chosen, files, and frozen models."""

from __future__ import annotations

import dataclasses
import json

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers
from fastreg.model import files
from fastreg.model.core import core_of
from fastreg.table import Recipe, TableClassifier, TableModel, Target, calibrating
from fastreg.table.calibrating import LEAST_ROWS, MOST_CLASSES, Calibration, calibration
from fastreg.table.calibration import LEAST, tempered
from fastreg.table.encoder import TableEncoder
from fastreg.table.isotonic import Curve, Isotonic, pooled
from fastreg.table.serving import table_predictor
from helpers.recipes import TINY, rows_of
from programs import refusal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression, isotonic_regression


def drawn(rng, n, k, distort):
    """Probabilities of k classes that are distorted, as a network gives them, and labels drawn by the true ones."""
    if k == 2:
        true = rng.beta(0.7, 1.5, n)
        return distort(true)[:, None].astype(np.float32), (rng.random(n) < true).astype(np.int32)
    true = rng.dirichlet(np.full(k, 0.8), n)
    given = distort(true)
    truth = (rng.random((n, 1)) > np.cumsum(true, axis=1)).sum(axis=1).clip(0, k - 1).astype(np.int32)
    return (given / given.sum(axis=1, keepdims=True)).astype(np.float32), truth


def bent(shares):
    """No temperature undoes this."""
    return np.where(shares < 0.4, 0.1 * shares, 0.4 + 0.5 * (shares - 0.4) / 0.6)


class TestPooling:
    @pytest.mark.parametrize("n", [1, 2, 3, 50, 2000])
    @pytest.mark.parametrize("kind", ["numbers", "labels", "rising", "last"])
    def test_values_are_those_of_scikit_learn(self, rng, n, kind):
        y = {
            "numbers": rng.normal(size=n),
            "labels": (rng.random(n) < np.linspace(0, 1, n)).astype(float),
            "rising": np.arange(n) + 2.0 * rng.normal(size=n),
            "last": np.append(np.arange(n - 1.0), -1.0),  # violators appear one after the other
        }[kind]
        weights = rng.uniform(0.1, 3.0, n)
        expected = isotonic_regression(y, sample_weight=weights)
        size = np.abs(y).max() + 1.0
        np.testing.assert_allclose(pooled(y, weights), expected, rtol=0, atol=4 * n * np.finfo(float).eps * size)
        assert (np.diff(pooled(y, weights)) >= 0).all()

    @pytest.mark.parametrize("weighted", [False, True])
    def test_a_curve_is_that_of_scikit_learn_with_two_rows_more(self, rng, weighted):
        shares, truth = drawn(rng, 3000, 2, bent)
        shares = np.round(shares[:, 0].astype(float), 3)  # with ties
        weights = rng.uniform(0.5, 2.0, 3000) if weighted else np.ones(3000)
        curve = Curve.fit(shares, truth, weights if weighted else None)
        oracle = IsotonicRegression(y_min=LEAST, y_max=1 - LEAST, out_of_bounds="clip").fit(
            np.r_[shares, shares.min(), shares.max()],
            np.r_[truth, 1, 0],
            sample_weight=np.r_[weights, np.full(2, weights.mean())],
        )
        grid = np.linspace(0, 1, 5001)
        np.testing.assert_allclose(curve(grid), oracle.predict(grid), rtol=0, atol=3000 * np.finfo(float).eps)
        assert 2 < len(curve.x) < 200
        assert (np.diff(curve(grid)) >= 0).all()

    def test_rows_without_weight_are_left_out(self, rng):
        shares, truth = drawn(rng, 500, 2, bent)
        weights = (np.arange(500) % 3 > 0).astype(float)
        kept = weights > 0
        assert Isotonic.fit(shares, truth, weights) == Isotonic.fit(shares[kept], truth[kept])

    def test_two_classes_are_calibrated_as_by_scikit_learn(self, rng):
        """CalibratedClassifierCV is given the two rows that a curve adds."""

        class Given(ClassifierMixin, BaseEstimator):
            def fit(self, x, y):
                self.classes_ = np.unique(y)
                return self

            def predict_proba(self, x):
                return np.column_stack([1 - x[:, 0], x[:, 0]])

            def predict(self, x):
                return self.classes_[(x[:, 0] > 0.5).astype(int)]

        shares, truth = drawn(rng, 2000, 2, bent)
        shares = shares.astype(float)
        x, y = np.r_[shares, [shares.min(0)], [shares.max(0)]], np.r_[truth, 1, 0]
        oracle = CalibratedClassifierCV(FrozenEstimator(Given().fit(x, y)), method="isotonic", ensemble=False)
        expected = oracle.fit(x, y).predict_proba(shares)[:, 1]
        found = Isotonic.fit(shares, truth)(shares)[:, 0]
        np.testing.assert_allclose(found, expected, rtol=0, atol=np.finfo(np.float32).eps)

    def test_several_classes_are_each_against_the_rest_and_divided_by_their_sum(self, rng):
        shares, truth = drawn(rng, 4000, 4, lambda p: p**2)
        columns = []
        for k in range(4):
            p = shares[:, k].astype(float)
            fitted = IsotonicRegression(y_min=LEAST, y_max=1 - LEAST, out_of_bounds="clip").fit(
                np.r_[p, p.min(), p.max()], np.r_[truth == k, 1, 0].astype(float)
            )
            columns.append(fitted.predict(p))
        expected = np.stack(columns, axis=1)
        expected /= expected.sum(axis=1, keepdims=True)
        found = Isotonic.fit(shares, truth)(shares)
        np.testing.assert_allclose(found, expected, rtol=0, atol=np.finfo(np.float32).eps)

    @pytest.mark.parametrize("k", [2, 3])
    def test_probabilities_stay_within_their_bounds(self, rng, k):
        """Also for rows that are separated, and for probabilities of 0 and 1."""
        shares, truth = drawn(rng, 400, k, lambda p: p)
        truth = (shares[:, 0] > 0.5).astype(np.int32) if k == 2 else shares.argmax(axis=1)
        fitted = Isotonic.fit(shares, truth)
        found = fitted(np.concatenate([shares, np.zeros_like(shares[:1]), np.ones_like(shares[:1])]))
        assert found.dtype == np.float32
        assert ((found > 0) & (found < 1)).all()
        if k == 3:
            np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-6)
        one = Isotonic.fit(np.full_like(shares, 0.5), truth)  # a single probability
        assert ((one(shares) > 0) & (one(shares) < 1)).all()


class TestChoice:
    @pytest.mark.parametrize("k", [2, 3])
    def test_what_no_temperature_undoes_gets_curves(self, rng, k):
        shares, truth = drawn(rng, 12_000, k, bent)
        found = calibration(shares, truth)
        assert found.isotonic is not None
        assert found.temperature == 1.0
        assert found.reason.startswith("isotonic; cross-validated log-loss ")

        def loss(p, t):
            own = np.where(t == 1, p[:, 0], 1 - p[:, 0]) if k == 2 else p[np.arange(len(t)), t]
            return -np.log(own).mean()

        new, labels = drawn(rng, 12_000, k, bent)
        heated = calibration(shares[:100], truth[:100])
        assert heated.isotonic is None
        assert loss(found.isotonic(new), labels) < loss(tempered(new, heated.temperature), labels) - 0.003

    def test_calibrated_probabilities_and_those_of_a_temperature_keep_it(self):
        for seed in range(8):
            rng = np.random.default_rng(seed)
            shares, truth = drawn(rng, 4000, 2, lambda p: p)
            for given in (shares, tempered(shares, 0.5)):
                found = calibration(given, truth)
                assert found.isotonic is None
                assert found.reason.startswith(f"temperature {found.temperature:.3g}; cross-validated")

    def test_it_takes_enough_rows_of_the_rarest_class(self, rng):
        shares, truth = drawn(rng, 12_000, 2, bent)
        rows = np.r_[np.flatnonzero(truth == 0)[:5000], np.flatnonzero(truth == 1)[:LEAST_ROWS]]
        assert calibration(shares[rows], truth[rows]).isotonic is not None
        fewer = calibration(shares[rows[:-1]], truth[rows[:-1]])
        assert fewer.isotonic is None
        assert "1,000 judged rows of the rarest class, it has 999" in fewer.reason
        weights = np.ones(len(rows))
        weights[-1] = 0.0
        assert calibration(shares[rows], truth[rows], weights).reason == fewer.reason
        assert calibration(shares[rows], truth[rows], 2.0 * np.ones(len(rows))).isotonic is not None

    def test_a_class_that_no_row_has_keeps_the_temperature(self, rng):
        shares, truth = drawn(rng, 9000, 3, bent)
        assert "it has 0" in calibration(shares, truth % 2).reason

    def test_rows_of_a_group_count_as_one(self, rng):
        """Chance that is repeated fifty times looks like a better loss, unless the groups are known."""
        shares, truth = drawn(rng, 80, 2, lambda p: p)
        shares, truth, groups = (np.repeat(part, 50, axis=0) for part in (shares, truth, np.arange(80)))
        assert calibration(shares, truth).isotonic is not None
        assert calibration(shares, truth, groups=7 * groups).isotonic is None

    @pytest.mark.parametrize("rows_of_a_group", [1, 7])
    def test_a_part_of_many_rows_is_compared(self, rows_of_a_group):
        groups = None if rows_of_a_group == 1 else np.arange(100_000) // rows_of_a_group
        rows, units, folds = calibrating._drawn(100_000, groups)
        assert 29_000 < len(rows) <= 30_000 + rows_of_a_group
        assert len(np.unique(rows)) == len(rows)
        assert np.array_equal(np.unique(units), np.arange(units.max() + 1))
        share = np.bincount(folds) / len(rows)
        assert len(share) == 5
        assert np.abs(share - 0.2).max() < 0.01
        of_group = [set(folds[units == unit]) for unit in units[:50]]
        assert all(len(found) == 1 for found in of_group)
        every, _, _ = calibrating._drawn(30_000, None)
        assert np.array_equal(every, np.arange(30_000))

    def test_few_groups_keep_the_temperature(self, rng):
        shares, truth = drawn(rng, 8000, 2, lambda p: p**3 / (p**3 + (1 - p)))
        groups = np.arange(8000) % 5
        assert calibration(shares, truth, groups=groups).isotonic is not None
        kept = calibration(shares, truth, groups=groups % 4)
        assert kept.isotonic is None
        assert kept.reason.endswith("isotonic curves need 5 groups of judged rows, there are 4")

    def test_many_classes_and_soft_targets_keep_the_temperature(self, rng):
        k = MOST_CLASSES + 1
        truth = np.repeat(np.arange(k), LEAST_ROWS)
        shares = rng.dirichlet(np.ones(k), len(truth)).astype(np.float32)
        assert "take 32 classes, not 33" in calibration(shares, truth).reason
        soft = calibration(shares[:50, :1], shares[:50, 1])
        assert soft.isotonic is None
        assert "need classes" in soft.reason


CURVES = {
    1: Isotonic((Curve((0.1, 0.4, 0.45, 0.9), (0.02, 0.02, 0.5, 0.97)),)),
    3: Isotonic(tuple(Curve((0.05 * k, 0.3, 0.8), (1e-6, 0.1 + 0.1 * k, 1 - 1e-6)) for k in range(1, 4))),
}


@pytest.mark.parametrize("temperature", [1.0, 1.4])
@pytest.mark.parametrize("units", [1, 3])
def test_the_core_finishes_as_python(units, temperature, rng):
    """On both sides of every point, at 0 and 1, and for many rows."""
    shares = rng.dirichlet(np.full(units, 0.5), 3000) if units > 1 else rng.random((3000, 1))
    points = [p for x in (curve.x for curve in CURVES[units].curves) for p in x]
    shares[: len(points), 0] = points
    shares[len(points) : len(points) + 2] = [[0.0] * units, [1.0] * units]
    shares = shares.astype(np.float32)
    encoder = TableEncoder(["categorical"] * units, dense=False).fit(np.zeros((20, units)))
    model = fr.Sequential([layers.Dense(units, use_bias=False, kernel_initializer="identity")], seed=0)
    model.build(units)
    predictor = table_predictor(model.freeze(), [encoder], None, temperature, CURVES[units])
    found = predictor(shares.astype(np.float64))
    expected = CURVES[units](tempered(shares, temperature))
    assert np.abs(expected - shares).max() > 0.05
    np.testing.assert_allclose(found, expected, rtol=4e-6, atol=1e-9)
    np.testing.assert_array_equal(predictor(shares[7:8].astype(np.float64)), found[7:8])
    gap = np.full((1, units), np.nan)
    assert np.isnan(predictor(gap)).all() == np.isnan(CURVES[units](gap)).all()


def fitted(task):
    table, _, _ = rows_of(task)
    made = TableClassifier(preset=Recipe(small=TINY, trials=2), time=None, seed=3, jobs=1).fit(table, "y")
    units = 1 if task == "binary" else 3
    made._take(dataclasses.replace(made.model_, temperature=1.0, isotonic=CURVES[units]))
    return table, made


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_files_and_frozen_models_have_the_curves(task, tmp_path):
    table, made = fitted(task)
    plain = dataclasses.replace(made.model_, isotonic=None)
    assert np.abs(plain.outputs(table) - made.model_.outputs(table)).max() > 0.05
    shares = made.predict_proba(table)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-6)
    made.save(tmp_path / "m.safetensors")
    loaded = TableClassifier.load(tmp_path / "m.safetensors")
    assert loaded.model_.isotonic == made.model_.isotonic
    np.testing.assert_array_equal(loaded.predict_proba(table), shares)
    frozen, codes = loaded.model_.freeze(), loaded.model_.schema.codes(table)
    assert frozen.table_predictor is not None
    np.testing.assert_allclose(frozen(codes), made.model_.outputs(table), rtol=0, atol=1e-4)  # curves are steep
    expected, _ = loaded.model_.finished(np.asarray(frozen.predictor(loaded.model_.features(codes))))
    np.testing.assert_allclose(frozen(codes), expected, rtol=1e-6)


CURVE = {"x": [0.1, 0.5], "y": [0.2, 0.3]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "isotonic must be of type list"),
        ([], "a curve for each of the 1 outputs, got 0"),
        ([CURVE, CURVE], "a curve for each of the 1 outputs, got 2"),
        ([3], "isotonic must be of type dict"),
        ([CURVE | {"z": 1}], "unknown member 'z'"),
        ([{"x": [0.1]}], r"isotonic.y must be of type list"),
        ([CURVE | {"x": [0.1, "a"]}], r"isotonic.x must be a finite number"),
        ([CURVE | {"x": [0.1, 10**400]}], r"isotonic.x must be a finite number"),
        ([CURVE | {"x": [0.1]}], "as many x as y, and one at least, got 1 and 2"),
        ([{"x": [], "y": []}], "as many x as y, and one at least, got 0 and 0"),
        ([CURVE | {"x": [0.5, 0.5]}], "isotonic.x must ascend strictly"),
        ([CURVE | {"y": [0.3, 0.2]}], "isotonic.y must be within .* and must not fall"),
        ([CURVE | {"y": [0.0, 0.2]}], "isotonic.y must be within"),
        ([CURVE | {"y": [0.1, 1.0]}], "isotonic.y must be within"),
    ],
    ids=str,
)
def test_hostile_files(given, message, tmp_path):
    _, made = fitted("binary")
    path = tmp_path / "m.safetensors"
    made.save(path)
    description = json.loads(files.opened(path).description)["table"]
    files.save(core_of(made.model_.model), path, include_optimizer=False, extra={"table": description})
    assert TableModel.load(path).isotonic == CURVES[1]
    changed = description | {"isotonic": given}
    files.save(core_of(made.model_.model), path, include_optimizer=False, extra={"table": changed})
    with refusal(ValueError, [message]):
        TableModel.load(path)


def test_a_number_has_no_curves(tmp_path):
    _, made = fitted("binary")
    number = dataclasses.replace(made.model_, target=Target("y", None, 0.0, 1.0))
    number.save(tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="isotonic must be absent for a number"):
        TableModel.load(tmp_path / "m.safetensors")


def test_a_search_says_which_calibration_it_chose():
    _, made = fitted("binary")
    found = made.search_.calibration
    assert found.isotonic is None
    assert "1,000 judged rows of the rarest class" in found.reason
    assert made.search_.temperature == found.temperature != 1.0
    assert Calibration() == Calibration(1.0, None, "")
