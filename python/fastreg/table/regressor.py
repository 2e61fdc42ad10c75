"""The regressor of tables, whose predictions may have intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.table.estimators import TableEstimator
from fastreg.table.intervals import check_level

__all__ = ["TableRegressor"]


class TableRegressor(TableEstimator):
    """Predicts a number for each row of a table from its raw columns.

    Arguments and attributes are those of :class:`TableClassifier`, without ``classes_``, and:

    Args:
        interval: The share of new rows whose target is to lie within the interval that :meth:`predict_interval` gives,
            in (0, 0.999999]. Then a fifth of the rows is not learned from, but tells how large errors are: with
            ``group`` whole groups, with ``time_column`` the latest rows. None, the default, learns from all rows.

    Example:
        >>> from fastreg.table import TableRegressor
        >>> table = {"day": ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"] * 25}
        >>> model = TableRegressor(seed=0, interval=0.9).fit(table, [1.0, 2.0, 3.0, 4.0] * 25)
        >>> bool(abs(model.predict({"day": ["2024-01-03"]})[0] - 3.0) < 0.5)
        True
        >>> lower, upper = model.predict_interval({"day": ["2024-01-03"]})[0]
        >>> bool(2.0 < lower < upper < 4.0)
        True
    """

    _task = "regression"

    def __init__(self, *, interval: float | None = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.interval = None if interval is None else check_level(type(self).__name__, "interval", interval)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of the constructor by name, as in scikit-learn. ``deep`` has no effect."""
        return {"interval": self.interval, **super().get_params(deep)}

    def predict(self, table: Any) -> NDArray[np.float64]:
        """The number of each row, (n,). Warns of levels that the training rows did not have.

        Args:
            table: As for :meth:`fit`; columns that the model does not need are ignored.

        Raises:
            ValueError: If it is not fitted, a column is missing, or there are no rows.
        """
        outputs = self._outputs(table)
        return self._fitted().target.values(outputs)

    def predict_interval(self, table: Any, level: float | None = None) -> NDArray[np.float64]:
        """The lower and the upper bound of the target of each row, (n, 2).

        They are as far from the prediction as all but few errors of rows that the model has not seen (split conformal
        prediction, Lei et al. 2018): of n such rows, the ceil((n + 1) level)-th smallest error. If new rows come from
        where these came from, the share of new targets within their intervals is ``level`` at least, on average.

        Args:
            table: As for :meth:`predict`.
            level: That share, in (0, 0.999999]; None for ``interval`` as it was in :meth:`fit`.

        Raises:
            ValueError: If the model was fitted without ``interval``, and :meth:`conformalize` was not called; if there
                were too few rows for the level; or as for :meth:`predict`.
        """
        owner = type(self).__name__
        model = self._fitted()
        if model.intervals is None:
            raise ValueError(f"{owner}: predict_interval needs interval= before fit, or conformalize with further rows")
        asked = model.intervals.level if level is None else check_level(owner, "level", level)
        bounds: NDArray[np.float64] = model.bounds(*self._spread(table), asked)
        return bounds

    def conformalize(self, table: Any, y: Any = None) -> TableRegressor:
        """Takes the errors of rows that :meth:`fit` did not see as the measure of intervals.

        Args:
            table: As for :meth:`predict`.
            y: The name of a column or the targets; None for the column that was the target in ``fit``.

        Returns:
            Itself.

        Raises:
            ValueError: If it is not fitted, or there are too few rows with a target for the level, ``interval`` or 0.9.
        """
        read, truth, given = self._truth(table, y)
        self._measure(read.rows(given), truth[given])
        return self

    def score(self, table: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The coefficient of determination R² on the rows whose target is known, as in scikit-learn.

        Args:
            table: As for :meth:`predict`.
            y: The name of a column or the targets; None for the column that was the target in ``fit``.
            sample_weight: The weight of each row, >= 0; None, the default, weighs all rows alike.
        """
        read, truth, given = self._truth(table, y)
        weights, target = self._score_weights(sample_weight, given), self._fitted().target
        wanted = truth[given].astype(np.float64)
        errors = self._outputs(read)[given, 0].astype(np.float64) - wanted
        total = float(np.sum(weights * (wanted - np.average(wanted, weights=weights)) ** 2))
        if total == 0.0:
            raise ValueError(f"{type(self).__name__}: R² needs targets that differ, got one value of {target.name!r}")
        return 1.0 - float(np.sum(weights * errors**2)) / total
