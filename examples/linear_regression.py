"""Linear regression by full-batch gradient descent, with and without L2, beside the exact solution.

    python examples/linear_regression.py [--epochs 300] [--plot cost.png]

The exact solution of min mean((x w + b - y)^2) + l2 * |w|^2, with b left alone, solves (X'X / n + l2 I) w = X'y / n on
centred data; l2 = 0 gives the normal equations.
"""

import argparse

import fastreg as fr
import numpy as np
from fastreg import layers, optimizers, regularizers


def make_data(rows: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, 5)).astype(np.float32)
    x[:, 4] = 0.8 * x[:, 3] + 0.6 * x[:, 4]  # correlated columns are what L2 is good for
    y = x @ np.array([3.0, -2.0, 0.5, 1.0, 0.0]) + 4.0 + 0.5 * rng.standard_normal(rows)
    return x, y.astype(np.float32)


def exact_solution(x: np.ndarray, y: np.ndarray, l2: float) -> tuple[np.ndarray, float]:
    x, y = x.astype(np.float64), y.astype(np.float64)
    centred, target = x - x.mean(axis=0), y - y.mean()
    w = np.linalg.solve(centred.T @ centred / len(x) + l2 * np.eye(x.shape[1]), centred.T @ target / len(x))
    return w, float(y.mean() - x.mean(axis=0) @ w)


def gradient_descent(x: np.ndarray, y: np.ndarray, l2: float, epochs: int) -> tuple[np.ndarray, float, list[float]]:
    """Weights, bias and the cost after each step; one epoch is one step, since the batch is all rows."""
    penalty = regularizers.L2(l2) if l2 else None
    model = fr.Sequential([layers.Dense(1, kernel_regularizer=penalty)], seed=0)
    model.compile(optimizer=optimizers.SGD(learning_rate=0.1), loss="mse")
    history = model.fit(x, y, batch_size=None, epochs=epochs, verbose=0)
    w, b = model.get_weights()
    return w[:, 0], float(b[0]), history.history["loss"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--plot", metavar="PATH", help="write a picture of the cost history (needs matplotlib)")
    options = parser.parse_args()
    x, y = make_data()
    costs = {}
    for l2 in (0.0, 0.1):
        w, b, cost = gradient_descent(x, y, l2, options.epochs)
        exact_w, exact_b = exact_solution(x, y, l2)
        costs[f"l2 = {l2}"] = {"loss": cost}
        print(f"l2 = {l2}")
        for step in sorted({0, 9, 99, options.epochs - 1} & set(range(options.epochs))):
            print(f"  cost in step {step + 1:>4}  {cost[step]:10.6f}")
        print("  weights   ", np.array2string(w, precision=4), f" bias {b:.4f}")
        print("  exact     ", np.array2string(exact_w, precision=4), f" bias {exact_b:.4f}")
        print(f"  largest difference {max(np.abs(w - exact_w).max(), abs(b - exact_b)):.2e}")
    if options.plot:
        from fastreg.plots import learning_curves

        learning_curves(costs, options.plot, title="Cost of full-batch gradient descent")


if __name__ == "__main__":
    main()
