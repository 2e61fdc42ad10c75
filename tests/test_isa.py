"""Run-time dispatch: FASTREG_ISA forces one of the instruction sets, which agree with one another."""
from __future__ import annotations

import json

import numpy as np
import pytest
from fastreg import _core
from programs import last_json, run_program, try_program

KNOWN = ("baseline", "avx2", "avx512", "neon")
AVAILABLE = _core.available_isas()

TRAIN = """
import json, sys
import numpy as np
import fastreg as fr
from fastreg import _core, layers
from programs import blobs, compiled, tutorial_layers
x, y = blobs(97, 10, 2)
model = compiled(tutorial_layers(), seed=2, n_features=10)
weights = model.get_weights()
model.fit(x, y, epochs=2, batch_size=32, verbose=0)
np.savez(sys.argv[1], *weights, *model.get_weights(), model.predict(x))
print(json.dumps([_core.active_isa(), len(weights)]))
"""


def train(isa, path):
    """What a process with this ISA reports, its arrays before and after training."""
    reported, n = last_json(run_program(TRAIN, path, env={"FASTREG_ISA": isa} if isa else {}))
    with np.load(path) as file:
        arrays = [file[f"arr_{i}"] for i in range(len(file.files))]
    return reported, arrays[:n], arrays[n:]


def test_available_isas_are_known_and_ordered():
    assert AVAILABLE
    assert list(AVAILABLE) == [isa for isa in KNOWN if isa in AVAILABLE]


def test_the_best_one_is_the_default(tmp_path):
    assert train(None, tmp_path / "a.npz")[0] == AVAILABLE[-1]


@pytest.mark.parametrize("isa", AVAILABLE)
def test_each_isa_can_be_forced_and_repeats_itself(isa, tmp_path):
    reported, _start, end = train(isa, tmp_path / "a.npz")
    again, _, repeated = train(isa, tmp_path / "b.npz")
    assert reported == again == isa
    assert [a.tobytes() for a in end] == [b.tobytes() for b in repeated]


@pytest.mark.parametrize("isa", AVAILABLE[:-1])
def test_isas_agree(isa, tmp_path):
    """Same initial weights to the bit; after eight steps they differ by rounding, which Adam's division can enlarge."""
    _, start, end = train(isa, tmp_path / "a.npz")
    _, best_start, best_end = train(AVAILABLE[-1], tmp_path / "b.npz")
    assert [a.tobytes() for a in start] == [b.tobytes() for b in best_start]
    for a, b in zip(end, best_end, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
    assert any(not np.array_equal(a, b) for a, b in zip(end, start, strict=False))


@pytest.mark.parametrize("name", ["sse9", "AVX2 ", "avx512vnni", "scalar", *sorted(set(KNOWN) - set(AVAILABLE))])
def test_an_unknown_or_unsupported_isa_is_an_import_error_with_the_choices(name):
    program = """
import json
try:
    import fastreg
    fastreg.set_num_threads(1)
    print(json.dumps("imported"))
except ImportError as error:
    print(json.dumps(str(error)))
"""
    message = json.loads(try_program(program, env={"FASTREG_ISA": name}).stdout.splitlines()[-1])
    assert "FASTREG_ISA" in message
    assert name in message
    assert all(isa in message for isa in AVAILABLE)


def test_a_plain_import_is_enough_to_see_it():
    done = try_program("import fastreg", env={"FASTREG_ISA": "pentium"})
    assert done.returncode == 1
    assert "ImportError" in done.stderr


def test_an_empty_variable_means_the_default():
    done = run_program("from fastreg import _core; print(_core.active_isa())", env={"FASTREG_ISA": ""})
    assert done.stdout.split() == [AVAILABLE[-1]]
