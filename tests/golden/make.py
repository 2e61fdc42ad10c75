"""Writes the golden files of this version: `python tests/golden/make.py`, once for each release and never again.

For each network: NAME-VERSION.safetensors as `save` wrote it, and NAME-VERSION.json with inputs, predictions and the
losses of two more epochs, all as hexadecimal floats. tests/test_files.py loads every file that lies here.
"""
from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "helpers"))

import fastreg as fr  # noqa: E402
from fastreg import layers, optimizers, regularizers, schedules  # noqa: E402
from programs import blobs, line  # noqa: E402

N, FEATURES = 40, 5


def networks():
    """Name: (layers, loss, optimizer, metrics, data)."""
    yield "tutorial", [
        layers.Dense(6, activation="relu", kernel_regularizer=regularizers.L1L2(l1=0.01, l2=0.01)),
        layers.BatchNormalization(),
        layers.Dropout(0.5),
        layers.Dense(1, activation="sigmoid"),
    ], "binary_crossentropy", optimizers.Adam(schedules.CosineDecay(0.01, 40, alpha=0.1)), ["accuracy"], blobs(
        N, FEATURES, 2)
    yield "classes", [
        layers.Dropout(0.1),
        layers.Dense(5, activation="gelu", use_bias=False, kernel_initializer="he_normal"),
        layers.BatchNormalization(center=False, momentum=0.9, epsilon=1e-5),
        layers.Activation("leaky_relu"),
        layers.Dense(3, activation="softmax", bias_regularizer=regularizers.L2(0.1)),
    ], "sparse_categorical_crossentropy", optimizers.AdamW(0.01, weight_decay=0.1), [], blobs(N, FEATURES, 3)
    yield "regression", [
        layers.Dense(4, activation="tanh", kernel_regularizer=regularizers.L1(0.01, proximal=True)),
        layers.Dense(2),
    ], "mse", optimizers.SGD(schedules.StepDecay(0.1, 5, 0.5), momentum=0.9, nesterov=True), ["mae"], line(
        N, FEATURES, 2)


def hexadecimal(values):
    return [float(v).hex() for v in np.asarray(values, np.float64).ravel()]


def main():
    for name, stack, loss, optimizer, metrics, (x, y) in networks():
        model = fr.Sequential(stack, seed=7)
        model.compile(optimizer=optimizer, loss=loss, metrics=metrics)
        model.fit(x, y, batch_size=16, epochs=3, verbose=0)
        path = HERE / f"{name}-{fr.__version__}.safetensors"
        if path.exists():
            raise SystemExit(f"{path.name} is there already; the golden files of a release do not change")
        model.save(path)
        predictions = model.predict(x)
        losses = model.fit(x, y, batch_size=16, epochs=2, verbose=0).history["loss"]
        path.with_suffix(".json").write_text(json.dumps({
            "x": hexadecimal(x), "y": hexadecimal(y), "predictions": hexadecimal(predictions),
            "losses": hexadecimal(losses)}) + "\n")


if __name__ == "__main__":
    main()
