"""``Face``: the interface of every model except training: name, seed, layers, weights, ``summary`` and copies.

It defines what assignments to a model mean. ``core.py`` holds the state of a model; ``Model`` adds training.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastreg.callbacks.history import History
from fastreg.internal.checks import check_bool, unknown_name
from fastreg.internal.keras_arguments import refuse_requests
from fastreg.model.assignments import FREE, check_deletion, checked_assignment
from fastreg.model.core import CoreModel
from fastreg.model.structure import Structure, told_as_model
from fastreg.model.summary import is_unusual, summary_lines
from fastreg.model.views import BoundLayer, FixedList
from fastreg.model.weights import weights_of_model
from fastreg.optimizers import LearningRate

__all__ = ["Face"]

_F = TypeVar("_F", bound="Face")

# Methods that a class derived from Keras's Model may have, and what takes their place.
_NEVER_CALLED_HINTS = dict.fromkeys(
    ("train_step", "compute_loss", "compute_metrics", "make_train_function"),
    "compile takes losses and metrics that are functions, and fastreg.ops has the parts of a loop of your own",
)
_NEVER_CALLED_HINTS |= dict.fromkeys(
    ("call", "forward"),
    "fastreg.Model(inputs, outputs) makes a network of the values of layers that are called on each other",
)
_NEVER_CALLED_HINTS |= dict.fromkeys(
    ("test_step", "make_test_function", "predict_step", "make_predict_function"),
    "evaluate and predict can be derived, and callbacks can compute values of their own",
)
_NEVER_CALLED = _NEVER_CALLED_HINTS.keys()
_set = object.__setattr__


@told_as_model
class Face(Structure):
    """The base class of the models."""

    # The name of the class in messages.
    _owner = "Model"
    _core: CoreModel
    def __init_subclass__(cls, **options: Any) -> None:
        """Refuses methods by which Keras's models are changed: a fit runs in the core and would never call them."""
        super().__init_subclass__(**options)
        for name in sorted(_NEVER_CALLED & vars(cls).keys()):
            raise TypeError(f"{cls.__name__}: {name} would never be called; {_NEVER_CALLED_HINTS[name]}")

    def _take(self, core: CoreModel) -> None:
        self.__dict__.update(_core=core, stop_training=False)

    @classmethod
    def _of(cls: type[_F], core: CoreModel) -> _F:
        """A model that has the given core."""
        made = cls.__new__(cls)
        made._take(core)
        return made

    if not TYPE_CHECKING:  # otherwise a type checker would allow every attribute

        def __setattr__(self, name: str, value: object) -> None:
            if name not in FREE and name[:1] != "_":
                core = vars(self).get("_core")  # a derived class may set attributes before there is a core
                has_weights = core is not None and core.network is not None
                value = checked_assignment(self, self._owner, name, value, has_weights)
            _set(self, name, value)

        def __delattr__(self, name: str) -> None:
            check_deletion(self, self._owner, name)
            object.__delattr__(self, name)

    def __repr__(self) -> str:
        count = len(self._core.layers)
        precision = f", matmul_precision={self._core.matmul_precision!r}" if is_unusual(self._core) else ""
        state = "built" if self.built else "not built"
        return f"<{self._core.owner} {self.name!r}: {count} layers, {state}{precision}>"

    @property
    def name(self) -> str:
        """The name in :meth:`summary`; can be set."""
        return self._core.name

    @name.setter
    def name(self, value: str) -> None:
        self._core.name = value

    # The type does not require programs to check for None after a fit.
    @property
    def history(self) -> History | Any:
        """The result of the last ``fit``, even if it raised an exception; None before the first one. It can be set."""
        return self._core.history

    @history.setter
    def history(self, value: Any) -> None:
        self._core.history = value

    @property
    def stop_training(self) -> bool:
        """Whether the running fit ends after the current epoch. A callback or another thread can set it."""
        return bool(self.__dict__.get("stop_training", False))

    @stop_training.setter
    def stop_training(self, value: bool) -> None:
        self.__dict__["stop_training"] = value
        if value and (signal := self._core.last_epoch) is not None:
            signal.set()

    @property
    def seed(self) -> int:
        """The seed of all random numbers. It can be set until the model has weights."""
        return self._core.seed

    @seed.setter
    def seed(self, value: int) -> None:
        self._core.seed = value

    @property
    def layers(self) -> list[BoundLayer]:
        """The layers, each bound to this model, with the fields of its description, its name and its weights."""
        bound = (BoundLayer(self._core, i) for i in range(len(self._core.layers)))
        return FixedList(bound, "model.layers", "model.add and model.pop change the layers")

    @property
    def built(self) -> bool:
        """Whether there are weights: there are layers, and the number of features is known."""
        return self._core.built

    @property
    def compiled(self) -> bool:
        """Whether ``compile`` was called, or the model was loaded as it was compiled."""
        return self._core.optimizer is not None

    @property
    def feature_names_in_(self) -> Any:
        """The names of the columns that the model was fitted on, as scikit-learn has them.

        They are those of the first frame (pandas, polars, Arrow) whose columns all have strings as names. They are kept
        for the life of the model, and in copies and files, too. The attribute does not exist before such a fit. With
        several inputs it is a dict with the names of each, or None for an input that was not such a frame.
        """
        names = self._core.feature_names
        if names is None:
            raise AttributeError("feature_names_in_: the model was not fitted on a frame whose columns have names")
        if len(self._core.input_names) == 1:
            return np.array(names, dtype=object)
        arrays = [None if found is None else np.array(found, dtype=object) for found in names]
        return dict(zip(self._core.input_names, arrays, strict=True))

    @property
    def classes_(self) -> NDArray[Any]:
        """The labels of the classes in the order of the outputs, where ``fit`` was given labels that are strings.

        They are the different labels in sorted order, as scikit-learn's ``LabelEncoder`` has them, and they are kept
        for the life of the model, and in copies and files. ``model.classes_[np.argmax(model.predict(x), axis=1)]`` are
        predicted labels; with a single sigmoid output, ``model.classes_[(model.predict(x)[:, 0] > 0.5).astype(int)]``.
        The attribute does not exist before such a fit.
        """
        if self._core.classes is None:
            raise AttributeError("classes_: the model was not fitted on labels that are strings")
        return np.array(self._core.classes, dtype=object)

    def build(self, input_shape: object = None) -> None:
        """Creates the weights before the first call that needs them. Does nothing if they exist.

        Args:
            input_shape: Has no effect and is accepted because Keras has it; the inputs define the shape.

        Raises:
            MemoryError: If the network is larger than the memory of this machine.
        """
        self._core.require_idle("build")
        self._core.require_network("build")

    @property
    def trainable(self) -> bool:
        """Whether any layer is trained. Setting it sets it for every layer and takes effect at the next step.

        Weights, step and epoch are kept, and so are the moments of weights that are trained before and after. It is
        not necessary to compile again. ``layers[i].trainable`` sets it for one layer.
        """
        return any(layer.is_trained for layer in self._core.layers)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        core = self._core
        with core.changing.held:
            core.require_idle("trainable")
            checked = check_bool(core.owner, "trainable", value)
            if not core.layers and not checked:
                raise ValueError(f"{core.owner}: trainable: there are no layers that could be left untrained")
            core.set_trainable(range(len(core.layers)), checked)

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs."""
        return self._core.input_names

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs."""
        return self._core.output_names

    def get_weights(self) -> list[NDArray[np.float32]]:
        """Copies of all weights, layer by layer: kernel, bias, or gamma, beta, moving_mean, moving_variance."""
        return self._core.require_network("get_weights").get_weights()

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Sets all weights, in the order and the shapes of :meth:`get_weights`. Moments of the optimizer stay.

        Raises:
            ValueError: If the model is not built, number or shapes do not fit, a value is not finite or a variance is
                negative; then no weight has changed.
            TypeError: If something in the list holds no real numbers.
        """
        self._core.set_weights(weights)

    def count_params(self, trainable: bool | None = None) -> int:
        """Number of weights, moving statistics included. ValueError if the model is not built.

        Args:
            trainable: True counts those that are trained, False the others, None both.
        """
        info = self._core.require_network("count_params").weight_info()
        return sum(math.prod(shape) for _, shape, trained in info if trainable in (None, trained))

    def sparsity(self) -> dict[str, float]:
        """The share of values that are exactly 0, as a proximal L1 makes them.

        Returns:
            The share in all weights together under ``"all"``, and that in each weight under its path, such as
            ``"dense/kernel"``. Moving statistics do not count.

        Raises:
            ValueError: If the model is not built.

        Example:
            >>> import fastreg as fr
            >>> model = fr.Sequential([fr.Input((3,)), fr.layers.Dense(3, kernel_initializer="identity")])
            >>> model.sparsity()["dense/kernel"]
            0.6666666666666666
        """
        self._core.require_network("sparsity")
        weights = [weight for weight in weights_of_model(self._core) if not weight.name.startswith("moving_")]
        values = {weight.path: weight.numpy() for weight in weights}
        zeros = {path: w.size - int(np.count_nonzero(w)) for path, w in values.items()}
        total = sum(w.size for w in values.values())
        shares = {path: zeros[path] / w.size for path, w in values.items()}
        return {"all": sum(zeros.values()) / total if total else 0.0, **shares}

    def summary(
        self,
        *,
        print_fn: Callable[[str], object] | None = None,
        show_trainable: bool = False,
        show_sparsity: bool = False,
        **keras: object,
    ) -> None:
        """Prints a table of layers, output shapes and numbers of weights, and for a graph the inputs of each layer.

        Args:
            print_fn: Called with the whole text in place of ``print``.
            show_trainable: Show of each layer whether it is trained.
            show_sparsity: Show of each layer the share of its kernels' values that are exactly 0, as a proximal L1
                penalty leaves them.
            **keras: Keras's other arguments, accepted only at values that change nothing.
        """
        refuse_requests("summary", keras)
        shown = check_bool("summary", "show_trainable", show_trainable)
        zeros = check_bool("summary", "show_sparsity", show_sparsity)
        with self._core.changing.held:  # another thread may change the layers
            lines = summary_lines(self._core, shown, zeros)
        (print_fn or print)("\n".join(lines))

    @property
    def matmul_precision(self) -> str | None:
        """How a fit computes the matrix products of dense layers: ``"highest"``, ``"high"`` or ``"medium"``.

        ``compile`` sets it, see :func:`fastreg.set_matmul_precision`; before ``compile`` it is None.
        """
        return self._core.matmul_precision

    @property
    def learning_rate(self) -> float:
        """The rate of the next step. Setting it, within a callback or outside of ``fit``, replaces a schedule."""
        return self._core.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: LearningRate) -> None:
        self._core.learning_rate = value

    if not TYPE_CHECKING:  # a type checker knows which members there are

        def __getattr__(self, name: str) -> Any:
            if any(name in vars(kind) for kind in type(self).__mro__):
                # A property raised AttributeError: asked once more, its own message shows.
                return object.__getattribute__(self, name)
            text = f"{type(self).__name__!r} object has no attribute {name!r}"
            if name.startswith("_"):
                raise AttributeError(text)
            known = [known for known in dir(type(self)) if not known.startswith("_")]
            raise AttributeError(text + unknown_name("member", name, known))

    # Copying and pickling.

    # The core reads all that a fit changes at one moment, in which no fit runs (``recorded.py``).

    def __getstate__(self) -> dict[str, Any]:
        with self._core.changing.held:
            self._core.require_rest()
            return dict(self.__dict__)

    def __copy__(self: _F) -> _F:
        made = type(self).__new__(type(self))
        with self._core.changing.held:
            made.__setstate__(self.__getstate__() | {"_core": copy.copy(self._core)})
        return made

    def __deepcopy__(self: _F, memo: dict[int, Any]) -> _F:
        with self._core.changing.held:
            reduced: Any = self.__reduce_ex__(4)
            function, arguments, *rest = reduced
            made: _F = function(*copy.deepcopy(arguments, memo))
            memo[id(self)] = made
            if rest and rest[0] is not None:
                made.__setstate__(copy.deepcopy(rest[0], memo))
        return made

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "_core" not in state:
            from fastreg.model.pickling import from_older_pickle

            state = from_older_pickle(state)
        self.__dict__.update(state)
        if "history" in self.__dict__:  # an older pickle
            self._core.history = self.__dict__.pop("history")
