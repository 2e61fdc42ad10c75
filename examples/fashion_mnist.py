"""Trains a 256-128 network on Fashion-MNIST, MNIST or any images in the same four idx files.

    python examples/fashion_mnist.py --data DIR [--epochs 10] [--seed 0] [--save net.safetensors] [--plot curves.png]

DIR holds train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and
t10k-labels-idx1-ubyte.gz (or the same without .gz). The size of the images, the number of classes and their labels are
read from the files. The test images are used only once, at the end.
"""

import argparse
import gzip
import math
import time
import zlib
from pathlib import Path

import fastreg as fr
import numpy as np
from fastreg import layers, optimizers, regularizers, schedules

HIDDEN = (256, 128)
# The third byte of an idx file names the type of its elements; all are big-endian.
IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


class DataError(Exception):
    """A file is missing, damaged, or does not match the others."""


def read_idx(folder: Path, name: str) -> np.ndarray:
    """The array in an idx file: bytes 0 0 type rank, then the sizes as big-endian 32-bit integers, then the data."""
    path = folder / f"{name}.gz"
    if not path.exists():
        path = folder / name
    if not path.is_file():
        raise DataError(f"{folder / name}.gz is missing")
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is not a whole gzip file: {error}") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in IDX_TYPES or len(raw) < 4 + 4 * raw[3]:
        raise DataError(f"{path} is not an idx file: it begins with {raw[:4].hex(' ') or 'nothing'}")
    dtype, start = np.dtype(IDX_TYPES[raw[2]]), 4 + 4 * raw[3]
    shape = tuple(int(size) for size in np.frombuffer(raw[4:start], ">u4"))
    wanted = math.prod(shape) * dtype.itemsize
    if len(raw) - start != wanted:
        raise DataError(f"{path} is damaged: shape {shape} needs {wanted} bytes, the file holds {len(raw) - start}")
    return np.frombuffer(raw, dtype, offset=start).reshape(shape)


def read_part(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images as float32 rows of pixels, and their labels."""
    images, labels = read_idx(folder, f"{part}-images-idx3-ubyte"), read_idx(folder, f"{part}-labels-idx1-ubyte")
    if images.ndim < 2 or labels.ndim != 1 or len(images) != len(labels) or not images.size:
        raise DataError(f"{part}: there must be one label for each image, got shapes {images.shape} and {labels.shape}")
    return images.reshape(len(images), -1).astype(np.float32), labels


def load(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x, y, x_test, y_test and the classes.

    y holds indices into the classes; x has mean 0 and variance 1 over all pixels.
    """
    (x, labels), (x_test, test_labels) = read_part(folder, "train"), read_part(folder, "t10k")
    if x.shape[1] != x_test.shape[1]:
        raise DataError(f"training images have {x.shape[1]} pixels, test images {x_test.shape[1]}")
    classes, y = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise DataError(f"there must be at least 2 classes to tell apart, got only {classes.tolist()}")
    unknown = np.setdiff1d(test_labels, classes)
    if len(unknown):
        raise DataError(f"test labels {unknown.tolist()} do not occur in the training labels")
    mean, deviation = float(x.mean(dtype=np.float64)), float(x.std(dtype=np.float64))
    if not (math.isfinite(deviation) and deviation > 0):
        raise DataError(f"pixels must be finite and not all the same, got standard deviation {deviation}")
    for images in (x, x_test):
        images -= mean
        images /= deviation
    return x, y, x_test, np.searchsorted(classes, test_labels), classes


def build(n_classes: int, steps: int, seed: int) -> fr.Sequential:
    """Batch normalisation before the relu, which makes the dense layers' biases redundant."""
    stack = []
    for units in HIDDEN:
        stack.append(layers.Dense(units, use_bias=False, kernel_regularizer=regularizers.L2(1e-5)))
        stack.append(layers.BatchNormalization(momentum=0.9))
        stack.append(layers.Activation("relu"))
        stack.append(layers.Dropout(0.2))
    model = fr.Sequential([*stack, layers.Dense(n_classes, activation="softmax")], seed=seed)
    model.compile(
        optimizer=optimizers.Adam(schedules.CosineDecay(2e-3, steps)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", metavar="PATH", help="write the trained model to this file")
    parser.add_argument("--plot", metavar="PATH", help="write a picture of the learning curve (needs matplotlib)")
    options = parser.parse_args()
    if options.epochs < 1:
        parser.error(f"--epochs must be >= 1, got {options.epochs}")
    try:
        x, y, x_test, y_test, classes = load(options.data)
    except DataError as error:
        raise SystemExit(f"fashion_mnist.py: {error}") from error
    # 128 rows per step, or fewer if an epoch would have less than 100 steps.
    batch = max(8, min(128, len(x) // 100))
    model = build(len(classes), options.epochs * math.ceil(len(x) / batch), options.seed)
    print(f"{len(x)} training and {len(x_test)} test images of {x.shape[1]} pixels, {len(classes)} classes")
    start = time.perf_counter()
    history = model.fit(x, y, batch_size=batch, epochs=options.epochs)
    seconds = time.perf_counter() - start
    train_accuracy = model.evaluate(x, y, verbose=0)[1]
    test_accuracy = model.evaluate(x_test, y_test, verbose=0)[1]
    print(f"trained {options.epochs} epochs in {seconds:.1f} s: {options.epochs * len(x) / seconds:,.0f} samples/s")
    print(f"training accuracy {train_accuracy:.4f}")
    print(f"test accuracy {test_accuracy:.4f}")
    if options.save:
        model.save(options.save)
        print(f"saved {options.save}")
    if options.plot:
        from fastreg.plots import learning_curves

        learning_curves(history, options.plot)


if __name__ == "__main__":
    main()
