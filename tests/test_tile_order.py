"""The order in which wide layers compute their tiles depends on the size of the L2 cache; no bit of a result does.

FASTREG_L2_CACHE is that size for tests. A batch never fits into a cache of one byte and always into one of a terabyte,
so the two force both orders; tests/cpp/test_matmul.cpp compares the orders of the kernels on many more shapes.
"""
from __future__ import annotations

import pytest
from fastreg import _core
from programs import last_json, run_program, try_program

# 13 panels leave four to each of three threads, the fewest for which a member takes the other order of dW (of the
# first layer) and dX (of the second, whose rows must be long). Widths and the last batch (of 140 rows) are no multiples
# of anything; 400 rows are enough to be divided in the forward pass.
TRAIN = """
import hashlib, json
import numpy as np
import fastreg as fr
from fastreg import layers
random = np.random.default_rng(3)
x, y = random.standard_normal((540, 1030), dtype=np.float32), random.standard_normal((540, 3), dtype=np.float32)
digests = []
for threads in (1, 2, 3):
    fr.set_num_threads(threads)
    model = fr.Sequential([layers.Dense(777, "relu"), layers.Dense(1040, "tanh"), layers.Dense(3)], seed=5)
    model.compile("adam", "mse")
    model.build((None, 1030))
    model._core.trainer_for(None).parallel_threshold = 0.0
    model.fit(x, y, epochs=1, batch_size=400, verbose=0)
    arrays = [*model.get_weights(), model.predict(x[:450])]
    digests.append(hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest())
print(json.dumps(digests))
"""


@pytest.mark.parametrize("isa", _core.available_isas())
def test_both_orders_and_any_number_of_threads_give_the_same_bits(isa):
    digests = [last_json(run_program(TRAIN, env={"FASTREG_ISA": isa, "FASTREG_L2_CACHE": str(size)}))
               for size in (1, 10**12)]
    assert len({*digests[0], *digests[1]}) == 1


@pytest.mark.parametrize("size", ["1 MB", "-1", "1e6", "99999999999999999999999"])
def test_a_size_that_is_no_number_is_an_import_error(size):
    done = try_program("import fastreg", env={"FASTREG_L2_CACHE": size})
    assert done.returncode != 0
    assert "FASTREG_L2_CACHE must be a number of bytes" in done.stderr
    assert size in done.stderr


def test_an_empty_size_means_what_the_system_says():
    run_program("import fastreg", env={"FASTREG_L2_CACHE": ""})
