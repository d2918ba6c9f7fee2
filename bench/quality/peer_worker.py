# SPDX-License-Identifier: Apache-2.0
"""Fits one model of a peer and writes its lists; runs in the peer's own environment (see peers.py)."""

import sys
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "peers"))
from protocol import serve, task  # noqa: E402


def implicit_scores(model, rows, params):
    import implicit.nearest_neighbours as nn
    from implicit.cpu.als import AlternatingLeastSquares

    if model == "als":
        alpha = params.pop("alpha")
        made = AlternatingLeastSquares(use_cg=True, calculate_training_loss=False, random_state=42, alpha=alpha, **params)
    else:
        made = {"cosine": nn.CosineRecommender, "tfidf": nn.TFIDFRecommender, "bm25": nn.BM25Recommender}[model](**params)
    made.fit(rows, show_progress=False)
    if model == "als":
        users, items = np.asarray(made.user_factors), np.asarray(made.item_factors)
        return lambda b, e: users[b:e] @ items.T
    similarity = made.similarity.tocsr()
    return lambda b, e: (rows[b:e] @ similarity).toarray()


def irspack_scores(model, rows, params):
    import irspack

    names = {"als": "IALSRecommender", "p3alpha": "P3alphaRecommender", "rp3beta": "RP3betaRecommender", "ease": "DenseSLIMRecommender",
             "slim": "SLIMRecommender", "cosine": "CosineKNNRecommender", "asymmetric": "AsymmetricCosineKNNRecommender"}
    made = getattr(irspack, names[model])(rows.astype(np.float64), **params).learn()
    return lambda b, e: np.asarray(made.get_score_block(b, e))


def rectools_scores(model, rows, params):
    """RecTools takes frames; its models keep what is needed to score a block of users."""
    import pandas as pd
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import EASEModel, PureSVDModel

    coo = rows.tocoo()
    frame = pd.DataFrame({Columns.User: coo.row, Columns.Item: coo.col, Columns.Weight: coo.data, Columns.Datetime: "2020-01-01"})
    # Ids in order of first sight would permute users and items: rows are sorted, so users are; items are mapped back.
    data = Dataset.construct(frame)
    made = {"ease": EASEModel, "puresvd": PureSVDModel}[model](**params).fit(data)
    internal_items = np.asarray(data.item_id_map.external_ids)
    matrix = data.get_user_item_matrix(include_weights=True).tocsr().astype(np.float32)
    internal_users = np.full(rows.shape[0], -1)
    internal_users[np.asarray(data.user_id_map.external_ids)] = np.arange(len(data.user_id_map.external_ids))

    def scores(b, e):
        out = np.full((e - b, rows.shape[1]), -np.inf, np.float32)
        known = internal_users[b:e]
        inside = known[known >= 0]
        if model == "ease":
            block = matrix[inside] @ made.weight
        else:
            block = np.asarray(made.user_factors)[inside] @ np.asarray(made.item_factors).T
        out[np.ix_(np.flatnonzero(known >= 0), internal_items)] = np.asarray(block)
        return out

    return scores


@task
def lists(peer, model, train, params, transform, users, k, masked, out, threads):
    rows = sp.load_npz(train).tocsr()
    if transform == "binary":
        rows.data[:] = 1
    elif transform == "log":
        rows.data = np.log1p(rows.data)
    seen, wanted = rows.copy(), np.load(users)

    def work():
        started = time.perf_counter()
        scores = {"implicit": implicit_scores, "irspack": irspack_scores, "rectools": rectools_scores}[peer](model, rows, dict(params))
        fit = time.perf_counter() - started
        found = np.full((len(wanted), k), -1, np.int32)
        for b in range(0, rows.shape[0], 512):
            e = min(b + 512, rows.shape[0])
            at = np.flatnonzero((wanted >= b) & (wanted < e))
            if not len(at):
                continue
            block = np.array(scores(b, e), np.float32)[wanted[at] - b]
            if masked:
                block[seen[wanted[at]].nonzero()] = -np.inf
            best = np.argsort(-block, axis=1, kind="stable")[:, :k]
            found[at] = np.where(np.take_along_axis(block, best, 1) > -np.inf, best, -1)
        np.save(out, found)
        return {"seconds": fit}

    return work


if __name__ == "__main__":
    serve()
