# SPDX-License-Identifier: Apache-2.0
"""Gradient boosting at training time, flattened to arrays that the compiled library scores."""

from __future__ import annotations

import numpy as np

from .. import _core


def grow(features, labels, library, seed, options):
    """A TreeEnsemble fitted on float32 (n, d) and 0/1 (n,), and the library's own model."""
    if library == "lightgbm":
        return _lightgbm(features, labels, seed, options)
    return _scikit_learn(features, labels, seed, options)


class _Nodes:
    def __init__(self):
        self.columns = {name: [] for name in ("feature", "threshold", "left", "right", "nan_left", "value")}

    def add(self, feature=-1, threshold=0.0, nan_left=False, value=0.0):
        for name, x in (("feature", feature), ("threshold", threshold), ("left", 0), ("right", 0), ("nan_left", nan_left), ("value", value)):
            self.columns[name].append(x)
        return len(self.columns["feature"]) - 1

    def ensemble(self, roots, base, num_features):
        dtypes = {"feature": np.int32, "threshold": np.float64, "left": np.int32, "right": np.int32, "nan_left": np.uint8, "value": np.float64}
        arrays = {n: np.array(c, dtypes[n]) for n, c in self.columns.items()}
        return _core.TreeEnsemble(**arrays, roots=np.array(roots, np.int32), base=base, num_features=num_features)


def _scikit_learn(features, labels, seed, options):
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError:
        raise ImportError("model='boosting' needs scikit-learn to train (not to predict): pip install scikit-learn") from None
    settings = {"learning_rate": 0.05, "max_iter": 300, "max_leaf_nodes": 15, "min_samples_leaf": 50, "l2_regularization": 1.0,
                "early_stopping": True, **options}
    model = HistGradientBoostingClassifier(random_state=seed, **settings).fit(features, labels)
    nodes, roots = _Nodes(), []
    for (tree,) in model._predictors:
        table = tree.nodes
        if table["is_categorical"].any():
            raise ValueError("boosting options ask for categorical splits, must be numerical")
        begin = len(nodes.columns["feature"])
        roots.append(begin)
        for row in table:
            leaf = bool(row["is_leaf"])
            at = nodes.add(-1 if leaf else int(row["feature_idx"]), float(row["num_threshold"]) if not leaf else 0.0,
                           bool(row["missing_go_to_left"]), float(row["value"]) if leaf else 0.0)
            if not leaf:
                nodes.columns["left"][at] = begin + int(row["left"])
                nodes.columns["right"][at] = begin + int(row["right"])
    return nodes.ensemble(roots, float(np.ravel(model._baseline_prediction)[0]), features.shape[1]), model


def _lightgbm(features, labels, seed, options):
    try:
        import lightgbm
    except ImportError:
        raise ImportError("library='lightgbm' needs lightgbm to train (not to predict): pip install lightgbm") from None
    settings = {"learning_rate": 0.05, "n_estimators": 200, "num_leaves": 15, "min_child_samples": 50, "reg_lambda": 1.0,
                "deterministic": True, "force_row_wise": True, "verbose": -1, **options}
    model = lightgbm.LGBMClassifier(random_state=seed, **settings).fit(features, labels)
    nodes, roots = _Nodes(), []

    def walk(node):
        if "split_index" not in node:
            return nodes.add(value=float(node["leaf_value"]))
        if node["decision_type"] != "<=":
            raise ValueError(f"LightGBM made a split of type {node['decision_type']!r}, must be '<='")
        at = nodes.add(int(node["split_feature"]), float(node["threshold"]), bool(node["default_left"]))
        nodes.columns["left"][at] = walk(node["left_child"])
        nodes.columns["right"][at] = walk(node["right_child"])
        return at

    for tree in model.booster_.dump_model()["tree_info"]:
        roots.append(walk(tree["tree_structure"]))
    return nodes.ensemble(roots, 0.0, features.shape[1]), model
