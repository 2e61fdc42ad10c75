"""Early stopping: how long to train is a hyper-parameter that the validation loss chooses.

    python examples/early_stopping.py [--patience 20] [--seed 0] [--plot curves.png]

The run stops when the validation loss has not improved for `patience` epochs, and the weights of its best epoch are
restored.
"""

import argparse

import fastreg as fr
from fastreg import callbacks, layers, optimizers
from toy_data import half_circles

EPOCHS = 500


def build(seed: int) -> fr.Sequential:
    stack = [layers.Dense(128, activation="relu"), layers.Dense(128, activation="relu")]
    model = fr.Sequential([*stack, layers.Dense(1, activation="sigmoid")], seed=seed)
    model.compile(optimizer=optimizers.Adam(3e-3), loss="binary_crossentropy", metrics=["accuracy"])
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patience", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", metavar="PATH", help="write a picture of the learning curves (needs matplotlib)")
    options = parser.parse_args()
    x, y = half_circles(100, seed=options.seed)
    x_validation, y_validation = half_circles(200, seed=options.seed + 1)
    x_test, y_test = half_circles(5000, seed=options.seed + 2)
    stopping = callbacks.EarlyStopping(monitor="val_loss", patience=options.patience)
    histories, best_epochs = {}, {}
    print(f"{'run':<15} {'epochs':>6} {'best epoch':>10} {'validation loss':>15} {'test loss':>10} {'test acc':>9}")
    for name, watchers in (("all epochs", []), ("early stopping", [stopping])):
        model = build(options.seed)
        history = model.fit(
            x, y, epochs=EPOCHS, validation_data=(x_validation, y_validation), callbacks=watchers, verbose=0
        )
        validation_loss, _ = model.evaluate(x_validation, y_validation, verbose=0)
        test_loss, test_accuracy = model.evaluate(x_test, y_test, verbose=0)
        histories[name] = history
        losses = history.history["val_loss"]
        if watchers:
            best_epochs[name] = stopping.best_epoch
        print(
            f"{name:<15} {len(losses):>6} {losses.index(min(losses)) + 1:>10} {validation_loss:>15.4f} "
            f"{test_loss:>10.4f} {test_accuracy:>9.4f}"
        )
    if options.plot:
        from fastreg.plots import learning_curves

        learning_curves(histories, options.plot, best_epochs=best_epochs, title="Half circles: 100 training rows")


if __name__ == "__main__":
    main()
