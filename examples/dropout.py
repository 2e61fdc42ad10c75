"""Dropout: the same wide network with none, with 0.2 and with 0.5, on few noisy rows.

    python examples/dropout.py [--epochs 400] [--seed 0] [--plot curves.png]

Dropout is active only in training: predictions are the same from call to call, and so is every score printed here.
"""

import argparse

import fastreg as fr
import numpy as np
from fastreg import layers, optimizers
from toy_data import half_circles


def build(rate: float, seed: int) -> fr.Sequential:
    stack = []
    for _ in range(2):
        stack.append(layers.Dense(128, activation="relu"))
        if rate:
            stack.append(layers.Dropout(rate))
    model = fr.Sequential([*stack, layers.Dense(1, activation="sigmoid")], seed=seed)
    model.compile(optimizer=optimizers.Adam(3e-3), loss="binary_crossentropy", metrics=["accuracy"])
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", metavar="PATH", help="write a picture of the learning curves (needs matplotlib)")
    options = parser.parse_args()
    x, y = half_circles(100, seed=options.seed)
    x_test, y_test = half_circles(1000, seed=options.seed + 1)
    histories = {}
    print(f"{'dropout':>7} {'train loss':>11} {'test loss':>10} {'train acc':>10} {'test acc':>9}")
    for rate in (0.0, 0.2, 0.5):
        model = build(rate, options.seed)
        history = model.fit(x, y, epochs=options.epochs, validation_data=(x_test, y_test), verbose=0)
        train_loss, train_accuracy = model.evaluate(x, y, verbose=0)
        test_loss, test_accuracy = model.evaluate(x_test, y_test, verbose=0)
        if not np.array_equal(model.predict(x), model.predict(x)):
            raise SystemExit("predictions differ between calls: dropout must not act on them")
        histories[f"dropout {rate}"] = history
        print(f"{rate:>7} {train_loss:>11.4f} {test_loss:>10.4f} {train_accuracy:>10.4f} {test_accuracy:>9.4f}")
    if options.plot:
        from fastreg.plots import learning_curves

        learning_curves(histories, options.plot, title="Half circles: 100 training rows")


if __name__ == "__main__":
    main()
