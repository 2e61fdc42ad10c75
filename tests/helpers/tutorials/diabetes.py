"""The progression of diabetes: penalties, a learning-rate schedule, and the trained model through a file."""
import json
import os
import tempfile

import numpy as np
from fastreg import Sequential, layers, models, optimizers, regularizers
from sklearn.datasets import load_diabetes

x, y = load_diabetes(return_X_y=True)
x, y = (x / x.std(axis=0)).astype("float32"), ((y - y.mean()) / y.std()).astype("float32")
x_train, y_train, x_test, y_test = x[:340], y[:340], x[340:], y[340:]

model = Sequential(name="diabetes")
model.add(layers.Input(shape=(10,)))
model.add(layers.Dense(32, activation="relu", kernel_regularizer=regularizers.l2(1e-3), name="hidden"))
model.add(layers.Dense(1, kernel_initializer="he_normal", bias_initializer="zeros"))
rate = optimizers.schedules.ExponentialDecay(0.01, decay_steps=100, decay_rate=0.9, staircase=True)
model.compile(optimizer=optimizers.SGD(rate, momentum=0.9, nesterov=True), loss="mse", metrics=["mae"])
history = model.fit(x_train, y_train, epochs=30, batch_size=16, validation_data=(x_test, y_test), verbose=0)
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "diabetes.weights.h5")
    model.save_weights(path)
    other = models.clone_model(model)
    other.build((None, 10))
    other.load_weights(path)
same = bool(np.allclose(other.predict(x_test, verbose=0), model.predict(x_test, verbose=0)))
loss, mae = model.evaluate(x_test, y_test, verbose=0)
print(
    json.dumps(
        {
            "keys": [sorted(history.history), [layer.name for layer in model.layers][:1], model.name, same],
            "shapes": [list(model.get_layer("hidden").kernel.shape), model.count_params()],
            "weights": [list(w.shape) for w in model.get_layer("hidden").get_weights()],
            "scores": {"mae": float(mae)},
        }
    )
)
