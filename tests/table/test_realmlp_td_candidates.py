"""Candidates of RealMLP-TD: the encoding and the network of the estimators, with all that recipes promise."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fastreg import callbacks
from fastreg.sklearn import RealMLPRegressor
from fastreg.sklearn.realmlp_encoding import ApartEncoding
from fastreg.table import Candidate, Recipe, Schema, TableClassifier, TableModel, TableRegressor, Target
from fastreg.table import members as all_rows
from fastreg.table.blending import cook
from fastreg.table.candidates import REALMLP_ALONE, neighbour
from fastreg.table.chosen_metric import ChosenMetric
from fastreg.table.judged_rows import folds_of
from fastreg.table.realmlp_td import LARGEST_ONE_HOT, Widths
from fastreg.table.td_encoder import TdEncoder, encoder_of
from fastreg.table.training import Features, TrainingRows, seed_of, train
from helpers.recipes import TINY

N = 150
TD = {one.task: replace(one, width=8, layers=2, steps=40, batch=32, epochs=None) for one in REALMLP_ALONE}
SHORT = tuple(replace(one, width=8, epochs=4) for one in REALMLP_ALONE)
ALONE = replace(Recipe.preset("realmlp"), large=SHORT, folds=2)


def table(n=N):
    """Numbers with and without gaps, and columns of two, three and twelve levels, one of them with gaps."""
    rng = np.random.default_rng(0)
    number, gaps = rng.normal(5.0, 3.0, n), rng.exponential(2.0, n)
    gaps[::7] = np.nan
    town, pair = rng.choice(["u", "v", "w"], n).astype(object), rng.choice(["x", "y"], n)
    key = rng.choice([f"k{i:02}" for i in range(12)], n)
    town[::11] = None
    y = np.abs(number) + (key == "k03") + rng.normal(0.0, 0.3, n)
    return pd.DataFrame({"number": number, "gaps": gaps, "town": town, "pair": pair, "key": key, "y": y})


def rows_of(frame, task="regression"):
    """The rows of a recipe, and their schema."""
    if task != "regression":
        edges = [0.5] if task == "binary" else [0.33, 0.67]
        frame = frame.assign(y=np.array(["a", "b", "c"])[np.digitize(frame["y"], frame["y"].quantile(edges))])
    target, schema = Target.infer(frame, "y"), Schema.infer(frame, target="y")
    y, _ = target.encode(frame)
    return schema, TrainingRows(target, [column.kind for column in schema.columns], schema.codes(frame), y)


def test_its_features_are_those_of_the_estimators():
    """Also for rows with levels that training rows did not have."""
    frame = table()
    other = frame.iloc[:20].assign(key=["new", "k05"] * 10, town=[None, "new", "u", "v"] * 5, gaps=np.nan)
    schema, rows = rows_of(frame)
    encoder = TdEncoder(rows.kinds).fit(rows.codes)
    names = list(frame.columns[:-1])
    apart = ApartEncoding(LARGEST_ONE_HOT, "test", [2, 3, 4], names).fit(frame[names])
    assert encoder.widths == Widths(*apart.widths) == Widths(2, 3 + 1 + 1, 1, 13)
    for given in (frame, other):
        numbers, indicators, codes = encoder.transform(schema.codes(given))
        wanted = apart.transform(given[names])
        np.testing.assert_array_equal(numbers, wanted[0])
        np.testing.assert_array_equal(codes, wanted[2])
        # Here the mark of a missing number comes first, by the order of columns, there behind all levels.
        np.testing.assert_array_equal(indicators[:, [1, 2, 3, 4, 0]], wanted[1])


@pytest.mark.parametrize("steps", [1, 40])
def test_its_network_is_that_of_the_estimators(steps):
    """With the same seed and all rows, the weights begin as those of RealMLPRegressor, and are trained in one way."""
    frame = table(96).drop(columns=["town"])  # no missing levels: the order of indicators is that of the estimators
    frame = frame.assign(gaps=frame["number"] ** 2)
    _, rows = rows_of(frame)
    candidate = replace(TD["regression"], steps=steps * 3)
    encoded = Features(rows, [np.arange(len(rows.y))]).get(0, candidate)
    model = train(rows, encoded, candidate, 11)
    estimator = RealMLPRegressor(
        (8, 8), form="TD", batch_size=32, max_iter=steps, validation_fraction=0, random_state=11
    ).fit(frame[["number", "gaps", "pair", "key"]], frame["y"].to_numpy())
    found, wanted = model.get_weights(), estimator.model_.get_weights()
    assert model.seed == estimator.model_.seed
    assert [w.shape for w in found] == [w.shape for w in wanted]
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)
    assert [layer.name for layer in model.layers] == [layer.name for layer in estimator.model_.layers]


def searched(frame, recipe, jobs=1, **more):
    """What a recipe finds for numbers, as an estimator."""
    return TableRegressor(preset=recipe, time=None, seed=3, jobs=jobs, **more).fit(frame, "y")


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("columns", [["number"], ["key"], ["number", "gaps", "town", "pair", "key"]])
def test_the_preset_is_one_file_that_is_frozen(task, columns, tmp_path):
    """Also for missing cells and new levels. A table of numbers alone is encoded in the core."""
    frame = table()
    if task != "regression":
        edges = [0.5] if task == "binary" else [0.33, 0.67]
        frame["y"] = np.array(["a", "b", "c"])[np.digitize(frame["y"], frame["y"].quantile(edges))]
    frame = frame[[*columns, "y"]]
    kind = TableRegressor if task == "regression" else TableClassifier
    model = kind(preset=ALONE, time=None, seed=3).fit(frame, "y").model_
    assert len(model.encoders) == (1 if len(columns) == 1 else 3)
    given = frame.iloc[:30].copy()
    if "key" in columns:
        given["key"] = ["new", None, "k03"] * 10
    model.save(tmp_path / "m.safetensors")
    loaded = TableModel.load(tmp_path / "m.safetensors")
    expected = model.outputs(given)
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal(loaded.outputs(given), expected)
    frozen = loaded.freeze()
    assert (frozen.table_predictor is not None) == (columns == ["number"])
    np.testing.assert_allclose(frozen(loaded.schema.codes(given)), expected, rtol=0, atol=1e-5)
    alone = [frozen(loaded.schema.codes(given.iloc[i : i + 1])) for i in range(3)]
    np.testing.assert_allclose(np.concatenate(alone), expected[:3], rtol=0, atol=1e-5)


def test_it_is_blended_with_others_alike_for_any_number_of_workers(tmp_path):
    """Two members of the design share its inputs."""
    frame = table(300)
    td = TD["regression"]
    recipe = Recipe(small=(td, TINY[0], replace(td, width=12)), trials=3, folds=2, picks=8, with_linear=False)
    first, second = (searched(frame, recipe, jobs) for jobs in (1, 2))
    assert {member.candidate.design for member in first.search_.members_} == {"realmlp_td", "plain"}
    assert len(first.search_.members_) == 3
    assert len(first.model_.encoders) == 4
    assert first.search_.members_ == second.search_.members_
    np.testing.assert_array_equal(first.model_.outputs(frame), second.model_.outputs(frame))
    first.model_.save(tmp_path / "m.safetensors")
    loaded = TableModel.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(loaded.outputs(frame), first.model_.outputs(frame))
    np.testing.assert_allclose(
        loaded.freeze()(loaded.schema.codes(frame)), loaded.outputs(frame), rtol=0, atol=1e-5
    )


def test_it_goes_on_from_a_journal(tmp_path):
    frame, path = table(), tmp_path / "journal.jsonl"
    recipe = replace(ALONE, cv=3)
    whole = searched(frame, recipe, journal=path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))
    again = searched(frame, recipe, journal=path, resume=True)
    assert len(path.read_bytes().splitlines()) == len(lines)
    assert again.search_.members_ == whole.search_.members_
    np.testing.assert_array_equal(again.model_.outputs(frame), whole.model_.outputs(frame))


def test_its_intervals_are_as_wide_as_rows_scatter():
    """The network of quantiles reads the inputs of the model."""
    rng = np.random.default_rng(1)
    frame = table(2400)
    frame["y"] = np.abs(frame["number"]) * rng.normal(0.0, 1.0, len(frame))
    recipe = replace(ALONE, large=(replace(ALONE.large[1], epochs=20),))
    model = searched(frame, recipe, interval=0.9).model_
    assert model.intervals.scaled
    bounds = model.predict_interval(frame)
    width = bounds[:, 1] - bounds[:, 0]
    near, far = (np.abs(frame["number"]) < 2.0), (np.abs(frame["number"]) > 8.0)
    assert width[far].mean() > 2.0 * width[near].mean()


def test_dates_and_texts_are_features_that_are_taken_as_they_are():
    rng = np.random.default_rng(2)
    days = rng.integers(0, 28, 120)
    words = rng.choice(["red fish swims here", "blue bird flies there", "green frog jumps far away"], 120)
    frame = pd.DataFrame({
        "day": [f"2024-02-{day + 1:02}" for day in days],
        "words": [f"{text} {i}" for i, text in enumerate(words)],
        "y": days + 10.0 * (words == words[0]) + rng.normal(0.0, 0.1, 120),
    })  # fmt: skip
    model = searched(frame, ALONE).model_
    assert [column.kind for column in model.schema.columns] == ["date", "text"]
    assert [encoder.reads for encoder in model.encoders] == ["indicators"]
    assert np.isfinite(model.outputs(frame)).all()
    frozen = model.freeze()
    found = frozen(model.schema.codes(frame), model.schema.documents(frame))
    np.testing.assert_allclose(found, model.outputs(frame), rtol=0, atol=1e-5)


def test_a_fold_may_have_a_column_without_levels():
    """All cells of the only column are missing in the rows that a fold learns from."""
    rows = rows_of(table()[["key", "y"]])[1]
    codes = rows.codes.copy()
    codes[:100] = np.nan
    encoder = TdEncoder(rows.kinds).fit(codes[:100])
    assert encoder.widths == Widths(0, 1, 0, 0)
    (features,) = encoder.transform(codes)
    np.testing.assert_array_equal(features, 0.0)


def test_within_a_time_it_has_fewer_steps():
    frame = table(400)
    dear = replace(ALONE, large=tuple(replace(one, epochs=100_000) for one in SHORT))
    found = TableRegressor(preset=dear, time=6.0, seed=0).fit(frame, "y").search_
    (member,) = found.members_
    assert 50 <= member.candidate.steps < 100_000
    assert found.seconds_ < 30.0


def test_its_neighbours_have_no_bins():
    rng, tried = np.random.default_rng(0), [TD["classification"]]
    for _ in range(40):
        found = neighbour([TD["classification"]], tried, rng)
        assert (found.design, found.bins, found.decay) == ("realmlp_td", 0, 0.02)
        tried.append(found)


def test_it_learns_probabilities_and_minds_weights():
    """Rows of weight 0 change nothing."""
    frame = table(200)
    rows = rows_of(frame, "binary")[1]
    weights = np.where(np.arange(200) < 150, 1.0, 0.0)
    rows = replace(rows, y=np.where(rows.y == 1, 0.9, 0.2).astype(np.float32), weights=weights)
    assert rows.is_soft
    recipe = Recipe(small=(TD["classification"],), trials=1, folds=2, with_linear=False)
    found = cook(rows, recipe, ChosenMetric(rows.target), 0, 1, None)
    assert [member.candidate.design for member in found.members_] == ["realmlp_td"]
    other = replace(rows, y=np.where(weights > 0, rows.y, 0.5).astype(np.float32))
    encoded = Features(rows, [np.arange(200)]).get(0, TD["classification"])
    first, second = (train(given, encoded, TD["classification"], 1).get_weights() for given in (rows, other))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    plain = train(replace(rows, weights=None), encoded, TD["classification"], 1).get_weights()
    assert any((a != b).any() for a, b in zip(first, plain, strict=True))


DAMAGE = {
    "an unknown input": ("reads", "all", "reads must be one of numbers, indicators, codes, got 'all'"),
    "no input": ("reads", 3, "reads must be of type str"),
    "another member": ("dense", False, "encoder has an unknown member 'dense'"),
    "an unknown kind": ("kinds", ["numeric", "x", "categorical", "categorical", "categorical"], "the kind of a column"),
    "fewer parts": ("parts", [], "5 columns and statistics of 0"),
    "a level twice": ((2, "levels"), [0, 0, 1], "the levels of a column must be different"),
    "too few scales": ((2, "scales"), [[0.0, 1.0]], "a column of 3 levels must have 3 scales, got 1"),
    "half a scale": ((3, "scales"), [[0.0]], "a scale must be a centre and a factor, got 1 numbers"),
    "an infinite scale": ((3, "scales"), [[0.0, 1e999]], "a scale must be"),
    "a mark that is none": ((1, "missing"), False, "missing must be true"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_encoders_are_refused(name):
    rows = rows_of(table())[1]
    config = TdEncoder(rows.kinds).fit(rows.codes).inputs[1].to_config()
    assert encoder_of(json.loads(json.dumps(config))).to_config() == config
    place, value, message = DAMAGE[name]
    if isinstance(place, str):
        config[place] = value
    else:
        config["parts"][place[0]][place[1]] = value
    with pytest.raises(ValueError, match=message):
        encoder_of(config)


def test_damaged_codes_are_refused():
    rows = rows_of(table())[1]
    encoder = TdEncoder(rows.kinds).fit(rows.codes).inputs[2]
    config = encoder.to_config()
    with pytest.raises(ValueError, match="the encoder has levels that the column lacks, which has 11"):
        encoder_of(config).check_levels([0, 0, 3, 2, 11])
    config["parts"][4]["first"] = 2**24
    with pytest.raises(ValueError, match="codes must be below 16777216, got 16777228"):
        encoder_of(config)
    config["parts"][4], config["parts"][0] = {}, {"levels": [0], "first": 0}
    with pytest.raises(ValueError, match="a column of kind 'numeric' must have no statistics for codes"):
        encoder_of(config)
    with pytest.raises(ValueError, match="InputEncoder: dense must be True, got False"):
        encoder.with_dense(False)


def test_too_many_levels_are_refused(monkeypatch):
    monkeypatch.setattr("fastreg.table.td_encoder.MOST_CODES", 12)
    rows = rows_of(table())[1]
    with pytest.raises(ValueError, match=r"the table must have at most 2\*\*24 levels in all, got 13"):
        TdEncoder(rows.kinds).fit(rows.codes)


def searched_alone(frame, candidate, journal=None, resume=False, **more):
    """A search of one candidate, and its rows."""
    rows = rows_of(frame)[1]
    recipe = Recipe(small=(candidate,), trials=1, with_linear=False, **({"folds": 2} | more))
    return cook(rows, recipe, ChosenMetric(rows.target), 4, 1, None, journal=journal, resume=resume), rows


def noisy(n=N):
    """Numbers that say little about the target, so that much training harms."""
    frame = table(n)
    frame["y"] = 0.3 * frame["number"] + np.random.default_rng(5).normal(0.0, 5.0, n)
    return frame


@pytest.mark.parametrize(("steps", "parts"), [(60, 60), (130, 43)])
def test_the_best_part_is_kept_and_all_rows_are_trained_for_as_long(steps, parts, monkeypatch):
    """Each part is judged again here, by predictions of networks that were trained for so many steps alone."""
    monkeypatch.setattr(all_rows, "_TRIES", 1)
    candidate = replace(TD["regression"], steps=steps, width=64)
    found, rows = searched_alone(noisy(), candidate, large_rows=1, large=(candidate,), folds=3)
    ((learned, held),) = folds_of(rows, Recipe(folds=3, large_rows=1), 4)
    encoded, y, losses = Features(rows, [learned]).get(0, candidate), rows.y[learned], []
    for k in range(1, parts + 1):
        # Schedules are those of the steps of all parts.
        whole = replace(candidate, steps=steps // parts * parts, until=k / parts)
        outputs = train(rows, encoded, whole, seed_of(4, 1, 0), learned).predict(encoded.of(held), verbose=0)[:, 0]
        losses.append(np.mean((np.clip(outputs, y.min(), y.max()) - rows.y[held]) ** 2))
    best = parts - int(np.argmin(losses[::-1]))
    assert best < parts - 2, "the last part is not the best"
    (member,) = found.members_
    assert member.candidate == replace(candidate, until=best / parts)
    assert found.trials_[1].score == pytest.approx(rows.target.scale * min(losses) ** 0.5, rel=1e-5)
    assert f"{round(steps * best / parts)} of {steps} steps" in str(member.candidate)
    every = Features(rows, [np.arange(N)]).get(0, candidate)
    again = train(rows, every, member.candidate, seed_of(4, 1, 2**31 - 1))
    for a, b in zip(again.get_weights(), found.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("noise", [0.1, 5.0])
def test_it_is_trained_again_until_it_is_as_good_as_it_was_judged(noise):
    """Tries are made again here, and their losses are those of NumPy."""
    frame = table()
    frame["y"] = frame["number"] + np.random.default_rng(6).normal(0.0, noise, N)
    candidate = replace(REALMLP_ALONE[1], epochs=None, steps=60, width=64)
    found, rows = searched_alone(frame, candidate, large_rows=1, large=(candidate,), folds=5)
    (member,) = found.members_
    every, tries = Features(rows, [np.arange(N)]).get(0, candidate), []
    for number in range(4):
        model = train(rows, every, member.candidate, seed_of(4, 1, 2**31 - 1 - number))
        outputs = model.predict(every.features, verbose=0)[:, 0]
        error = np.clip(outputs, rows.y.min(), rows.y.max()) - rows.y
        tries.append((rows.target.scale * np.mean(error**2) ** 0.5, model.get_weights()))
        if tries[-1][0] <= found.score_:
            break
    wanted = min(tries, key=lambda one: one[0])
    assert wanted is not tries[0], "the first network is worse than another one"
    for a, b in zip(wanted[1], found.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_last_step_leaves_schedules_as_they_are():
    """A training that ends early has the weights that the whole one has there."""
    rows = rows_of(table(96))[1]
    encoded = Features(rows, [np.arange(96)]).get(0, TD["regression"])
    candidate = replace(TD["regression"], steps=30)
    weights = []

    class Watch(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            weights.append(self.model.get_weights())

    train(rows, encoded, candidate, 5, stop=Watch())
    assert len(weights) == 30
    for until, step in ((0.5, 15), (0.001, 1), (0.9, 27)):
        found = train(rows, encoded, replace(candidate, until=until), 5).get_weights()
        for a, b in zip(found, weights[step - 1], strict=True):
            np.testing.assert_array_equal(a, b)


def test_folds_agree_on_the_middle_and_a_journal_knows_it(tmp_path):
    candidate, path = replace(TD["regression"], steps=60, width=64), tmp_path / "journal.jsonl"
    found, _ = searched_alone(noisy(), candidate, path, folds=3)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        del line["crc32"]
    shares = [line["best_epoch"] / line["epochs"] for line in lines if line.get("best_epoch") is not None]
    assert len(shares) == 3
    assert len(set(shares)) > 1
    assert found.members_[0].candidate.until == np.median(shares)
    again, _ = searched_alone(noisy(), candidate, path, True, folds=3)
    assert again.members_ == found.members_
    for a, b in zip(again.model.get_weights(), found.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for damage in (0, lines[-1]["epochs"] + 1):
        changed = [*lines[:-1], lines[-1] | {"best_epoch": damage}]
        path.write_text("".join(json.dumps(line) + "\n" for line in changed))
        with pytest.raises(ValueError, match=rf"trial 1: best_epoch must be in \[1, \d+\], got {damage}"):
            searched_alone(noisy(), candidate, path, True, folds=3)


def test_neighbours_of_a_judged_one_are_for_all_steps():
    found = neighbour([replace(TD["regression"], until=0.25)], [], np.random.default_rng(0))
    assert found.until == 1.0
    assert "until" not in found.params
    assert replace(found, until=0.25).params["until"] == 0.25


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"until": 0.0, "design": "realmlp_td"}, r"Candidate: until must be in \(0, 1\], got 0.0"),
        ({"until": 0.5}, "Candidate: until must be 1 with the design 'plain', got 0.5"),
    ],
)
def test_where_a_training_may_end(given, message):
    with pytest.raises(ValueError, match=message):
        Candidate(bins=0, **given)
