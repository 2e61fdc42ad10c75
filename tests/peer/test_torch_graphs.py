"""Random networks whose layers are connected in any way, twenty steps against PyTorch in float64.

The same networks as in tests/test_graphs.py, without dropout, whose masks differ. PyTorch's running variance is
unbiased where ours is biased, so it is left out of the comparison.
"""

import numpy as np
import pytest
import reference as ref
from pairs import float32
from random_graphs import build_pair, data, draw, one_or_list

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peer
torch.set_num_threads(1)  # matrices this small are slower on two
F = torch.nn.functional

TOLERANCE = 2e-5
ACTIVATIONS = {
    "linear": lambda z: z,
    "relu": F.relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "leaky_relu": lambda z: F.leaky_relu(z, float32(0.2)),
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softplus": F.softplus,
    "softmax": lambda z: torch.softmax(z, dim=1),
}
# The last activation is part of PyTorch's losses: they get the value before it.
LOSSES = {
    "mean_squared_error": F.mse_loss,
    "binary_crossentropy": F.binary_cross_entropy_with_logits,
    "sparse_categorical_crossentropy": F.cross_entropy,
    "categorical_crossentropy": F.cross_entropy,
}
# Rates at which no drawn network diverges, and an epsilon that makes no steps of the rounding errors of a gradient of
# zero, which a shift in front of a batch normalisation has.
OPTIMIZERS = {
    "sgd": (ref.SGD(0.003), lambda p: torch.optim.SGD(p, lr=float32(0.003))),
    "nesterov": (
        ref.SGD(0.001, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, lr=float32(0.001), momentum=float32(0.9), nesterov=True),
    ),
    "adam": (
        ref.Adam(0.02, epsilon=0.1),
        lambda p: torch.optim.Adam(p, lr=float32(0.02), eps=float32(0.1), betas=(float32(0.9), float32(0.999))),
    ),
}


FUNCTIONS = {"subtract": torch.sub, "maximum": torch.maximum, "minimum": torch.minimum}


class Theirs:
    """The drawn network in PyTorch, with our weights."""

    def __init__(self, drawn, order, weights):
        self.drawn, self.order, self.named = drawn, order, {}
        weights = [torch.tensor(w, dtype=torch.float64) for w in weights]
        for node in order:
            row = drawn.nodes[node][0]
            if row[0] == "dense":
                names = ["kernel", "bias"] if (row[3] if len(row) > 3 else {}).get("use_bias", True) else ["kernel"]
            else:
                names = ["gamma", "beta", "mean", "variance"] if row[0] == "batch_norm" else []
            self.named[node] = {name: weights.pop(0) for name in names}
            for name in set(names) - {"mean", "variance"}:
                self.named[node][name].requires_grad_(True)
        assert not weights

    def parameters(self):
        return [w for named in self.named.values() for w in named.values() if w.requires_grad]

    def forward(self, xs, training):
        """All values, and for each what is before its activation."""
        values = [torch.tensor(x, dtype=torch.float64) for x in xs]
        before = list(values)
        for node, (row, reads) in enumerate(self.drawn.nodes):
            given, named = [values[value] for value in reads], self.named[node]
            z = given[0]
            if row[0] == "dense":
                z = z @ named["kernel"] + named.get("bias", 0.0)
            elif row[0] == "batch_norm":
                momentum, epsilon = 1.0 - float32(row[1]["momentum"]), float32(1e-3)
                z = F.batch_norm(
                    z, named["mean"], named["variance"], named["gamma"], named["beta"], training, momentum, epsilon
                )
            elif row[0] == "concatenate":
                z = torch.cat(given, dim=1)
            elif row[0] == "average":
                z = sum(given) / len(given)
            elif row[0] in FUNCTIONS:
                for other in given[1:]:
                    z = FUNCTIONS[row[0]](z, other)
            elif row[0] != "activation":
                for other in given[1:]:
                    z = z + other if row[0] == "add" else z * other
            name = row[2] if row[0] == "dense" else row[1] if row[0] == "activation" else "linear"
            before.append(z)
            values.append(ACTIVATIONS[name](z))
        return values, before

    def objective(self, xs, ts):
        values, before = self.forward(xs, True)
        total = 0.0
        for (value, loss, weight), t in zip(self.drawn.outputs, ts, strict=True):
            y = (values if loss == "mean_squared_error" else before)[value]
            target = torch.tensor(t, dtype=torch.long if loss.startswith("sparse") else torch.float64)
            total = total + float32(weight) * LOSSES[loss](y, target)
        for node, named in self.named.items():
            options = self.drawn.nodes[node][0][3] if len(self.drawn.nodes[node][0]) > 3 else {}
            for name in ("kernel", "bias"):
                if name in options and name in named:
                    w, l1, l2 = named[name], float32(options[name].l1), float32(options[name].l2)
                    total = total + l1 * w.abs().sum() + l2 * (w * w).sum()
        return total

    def weights(self):
        """In our order; a running variance is None."""
        found = [(name, w) for node in self.order for name, w in self.named[node].items()]
        return [None if name == "variance" else w.detach().numpy() for name, w in found]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("seed", range(20))
def test_twenty_steps(seed, optimizer):
    rng = np.random.default_rng([seed, 6])
    drawn = draw(rng)
    without_dropout = [(("activation", "tanh") if row[0] == "dropout" else row, reads) for row, reads in drawn.nodes]
    drawn = drawn._replace(nodes=without_dropout)
    description, their_optimizer = OPTIMIZERS[optimizer]
    model, _ = build_pair(drawn, rng, optimizer=description)
    theirs = Theirs(drawn, [int(layer.name[1:]) for layer in model.layers], model.get_weights())
    xs, ts = data(drawn, 70, rng)
    found = model.predict(one_or_list(xs))
    values, _ = theirs.forward(xs, False)
    for (value, *_), y in zip(drawn.outputs, found if isinstance(found, list) else [found], strict=True):
        np.testing.assert_allclose(y, values[value].detach().numpy(), rtol=TOLERANCE, atol=TOLERANCE)
    stepper = their_optimizer(theirs.parameters())
    model.fit(one_or_list(xs), one_or_list(ts), batch_size=16, epochs=4, shuffle=False, verbose=0)
    for _ in range(4):
        for a in range(0, 70, 16):
            stepper.zero_grad()
            theirs.objective([x[a : a + 16] for x in xs], [t[a : a + 16] for t in ts]).backward()
            stepper.step()
    for i, (w, exact) in enumerate(zip(model.get_weights(), theirs.weights(), strict=True)):
        if exact is not None:
            np.testing.assert_allclose(w, exact, rtol=TOLERANCE, atol=TOLERANCE, err_msg=f"weight {i}")
