"""A recommender: ratings of users for items as scalar products of learned vectors, beside biases and truncated SVD.

    python examples/recommender.py [--users 2000] [--items 500] [--seen 0.05] [--epochs 60] [--seed 0]

The ratings have rank 8, and few of them are known. The network has a vector and a bias for each user and each item; a
penalty on the vectors and early stopping on a tenth of the known ratings keep it from learning these by heart. It is
compared on the unknown ratings with the biases alone, and with scikit-learn's TruncatedSVD of what the biases leave,
unknown ratings counting as 0, at its best rank.
"""

import argparse
import time

import fastreg as fr
import numpy as np
from fastreg import layers


def make_ratings(users: int, items: int, seen: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The matrix of all ratings, and which of them are known."""
    rng = np.random.default_rng(seed)
    taste, traits = rng.normal(size=(users, 8)), rng.normal(size=(items, 8))
    biases = rng.normal(scale=0.5, size=(users, 1)) + rng.normal(scale=0.5, size=(1, items))
    ratings = 3.0 + biases + taste @ traits.T / np.sqrt(8) + rng.normal(scale=0.1, size=(users, items))
    return ratings, rng.random((users, items)) < seen


def build(users: int, items: int, mean: float, rank: int, penalty: float, seed: int) -> fr.Model:
    user, item = fr.Input(shape=(1,), name="user"), fr.Input(shape=(1,), name="item")
    regularizer = fr.regularizers.L2(penalty)
    left = layers.Embedding(users, rank, embeddings_regularizer=regularizer, name="taste")(user)
    right = layers.Embedding(items, rank, embeddings_regularizer=regularizer, name="traits")(item)
    product = layers.Flatten()(layers.Dot(axes=2)([left, right]))
    user_bias = layers.Flatten()(layers.Embedding(users, 1, "zeros", name="user_bias")(user))
    item_bias = layers.Flatten()(layers.Embedding(items, 1, "zeros", name="item_bias")(item))
    total = layers.Rescaling(1.0, offset=mean)(layers.Add()([product, user_bias, item_bias]))
    model = fr.Model([user, item], total, seed=seed)
    model.compile(fr.optimizers.Adam(0.01), "mse")
    return model


def biases_of(users: np.ndarray, items: np.ndarray, y: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Mean, user bias and item bias by least squares with a small ridge, in turns."""
    mean, of_user, of_item = y.mean(), np.zeros(shape[0]), np.zeros(shape[1])
    for _ in range(20):
        for bias, index, other in ((of_user, users, of_item[items]), (of_item, items, of_user[users])):
            sums = np.bincount(index, y - mean - other, minlength=len(bias))
            bias[:] = sums / (np.bincount(index, minlength=len(bias)) + 1.0)
    return mean + of_user[:, None] + of_item[None, :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=2000)
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--seen", type=float, default=0.05)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    ratings, known = make_ratings(options.users, options.items, options.seen, options.seed)
    users, items = np.nonzero(known)
    y = ratings[known]

    def error(predicted: np.ndarray) -> float:
        return float(np.sqrt(np.mean((predicted - ratings)[~known] ** 2)))

    print(f"{'':<15} {'test RMSE':>9} {'seconds':>8}")
    begin = time.perf_counter()
    biased = biases_of(users, items, y, ratings.shape)
    print(f"{'biases':<15} {error(biased):>9.4f} {time.perf_counter() - begin:>8.2f}")

    from sklearn.decomposition import TruncatedSVD

    rest = np.where(known, ratings - biased, 0.0)
    best, seconds = np.inf, 0.0
    for rank in (1, 2, 4, 8, 16, 32):
        begin = time.perf_counter()
        svd = TruncatedSVD(rank, random_state=options.seed)
        found = error(biased + svd.fit_transform(rest) @ svd.components_)
        taken = time.perf_counter() - begin
        if found < best:
            best, seconds = found, taken
    print(f"{'truncated SVD':<15} {best:>9.4f} {seconds:>8.2f}")

    begin = time.perf_counter()
    model = build(options.users, options.items, float(y.mean()), rank=8, penalty=2e-5, seed=options.seed)
    stopping = fr.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    model.fit(
        [users, items], y, batch_size=256, epochs=options.epochs, validation_split=0.1, callbacks=[stopping], verbose=0
    )
    seconds = time.perf_counter() - begin
    everyone, everything = (index.ravel() for index in np.indices(ratings.shape))
    predicted = model.predict([everyone, everything]).reshape(ratings.shape)
    print(f"{'embeddings':<15} {error(predicted):>9.4f} {seconds:>8.2f}")


if __name__ == "__main__":
    main()
