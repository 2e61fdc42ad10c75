"""Shapes, joins, embeddings and preparing layers beside Keras: shapes, counts, outputs and weights after training.

Each program is text that is run twice, with the import lines of Keras and with those of fastreg.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import warnings

import numpy as np
import pytest

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of Keras's and JAX's own imports
    keras = pytest.importorskip("keras")

IMPORTS = {
    "keras": "import keras\nfrom keras import layers",
    "fastreg": "import fastreg as keras\nfrom fastreg import layers",
}

# Each makes `model` and `x`, in Keras's words; `y` and the training are the same for all.
MODELS = {
    "flatten": """
model = keras.Sequential([keras.Input((4, 5)), layers.Flatten(), layers.Dense(6, "tanh"), layers.Dense(2)])
x = rng.normal(size=(40, 4, 5)).astype("float32")
""",
    "reshape": """
model = keras.Sequential([keras.Input((4, 5)), layers.Reshape((-1,)), layers.Dense(2)])
x = rng.normal(size=(40, 4, 5)).astype("float32")
""",
    "rescaling of bytes": """
scaled = [keras.Input((4, 5)), layers.Rescaling(1 / 255.0, offset=-0.5), layers.Flatten()]
model = keras.Sequential([*scaled, layers.Dense(2)])
x = rng.integers(0, 256, (40, 4, 5)).astype("uint8")
""",
    "normalization": """
norm = layers.Normalization()
x = (rng.normal(size=(40, 5)) * 30 + 100).astype("float32")
norm.adapt(x)
model = keras.Sequential([keras.Input((5,)), norm, layers.Dense(2)])
""",
    "given statistics": """
x = (rng.normal(size=(40, 2)) * 3 + 1).astype("float32")
norm = layers.Normalization(mean=[1.0, 2.0], variance=[4.0, 9.0])
model = keras.Sequential([keras.Input((2,)), norm, layers.Dense(2)])
""",
    "multi-hot": """
i = keras.Input((3,), dtype="int32")
model = keras.Model(i, layers.Dense(2)(layers.CategoryEncoding(7, output_mode="multi_hot")(i)))
x = rng.integers(0, 7, (40, 3)).astype("int32")
""",
    "counts": """
i = keras.Input((3,), dtype="int32")
model = keras.Model(i, layers.Dense(2)(layers.CategoryEncoding(7, output_mode="count")(i)))
x = rng.integers(0, 7, (40, 3)).astype("int32")
""",
    "embedding": """
model = keras.Sequential([keras.Input((3,)), layers.Embedding(9, 4), layers.Flatten(), layers.Dense(2)])
x = rng.integers(0, 9, (40, 3))
""",
    "penalised embedding": """
table = layers.Embedding(9, 4, embeddings_regularizer="l2", embeddings_initializer="he_normal")
model = keras.Sequential([keras.Input((3,)), table, layers.Flatten(), layers.Dense(2)])
x = rng.integers(0, 9, (40, 3))
""",
    "dot of embeddings": """
a, b = keras.Input((1,)), keras.Input((1,))
left, right = layers.Embedding(9, 4)(a), layers.Embedding(7, 4)(b)
model = keras.Model([a, b], layers.Dense(2)(layers.Flatten()(layers.Dot(axes=2)([left, right]))))
x = [rng.integers(0, 9, (40, 1)), rng.integers(0, 7, (40, 1))]
""",
    "cosine": """
a, b = keras.Input((5,)), keras.Input((3,))
dot = layers.dot([layers.Dense(4)(a), layers.Dense(4)(b)], axes=1, normalize=True)
model = keras.Model([a, b], layers.Dense(2)(dot))
x = [rng.normal(size=(40, 5)).astype("float32"), rng.normal(size=(40, 3)).astype("float32")]
""",
    "products of matrices": """
a, b = keras.Input((6,)), keras.Input((3, 4))
dot = layers.Dot(axes=(1, 2))([layers.Reshape((4, 2))(layers.Dense(8)(a)), b])
model = keras.Model([a, b], layers.Dense(2)(layers.Flatten()(dot)))
x = [rng.normal(size=(40, 6)).astype("float32"), rng.normal(size=(40, 3, 4)).astype("float32")]
""",
    "joins": """
a, b = keras.Input((5,)), keras.Input((5,))
parts = [layers.Dense(4)(a), layers.Dense(4)(b), layers.Dense(4)(a)]
joined = [layers.maximum(parts), layers.minimum(parts), layers.average(parts), layers.subtract(parts[:2])]
model = keras.Model([a, b], layers.Dense(2)(layers.concatenate([*joined, layers.add(parts), layers.multiply(parts)])))
x = [rng.normal(size=(40, 5)).astype("float32") for _ in "ab"]
""",
    "a layer twice": """
shared = layers.Dense(5, "tanh")
a, b = keras.Input((5,)), keras.Input((5,))
model = keras.Model([a, b], layers.Dense(2)(layers.concatenate([shared(a), shared(shared(b))])))
x = [rng.normal(size=(40, 5)).astype("float32") for _ in "ab"]
""",
    "a model in a model": """
tower = keras.Sequential([keras.Input((5,)), layers.Dense(4, "relu"), layers.Dense(3)], name="tower")
a, b = keras.Input((5,)), keras.Input((5,))
model = keras.Model([a, b], layers.Dense(2)(layers.concatenate([tower(a), tower(b)])))
x = [rng.normal(size=(40, 5)).astype("float32") for _ in "ab"]
""",
}


def run(program, library, seed=0):
    names = {"np": np, "rng": np.random.default_rng(seed)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras.utils.set_random_seed(seed)  # without it a training diverged once, from other initial weights
        exec(IMPORTS[library] + "\n" + program, names)
    return names


def without_counts(weights, name):
    """Keras's Normalization has a count, which nothing reads, and statistics that are given are no weights there."""
    given = [np.array([1.0, 2.0]), np.array([4.0, 9.0])] if name == "given statistics" else []
    return [*given, *(w for w in weights if np.shape(w) != ())]


@pytest.mark.parametrize("name", MODELS)
def test_it_is_the_same_as_in_keras(name, tmp_path):
    theirs, ours = run(MODELS[name], "keras"), run(MODELS[name], "fastreg")
    model, other = ours["model"], theirs["model"]
    assert model.output_shape == other.output_shape
    ours_in, theirs_in = model.input_shape, other.input_shape
    assert ours_in == (theirs_in if isinstance(theirs_in, tuple) else list(theirs_in))
    found = without_counts(other.get_weights(), name)
    assert [w.shape for w in model.get_weights()] == [np.shape(w) for w in found]
    model.set_weights(found)
    x, y = ours["x"], np.random.default_rng(1).normal(size=(40, 2)).astype("float32")
    np.testing.assert_allclose(model.predict(x), other.predict(theirs["x"], verbose=0), rtol=2e-4, atol=2e-5)
    for one, library in ((model, "fastreg"), (other, "keras")):
        optimizers = run("optimizer = keras.optimizers.SGD(0.1, momentum=0.9)", library)
        one.compile(optimizer=optimizers["optimizer"], loss="mse")
        one.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0)
    for mine, their in zip(model.get_weights(), without_counts(other.get_weights(), name), strict=True):
        np.testing.assert_allclose(mine, their, rtol=2e-3, atol=3e-4)
    np.testing.assert_allclose(model.predict(x), other.predict(x, verbose=0), rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(model.freeze()(x), model.predict(x), rtol=1e-4, atol=1e-4)


WIDE_AND_DEEP = """
n = 1500
job, town = rng.integers(0, 12, n), rng.integers(0, 30, n)
numbers = rng.normal(size=(n, 4)).astype("float32")
effect = rng.normal(size=12)[job] + rng.normal(size=30)[town] * 0.7
y = (effect + numbers @ np.array([1.0, -1.0, 0.5, 0.0]) + rng.normal(size=n) * 0.3 > 0).astype("float32")
encode = layers.CategoryEncoding(num_tokens=12, output_mode="one_hot")
wide_data = np.asarray(encode(job))
norm = layers.Normalization(axis=-1)
norm.adapt(numbers)

wide = keras.Input(shape=(12,), name="wide")
job_in = keras.Input(shape=(1,), name="job", dtype="int32")
town_in = keras.Input(shape=(1,), name="town", dtype="int32")
numbers_in = keras.Input(shape=(4,), name="numbers")
job_vector = layers.Flatten()(layers.Embedding(input_dim=12, output_dim=4)(job_in))
town_vector = layers.Flatten()(layers.Embedding(input_dim=30, output_dim=6)(town_in))
deep = layers.concatenate([job_vector, town_vector, norm(numbers_in)])
deep = layers.Dense(32, activation="relu")(deep)
deep = layers.Dense(16, activation="relu")(deep)
both = layers.concatenate([wide, deep])
output = layers.Dense(1, activation="sigmoid", name="answer")(both)
model = keras.Model(inputs=[wide, job_in, town_in, numbers_in], outputs=output)
model.compile(optimizer=keras.optimizers.Adam(learning_rate=0.005), loss="binary_crossentropy", metrics=["accuracy"])
data = {"wide": wide_data, "job": job.reshape(-1, 1), "town": town.reshape(-1, 1), "numbers": numbers}
train = {key: value[:1200] for key, value in data.items()}
test = {key: value[1200:] for key, value in data.items()}
history = model.fit(train, y[:1200], epochs=12, batch_size=32, validation_split=0.2, verbose=0)
score = model.evaluate(test, y[1200:], verbose=0, return_dict=True)
answers = model.predict(test, verbose=0)
result = score["accuracy"]
"""
FACTORIES = """
n_users, n_items, n = 120, 80, 4000
users, items = rng.integers(0, n_users, n), rng.integers(0, n_items, n)
tastes, traits = rng.normal(size=(n_users, 3)), rng.normal(size=(n_items, 3))
y = ((tastes[users] * traits[items]).sum(axis=1) + rng.normal(size=n) * 0.1).astype("float32")
user = keras.Input(shape=(1,), name="user")
item = keras.Input(shape=(1,), name="item")
user_vector = layers.Embedding(n_users, 6, embeddings_initializer="he_normal", name="users")(user)
item_vector = layers.Embedding(n_items, 6, embeddings_initializer="he_normal", name="items")(item)
product = layers.Dot(axes=2)([user_vector, item_vector])
model = keras.Model([user, item], layers.Flatten()(product))
model.compile(optimizer=keras.optimizers.Adam(0.02), loss="mean_squared_error", metrics=["mae"])
history = model.fit([users[:3500], items[:3500]], y[:3500], epochs=25, batch_size=64, verbose=0)
score = model.evaluate([users[3500:], items[3500:]], y[3500:], verbose=0, return_dict=True)
answers = model.predict([users[3500:], items[3500:]], verbose=0)
result = -score["loss"] / float(np.var(y))
"""


@pytest.mark.parametrize("program", [WIDE_AND_DEEP, FACTORIES], ids=["wide and deep", "matrix factorisation"])
def test_a_tutorial_runs_with_other_import_lines(program):
    theirs, ours = run(program, "keras"), run(program, "fastreg")
    assert set(ours["history"].history) == set(theirs["history"].history)
    assert set(ours["score"]) == set(theirs["score"])
    assert ours["answers"].shape == theirs["answers"].shape
    assert ours["result"] == pytest.approx(theirs["result"], abs=0.05)
