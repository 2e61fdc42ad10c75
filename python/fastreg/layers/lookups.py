"""Lookups, which make numbers of words, of integers of any size and of measurements, before a model is trained.

They are called on arrays. They are no part of a model, whose features are float32: write ``x = lookup(x)`` before
``fit`` and before ``predict``.
"""

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastreg.internal.checks import AT_LEAST_ONE, NON_NEGATIVE, check_bool, check_choice, check_int, describe
from fastreg.internal.float32 import in_float32
from fastreg.internal.keras_arguments import refuse_requests
from fastreg.internal.layer_base import Symbol
from fastreg.internal.prepared import encoded, plain_numbers

__all__ = ["Discretization", "IntegerLookup", "StringLookup"]

_MODES = ("int", "one_hot", "multi_hot", "count")


class Outside:
    """The base of what is called on arrays alone."""

    def _refuse_symbol(self, value: object) -> None:
        if isinstance(value, Symbol):
            self.refuse_model()

    def refuse_model(self) -> NoReturn:
        """Raises the error for one that is put into a model."""
        kind = type(self).__name__
        raise ValueError(
            f"{kind}: cannot be a layer of a model, whose features are float32; write x = layer(x) with it before fit "
            "and predict, and give the model an Input for what it returns"
        )


class _Lookup(Outside):
    """What StringLookup and IntegerLookup share. ``_tokens`` are the words of the vocabulary without special ones."""

    _kinds: str
    _dtype: Any

    def __init__(
        self,
        max_tokens: int | None,
        num_oov_indices: int,
        mask_token: Any,
        oov_token: Any,
        vocabulary: Any,
        invert: bool,
        output_mode: str,
        pad_to_max_tokens: bool,
        name: str | None,
    ) -> None:
        owner = type(self).__name__
        self.num_oov_indices = check_int(owner, "num_oov_indices", num_oov_indices, NON_NEGATIVE)
        self.max_tokens = max_tokens
        if max_tokens is not None:
            rule = ("be larger than the number of special tokens", lambda v: v > num_oov_indices)
            self.max_tokens = check_int(owner, "max_tokens", max_tokens, rule)
        self.mask_token, self.oov_token, self.name = mask_token, oov_token, name
        self.output_mode = check_choice(owner, "output_mode", output_mode, _MODES)
        self.invert = check_bool(owner, "invert", invert)
        self.pad_to_max_tokens = check_bool(owner, "pad_to_max_tokens", pad_to_max_tokens)
        if self.invert and self.output_mode != "int":
            raise ValueError(f"{owner}: output_mode must be 'int' where invert is set, got {output_mode!r}")
        if self.pad_to_max_tokens and (self.output_mode == "int" or max_tokens is None):
            raise ValueError(f"{owner}: pad_to_max_tokens needs max_tokens and an output_mode other than 'int'")
        self._tokens: NDArray[Any] | None = None
        if vocabulary is not None:
            self.set_vocabulary(vocabulary)

    def adapt(self, data: ArrayLike) -> None:
        """Makes a vocabulary of the words in data: the most frequent first, of equally frequent ones the greater first.

        Args:
            data: Words of any shape.
        """
        words, counts = np.unique(self._words(data, "data").reshape(-1), return_counts=True)
        kept = ~np.isin(words, self._reserved())
        words, counts = words[kept], counts[kept]
        order = np.lexsort((words, counts))[::-1]
        limit = None if self.max_tokens is None else self.max_tokens - self._start
        self._set_tokens(words[order][:limit])

    def set_vocabulary(self, vocabulary: ArrayLike) -> None:
        """Takes these words, in their order, as the vocabulary. The special tokens may be in front.

        Raises:
            ValueError: If there are none, one occurs twice, or there are more than ``max_tokens``.
        """
        owner = type(self).__name__
        words = self._words(vocabulary, "vocabulary").reshape(-1)
        front = self._special()
        if len(front) and len(words) >= len(front) and list(words[: len(front)]) == list(front):
            words = words[len(front) :]
        if not len(words):
            raise ValueError(f"{owner}: vocabulary must have words, got none")
        found, counts = np.unique(words, return_counts=True)
        if (counts > 1).any():
            raise ValueError(f"{owner}: vocabulary must have each word once, got {found[counts > 1][0].item()!r} twice")
        reserved = np.isin(words, self._reserved())
        if reserved.any():
            special = words[reserved][0]
            got = special.item()
            raise ValueError(f"{owner}: vocabulary must have special tokens in front or not at all, got {got!r}")
        if self.max_tokens is not None and len(words) + self._start > self.max_tokens:
            raise ValueError(
                f"{owner}: vocabulary must not have more than max_tokens, {self.max_tokens}, with the special tokens, "
                f"got {len(words) + self._start}"
            )
        self._set_tokens(words)

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The words, in the order of their numbers."""
        words: list[Any] = self._known().tolist()
        return self._special().tolist() + words if include_special_tokens else words

    def vocabulary_size(self) -> int:
        """The number of words, with the special tokens."""
        return self._start + (0 if self._tokens is None else len(self._tokens))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same lookup, the vocabulary among them."""
        return {
            "max_tokens": self.max_tokens,
            "num_oov_indices": self.num_oov_indices,
            "mask_token": self.mask_token,
            "oov_token": self.oov_token,
            "vocabulary": None if self._tokens is None else self.get_vocabulary(False),
            "invert": self.invert,
            "output_mode": self.output_mode,
            "pad_to_max_tokens": self.pad_to_max_tokens,
            "name": self.name,
        }

    def __call__(self, inputs: ArrayLike) -> NDArray[Any]:
        """The numbers of words, int64, or their indicators, float32; with ``invert`` the words of numbers.

        Raises:
            ValueError: Without a vocabulary, and for a word that is not in it where ``num_oov_indices`` is 0.
        """
        self._refuse_symbol(inputs)
        if self.invert:
            return self._inverted(inputs)
        words = self._words(inputs, "inputs")
        tokens = self._known()
        place = np.minimum(np.searchsorted(tokens, words, sorter=self._sorter), len(tokens) - 1)
        index = self._sorter[place]
        known = tokens[index] == words
        numbers = np.where(known, index + self._start, self._beyond(words))
        numbers = np.where(known, numbers, numbers + self._numbers_mask)
        masked = np.zeros(words.shape, bool) if self.mask_token is None else words == self.mask_token
        if self.num_oov_indices == 0 and not (known | masked).all():
            bad = words[~(known | masked)].flat[0]
            raise ValueError(
                f"{type(self).__name__}: inputs must be in the vocabulary if num_oov_indices is 0, got {bad.item()!r}"
            )
        if self.output_mode == "int":
            return np.where(masked, 0, numbers).astype(np.int64)
        depth = self.max_tokens if self.pad_to_max_tokens and self.max_tokens else self.vocabulary_size()
        # Masked words get a column behind the others, which is left out.
        columns = encoded(np.where(masked, depth, numbers), depth + 1, self.output_mode, type(self).__name__)
        return np.ascontiguousarray(columns[..., :depth])

    def _inverted(self, inputs: ArrayLike) -> NDArray[Any]:
        numbers = np.asarray(inputs)
        if numbers.dtype.kind not in "iu":
            raise TypeError(f"{type(self).__name__}: inputs must be integers where invert is set, got {numbers.dtype}")
        words = np.concatenate([self._special(), self._known()])
        inside = (numbers >= 0) & (numbers < len(words))
        return np.where(inside, words[np.where(inside, numbers, 0)], self.oov_token)

    @property
    def _start(self) -> int:
        """The number of the first word that is not special."""
        return self.num_oov_indices + self._numbers_mask

    @property
    def _numbers_mask(self) -> bool:
        """Whether the mask has a number, and a place in the vocabulary. Indicators have none of it, as in Keras."""
        return self.mask_token is not None and self.output_mode == "int"

    def _special(self) -> NDArray[Any]:
        mask = [self.mask_token] if self._numbers_mask else []
        return np.array([*mask, *[self.oov_token] * self.num_oov_indices], self._dtype)

    def _reserved(self) -> NDArray[Any]:
        """The tokens that are no words of the vocabulary."""
        mask = [] if self.mask_token is None else [self.mask_token]
        return np.array([*mask, *[self.oov_token] * min(self.num_oov_indices, 1)], self._dtype)

    def _set_tokens(self, tokens: NDArray[Any]) -> None:
        if not len(tokens):
            raise ValueError(f"{type(self).__name__}: data must have words that are not special, got none")
        self._tokens, self._sorter = tokens, np.argsort(tokens, kind="stable")

    def _known(self) -> NDArray[Any]:
        if self._tokens is None:
            raise ValueError(f"{type(self).__name__}: has no vocabulary; call adapt(data) first, or give one")
        return self._tokens

    def _words(self, value: Any, what: str) -> NDArray[Any]:
        array = np.asarray(value)
        if array.dtype.kind == "O" and self._kinds == "US":
            array = array.astype(str) if all(isinstance(word, str) for word in array.flat) else array
        if array.dtype.kind not in self._kinds:
            got = array.dtype if array.ndim else describe(value)
            raise TypeError(f"{type(self).__name__}: {what} must be {self._said}, got {got}")
        return array.astype(self._dtype) if self._dtype is not str else array.astype(str)

    _said = ""

    def _beyond(self, words: NDArray[Any]) -> Any:
        """The number of each word if it is not in the vocabulary, without the mask."""
        return np.zeros(words.shape, np.int64)


class StringLookup(_Lookup):
    """Numbers of words: 0 for those that are not in the vocabulary, then 1, 2, ... in the order of the vocabulary.

    It is called on arrays of strings; it cannot be a layer of a model.

    Args:
        max_tokens: The largest size of the vocabulary, special tokens included; None means any.
        num_oov_indices: 1 for a number of words that are not in the vocabulary, 0 if there must be none.
        mask_token: A word that has the number 0, in front of all others, and that indicators leave out: they have no
            column for it, and it is not in the vocabulary. None for none.
        oov_token: The word for those that are not in the vocabulary, where ``invert`` is set.
        vocabulary: The words; None takes them from data, see ``adapt``.
        invert: Whether to make words of numbers.
        output_mode: ``"int"``, or indicators as :class:`CategoryEncoding` has them: ``"one_hot"``, ``"multi_hot"``,
            ``"count"``.
        pad_to_max_tokens: Whether indicators have ``max_tokens`` columns even if there are fewer words.
        name: Is kept and has no effect.

    Raises:
        ValueError: If arguments contradict each other, or a word occurs twice.

    Example:
        >>> import numpy as np
        >>> from fastreg import layers
        >>> lookup = layers.StringLookup()
        >>> lookup.adapt(np.array(["red", "blue", "red"]))
        >>> lookup.get_vocabulary()
        ['[UNK]', 'red', 'blue']
        >>> lookup(np.array(["blue", "green"]))
        array([2, 0])
    """

    _kinds, _dtype, _said = "US", str, "strings"

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str = "[UNK]",
        vocabulary: Sequence[str] | NDArray[Any] | None = None,
        idf_weights: None = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        refuse_requests("StringLookup", {"idf_weights": idf_weights, **keras})
        if num_oov_indices not in (0, 1):
            raise ValueError(f"StringLookup: num_oov_indices must be 0 or 1, got {describe(num_oov_indices)}")
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, invert, output_mode, pad_to_max_tokens, name
        )


class IntegerLookup(_Lookup):
    """Numbers of integers of any size: 0 for those that are not in the vocabulary, then 1, 2, ... in its order.

    It is called on arrays of integers; it cannot be a layer of a model.

    Args:
        max_tokens: The largest size of the vocabulary, special tokens included; None means any.
        num_oov_indices: How many numbers there are for integers that are not in the vocabulary. With several, it is the
            remainder of the integer.
        mask_token: An integer that has the number 0, in front of all others, and that indicators leave out: they have
            no column for it, and it is not in the vocabulary. None for none.
        oov_token: The integer for those that are not in the vocabulary, where ``invert`` is set.
        vocabulary: The integers; None takes them from data, see ``adapt``.
        invert: Whether to make integers of numbers.
        output_mode: ``"int"``, or indicators as :class:`CategoryEncoding` has them: ``"one_hot"``, ``"multi_hot"``,
            ``"count"``.
        pad_to_max_tokens: Whether indicators have ``max_tokens`` columns even if there are fewer integers.
        name: Is kept and has no effect.

    Raises:
        ValueError: If arguments contradict each other, or an integer occurs twice.

    Example:
        >>> from fastreg import layers
        >>> layers.IntegerLookup(vocabulary=[10, 20, 30])([[20, 10], [5, 30]])
        array([[2, 1],
               [0, 3]])
    """

    _kinds, _dtype, _said = "iu", np.int64, "integers"

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int = -1,
        vocabulary: Sequence[int] | NDArray[Any] | None = None,
        vocabulary_dtype: str = "int64",
        idf_weights: None = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        name: str | None = None,
        **keras: Any,
    ) -> None:
        refuse_requests("IntegerLookup", {"idf_weights": idf_weights, **keras})
        check_choice("IntegerLookup", "vocabulary_dtype", vocabulary_dtype, ("int64", "int32"))
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, invert, output_mode, pad_to_max_tokens, name
        )

    def _beyond(self, words: NDArray[Any]) -> Any:
        return np.zeros(words.shape, np.int64) if self.num_oov_indices < 2 else words % self.num_oov_indices


class Discretization(Outside):
    """Numbers of the intervals that measurements are in: 0 below the first boundary, 1 from it on, and so on.

    It is called on arrays; it cannot be a layer of a model.

    Args:
        bin_boundaries: The boundaries, increasing; None takes them from data, see ``adapt``.
        num_bins: The number of intervals that ``adapt`` makes, equally full ones. One of the two is given.
        epsilon: Is accepted because Keras has it; quantiles are exact here.
        output_mode: ``"int"``, or indicators as :class:`CategoryEncoding` has them: ``"one_hot"``, ``"multi_hot"``,
            ``"count"``.
        name: Is kept and has no effect.

    Raises:
        ValueError: If not exactly one of ``bin_boundaries`` and ``num_bins`` is given, or boundaries do not increase.

    Example:
        >>> from fastreg import layers
        >>> layers.Discretization([0.0, 1.0])([[-3.0, 0.0, 0.5, 7.0]])
        array([[0, 1, 1, 2]])
    """

    def __init__(
        self,
        bin_boundaries: ArrayLike | None = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        name: str | None = None,
        **keras: Any,
    ) -> None:
        refuse_requests("Discretization", keras)
        if (bin_boundaries is None) == (num_bins is None):
            raise ValueError("Discretization: one of bin_boundaries and num_bins must be given")
        self.num_bins = None if num_bins is None else check_int("Discretization", "num_bins", num_bins, AT_LEAST_ONE)
        self.output_mode = check_choice("Discretization", "output_mode", output_mode, _MODES)
        self.epsilon, self.name = epsilon, name
        self.bin_boundaries: list[float] | None = None
        if bin_boundaries is not None:
            values = np.asarray(bin_boundaries, np.float64).reshape(-1)
            if not np.isfinite(values).all() or (np.diff(values) <= 0).any():
                raise ValueError(f"Discretization: bin_boundaries must increase and be finite, got {values.tolist()}")
            for value in values[[0, -1]] if values.size else ():
                in_float32(value.reshape(()), "Discretization: bin_boundaries")
            steps = np.diff(values.astype(np.float32))
            if (steps <= 0).any():
                pair = values[int(np.argmin(steps > 0)) :][:2].tolist()
                raise ValueError(f"Discretization: bin_boundaries must increase in float32, where {pair} are equal")
            self.bin_boundaries = values.tolist()

    def adapt(self, data: ArrayLike) -> None:
        """Takes the boundaries from data: the quantiles that make intervals with equally many of its values."""
        if self.num_bins is None:
            raise ValueError("Discretization: adapt needs num_bins, but bin_boundaries were given")
        x = plain_numbers(data, "Discretization: data").astype(np.float64).reshape(-1)
        if not x.size or not np.isfinite(x).all():
            raise ValueError("Discretization: data must be finite numbers, at least one")
        quantiles = np.quantile(x, np.arange(1, self.num_bins) / self.num_bins)
        kept = np.unique(quantiles.astype(np.float32), return_index=True)[1]
        self.bin_boundaries = quantiles[kept].tolist()

    def __call__(self, inputs: ArrayLike) -> NDArray[Any]:
        """The numbers of the intervals, int64, or their indicators, float32."""
        self._refuse_symbol(inputs)
        if self.bin_boundaries is None:
            raise ValueError("Discretization: has no boundaries; call adapt(data) first, or give bin_boundaries")
        x = plain_numbers(inputs, "Discretization")
        index = np.digitize(x, np.asarray(self.bin_boundaries, np.float32))
        if self.output_mode == "int":
            return index.astype(np.int64)
        return encoded(index, len(self.bin_boundaries) + 1, self.output_mode, "Discretization")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same one, the boundaries among them."""
        known = self.bin_boundaries is not None
        return {
            "bin_boundaries": self.bin_boundaries,
            "num_bins": None if known else self.num_bins,
            "epsilon": self.epsilon,
            "output_mode": self.output_mode,
            "name": self.name,
        }
