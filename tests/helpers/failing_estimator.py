"""An estimator of scikit-learn that fails where one asks for it. Worker processes import it."""

from sklearn.base import BaseEstimator


class Failing(BaseEstimator):
    """An estimator that fails to be fitted for ``how="fit"``, and to be scored for ``how="score"``."""

    def __init__(self, how="ok"):
        self.how = how

    def fit(self, x, y):
        self.n_ = len(x)
        if self.how == "fit":
            raise ArithmeticError("no fit")
        return self

    def score(self, x, y):
        if self.how == "score":
            raise LookupError("no score")
        return 0.5
