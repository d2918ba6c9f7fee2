# SPDX-License-Identifier: Apache-2.0
"""What a learned ranker learns from lists: the native linear ranker, and LightGBM's trees on what it leaves, or instead of it."""

from __future__ import annotations

import importlib.util

import numpy as np

from .. import _core

METHODS = ("auto", "lambdarank", "linear")
_LARGEST_SEED = 2**31 - 1


def learn(lists, names, ranker, k):
    """(linear, trees or None, [(linear, trees or None) of each bootstrap resample], what to report) from the lists that the compiled ranker made."""
    if len(lists["queries"]) == 0:
        raise ValueError("the sources propose nothing of what was taken afterwards: there is no list to learn from, must be at least one; "
                         "give more data, a larger share, or more candidates")
    method = ranker.method
    if method == "auto":
        method = "lambdarank" if importlib.util.find_spec("lightgbm") is not None else "linear"
    rows, offsets, gains = lists["rows"], lists["offsets"], lists["gains"]
    weights = lists.get("weights")
    options = {"l2": ranker.l2, "num_threads": ranker.num_threads}
    linear = _core.LinearRanker.fit(rows, offsets, gains, weights, **options)
    said = {"method": method, "lists": int(len(lists["queries"])), "asked": int(lists["asked"]), "rows": int(len(rows)), "trees": 0}
    if method == "linear":
        return linear, None, _bag(lists, None, ranker, k, options), said
    try:
        import lightgbm
    except ImportError:
        raise ImportError("method='lambdarank' needs lightgbm to learn (pip install 'etalage[ranking]'); method='linear' does not") from None
    taught = np.add.reduceat(gains, offsets[:-1]) > 0 if len(offsets) > 1 else np.zeros(0, bool)
    folds = min(ranker.folds, int(taught.sum()))
    if folds < 2:
        return linear, None, _bag(lists, None, ranker, k, options), said
    fold = np.random.default_rng(ranker.seed).permutation(len(taught)) % folds
    curves = {start: np.zeros(ranker.num_trees + 1) for start in _STARTS}
    for f in range(folds):
        inside, outside = _part(lists, fold != f), _part(lists, fold == f)
        if not inside["gains"].any():
            continue
        own = _core.LinearRanker.fit(inside["rows"], inside["offsets"], inside["gains"], inside["weights"], **options)
        curves["linear"][0] += ndcg(own.predict(outside["rows"]), outside, k)
        for start, curve in curves.items():
            base = own if start == "linear" else None
            grown = _grow(lightgbm, inside, base, ranker, k, ranker.num_trees)
            for t, score in _staged(grown, outside["rows"], base, ranker.num_trees):
                curve[t] += ndcg(score, outside, k)
    for curve in curves.values():
        curve /= folds
    start = max(_STARTS, key=lambda s: curves[s].max())  # the linear ranker's where both are as good
    best = int(np.argmax(curves[start]))  # only every _STEP-th was looked at, the others stand at 0
    said.update(trees=best, ndcg_linear=float(curves["linear"][0]), ndcg_trees=float(curves[start][best]), start=start, k=int(k))
    if best == 0:
        return linear, None, _bag(lists, None, ranker, k, options), said
    linear = linear if start == "linear" else None
    grown = _grow(lightgbm, {**lists, "weights": weights}, linear, ranker, k, best)
    text = grown.model_to_string()
    gain = grown.feature_importance("gain")
    said["gain"] = {names[i]: float(gain[i]) for i in np.argsort(-gain)[:10] if gain[i] > 0}
    return linear, _core.TreeEnsemble.from_bytes(text.encode()), _bag(lists, lightgbm, ranker, k, options, best, start), said


def _bag(lists, lightgbm, ranker, k, options, trees=0, start="linear"):
    """What is learned as the ranker was, with as many trees on the same start, from each resample: lists count Poisson(1) times, those of a shopper together."""
    groups, own = lists.get("groups"), lists.get("weights")
    groups = np.arange(len(lists["queries"])) if groups is None else np.asarray(groups)
    taught = np.add.reduceat(lists["gains"], lists["offsets"][:-1]) > 0
    bag = []
    for m in range(ranker.bootstraps):
        counts = _core.bootstrap_weights(groups, taught.astype(np.uint8), ranker.seed, m)
        resample = {**lists, "weights": counts if own is None else counts * np.asarray(own, np.float32)}
        linear, grown = None, None
        if start == "linear":
            linear = _core.LinearRanker.fit(lists["rows"], lists["offsets"], lists["gains"], resample["weights"], **options)
        if trees:
            drawn = _part(resample, counts > 0)
            grown = _core.TreeEnsemble.from_bytes(_grow(lightgbm, drawn, linear, ranker, k, trees).model_to_string().encode())
        bag.append((linear, grown))
    return bag


_STEP = 10
_STARTS = ("linear", "nothing")  # what trees are grown on


def _grow(lightgbm, lists, linear, ranker, k, trees):
    parameters = {
        "objective": "lambdarank", "lambdarank_truncation_level": k + 10, "label_gain": [0, 1], "learning_rate": ranker.learning_rate,
        "num_leaves": ranker.num_leaves, "min_data_in_leaf": ranker.min_rows_in_leaf, "feature_fraction": 0.7, "bagging_fraction": 0.8,
        "bagging_freq": 1, "lambda_l2": 1.0, "seed": ranker.seed % _LARGEST_SEED, "deterministic": True, "force_row_wise": True,
        "num_threads": ranker.num_threads, "verbosity": -1,
    }
    labels, weight = (lists["gains"] > 0).astype(np.int32), None
    if lists.get("weights") is not None or (lists["gains"][labels > 0] != 1).any():
        each = np.ones(len(lists["offsets"]) - 1) if lists.get("weights") is None else np.asarray(lists["weights"], float)
        weight = np.where(labels > 0, lists["gains"], 1.0) * np.repeat(each, np.diff(lists["offsets"]))
    start = None if linear is None else linear.predict(lists["rows"])
    data = lightgbm.Dataset(lists["rows"], labels, weight=weight, group=np.diff(lists["offsets"]), init_score=start)
    return lightgbm.train(parameters, data, trees)


def _staged(grown, rows, linear, trees):
    """(number of trees, scores) after every _STEP trees."""
    score = np.zeros(len(rows)) if linear is None else linear.predict(rows)
    for t in range(_STEP, trees + 1, _STEP):
        score += grown.predict(rows, raw_score=True, start_iteration=t - _STEP, num_iteration=_STEP)
        yield t, score


def _part(lists, keep):
    """Some of the lists."""
    offsets = lists["offsets"]
    rows = np.repeat(keep, np.diff(offsets))
    weights = lists.get("weights")
    return {"rows": lists["rows"][rows], "gains": lists["gains"][rows], "offsets": np.concatenate([[0], np.cumsum(np.diff(offsets)[keep])]).astype(np.int64),
            "relevant": np.asarray(lists["relevant"])[keep], "weights": None if weights is None else weights[keep]}


def ndcg(scores, lists, k):
    """Mean NDCG@k over lists, ideal over what was held out, candidates or not; ties by the order of the rows."""
    offsets, gains = lists["offsets"], lists["gains"]
    sizes = np.diff(offsets)
    group = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((np.arange(len(scores)), -scores, group))
    place = np.arange(len(scores)) - np.repeat(offsets[:-1], sizes)
    discounts = np.where(place < k, 1 / np.log2(place + 2), 0)
    reached = np.bincount(group, (gains[order] > 0) * discounts, minlength=len(sizes))
    ideal = np.cumsum(1 / np.log2(np.arange(2, k + 2)))[np.minimum(lists["relevant"], k) - 1]
    return float(np.mean(reached / ideal)) if len(sizes) else 0.0
