# SPDX-License-Identifier: Apache-2.0
"""What goes together: frequent sets and rules with exact counts, complements and substitutes, bundles.

    bought = log.filtered(log.events == log.event_names.index("purchase"))
    sets = baskets.frequent_sets(bought.sequences(by="session"), min_support=0.001)        # a frame: items, length, count, support
    r = baskets.rules(sets, min_confidence=0.8)                    # a frame: antecedent, consequent, count, confidence, lift, q_value, ...
    pairs = baskets.relations(log)                                 # complements and substitutes from one log
    baskets.bundles(sets, price, cost, stock, max_price=50)        # what to sell as one

Frames are those of pandas. docs/marketing/bundles.md says what the columns mean and when they mislead.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import _arrays, _core
from .._arrays import real_number, whole_number

__all__ = ["bundles", "frequent_sets", "relations", "rules"]


def frequent_sets(baskets: object, min_support: float, max_length: int | None = None, max_sets: int = 20_000_000, num_threads: int = 0):
    """Every set of items that enough baskets hold, with its exact count: a pandas frame with items (a tuple), length, count
    (int64) and support (count / baskets); shorter sets first, then larger counts.

    baskets: lists of labels (any that hash), or a CSR [baskets, items] whose entries other than 0 are the items, labelled by
    column; etalage.Interactions has one row a basket and labels of its own, and etalage.Sequences one list a basket and the log's
    keys (log.sequences(by="session"); filter the log to its purchases before). An item that is twice in a basket counts once; an
    empty basket is a basket. min_support: a float is a share of all baskets, in (0, 1], read as its shortest decimal (.1 is one
    in ten); an int is a number of baskets. max_sets bounds the answer: more is a ValueError.
    max_length: items of a set at most, None for any number.
    """
    offsets, items, labels = _read(baskets)
    share, count = None, 1
    if isinstance(min_support, (bool, np.bool_)) or not isinstance(min_support, numbers.Real):
        raise TypeError(f"min_support is {min_support!r}, must be a share (float) or a number of baskets (int)")
    if isinstance(min_support, numbers.Integral):
        count = int(min_support)
        if count < 1:
            raise ValueError(f"min_support is {count}, must be in (0, 1] or a whole number of baskets >= 1")
    else:
        share = _decimal(min_support)
        if not 0 < share <= 1:
            raise ValueError(f"min_support is {min_support}, must be in (0, 1] or a whole number of baskets >= 1")
    if max_length is not None and whole_number(max_length, "max_length") < 1:
        raise ValueError(f"max_length is {max_length}, must be >= 1, or None for any")
    found = _core.frequent_sets(offsets, items, share, whole_number(count, "min_support", bits=64), max_length or 0,
                                whole_number(max_sets, "max_sets", bits=63, signed=False), whole_number(num_threads, "num_threads"))
    begins = found["offsets"].tolist()
    flat = found["items"].tolist() if labels is None else [labels[i] for i in found["items"].tolist()]
    counts = found["counts"]
    frame = _pandas().DataFrame({
        "items": _tuples([tuple(flat[b:e]) for b, e in zip(begins, begins[1:])]), "length": np.diff(found["offsets"]), "count": counts,
        "support": counts / max(found["baskets"], 1)})
    frame.attrs["baskets"] = found["baskets"]
    return frame


def rules(sets, min_confidence: float, max_consequent: int = 1, baskets: int | None = None, num_threads: int = 0):
    """Rules antecedent -> consequent among frequent_sets' result: a pandas frame, by consequent's lift, largest first.

    count is that of baskets with both sides; confidence = count / antecedent_count is compared with min_confidence by whole
    numbers, min_confidence being its shortest decimal. lift = confidence / (consequent_count / baskets); leverage, conviction
    (infinite at confidence 1) and zhang as mlxtend defines them; reverse_confidence = count / consequent_count says which way the rule
    is strong. log_likelihood_ratio is Dunning's, negative below chance. p_value is Fisher's exact test of more baskets together than by chance; q_value corrects it by Benjamini and Hochberg
    for every rule that the sets hold, those below min_confidence too. max_consequent: items on the right.

    sets may be filtered as long as each set's parts stay (ValueError names one that is missing); their number of baskets is in
    sets.attrs["baskets"], or given as baskets.
    """
    pandas = _pandas()
    if baskets is None:
        baskets = getattr(sets, "attrs", {}).get("baskets")
        if baskets is None:
            raise ValueError("baskets is None and sets has no attrs['baskets'], must be the number of baskets that the sets were counted in")
    baskets = whole_number(baskets, "baskets", low=0, bits=64)
    labels: dict[Any, int] = {}
    encoded = [sorted([labels.setdefault(i, len(labels)) for i in s]) for s in sets["items"]]
    offsets = np.concatenate([[0], np.cumsum([len(s) for s in encoded], dtype=np.int64)]).astype(np.int64)
    counts = np.asarray(sets["count"], dtype=np.int64)
    if len(counts) and (counts.min() < 1 or counts.max() > baskets):
        raise ValueError(f"count holds {counts.min() if counts.min() < 1 else counts.max()}, must be in [1, {baskets}], the number of baskets")
    try:
        found = _core.association_rules(offsets, np.array([i for s in encoded for i in s], dtype=np.int32), counts, baskets,
                                        _confidence(min_confidence),
                                        whole_number(max_consequent, "max_consequent"), whole_number(num_threads, "num_threads"))
    except ValueError as e:
        raise _with_labels(e, list(labels)) from None
    own = list(sets["items"])
    n = float(baskets)
    both, a, b = (counts[found[name]].astype(np.float64) for name in ("set", "antecedent", "consequent"))
    confidence, support, expected = both / a, both / n, a * b / (n * n)
    with np.errstate(divide="ignore", invalid="ignore"):
        conviction = np.where(confidence == 1, np.inf, (1 - b / n) / (1 - confidence))
        leverage = support - expected
        scale = np.maximum(support * (1 - a / n), a / n * (b / n - support))
        zhang = np.where(scale == 0, 0.0, leverage / np.where(scale == 0, 1, scale))
    frame = pandas.DataFrame({
        "antecedent": _tuples([own[i] for i in found["antecedent"].tolist()]), "consequent": _tuples([own[i] for i in found["consequent"].tolist()]),
        "count": both.astype(np.int64), "antecedent_count": a.astype(np.int64), "consequent_count": b.astype(np.int64), "support": support,
        "confidence": confidence, "reverse_confidence": both / b, "lift": confidence / (b / n), "leverage": leverage, "conviction": conviction,
        "zhang": zhang, "log_likelihood_ratio": found["log_likelihood_ratio"], "p_value": found["p_value"], "q_value": found["q_value"]})
    frame = frame.sort_values(["lift", "count"], ascending=False, kind="stable", ignore_index=True)
    frame.attrs.update(baskets=baskets, tested=found["tested"])
    return frame


def relations(log: _core.EventLog, view: str = "view", purchase: str = "purchase", idle_minutes: float = 30, min_views: int = 5, min_purchases: int = 5,
              max_q: float = 0.05, num_threads: int = 0):
    """Pairs of items of one log that are complements or substitutes: a pandas frame, by q_value.

    complement: more often in one purchase basket than by chance. substitute: more often viewed in one session than by chance, and
    bought together no more often than by chance. Chance is Fisher's exact test over baskets and over sessions that hold the event
    type; q_value is Benjamini and Hochberg's over all pairs of at least min_purchases baskets, or min_views sessions, together; kept at max_q.
    A session ends after idle_minutes without an event of its shopper, or is the log's own session column.

    Columns: a, b (keys; a the one more bought before), relation, bought_together, bought_a, bought_b, bought_lift,
    viewed_together, viewed_a, viewed_b, viewed_lift, a_then_b and b_then_a (shoppers whose first purchase of one came before that of the other),
    direction_p (two-sided sign test of these), p_value, q_value.
    view, purchase: the event types.
    """
    if not 0 < real_number(max_q, "max_q") <= 1:
        raise ValueError(f"max_q is {max_q}, must be in (0, 1]")
    min_views, min_purchases = whole_number(min_views, "min_views", bits=64), whole_number(min_purchases, "min_purchases", bits=64)
    if not isinstance(log, _core.EventLog):
        raise TypeError(f"log is a {type(log).__name__}, must be an EventLog")
    if log.times is None:
        raise ValueError("log has no times, must have times: sessions and order come from them")
    names = list(log.event_names)
    for argument, name in (("view", view), ("purchase", purchase)):
        if name not in names:
            raise ValueError(f"{argument} is {name!r}, must be one of the log's event types, {', '.join(map(repr, names)) or 'of which it has none'}")
    bought_log = log.filtered(log.events == names.index(purchase))
    viewed_log = log.filtered(log.events == names.index(view))
    bought = _pairs(bought_log.sequences(by="session", idle_minutes=idle_minutes), 1, num_threads)
    viewed = _pairs(viewed_log.sequences(by="session", idle_minutes=idle_minutes), min_views, num_threads)

    tests = []
    for pair, together in bought.pairs.items():
        if together >= min_purchases:
            tests.append(("complement", pair, together, bought))
    for pair, together in viewed.pairs.items():
        b, x = bought, bought.pairs.get(pair, 0)
        if x * b.baskets <= b.single.get(pair[0], 0) * b.single.get(pair[1], 0):
            tests.append(("substitute", pair, together, viewed))
    p = np.empty(len(tests))
    for kind, counted in (("complement", bought), ("substitute", viewed)):
        rows = [i for i, t in enumerate(tests) if t[0] == kind]
        columns = [[tests[i][2] for i in rows], *([counted.single[tests[i][1][side]] for i in rows] for side in (0, 1))]
        p[rows] = _core.pair_tests(*(np.array(c, dtype=np.int64) for c in columns), counted.baskets)[0]
    q = _core.benjamini_hochberg(p)
    first = _first_purchases(bought_log)
    keys = log.item_ids
    rows = []
    for i in np.lexsort((p, q)):
        if q[i] > max_q:
            break
        kind, (a, b), _, _ = tests[i]
        then, before = _order(first.get(a, {}), first.get(b, {}))
        if before > then:
            a, b, then, before = b, a, before, then
        x, v = bought.of(a, b), viewed.of(a, b)
        rows.append({
            "a": a if keys is None else keys[a], "b": b if keys is None else keys[b], "relation": kind, "bought_together": x[0], "bought_a": x[1],
            "bought_b": x[2], "bought_lift": x[3], "viewed_together": v[0], "viewed_a": v[1], "viewed_b": v[2], "viewed_lift": v[3], "a_then_b": then,
            "b_then_a": before, "direction_p": _sign_test(then, before), "p_value": p[i], "q_value": q[i]})
    columns = ("a b relation bought_together bought_a bought_b bought_lift viewed_together viewed_a viewed_b viewed_lift a_then_b b_then_a "
               "direction_p p_value q_value").split()
    frame = _pandas().DataFrame(rows, columns=columns)
    frame.attrs.update(baskets=bought.baskets, sessions=viewed.baskets, tested=len(tests))
    return frame


def bundles(sets, price: Mapping, cost: Mapping, stock: Mapping | None = None, min_size: int = 2, max_size: int = 4, max_price: float = math.inf,
            min_margin: float = 0.0, min_stock: float = 1, discount: float = 0.0, k: int = 10, repeat_items: bool = False):
    """Sets of items to sell as one: a pandas frame of at most k, best value first.

    A bundle is a frequent set of min_size to max_size items bought together more often than by chance (lift > 1 against the
    product of its items' shares), with every item's stock at least min_stock, a price of (1 - discount) times the sum of its items'
    prices of at most max_price, and a margin, that price less the costs, of at least min_margin a bundle. value = count x (1 - 1 / lift) x
    margin: what the baskets beyond chance earn at that price; no promise that the bundle creates them. Chosen greedily; an
    item is in one bundle unless repeat_items.

    price, cost, stock: by label, for every item of a set that is considered (stock None: no limit). Columns: items, count, lift, price, margin, stock, value.
    sets: what frequent_sets() found.
    """
    if not 0 <= discount < 1:
        raise ValueError(f"discount is {discount}, must be in [0, 1)")
    min_size, max_size, k = whole_number(min_size, "min_size"), whole_number(max_size, "max_size", bits=64), whole_number(k, "k", bits=64)
    if not 2 <= min_size <= max_size:
        raise ValueError(f"min_size is {min_size} and max_size is {max_size}, must be 2 <= min_size <= max_size")
    if k < 0:
        raise ValueError(f"k is {k}, must be >= 0")
    n = getattr(sets, "attrs", {}).get("baskets")
    if n is None:
        raise ValueError("sets has no attrs['baskets'], must be frequent_sets' result")
    single = {s[0]: c for s, c in zip(sets["items"], sets["count"]) if len(s) == 1}
    candidates = []
    for items, count in zip(sets["items"], sets["count"]):
        if not min_size <= len(items) <= max_size:
            continue
        lift = count / n / math.prod(_of(single, i, "sets", "a set of its own") / n for i in items)
        total = (1 - discount) * sum(_amount(price, i, "price") for i in items)
        margin = total - sum(_amount(cost, i, "cost") for i in items)
        left = math.inf if stock is None else min(_amount(stock, i, "stock") for i in items)
        if lift > 1 and total <= max_price and margin >= min_margin and left >= min_stock:
            candidates.append({"items": items, "count": count, "lift": lift, "price": total, "margin": margin, "stock": left, "value": count * (1 - 1 / lift) * margin})
    candidates.sort(key=lambda c: -c["value"])  # stable: the sets' order among equals
    chosen: list[dict] = []
    used: set = set()
    for c in candidates:
        if len(chosen) >= k:
            break
        if repeat_items or not used.intersection(c["items"]):
            chosen.append(c)
            used.update(c["items"])
    return _pandas().DataFrame(chosen, columns=["items", "count", "lift", "price", "margin", "stock", "value"])


def _pandas():
    try:
        import pandas
    except ImportError:
        raise ImportError("etalage.marketing.baskets gives frames of pandas: pip install pandas") from None
    return pandas


def _confidence(value):
    real_number(value, "min_confidence")  # refuses what is no number; its double would not be the decimal that was meant
    return _decimal(value)


def _decimal(value):
    # numpy's smaller floats print as the decimal that was meant; as doubles they would have a long tail.
    return float(str(value)) if isinstance(value, np.floating) else float(value)


def _tuples(values):
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def _read(baskets):
    """offsets, item indices, labels (None: the indices are the labels)."""
    if isinstance(baskets, _core.Interactions):
        keys = baskets.item_ids
        offsets, items, _ = _read(baskets.user_items)
        return offsets, items, None if keys is None else list(keys)
    if isinstance(baskets, _core.Sequences):
        # An item that is bought twice in a session is once in the basket, as in lists.
        keys = baskets.item_ids
        return np.asarray(baskets.offsets, dtype=np.int64), np.asarray(baskets.items, dtype=np.int32), None if keys is None else list(keys)
    if isinstance(baskets, _core.EventLog):
        raise TypeError('baskets is an EventLog, must say what a basket is: log.sequences(by="session"), after log.filtered(...) to the purchases')
    if hasattr(baskets, "tocsr"):
        matrix = _arrays.matrix(baskets).tocsr()
        if matrix.nnz and (matrix.indices.min() < 0 or matrix.indices.max() >= matrix.shape[1]):
            raise ValueError(f"baskets has column {matrix.indices.max() if matrix.indices.min() >= 0 else matrix.indices.min()}, must be in [0, {matrix.shape[1]})")
        if matrix.data.dtype.kind == "f" and np.isnan(matrix.data).any():
            raise ValueError("baskets holds NaN, must hold numbers: 0 for an item that is not there")
        if matrix.shape[0] and (matrix.data == 0).any():
            matrix = matrix.copy()
            matrix.eliminate_zeros()
        return np.asarray(matrix.indptr, dtype=np.int64), np.asarray(matrix.indices, dtype=np.int32), None
    if isinstance(baskets, (str, bytes, Mapping)) or not hasattr(baskets, "__iter__") or getattr(baskets, "ndim", 1) != 1:
        # A matrix or a frame of 0 and 1 would be read as baskets that hold the labels 0 and 1.
        raise TypeError(f"baskets is a {type(baskets).__name__}, must be lists of labels or a CSR (scipy.sparse.csr_matrix of a 0/1 array)")
    index: dict[Any, int] = {}
    lengths, flat = [], []
    if hasattr(baskets, "to_pylist"):  # Arrow, whose own scalars are equal to nothing else
        baskets = [() if basket is None else basket for basket in baskets.to_pylist()]
    for row, basket in enumerate(baskets):
        if hasattr(basket, "tolist") or hasattr(basket, "to_pylist"):  # NumPy, pandas, Arrow: labels as Python has them
            basket = basket.tolist() if hasattr(basket, "tolist") else basket.to_pylist()
        if isinstance(basket, (str, bytes)) or not hasattr(basket, "__iter__"):
            raise TypeError(f"baskets[{row}] is {basket!r}, must be a list of labels")
        before = len(flat)
        try:
            flat += [index.setdefault(label, len(index)) for label in basket]
        except TypeError:
            raise TypeError(f"baskets[{row}] holds a label that does not hash, must hold strings, numbers or tuples") from None
        lengths.append(len(flat) - before)
    if any(label is None or label != label for label in index):
        raise ValueError("baskets hold a missing label (None or NaN), must hold labels")
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets, np.array(flat, dtype=np.int32), list(index)


def _with_labels(error, labels):
    text = str(error)
    if "sets lack {" not in text:
        return error
    inside = text[text.index("{") + 1:text.index("}")]
    named = ", ".join(repr(labels[int(i)]) for i in inside.split(", "))
    return ValueError(text.replace("{" + inside + "} (item indices)", "{" + named + "}"))


class _Counted:
    def __init__(self, baskets, single, pairs):
        self.baskets = baskets
        self.single = single
        self.pairs = pairs

    def of(self, a, b):
        both, na, nb = self.pairs.get((min(a, b), max(a, b)), 0), self.single.get(a, 0), self.single.get(b, 0)
        return both, na, nb, both * self.baskets / (na * nb) if na and nb else math.nan


def _pairs(sequences, min_pairs, num_threads):
    """Baskets, those of each item, and those of each pair (lower index first) with at least min_pairs."""
    found = _core.frequent_sets(sequences.offsets, sequences.items, None, 1, 1, 20_000_000, whole_number(num_threads, "num_threads"))
    single = dict(zip(found["items"].tolist(), found["counts"].tolist()))
    found = _core.frequent_sets(sequences.offsets, sequences.items, None, max(1, min_pairs), 2, 20_000_000, whole_number(num_threads, "num_threads"))
    items, begins, counts = found["items"], found["offsets"], found["counts"]
    rows = np.flatnonzero(np.diff(begins) == 2)
    pairs = {(int(items[begins[r]]), int(items[begins[r] + 1])): int(counts[r]) for r in rows}
    return _Counted(found["baskets"], single, pairs)


def _first_purchases(log):
    """item -> {shopper: time of the first purchase}."""
    first: dict[int, dict[int, int]] = {}
    for user, item, time in zip(log.users.tolist(), log.items.tolist(), np.asarray(log.times).tolist()):
        times = first.setdefault(item, {})
        if user not in times or time < times[user]:
            times[user] = time
    return first


def _order(a, b):
    """Shoppers who bought a strictly first, and b strictly first."""
    both = a.keys() & b.keys()
    return sum(a[u] < b[u] for u in both), sum(b[u] < a[u] for u in both)


def _sign_test(x, y):
    n, most = x + y, max(x, y)
    if n == 0:
        return 1.0
    return min(1.0, 2 * sum(math.exp(math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) - n * math.log(2)) for i in range(most, n + 1)))


def _of(mapping, key, argument, what):
    if key not in mapping:
        raise ValueError(f"{argument} lacks {key!r}, must have {what}")
    return mapping[key]


def _amount(mapping, key, argument):
    value = float(_of(mapping, key, argument, "every item of the sets"))
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{argument}[{key!r}] is {value}, must be finite and >= 0")
    return value
