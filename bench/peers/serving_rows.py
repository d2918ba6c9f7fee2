# SPDX-License-Identifier: Apache-2.0
"""Rows of run.py on serving and measuring: folding one shopper in, evaluation, opening a model.

Each side has a task of the same name in workers/serving_tasks.py of its own environment; a row's seconds are of the work named.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp


def fold_in(b, factors: int = 128, seen: int = 20) -> None:
    """One shopper of 20 events, folded in and given the best 10 of the catalogue: p50 and p99 of 300 such requests (100 of the
    larger catalogue). Ours reads float32 rows, then an exact index (another dim + 16 bytes an item), then lists that find at
    least 0.95 of them."""
    import etalage

    rng = np.random.default_rng(3)
    for items in sorted({41_000, b.args.catalogue}):
        requests = 300 if items < 100_000 else 100
        store = etalage.datasets.synthetic_store(users=items, items=items, events=10 * items)
        rows = store.log.interactions(duplicates="binary").user_items
        many = np.flatnonzero(np.diff(rows.indptr) >= seen)[:requests]
        histories = np.stack([rows.indices[rows.indptr[u] : rows.indptr[u] + seen] for u in many])
        theirs = {"task": "fold_in", "histories": b.save(f"histories_{items}.npy", histories.astype(np.int32)),
                  "items": b.save(f"items_{items}.npy", (rng.standard_normal((items, factors)) / factors**0.5).astype(np.float32))}
        mine = theirs | {"train": b.save(f"store_{items}.npz", rows)}
        for label, index in (("", {}), (", exact index", {"index": "exact"}), (", ivf", {"index": "ivf"})):
            for peer, name in (("implicit", "implicit recalculate_user"), ("irspack", "irspack cold user")):
                b.compare(f"fold in + top 10, {items:,} items{label}", name, peer, mine | index, theirs, {"p99": ", p99"})


def evaluate(b, train: sp.csr_matrix, test: sp.csr_matrix) -> None:
    """Five metrics of everybody: ranking included, then on given lists."""
    work = {"task": "rank_and_measure", "train": b.save("train.npz", train), "test": b.save("test.npz", test), "k": 20}
    for peer, name in (("irspack", "irspack Evaluator"), ("implicit", "implicit ranking_metrics")):
        b.compare("rank all users, 5 metrics, Gowalla, 64 factors", name, peer, work, work)
    rng = np.random.default_rng(4)
    lists = b.save("lists.npy", np.stack([rng.permutation(train.shape[1])[:20] for _ in range(train.shape[0])]).astype(np.int32))
    work = {"task": "measure_lists", "lists": lists, "test": work["test"], "k": 20}
    b.compare("5 metrics of 30 thousand given lists", "ranx", "ranx", work, work)


def open_model(b) -> None:
    """A model of 512 MB of factors: from a file to the first answer."""
    work = {"task": "open_model", "users": 900_000, "items": 100_000, "factors": 128, "folder": str(b.scratch)}
    b.compare("open 512 MB, first answer, checksums verified", "implicit load", "implicit", work | {"verify": "full"}, work)
    b.compare("open 512 MB, first answer, header verified", "implicit load", "implicit", work | {"verify": "header"}, work)
