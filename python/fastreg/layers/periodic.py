"""PeriodicEmbedding, which makes several features of each number."""

from typing import Annotated

from fastreg.initializers import Initializer, RandomNormal, RandomUniform, VarianceScaling
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.keras_arguments import LayerArguments, takes_keras_arguments
from fastreg.internal.layer_base import Layer
from fastreg.layers.embedding import INDICES

__all__ = ["PeriodicEmbedding"]

_PI = 3.141592653589793


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class PeriodicEmbedding(Layer, LayerArguments):
    r"""Features of each number by itself: waves whose frequencies are learned, and a linear layer behind them.

    A number x of a row becomes ``units`` features, and with ``keep_input`` x itself behind them:

    .. math:: y = \left( W^T \cos(2 \pi f x + p) + b,\; x \right)

    These are the embeddings of RealMLP, "periodic bias linear DenseNet" or PBLD (Holzmüller, Grinsztajn and Steinwart,
    "Better by default", NeurIPS 2024), whose 4 features of a number are ``PeriodicEmbedding(3)``. Without phases p,

    .. math:: y = W^T \left( \cos(2 \pi f x), \sin(2 \pi f x) \right) + b

    is the form before it, which with ``rectify`` is called PLR (Gorishniy, Rubachev and Babenko, "On embeddings for
    numerical features in tabular deep learning", NeurIPS 2022): ``PeriodicEmbedding(24, 48, use_phases=False,
    rectify=True, keep_input=False)``.

    The input is (n, in); the output has all features of the first number, then those of the second one, and so on.
    Numbers should be scaled to a few units, since frequencies are waves per unit. Weights, each with columns for one
    number after another: ``frequencies`` f (n_frequencies, in), ``phases`` p in radians of the same shape, ``kernel`` W
    (n_frequencies, in * units), or with twice as many rows where there are no phases, and ``bias`` b (in * units,).
    The optimizer's weight decay applies to the kernel alone, unless ``exclude_from_weight_decay`` says otherwise.

    Args:
        units: The number of features that a number is given by W, in [1, 2**24].
        n_frequencies: The number of waves, in [1, 2**24].
        use_phases: Whether there is a p; otherwise each wave gives a cosine and a sine.
        rectify: Whether features are the larger one of 0 and the formula's; x itself stays as it is.
        keep_input: Whether x is a feature, too.
        frequencies_initializer: The initial values of f, see :mod:`fastreg.initializers`. Their deviation is what
            matters most; it is between 0.01 and 10 for other tables than RealMLP was tuned on.
        phases_initializer: The initial values of p.
        kernel_initializer: The initial values of W. The default is uniform in :math:`\pm 1 / \sqrt{r}` for r rows.
        bias_initializer: The initial values of b.
        name: See :class:`Layer`, as for ``trainable``, ``learning_rate_multiplier``, ``weight_decay_multiplier``,
            ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If a number is out of range, or a name is unknown.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> import fastreg as fr
        >>> embedding = fr.layers.PeriodicEmbedding(3)
        >>> model = fr.Sequential([fr.Input((8,)), embedding, fr.layers.Dense(1)], seed=0)
        >>> model.layers[0].count_params(), model.layers[1].count_params()
        (664, 33)
    """

    units: Annotated[int, INDICES]
    n_frequencies: Annotated[int, INDICES] = 16
    use_phases: bool = True
    rectify: bool = False
    keep_input: bool = True
    frequencies_initializer: Initializer | str = RandomNormal(0.0, 0.1)
    phases_initializer: Initializer | str = RandomUniform(-_PI, _PI)
    kernel_initializer: Initializer | str = VarianceScaling(1.0 / 3.0, "fan_in", "uniform")
    bias_initializer: Initializer | str = "zeros"
