"""Customers that leave: categories through CategoryEncoding, batch normalisation, LeakyReLU, class weights."""
import json

import numpy as np
from fastreg import Sequential, callbacks, layers

rng = np.random.default_rng(0)
n = 3000
plans = rng.integers(0, 3, n)  # basic, plus, pro
months, calls = rng.exponential(20, n), rng.poisson(2, n)
risk = 0.9 * calls - 0.06 * months + np.where(plans == 0, 1.2, 0.0) - 2.5
y = (risk + rng.logistic(size=n) > 0).astype("float32")

encode = layers.CategoryEncoding(num_tokens=3, output_mode="one_hot")
codes = np.asarray(encode(plans))
numbers = np.column_stack([months / 20, calls / 2])
x = np.concatenate([codes, numbers], axis=1).astype("float32")

model = Sequential(
    [
        layers.Input((x.shape[1],)),
        layers.Dense(32),
        layers.BatchNormalization(),
        layers.LeakyReLU(negative_slope=0.1),
        layers.Dropout(0.3),
        layers.Dense(16, activation="elu"),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile("adam", "binary_crossentropy", metrics=["accuracy", "AUC"])
share = float(y[:2400].mean())
history = model.fit(
    x[:2400],
    y[:2400],
    epochs=30,
    batch_size=64,
    validation_split=0.25,
    class_weight={0: 0.5 / (1 - share), 1: 0.5 / share},
    callbacks=[callbacks.EarlyStopping(patience=8, restore_best_weights=True)],
    verbose=0,
)
found = model.evaluate(x[2400:], y[2400:], verbose=0, return_dict=True)
auc = found["auc"] if "auc" in found else found["AUC"]
print(
    json.dumps(
        {
            "keys": [sorted(key.lower() for key in history.history), list(codes.shape), codes[:3].tolist()],
            "shapes": [list(model.predict(x[:3], verbose=0).shape)],
            "weights": [list(np.shape(w)) for w in model.get_weights()],
            "scores": {"auc": float(auc)},
        }
    )
)
