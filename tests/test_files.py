"""The promise "a model file is data": round trips, damaged and hostile files, saves that are killed or refused.

What could crash the interpreter runs in a process of its own.
"""
from __future__ import annotations

import json
import os
import re
import struct
import sys

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers, losses, metrics, optimizers, regularizers, schedules
from programs import TESTS, blobs, compiled, last_json, line, run_program, same_bits, tutorial_layers

safetensors = pytest.importorskip("safetensors.numpy")


def trained(stack=None, **keywords):
    x, y = blobs(64, 10, 2)
    model = compiled(stack or tutorial_layers(), metrics=["accuracy"], **keywords)
    model.fit(x, y, epochs=2, verbose=0)
    return model, x, y


def parts(path):
    """(header as a dict, bytes of the tensors) of a file, read by the published layout and nothing of ours."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8:8 + length]), data[8 + length:]


def assemble(header, payload=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + payload


@pytest.fixture
def small(tmp_path):
    """A saved 2-1 model with a batch normalisation: (path, header, payload)."""
    model = compiled([layers.Dense(1), layers.BatchNormalization()], loss="mse", optimizer=optimizers.Adam(0.01),
                     n_features=2)
    model.fit(*line(16, 2), verbose=0)
    path = tmp_path / "small.safetensors"
    model.save(str(path))
    return path, *parts(path)


def described(header, **changes):
    """The header with members of the description replaced (or removed, where None)."""
    description = json.loads(header["__metadata__"]["fastreg"])
    for key, value in changes.items():
        if value is None:
            del description[key]
        else:
            description[key] = value
    return {**header, "__metadata__": {**header["__metadata__"], "fastreg": json.dumps(description)}}


# ---------------------------------------------------------------------------------------------------- round trips

STACKS = {
    "tutorial": (tutorial_layers, "binary_crossentropy"),
    "every option": (lambda: [
        layers.Dropout(0.1),
        layers.Dense(7, activation="gelu", use_bias=False, kernel_initializer="he_normal",
                     kernel_regularizer=regularizers.L1(0.01, proximal=True)),
        layers.BatchNormalization(momentum=0.9, epsilon=1e-5, center=False, scale=False),
        layers.Activation("leaky_relu"),
        layers.Dense(5, bias_regularizer=regularizers.L2(0.1), bias_initializer="ones"),
        layers.BatchNormalization(scale=False),
        layers.Dense(2, activation="softmax"),
    ], "sparse_categorical_crossentropy"),
    "logits": (lambda: [layers.Dense(1)], losses.BinaryCrossentropy(from_logits=True)),
}
RATES = {
    "number": 0.003,
    "constant": schedules.Constant(0.003),
    "step": schedules.StepDecay(0.01, 5, 0.5),
    "exponential": schedules.ExponentialDecay(0.01, 10, 0.9, staircase=True),
    "cosine": schedules.CosineDecay(0.01, 100, alpha=0.1),
    "piecewise": schedules.PiecewiseConstantDecay([2, 5], [0.1, 0.01, 0.001]),
}


@pytest.mark.parametrize("stack", STACKS)
def test_a_loaded_model_is_the_saved_one(stack, tmp_path):
    make, loss = STACKS[stack]
    model, x, y = trained(make(), loss=loss, optimizer=optimizers.AdamW(0.003))
    path = tmp_path / "net.safetensors"
    model.save(str(path))
    loaded = fr.load(str(path))
    assert same_bits(model.get_weights(), loaded.get_weights())
    assert same_bits([model.predict(x)], [loaded.predict(x)])
    assert model.evaluate(x, y, verbose=0) == loaded.evaluate(x, y, verbose=0)
    loaded.save(str(tmp_path / "again.safetensors"))
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    for either in (model, loaded):
        either.fit(x, y, epochs=1, verbose=0)
    assert same_bits(model.get_weights(), loaded.get_weights())


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_optimizer_and_schedule_come_back_equal(optimizer, rate, tmp_path):
    given = getattr(optimizers, optimizer)(RATES[rate])
    model, _, _ = trained(optimizer=given)
    model.save(str(tmp_path / "net.safetensors"))
    assert fr.load(str(tmp_path / "net.safetensors")).optimizer == given


def test_paths_may_be_path_objects_with_any_characters(tmp_path):
    model, x, _ = trained()
    path = tmp_path / "Überfluß 网络 '\".safetensors"
    model.save(path)
    assert same_bits([model.predict(x)], [fr.load(path).predict(x)])


def test_names_of_tensors_are_layer_and_weight(tmp_path):
    model, _, _ = trained()
    model.save(str(tmp_path / "net.safetensors"))
    header, _ = parts(tmp_path / "net.safetensors")
    names = {name for name in header if not name.startswith(("optimizer.", "__"))}
    assert names == {f"layers.{i}.{w}" for i, w in [
        (0, "kernel"), (0, "bias"), (1, "gamma"), (1, "beta"), (1, "moving_mean"), (1, "moving_variance"),
        (3, "kernel"), (3, "bias")]}
    assert set(header["__metadata__"]) == {"fastreg"}
    assert header["layers.0.kernel"]["shape"] == [10, 64]
    assert header["layers.0.bias"]["shape"] == [64]


def test_the_safetensors_package_reads_ours(tmp_path):
    model, _, _ = trained()
    model.save(str(tmp_path / "net.safetensors"))
    tensors = safetensors.load_file(tmp_path / "net.safetensors")
    names = ["layers.0.kernel", "layers.0.bias", "layers.1.gamma", "layers.1.beta", "layers.1.moving_mean",
             "layers.1.moving_variance", "layers.3.kernel", "layers.3.bias"]
    assert same_bits([tensors[name] for name in names], model.get_weights())
    assert {name for name in tensors if name not in names} == {
        f"optimizer.{moment}.{name}" for moment in "mv" for name in names if "moving" not in name}


def test_we_read_what_the_safetensors_package_writes(tmp_path):
    model, x, y = trained()
    path, copy = tmp_path / "net.safetensors", tmp_path / "copy.safetensors"
    model.save(str(path))
    metadata = parts(path)[0]["__metadata__"]
    safetensors.save_file(safetensors.load_file(path), copy, metadata=metadata)
    loaded = fr.load(str(copy))
    assert same_bits(model.get_weights(), loaded.get_weights())
    for either in (model, loaded):
        either.fit(x, y, epochs=1, verbose=0)
    assert same_bits(model.get_weights(), loaded.get_weights())


def test_weights_changed_by_another_program_are_used(tmp_path):
    model, x, _ = trained([layers.Dense(1)], loss="mse")
    path = tmp_path / "net.safetensors"
    model.save(str(path), include_optimizer=False)
    tensors = {name: np.full_like(value, 0.5) for name, value in safetensors.load_file(path).items()}
    safetensors.save_file(tensors, path, metadata=parts(path)[0]["__metadata__"])
    np.testing.assert_allclose(fr.load(str(path)).predict(x)[:, 0], 0.5 * x.sum(1) + 0.5, rtol=1e-5, atol=1e-5)


# -------------------------------------------------------------------------------------------- damaged and hostile

ATTACK = """
import json, os, sys
from pathlib import Path
import numpy as np
import fastreg as fr
folder, kind = Path(sys.argv[1]), sys.argv[2]
data = bytearray((folder / "small.safetensors").read_bytes())
# In memory where that can be had: thousands of files on a disk take long.
memory = os.memfd_create("attacked") if hasattr(os, "memfd_create") else None
path = Path(f"/proc/self/fd/{memory}") if memory is not None else folder / "attacked.safetensors"
refused = loaded = 0
wrong = []
def attempt(content, what):
    global refused, loaded
    path.write_bytes(content)
    try:
        model = fr.load(str(path))
        model.predict(np.ones((3, 2), np.float32))
        loaded += 1
    except ValueError as error:
        refused += 1
        if not str(error).strip():
            wrong.append(what + ": no message")
    except BaseException as error:
        wrong.append(f"{what}: {type(error).__name__}: {error}")
if kind == "truncated":
    for length in range(len(data)):
        attempt(data[:length], f"{length} bytes")
    assert loaded == 0, f"{loaded} truncated files were loaded"
elif kind == "extended":
    for extra in (b"\\0", b"\\0" * 4, b"x" * 64, bytes(data)):
        attempt(data + extra, f"{len(extra)} bytes more")
    assert loaded == 0, f"{loaded} extended files were loaded"
else:
    header = 8 + int.from_bytes(data[:8], "little")
    for mask in (0x01, 0x10, 0x80):
        for i in range(header):
            changed = bytearray(data)
            changed[i] ^= mask
            attempt(changed, f"byte {i} ^ {mask:#x}")
assert refused > 0
print(json.dumps(wrong))
"""


@pytest.mark.parametrize("kind", ["truncated", "extended", "flipped"])
def test_a_damaged_file_is_a_value_error_or_a_model(kind, small):
    wrong = last_json(run_program(ATTACK, small[0].parent, kind, timeout=120))
    assert wrong == []


def with_tensor(header, name, **changes):
    return {**header, name: {**header[name], **changes}}


def without(header, name):
    return {key: value for key, value in header.items() if key != name}


def duplicate(header, payload):
    text = json.dumps(header)
    entry = json.dumps(header["layers.0.bias"])
    return assemble((text[:-1] + f', "layers.0.bias": {entry}}}').encode(), payload)


KERNEL = "layers.0.kernel"
# id -> function of (header, payload) that gives the bytes of a hostile file. Each must be a ValueError.
HOSTILE = {
    "empty": lambda h, p: b"",
    "seven bytes": lambda h, p: b"\0" * 7,
    "length zero": lambda h, p: assemble(b"", p),
    "length beyond the file": lambda h, p: assemble(h, p, length=1 << 40),
    "length 2^63": lambda h, p: assemble(h, p, length=1 << 63),
    "length 2^64 - 1": lambda h, p: assemble(h, p, length=(1 << 64) - 1),
    "length 2^64 - 8": lambda h, p: assemble(h, p, length=(1 << 64) - 8),
    "header not JSON": lambda h, p: assemble(b"hello, world", p),
    "header an array": lambda h, p: assemble(b"[]", p),
    "header a number": lambda h, p: assemble(b"1", p),
    "header not UTF-8": lambda h, p: assemble(b'{"\xff\xfe": 1}', p),
    "header with a NUL": lambda h, p: assemble(json.dumps(h).encode() + b"\0", p),
    "header cut in a string": lambda h, p: assemble(b'{"__metadata__": {"fastreg": "', p),
    "lone surrogate": lambda h, p: assemble(b'{"\\ud800": {}}', p),
    "deep arrays": lambda h, p: assemble(b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", p),
    "deep objects": lambda h, p: assemble(b'{"a": ' * 200_000 + b"1" + b"}" * 200_000, p),
    "deep description": lambda h, p: assemble({**h, "__metadata__": {"fastreg": "[" * 100_000}}, p),
    "no metadata": lambda h, p: assemble(without(h, "__metadata__"), p),
    "metadata null": lambda h, p: assemble({**h, "__metadata__": None}, p),
    "metadata of others": lambda h, p: assemble({**h, "__metadata__": {"format": "pt"}}, p),
    "description no string": lambda h, p: assemble({**h, "__metadata__": {"fastreg": 1}}, p),
    "description empty": lambda h, p: assemble({**h, "__metadata__": {"fastreg": ""}}, p),
    "description no object": lambda h, p: assemble({**h, "__metadata__": {"fastreg": "[1, 2]"}}, p),
    "duplicate name": duplicate,
    "duplicate metadata": lambda h, p: assemble(
        (json.dumps(h)[:-1] + f', "__metadata__": {json.dumps(h["__metadata__"])}}}').encode(), p),
    "offsets overlap": lambda h, p: assemble(with_tensor(
        h, "layers.0.bias", data_offsets=[*h[KERNEL]["data_offsets"][:1], h[KERNEL]["data_offsets"][0] + 4]), p),
    "offsets leave a gap": lambda h, p: assemble(
        {k: v if k == "__metadata__" else {**v, "data_offsets": [o + 4 for o in v["data_offsets"]]}
         for k, v in h.items()}, b"\0" * 4 + p),
    "offsets reversed": lambda h, p: assemble(
        with_tensor(h, KERNEL, data_offsets=h[KERNEL]["data_offsets"][::-1]), p),
    "offsets negative": lambda h, p: assemble(with_tensor(h, KERNEL, data_offsets=[-8, 0]), p),
    "offsets beyond the file": lambda h, p: assemble(with_tensor(h, KERNEL, data_offsets=[1 << 40, (1 << 40) + 8]), p),
    "offsets near 2^64": lambda h, p: assemble(
        with_tensor(h, KERNEL, data_offsets=[(1 << 64) - 8, (1 << 64) - 1]), p),
    "offsets above 2^64": lambda h, p: assemble(with_tensor(h, KERNEL, data_offsets=[1 << 70, (1 << 70) + 8]), p),
    "offsets as floats": lambda h, p: assemble(with_tensor(h, KERNEL, data_offsets=[0.0, 8.5]), p),
    "offsets of one": lambda h, p: assemble(with_tensor(h, KERNEL, data_offsets=[0]), p),
    "offsets as text": lambda h, p: assemble(with_tensor(h, KERNEL, data_offsets="0,8"), p),
    "no offsets": lambda h, p: assemble({**h, KERNEL: without(h[KERNEL], "data_offsets")}, p),
    "no shape": lambda h, p: assemble({**h, KERNEL: without(h[KERNEL], "shape")}, p),
    "no dtype": lambda h, p: assemble({**h, KERNEL: without(h[KERNEL], "dtype")}, p),
    "dtype of another size": lambda h, p: assemble(with_tensor(h, KERNEL, dtype="F64"), p),
    "dtype integer": lambda h, p: assemble(with_tensor(h, KERNEL, dtype="I32"), p),
    "dtype unknown": lambda h, p: assemble(with_tensor(h, KERNEL, dtype="F33"), p),
    "shape of another size": lambda h, p: assemble(with_tensor(h, KERNEL, shape=[3, 1]), p),
    "shape transposed": lambda h, p: assemble(with_tensor(h, KERNEL, shape=[1, 2]), p),
    "shape flat": lambda h, p: assemble(with_tensor(h, KERNEL, shape=[2]), p),
    "shape negative": lambda h, p: assemble(with_tensor(h, KERNEL, shape=[-2, -1]), p),
    "shape overflows": lambda h, p: assemble(with_tensor(h, KERNEL, shape=[1 << 32, 1 << 32, 2]), p),
    "shape of 2^62": lambda h, p: assemble(with_tensor(h, KERNEL, shape=[1 << 62, 1]), p),
    "shape of 100,000 ones": lambda h, p: assemble(with_tensor(h, KERNEL, shape=[2] + [1] * 100_000), p),
    "tensor null": lambda h, p: assemble({**h, KERNEL: None}, p),
    "tensor missing": lambda h, p: assemble({"__metadata__": h["__metadata__"]}),
    "payload missing": lambda h, p: assemble(h, b""),
    "payload short": lambda h, p: assemble(h, p[:-1]),
    "payload long": lambda h, p: assemble(h, p + b"\0"),
    "pickle": lambda h, p: b"\x80\x04cposix\nsystem\n(S'touch pwned'\ntR.",
    # The description.
    "format missing": lambda h, p: assemble(described(h, format=None), p),
    "format of the future": lambda h, p: assemble(described(h, format=999), p),
    "layers missing": lambda h, p: assemble(described(h, layers=None), p),
    "layers empty": lambda h, p: assemble(described(h, layers=[]), p),
    "layers an object": lambda h, p: assemble(described(h, layers={}), p),
    "a layer null": lambda h, p: assemble(described(h, layers=[None]), p),
    "layer unknown": lambda h, p: assemble(described(h, layers=[{"type": "Conv2D", "units": 1}]), p),
    "layer a Python name": lambda h, p: assemble(described(h, layers=[{"type": "__class__", "units": 1}]), p),
    "layer without type": lambda h, p: assemble(described(h, layers=[{"units": 1}]), p),
    "units zero": lambda h, p: assemble(described(h, layers=[{"type": "Dense", "units": 0}]), p),
    "units 2^40": lambda h, p: assemble(described(h, layers=[{"type": "Dense", "units": 1 << 40}]), p),
    "units 2^30": lambda h, p: assemble(described(h, layers=[{"type": "Dense", "units": 1 << 30}] * 2), p),
    "units a float": lambda h, p: assemble(described(h, layers=[{"type": "Dense", "units": 1.5}]), p),
    "units text": lambda h, p: assemble(described(h, layers=[{"type": "Dense", "units": "1"}]), p),
    "other layers": lambda h, p: assemble(described(h, layers=[{"type": "Dense", "units": 3}]), p),
    "activation unknown": lambda h, p: assemble(
        described(h, layers=[{"type": "Dense", "units": 1, "activation": "exec"}]), p),
    "rate one": lambda h, p: assemble(described(h, layers=[{"type": "Dropout", "rate": 1.0}]), p),
    "features missing": lambda h, p: assemble(described(h, n_features=None), p),
    "features zero": lambda h, p: assemble(described(h, n_features=0), p),
    "features negative": lambda h, p: assemble(described(h, n_features=-2), p),
    "features 2^62": lambda h, p: assemble(described(h, n_features=1 << 62), p),
    "features 1e300": lambda h, p: assemble(described(h, n_features=1e300), p),
    "features others": lambda h, p: assemble(described(h, n_features=3), p),
    "seed negative": lambda h, p: assemble(described(h, seed=-1), p),
    "seed text": lambda h, p: assemble(described(h, seed="x"), p),
    "loss unknown": lambda h, p: assemble(described(h, loss={"type": "Hinge"}), p),
    "optimizer unknown": lambda h, p: assemble(described(h, optimizer={"type": "LBFGS"}), p),
    "optimizer a number": lambda h, p: assemble(described(h, optimizer=1), p),
    "rate of learning negative": lambda h, p: assemble(
        described(h, optimizer={"type": "Adam", "learning_rate": -1.0}), p),
    "schedule unknown": lambda h, p: assemble(
        described(h, optimizer={"type": "Adam", "learning_rate": {"type": "os.system"}}), p),
    "metric unknown": lambda h, p: assemble(described(h, metrics=[{"type": "Gini"}]), p),
}

HOSTILE_RUN = """
import json, sys
from pathlib import Path
import fastreg as fr
outcome = {}
for path in sorted(Path(sys.argv[1]).glob("hostile-*.safetensors")):
    print("loading", path.name, file=sys.stderr, flush=True)
    try:
        fr.load(str(path))
        outcome[path.stem] = ["loaded", ""]
    except BaseException as error:
        outcome[path.stem] = [type(error).__name__, str(error)]
print(json.dumps(outcome))
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Loads every hostile file, with 2 GB of address space so that a giant allocation shows as what it is."""
    folder = tmp_path_factory.mktemp("hostile")
    model = compiled([layers.Dense(1), layers.BatchNormalization()], loss="mse", optimizer=optimizers.Adam(0.01),
                     n_features=2)
    model.fit(*line(16, 2), verbose=0)
    model.save(str(folder / "small.safetensors"))
    header, payload = parts(folder / "small.safetensors")
    for i, make in enumerate(HOSTILE.values()):
        (folder / f"hostile-{i:03d}.safetensors").write_bytes(make(header, payload))

    def limit():
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))

    found = last_json(run_program(HOSTILE_RUN, folder, timeout=120, preexec=limit))
    return {name: found[f"hostile-{i:03d}"] for i, name in enumerate(HOSTILE)}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_a_value_error(case, outcomes):
    kind, message = outcomes[case]
    assert kind in ("ValueError", "JSONDecodeError", "UnicodeDecodeError"), f"{kind}: {message[:300]}"
    assert message.strip()
    assert len(message) < 2000


# A message has to say what is wrong, not only that something is.
@pytest.mark.parametrize(("case", "words"), [
    ("duplicate name", "layers.0.bias"), ("tensor missing", "weights"), ("layer unknown", "Conv2D"),
    ("layer unknown", "Dense"), ("format of the future", "999"), ("activation unknown", "relu"),
    ("shape transposed", "layers.0.kernel"), ("no metadata", "fastreg"), ("optimizer unknown", "RMSprop"),
    ("units zero", "units"), ("rate one", "rate"), ("dtype integer", "I32"),
])
def test_the_message_names_what_is_wrong(case, words, outcomes):
    assert words in outcomes[case][1]


def test_a_file_of_many_layers_is_read_or_refused_soon(small):
    """20,000 layers without weights in a file of a megabyte: no time that grows with their square."""
    path, header, payload = small
    stack = [*json.loads(header["__metadata__"]["fastreg"])["layers"], *[{"type": "Dropout", "rate": 0.5}] * 20_000]
    path.write_bytes(assemble(described(header, layers=stack), payload))
    program = """
import sys
import fastreg as fr
try:
    print(len(fr.load(sys.argv[1]).layers))
except ValueError:
    print("refused")
"""
    assert run_program(program, path, timeout=30).stdout.split()[0] in ("20002", "refused")


def test_every_message_names_the_file(small, tmp_path):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"not a model")
    with pytest.raises(ValueError, match=r"broken\.safetensors"):
        fr.load(str(path))


def test_missing_files_and_folders_are_the_systems_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.safetensors"):
        fr.load(str(tmp_path / "nothing.safetensors"))
    with pytest.raises(OSError, match=re.escape(tmp_path.name)):
        fr.load(str(tmp_path))


def test_weights_that_are_not_finite_are_refused(small):
    path, header, payload = small
    path.write_bytes(assemble(header, np.full(len(payload) // 4, np.nan, np.float32).tobytes()))
    with pytest.raises(ValueError, match=r"layers\.0"):
        fr.load(str(path))


def test_loading_runs_no_code(tmp_path):
    """Audit events of everything that could run code: none while a file is loaded."""
    model, _, _ = trained()
    model.save(str(tmp_path / "net.safetensors"))
    program = """
import json, sys
import fastreg as fr
fr.load(sys.argv[1])   # submodules load on first use
seen, watching = [], False
def audit(event, args):
    if watching and event.split(".")[0] in {"exec", "compile", "import", "pickle", "marshal", "os", "subprocess",
                                            "ctypes", "socket", "code"}:
        if event != "os.listdir":
            seen.append(f"{event} {args!r:.80}")
sys.addaudithook(audit)
watching = True
fr.load(sys.argv[1])
watching = False
print(json.dumps(seen))
"""
    assert last_json(run_program(program, tmp_path / "net.safetensors")) == []


# ------------------------------------------------------------------------------------------------------- the save

@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
def test_a_save_that_the_system_refuses_leaves_the_old_file(tmp_path):
    """A full disk, played by a limit on the size of files."""
    model, x, _ = trained()
    path = tmp_path / "net.safetensors"
    model.save(str(path))
    program = """
import json, resource, signal, sys
from pathlib import Path
import numpy as np
import fastreg as fr
from fastreg import layers
from programs import compiled
path = Path(sys.argv[1])
old = path.read_bytes()
big = compiled([layers.Dense(300), layers.Dense(1)], n_features=300)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (len(old) + 1000, len(old) + 1000))
try:
    big.save(str(path))
    raised = None
except OSError as error:
    raised = str(error)
print(json.dumps([raised, path.read_bytes() == old, sorted(p.name for p in path.parent.iterdir())]))
"""
    raised, intact, names = last_json(run_program(program, path))
    assert raised
    assert "net.safetensors" in raised
    assert intact
    assert names == ["net.safetensors"]
    assert same_bits([model.predict(x)], [fr.load(str(path)).predict(x)])


def test_a_save_to_nowhere_is_the_systems_error(tmp_path):
    model, _, _ = trained()
    with pytest.raises(OSError, match="absent"):
        model.save(str(tmp_path / "absent" / "net.safetensors"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        model.save(str(tmp_path / "folder"))
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_a_save_leaves_one_file_and_replaces_it(tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"what was here before, longer than nothing")
    model, x, _ = trained()
    for _ in range(3):
        model.save(str(path))
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]
    assert same_bits([model.predict(x)], [fr.load(str(path)).predict(x)])


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_killed_save_never_leaves_a_broken_file(tmp_path):
    """Children save two models in turn and are killed at random moments: the file is always one of the two."""
    program = """
import json, os, random, signal, sys, time
from pathlib import Path
import numpy as np
import fastreg as fr
from fastreg import layers
from programs import compiled, same_bits
path = sys.argv[1]
fr.set_num_threads(1)
both = [compiled([layers.Dense(700), layers.Dense(1)], n_features=700, seed=seed) for seed in (1, 2)]
both[0].save(path)
chance = random.Random(0)
hits = set()
for _ in range(25):
    done, saved = os.pipe()
    child = os.fork()
    if child == 0:
        while True:
            for model in both:
                model.save(path)
                os.write(saved, b".")
    for _ in range(chance.randint(0, 3)):
        os.read(done, 1)
    time.sleep(chance.uniform(0, 0.005))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(done), os.close(saved)
    weights = fr.load(path).get_weights()
    found = [same_bits(weights, model.get_weights()) for model in both]
    assert any(found)
    hits.add(found.index(True))
print(json.dumps(sorted(hits)))
"""
    assert last_json(run_program(program, tmp_path / "net.safetensors", timeout=90)) == [0, 1]


def test_saving_needs_a_built_model(tmp_path):
    model = compiled(tutorial_layers())
    with pytest.raises(ValueError, match="build"):
        model.save(str(tmp_path / "net.safetensors"))
    assert os.listdir(tmp_path) == []


def test_a_model_that_was_never_compiled_saves_its_weights(tmp_path):
    model = fr.Sequential([layers.Dense(3, activation="tanh"), layers.Dense(1)], seed=4)
    model.build(5)
    model.save(str(tmp_path / "net.safetensors"))
    loaded = fr.load(str(tmp_path / "net.safetensors"))
    x, _ = line(9, 5)
    assert same_bits([model.predict(x)], [loaded.predict(x)])


def test_metrics_and_loss_come_back(tmp_path):
    model = compiled([layers.Dense(2)], loss=losses.MeanSquaredError(), n_features=3,
                     metrics=[metrics.MeanAbsoluteError(), "mse"])
    model.save(str(tmp_path / "net.safetensors"))
    x, y = line(20, 3, 2)
    loaded = fr.load(str(tmp_path / "net.safetensors"))
    assert loaded.evaluate(x, y, verbose=0, return_dict=True) == model.evaluate(x, y, verbose=0, return_dict=True)


# ------------------------------------------------------------------------------------------------- files of releases

GOLDEN = sorted((TESTS / "golden").glob("*.json"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_file_of_an_earlier_release_predicts_and_trains_as_it_did(path):
    """Written by tests/golden/make.py; the tolerance is what instruction sets may differ by."""
    stored = json.loads(path.read_text())
    values = {key: np.array([float.fromhex(v) for v in numbers]) for key, numbers in stored.items()}
    model = fr.load(path.with_suffix(".safetensors"))
    x = values["x"].reshape(40, 5)
    y = values["y"].reshape(40, -1) if len(values["y"]) > 40 else values["y"]
    np.testing.assert_allclose(model.predict(x).ravel(), values["predictions"], rtol=1e-5, atol=1e-6)
    losses_now = model.fit(x, y, batch_size=16, epochs=2, verbose=0).history["loss"]
    np.testing.assert_allclose(losses_now, values["losses"], rtol=1e-4)


def test_there_is_a_golden_file_of_each_kind_of_network():
    assert {path.stem.split("-")[0] for path in GOLDEN} == {"tutorial", "classes", "regression"}
    assert all(path.with_suffix(".safetensors").exists() for path in GOLDEN)
