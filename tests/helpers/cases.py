"""One row for each class that describes a part of a model: fastreg's object, and its counterparts in the tests.

Rows of optimizers, losses, metrics, schedules and activations are beside their formulas in ``formulas/``; those of
layers, initializers and regularizers are here. ``test_registry.py`` asserts that the rows are exactly the classes of
fastreg; the other tests are parametrised over them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, NamedTuple

import graph_reference
import layers_reference
import reference as ref
import table_reference
from fastreg import constraints, initializers, layers, losses, metrics, optimizers, regularizers, schedules
from formulas import Formula
from formulas.activations import ACTIVATIONS
from formulas.constraints import CONSTRAINTS, Constraint
from formulas.losses import LOSSES, Loss
from formulas.metrics import METRICS, Metric
from formulas.penalties import Orthogonality
from formulas.rules import RULES, USUAL_RULES, Optimizer
from formulas.schedules import SCHEDULES, Schedule


class Case(NamedTuple):
    """fastreg's object and the oracle's."""

    made: Any
    oracle: Any


_MODULES: dict[type, Any] = {
    Constraint: constraints,
    Optimizer: optimizers,
    Loss: losses,
    Metric: metrics,
    Schedule: schedules,
}


def made(row: Formula, **settings: Any) -> Any:
    """fastreg's object of a row of ``formulas/``, with further settings."""
    module = next(module for base, module in _MODULES.items() if isinstance(row, base))
    given = {field.name: getattr(row, field.name) for field in fields(row)}
    if (clip := given.pop("clip", None)) is not None:
        given[clip[0]] = clip[1]
    if (options := given.pop("options", None)) is not None:
        usual = type(options)()._asdict()
        given |= {name: value for name, value in options._asdict().items() if value != usual[name]}
    given = {name: _made_within(value) for name, value in given.items()}
    return getattr(module, type(row).__name__)(**{**given, **settings})


def _made_within(value: Any) -> Any:
    """fastreg's objects in place of rows, in lists too."""
    if isinstance(value, tuple):
        return tuple(_made_within(item) for item in value)
    return made(value) if isinstance(value, Formula) else value


def _cases(rows: Mapping[str, Any]) -> dict[str, Case]:
    return {name: Case(made(row), row) for name, row in rows.items()}


OPTIMIZER_CASES = _cases(RULES)
USUAL_OPTIMIZERS = _cases(USUAL_RULES)
LOSS_CASES = _cases(LOSSES)
METRIC_CASES = _cases(METRICS)
SCHEDULE_CASES = _cases(SCHEDULES)
CONSTRAINT_CASES = _cases(CONSTRAINTS)

REGULARIZER_CASES = {
    "l1": Case(regularizers.L1(0.03), ref.Penalty(0.03)),
    "proximal l1": Case(regularizers.L1(0.03, True), ref.Penalty(0.03, 0.0, True)),
    "l2": Case(regularizers.L2(0.04), ref.Penalty(0.0, 0.04)),
    "l1l2": Case(regularizers.L1L2(0.03, 0.04), ref.Penalty(0.03, 0.04)),
    "orthogonal rows": Case(regularizers.OrthogonalRegularizer(0.5), Orthogonality(0.5)),
    "orthogonal columns": Case(regularizers.OrthogonalRegularizer(0.5, "columns"), Orthogonality(0.5, "columns")),
    "proximal l1l2": Case(regularizers.L1L2(0.03, 0.04, True), ref.Penalty(0.03, 0.04, True)),
}


class Layer(NamedTuple):
    """fastreg's layer, the oracle's, and the place in a small network where each of its options shows.

    around: layers before and behind it.
    """

    made: Any
    oracle: Callable[[], ref.Layer]
    around: tuple[list[Any], list[Any]]


_LAST = [layers.Dense(1, "sigmoid")]
# For ten features.
_TABLE = [layers.NumericColumn(0.1, 1.5, (-1.0, 0.0, 0.5)), layers.CategoricalColumn((0, 1)), layers.PlainColumn(8)]
_COLUMNS = (("numeric", 0.1, 1.5, (-1.0, 0.0, 0.5), False), ("categorical", (0, 1)), ("plain", 8))
_INTEGERS = [layers.Dense(6, "sigmoid"), layers.Rescaling(3.99)]
LAYER_CASES = {
    "dense": Layer(layers.Dense(6, "tanh"), lambda: ref.Dense(6, "tanh"), ([], _LAST)),
    "activation": Layer(layers.Activation("tanh"), lambda: ref.Activation("tanh"), ([layers.Dense(6)], _LAST)),
    "relu": Layer(
        layers.ReLU(2.0, 0.1, 0.5), lambda: ref.Activation("relu(2, 0.1, 0.5)"), ([layers.Dense(6)], _LAST)
    ),
    "leaky relu": Layer(layers.LeakyReLU(0.1), lambda: ref.Activation("leaky_relu(0.1)"), ([layers.Dense(6)], _LAST)),
    "elu": Layer(layers.ELU(0.5), lambda: ref.Activation("elu(0.5)"), ([layers.Dense(6)], _LAST)),
    "softmax": Layer(layers.Softmax(), lambda: ref.Activation("softmax"), ([layers.Dense(6)], _LAST)),
    "identity": Layer(layers.Identity(), lambda: ref.Activation("linear"), ([layers.Dense(6)], _LAST)),
    "batch normalization": Layer(
        layers.BatchNormalization(), ref.BatchNormalization, ([layers.Dense(6, "tanh")], _LAST)
    ),
    "dropout": Layer(layers.Dropout(0.25), lambda: ref.Dropout(0.25), ([layers.Dense(6, "tanh")], _LAST)),
    "residual": Layer(
        layers.Residual([layers.Dense(7, "tanh")]),
        lambda: graph_reference.Residual([ref.Dense(7, "tanh")]),
        ([layers.Dense(7)], _LAST),
    ),
    "prelu": Layer(layers.PReLU("random_uniform"), layers_reference.PReLU, ([layers.Dense(6)], _LAST)),
    "layer normalization": Layer(
        layers.LayerNormalization(), layers_reference.LayerNormalization, ([layers.Dense(6, "tanh")], _LAST)
    ),
    "rms normalization": Layer(
        layers.RMSNormalization(), layers_reference.RMSNormalization, ([layers.Dense(6, "tanh")], _LAST)
    ),
    "unit normalization": Layer(
        layers.UnitNormalization(), layers_reference.UnitNormalization, ([layers.Dense(6, "tanh")], _LAST)
    ),
    "scale": Layer(layers.Scale(), layers_reference.Scale, ([layers.Dense(6, "tanh")], _LAST)),
    "gaussian noise": Layer(
        layers.GaussianNoise(0.5), lambda: layers_reference.GaussianNoise(0.5), ([layers.Dense(6, "tanh")], _LAST)
    ),
    "gaussian dropout": Layer(
        layers.GaussianDropout(0.25), lambda: layers_reference.GaussianDropout(0.25), ([layers.Dense(6, "tanh")], _LAST)
    ),
    "alpha dropout": Layer(
        layers.AlphaDropout(0.25), lambda: layers_reference.AlphaDropout(0.25), ([layers.Dense(6, "selu")], _LAST)
    ),
    "activity regularization": Layer(
        layers.ActivityRegularization(0.01, 0.02),
        lambda: layers_reference.ActivityRegularization(0.01, 0.02),
        ([layers.Dense(6, "tanh")], _LAST),
    ),
    # These join two values, so that they have no place between layers of a chain: test_graphs.py has networks for them.
    "add": Layer(layers.Add(), graph_reference.Add, ([], [])),
    "multiply": Layer(layers.Multiply(), graph_reference.Multiply, ([], [])),
    "concatenate": Layer(layers.Concatenate(), graph_reference.Concatenate, ([], [])),
    "subtract": Layer(layers.Subtract(), graph_reference.Subtract, ([], [])),
    "average": Layer(layers.Average(), graph_reference.Average, ([], [])),
    "maximum": Layer(layers.Maximum(), graph_reference.Maximum, ([], [])),
    "minimum": Layer(layers.Minimum(), graph_reference.Minimum, ([], [])),
    "dot": Layer(layers.Dot(1), lambda: graph_reference.Dot(3), ([], [])),
    # test_ensemble_dense.py has networks for it.
    "ensemble dense": Layer(
        layers.EnsembleDense(6, 3, "tanh"), lambda: graph_reference.EnsembleDense(6, 3, "tanh"), ([], [])
    ),
    "flatten": Layer(layers.Flatten(), graph_reference.Same, ([layers.Dense(6, "tanh")], _LAST)),
    "reshape": Layer(layers.Reshape((-1,)), graph_reference.Same, ([layers.Dense(6, "tanh")], _LAST)),
    "rescaling": Layer(
        layers.Rescaling(0.5, -0.25), lambda: graph_reference.Rescaling(0.5, -0.25), ([layers.Dense(6, "tanh")], _LAST)
    ),
    "normalization": Layer(
        layers.Normalization(mean=0.5, variance=2.0), graph_reference.Normalization, ([layers.Dense(6, "tanh")], _LAST)
    ),
    "another normalization": Layer(
        layers.Normalization(mean=-0.5, variance=2.0), graph_reference.Normalization, ([layers.Dense(6, "tanh")], _LAST)
    ),
    "a third normalization": Layer(
        layers.Normalization(mean=0.5, variance=0.5), graph_reference.Normalization, ([layers.Dense(6, "tanh")], _LAST)
    ),
    # Their inputs are integers in [0, 4).
    "embedding": Layer(
        layers.Embedding(5, 3), lambda: graph_reference.Embedding(5, 3), (_INTEGERS, [layers.Flatten(), *_LAST])
    ),
    "category encoding": Layer(
        layers.CategoryEncoding(5), lambda: graph_reference.CategoryEncoding(5), (_INTEGERS, _LAST)
    ),
    "counts of categories": Layer(
        layers.CategoryEncoding(5, "count"), lambda: graph_reference.CategoryEncoding(5, "count"), (_INTEGERS, _LAST)
    ),
    "parametric activation": Layer(
        layers.ParametricActivation("mish", "random_uniform"),
        lambda: layers_reference.ParametricActivation("mish"),
        ([layers.Dense(6)], _LAST),
    ),
    "another parametric activation": Layer(
        layers.ParametricActivation("celu"),
        lambda: layers_reference.ParametricActivation("celu"),
        ([layers.Dense(6)], _LAST),
    ),
    "periodic embedding": Layer(
        layers.PeriodicEmbedding(3, 5, frequencies_initializer=initializers.RandomNormal(stddev=0.5)),
        lambda: layers_reference.PeriodicEmbedding(3),
        ([layers.Dense(6, "tanh")], _LAST),
    ),
    "plr": Layer(
        layers.PeriodicEmbedding(2, 5, use_phases=False, rectify=True, keep_input=False),
        lambda: layers_reference.PeriodicEmbedding(2, phases=False, rectify=True, keep=False),
        ([layers.Dense(6, "tanh")], _LAST),
    ),
    # These read an input: test_table_input.py has networks for them.
    "table input": Layer(
        layers.TableInput(6, _TABLE, "tanh"), lambda: table_reference.TableInput(6, _COLUMNS, "tanh"), ([], _LAST)
    ),
    "another table input": Layer(
        layers.TableInput(6, [layers.PlainColumn(10)], "tanh"),
        lambda: table_reference.TableInput(6, (("plain", 10),), "tanh"),
        ([], _LAST),
    ),
}


# Layers without weights, which are the same whether they are trained or not.
WEIGHTLESS = {"Activation", "Dropout", "Add", "Multiply", "Concatenate"}
WEIGHTLESS |= {"Subtract", "Average", "Maximum", "Minimum", "Dot", "Flatten", "Reshape"}
WEIGHTLESS |= {"CategoryEncoding", "Rescaling", "Normalization"}
WEIGHTLESS |= {"ReLU", "LeakyReLU", "ELU", "Softmax", "Identity"}
WEIGHTLESS |= {"UnitNormalization", "GaussianNoise", "GaussianDropout", "AlphaDropout", "ActivityRegularization"}


class Distribution(NamedTuple):
    """Of initial weights, as a function of a kernel's shape: the name of SciPy's, its place and its scale."""

    name: str
    of: Callable[[int, int], tuple[float, float]]


# A standard normal that is cut at two standard deviations has this one.
_CUT = 0.87962566103423978


def _uniform(limit: Callable[[int, int], float]) -> Distribution:
    return Distribution("uniform", lambda i, o: (-limit(i, o), 2.0 * limit(i, o)))


def _cut_normal(deviation: Callable[[int, int], float]) -> Distribution:
    return Distribution("truncnorm", lambda i, o: (0.0, deviation(i, o) / _CUT))


INITIALIZER_CASES = {
    "zeros": Case(initializers.Zeros(), Distribution("constant", lambda i, o: (0.0, 0.0))),
    "ones": Case(initializers.Ones(), Distribution("constant", lambda i, o: (1.0, 0.0))),
    "constant": Case(initializers.Constant(0.25), Distribution("constant", lambda i, o: (0.25, 0.0))),
    "random_normal": Case(initializers.RandomNormal(0.1, 0.2), Distribution("norm", lambda i, o: (0.1, 0.2))),
    "random_uniform": Case(initializers.RandomUniform(-0.1, 0.3), Distribution("uniform", lambda i, o: (-0.1, 0.4))),
    "truncated_normal": Case(
        initializers.TruncatedNormal(0.1, 0.2), Distribution("truncnorm", lambda i, o: (0.1, 0.2))
    ),
    "glorot_uniform": Case(initializers.GlorotUniform(), _uniform(lambda i, o: (6.0 / (i + o)) ** 0.5)),
    "glorot_normal": Case(initializers.GlorotNormal(), _cut_normal(lambda i, o: (2.0 / (i + o)) ** 0.5)),
    "he_uniform": Case(initializers.HeUniform(), _uniform(lambda i, o: (6.0 / i) ** 0.5)),
    "he_normal": Case(initializers.HeNormal(), _cut_normal(lambda i, o: (2.0 / i) ** 0.5)),
    "lecun_uniform": Case(initializers.LecunUniform(), _uniform(lambda i, o: (3.0 / i) ** 0.5)),
    "variance_scaling": Case(initializers.VarianceScaling(0.5), _cut_normal(lambda i, o: (0.5 / i) ** 0.5)),
    "variance_scaling, uniform": Case(
        initializers.VarianceScaling(2.0, "fan_out", "uniform"), _uniform(lambda i, o: (6.0 / o) ** 0.5)
    ),
    "variance_scaling, normal": Case(
        initializers.VarianceScaling(2.0, "fan_avg", "untruncated_normal"),
        Distribution("norm", lambda i, o: (0.0, (4.0 / (i + o)) ** 0.5)),
    ),
    # Each element of a random orthogonal matrix is nearly normal.
    "orthogonal": Case(initializers.Orthogonal(2.0), Distribution("norm", lambda i, o: (0.0, 2.0 / max(i, o) ** 0.5))),
    "identity": Case(initializers.Identity(1.5), Distribution("identity", lambda i, o: (1.5, 0.0))),
    "lecun_normal": Case(initializers.LecunNormal(), _cut_normal(lambda i, o: (1.0 / i) ** 0.5)),
}

# kind: (the module of its classes, the rows). What the name of a kind is in the core's schema.
KINDS: dict[str, tuple[Any, Mapping[str, Any]]] = {
    "optimizers": (optimizers, OPTIMIZER_CASES),
    "losses": (losses, LOSS_CASES),
    "metrics": (metrics, METRIC_CASES),
    "schedules": (schedules, SCHEDULE_CASES),
    "regularizers": (regularizers, REGULARIZER_CASES),
    "constraints": (constraints, CONSTRAINT_CASES),
    "initializers": (initializers, INITIALIZER_CASES),
    "layers": (layers, LAYER_CASES),
}
# Every row's object, and one of each class: the first of its rows.
ROWS = [case.made for _, rows in KINDS.values() for case in rows.values()]
FIRST = {type(made): made for made in reversed(ROWS)}


def needed(kind: type) -> dict[str, Any]:
    """What a class cannot be made without, from its first row."""
    required = [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]
    return {name: getattr(FIRST[kind], name) for name in required}


__all__ = ["ACTIVATIONS", "FIRST", "KINDS", "ROWS", "WEIGHTLESS", "Case", "made", "needed"]
