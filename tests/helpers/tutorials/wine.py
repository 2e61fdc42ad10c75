"""Three kinds of wine, with every callback: checkpoints, logs, plateaus, schedules, hooks and one's own F1."""
import json
import os
import tempfile

import numpy as np
from fastreg import Sequential, callbacks, layers, models, optimizers
from sklearn.datasets import load_wine
from sklearn.metrics import f1_score

x, y = load_wine(return_X_y=True)
order = np.random.default_rng(0).permutation(len(y))
x, y = ((x - x.mean(axis=0)) / x.std(axis=0)).astype("float32")[order], y[order]
x_train, y_train, x_val, y_val = x[:130], y[:130], x[130:], y[130:]


class F1(callbacks.Callback):
    """The usual pattern: a score of one's own in the logs, for other callbacks to monitor."""

    def on_epoch_end(self, epoch, logs=None):
        predicted = np.argmax(self.model.predict(x_val, verbose=0), axis=1)
        logs["val_f1"] = float(f1_score(y_val, predicted, average="macro"))


class Batches(callbacks.Callback):
    """Counts the batches of training."""

    def on_train_begin(self, logs=None):
        self.count, self.keys = 0, None

    def on_train_batch_end(self, batch, logs=None):
        self.count += 1
        self.keys = sorted(logs)


model = Sequential([layers.Dense(24, activation="relu"), layers.Dense(3, activation="softmax")])
model.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
said, batches = [], Batches()
with tempfile.TemporaryDirectory() as folder:
    best = os.path.join(folder, "best.keras")
    history = model.fit(
        x_train,
        y_train,
        epochs=40,
        batch_size=16,
        validation_data=(x_val, y_val),
        verbose=0,
        callbacks=[
            F1(),
            batches,
            callbacks.EarlyStopping(monitor="val_f1", mode="max", patience=12, restore_best_weights=True),
            callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=4, min_lr=1e-5),
            callbacks.ModelCheckpoint(best, monitor="val_accuracy", mode="max", save_best_only=True),
            callbacks.ModelCheckpoint(os.path.join(folder, "{epoch:02d}.weights.h5"), save_weights_only=True),
            callbacks.CSVLogger(os.path.join(folder, "log.csv")),
            callbacks.TerminateOnNaN(),
            callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: said.append(epoch)),
            callbacks.LearningRateScheduler(lambda epoch, rate: rate if epoch < 5 else rate * 0.99),
            callbacks.BackupAndRestore(os.path.join(folder, "backup")),
        ],
    )
    with open(os.path.join(folder, "log.csv")) as file:
        columns = file.readline().strip().split(",")
    files = [name for name in os.listdir(folder) if name.endswith(".weights.h5")]
    kept = models.load_model(best)
epochs = len(history.history["loss"])
accuracy = kept.evaluate(x_val, y_val, verbose=0)[1]
print(
    json.dumps(
        {
            "keys": [sorted(history.history), sorted(columns), batches.keys],
            "shapes": [epochs == len(said) == len(files), batches.count == epochs * 9],
            "weights": [list(np.shape(w)) for w in kept.get_weights()],
            "scores": {"accuracy": float(accuracy)},
        }
    )
)
