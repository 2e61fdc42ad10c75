"""Times one raw row of the frozen blend of a table, from its codes to what is predicted, beside the encoding in Python.

    FASTREG_DATA=DIR python bench/frozen_row.py [--members 1 2 3 4 8] [--repeats 9] [--rows 4000]

DIR holds california_housing.csv.gz and adult.csv.gz. The members are the candidates of a recipe for large tables, in
their order, after a few steps of training, since weights do not change the time. Three forms take turns: `one call` is
the frozen model; `in Python` encodes the row in Python, calls the frozen network and finishes its output in Python; and
`network` is the frozen network alone, for a row that is encoded already. The times are medians of the medians of calls
that each have another row; the ratio is the median of the ratios of neighbouring runs. The weights of all members are
read for each row, so their size is printed: what does not fit into the caches of a core comes from further away.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import fastreg as fr
import numpy as np
from fastreg.table.blending import join
from fastreg.table.candidates import LARGE, Candidate
from fastreg.table.model import FrozenTableModel, TableModel
from fastreg.table.training import Features, key_of, task_of, train
from fastreg.tune.preparation import Prepared, prepare

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("FASTREG_DATA", HERE.parents[1] / "shared" / "data"))
TABLES = {
    "California": ("california_housing.csv.gz", "median_house_value", None),
    "Adult": ("adult.csv.gz", "income", "is_test"),
}
CALLS, WARM, STEPS = 300, 30, 5


def blend(data: Prepared, candidates: Sequence[Candidate], rows: int) -> TableModel:
    """The blend of these candidates, trained for a few steps on some rows."""
    learned = data.rows_to_learn
    some = replace(learned, codes=learned.codes[:rows], y=learned.y[:rows])
    features, made = Features(some, [np.arange(len(some.y))]), []
    for candidate in candidates:
        encoded = features.get(0, candidate)
        made.append((train(some, encoded, replace(candidate, steps=STEPS), 0), encoded.encoder))
    encoders = {key_of(encoder): encoder for _, encoder in made}
    places = [list(encoders).index(key_of(encoder)) for _, encoder in made]
    joined = join([model for model, _ in made], places, [1 + i % 3 for i in range(len(made))], 0)
    finish = {"limits": (-2.0, 2.0)} if data.target.labels is None else {"temperature": 1.2}
    return TableModel(data.schema, tuple(encoders.values()), joined, data.target, **finish)


def median_time(call: Callable[[int], Any]) -> float:
    """Microseconds of a call, each with another row."""
    times = []
    for i in range(WARM + CALLS):
        begun = time.perf_counter()
        call(i)
        times.append(time.perf_counter() - begun)
    return 1e6 * statistics.median(times[WARM:])


def forms(model: TableModel, frozen: FrozenTableModel, codes: Any) -> dict[str, Callable[[int], Any]]:
    """The three ways to answer a row; they must agree."""
    singles = [codes[i : i + 1].copy() for i in range(64)]

    def given(parts: Sequence[Any]) -> Any:
        return parts[0] if len(parts) == 1 else list(parts)

    encoded = [given(model.features(row)) for row in singles]

    def in_python(i: int) -> Any:
        return model.finished(frozen.predictor(given(model.features(singles[i % 64]))))[0]

    for i in range(64):
        np.testing.assert_allclose(frozen(singles[i]), in_python(i), rtol=1e-5, atol=1e-6)
    return {
        "one call": lambda i: frozen(singles[i % 64]),
        "in Python": in_python,
        "network": lambda i: frozen.predictor(encoded[i % 64]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, nargs="+", default=[1, 2, 3, 4, 8])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--rows", type=int, default=4000)
    arguments = parser.parse_args()
    fr.set_num_threads(1)
    for name, (file, target, test) in TABLES.items():
        data = prepare(str(DATA / file), target, test, None, 0)
        listed = [candidate for candidate in LARGE if candidate.task in (None, task_of(data.target))]
        for members in sorted({min(count, len(listed)) for count in arguments.members}):
            model = blend(data, listed[:members], arguments.rows)
            contenders = forms(model, model.freeze(), data.codes)
            times: dict[str, list[float]] = {form: [] for form in contenders}
            for _ in range(arguments.repeats):
                for form, call in contenders.items():
                    times[form].append(median_time(call))
            ratio = statistics.median(b / a for a, b in zip(times["one call"], times["in Python"], strict=True))
            size = sum(weight.nbytes for weight in model.model.get_weights()) / 2**20
            shown = ", ".join(f"{form} {statistics.median(found):.1f} us" for form, found in times.items())
            print(f"{name}, {members} members, {size:.1f} MB: {shown}; {ratio:.0f} x", flush=True)


if __name__ == "__main__":
    main()
