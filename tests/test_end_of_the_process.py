"""The interpreter ends while daemon threads train and predict: the process ends as ever, with its own exit status.

Python before 3.14 ends such threads by unwinding their stacks when they ask for its lock; the core must not be unwound.
"""
from __future__ import annotations

import pytest
from programs import try_program

PROGRAM = """
import os, sys, tempfile, threading, time
import numpy as np
import fastreg as fr
from fastreg import callbacks, layers
x = np.random.default_rng(0).normal(size=(2000, 20)).astype("float32")
y = (x[:, 0] > 0).astype("float32")
many = np.tile(x, (20, 1))
def make(loss="binary_crossentropy"):
    model = fr.Sequential([layers.Dense(64, "relu"), layers.Dense(1, "sigmoid")], seed=0)
    model.compile("adam", loss)
    model.build((None, 20))
    return model
class Hooks(callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        sum(range(1000))
    def on_train_batch_end(self, batch, logs=None):
        sum(range(100))
def squares(y_true, y_pred):
    error = y_pred - y_true
    return (error**2).mean(axis=1), 2 * error / error.shape[1]
def fit(loss="binary_crossentropy", **keywords):
    make(loss).fit(x, y, epochs=10**9, **{"verbose": 0, **keywords})
def predict():
    model = make()
    while True:
        model.predict(many)
        model.evaluate(many[:2000], y, verbose=0)
def serve():
    frozen = make().freeze()
    while True:
        frozen(many)
def save():
    model, folder = make(), tempfile.mkdtemp()
    while True:
        model.save(os.path.join(folder, "net.safetensors"))
        fr.load(os.path.join(folder, "net.safetensors"))
work = {
    "fit": fit, "hooks": lambda: fit(callbacks=[Hooks()]), "progress": lambda: fit(verbose=1),
    "loss": lambda: fit(squares), "validation": lambda: fit(validation_split=0.5, callbacks=[Hooks()]),
    "predict": predict, "serve": serve, "save": save,
}[sys.argv[1]]
class Output:  # is flushed when the end has begun; it takes as long as all threads need to ask for the lock
    ending = False
    def write(self, text):
        pass
    def flush(self, sleep=time.sleep):
        if self.ending:
            sleep(1)
sys.stdout = Output()
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.5)
sys.stdout.ending = True
sys.exit(7)
"""


@pytest.mark.parametrize("work", ["fit", "hooks", "progress", "loss", "validation", "predict", "serve", "save"])
def test_daemon_threads_do_not_disturb_the_end(work):
    done = try_program(PROGRAM, work)
    assert done.returncode == 7, done.stderr
    assert "Fatal" not in done.stderr
