#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# CatBoost 1.2.10: a model trained with nan_mode="Max", exported as Python code, sends missing values the other way.
#
# nan_mode="Max" treats a missing value as larger than all others: it goes right at every split of its feature. save_model(...,
# format="python") writes code that asks value > border, which is false for nan, so missing goes left there. Neither saving nor
# running says so. The same model saved as JSON, cbm or ONNX answers as it was trained; with nan_mode="Min" (the default) the
# exported code is right, because left is where missing belongs; rows without missing values agree in both modes.
#
# Seen: "Max: rows with missing values differ by up to 4.842, others 0.000; Min: 0.000, 0.000". Installs pinned packages into a
# temporary folder; needs Python 3.11 and network. Exit 0 while CatBoost behaves so, 1 when it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check catboost==1.2.10 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import catboost
import numpy as np

rng = np.random.default_rng(0)
rows = rng.standard_normal((800, 4)).astype(np.float32)
rows[rng.random(rows.shape) < 0.2] = np.nan
missing = np.isnan(rows).any(axis=1)
# Large where the first feature is missing, so that a tree has a reason to put it right.
target = np.nan_to_num(rows[:, 0], nan=2) + rng.standard_normal(800) * 0.1


def differences(mode):
    model = catboost.CatBoostRegressor(iterations=20, depth=3, nan_mode=mode, verbose=0, allow_writing_files=False, random_seed=1,
                                       thread_count=1).fit(rows, target)
    answers = model.predict(rows)
    model.save_model("model.json", format="json")
    again = catboost.CatBoost().load_model("model.json", format="json").predict(rows)
    assert np.abs(again - answers).max() < 1e-9, "the JSON file answers otherwise"
    model.save_model("exported.py", format="python")
    code = {}
    exec(compile(open("exported.py").read(), "exported.py", "exec"), code)
    exported = np.array([code["apply_catboost_model"]([float(v) for v in row]) for row in rows])
    apart = np.abs(exported - answers)
    return apart[missing].max(), apart[~missing].max()


largest, smallest = differences("Max"), differences("Min")
print(f"CatBoost {catboost.__version__}: Max: rows with missing values differ by up to {largest[0]:.3f}, others {largest[1]:.3f}; "
      f"Min: {smallest[0]:.3f}, {smallest[1]:.3f}")
sys.exit(0 if largest[0] > 1 and max(largest[1], *smallest) < 1e-9 else 1)
PYTHON
