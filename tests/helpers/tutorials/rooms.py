"""Temperatures of rooms: a residual block, layer normalisation, AdamW with clipping, training by batches."""
import json

import numpy as np
from fastreg import Input, Model, callbacks, layers, losses, optimizers

rng = np.random.default_rng(1)
x = rng.normal(size=(2400, 6)).astype("float32")
y = (np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.3 * x[:, 3:4] + 0.1 * rng.normal(size=(2400, 1))).astype("float32")
x_train, y_train, x_test, y_test = x[:2000], y[:2000], x[2000:], y[2000:]

inputs = Input(shape=(6,))
hidden = layers.Dense(48, activation="gelu", name="first")(inputs)
block = layers.LayerNormalization()(hidden)
block = layers.Dense(48, activation="swish", kernel_initializer="he_uniform")(block)
block = layers.Dropout(0.05)(block)
hidden = layers.add([hidden, block])
outputs = layers.Dense(1, name="degrees")(hidden)
model = Model(inputs, outputs, name="rooms")
model.compile(
    optimizer=optimizers.AdamW(learning_rate=0.003, weight_decay=1e-4, clipnorm=1.0),
    loss=losses.Huber(delta=1.0),
    metrics=["mae"],
)
for start in range(0, 2000, 100):  # one epoch of one's own
    found = model.train_on_batch(x_train[start : start + 100], y_train[start : start + 100], return_dict=True)
history = model.fit(
    x_train,
    y_train,
    epochs=30,
    batch_size=50,
    validation_data=(x_test, y_test),
    callbacks=[callbacks.ReduceLROnPlateau(patience=5, factor=0.5)],
    verbose=0,
)
loss, mae = model.evaluate(x_test, y_test, verbose=0)
print(
    json.dumps(
        {
            "keys": [sorted(history.history), sorted(found), model.layers[-1].name],
            "shapes": [list(model.predict(x_test, verbose=0).shape), list(model.output_shape), model.count_params()],
            "weights": [list(np.shape(w)) for w in model.get_weights()],
            "scores": {"mae": float(mae)},
        }
    )
)
