#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ranx 0.3.21: one query without a relevant item makes bpref 0 for the queries after it, without a word.
#
# bpref divides by the number of relevant items inside a parallel loop of Numba. For a query whose judged items are all not
# relevant that is a division by zero; the loop ends there, and the queries that came after it keep the zeros they began with. No
# error is raised; ndcg, map, recall and the others are right on the same input. A second thing: a query with no item judged
# "not relevant" (what a shop's log gives) is nan, and so is then the mean, where trec_eval's definition says 1 for each relevant item found.
#
# Seen: "alone 1.0; after a query without a relevant item 0.0, 0.0, 0.0; none judged not relevant: ranx nan, trec_eval 1.0".
# Installs pinned packages into a temporary folder; needs Python 3.11 and network. Exit 0 while ranx behaves so, 1 when it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ranx==0.3.21 numba==0.68.1 numpy==2.4.6 pytrec_eval-terrier==0.5.11
cd "$folder"
NUMBA_CACHE_DIR="$folder/cache" NUMBA_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import numpy as np
import pytrec_eval
import ranx

found = ({"lamp": 1, "rug": 0}, {"lamp": 2.0, "rug": 1.0})  # the relevant item stands above the other: 1
nothing = ({"vase": 0}, {"vase": 1.0})
only_liked = ({"lamp": 1}, {"lamp": 2.0, "rug": 1.0})


def each(queries, measure="bpref"):
    judged = ranx.Qrels({f"q{n}": judgements for n, (judgements, _) in enumerate(queries)})
    run = ranx.Run({f"q{n}": scores for n, (_, scores) in enumerate(queries)})
    return ranx.evaluate(judged, run, measure, return_mean=False)


alone, beside = each([found]), each([nothing, found, found, found])
ndcg = each([nothing, found, found, found], "ndcg")
unjudged = each([only_liked])[0]
reference = pytrec_eval.RelevanceEvaluator({"q": only_liked[0]}, {"bpref"}).evaluate({"q": only_liked[1]})["q"]["bpref"]
print(f"alone {alone[0]}; after a query without a relevant item {', '.join(map(str, beside[1:]))}; "
      f"none judged not relevant: ranx {unjudged}, trec_eval {reference}")
as_seen = alone[0] == 1 and not beside[1:].any() and (ndcg[1:] == 1).all() and np.isnan(unjudged) and reference == 1
sys.exit(0 if as_seen else 1)
PYTHON
