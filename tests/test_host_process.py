"""The promise "no harm to the host process": what the interpreter, its threads and its children see of fastreg.

Everything that could hang, crash or change the process runs in a process of its own with a time limit.
"""
from __future__ import annotations

import json
import platform
import signal
import sys

import pytest
from programs import last_json, run_program, try_program

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, forks")
x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads the control register MXCSR")

# Rounding, masks and both denormal bits (not the sticky flags), read from C by fegetenv.
CONTROL = """
import ctypes, json, os, sys, threading, time, warnings
libm = ctypes.CDLL("libm.so.6")
def control():
    environment = (ctypes.c_uint32 * 16)()
    assert libm.fegetenv(environment) == 0
    return environment[7] & ~0x3f
before = control()
import numpy as np
import fastreg as fr
from fastreg import callbacks, layers
from programs import blobs, compiled, tutorial_layers
def denormals_live():
    return bool(np.float32(1e-40) * np.float32(0.5) != 0) and bool(np.any(np.full(64, 1e-40, np.float32) * 0.5))
"""


@x86
@linux
@pytest.mark.parametrize("threads", [1, 3])
def test_floating_point_control_is_what_it_was(threads):
    program = CONTROL + """
seen = {"import": (control(), denormals_live())}
fr.set_num_threads(int(sys.argv[1]))
x, y = blobs(200, 10, 2)
model = compiled(tutorial_layers(), n_features=10, parallel=True)
class Look(callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        seen["callback"] = (control(), denormals_live())
        model.predict(x)
        seen["callback after predict"] = (control(), denormals_live())
class Fail(callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise KeyError("mine")
model.fit(x, y, epochs=2, verbose=0, callbacks=[Look()])
seen["fit"] = (control(), denormals_live())
try:
    model.fit(x, y, epochs=2, verbose=0, callbacks=[Fail()])
except KeyError:
    seen["exception"] = (control(), denormals_live())
model.predict(x), model.evaluate(x, y, verbose=0)
seen["predict"] = (control(), denormals_live())
try:
    model.fit(x, y[:3], verbose=0)
except ValueError:
    seen["bad argument"] = (control(), denormals_live())
other = compiled([layers.Dense(1)], loss="mse", optimizer=fr.optimizers.SGD(1e30))
try:
    other.fit(x, y, epochs=50, verbose=0)
except fr.DivergenceError:
    seen["divergence"] = (control(), denormals_live())
def in_thread():
    seen["thread before"] = (control(), denormals_live())
    model.fit(x, y, epochs=1, verbose=0)
    seen["thread after"] = (control(), denormals_live())
worker = threading.Thread(target=in_thread)
worker.start(); worker.join()
print(json.dumps([before, seen]))
"""
    before, seen = last_json(run_program(program, threads))
    assert set(seen) == {"import", "callback", "callback after predict", "fit", "exception", "predict", "bad argument",
                         "divergence", "thread before", "thread after"}
    assert {place: state for place, state in seen.items() if state != [before, True]} == {}


@x86
@linux
def test_the_rounding_mode_of_the_host_survives():
    program = CONTROL + """
UPWARD = 0x800
assert libm.fesetround(UPWARD) == 0 and libm.fegetround() == UPWARD
x, y = blobs(64, 10, 2)
model = compiled(tutorial_layers(), n_features=10)
model.fit(x, y, epochs=1, verbose=0); model.predict(x)
print(libm.fegetround() == UPWARD)
"""
    assert run_program(program).stdout.split() == ["True"]


@linux
def test_numpy_finds_its_floats_unharmed():
    """np.finfo warns where something flushed denormals for the whole process."""
    program = """
import warnings
warnings.simplefilter("error")
import fastreg as fr
import numpy as np
from programs import blobs, compiled, tutorial_layers
fr.set_num_threads(2)
x, y = blobs(64, 10, 2)
compiled(tutorial_layers(), n_features=10, parallel=True).fit(x, y, verbose=0)
for kind in (np.float16, np.float32, np.float64):
    assert np.finfo(kind).smallest_subnormal > 0
    assert np.finfo(kind).smallest_subnormal / 1 > 0
print("fine")
"""
    assert run_program(program).stdout.split() == ["fine"]


@linux
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_nothing_spins_after_a_call(threads):
    """A worker left spinning would never be found asleep, or would burn the pause; those that sleep burn none of it."""
    program = """
import json, os, sys, threading, time
import fastreg as fr
from programs import blobs, compiled, tutorial_layers
fr.set_num_threads(int(sys.argv[1]))
x, y = blobs(2000, 10, 2)
model = compiled(tutorial_layers(), n_features=10, parallel=True)
model.fit(x, y, epochs=2, verbose=0)
model.predict(x)
def awake():
    states = {}
    for thread in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{thread}/stat") as file:
            states[int(thread)] = file.read().rpartition(")")[2].split()[0]
    del states[threading.get_native_id()]
    return [state for state in states.values() if state != "S"]
end = time.monotonic() + 30
while awake() and time.monotonic() < end:
    time.sleep(0.01)
before, busy = time.process_time(), awake()
time.sleep(0.4)
print(json.dumps([busy, time.process_time() - before]))
"""
    busy, burnt = last_json(run_program(program, threads, timeout=120))
    assert not busy
    assert burnt < 0.04


# The child trains the same model and sends its weights; the parent compares them bit for bit with its own.
CHILD = """
import json, multiprocessing, os, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import numpy as np
import fastreg as fr
from programs import blobs, compiled, same_bits, tutorial_layers
x, y = blobs(128, 10, 2)
def train(parallel=True):
    model = compiled(tutorial_layers(), n_features=10, parallel=parallel)
    model.fit(x, y, epochs=2, verbose=0)
    return [*model.get_weights(), model.predict(x), np.asarray(model.evaluate(x, y, verbose=0))]
def child(pipe, threads):
    if threads:
        fr.set_num_threads(threads)
    pipe.send(train())
def from_child(method, threads):
    context = multiprocessing.get_context(method)
    receiver, sender = context.Pipe(False)
    process = context.Process(target=child, args=(sender, threads))
    process.start()
    try:
        assert receiver.poll(30), "the child hangs"
        return receiver.recv()
    finally:
        process.join(5)
        process.kill()
"""


@linux
@pytest.mark.parametrize("threads", [0, 2])
def test_a_forked_child_trains_and_predicts(threads):
    """After the parent ran a threaded fit; with the parent's thread count and with one set in the child."""
    program = CHILD + """
fr.set_num_threads(3)
mine = train()
for _ in range(3):
    assert same_bits(mine, from_child("fork", int(sys.argv[1])))
assert same_bits(mine, train())
print("same")
"""
    assert run_program(program, threads, timeout=100).stdout.split() == ["same"]


@linux
def test_a_child_forked_while_another_thread_trains():
    """The child has only the forking thread, and whatever the others held at that moment."""
    program = CHILD + """
fr.set_num_threads(2)
mine = train()
done = threading.Event()
def busy():
    while not done.is_set():
        train()
worker = threading.Thread(target=busy)
worker.start()
try:
    for _ in range(5):
        assert same_bits(mine, from_child("fork", 0))
finally:
    done.set()
    worker.join()
print("same")
"""
    assert run_program(program, timeout=120).stdout.split() == ["same"]


def test_a_spawned_child_trains_and_predicts(tmp_path):
    script = tmp_path / "spawned.py"
    script.write_text(CHILD + """
if __name__ == "__main__":
    fr.set_num_threads(2)
    assert same_bits(train(), from_child("spawn", 2))
    print("same")
""")
    program = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    assert run_program(program, script, timeout=90).stdout.split() == ["same"]


INTERRUPTED = """
import json, os, signal, sys, threading, time
import numpy as np
import fastreg as fr
from fastreg import callbacks
from programs import blobs, compiled, long_epoch, tutorial_layers, wait_for_fit
kind, threads = sys.argv[1], int(sys.argv[2])
fr.set_num_threads(threads)
x, y = blobs(512, 10, 2)
xv, yv = blobs(64, 10, 2, seed=1)
model = compiled(tutorial_layers(), n_features=10, parallel=threads > 1, metrics=["accuracy"])
given = [callbacks.EarlyStopping(monitor="val_loss", patience=10**9)]
if kind == "callback":
    class Noop(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            pass
    given.append(Noop())
def interrupt():
    wait_for_fit(model)
    os.kill(os.getpid(), signal.SIGINT)
epochs, batch = 10**7, 32
if kind == "one epoch":
    model, x, y = long_epoch(n_features=10, parallel=threads > 1)
    epochs, batch = 1, 1
threading.Thread(target=interrupt, daemon=True).start()
try:
    model.fit(x, y, epochs=epochs, batch_size=batch, verbose=0, validation_data=(xv, yv), callbacks=given)
    print(json.dumps("not interrupted"))
except KeyboardInterrupt:
    history = model.history.history
    score = model.evaluate(xv, yv, verbose=0, return_dict=True)["loss"]
    finite = all(np.isfinite(w).all() for w in model.get_weights())
    model.fit(x[:64], y[:64], epochs=1, verbose=0)
    print(json.dumps({"val_loss": history.get("val_loss", []), "score": score, "finite": finite}))
"""


@linux
@pytest.mark.parametrize("kind", ["plain", "callback", "one epoch"])
@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_stops_soon_keeps_history_and_restores_the_best_weights(kind, threads):
    # What is not interrupted takes half an hour.
    seen = last_json(run_program(INTERRUPTED, kind, threads, timeout=120))
    assert seen != "not interrupted"
    assert seen["finite"]
    if kind == "one epoch":
        assert seen["val_loss"] == []
    else:
        assert 2 <= len(seen["val_loss"]) < 10**7
        assert len(seen["val_loss"]) >= 2
        assert seen["score"] == pytest.approx(min(seen["val_loss"]), rel=1e-5)


@linux
def test_ctrl_c_as_the_host_handles_it():
    """A handler of the host's own runs within a fit; where it does not raise, the fit goes on until `end`."""
    program = """
import json, os, signal, threading, time
from fastreg import callbacks
from programs import blobs, compiled, tutorial_layers, wait_for_fit
caught, end = [], callbacks.StopSignal()
signal.signal(signal.SIGINT, lambda *_: caught.append(end.is_set))
x, y = blobs(512, 10, 2)
model = compiled(tutorial_layers(), n_features=10)
def interrupt():
    wait_for_fit(model)
    os.kill(os.getpid(), signal.SIGINT)
    while not caught:  # or the fit takes minutes
        time.sleep(0.001)
    time.sleep(0.1)
    end.set()
threading.Thread(target=interrupt, daemon=True).start()
history = model.fit(x, y, epochs=10**7, verbose=0, callbacks=[end])
print(json.dumps([caught, history.stopped_by]))
"""
    assert last_json(run_program(program)) == [[False], "stop_signal"]


@linux
def test_predict_in_a_loop_keeps_memory_flat():
    program = """
import gc, json, os
import numpy as np
from programs import blobs, compiled, tutorial_layers
x, y = blobs(64, 10, 2)
model = compiled(tutorial_layers(), n_features=10)
model.fit(x, y, verbose=0)
page = os.sysconf("SC_PAGE_SIZE")
def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * page
row = x[:1].copy()
for _ in range(2000):
    model.predict(row)
before = resident()
for _ in range(100_000):
    model.predict(row)
loop = resident() - before
for _ in range(200):
    model.fit(x, y, epochs=1, verbose=0); model.evaluate(x, y, verbose=0)
before = resident()
for _ in range(800):
    model.fit(x, y, epochs=1, verbose=0); model.evaluate(x, y, verbose=0)
print(json.dumps([loop, resident() - before]))
"""
    predict, fit = last_json(run_program(program, timeout=120))
    assert predict < 1 << 20, f"100,000 predictions grew the process by {predict} bytes"
    assert fit < 1 << 20, f"800 fits grew the process by {fit} bytes"


@linux
def test_models_give_their_memory_back():
    program = """
import gc, json, os
from fastreg import layers
from programs import compiled, line
page = os.sysconf("SC_PAGE_SIZE")
def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * page
x, y = line(64, 500, 1)
def make():
    model = compiled([layers.Dense(1000, activation="relu"), layers.Dense(1)], loss="mse")
    model.fit(x, y, epochs=1, verbose=0)
for _ in range(10):
    make()
before = resident()
for _ in range(60):
    make()
    gc.collect()
print(json.dumps(resident() - before))
"""
    # The allocator keeps a few freed models' worth for itself; 60 models that leaked would leave 480 MB.
    grown = last_json(run_program(program, timeout=120))
    assert grown < 32 << 20, f"60 models with 8 MB each of weights and moments left {grown} bytes"


def test_importing_brings_no_third_party_module_but_numpy():
    program = """
import json, sys
import numpy
before = set(sys.modules)
import fastreg
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps([sorted(new - sys.stdlib_module_names), "__future__" in new]))
"""
    # The module __future__ would be a tenth of the time of the import.
    assert last_json(run_program(program)) == [["fastreg"], False]


def test_training_brings_no_third_party_module_but_numpy():
    program = """
import json, sys
import numpy
import fastreg as fr
x = numpy.zeros((8, 2), numpy.float32); y = numpy.zeros(8, numpy.float32)
model = fr.Sequential([fr.layers.Dense(1)], seed=0)
model.compile(optimizer="adam", loss="mse", metrics=["mae"])
model.fit(x, y, validation_split=0.25, verbose=0, callbacks=[fr.callbacks.EarlyStopping()])
model.summary()
tops = {name.partition(".")[0] for name in sys.modules}
print(json.dumps(sorted(tops & {"torch", "jax", "keras", "tensorflow", "sklearn", "pandas", "scipy", "matplotlib",
                               "safetensors", "onnx", "joblib", "pytest"})))
"""
    assert last_json(run_program(program)) == []


@linux
def test_output_streams_stay_clean():
    program = """
from programs import blobs, compiled, tutorial_layers
x, y = blobs(64, 10, 2)
model = compiled(tutorial_layers(), metrics=["accuracy"])
model.fit(x, y, epochs=3, verbose=0, validation_split=0.25); model.predict(x); model.evaluate(x, y, verbose=0)
"""
    done = run_program(program)
    assert done.stdout == ""
    assert done.stderr == ""


@linux
def test_termination_by_signal_is_what_the_host_expects():
    """SIGTERM's default action is left alone during a fit: the process ends by it."""
    program = """
import os, signal, threading
from programs import blobs, compiled, tutorial_layers
x, y = blobs(512, 10, 2)
threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
compiled(tutorial_layers()).fit(x, y, epochs=10**7, verbose=0)
"""
    assert try_program(program).returncode == -signal.SIGTERM


def test_show_config_reports_what_runs():
    program = """
import io, contextlib, json
import fastreg as fr
text = io.StringIO()
with contextlib.redirect_stdout(text):
    fr.set_num_threads(7)
    returned = fr.show_config()
print(json.dumps(text.getvalue() + str(returned or "")))
"""
    text = json.loads(run_program(program).stdout.splitlines()[-1])
    assert "7" in text
    assert any(isa in text for isa in ("baseline", "avx2", "avx512", "neon"))
