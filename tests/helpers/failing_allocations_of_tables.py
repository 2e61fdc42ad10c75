"""Rows of failing_allocations.py's table: the predictor that reads rows of codes, and loops over texts."""
from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import fastreg as fr
import numpy as np
from allocation_faults import Bits, Scenario
from fastreg import _core, layers
from fastreg.table.encoder import TableEncoder
from fastreg.table.fast_cells import packed
from fastreg.table.isotonic import Curve, Isotonic
from fastreg.table.serving import table_predictor


def table_predictor_scenario() -> Scenario:
    """It is made, pickled, and called in a thread of its own, which has to get its buffers first."""
    rows = np.random.default_rng(0).normal(size=(80, 6))
    encoder = TableEncoder(["numeric"] * 6, n_bins=9).fit(rows)
    model = fr.Sequential([layers.Dense(40, "gelu"), layers.Dense(2, "softmax")], seed=1)
    model.build(encoder.n_features)
    curves = Isotonic((Curve((0.2, 0.6), (0.1, 0.7)), Curve((0.5,), (0.5,))))
    network, single, wide = model.freeze(), rows.astype(np.float32), np.tile(rows, (9, 1))

    def act(_: object) -> Bits:
        made = table_predictor(network, [encoder], None, 1.5, curves)
        assert made is not None
        again = pickle.loads(pickle.dumps(made))
        with ThreadPoolExecutor(1) as thread:
            found = thread.submit(lambda: [made(rows[:1]), made(wide), again(rows), made(single)]).result()
        return [array.tobytes() for array in found]

    return Scenario(lambda: None, act)


def cells_scenario() -> Scenario:
    """Texts become numbers and codes of levels, codes become rows, and columns become lines."""
    numbers, levels = packed([f"{i}.25" for i in range(600)]), packed([f"level {i}" for i in range(600)])
    codes, chosen = np.arange(600.0), np.arange(600)

    def act(_: object) -> Bits:
        values = _core.read_numbers(*numbers)
        assert values is not None
        found = _core.find_levels(*levels, *levels, codes)
        text = _core.lines([values, (chosen, *levels), values.astype(np.float32)])
        rows = _core.to_rows(codes.reshape(6, 100), codes[:6])
        return [values.tobytes(), found.tobytes(), text.encode(), rows.tobytes()]

    return Scenario(lambda: None, act)
