"""Tuning the learning rate and the batch size of a compiled model by a grid, then training with the best of them."""
import numpy as np
from fastreg import Sequential, layers, optimizers
from fastreg.search import GridSearchCV
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42, stratify=y)
scaler = StandardScaler()
X_train = scaler.fit_transform(X_train)
X_test = scaler.transform(X_test)

model = Sequential()
model.add(layers.Input(shape=(X_train.shape[1],)))
model.add(layers.Dense(16, activation="relu"))
model.add(layers.Dense(1, activation="sigmoid"))
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])

param_grid = {"learning_rate": [0.0001, 0.01], "batch_size": [16, 64]}
grid = GridSearchCV(estimator=model, param_grid=param_grid, cv=3)
grid_result = grid.fit(X_train, y_train, epochs=10, verbose=0)

print(f"Best: {grid_result.best_score_:f} using {grid_result.best_params_}")
means = grid_result.cv_results_["mean_test_score"]
stds = grid_result.cv_results_["std_test_score"]
params = grid_result.cv_results_["params"]
for mean, stdev, param in zip(means, stds, params, strict=True):
    print(f"{mean:f} ({stdev:f}) with: {param!r}")

best = grid_result.best_params_
model.compile(
    optimizer=optimizers.Adam(learning_rate=best["learning_rate"]), loss="binary_crossentropy", metrics=["accuracy"]
)
model.fit(X_train, y_train, epochs=20, batch_size=best["batch_size"], verbose=0)
loss, accuracy = model.evaluate(X_test, y_test, verbose=0)
print(f"Test accuracy: {accuracy:.3f}")
assert np.mean((grid_result.best_estimator_.predict(X_test) > 0.5)[:, 0] == y_test) > 0.9
