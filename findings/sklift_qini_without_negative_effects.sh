#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# scikit-uplift 0.5.1: qini_auc_score(negative_effect=False) raises on valid input, where a treatment harms on average.
# Seen: "ValueError: x is neither increasing nor decreasing : [  0. -10. 200.]", from sklearn.metrics.auc: the perfect curve's first
# step is as long as the (negative) number of gained outcomes, so it runs backwards. Nothing says that the treatment is the reason.
# Exit 0 while that is so, 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 pandas==3.1.1 scikit-learn==1.9.1 scikit-uplift==0.5.1
"$folder/venv/bin/python" -W ignore - <<'PY'
import numpy as np, sklift
from sklift.metrics import qini_auc_score

treated = np.repeat([1, 0], 100)
outcome = np.r_[np.repeat([1, 0], [20, 80]), np.repeat([1, 0], [30, 70])]  # 20 % of the treated, 30 % of the others
score = np.tile(np.arange(100), 2)
print("scikit-uplift", sklift.__version__, "with negative effects:", qini_auc_score(outcome, score, treated, negative_effect=True))
try:
    print("without:", qini_auc_score(outcome, score, treated, negative_effect=False))
except ValueError as error:
    print("without: ValueError:", error)
    raise SystemExit(0 if "neither increasing nor decreasing" in str(error) else 1)
raise SystemExit("no error any more: this finding is out of date")
PY
