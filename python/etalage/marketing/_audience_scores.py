# SPDX-License-Identifier: Apache-2.0
"""Scores of shoppers for given products or vectors, in blocks, and the best k of them."""

from __future__ import annotations

import numpy as np

from .. import _core
from .._arrays import asarray

BLOCK = 1 << 16  # shoppers scored at a time


def combined(block, combine):
    """[shoppers, products] to [shoppers]."""
    return block.max(axis=1) if combine == "max" else block.mean(axis=1, dtype=np.float32)


def factor_scores(factors, vectors, combine):
    """(float32 [users], bound of its error beside any other order of the sums): factors @ vectors.T, one pass in blocks.

    factors may be a memory map: a block of it is read at a time.
    """
    if len(vectors) == 1 and factors.dtype == np.float32 and factors.flags.c_contiguous and vectors.shape[1]:
        out, longest = _core.audience_products(factors, vectors[0])
        return out, _error_bound(out, vectors, longest)
    out = np.empty(len(factors), np.float32)
    longest = 0.0
    # Blocks that stay in the cache between the product and the norm.
    step = max(64, (1 << 17) // max(1, vectors.shape[1]))
    with np.errstate(over="ignore", invalid="ignore"):
        for begin in range(0, len(factors), step):
            part = factors[begin:begin + step]
            out[begin:begin + step] = part @ vectors[0] if len(vectors) == 1 else combined(part @ vectors.T, combine)
            longest = max(longest, float(np.vdot(part, part)))
    return out, _error_bound(out, vectors, longest)


def _error_bound(out, vectors, longest):
    """How far products may be from those of another order of the sums; longest: a square of no row's length is above it."""
    # |fl(u.v) - u.v| <= gamma_d |u|.|v| (Higham, Accuracy and Stability of Numerical Algorithms, 3.5) for both of the sums that are
    # compared. The norm of a block is at least that of any row in it; the 1.01 covers its own rounding.
    terms = vectors.shape[1] + len(vectors)
    length = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1).max(initial=0.0))
    bound = 2.0 * terms * 2.0**-23 * 1.01 * np.sqrt(longest) * float(length)
    if not np.isfinite(bound) or not np.isfinite(out).all():
        raise ValueError("the factors times the vector exceed float32, must be smaller")
    return bound


def model_scores(model, users, items, combine):
    """float32 [len(users)] of model.score(), in blocks."""
    out = np.empty(len(users), np.float32)
    step = max(1, BLOCK // max(1, len(items)))
    for begin in range(0, len(users), step):
        out[begin:begin + step] = combined(model.score(users[begin:begin + step], None, items), combine)
    return out


def dot_factors(model):
    """(user_factors, item_factors) of a model whose score is their dot product, or None."""
    if not isinstance(getattr(model, "_model", None), _core.FactorModel) or getattr(model, "metric", "dot") != "dot":
        return None
    return model.user_factors, model.item_factors


def best(scores, k):
    """(places, scores) of the k highest scores, best first; ties by lower place."""
    places = np.arange(len(scores))
    if k < len(scores):
        limit = _limit(scores, k)
        chosen = scores > limit
        chosen[np.flatnonzero(scores == limit)[: k - int(chosen.sum())]] = True
        places = np.flatnonzero(chosen)
    order = np.argsort(-scores[places], kind="stable")
    return places[order], scores[places[order]]


def _limit(scores, k):
    """The k-th highest score."""
    if not k:
        return np.inf
    if len(scores) >= 1 << 16 and k <= len(scores) // 16:
        # A 64th of the scores says below what the limit hardly lies; where it does, all are looked at.
        sample = scores[::64]
        expected = k / 64
        low = _limit(sample, min(len(sample), int(expected + 4 * np.sqrt(expected)) + 8))
        above = scores[scores >= low]
        scores = above if len(above) >= k else scores
    return np.partition(scores, len(scores) - k)[len(scores) - k]


def _best_near(fast, bound, exact, k):
    """best() of exact(places), asked only at places that can be among the k where fast is within bound of it."""
    near = np.flatnonzero(fast >= _limit(fast, k) - 2 * bound)
    places, scores = best(exact(near), k)
    return near[places], scores


def best_by_model(model, rows, items, combine, k):
    """best() by model.score() of the users in rows, bit for bit; models of factors are scored once by a matrix product, and
    those near the limit again by the model."""
    def exact(places):
        return model_scores(model, rows[places], items, combine)

    pair = dot_factors(model)
    if pair is None or k >= len(rows):
        return best(exact(np.arange(len(rows))), k)
    fast, bound = factor_scores(pair[0], np.ascontiguousarray(pair[1][items]), combine)
    if not np.array_equal(rows, np.arange(len(fast))):
        fast = fast[rows]
    # Who has no factors gets the model's cold-start answer, which the product does not know.
    cold = np.flatnonzero(fast == 0)
    fast[cold] = exact(cold)
    return _best_near(fast, bound, exact, k)


def best_by_vector(factors, rows, vector, k):
    """best() by factors[rows] @ vector, summed in one order whatever the number of threads."""
    fast, bound = factor_scores(factors, vector[None, :], "max")
    return _best_near(fast[rows], bound, lambda places: np.einsum("ij,j->i", factors[rows[places]], vector), k)


def lookalike_scores(model, seeds, by):
    """float32 [users]: the mean cosine between a shopper and the seeds, of factors or of rows weighted by rarity."""
    if by == "factors":
        factors = model.user_factors
        centre = lookalike_centre(factors, seeds)
        out = np.empty(len(factors), np.float32)
        for begin in range(0, len(factors), BLOCK):
            out[begin:begin + BLOCK] = cosines(factors[begin:begin + BLOCK], centre)
        return out
    rows = model.user_items if hasattr(model, "user_items") else model
    rows = rows.astype(np.float64)
    rows.data = (rows.data > 0).astype(np.float64)
    held = np.bincount(rows.indices, weights=rows.data, minlength=rows.shape[1])
    rarity = np.log((rows.shape[0] + 1) / (held + 1))
    rows.data *= rarity[rows.indices]
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    length[length == 0] = np.inf
    centre = np.asarray(rows[seeds].T @ (1.0 / length[seeds])) / len(seeds)
    return ((rows @ centre) / length).astype(np.float32)


def _lengths(factors):
    length = np.sqrt(np.einsum("ij,ij->i", factors, factors, dtype=np.float64))
    length[length == 0] = np.inf
    return length


def lookalike_centre(factors, seeds):
    """float64 [factors]: the mean direction of the seeds' rows."""
    return (factors[seeds] / _lengths(factors[seeds])[:, None]).mean(axis=0)


def cosines(rows, centre):
    """float32 [rows]: their products with a mean direction, over their lengths."""
    return (np.einsum("ij,j->i", rows, centre) / _lengths(rows)).astype(np.float32)


def checked_scores(scores):
    """float32 or float64 [users] without NaN and +inf; -inf is somebody who must not be in."""
    out = asarray(scores, "scores")
    if out.ndim != 1 or out.dtype.kind not in "fiu":
        raise ValueError(f"scores has shape {out.shape} and dtype {out.dtype}, must be numbers of shape [users]")
    if out.dtype.kind == "f":
        bad = np.flatnonzero(np.isnan(out) | (out == np.inf))
        if len(bad):
            raise ValueError(f"scores[{bad[0]}] is {out[bad[0]]}, must be finite, or -inf for nobody to choose")
    return out if out.dtype in (np.float32, np.float64) else out.astype(np.float64)
