"""What all losses share: their fields, how values of rows become one number, and the file form.

It knows no single loss. A loss is called by ``computing.py``, which is loaded then.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar, cast

from fastreg.internal.checks import Rule, check_choice, check_name, describe
from fastreg.internal.dataclasses import replace
from fastreg.internal.description import Description

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["AXIS", "Axis", "Loss", "Name", "Reduction"]

L = TypeVar("L", bound="Loss")

_REDUCTIONS = ("mean", "mean_with_sample_weight", "none", "sum", "sum_over_batch_size")
# Those that a fit has: there only the ratios of weights count, so that they mean the same.
_MEANS = ("mean", "mean_with_sample_weight", "sum_over_batch_size")


def check_reduction(owner: str, name: str, value: object) -> str:
    """A way to make one number of the values of rows; Keras 2's ``"auto"`` is its usual one."""
    return "sum_over_batch_size" if value == "auto" else check_choice(owner, name, value, _REDUCTIONS)


# What computes a loss that is called. It is above this module, and loaded then.
_COMPUTING = "fastreg.losses.computing"

# The axis of the outputs of a row, which is the last one.
AXIS: Rule = ("be -1 or 1", lambda v: v in (-1, 1))

Axis = Annotated[int, AXIS]
Reduction = Annotated[str, check_reduction] | None
Name = Annotated[str, check_name] | None


class Loss(Description):
    """Base of the losses; anything that ``compile(loss=...)`` accepts.

    Every loss takes ``reduction`` and ``name``. A loss can be called: ``loss(y_true, y_pred, sample_weight=None)``.
    """

    # Not part of the core's description.
    _transient: ClassVar[frozenset[str]] = frozenset(("axis", "ignore_class", "name", "reduction"))
    _internal: ClassVar[frozenset[str]] = frozenset(
        ("any_columns", "check_fit", "heads", "in_files", "least_target", "usual_name")
    )
    # Those that a file has where they are not the usual ones.
    _options: ClassVar[tuple[str, ...]] = ("reduction", "name")

    # The name in Keras and in the core.
    key: ClassVar[str]
    # The kinds of targets: "values" (any), "counts" (>= 0), "probabilities" (in [0, 1]), "signs" (-1 and 1, or 0 and
    # 1), "distribution" (a row of shares), "labels".
    targets: ClassVar[str]
    # The name of an instance that was given none, where it is not the key.
    usual_name: ClassVar[str] = ""
    # Whether targets that are no labels may have any number of columns.
    any_columns: ClassVar[bool] = False
    # Whether a file can hold it.
    in_files: ClassVar[bool] = True

    if TYPE_CHECKING:
        reduction: str | None
        name: str | None

    @property
    def heads(self) -> int:
        """How many outputs there are for each target."""
        return 1

    @property
    def least_target(self) -> float:
        """The smallest target where they are not any numbers."""
        return 0.0

    def __post_init__(self) -> None:
        """Checks every field; a loss without a name gets that of its class."""
        super().__post_init__()
        if self.name is None:
            self._set(name=self.usual_name or self.key)

    def __call__(self, y_true: "ArrayLike", y_pred: "ArrayLike", sample_weight: "ArrayLike | None" = None) -> Any:
        r"""The loss of outputs, computed by the core.

        Args:
            y_true: Targets in the form that the loss takes, (n, k); labels (n,). More than two dimensions are taken as
                rows of the last one, a single dimension as one row.
            y_pred: Outputs (n, k).
            sample_weight: Weights >= 0 of the rows, (n,) or (n, 1), or one number.

        Returns:
            A float32 number by ``reduction``: with "sum_over_batch_size" and "mean" :math:`\sum_i w_i \ell_i / n`,
            with "mean_with_sample_weight" :math:`\sum_i w_i \ell_i / \sum_i w_i`, with "sum"
            :math:`\sum_i w_i \ell_i`. With "none" or None an array of :math:`w_i \ell_i`, one for each row.

        Raises:
            ValueError: If shapes do not fit, or a target or weight is none that the loss takes.
            TypeError: If something is no array of numbers.

        Example:
            >>> from fastreg import losses
            >>> float(losses.MeanSquaredError()([[0.0, 2.0]], [[1.0, 2.0]]))
            0.5
        """
        return import_module(_COMPUTING).reduced(self, y_true, y_pred, sample_weight)

    def to_config(self) -> dict[str, Any]:
        """The JSON form: the class name under ``"type"``, every field, and name and reduction unless usual."""
        usual = {"reduction": "sum_over_batch_size", "name": self.usual_name or self.key, "ignore_class": None}
        config = super().to_config()
        for name in self._options:
            if (value := getattr(self, name)) != usual[name]:
                config[name] = value
        return config

    @classmethod
    def from_config(cls: type[L], config: Mapping[str, Any]) -> L:
        """The loss of a JSON form. Raises ValueError if a field is unknown or missing, or its value is bad."""
        options = {name: config[name] for name in cls._options if name in config}
        made = super().from_config({name: value for name, value in config.items() if name not in cls._options})
        return cast(L, replace(cast(Any, made), **options)) if options else made

    def check_fit(self, where: str) -> None:
        """Raises ValueError for a reduction that is no mean: the loss of a fit is one."""
        if self.reduction not in _MEANS:
            known = ", ".join(map(repr, _MEANS))
            raise ValueError(
                f"{where}: reduction must be one of {known} in a model, got {describe(self.reduction)}; a fit "
                "minimises the mean over rows, so that a learning rate fits any batch size. A sum takes the steps of "
                "that rate times the batch size"
            )
