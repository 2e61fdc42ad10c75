"""Several outputs: a class and a number from the same hidden layers, losses and metrics by name."""
import json

import numpy as np
from fastreg import Input, Model, layers, optimizers

rng = np.random.default_rng(0)
x = rng.normal(size=(2000, 8)).astype("float32")
kind = np.argmax(x[:, :3] + 0.3 * rng.normal(size=(2000, 3)), axis=1)
price = (x[:, 3] * x[:, 4] + 0.5 * x[:, 5] + 0.1 * rng.normal(size=2000)).astype("float32")

inputs = Input(shape=(8,), name="features")
shared = layers.Dense(64, activation="relu")(inputs)
shared = layers.Dense(64, activation="relu")(shared)
kind_output = layers.Dense(3, activation="softmax", name="kind")(shared)
price_output = layers.Dense(1, name="price")(layers.Concatenate()([shared, inputs]))
model = Model(inputs=inputs, outputs=[kind_output, price_output])
model.compile(
    optimizer=optimizers.Adam(0.003),
    loss={"kind": "sparse_categorical_crossentropy", "price": "mse"},
    loss_weights={"kind": 1.0, "price": 0.5},
    metrics={"kind": ["accuracy"], "price": ["mae"]},
)
history = model.fit(
    {"features": x[:1600]},
    {"kind": kind[:1600], "price": price[:1600]},
    epochs=30,
    batch_size=32,
    validation_data=(x[1600:], {"kind": kind[1600:], "price": price[1600:]}),
    verbose=0,
)
found = model.evaluate(x[1600:], {"kind": kind[1600:], "price": price[1600:]}, verbose=0, return_dict=True)
predicted = model.predict(x[1600:], verbose=0)
print(
    json.dumps(
        {
            "keys": [sorted(history.history), sorted(found)],
            "shapes": [list(part.shape) for part in predicted],
            "weights": [list(np.shape(w)) for w in model.get_weights()],
            "scores": {"accuracy": float(found["kind_accuracy"]), "mae": float(found["price_mae"])},
        }
    )
)
