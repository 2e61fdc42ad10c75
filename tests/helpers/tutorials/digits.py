"""The program that everyone begins with: images, Flatten, a hidden layer, dropout, ten classes."""
import json

import numpy as np
from fastreg import Sequential, layers, losses
from sklearn.datasets import load_digits

images, labels = load_digits(return_X_y=True)
images = images.reshape(-1, 8, 8).astype("uint8")
x_train, y_train, x_test, y_test = images[:1400], labels[:1400], images[1400:], labels[1400:]
x_train, x_test = x_train / 16.0, x_test / 16.0

model = Sequential(
    [
        layers.Input((8, 8)),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dropout(0.2),
        layers.Dense(10),
    ]
)
model.compile(optimizer="adam", loss=losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
history = model.fit(x_train, y_train, epochs=15, verbose=0)
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
logits = model.predict(x_test, verbose=0)
print(
    json.dumps(
        {
            "keys": sorted(history.history),
            "shapes": [list(logits.shape), list(model.input_shape), list(model.output_shape)],
            "weights": [list(np.shape(w)) for w in model.get_weights()],
            "scores": {"accuracy": float(accuracy)},
        }
    )
)
