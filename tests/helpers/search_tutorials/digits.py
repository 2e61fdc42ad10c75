"""Tuning an estimator of scikit-learn by a grid and at random, with several metrics and a function that chooses."""
import json

import numpy as np
from fastreg.search import GridSearchCV, RandomizedSearchCV
from scipy.stats import loguniform, randint
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold
from sklearn.tree import DecisionTreeClassifier

X, y = load_digits(return_X_y=True)
folds = StratifiedKFold(n_splits=3, shuffle=True, random_state=0)
tree = DecisionTreeClassifier(random_state=0)


def shallowest_of_the_best(cv_results):
    scores = cv_results["mean_test_accuracy"]
    good = np.flatnonzero(scores >= scores.max() - 0.02)
    return int(good[np.argmin(np.asarray(cv_results["param_max_depth"][good], float))])


grid = GridSearchCV(
    estimator=tree,
    param_grid={"max_depth": [2, 8, 9, 16], "criterion": ["gini", "entropy"]},
    scoring=["accuracy", "f1_macro"],
    refit=shallowest_of_the_best,
    cv=folds,
    return_train_score=True,
)
grid.fit(X, y)
random = RandomizedSearchCV(
    tree,
    param_distributions={"max_depth": randint(2, 12), "ccp_alpha": loguniform(1e-5, 1e-2)},
    n_iter=5,
    cv=folds,
    random_state=0,
)
random.fit(X, y)
print(
    json.dumps(
        {
            "keys": sorted(grid.cv_results_) + sorted(random.cv_results_),
            "best": [grid.best_params_, grid.best_index_, list(grid.scorer_), grid.n_splits_, grid.multimetric_],
            "scores": [grid.cv_results_[f"split{i}_test_f1_macro"].tolist() for i in range(3)],
            "ranks": grid.cv_results_["rank_test_accuracy"].tolist(),
            "fitted": [grid.classes_.tolist(), int(grid.n_features_in_), grid.predict(X[:20]).tolist()],
            "drawn": [sorted(random.best_params_), len(random.cv_results_["params"]), bool(random.best_score_ > 0.7)],
        }
    )
)
