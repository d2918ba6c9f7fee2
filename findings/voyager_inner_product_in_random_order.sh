#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# voyager 2.2.3: the inner product space finds a fifth of the best where hnswlib finds nine tenths, unless rows come sorted by norm.
#
# Space.InnerProduct brings rows of different norms to equal norm by one dimension more and searches there. Where norms spread as
# those of learned factors do (here a lognormal law; popular items are long), that dimension dominates: rows in random order give a
# graph that finds little at the usual query_ef. The same rows in order of their norm, either way, give nearly all, and so does
# hnswlib's plain inner product in random order with the same M, ef_construction and ef. Nothing says that the order matters.
# With query_ef of all rows everything is found: the scores are right, the graph is not.
#
# Seen: "ef 10: random order 0.19, rising norm 0.98, hnswlib 0.94; ef 100: 0.58, 1.00, 1.00". Installs pinned packages into a
# temporary folder; needs Python 3.11, a C++ compiler and network. Exit 0 while voyager behaves so, 1 when it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check voyager==2.2.3 hnswlib==0.8.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import hnswlib
import numpy as np
import voyager

rng = np.random.default_rng(0)
count, dim, k = 5000, 16, 10
rows = rng.standard_normal((count, dim)).astype(np.float32)
norms = np.exp(rng.standard_normal(count)).astype(np.float32)
rows *= (norms / np.linalg.norm(rows, axis=1))[:, None]
queries = rng.standard_normal((200, dim)).astype(np.float32)
best = np.argsort(-(queries @ rows.T), axis=1)[:, :k]


def recall(ids, order):
    return np.mean([len(set(order[row]) & set(truth)) for row, truth in zip(ids.astype(int), best)]) / k


def by_voyager(order):
    index = voyager.Index(voyager.Space.InnerProduct, num_dimensions=dim, M=32, ef_construction=400, random_seed=1)
    index.add_items(rows[order], num_threads=1)
    return [recall(index.query(queries, k=k, num_threads=1, query_ef=ef)[0], order) for ef in (10, 100, count)]


def by_hnswlib(order):
    index = hnswlib.Index("ip", dim)
    index.init_index(count, M=32, ef_construction=400, random_seed=1)
    index.add_items(rows[order], num_threads=1)
    found = []
    for ef in (10, 100):
        index.set_ef(ef)
        found.append(recall(index.knn_query(queries, k, num_threads=1)[0], order))
    return found


random_order, rising = np.arange(count), np.argsort(norms)
shuffled, sorted_, other = by_voyager(random_order), by_voyager(rising), by_hnswlib(random_order)
print(f"ef 10: random order {shuffled[0]:.2f}, rising norm {sorted_[0]:.2f}, hnswlib {other[0]:.2f}; "
      f"ef 100: {shuffled[1]:.2f}, {sorted_[1]:.2f}, {other[1]:.2f}")
sys.exit(0 if shuffled[0] < 0.5 and shuffled[1] < 0.8 and min(sorted_[0], other[0]) > 0.85 and shuffled[2] > 0.99 else 1)
PYTHON
