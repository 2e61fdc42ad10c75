"""Prices of houses: a Normalization layer that adapts to the training rows, mean absolute error, a validation split."""
import csv
import gzip
import json
import os
import sys

import numpy as np
from fastreg import Sequential, layers, optimizers

with gzip.open(os.path.join(sys.argv[1], "california_housing.csv.gz"), "rt") as file:
    rows = list(csv.reader(file))[1:]
table = np.array([[float(cell) for cell in row[:-1]] for row in rows if all(row)], dtype="float32")  # without text
table = table[np.random.default_rng(0).permutation(len(table))[:6000]]
x, y = table[:, :-1], table[:, -1]
y = (y - y.mean()) / y.std()
x_train, y_train, x_test, y_test = x[:5000], y[:5000], x[5000:], y[5000:]

normalizer = layers.Normalization(axis=-1)
normalizer.adapt(x_train)
model = Sequential(
    [
        layers.Input((x.shape[1],)),
        normalizer,
        layers.Dense(64, activation="relu"),
        layers.Dense(64, activation="relu"),
        layers.Dense(1),
    ]
)
model.compile(optimizer=optimizers.Adam(0.001), loss="mean_absolute_error", metrics=["mse", "mae"])
history = model.fit(x_train, y_train, epochs=20, batch_size=64, validation_split=0.2, verbose=0)
scores = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
print(
    json.dumps(
        {
            "keys": [sorted(history.history), sorted(scores)],
            "shapes": [list(model.predict(x_test[:10], verbose=0).shape)],
            "weights": [list(np.shape(w)) for w in model.trainable_weights],
            "scores": {"mae": float(scores["mae"])},
        }
    )
)
