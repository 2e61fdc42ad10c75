"""Rare fraud: class weights, an initial bias, AUC and counts, a threshold of one's own."""
import json

import numpy as np
from fastreg import Sequential, callbacks, initializers, layers, losses, metrics, optimizers
from sklearn.datasets import make_classification
from sklearn.metrics import roc_auc_score

x, y = make_classification(6000, 20, n_informative=8, weights=[0.97], class_sep=1.2, flip_y=0.005, random_state=0)
x, y = x.astype("float32"), y.astype("float32")
x_train, y_train, x_test, y_test = x[:4500], y[:4500], x[4500:], y[4500:]
positives = float(y_train.sum())
bias = float(np.log(positives / (len(y_train) - positives)))

model = Sequential(
    [
        layers.Input((20,)),
        layers.Dense(32, activation="relu"),
        layers.Dropout(0.3),
        layers.Dense(1, activation="sigmoid", bias_initializer=initializers.Constant(bias)),
    ]
)
model.compile(
    optimizer=optimizers.Adam(learning_rate=0.002),
    loss=losses.BinaryCrossentropy(),
    metrics=[
        metrics.TruePositives(name="tp"),
        metrics.FalsePositives(name="fp"),
        metrics.TrueNegatives(name="tn"),
        metrics.FalseNegatives(name="fn"),
        metrics.BinaryAccuracy(name="accuracy", threshold=0.5),
        metrics.AUC(name="auc"),
        metrics.AUC(name="prc", curve="PR"),
    ],
)
history = model.fit(
    x_train,
    y_train,
    batch_size=256,
    epochs=40,
    validation_split=0.2,
    class_weight={0: 0.5 * len(y_train) / (len(y_train) - positives), 1: 0.5 * len(y_train) / positives},
    callbacks=[callbacks.EarlyStopping(monitor="val_prc", mode="max", patience=10, restore_best_weights=True)],
    verbose=0,
)
found = model.evaluate(x_test, y_test, batch_size=256, verbose=0, return_dict=True)
probabilities = model.predict(x_test, batch_size=256, verbose=0)
total = sum(found[name] for name in ("tp", "fp", "tn", "fn"))
print(
    json.dumps(
        {
            "keys": [sorted(history.history), sorted(found), total],
            "shapes": [list(probabilities.shape)],
            "weights": [list(np.shape(w)) for w in model.get_weights()],
            "scores": {"auc": float(found["auc"]), "exact": float(roc_auc_score(y_test, probabilities[:, 0]))},
        }
    )
)
