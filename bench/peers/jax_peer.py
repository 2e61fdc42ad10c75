"""JAX: one jitted step at a time, or an epoch as one `lax.scan`. Shapes are fixed: partial batches are left out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from oracle import corrected, update_formula
from workloads import Floats, Labels, Layer, Network, Update, folded

from peers.base import Peer, Prediction, Trainer, Updater


def _parameters(weights: list[Layer]) -> tuple[Any, Any]:
    """(trained, moving statistics), as jax arrays."""
    trained = [
        {"kernel": jnp.asarray(w.kernel), "bias": jnp.asarray(w.bias), "norm": [*map(jnp.asarray, w.norm[:2])]}
        for w in weights
    ]
    return trained, [[*map(jnp.asarray, w.norm[2:])] for w in weights]


def _forward(net: Network, trained: Any, moving: Any, x: Any, key: Any) -> tuple[Any, Any]:
    """Scores and new moving statistics. In training a key is given; in inference only the scores matter."""
    after = []
    for index, layer in enumerate(trained[:-1]):
        x = jax.nn.relu(x @ layer["kernel"] + layer["bias"])
        if layer["norm"]:
            statistics = moving[index]
            if key is not None:
                mean = x.mean(0)
                batch = mean, jnp.square(x - mean).mean(0)
                after.append(
                    [
                        net.bn_momentum * old + (1 - net.bn_momentum) * new
                        for old, new in zip(statistics, batch, strict=True)
                    ]
                )
                statistics = batch
            gamma, beta = layer["norm"]
            x = (x - statistics[0]) * jax.lax.rsqrt(statistics[1] + net.bn_epsilon) * gamma + beta
        else:
            after.append([])
        if net.dropout and key is not None:
            keep = jax.random.bernoulli(jax.random.fold_in(key, index), 1 - net.dropout, x.shape)
            x = jnp.where(keep, x / (1 - net.dropout), 0)
    return x @ trained[-1]["kernel"] + trained[-1]["bias"], [*after, []]


def _make_step(net: Network) -> tuple[Any, Callable[..., Any]]:
    adam = {"b1": net.beta_1, "b2": net.beta_2, "eps": net.epsilon}
    if net.sgd:
        optimizer = optax.sgd(net.learning_rate)
    elif net.weight_decay:
        norms = [[False] * 2 * net.batch_norm] * (len(net.shapes) - 1) + [[]]
        kernels_only = [{"kernel": True, "bias": False, "norm": norm} for norm in norms]
        optimizer = optax.adamw(net.learning_rate, weight_decay=net.weight_decay, mask=kernels_only, **adam)
    else:
        optimizer = optax.adam(net.learning_rate, **adam)

    def loss(trained: Any, moving: Any, x: Any, y: Any, key: Any) -> Any:
        z, after = _forward(net, trained, moving, x, key)
        if net.binary:
            value = optax.sigmoid_binary_cross_entropy(z[:, 0], y.astype(jnp.float32)).mean()
        else:
            value = optax.softmax_cross_entropy_with_integer_labels(z, y).mean()
        for index, layer in enumerate(trained):
            if net.l1_of(index):
                value += net.l1_of(index) * jnp.abs(layer["kernel"]).sum()
            if net.l2_of(index):
                value += net.l2_of(index) * jnp.square(layer["kernel"]).sum()
        return value, after

    def step(state: Any, x: Any, y: Any) -> Any:
        trained, moving, moments, key = state
        key, here = jax.random.split(key)
        gradients, moving = jax.grad(loss, has_aux=True)(trained, moving, x, y, here)
        updates, moments = optimizer.update(gradients, moments, trained)
        return optax.apply_updates(trained, updates), moving, moments, key

    return optimizer, step


class JaxTrainer:
    def __init__(self, net: Network, weights: list[Layer], x: Floats, y: Labels, scan: bool) -> None:
        self.net, self.x, self.y = net, x, y.astype(np.int32)
        self._batches = len(x) // net.batch
        optimizer, step = _make_step(net)
        trained, moving = _parameters(weights)
        self.state = (trained, moving, optimizer.init(trained), jax.random.key(1, impl="rbg"))  # fast
        self._rng = np.random.default_rng(0)
        self._step = jax.jit(step, donate_argnums=0)
        self._epoch = None
        if scan:
            shape = (self._batches, net.batch)

            def epoch(state: Any, x: Any, y: Any, order: Any) -> Any:
                batches = x[order].reshape(*shape, -1), y[order].reshape(shape)
                return jax.lax.scan(lambda s, b: (step(s, *b), None), state, batches)[0]

            self._epoch = jax.jit(epoch, donate_argnums=0)
            self._device = jnp.asarray(self.x), jnp.asarray(self.y)

    def run(self, epochs: int, shuffle: bool = True) -> int:
        batch, used = self.net.batch, self._batches * self.net.batch
        for _ in range(epochs):
            order = (self._rng.permutation(len(self.x)) if shuffle else np.arange(len(self.x)))[:used]
            if self._epoch is not None:
                self.state = self._epoch(self.state, *self._device, order)
                continue
            x, y = self.x[order], self.y[order]
            for low in range(0, used, batch):
                self.state = self._step(self.state, x[low : low + batch], y[low : low + batch])
        jax.block_until_ready(self.state)
        return epochs * used

    def weights(self) -> list[Layer]:
        trained, moving = jax.tree.map(np.asarray, self.state[:2])
        return [Layer(t["kernel"], t["bias"], (*t["norm"], *m)) for t, m in zip(trained, moving, strict=True)]

    def predict(self, x: Floats) -> Floats:
        z = _forward(self.net, self.state[0], self.state[1], jnp.asarray(x), None)[0]
        return np.asarray(jax.nn.sigmoid(z) if self.net.binary else jax.nn.softmax(z))


class JaxUpdater:
    """The step written out, one jitted function with donated buffers."""

    def __init__(self, rule: Update, w: Floats) -> None:
        start = jnp.asarray(w)
        self._state, self._t = (start, *(jnp.zeros_like(start) for _ in range(rule.moments))), 0

        @functools.partial(jax.jit, donate_argnums=0)
        def step(state: Any, g: Any, rate: Any, epsilon: Any) -> Any:
            return update_formula(jnp, rule, state[0], g, state[1:], rate, epsilon)

        self._step, self._rule = step, rule

    def set_gradient(self, g: Floats) -> None:
        self._g = jnp.asarray(g)

    def step(self) -> None:
        self._t += 1
        self._state = self._step(self._state, self._g, *map(np.float32, corrected(self._rule, self._t)))

    def finish(self) -> None:
        self._state[0].block_until_ready()

    def parameters(self) -> Floats:
        return np.asarray(self._state[0])


class Jax(Peer):
    label, package, scan = "JAX", "jax", False
    notes: ClassVar = {
        "train": "a jitted step at a time",
        "update": "written out, jitted, donated buffers",
        "predict": "folded, jitted, device array in",
    }

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        if threads == 1:
            _work_on_the_calling_thread()

    def version(self) -> str:
        return f"JAX {jax.__version__}"

    def trainer(self, net: Network, weights: list[Layer], x: Floats, y: Labels) -> Trainer:
        return JaxTrainer(net, weights, x, y, self.scan)

    def updater(self, rule: Update, w: Floats) -> Updater:
        return JaxUpdater(rule, w)

    def predictor(self, net: Network, weights: list[Layer], x: Floats) -> Prediction:
        _work_on_the_calling_thread()
        *hidden, last = [(layer.kernel, layer.bias) for layer in folded(net, weights)]

        @jax.jit
        def forward(h: Any) -> Any:
            for kernel, bias in hidden:
                h = jax.nn.relu(h @ kernel + bias)
            z = h @ last[0] + last[1]
            return jax.nn.sigmoid(z) if net.binary else jax.nn.softmax(z)

        native = jnp.asarray(x)
        compiled = forward.lower(native).compile()
        return Prediction(lambda rows: compiled(rows).block_until_ready(), native)


class JaxScan(Jax):
    label, scan = "JAX, scan", True
    notes: ClassVar = {"train": "an epoch as one lax.scan"}

    def updater(self, rule: Update, w: Floats) -> Updater:
        return Peer.updater(self, rule, w)

    def predictor(self, net: Network, weights: list[Layer], x: Floats) -> Prediction:
        return Peer.predictor(self, net, weights, x)


def _work_on_the_calling_thread() -> None:
    """JAX hands each call to a worker thread, which costs small networks most of their time on one CPU."""
    jax.config.update("jax_cpu_enable_async_dispatch", False)
