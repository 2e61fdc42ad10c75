"""What everyone but fastreg needs before it can read a table: levels as categories, sentences as weights of words.

Nothing here sees a test row before it has been fitted on the training rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# HistGradientBoosting takes 255 levels at most.
_MOST_LEVELS = 250
# A word must be in as many texts.
_FEWEST_TEXTS = 5


class Encoding:
    """Columns that are no numbers become categories of pandas with the most frequent levels of the training rows; other
    levels are missing. Columns of sentences become TF-IDF weights of their words.
    """

    def __init__(self, x: Any, text: Sequence[str] = ()) -> None:
        from pandas.api.types import is_bool_dtype, is_numeric_dtype
        from sklearn.feature_extraction.text import TfidfVectorizer

        def is_number(name: str) -> bool:
            return is_numeric_dtype(x[name]) and not is_bool_dtype(x[name])

        self.numbers = [name for name in x.columns if name not in text and is_number(name)]
        named = [name for name in x.columns if name not in text and name not in self.numbers]
        self.levels = {name: list(x[name].dropna().astype(str).value_counts().index[:_MOST_LEVELS]) for name in named}
        self.words = {
            name: TfidfVectorizer(min_df=_FEWEST_TEXTS, sublinear_tf=True).fit(x[name].fillna("")) for name in text
        }

    @property
    def categories(self) -> list[str]:
        return list(self.levels)

    def __call__(self, x: Any) -> Any:
        """The frame with these columns."""
        import pandas as pd

        parts = [x[self.numbers]]
        for name, levels in self.levels.items():
            values = x[name].astype(str).astype(object)
            known = values.where(x[name].notna() & values.isin(levels), None)
            parts.append(pd.DataFrame({name: pd.Categorical(known, categories=levels)}, index=x.index))
        for name, words in self.words.items():
            columns = [f"{name}: {word}" for word in words.get_feature_names_out()]
            weights = words.transform(x[name].fillna("")).toarray()
            parts.append(pd.DataFrame(weights, columns=columns, index=x.index))
        return pd.concat(parts, axis=1)

    def scaling(self, x: Any) -> Any:
        """A transformer of encoded frames: medians for missing numbers, z-scores, one-hot columns; fitted on `x`."""
        from sklearn.compose import make_column_transformer
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        numbers = [name for name in x.columns if name not in self.levels]
        scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
        coded = OneHotEncoder(handle_unknown="ignore")
        return make_column_transformer((scaled, numbers), (coded, self.categories), sparse_threshold=0.0).fit(x)
