"""The program of Keras's tutorials. With `keras` in place of `fastreg` in the import line it runs under Keras, too."""

import numpy as np
from fastreg import Sequential, callbacks, layers, regularizers

rng = np.random.default_rng(0)
X = rng.standard_normal((1200, 10)).astype("float32")
score = X[:, 0] * X[:, 1] + X[:, 2] - 0.5 * X[:, 3] ** 2 + 0.5
y = (score + 0.3 * rng.standard_normal(1200) > 0).astype("float32")
X_train, y_train, X_val, y_val, X_test, y_test = X[:600], y[:600], X[600:800], y[600:800], X[800:], y[800:]

model = Sequential(
    [
        layers.Input(shape=(10,)),
        layers.Dense(64, activation="relu", kernel_regularizer=regularizers.L1L2(l1=0.0005, l2=0.0005)),
        layers.BatchNormalization(),
        layers.Dropout(0.5),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
model.summary()
early_stopping = callbacks.EarlyStopping(monitor="val_loss", patience=5, restore_best_weights=True)
history = model.fit(
    X_train,
    y_train,
    epochs=100,
    batch_size=32,
    validation_data=(X_val, y_val),
    callbacks=[early_stopping],
    verbose=0,
)
test_loss, test_accuracy = model.evaluate(X_test, y_test, verbose=0)
probabilities = model.predict(X_test, verbose=0)
print("epochs:", len(history.history["loss"]))
print("history:", ", ".join(sorted(history.history)))
print("weights:", [w.shape for w in model.get_weights()])
print("first probabilities:", np.round(probabilities[:3, 0], 3))
print(f"test loss {test_loss:.4f}, test accuracy {test_accuracy:.4f}")
