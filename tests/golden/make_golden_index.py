# SPDX-License-Identifier: Apache-2.0
"""Writes ItemIndex-<name>.etalage and .txt with an installed etalage: python make_golden_index.py DIRECTORY. A file
that is there is not written again: after a release it stands for what earlier libraries wrote."""

import sys
from pathlib import Path

import numpy as np

import etalage

directory = Path(sys.argv[1])
rng = np.random.default_rng(5)
vectors = rng.standard_normal((300, 12)).astype(np.float32)
queries = rng.standard_normal((8, 12)).astype(np.float32)
OPTIONS = {"exact": {}, "hnsw": {"M": 4, "deterministic": True}, "ivf_pq": {"nlist": 4, "pq_bits": 4, "nprobe": 4},
           "ivf": {"nlist": 6, "nprobe": 2}, "ivf_cosine": {"nlist": 6, "nprobe": 2, "metric": "cosine"}}
# The files of "ivf" hold whole rows, as "ivf_split" those that are split between records and the rest.
OPTIONS["ivf_split"] = OPTIONS["ivf"]
for name, options in OPTIONS.items():
    path = directory / f"ItemIndex-{name}.etalage"
    if path.exists():
        continue
    index = etalage.retrieval.ItemIndex(12, **{"metric": "dot", "kind": name.removesuffix("_cosine").removesuffix("_split"), "num_threads": 1, **options})
    ids = np.arange(300, dtype=np.int64) * 7
    index.add(vectors[:260], ids[:260])
    index.add(vectors[260:], ids[260:])  # appended to lists
    index.remove(np.arange(10, dtype=np.int64) * 7)
    index.save(path)
    ids, scores = index.search(queries, 5)
    with open(path.with_suffix(".txt"), "w") as out:
        for query, row, score in zip(queries, ids, scores):
            numbers = [f"{x:.9g}" for x in query] + [f"{i} {s:.9g}" for i, s in zip(row, score)]
            out.write(" ".join(numbers) + "\n")
