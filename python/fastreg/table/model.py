"""A network in one file with what encodes a table as its features and decodes its outputs as names.

The file is a model file (``model/files.py``) whose description has a member ``table``: schema, encoder and target.
:func:`fastreg.load` reads the network of it alone, :meth:`TableModel.load` all of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import _core
from fastreg.data import serving
from fastreg.model import files, loading
from fastreg.model.core import core_of
from fastreg.table.calibration import HIGHEST, LOWEST, tempered
from fastreg.table.checked import finite, members, strings, typed
from fastreg.table.encoder import Codes, TableEncoder
from fastreg.table.intervals import QUANTILES, Intervals, check_level, intervals_of, scale_of
from fastreg.table.isotonic import Isotonic
from fastreg.table.notices import Notices
from fastreg.table.schema import Schema
from fastreg.table.serving import table_predictor
from fastreg.table.tables import Table
from fastreg.table.target import Target
from fastreg.table.td_encoder import encoder_of
from fastreg.table.texts import Documents

__all__ = ["FrozenTableModel", "TableModel"]

# Features that are encoded at once, and rows at least.
_CELLS, _ROWS = 2**23, 2048
# A limit of standardised numbers at most, so that it is finite in float32.
_LARGEST = 1e38
# The members of the description of a table in a file; the later ones are optional, as older files lack them.
_MEMBERS = ("schema", "encoder", "encoders", "target", "limits", "temperature", "members", "intervals", "isotonic")


@dataclass(frozen=True)
class TableModel:
    """The model that ``fastreg tune`` makes. It predicts a column of a table from the others.

    Attributes:
        schema: The columns that it reads.
        encoders: The fitted encoder of these columns for each input of the network.
        model: The network: a ``Sequential``, or a ``Model`` whose output is the mean of several networks.
        target: The meaning of its outputs.
        limits: The range of standardised numbers to which outputs are limited; None for none.
        temperature: The temperature of the probabilities of classes.
        members: The networks of a blend, in words.
        intervals: What makes intervals of predicted numbers; None if the errors of unseen rows were not measured. They
            are as wide as the rows scatter if the network has a second output, see ``scatter.py``.
        isotonic: The curves that the probabilities of classes go through after the temperature; None for none.
    """

    schema: Schema
    encoders: tuple[TableEncoder, ...]
    model: Any
    target: Target
    limits: tuple[float, float] | None = None
    temperature: float = 1.0
    members: tuple[str, ...] = ()
    intervals: Intervals | None = None
    isotonic: Isotonic | None = None

    @property
    def encoder(self) -> TableEncoder:
        """The encoder of the first input."""
        return self.encoders[0]

    @property
    def n_features(self) -> int:
        """The features of all inputs."""
        return sum(encoder.n_features for encoder in self.encoders)

    def features(self, codes: Codes, documents: Mapping[int, Documents] | None = None) -> list[NDArray[np.float32]]:
        """The features of rows of codes for each input of the network, as :meth:`TableEncoder.transform` has them."""
        return [encoder.transform(codes, documents) for encoder in self.encoders]

    def outputs_of(self, features: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Limited numbers, standardised, or calibrated probabilities, (n, units), of encoded rows."""
        return self.outputs_and_scale(features)[0]

    def outputs_and_scale(
        self, features: Sequence[NDArray[np.float32]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """The same, and how far the targets of each row scatter, (n,): 1 unless the network tells."""
        return self.finished(self.model.predict(_given(features), verbose=0))

    def finished(self, found: Any) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """What the network gives as the model gives it: limited, or calibrated; and the scale of each row."""
        several = isinstance(found, (list, tuple))
        outputs, scale = (found[0], scale_of(found[1])) if several else (found, np.ones(len(found)))
        if self.limits is not None:
            return np.clip(outputs, np.float32(self.limits[0]), np.float32(self.limits[1])), scale
        shares = tempered(outputs, self.temperature)
        return (shares if self.isotonic is None else self.isotonic(shares)), scale

    def freeze(self, matmul_precision: str | None = None) -> FrozenTableModel:
        """The model for serving: all members as one frozen network, see :meth:`fastreg.Sequential.freeze`.

        One row of a table of numbers and levels takes microseconds: its encoding, the mean of the members and the
        limits or the calibration are computed in the same call.

        Args:
            matmul_precision: As in :meth:`fastreg.Sequential.freeze`. A blend of networks is not compiled, so that None
                is the current setting there.
        """
        network = self.model.freeze(matmul_precision)
        finish = self.limits, self.temperature, self.isotonic
        return FrozenTableModel(self, network, table_predictor(network, self.encoders, *finish))

    def outputs(self, table: Table | Mapping[str, Any] | Any, notices: Notices | None = None) -> NDArray[np.float32]:
        """What the model gives for the rows of a table, (n, units). A row's outputs do not depend on other rows.

        Args:
            table: A table, a mapping from names to arrays, or a frame.
            notices: Counts cells that the model does not know, such as new levels.

        Raises:
            ValueError: If a column is missing, or there are no rows.
        """
        return self.spread(table, notices)[0]

    def spread(
        self, table: Table | Mapping[str, Any] | Any, notices: Notices | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """:meth:`outputs`, and how far the targets of each row scatter, as :meth:`outputs_and_scale` has them."""
        table = Table.of(table, self.schema.dialect.style)
        codes, documents = self.schema.codes(table, notices), self.schema.documents(table)
        if table.n_rows == 0:
            raise ValueError("the table has no rows")
        step = max(_CELLS // max(self.n_features, 1), _ROWS)
        starts = range(0, len(codes), step)
        parts = [self.outputs_and_scale(self.features(codes[i : i + step], documents)) for i in starts]
        outputs, scales = zip(*parts, strict=True)
        return np.concatenate(outputs), np.concatenate(scales)

    def predict(self, table: Table | Mapping[str, Any] | Any, notices: Notices | None = None) -> dict[str, list[Any]]:
        """Predictions as columns: columns that name rows, the target's name, and for classes the probability of each.

        With ``intervals`` the bounds follow, as ``<target>_lower`` and ``<target>_upper``.

        Args:
            table: A table, a mapping from names to arrays, or a frame.
            notices: Counts cells that the model does not know, such as new levels.

        Raises:
            ValueError: If a column is missing, or there are no rows.
        """
        table = Table.of(table, self.schema.dialect.style)
        kept = {name: table[name].texts() for name in self.schema.id}
        outputs, scale = self.spread(table, notices)
        bounds = {name: column.tolist() for name, column in self.bound_columns(outputs, scale).items()}
        return kept | self.target.decode(outputs) | bounds

    def predict_interval(
        self, table: Table | Mapping[str, Any] | Any, level: float | None = None, notices: Notices | None = None
    ) -> NDArray[np.float64]:
        """The lower and the upper bound of the target of each row, (n, 2), in the unit of the target.

        Args:
            table: A table, a mapping from names to arrays, or a frame.
            level: The share of new rows that lie within their intervals, in (0, 0.999999]; None for that of
                ``intervals``.
            notices: Counts cells that the model does not know, such as new levels.

        Raises:
            ValueError: If a column is missing, there are no rows, the model has no ``intervals``, or they are of
                too few rows for the level.
        """
        if self.intervals is None:
            raise ValueError("predict_interval: the errors of rows that the model has not seen were not measured")
        asked = self.intervals.level if level is None else check_level("predict_interval", "level", level)
        return self.bounds(*self.spread(table, notices), asked)

    def bound_columns(
        self, outputs: NDArray[np.float32], scale: NDArray[np.float64]
    ) -> dict[str, NDArray[np.float64]]:
        """The bounds of outputs as columns of a table of predictions; empty without ``intervals``."""
        if self.intervals is None:
            return {}
        bounds = self.bounds(outputs, scale, self.intervals.level)
        return {f"{self.target.name}_lower": bounds[:, 0], f"{self.target.name}_upper": bounds[:, 1]}

    def bounds(
        self, outputs: NDArray[np.float32], scale: NDArray[np.float64], level: float
    ) -> NDArray[np.float64]:
        """The bounds of outputs, (n, 2), in the unit of the target, of a model with ``intervals``."""
        assert self.intervals is not None
        return self.intervals.bounds(outputs, scale, level) * self.target.scale + self.target.mean

    def score(self, table: Table | Mapping[str, Any] | Any) -> float:
        """Accuracy for classes, root mean squared error for numbers, over the rows whose target is known.

        Raises:
            ValueError: If no row has a target, or as for :meth:`predict`.
        """
        table = Table.of(table, self.schema.dialect.style)
        truth, known = self.target.encode(table)
        if not known.any():
            raise ValueError(f"no row has a known value of {self.target.name!r}")
        outputs = self.outputs(table)[known]
        if self.target.labels is None:
            errors = (outputs[:, 0].astype(np.float64) - truth[known]) * self.target.scale
            return float(np.sqrt(np.mean(errors**2)))
        chosen = np.argmax(outputs, axis=1) if outputs.shape[1] > 1 else outputs[:, 0] > 0.5
        return float(np.mean(chosen == truth[known]))

    def save(self, path: files.StrOrBytesPath) -> None:
        """Writes everything to one file, whole or not at all. Raises OSError if it cannot be written."""
        encoders = [encoder.to_config() for encoder in self.encoders]
        parts = {
            "schema": self.schema.to_config(),
            **({"encoder": encoders[0]} if len(encoders) == 1 else {"encoders": encoders}),
            "target": self.target.to_config(),
            **({} if self.limits is None else {"limits": list(self.limits)}),
            **({} if self.temperature == 1.0 else {"temperature": self.temperature}),
            **({"members": list(self.members)} if self.members else {}),
            **({} if self.intervals is None else {"intervals": self.intervals.to_config()}),
            **({} if self.isotonic is None else {"isotonic": self.isotonic.to_config()}),
        }
        files.save(core_of(self.model), path, include_optimizer=False, extra={"table": parts})

    @classmethod
    def load(cls, path: files.StrOrBytesPath) -> TableModel:
        """Reads what :meth:`save` wrote; runs no code of the file.

        Raises:
            ValueError: If the file is damaged, or holds a network alone.
            OSError: If it cannot be read.
        """
        model, description = loading.read(path)
        where = os.fsdecode(path)
        parts = description.get("table")
        if parts is None:
            raise ValueError(f"{where}: the model was not made from a table; fastreg.load reads it")
        try:
            parts = members(parts, "table", *_MEMBERS)
            schema = Schema.from_config(parts.get("schema"))
            encoders = _encoders(parts)
            target = Target.from_config(parts.get("target"))
            _check_fit(schema, encoders, target, model)
            told = strings(parts.get("members", []), "members")
            limits, temperature = _limits(parts, target), _temperature(parts, target)
            intervals = intervals_of(parts.get("intervals"), target)
            isotonic = _isotonic(parts, target)
            return cls(schema, encoders, model, target, limits, temperature, told, intervals, isotonic)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error


@dataclass(frozen=True)
class FrozenTableModel:
    """A :class:`TableModel` for serving: rows of codes in, what the model gives for them out.

    Attributes:
        model: The model.
        predictor: Its frozen network, which takes encoded rows and gives what is neither limited nor calibrated.
        table_predictor: What a call is passed to: it takes rows of codes and gives what the model gives. None for a
            table with dates or texts, which are encoded in Python before ``predictor`` reads them.

    Example:
        >>> from fastreg.table import TableRegressor
        >>> table = {"a": [1.0, 2.0, 8.0, 9.0] * 10, "y": [2.5, 4.5, 16.5, 18.5] * 10}
        >>> model = TableRegressor(seed=0).fit(table, "y").model_
        >>> frozen = model.freeze()
        >>> frozen(model.schema.codes({"a": [3.0]})).shape
        (1, 1)
    """

    model: TableModel
    predictor: Any
    table_predictor: _core.TablePredictor | None = None

    def __call__(self, codes: Codes, documents: Mapping[int, Documents] | None = None) -> NDArray[np.float32]:
        """Limited numbers, standardised, or calibrated probabilities, (n, units), of rows of codes.

        A row's outputs do not depend on other rows. They agree with :meth:`TableModel.outputs` up to rounding.

        Args:
            codes: The rows, as the schema of the model gives them: (n, columns), NaN where a cell is missing, float64
                in C order for the shortest time; also lists, frames and other numbers.
            documents: The documents that the codes of text columns number; a table without texts needs none.

        Raises:
            ValueError: If the shape is another one, documents are missing, or the code of a text has no document.
            TypeError: If the codes are not numbers.
        """
        if self.table_predictor is not None:
            return self.table_predictor(codes)
        rows = serving.codes(codes, len(self.model.schema.columns))
        return self.model.finished(self.predictor(_given(self.model.features(rows, documents))))[0]


def _given(features: Sequence[NDArray[np.float32]]) -> Any:
    """The features of all inputs in the form that a network takes."""
    return features[0] if len(features) == 1 else list(features)


def _encoders(parts: Mapping[str, Any]) -> tuple[TableEncoder, ...]:
    """The encoders of a file: one, or a list of them."""
    if "encoders" not in parts:
        return (encoder_of(parts.get("encoder")),)
    if "encoder" in parts:
        raise ValueError("a table must have either encoder or encoders, got both")
    configs = typed(parts["encoders"], list, "encoders")
    if not configs:
        raise ValueError("encoders must be one at least, got none")
    return tuple(map(encoder_of, configs))


def _limits(parts: Mapping[str, Any], target: Target) -> tuple[float, float] | None:
    if "limits" not in parts:
        return None
    found = [finite(value, "a limit", _LARGEST) for value in typed(parts["limits"], list, "limits")]
    if target.labels is not None or len(found) != 2 or found[0] > found[1]:
        raise ValueError(f"limits must be the lower and the upper one of a number, got {found}")
    return found[0], found[1]


def _temperature(parts: Mapping[str, Any], target: Target) -> float:
    found = finite(parts.get("temperature", 1.0), "temperature")
    if not LOWEST / 2.0 <= found <= HIGHEST * 2.0:
        raise ValueError(f"temperature must be in [{LOWEST / 2.0}, {HIGHEST * 2.0}], got {found}")
    if target.labels is None and found != 1.0:
        raise ValueError(f"temperature must be 1 for a number, got {found}")
    return found


def _isotonic(parts: Mapping[str, Any], target: Target) -> Isotonic | None:
    if "isotonic" not in parts:
        return None
    if target.labels is None:
        raise ValueError("isotonic must be absent for a number")
    return Isotonic.from_config(parts["isotonic"], _outputs(target))


def _outputs(target: Target) -> int:
    """The columns of a network's first output."""
    return len(target.labels) if target.task == "multiclass" and target.labels is not None else 1


def _check_fit(schema: Schema, encoders: tuple[TableEncoder, ...], target: Target, model: Any) -> None:
    for encoder in encoders:
        if tuple(column.kind for column in schema.columns) != encoder.kinds:
            raise ValueError("the encoder does not fit the columns")
        encoder.check_levels([len(column.levels or ()) for column in schema.columns])
    network = core_of(model).require_network("load")
    outputs = _outputs(target)
    taken, given = list(network.input_widths), list(network.output_widths)
    features = [encoder.n_features for encoder in encoders]
    if (taken, given) not in ((features, [outputs]), (features, [1, QUANTILES] if target.labels is None else [])):
        raise ValueError(
            f"the network takes {_listed(taken)} features and gives {_listed(given)} outputs, the table has "
            f"{_listed(features)} and needs {outputs}"
        )


def _listed(widths: Sequence[int]) -> str:
    return " and ".join(map(str, widths))
