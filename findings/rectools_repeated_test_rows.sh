#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# RecTools 0.19.0: a test purchase that stands in the frame twice counts twice in NDCG and Precision, which pass 1.
#
# One shopper, a list of five, the first of them bought. Precision@5 is 1/5. Where the purchase's row is repeated, as the lines
# of a shop's log are, Precision@5 is 2/5, 3/5 ... and 6/5 with six rows; NDCG@5 grows alike and passes 1. Recall, MAP and MRR
# stay at 1. Dropping repeated (user, item) pairs of the test frame first gives the usual figures. NDCG divides by five relevant
# places unless divide_by_achievable=True, so that even this perfect list has .339 with one row.
#
# Seen: "rows 1: Precision 0.2, NDCG 0.339; rows 6: Precision 1.2, NDCG 2.035". Installs pinned packages into a temporary folder;
# needs Python 3.11 and network. Exit 0 while RecTools behaves so, 1 when it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check RecTools==0.19.0 pandas==2.3.3 numpy==1.26.4
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version

import pandas as pd
from rectools.metrics import MAP, MRR, NDCG, Precision, Recall

answer = pd.DataFrame({"user_id": [1] * 5, "item_id": [1, 2, 3, 4, 5], "rank": [1, 2, 3, 4, 5]})


def figures(rows):
    bought = pd.DataFrame({"user_id": [1] * rows, "item_id": [1] * rows})
    return {m.__name__: round(float(m(k=5).calc(answer, bought)), 3) for m in (Precision, NDCG, Recall, MAP, MRR)}


one, six = figures(1), figures(6)
print(f"RecTools {version('RecTools')}: rows 1: Precision {one['Precision']}, NDCG {one['NDCG']}; "
      f"rows 6: Precision {six['Precision']}, NDCG {six['NDCG']}")
print("one row", one, "six rows", six)
sys.exit(0 if one["Precision"] == 0.2 and six["Precision"] == 1.2 and six["NDCG"] > 1 and six["Recall"] == 1 else 1)
PYTHON
