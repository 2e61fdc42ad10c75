"""``Structure``: what a model shows of its layers and weights, and its configuration, in Keras's words.

``Face`` derives from it. It reads the core of a model and trains nothing.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any, TypeVar

from fastreg.internal.checks import check_bool, describe, did_you_mean
from fastreg.internal.keras_arguments import refuse_requests
from fastreg.internal.layer_base import Symbol, batch_shape, check_mode, check_shape
from fastreg.model import files
from fastreg.model.core import CoreModel
from fastreg.model.nested import Nested
from fastreg.model.views import BoundLayer
from fastreg.model.weights import BoundWeight, weights_of_model

__all__ = ["Structure", "told_as_model"]

_S = TypeVar("_S", bound="Structure")
_K = TypeVar("_K", bound=type)


def told_as_model(kind: _K) -> _K:
    """Lets Python's own messages name the methods of a base class by the class that users know, ``Model``."""
    for name, member in vars(kind).items():
        function = getattr(member, "__func__", member)  # of a class method
        while isinstance(function, FunctionType):
            function.__module__, function.__qualname__ = "fastreg.model.model", f"Model.{name}"
            function = getattr(function, "__wrapped__", None)  # of a decorated one
    return kind


@told_as_model
class Structure:
    """Layers by name, weights as objects, configurations, and files of weights."""

    _core: CoreModel

    def as_layer(self) -> Nested:
        """This model as a layer of another one, which has its layers and shares its weights."""
        return Nested(self._core, self)

    def __call__(self, inputs: Any, *, training: bool | None = None) -> Any:
        """The value that this model makes in another one; of arrays the outputs, as ``predict``.

        Args:
            inputs: What a layer is called on, or a list of such for several inputs; or rows of features.
            training: Keras's argument. None and, for arrays, False change nothing. Another value is accepted if the
                model has no layer that computes something else in training, such as ``Dropout``.

        Raises:
            ValueError: If a value has another shape than the input, or ``training`` is refused.
        """
        parts = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        if any(isinstance(part, Symbol) for part in parts):
            return self.as_layer()(inputs, training=training)
        if training is not None and check_bool("Model", "training", training):
            check_mode(self.as_layer(), training)
        return self.predict(inputs)  # type: ignore[attr-defined]

    def get_layer(self, name: str | None = None, index: int | None = None) -> BoundLayer:
        """The layer with a name, or with an index.

        Args:
            name: The name in :meth:`summary`.
            index: The place in :attr:`layers`, from 0; negative ones count from the end.

        Raises:
            ValueError: If there is no such layer, or not exactly one of the two arguments is given.
        """
        if (name is None) == (index is None):
            got = f"name={describe(name)}, index={describe(index)}"
            raise ValueError(f"get_layer: one of name and index must be given, got {got}")
        layers = [BoundLayer(self._core, i) for i in range(len(self._core.layers))]
        if index is not None:
            if type(index) is not int or not -len(layers) <= index < len(layers):
                raise ValueError(f"get_layer: index must be in [0, {len(layers)}), got {describe(index)}")
            return layers[index]
        names = [layer.name for layer in layers]
        if name not in names:
            hint = did_you_mean(str(name), names)
            raise ValueError(f"get_layer: name must be that of a layer, {', '.join(names)}, got {name!r}{hint}")
        return layers[names.index(name)]

    @property
    def weights(self) -> list[BoundWeight]:
        """All weights, moving statistics included, in the order of :meth:`get_weights`; none before the model is built.

        Each has ``name``, ``path``, ``shape``, ``trainable``, ``numpy()`` and ``assign(value)``.
        """
        return weights_of_model(self._core)

    @property
    def trainable_weights(self) -> list[BoundWeight]:
        """The weights that training changes."""
        return weights_of_model(self._core, True)

    @property
    def non_trainable_weights(self) -> list[BoundWeight]:
        """The weights that training does not change, or only as moving statistics."""
        return weights_of_model(self._core, False)

    variables, trainable_variables, non_trainable_variables = weights, trainable_weights, non_trainable_weights

    def save_weights(self, filepath: files.StrOrBytesPath, overwrite: bool = True, **keras: object) -> None:
        """Writes the weights alone, for :meth:`load_weights`. The file is replaced in one step or not at all.

        Args:
            filepath: The file, a safetensors file whatever its name; ``.weights.h5`` is accepted, since Keras's
                programs name it so.
            overwrite: False raises FileExistsError if there is a file of this name.
            **keras: Keras's ``max_shard_size``, only None: there is one file.

        Raises:
            ValueError: If the model is not built, or the name ends as files of another format do.
            OSError: If the file cannot be written.

        Example:
            >>> import fastreg as fr, os, tempfile
            >>> def build(seed):
            ...     return fr.Sequential([fr.Input((3,)), fr.layers.Dense(2)], seed=seed)
            >>> first, second = build(0), build(1)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = os.path.join(folder, "net.weights.h5")
            ...     first.save_weights(path)
            ...     second.load_weights(path)
            >>> bool((first.layers[0].kernel.numpy() == second.layers[0].kernel.numpy()).all())
            True
        """
        from fastreg.model import weight_files

        refuse_requests("save_weights", keras)
        weight_files.save_weights(self._core, filepath, overwrite)

    def load_weights(self, filepath: files.StrOrBytesPath, skip_mismatch: bool = False, **keras: object) -> None:
        """Reads weights that :meth:`save_weights` or :meth:`save` wrote for a model with the same layers.

        Args:
            filepath: The file.
            skip_mismatch: True keeps the present values of weights that the file does not have in this shape.
            **keras: Keras's other arguments, accepted only at values that change nothing.

        Raises:
            ValueError: If the file is damaged or holds the weights of other layers; then no weight has changed.
            OSError: If the file cannot be read.
        """
        if keras:
            refuse_requests("load_weights", keras)
        self._core.require_idle("load_weights")
        from fastreg.model import weight_files

        weight_files.load_weights(self._core, filepath, skip_mismatch)

    def get_config(self) -> dict[str, Any]:
        """Layers, connections, name and seed as plain values, for :meth:`from_config`. It has no weights.

        Returns:
            A dict with ``name``, ``seed``, ``layers`` (a list of ``{"class_name": ..., "config": ...}``), and
            ``n_features`` or the inputs, nodes and outputs of a graph.
        """
        from fastreg.model import configs

        return configs.config_of(self._core)

    @classmethod
    def from_config(cls: type[_S], config: dict[str, Any], custom_objects: object = None) -> _S:
        """A new model from a configuration. It is not compiled; equal seeds give equal initial weights.

        Args:
            config: What :meth:`get_config` returned.
            custom_objects: None or ``{}``, since every class is built in; an argument of Keras.

        Raises:
            ValueError: If the configuration is not one of a model, or of another class of model.
        """
        refuse_requests("load_model", {"custom_objects": custom_objects})
        from fastreg.model import configs

        core = configs.core_from_config(config)
        wanted = "Sequential" if any(kind.__name__ == "Sequential" for kind in cls.__mro__) else "Model"
        if core.owner != wanted:
            raise ValueError(f"from_config: config must be one of a {wanted}, got that of a {core.owner}")
        made = cls.__new__(cls)
        made._take(core)  # type: ignore[attr-defined]
        return made

    def to_json(self, **kwargs: Any) -> str:
        """The configuration as JSON, for :func:`fastreg.models.model_from_json`.

        Args:
            **kwargs: Arguments of ``json.dumps``, such as ``indent=2``.
        """
        from fastreg.model import configs

        return configs.to_json(self._core, **kwargs)

    def get_compile_config(self) -> dict[str, Any] | None:
        """What ``compile`` was given, as plain values, for :meth:`compile_from_config`; None before ``compile``."""
        from fastreg.model import configs

        return configs.compile_config_of(self._core)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles the model as :meth:`get_compile_config` says.

        Raises:
            ValueError: If the configuration is not one that :meth:`get_compile_config` returned.
        """
        from fastreg.model import configs

        with self._core.changing.held:
            self._core.require_idle("compile")
            configs.compile_from_config(self._core, config)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shapes of the outputs for a shape of the input, ``(None, units)`` each.

        Args:
            input_shape: ``(n,)`` or ``(None, n)``, or with more dimensions. A model of a graph has fixed inputs and
                does not use it.
        """
        graph = self._core.graph
        given = check_shape("compute_output_shape", "input_shape", input_shape) if graph is None else (1,)
        shapes = [batch_shape(shape) for shape in self._core.output_shapes(given)]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def input_shape(self) -> Any:
        """The shape of the input, ``(None, 28, 28)``; of several inputs a list; None where it is not known yet."""
        shapes = [None if shape is None else batch_shape(shape) for shape in self._core.input_shapes()]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def output_shape(self) -> Any:
        """The shape of the output, ``(None, 10)``; of several outputs a list; None where it is not known yet."""
        if self._core.input_shape is None or not self._core.layers:
            return None
        shapes = [batch_shape(shape) for shape in self._core.output_shapes(self._core.input_shape)]
        return shapes[0] if len(shapes) == 1 else shapes

    def _repr_html_(self) -> str:
        """The table of ``summary`` for notebooks."""
        from fastreg.model.summary import summary_html

        with self._core.changing.held:  # another thread may change the layers
            return summary_html(self._core)
