# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/trees: small models of LightGBM, XGBoost and CatBoost with the scores that each gives itself.

    pip install lightgbm==4.7.0 xgboost==3.2.0 catboost==1.2.10 pandas scikit-learn && python tests/golden/make_tree_models.py

expected.json holds the rows (null: missing) and, for each file, the raw scores. Files that begin with refused_ are valid models
that etalage does not score; expected.json holds a word that the error must name.
"""

import json
from pathlib import Path

import catboost
import lightgbm
import numpy as np
import pandas
import xgboost

FOLDER = Path(__file__).parent / "trees"
rng = np.random.default_rng(1)
N = 3000
X = rng.normal(size=(N, 6))
X[rng.random((N, 6)) < 0.1] = np.nan
X[rng.random((N, 6)) < 0.1] = 0
X[:, 5] = rng.integers(0, 40, N)
MONEY = np.nan_to_num(X[:, 0]) + np.where(np.isin(X[:, 5], [1, 3, 7, 35]), 1, -1) + 0.5 * rng.normal(size=N)
YES = (MONEY > 0).astype(int)
GRADE = np.digitize(MONEY, [-1, 0.5])
ROWS = (rng.normal(size=(60, 6)) * 1.5).round(3)
ROWS[rng.random((60, 6)) < 0.15] = np.nan
ROWS[rng.random((60, 6)) < 0.1] = 0
ROWS[:, 5] = rng.integers(-2, 60, 60)
ROWS[::7, 5] = np.nan
ROWS[::11, 5] += 0.5
ROWS[5, 5] = -0.5
# XGBoost checks categories before it scores them.
WHOLE = ROWS.copy()
WHOLE[:, 5] = np.where(np.isnan(ROWS[:, 5]), np.nan, np.floor(np.abs(ROWS[:, 5])))
KINDS = ["float"] * 5 + ["c"]

scores, refused = {}, {}


def light(name, label, rounds=3, categorical=True, **parameters):
    settings = dict(verbose=-1, num_leaves=7, min_data_in_leaf=5, deterministic=True, num_threads=1) | parameters
    model = lightgbm.train(settings, lightgbm.Dataset(X, label, categorical_feature=[5] if categorical else []), rounds)
    model.save_model(FOLDER / f"{name}.txt")
    (FOLDER / f"{name}.json").write_text(json.dumps(model.dump_model()))
    scores[f"{name}.txt"] = scores[f"{name}.json"] = model.predict(ROWS, raw_score=True)


def extreme(name, label, rounds=3, **parameters):
    data = xgboost.DMatrix(X, label, feature_types=KINDS, enable_categorical=True)
    model = xgboost.train(dict(nthread=1, max_depth=3, max_cat_to_onehot=3) | parameters, data, rounds)
    rows = xgboost.DMatrix(WHOLE, feature_types=KINDS, enable_categorical=True)
    for ending in ("json", "ubj"):
        model.save_model(FOLDER / f"{name}.{ending}")
        scores[f"{name}.{ending}"] = model.predict(rows, output_margin=True)


def cat(name, kind, label, **parameters):
    model = kind(iterations=3, verbose=0, thread_count=1, allow_writing_files=False, **parameters).fit(X, label)
    model.save_model(FOLDER / f"{name}.json", format="json")
    scores[f"{name}.json"] = model.predict(ROWS, prediction_type="RawFormulaVal")


light("lightgbm_binary", YES, objective="binary")
light("lightgbm_zero_is_missing", MONEY, objective="regression", zero_as_missing=True)
light("lightgbm_nothing_is_missing", MONEY, objective="regression", use_missing=False)
light("lightgbm_classes", GRADE, 2, objective="multiclass", num_class=3)
light("lightgbm_forest", MONEY, objective="regression", boosting="rf", bagging_freq=1, bagging_fraction=0.6)
light("lightgbm_constant", MONEY, objective="regression", min_data_in_leaf=5000)
light("lightgbm_many_leaves", MONEY, 2, objective="regression", num_leaves=80, categorical=False)
extreme("xgboost_binary", YES, objective="binary:logistic", base_score=0.2)
extreme("xgboost_raw", YES, objective="binary:logitraw", base_score=0.3)
extreme("xgboost_classes", GRADE, objective="multi:softprob", num_class=3)
extreme("xgboost_counts", np.abs(MONEY), objective="count:poisson")
extreme("xgboost_dart", MONEY, objective="reg:squarederror", booster="dart", rate_drop=0.5)
extreme("xgboost_parallel", MONEY, 2, objective="reg:absoluteerror", num_parallel_tree=2, subsample=0.5)
cat("catboost_binary", catboost.CatBoostClassifier, YES, depth=3)
cat("catboost_missing_is_high", catboost.CatBoostRegressor, MONEY, depth=4, nan_mode="Max")
cat("catboost_classes", catboost.CatBoostClassifier, GRADE, depth=2)

# One-hot splits: categories are whole numbers or text there, and one that it has not seen is no category of any split.
table, asked = pandas.DataFrame(np.nan_to_num(X)), pandas.DataFrame(WHOLE)
table[5] = table[5].astype(int).astype(str)
asked[5] = ["missing" if c != c else str(int(c)) for c in WHOLE[:, 5]]
pool = catboost.Pool(table, YES, cat_features=[5])
model = catboost.CatBoostClassifier(iterations=4, depth=4, one_hot_max_size=64, verbose=0, thread_count=1, allow_writing_files=False).fit(pool)
model.save_model(FOLDER / "catboost_one_hot.json", format="json", pool=pool)
scores["catboost_one_hot.json"] = model.predict(asked, prediction_type="RawFormulaVal")
model.save_model(FOLDER / "refused_unnamed_categories.json", format="json")
refused["refused_unnamed_categories.json"] = "cat_features_hash does not name it"
pool = catboost.Pool(table[[5]], YES, cat_features=[0])
model = catboost.CatBoostClassifier(iterations=1, depth=1, one_hot_max_size=2, verbose=0, thread_count=1, allow_writing_files=False).fit(pool)
model.save_model(FOLDER / "refused_ctr.json", format="json", pool=pool)
refused["refused_ctr.json"] = "ctrs"

model = lightgbm.train(dict(verbose=-1, linear_tree=True, num_leaves=3), lightgbm.Dataset(X, MONEY), 1)
model.save_model(FOLDER / "refused_linear.txt")
refused["refused_linear.txt"] = "linear"
xgboost.train({"booster": "gblinear"}, xgboost.DMatrix(np.nan_to_num(X), MONEY), 1).save_model(FOLDER / "refused_gblinear.json")
refused["refused_gblinear.json"] = "gblinear"
vector = {"multi_strategy": "multi_output_tree", "tree_method": "hist", "max_depth": 2}
xgboost.train(vector, xgboost.DMatrix(X, np.c_[MONEY, MONEY]), 1).save_model(FOLDER / "refused_vector.json")
refused["refused_vector.json"] = "multi_output_tree"
model = catboost.CatBoostRegressor(iterations=1, depth=2, verbose=0, grow_policy="Lossguide", allow_writing_files=False).fit(X, MONEY)
model.save_model(FOLDER / "refused_lossguide.json", format="json")
refused["refused_lossguide.json"] = "oblivious_trees"


def plain(array):
    return [[None if v != v else v for v in row] for row in np.asarray(array, np.float64).tolist()]


expected = {"rows": plain(ROWS), "whole_categories": plain(WHOLE), "refused": refused,
            "scores": {name: np.asarray(s, np.float64).tolist() for name, s in scores.items()}}
(FOLDER / "expected.json").write_text(json.dumps(expected))
