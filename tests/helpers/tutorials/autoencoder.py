"""Images through a narrow middle and back: noise in training, a functional model, layers by name."""
import json

import numpy as np
from fastreg import Input, Model, layers, regularizers
from sklearn.datasets import load_digits

x = (load_digits().data / 16.0).astype("float32")
x_train, x_test = x[:1500], x[1500:]

inputs = Input(shape=(64,), name="image")
noisy = layers.GaussianNoise(0.1)(inputs)
hidden = layers.Dense(48, activation="relu")(noisy)
code = layers.Dense(12, activation="relu", name="code", activity_regularizer=regularizers.L1(1e-4))(hidden)
hidden = layers.Dense(48, activation="relu")(code)
outputs = layers.Dense(64, activation="sigmoid", name="restored")(hidden)
model = Model(inputs, outputs, name="autoencoder")
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["mse"])
history = model.fit(
    x_train, x_train, epochs=20, batch_size=64, shuffle=True, validation_data=(x_test, x_test), verbose=0
)
restored = model.predict(x_test, verbose=0)
print(
    json.dumps(
        {
            "keys": [sorted(history.history), model.name, model.get_layer("code").name],
            "shapes": [list(restored.shape), list(model.get_layer("code").kernel.shape)],
            "weights": [list(np.shape(w)) for w in model.get_weights()],
            "scores": {"mse": float(np.mean((restored - x_test) ** 2))},
        }
    )
)
