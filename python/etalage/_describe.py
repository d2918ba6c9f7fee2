# SPDX-License-Identifier: Apache-2.0
"""What a log holds, at a glance: the numbers to look at before anything is fitted."""

from __future__ import annotations

import re

import numpy as np

from ._catalogs import as_catalog

# Lines of a receipt that are no products, in the words of shops that write English or German. Whole words alone.
_NO_PRODUCT = re.compile(
    r"\b(post|postage|shipping|delivery|carriage|freight|versand|porto|test|testartikel|dummy|voucher|coupon|gutschein|gift ?card|"
    r"gift ?voucher|discount|rabatt|fee|fees|gebühr|charges?|commission|manual|adjust|adjustment|samples?|dotcom|surcharge|pfand|deposit)\b",
    re.IGNORECASE)


class LogDescription:
    """Numbers of a log as attributes; print() shows them, plot() draws them.

    rows, users, items, pairs: counts, pairs of distinct (user, item). density: pairs / (users * items).
    repeat_share: share of the rows whose user had the item in an earlier row. first, last: datetime64[ms] or None.
    event_counts: {type: rows}, {} without types. months: datetime64[M] (n,) from first to last, and month_counts:
    {type: int64 (n,)}, "all" without types. events_per_user, events_per_item: quantiles {0.5: ..., 0.9: ..., 0.99: ..., 1: ...}.
    heavy_users: [(key, rows)], the ten with most rows. suspects: [(key, rows, name)] of items that look like postage, tests,
    vouchers or fees, most rows first. negative_share: share of values below 0, None without values.
    """

    def __repr__(self):
        lines = [f"{self.rows:,} rows: {self.users:,} users, {self.items:,} items, {self.pairs:,} pairs (density {self.density:.2%})"]
        if self.first is not None:
            lines.append(f"{str(self.first)[:16]} to {str(self.last)[:16]} UTC, {len(self.months)} months")
        if self.event_counts:
            lines.append("events      " + ", ".join(f"{name} {n:,} ({n / max(1, self.rows):.1%})" for name, n in self.event_counts.items()))
        lines.append(f"repeats     {self.repeat_share:.1%} of rows are a pair's second or later")
        if self.negative_share is not None:
            lines.append(f"values      {self.negative_share:.1%} below 0" + (": returns? see negative_values" if self.negative_share else ""))
        for name, q in (("per user", self.events_per_user), ("per item", self.events_per_item)):
            lines.append(f"{name:12s}" + ", ".join(f"{'most' if p == 1 else f'{p:.0%}'} {v:,}" for p, v in q.items()) + " rows")
        if self.heavy_users:
            lines.append("heavy users " + ", ".join(f"{key} ({n:,})" for key, n in self.heavy_users[:5]))
        if self.suspects:
            lines.append("no products? " + ", ".join(f"{key}{f' {name!r}' if name else ''} ({n:,})" for key, n, name in self.suspects[:8]))
        return "\n".join(lines)

    def plot(self, axes=None):
        """Rows by month and type, and how many users have how many rows, on two matplotlib axes, which are returned."""
        if axes is None:
            import matplotlib.pyplot as plt

            _, axes = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
        bottom = np.zeros(len(self.months))
        for name, counts in self.month_counts.items():
            axes[0].bar(self.months.astype("datetime64[D]"), counts, width=25, bottom=bottom, label=name)
            bottom += counts
        axes[0].set(ylabel="rows a month")
        if len(self.month_counts) > 1:
            axes[0].legend()
        sizes, users = np.unique(self._rows_per_user[self._rows_per_user > 0], return_counts=True)
        axes[1].loglog(sizes, users, ".")
        axes[1].set(xlabel="rows", ylabel="users with so many")
        return axes


def _quantiles(counts):
    counts = counts[counts > 0]
    if len(counts) == 0:
        return {}
    return {p: int(np.quantile(counts, p, method="inverted_cdf")) for p in (0.5, 0.9, 0.99, 1)}


def _key(ids, index):
    return int(index) if ids is None else ids[index]


def describe(log, catalog=None):
    catalog = as_catalog(catalog)
    d = LogDescription()
    users, items = log.users, log.items
    d.rows = len(log)
    per_user = np.bincount(users, minlength=log.num_users) if d.rows else np.zeros(log.num_users, np.int64)
    per_item = np.bincount(items, minlength=log.num_items) if d.rows else np.zeros(log.num_items, np.int64)
    d.users, d.items = int((per_user > 0).sum()), int((per_item > 0).sum())
    d.pairs = len(np.unique(users.astype(np.int64) * max(1, log.num_items) + items))
    d.density = d.pairs / max(1, d.users * d.items)
    d.repeat_share = (d.rows - d.pairs) / max(1, d.rows)
    d.negative_share = None if log.values is None else float((log.values < 0).mean()) if d.rows else 0.0
    d.event_counts, d.first, d.last = {}, None, None
    d.months, d.month_counts = np.empty(0, "datetime64[M]"), {}
    if log.events is not None:
        counts = np.bincount(log.events, minlength=len(log.event_names))
        d.event_counts = {name: int(n) for name, n in zip(log.event_names, counts)}
    if log.times is not None and d.rows:
        times = log.times.view("datetime64[ms]")
        d.first, d.last = times.min(), times.max()
        month = times.astype("datetime64[M]")
        begin, end = month.min(), month.max() + 1
        d.months = np.arange(begin, end)
        place = (month - begin).astype(np.int64)
        kinds = {"all": slice(None)} if log.events is None else {n: log.events == e for e, n in enumerate(log.event_names)}
        d.month_counts = {name: np.bincount(place[rows], minlength=len(d.months)) for name, rows in kinds.items()}
    d.events_per_user, d.events_per_item = _quantiles(per_user), _quantiles(per_item)
    top = np.argsort(-per_user, kind="stable")[:10]
    d.heavy_users = [(_key(log.user_ids, u), int(per_user[u])) for u in top if per_user[u] > 0]
    d.suspects = _suspects(log, per_item, catalog)
    d._rows_per_user = per_user
    return d


def _suspects(log, per_item, catalog):
    ids = log.item_ids
    if ids is None or len(ids) == 0:
        return []
    names = catalog.names_of(ids) if catalog is not None else [""] * len(ids)
    text = ids.dtype == object
    # Among article numbers a key without a digit (POST, DOT, M, BANK CHARGES) is no article.
    numbered = text and np.mean([any(c.isdigit() for c in key) for key in ids]) > 0.9
    found = []
    for i, (key, name) in enumerate(zip(ids, names)):
        label = "" if name == str(key) else name
        odd = numbered and not any(c.isdigit() for c in key)
        if per_item[i] and (odd or _NO_PRODUCT.search(label) or (text and _NO_PRODUCT.search(key.replace("_", " ").replace("-", " ")))):
            found.append((key if text else int(key), int(per_item[i]), label))
    return sorted(found, key=lambda f: -f[1])
