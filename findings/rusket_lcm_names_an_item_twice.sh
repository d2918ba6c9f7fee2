#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# rusket 0.1.101: mining with method="lcm" lists item sets that hold the same item twice.
#
# method="lcm" mines closed sets, so one basket {a, b} has one: {a, b}. It answers two, {a, b} and {a, b, b}, both with
# support 1. The other miners (fpgrowth, eclat, fin, negfin) are right here. No closed set is missing, so the answer is right
# again once rows with a repeated item are dropped; counted as it stands, it has too many sets, and rules made from it repeat.
# Over 200 random tables of 3 to 7 items (seed 5), some answer of 26 tables holds such a row.
#
# Seen: "one basket: [['a', 'b'], ['a', 'b', 'b']]; 26 of 200 tables repeat an item". Installs pinned packages into a temporary
# folder; needs Python 3.11 and network. Exit 0 while rusket behaves so, 1 when it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check rusket==0.1.101 pyarrow==26.0.1 pandas==3.1.1 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import pandas as pd
import rusket


def sets(table, count):
    frame = pd.DataFrame(table, columns=list("abcdefg")[: table.shape[1]])
    return [list(s) for s in rusket.mine(frame, min_support=count / len(table), method="lcm")["itemsets"]]


one = sets(np.array([[True, True]]), 1)
rng = np.random.default_rng(5)
repeats = 0
for _ in range(200):
    baskets, items = int(rng.integers(4, 40)), int(rng.integers(3, 8))
    table = rng.random((baskets, items)) < rng.uniform(0.3, 0.8)
    found = sets(table, int(rng.integers(1, baskets // 2 + 1)))
    repeats += any(len(set(s)) < len(s) for s in found)
print(f"rusket {version('rusket')}: one basket: {one}; {repeats} of 200 tables repeat an item")
sys.exit(0 if sorted(one) == [["a", "b"], ["a", "b", "b"]] and repeats == 26 else 1)
PYTHON
