"""PyTorch: eager with fused optimizers, compiled, and for prediction with batch normalisation folded by hand."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, ClassVar

import numpy as np
import torch
from oracle import corrected, update_formula
from torch import nn
from torch.nn import functional
from workloads import Floats, Labels, Layer, Network, Update, folded

from peers.base import Peer, Prediction, Trainer, Unsupported, Updater


def build(net: Network, weights: list[Layer]) -> nn.Sequential:
    """Without the head, which belongs to the loss."""
    modules: list[nn.Module] = []
    for index, (fan_in, fan_out) in enumerate(net.shapes):
        modules.append(nn.Linear(fan_in, fan_out))
        if index + 1 < len(net.shapes):
            modules.append(nn.ReLU())
            if net.batch_norm:
                modules.append(nn.BatchNorm1d(fan_out, eps=net.bn_epsilon, momentum=1 - net.bn_momentum))
            if net.dropout:
                modules.append(nn.Dropout(net.dropout))
    with torch.no_grad():
        for (linear, norm), layer in zip(_pairs(modules), weights, strict=True):
            linear.weight.copy_(torch.from_numpy(layer.kernel.T.copy()))
            linear.bias.copy_(torch.from_numpy(layer.bias))
            if norm is not None:
                for tensor, value in zip(_norm_tensors(norm), layer.norm, strict=True):
                    tensor.copy_(torch.from_numpy(value))
    return nn.Sequential(*modules)


def _pairs(modules: Any) -> list[tuple[Any, Any]]:
    """Each linear module with the batch normalisation that follows it, or None."""
    pairs: list[tuple[Any, Any]] = []
    for module in modules:
        if isinstance(module, nn.Linear):
            pairs.append((module, None))
        elif isinstance(module, nn.BatchNorm1d):
            pairs[-1] = (pairs[-1][0], module)
    return pairs


def _norm_tensors(norm: Any) -> list[torch.Tensor]:
    return [norm.weight, norm.bias, norm.running_mean, norm.running_var]


def optimizer_of(net: Network, model: nn.Sequential) -> torch.optim.Optimizer:
    """L2 goes through Adam's weight_decay, which is the gradient's; kernels only, each with its own."""
    kernels = [linear.weight for linear, _ in _pairs(model)]
    others = [p for p in model.parameters() if not any(p is k for k in kernels)]
    decay = [net.weight_decay or 2 * net.l2_of(index) for index in range(len(kernels))]
    groups: list[dict[str, Any]] = [{"params": others, "weight_decay": 0.0}]
    groups += [
        {"params": [k for k, d in zip(kernels, decay, strict=True) if d == value], "weight_decay": value}
        for value in sorted(set(decay))
    ]
    if net.sgd:
        return torch.optim.SGD(groups, lr=net.learning_rate, fused=True)
    kind = torch.optim.AdamW if net.weight_decay else torch.optim.Adam
    return kind(groups, lr=net.learning_rate, betas=(net.beta_1, net.beta_2), eps=net.epsilon, fused=True)


class TorchTrainer:
    """The data is one tensor, shuffled once an epoch; L1 goes straight into the gradient."""

    def __init__(self, net: Network, weights: list[Layer], x: Floats, y: Labels, compiled: bool) -> None:
        torch.manual_seed(0)
        self.net, self.x = net, torch.from_numpy(x)
        self.y = torch.from_numpy(y).float()[:, None] if net.binary else torch.from_numpy(y)
        self.model = build(net, weights)
        self.optimizer = optimizer_of(net, self.model)
        loss = functional.binary_cross_entropy_with_logits if net.binary else functional.cross_entropy

        def forward(xb: torch.Tensor, yb: torch.Tensor) -> torch.Tensor:
            return loss(self.model(xb), yb)

        self._loss = forward
        if compiled:
            torch._dynamo.reset()
            self._loss = torch.compile(forward, dynamic=False)
        self._kernel: Any = self.model[0].weight

    def run(self, epochs: int, shuffle: bool = True) -> int:
        self.model.train()
        for _ in range(epochs):
            x, y = self.x, self.y
            if shuffle:
                order = torch.randperm(len(x))
                x, y = x[order], y[order]
            for xb, yb in zip(x.split(self.net.batch), y.split(self.net.batch), strict=True):
                self.optimizer.zero_grad(set_to_none=True)
                self._loss(xb, yb).backward()
                if self.net.l1:
                    self._kernel.grad.add_(self._kernel.detach().sign(), alpha=self.net.l1)
                self.optimizer.step()
        return epochs * len(self.x)

    def weights(self) -> list[Layer]:
        layers = []
        for linear, norm in _pairs(self.model):
            tensors = [] if norm is None else [t.detach().numpy() for t in _norm_tensors(norm)]
            layers.append(Layer(linear.weight.detach().numpy().T, linear.bias.detach().numpy(), tuple(tensors)))
        return layers

    def predict(self, x: Floats) -> Floats:
        self.model.eval()
        with torch.inference_mode():
            z = self.model(torch.from_numpy(x))
            return np.asarray(torch.sigmoid(z) if self.net.binary else torch.softmax(z, 1))


class OptimUpdater:
    """An optimizer of torch.optim on one flat vector."""

    def __init__(self, rule: Update, w: Floats) -> None:
        self._rule, self._w = rule, nn.Parameter(torch.from_numpy(w))
        adam: Any = {"betas": (rule.beta_1, rule.beta_2), "eps": rule.epsilon, "fused": True}
        rate, l2 = rule.learning_rate, 2 * rule.l2
        self._optimizer: torch.optim.Optimizer = {
            "sgd": lambda p: torch.optim.SGD(p, lr=rate, weight_decay=l2, fused=True),
            "rmsprop": lambda p: torch.optim.RMSprop(
                p, lr=rate, alpha=rule.beta_2, eps=rule.epsilon, weight_decay=l2, foreach=True
            ),
            "adam": lambda p: torch.optim.Adam(p, lr=rate, weight_decay=l2, **adam),
            "adamw": lambda p: torch.optim.AdamW(p, lr=rate, weight_decay=rule.weight_decay, **adam),
        }[rule.rule]([self._w])

    def set_gradient(self, g: Floats) -> None:
        self._w.grad = torch.from_numpy(g)

    def step(self) -> None:
        if self._rule.l1:
            with torch.no_grad():
                self._w.grad.add_(torch.sign(self._w), alpha=self._rule.l1)  # type: ignore[union-attr]
        self._optimizer.step()

    def finish(self) -> None:
        pass

    def parameters(self) -> Floats:
        return np.asarray(self._w.detach())


class CompiledUpdater:
    """The step written out and compiled, which fuses it into one loop over the vector."""

    def __init__(self, rule: Update, w: Floats) -> None:
        self._w, self._t = torch.from_numpy(w), 0
        self._moments = [torch.zeros_like(self._w) for _ in range(rule.moments)]

        def step(w: Any, g: Any, moments: list[Any], rate: Any, epsilon: Any) -> None:
            new = update_formula(torch, rule, w, g, tuple(moments), rate, epsilon)
            for old, value in zip((w, *moments), new, strict=True):
                old.copy_(value)

        torch._dynamo.reset()
        self._step, self._rule = torch.compile(step, dynamic=False), rule

    def set_gradient(self, g: Floats) -> None:
        self._g = torch.from_numpy(g)

    def step(self) -> None:
        self._t += 1
        with torch.no_grad():
            # Tensors, since a new Python number would compile the step again.
            rate, epsilon = corrected(self._rule, self._t)
            self._step(self._w, self._g, self._moments, torch.tensor(rate), torch.tensor(epsilon))

    def finish(self) -> None:
        pass

    def parameters(self) -> Floats:
        return np.asarray(self._w)


class Torch(Peer):
    label, package, differs = "PyTorch", "torch", frozenset({"moving variance"})
    notes: ClassVar = {
        "train": "eager, fused optimizer",
        "update": "torch.optim, L1 by hand",
        "predict": "eval mode, inference_mode, tensor in and out",
    }

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        torch.set_num_threads(threads)

    def version(self) -> str:
        return f"PyTorch {torch.__version__}"

    def trainer(self, net: Network, weights: list[Layer], x: Floats, y: Labels) -> Trainer:
        return TorchTrainer(net, weights, x, y, compiled=False)

    def updater(self, rule: Update, w: Floats) -> Updater:
        return OptimUpdater(rule, w)

    def _model(self, net: Network, weights: list[Layer]) -> Any:
        return build(net, weights).append(nn.Sigmoid() if net.binary else nn.Softmax(dim=1)).eval()

    def predictor(self, net: Network, weights: list[Layer], x: Floats) -> Prediction:
        return Prediction(self._model(net, weights), torch.from_numpy(x))

    def inference(self) -> AbstractContextManager[Any]:
        return torch.inference_mode()


class TorchCompile(Torch):
    label = "PyTorch, compiled"
    notes: ClassVar = {
        "train": "forward and backward compiled, fused optimizer",
        "update": "written out, compiled",
        "predict": "compiled, inference_mode",
    }

    def trainer(self, net: Network, weights: list[Layer], x: Floats, y: Labels) -> Trainer:
        return TorchTrainer(net, weights, x, y, compiled=True)

    def updater(self, rule: Update, w: Floats) -> Updater:
        return CompiledUpdater(rule, w)

    def _model(self, net: Network, weights: list[Layer]) -> Any:
        torch._dynamo.reset()
        return torch.compile(super()._model(net, weights), dynamic=False)


class TorchFolded(Torch):
    label = "PyTorch, folded"
    notes: ClassVar = {"predict": "batch normalisation folded, addmm by hand"}

    def trainer(self, net: Network, weights: list[Layer], x: Floats, y: Labels) -> Trainer:
        raise Unsupported("is the same as PyTorch")

    def updater(self, rule: Update, w: Floats) -> Updater:
        raise Unsupported("is the same as PyTorch")

    def predictor(self, net: Network, weights: list[Layer], x: Floats) -> Prediction:
        plain = folded(net, weights)
        *hidden, last = [(torch.from_numpy(layer.bias), torch.from_numpy(layer.kernel)) for layer in plain]
        addmm, binary = torch.addmm, net.binary

        def call(h: torch.Tensor) -> torch.Tensor:
            for bias, kernel in hidden:
                h = addmm(bias, h, kernel).relu_()
            h = addmm(last[0], h, last[1])
            return h.sigmoid_() if binary else torch.softmax(h, 1)

        return Prediction(call, torch.from_numpy(x))
