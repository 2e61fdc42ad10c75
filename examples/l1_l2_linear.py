"""L1 and L2 on a linear model: only 5 of 30 columns matter. Which weights does each penalty keep?

    python examples/l1_l2_linear.py [--epochs 400] [--plot weights.png]

The model is trained by full-batch gradient descent. L2 shrinks every weight and makes none of them zero. L1 by
subgradient, as in Keras, leaves small weights that oscillate around zero; the proximal step sets them to exactly zero.
"""

import argparse

import fastreg as fr
import numpy as np
from fastreg import layers, optimizers, regularizers

COLUMNS, RELEVANT, ROWS = 30, 5, 300
PENALTIES = {
    "none": None,
    "L2": regularizers.L2(0.2),
    "L1": regularizers.L1(0.2),
    "L1, proximal": regularizers.L1(0.2, proximal=True),
    "L1 and L2": regularizers.L1L2(l1=0.2, l2=0.2),
}


def make_data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((ROWS, COLUMNS)).astype(np.float32)
    w = np.zeros(COLUMNS)
    w[:RELEVANT] = [2.0, -1.5, 1.0, -1.0, 0.5]
    return x, (x @ w + 0.5 * rng.standard_normal(ROWS)).astype(np.float32)


def fit_weights(x: np.ndarray, y: np.ndarray, penalty: object, epochs: int) -> np.ndarray:
    model = fr.Sequential([layers.Dense(1, kernel_regularizer=penalty)], seed=0)
    model.compile(optimizer=optimizers.SGD(learning_rate=0.05), loss="mse")
    model.fit(x, y, batch_size=None, epochs=epochs, verbose=0)
    return model.get_weights()[0][:, 0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=400)
    parser.add_argument("--plot", metavar="PATH", help="write a picture of the weights (needs matplotlib)")
    options = parser.parse_args()
    x, y = make_data()
    weights = {name: fit_weights(x, y, penalty, options.epochs) for name, penalty in PENALTIES.items()}
    print(f"{'penalty':<14} {'exact zeros':>11} {'|w| < 0.01':>11} {'sum |w|':>8} {'sum w^2':>8}  relevant weights")
    for name, w in weights.items():
        print(
            f"{name:<14} {int((w == 0).sum()):>11} {int((np.abs(w) < 0.01).sum()):>11} {np.abs(w).sum():>8.3f} "
            f"{(w * w).sum():>8.3f}  {np.array2string(w[:RELEVANT], precision=2, suppress_small=True)}"
        )
    if options.plot:
        plot(weights, options.plot)


def plot(weights: dict[str, np.ndarray], path: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.5 * len(weights)), dpi=130, layout="constrained")
    rows = figure.subplots(len(weights), 1, sharex=True, sharey=True)
    for axes, (name, w) in zip(rows, weights.items(), strict=True):
        axes.stem(np.arange(COLUMNS), w, basefmt=" ")
        axes.set_title(f"{name}: {int((w == 0).sum())} exact zeros", loc="left", fontsize=10)
        axes.axhline(0, color="#555555", linewidth=0.8)
        axes.set_yscale("symlog", linthresh=1e-3)  # so that a small weight is seen to be none of the zeros
        axes.set_yticks([-1, -0.01, 0, 0.01, 1], ["-1", "-0.01", "0", "0.01", "1"])
        axes.margins(y=0.1)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supylabel("weight (logarithmic above 0.001)", fontsize=10)
    rows[-1].set_xlabel("column")
    figure.savefig(path)


if __name__ == "__main__":
    main()
