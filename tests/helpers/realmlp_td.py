"""RealMLP-TD in float64 and plain NumPy, as published: every weight as the paper has it, and its gradient by hand.

Weights go by name. Kernels of dense layers are drawn from a normal distribution and divided by roots in the network;
``roots`` has what each weight is divided by there.
"""

import numpy as np
import realmlp
import reference

# Factors on the rate: of embeddings of numbers, scales, biases and shares of activations. All others have 1.
PACES = {"waves": 0.1, "scale": 6.0, "bias": 0.1, "alpha": 0.1}
DECAY, DROPOUT = 0.02, 0.15


def kind_of(name):
    return "waves" if name.startswith("waves") else name.rpartition(".")[2]


def roots(weights):
    return {n: len(w) ** -0.5 if kind_of(n) == "kernel" else 1.0 for n, w in weights.items()}


def embedded(numbers, free):
    """The features of numbers, column after column: three that waves give, and the number itself."""
    parts, waves = [], []
    for j in range(numbers.shape[1]):
        angle = 2 * np.pi * numbers[:, j : j + 1] * free["waves.frequencies"][:, j] + free["waves.phases"][:, j]
        own = slice(3 * j, 3 * j + 3)
        parts += [np.cos(angle) @ free["waves.kernel"][:, own] + free["waves.bias"][own], numbers[:, j : j + 1]]
        waves.append(angle)
    return np.concatenate(parts, 1), waves


def embedding_gradients(numbers, free, waves, d):
    found = {n: np.zeros_like(w) for n, w in free.items() if n.startswith("waves")}
    for j, angle in enumerate(waves):
        own, mine = slice(3 * j, 3 * j + 3), d[:, 4 * j : 4 * j + 3]
        found["waves.kernel"][:, own], found["waves.bias"][own] = np.cos(angle).T @ mine, mine.sum(0)
        slopes = -np.sin(angle) * (mine @ free["waves.kernel"][:, own].T)
        found["waves.phases"][:, j] = slopes.sum(0)
        found["waves.frequencies"][:, j] = 2 * np.pi * (numbers[:, j] @ slopes)
    return found


def gradients(free, x, targets, activation, with_softmax, kept):
    """Of the mean over rows, by name. ``kept``: the factor of each value behind an activation, of each hidden layer."""
    numbers, indicators, codes = x
    f, by = realmlp.ACTIVATIONS[activation], roots(free)
    features, waves = embedded(numbers, free)
    table = free["tables.embeddings"][codes].reshape(len(codes), -1)
    features = np.concatenate([features, indicators, table], 1)
    values, saved = [features * free["scale"]], []
    for i, keep in enumerate(kept):
        kernel = free[f"{i}.kernel"] * by[f"{i}.kernel"]
        z = values[-1] @ kernel + free[f"{i}.bias"]
        a, slope = f(z)
        saved.append((kernel, a - z, 1.0 + free[f"{i}.alpha"] * (slope - 1.0)))
        values.append((z + free[f"{i}.alpha"] * (a - z)) * keep)
    last = free["last.kernel"] * by["last.kernel"]
    z, (n, units) = values[-1] @ last + free["last.bias"], targets.shape
    d = (realmlp._softmax(z) - targets) / n if with_softmax else 2 * (z - targets) / (n * units)
    found = {"last.kernel": values[-1].T @ d * by["last.kernel"], "last.bias": d.sum(0)}
    d = d @ last.T
    for i in reversed(range(len(kept))):
        kernel, more, slope = saved[i]
        d = d * kept[i]
        found[f"{i}.alpha"] = (d * more).sum(0)
        d = d * slope
        found |= {f"{i}.kernel": values[i].T @ d * by[f"{i}.kernel"], f"{i}.bias": d.sum(0)}
        d = d @ kernel.T
    found["scale"] = (d * features).sum(0)
    d = d * free["scale"]
    found["tables.embeddings"] = np.zeros_like(free["tables.embeddings"])
    np.add.at(found["tables.embeddings"], codes, d[:, features.shape[1] - table.shape[1] :].reshape(*codes.shape, -1))
    return found | embedding_gradients(numbers, free, waves, d)


def fading(part):
    """Of dropout and decay: whole for half of the training, then half a cosine down to 0."""
    return 1.0 if part < 0.5 else 0.5 * (1 + np.cos(np.pi * (2 * part - 1)))


def trained(weights, x, targets, *, activation, rate, steps, epsilon, streams, seed, with_softmax=False, smoothing=0.0):
    """The network's weights after some steps of Adam on all rows, from its weights before the first.

    ``streams``: of the random numbers of each dropout layer; reference.py has these numbers. ``epsilon`` is that of an
    optimizer of the network's weights.
    """
    by = roots(weights)
    free = {n: w.astype(np.float64) / by[n] for n, w in weights.items()}
    learned = targets * (1 - smoothing) + smoothing / targets.shape[1]
    first, second = ({n: np.zeros_like(w) for n, w in free.items()} for _ in range(2))
    for t in range(steps):
        now = 0.5 * rate * (1 - np.cos(2 * np.pi * np.log2(1 + 15 * t / steps)))
        fade, kept = fading(t / steps), []
        for i, stream in enumerate(streams):
            drop = float(np.float32(DROPOUT * fade))
            keep = reference.dropout_keep(seed, stream, t, (len(targets), len(free[f"{i}.bias"])), drop)
            kept.append(reference.dropout(np.ones(keep.shape), keep, drop))
        for n, g in gradients(free, x, learned, activation, with_softmax, kept).items():
            pace = PACES.get(kind_of(n), 1.0)
            if kind_of(n) != "bias":  # those of the waves are of another kind
                free[n] = free[n] * (1 - now * pace * DECAY * fade * pace)
            first[n] = 0.9 * first[n] + 0.1 * g
            second[n] = 0.95 * second[n] + 0.05 * g**2
            root = np.sqrt(second[n] / (1 - 0.95 ** (t + 1))) + epsilon * by[n]
            free[n] = free[n] - now * pace * first[n] / (1 - 0.9 ** (t + 1)) / root
    return {n: w * by[n] for n, w in free.items()}
