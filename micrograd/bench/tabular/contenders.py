"""Who learns from the tables: micrograd's presets, scikit-learn, and what else is installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import metadata
from importlib.util import find_spec
from typing import Any
from zlib import crc32

import numpy as np

from micrograd.core import Array

Columns = Mapping[str, Array]
Maker = Callable[[bool, int, int], Any]  # quantity, seed, threads -> an estimator


class _Numeric:
    """An estimator behind numbers: words become whole numbers, or flags where `flags` is set."""

    def __init__(self, make: Callable[[list[int]], Any], flags: bool) -> None:
        self.make, self.flags = make, flags

    def fit(self, columns: Columns, y: Array) -> _Numeric:
        """Learns the words, then fits."""
        self.words = {n: sorted(set(c.tolist())) for n, c in columns.items() if c.dtype == object}
        X, categories = self._numbers(columns)
        self.model = self.make(categories).fit(X, y)
        return self

    def predict(self, columns: Columns) -> Array:
        """Of the estimator."""
        answers: Array = np.asarray(self.model.predict(self._numbers(columns)[0])).ravel()
        return answers

    def _numbers(self, columns: Columns) -> tuple[Array, list[int]]:
        parts: list[Array] = []
        categories: list[int] = []
        for name, column in columns.items():
            if name not in self.words:
                parts.append(np.nan_to_num(column) if self.flags else column)
                continue
            code = {word: i for i, word in enumerate(self.words[name])}
            codes = np.array([code.get(word, -1) for word in column.tolist()], float)
            if self.flags:
                parts += [codes == i for i in range(len(code))]
            else:
                categories.append(len(parts))
                parts.append(np.where(codes < 0, np.nan, codes))
        return np.stack(parts, axis=1).astype(float), categories


class _Framed:
    """An estimator that takes a pandas frame with categories, and fills gaps where it has to."""

    def __init__(
        self, make: Callable[[list[str]], Any], dtype: Any = "category", gaps: bool = True
    ) -> None:
        self.make, self.dtype, self.gaps = make, dtype, gaps

    def fit(self, columns: Columns, y: Array) -> _Framed:
        """Learns the words and the medians, then fits."""
        self.words = {n: sorted(set(c.tolist())) for n, c in columns.items() if c.dtype == object}
        numbers = {name: c for name, c in columns.items() if name not in self.words}
        self.usual = {name: float(np.nanmedian(c)) for name, c in numbers.items()}
        self.model = self.make(list(self.words)).fit(self._frame(columns), y)
        return self

    def predict(self, columns: Columns) -> Array:
        """Of the estimator."""
        answers: Array = np.asarray(self.model.predict(self._frame(columns))).ravel()
        return answers

    def _frame(self, columns: Columns) -> Any:
        import pandas

        made: dict[str, Any] = {}
        for name, column in columns.items():
            if name not in self.words:
                made[name] = column if self.gaps else np.nan_to_num(column, nan=self.usual[name])
            elif self.dtype is str:
                made[name] = column.astype(str)
            else:
                made[name] = pandas.Categorical(column, self.words[name])
        return pandas.DataFrame(made)


def _micrograd(preset: str) -> Maker:
    def make(quantity: bool, seed: int, threads: int) -> Any:
        from micrograd.sklearn import TabularClassifier, TabularRegressor

        kind = TabularRegressor if quantity else TabularClassifier
        return kind(preset, random_state=seed, n_jobs=threads)

    return make


def _sklearn_mlp(quantity: bool, seed: int, threads: int) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kind = MLPRegressor if quantity else MLPClassifier
    return _Numeric(lambda _: make_pipeline(StandardScaler(), kind(random_state=seed)), flags=True)


def _boosting(quantity: bool, seed: int, threads: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if quantity else HistGradientBoostingClassifier

    def make(categories: list[int]) -> Any:
        return kind(random_state=seed, categorical_features=categories or None)

    return _Numeric(make, flags=False)


def _lightgbm(quantity: bool, seed: int, threads: int) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    kind = LGBMRegressor if quantity else LGBMClassifier
    return _Framed(lambda _: kind(random_state=seed, n_jobs=threads, verbose=-1))


def _catboost(quantity: bool, seed: int, threads: int) -> Any:
    from catboost import CatBoostClassifier, CatBoostRegressor

    kind = CatBoostRegressor if quantity else CatBoostClassifier

    def make(words: list[str]) -> Any:
        return kind(
            random_seed=seed, thread_count=threads, verbose=0, allow_writing_files=False,
            cat_features=words,
        )  # fmt: skip

    return _Framed(make, dtype=str)


def _realmlp(quantity: bool, seed: int, threads: int) -> Any:
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    kind = RealMLP_TD_Regressor if quantity else RealMLP_TD_Classifier
    return _Framed(lambda _: kind(random_state=seed, n_threads=threads, device="cpu"), gaps=False)


KNOWN: dict[str, tuple[str, Maker]] = {
    "fast": ("sklearn", _micrograd("fast")),
    "default": ("sklearn", _micrograd("default")),
    "best": ("sklearn", _micrograd("best")),
    "sklearn MLP": ("sklearn", _sklearn_mlp),
    "HistGB": ("sklearn", _boosting),
    "LightGBM": ("lightgbm", _lightgbm),
    "CatBoost": ("catboost", _catboost),
    "RealMLP-TD": ("pytabkit", _realmlp),
}


def installed() -> dict[str, Maker]:
    """Those whose package is there."""
    return {name: make for name, (package, make) in KNOWN.items() if find_spec(package)}


def version(name: str) -> str:
    """Of the package behind a contender; of micrograd's presets also what they consist of."""
    from micrograd import __version__
    from micrograd.sklearn.tabular_recipe import PRESETS

    package, _ = KNOWN[name]
    if name in PRESETS:
        return f"{__version__}-{crc32(repr(PRESETS[name]).encode()):08x}"
    try:
        return metadata.version("scikit-learn" if package == "sklearn" else package)
    except metadata.PackageNotFoundError:
        return ""  # of a file that was measured where it is
