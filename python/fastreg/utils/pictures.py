"""``plot_model``: a picture of a model's layers as an SVG file, without any other program or package."""

from __future__ import annotations

from fastreg.internal import whole_files
from fastreg.internal.checks import check_bool, check_choice, describe
from fastreg.internal.keras_arguments import refuse_requests
from fastreg.model.core import core_of
from fastreg.model.model import Model
from fastreg.model.picture import Details, svg_of

__all__ = ["Picture", "plot_model"]


class Picture:
    """An SVG picture, which notebooks show. ``svg`` is its text."""

    def __init__(self, svg: str) -> None:
        self.svg = svg

    def _repr_svg_(self) -> str:
        """The text, for notebooks."""
        return self.svg

    def __repr__(self) -> str:
        return f"<Picture: SVG of {len(self.svg)} characters>"


def plot_model(
    model: Model,
    to_file: whole_files.FilePath | None = "model.svg",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int | None = None,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    **keras: object,
) -> Picture:
    """Draws the layers of a model and how they are connected.

    Args:
        model: The model. It needs layers, but no weights.
        to_file: The file, whose name must end in ``.svg``; it is replaced in one step. None writes none.
        show_shapes: Show the shape of each output, ``(None, units)``.
        show_dtype: Is accepted because Keras has it; only False, since everything is float32.
        show_layer_names: Show the names of the layers besides their kinds.
        rankdir: ``"TB"`` draws from top to bottom, ``"LR"`` from left to right.
        expand_nested: Has no effect and is accepted because Keras has it.
        dpi: Has no effect and is accepted because Keras has it; an SVG has no resolution.
        show_layer_activations: Show the activations.
        show_trainable: Draw layers that are not trained in grey.
        **keras: Keras's other arguments, accepted only at values that change nothing.

    Returns:
        The picture, which a notebook shows.

    Raises:
        ValueError: If the model has no layers, or an argument is out of range.
        OSError: If the file cannot be written.

    Example:
        >>> import fastreg as fr
        >>> model = fr.Sequential([fr.Input((4,)), fr.layers.Dense(8, "relu"), fr.layers.Dense(1)])
        >>> fr.utils.plot_model(model, to_file=None, show_shapes=True).svg[:4]
        '<svg'
    """
    refuse_requests("plot_model", {"show_dtype": show_dtype, "expand_nested": expand_nested, "dpi": dpi, **keras})
    if not isinstance(model, Model):
        raise TypeError(f"plot_model: model must be a Sequential or a Model, got {describe(model)}")
    details = Details(
        check_bool("plot_model", "show_layer_names", show_layer_names),
        check_bool("plot_model", "show_shapes", show_shapes),
        check_bool("plot_model", "show_layer_activations", show_layer_activations),
        check_bool("plot_model", "show_trainable", show_trainable),
    )
    horizontal = check_choice("plot_model", "rankdir", rankdir, ("TB", "LR")) == "LR"
    core = core_of(model)
    core.require_layers("plot_model")
    path = None if to_file is None else whole_files.path_text("plot_model", "to_file", to_file)
    if path is not None and not path.lower().endswith(".svg"):
        raise ValueError(f"plot_model: to_file must end in .svg, the one format that it writes, got {describe(path)}")
    picture = Picture(svg_of(core, details, horizontal))
    if path is not None:
        whole_files.write(path, picture.svg.encode())
    return picture
