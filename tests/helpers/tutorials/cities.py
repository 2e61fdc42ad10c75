"""Rents in cities: numbers of categories through an Embedding, joined with scaled numbers."""
import json

import numpy as np
from fastreg import Input, Model, layers, metrics, optimizers, regularizers

rng = np.random.default_rng(2)
city = rng.integers(0, 6, 2400)
area, age = rng.uniform(20, 120, 2400), rng.uniform(0, 80, 2400)
level = np.array([9.0, 7.5, 6.0, 8.0, 7.0, 12.0])
rent = (level[city] * area * (1 - age / 300) + 20 * rng.normal(size=2400)) / 300
numbers = np.column_stack([area, age]).astype("float32")

scale = layers.Normalization()
scale.adapt(numbers[:2000])

one = Input(shape=(1,), name="city")
two = Input(shape=(2,), name="numbers")
place = layers.Flatten()(layers.Embedding(6, 3, name="places")(one))
hidden = layers.Concatenate()([place, scale(two)])
hidden = layers.Dense(48, activation="relu", kernel_regularizer=regularizers.L2(1e-5))(hidden)
hidden = layers.Dense(24, activation="relu")(hidden)
model = Model({"city": one, "numbers": two}, layers.Dense(1)(hidden))
rate = optimizers.schedules.ExponentialDecay(0.005, 200, 0.7)
model.compile(optimizers.RMSprop(rate), "mse", metrics=["mae", metrics.RootMeanSquaredError(name="rmse")])
codes = city.reshape(-1, 1).astype("float32")
y = rent.astype("float32").reshape(-1, 1)
history = model.fit(
    {"city": codes[:2000], "numbers": numbers[:2000]},
    y[:2000],
    epochs=30,
    batch_size=32,
    validation_split=0.1,
    verbose=0,
)
test = {"city": codes[2000:], "numbers": numbers[2000:]}
found = model.evaluate(test, y[2000:], verbose=0, return_dict=True)
print(
    json.dumps(
        {
            "keys": [sorted(history.history), sorted(found)],
            "shapes": [list(model.predict(test, verbose=0).shape), list(model.get_layer("places").embeddings.shape)],
            "weights": [list(np.shape(w)) for w in model.trainable_weights],
            "scores": {"mae": float(found["mae"])},
        }
    )
)
