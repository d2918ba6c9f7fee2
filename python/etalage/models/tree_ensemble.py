# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os

from .. import _core
from .._arrays import whole_number


class TreeEnsemble:
    """Boosted trees that another library grew, read from its model file and scored natively, without that library.

    TreeEnsemble.load(path) takes

    - LightGBM: text (``save_model``) and JSON (``dump_model``). Scores are those of ``predict(raw_score=True)``, bit for bit.
    - XGBoost: JSON and UBJSON (``save_model``) of gbtree and dart. Scores are those of ``predict(output_margin=True)``.
    - CatBoost: JSON (``save_model(format="json")``) of symmetric trees over numerical features; RawFormulaVal.
    - what save() of this class wrote; etalage.load() takes that too.

    Missing values are NaN; missing types, default directions, categorical splits, dart's weights, base scores behind an
    objective's link, scale and bias count as each library means them. All trees count, also those after the best iteration
    of an early stop. FormatError (a ValueError) names what is damaged or not supported: linear trees, vector leaves, gblinear,
    categorical features of CatBoost, an objective that is not known.
    """

    def __init__(self, _core_trees):
        if not isinstance(_core_trees, _core.TreeEnsemble):
            raise TypeError("TreeEnsemble is made by TreeEnsemble.load(path)")
        self._trees = _core_trees

    @classmethod
    def load(cls, path, verify="full") -> TreeEnsemble:
        """The ensemble in a model file. OSError when it cannot be read, FormatError when it is not usable."""
        return cls(_core.TreeEnsemble.load(os.fspath(path), verify))

    def predict(self, X, num_threads=0):
        """Raw scores, float64 [n], or [n, outputs] of a model with several outputs (classes).

        X is float64 or float32 [n, features], NaN for missing; other numbers are converted. The bits do not depend on
        num_threads (0: all CPUs of the process). ValueError for another number of features.
        """
        return self._trees.predict(X, whole_number(num_threads, "num_threads"))

    def save(self, path):
        """Writes the project's own format: maps, checksummed, atomic."""
        self._trees.save(os.fspath(path))

    @property
    def num_features(self) -> int:
        """Columns that a row must have."""
        return self._trees.num_features

    @property
    def num_outputs(self) -> int:
        """Numbers that a row gets."""
        return self._trees.num_outputs

    @property
    def num_trees(self) -> int:
        """How many trees there are."""
        return len(self._trees)

    def __len__(self):
        return len(self._trees)

    def __reduce__(self):
        return _from_bytes, (self._trees.to_bytes(),)

    def __repr__(self):
        return f"TreeEnsemble(num_trees={self.num_trees}, num_features={self.num_features}, num_outputs={self.num_outputs})"


def _from_bytes(data):
    return TreeEnsemble(_core.TreeEnsemble.from_bytes(data))
