"""A network in one file with what encodes a table as its features and decodes its outputs as names.

The file is a model file (``model/files.py``) whose description has a member ``table``: schema, encoder and target.
:func:`fastreg.load` reads the network of it alone, :meth:`TableModel.load` all of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.model import files, loading
from fastreg.model.core import core_of
from fastreg.model.sequential import Sequential
from fastreg.table.checked import members
from fastreg.table.encoder import TableEncoder
from fastreg.table.intervals import Intervals, check_level, intervals_of
from fastreg.table.notices import Notices
from fastreg.table.schema import Schema
from fastreg.table.tables import Table
from fastreg.table.target import Target

__all__ = ["TableModel"]

# Features that are encoded at once, and rows at least.
_CELLS, _ROWS = 2**23, 2048


@dataclass(frozen=True)
class TableModel:
    """The model that ``fastreg tune`` makes. It predicts a column of a table from the others.

    Attributes:
        schema: The columns that it reads.
        encoder: The fitted encoder of these columns.
        model: The network.
        target: The meaning of its outputs.
        intervals: What makes intervals of predicted numbers; None if the errors of unseen rows were not measured.
    """

    schema: Schema
    encoder: TableEncoder
    model: Sequential
    target: Target
    intervals: Intervals | None = None

    def outputs(self, table: Table | Mapping[str, Any] | Any, notices: Notices | None = None) -> NDArray[np.float32]:
        """What the network gives for the rows of a table, (n, units). A row's outputs do not depend on other rows.

        Args:
            table: A table, a mapping from names to arrays, or a frame.
            notices: Counts cells that the model does not know, such as new levels.

        Raises:
            ValueError: If a column is missing.
        """
        table = Table.of(table, self.schema.dialect.style)
        codes, documents = self.schema.codes(table, notices), self.schema.documents(table)
        step = max(_CELLS // max(self.encoder.n_features, 1), _ROWS)
        parts = (self.encoder.transform(codes[i : i + step], documents) for i in range(0, max(len(codes), 1), step))
        return np.concatenate([self.model.predict(features, verbose=0) for features in parts])

    def predict(self, table: Table | Mapping[str, Any] | Any, notices: Notices | None = None) -> dict[str, list[Any]]:
        """Predictions as columns: columns that name rows, the target's name, and for classes the probability of each.

        With ``intervals`` the bounds follow, as ``<target>_lower`` and ``<target>_upper``.

        Args:
            table: A table, a mapping from names to arrays, or a frame.
            notices: Counts cells that the model does not know, such as new levels.

        Raises:
            ValueError: If a column is missing.
        """
        table = Table.of(table, self.schema.dialect.style)
        kept = {name: table[name].texts() for name in self.schema.id}
        outputs = self.outputs(table, notices)
        bounds = {name: column.tolist() for name, column in self.bound_columns(outputs).items()}
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
            ValueError: If a column is missing, the model has no ``intervals``, or they are of too few rows for the
                level.
        """
        if self.intervals is None:
            raise ValueError("predict_interval: the errors of rows that the model has not seen were not measured")
        asked = self.intervals.level if level is None else check_level("predict_interval", "level", level)
        return self.bounds(self.outputs(table, notices), asked)

    def bound_columns(self, outputs: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
        """The bounds of outputs as columns of a table of predictions; empty without ``intervals``."""
        if self.intervals is None:
            return {}
        bounds = self.bounds(outputs, self.intervals.level)
        return {f"{self.target.name}_lower": bounds[:, 0], f"{self.target.name}_upper": bounds[:, 1]}

    def bounds(self, outputs: NDArray[np.float32], level: float) -> NDArray[np.float64]:
        """The bounds of outputs, (n, 2), in the unit of the target, of a model with ``intervals``."""
        assert self.intervals is not None
        return self.intervals.bounds(outputs, level) * self.target.scale + self.target.mean

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
        parts = {
            "schema": self.schema.to_config(),
            "encoder": self.encoder.to_config(),
            "target": self.target.to_config(),
            **({} if self.intervals is None else {"intervals": self.intervals.to_config()}),
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
            parts = members(parts, "table", "schema", "encoder", "target", "intervals")
            schema = Schema.from_config(parts.get("schema"))
            encoder = TableEncoder.from_config(parts.get("encoder"))
            target = Target.from_config(parts.get("target"))
            intervals = intervals_of(parts.get("intervals"), target)
            _check_fit(schema, encoder, target, model)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        return cls(schema, encoder, model, target, intervals)


def _check_fit(schema: Schema, encoder: TableEncoder, target: Target, model: Sequential) -> None:
    if tuple(column.kind for column in schema.columns) != encoder.kinds:
        raise ValueError("the encoder does not fit the columns")
    encoder.check_levels([len(column.levels or ()) for column in schema.columns])
    network = core_of(model).require_network("load")
    outputs = len(target.labels) if target.task == "multiclass" and target.labels is not None else 1
    if (network.n_features, network.n_outputs) != (encoder.n_features, outputs):
        raise ValueError(
            f"the network takes {network.n_features} features and gives {network.n_outputs} outputs, the table has "
            f"{encoder.n_features} and needs {outputs}"
        )
