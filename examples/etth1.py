"""Forecasts the ETTh1 series four days ahead from two days of lags, with one network for all seven series.

    python examples/etth1.py ETTh1.csv.gz

The usual protocol: 12, 4 and 4 months of 30 days for training, validation and test, values as z-scores with mean and
standard deviation of the training months, forecasts of 96 hours, mean squared error over all hours and series. The
last value of the lags is taken off before and put back after, for every method. scikit-learn's MLPRegressor trains a
network of the same size on the same rows, for comparison.
"""

import argparse
import csv
import gzip
import time
import warnings

import numpy as np
from fastreg import Sequential, callbacks, layers, optimizers, regularizers, schedules
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

MONTH, LAGS, AHEAD, UNITS, EPOCHS, BATCH = 30 * 24, 48, 96, 128, 12, 256


def read(path):
    """The seven series as columns, float32."""
    with gzip.open(path, "rt") as file:
        rows = list(csv.reader(file))[1:]
    return np.array([[float(cell) for cell in row[1:]] for row in rows], dtype="float32")


def windows(series, begin, end, every=1):
    """Lags and futures whose futures lie in [begin, end), of all series one below the other, less the last lag."""
    starts = np.arange(max(begin, LAGS), end - AHEAD + 1, every)
    whole = np.concatenate([series[starts[:, None] + np.arange(-LAGS, AHEAD), j] for j in range(series.shape[1])])
    last = whole[:, LAGS - 1 : LAGS]
    return whole[:, :LAGS] - last, whole[:, LAGS:] - last


def main() -> None:
    """Trains both networks and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", help="ETTh1.csv.gz")
    series = read(parser.parse_args().path)
    train_end, validation_end, test_end = 12 * MONTH, 16 * MONTH, 20 * MONTH
    series = (series - series[:train_end].mean(axis=0)) / series[:train_end].std(axis=0)
    x, y = windows(series, 0, train_end, every=3)
    x_val, y_val = windows(series, train_end, validation_end, every=5)
    x_test, y_test = windows(series, validation_end, test_end)
    print(f"{len(x)} windows to train on, {len(x_val)} to validate, {len(x_test)} to test")

    begun = time.perf_counter()
    model = Sequential(
        [
            layers.Input((LAGS,)),
            layers.Residual([layers.Dense(UNITS, "relu"), layers.Dropout(0.3), layers.Dense(LAGS)]),
            layers.Dense(AHEAD, kernel_regularizer=regularizers.L2(1e-4)),
        ],
        seed=0,
    )
    steps = EPOCHS * -(-len(x) // BATCH)
    model.compile(optimizers.AdamW(schedules.CosineDecay(3e-3, steps), weight_decay=0.01), "mse")
    stopping = callbacks.EarlyStopping(patience=4)
    model.fit(x, y, BATCH, EPOCHS, verbose=0, validation_data=(x_val, y_val), callbacks=[stopping])
    ours = float(np.mean((model.predict(x_test) - y_test) ** 2)), time.perf_counter() - begun

    begun = time.perf_counter()
    other = MLPRegressor(hidden_layer_sizes=(UNITS,), batch_size=BATCH, max_iter=EPOCHS, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it says that all epochs were used
        other.fit(x, y)
    theirs = float(np.mean((other.predict(x_test) - y_test) ** 2)), time.perf_counter() - begun

    print(f"{'':34}{'MSE':>8}{'seconds':>10}")
    print(f"{'last value repeated':34}{np.mean(y_test**2):8.4f}")
    print(f"{'MLPRegressor of scikit-learn':34}{theirs[0]:8.4f}{theirs[1]:10.1f}")
    print(f"{'fastreg':34}{ours[0]:8.4f}{ours[1]:10.1f}")


if __name__ == "__main__":
    main()
