"""From a table in a file to a saved model: kinds of columns, encoding, targets, and ``fastreg tune``.

This file lists the public names; the modules load when they are first touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastreg.internal.lazy_names import lazy_names

if TYPE_CHECKING:
    from fastreg.table.candidates import Candidate
    from fastreg.table.dictionary import DataDictionary
    from fastreg.table.distillation import Distillation
    from fastreg.table.distilling import distill
    from fastreg.table.encoder import TableEncoder
    from fastreg.table.estimators import TableClassifier
    from fastreg.table.model import FrozenTableModel, TableModel
    from fastreg.table.options import TableOptions
    from fastreg.table.reading import read_blocks, read_table
    from fastreg.table.recipe import Recipe
    from fastreg.table.regressor import TableRegressor
    from fastreg.table.schema import Column, Schema, Target
    from fastreg.table.tables import Table

_HOMES = {
    "Candidate": "candidates",
    "Column": "schema",
    "DataDictionary": "dictionary",
    "Distillation": "distillation",
    "FrozenTableModel": "model",
    "Recipe": "recipe",
    "Schema": "schema",
    "Table": "tables",
    "TableClassifier": "estimators",
    "TableEncoder": "encoder",
    "TableModel": "model",
    "TableOptions": "options",
    "TableRegressor": "regressor",
    "Target": "schema",
    "distill": "distilling",
    "read_blocks": "reading",
    "read_table": "reading",
}
__all__ = [
    "Candidate",
    "Column",
    "DataDictionary",
    "Distillation",
    "FrozenTableModel",
    "Recipe",
    "Schema",
    "Table",
    "TableClassifier",
    "TableEncoder",
    "TableModel",
    "TableOptions",
    "TableRegressor",
    "Target",
    "distill",
    "read_blocks",
    "read_table",
]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
