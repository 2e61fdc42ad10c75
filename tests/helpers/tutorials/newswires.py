"""Topics of newswires: multi-hot words, sparse and one-hot targets, top-k accuracy."""
import json

import numpy as np
from fastreg import Sequential, layers, metrics, utils

rng = np.random.default_rng(0)
topics = rng.dirichlet(np.full(400, 0.05), 12)
labels = rng.integers(0, 12, 2400)
x = np.zeros((2400, 400), dtype="float32")
for i, label in enumerate(labels):
    x[i, rng.choice(400, 9, p=topics[label])] = 1.0
y = utils.to_categorical(labels, 12)

model = Sequential([layers.Dense(64, activation="relu"), layers.Dense(64, activation="relu"), layers.Dense(12)])
model.add(layers.Activation("softmax"))
model.compile(
    optimizer="adam",
    loss="categorical_crossentropy",
    metrics=["accuracy", metrics.TopKCategoricalAccuracy(k=3, name="top_3")],
)
history = model.fit(x[:2000], y[:2000], epochs=9, batch_size=128, validation_split=0.1, verbose=0)
loss, accuracy, top_3 = model.evaluate(x[2000:], y[2000:], verbose=0)
probabilities = model.predict(x[2000:], verbose=0)
print(
    json.dumps(
        {
            "keys": sorted(history.history),
            "shapes": [list(probabilities.shape), bool(np.allclose(probabilities.sum(axis=1), 1, atol=1e-5))],
            "weights": [list(np.shape(w)) for w in model.get_weights()],
            "scores": {"accuracy": float(accuracy), "top_3": float(top_3)},
        }
    )
)
