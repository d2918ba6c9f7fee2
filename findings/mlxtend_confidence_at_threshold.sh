#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# mlxtend 0.25.0: a rule whose confidence is exactly the threshold can be left out.
#
# Twelve baskets: bread is in five, butter in four of these. bread -> butter has confidence 4/5. association_rules with
# min_threshold=0.8 leaves it out, because it divides the quotients 4/12 and 5/12, which gives 0.7999999999999999. With ten
# baskets, and the same five and four, it is there: whether a rule is found depends on how many baskets hold neither item.
# On the groceries data of R's arules (support .001, confidence .8) 406 of the 410 rules are left.
#
# Seen: "12 baskets: 0 rules, 10 baskets: 1 rule". Installs pinned packages into a temporary folder; needs Python 3.11 and
# network. Exit 0 while mlxtend behaves so, 1 when it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mlxtend==0.25.0 pandas==3.1.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import mlxtend
import pandas as pd
from mlxtend.frequent_patterns import association_rules, fpgrowth


def rules_from_bread(baskets):
    rows = [(True, True)] * 4 + [(True, False)] + [(False, False)] * (baskets - 5)
    frame = pd.DataFrame(rows, columns=["bread", "butter"])
    sets = fpgrowth(frame, min_support=1 / baskets, use_colnames=True)
    rules = association_rules(sets, metric="confidence", min_threshold=0.8)
    return sum(rules["antecedents"] == frozenset({"bread"}))


twelve, ten = rules_from_bread(12), rules_from_bread(10)
print(f"mlxtend {mlxtend.__version__}: 12 baskets: {twelve} rules, 10 baskets: {ten} rule")
sys.exit(0 if (twelve, ten) == (0, 1) else 1)
PYTHON
