"""The promise "a model file is data", against it: damaged, truncated and hostile files are a ValueError, never a crash.

`HOSTILE` is the table: add a row. Files are loaded in a process of their own, with little memory, so that a crash, a
hang or a giant allocation is seen as what it is.
"""
from __future__ import annotations

import json
import struct

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers, optimizers
from programs import compiled, file_parts, last_json, line, run_program


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
    return path, *file_parts(path)


def described(header, **changes):
    """The header with members of the description replaced (or removed, where None)."""
    description = json.loads(header["__metadata__"]["fastreg"])
    for key, value in changes.items():
        if value is None:
            del description[key]
        else:
            description[key] = value
    return {**header, "__metadata__": {**header["__metadata__"], "fastreg": json.dumps(description)}}


def with_run(header, value):
    """The header with another length of the last run."""
    state = json.loads(header["__metadata__"]["fastreg"])["state"]
    assert state["run_length"] == [1, 1, 0]
    return described(header, state={**state, "run_length": value})


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
    "loss unknown": lambda h, p: assemble(described(h, loss={"type": "Triplet"}), p),
    "optimizer unknown": lambda h, p: assemble(described(h, optimizer={"type": "LBFGS"}), p),
    "optimizer a number": lambda h, p: assemble(described(h, optimizer=1), p),
    "rate of learning negative": lambda h, p: assemble(
        described(h, optimizer={"type": "Adam", "learning_rate": -1.0}), p),
    "schedule unknown": lambda h, p: assemble(
        described(h, optimizer={"type": "Adam", "learning_rate": {"type": "os.system"}}), p),
    "run length a number": lambda h, p: assemble(with_run(h, 4), p),
    "run length of two": lambda h, p: assemble(with_run(h, [1, 4]), p),
    "run length of floats": lambda h, p: assemble(with_run(h, [1.0, 4.0, 0.0]), p),
    "run length without steps": lambda h, p: assemble(with_run(h, [0, 4, 0]), p),
    "run length negative": lambda h, p: assemble(with_run(h, [1, -4, 0]), p),
    "run length 2^63": lambda h, p: assemble(with_run(h, [1, 1 << 63, 0]), p),
    "run length begins at -2^63": lambda h, p: assemble(with_run(h, [1, 4, -(1 << 63)]), p),
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
    header, payload = file_parts(folder / "small.safetensors")
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


@pytest.mark.parametrize("where", ["type", "activation", "kernel_initializer", "kernel_regularizer", "loss"])
@pytest.mark.parametrize("letters", [5_000, 1_000_000])
def test_a_very_long_name_is_refused_soon_and_shown_in_part(where, letters, small):
    """No time that grows with the square of its length, nor a message of megabytes."""
    path, header, payload = small
    given, name = json.loads(header["__metadata__"]["fastreg"]), "kernels_" * (letters // 8)
    if where == "loss":
        given["loss"] = {"type": name}
    else:
        given["layers"][0][where] = name
    path.write_bytes(assemble(described(header, layers=given["layers"], loss=given["loss"]), payload))
    program = """
import sys
import fastreg as fr
try:
    fr.load(sys.argv[1])
except ValueError as error:
    print(len(str(error)) - len(sys.argv[1]))
"""
    assert 0 < int(run_program(program, path, timeout=30).stdout) < 3000


def test_tensors_of_other_programs_may_be_in_any_order(tmp_path):
    """Those without values, which begin where others do, as well; a name that sorts behind says nothing."""
    parts = {"b": ([2], 0, 8), "a": ([0], 0, 0), "d": ([3], 8, 20), "e": ([0, 4], 20, 20), "c": ([5, 0], 8, 8)}
    values = np.arange(5, dtype=np.float32)
    path = tmp_path / "parts.safetensors"
    for names in ("bdace", "ecdab", "abcde", "edcba"):
        entries = {n: dict(zip(("dtype", "shape", "data_offsets"), ("F32", parts[n][0], parts[n][1:]), strict=True))
                   for n in names}
        path.write_bytes(assemble({"__metadata__": {"fastreg": "{}"}, **entries}, values.tobytes()))
        reader = fr._core.ModelReader(bytes(path))
        read = {name: reader.read(place, 0, int(np.prod(shape)))
                for place, (name, shape) in enumerate(reader.shapes.items())}
        assert dict(reader.shapes) == {n: tuple(parts[n][0]) for n in parts}
        assert read["b"].tolist() == [0.0, 1.0]
        assert read["d"].tolist() == [2.0, 3.0, 4.0]


def test_every_message_names_the_file(small, tmp_path):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"not a model")
    with pytest.raises(ValueError, match=r"broken\.safetensors"):
        fr.load(str(path))


def test_weights_that_are_not_finite_are_refused(small):
    path, header, payload = small
    path.write_bytes(assemble(header, np.full(len(payload) // 4, np.nan, np.float32).tobytes()))
    with pytest.raises(ValueError, match=r"layers\.0"):
        fr.load(str(path))


@pytest.mark.parametrize("call", range(3))
def test_a_call_that_reads_nothing_is_refused(call, tmp_path):
    inputs = [layers.Input((1,)), layers.Input((2,))]
    codes = layers.Flatten()(layers.Embedding(4, 3)(inputs[0]))
    model = fr.Model(inputs, layers.Dense(1)(layers.Concatenate()([codes, inputs[1]])))
    path = tmp_path / "parts.safetensors"
    model.save(str(path))
    header, payload = file_parts(path)
    structure = json.loads(header["__metadata__"]["fastreg"])["structure"]
    structure["calls"][call][1] = []
    path.write_bytes(assemble(described(header, structure=structure), payload))
    with pytest.raises(ValueError, match=r"parts\.safetensors: structure: a call must read a value at least, got \["):
        fr.load(str(path))


def test_a_variance_below_zero_is_refused(small):
    path, header, payload = small
    begin = header["layers.1.moving_variance"]["data_offsets"][0]
    path.write_bytes(assemble(header, payload[:begin] + struct.pack("<f", -1e-3) + payload[begin + 4 :]))
    with pytest.raises(ValueError, match=r"small\.safetensors: .*layers\.1\.moving_variance must be >= 0, got -0\.001"):
        fr.load(str(path))
