# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os

import numpy as np

from .. import _core
from .._arrays import whole_number
from .._catalogs import as_catalog
from .._times import to_ms

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class UserProfile:
    """One shopper at one moment: readable (print it), a mapping (to_dict()), attributes.

    segment         "unknown", "prospect", "new", "active", "loyal", "at risk" or "lapsed"
    recency_days, orders, money, gap_days (usual days between orders, None with fewer than two)
    categories, brands      share of interest by path or name, the largest first; a path includes all below it
    price_level     mean of the price ranks (0 cheapest, 1 dearest of its category) of what interests them, nan unknown
    price_bands, hours, weekdays    shares, cheapest / midnight / Monday first
    first, last, last_purchase      datetime64[ms], UTC, NaT without
    """

    def __init__(self, key, fields):
        self.key = key
        for name in ("first", "last", "last_purchase"):
            fields[name] = np.datetime64(fields.pop(name + "_ms"), "ms")
        self._fields = fields
        self.__dict__.update(fields)

    def to_dict(self):
        """All fields by name."""
        return dict(self._fields)

    def __str__(self):
        f = self._fields
        if f["events"] == 0:
            return f"shopper {self.key}: unknown"
        lines = [f"shopper {self.key}: {f['segment']}, {f['orders']} orders worth {f['money']:.2f}, {f['sessions']} visits since {str(f['first'])[:10]}"]
        if f["orders"]:
            gap = "" if f["gap_days"] is None else f", usually every {f['gap_days']:.0f} days"
            lines.append(f"  last order {f['recency_days']:.0f} days ago{gap}")
        for name in ("categories", "brands"):
            if f[name]:
                lines.append(f"  {name}: " + ", ".join(f"{k} {v:.0%}" for k, v in list(f[name].items())[:4]))
        if f["price_level"] == f["price_level"]:
            lines.append(f"  price level {f['price_level']:.2f}")
        if sum(f["hours"]):
            hour = int(np.argmax(f["hours"]))
            lines.append(f"  mostly {_WEEKDAYS[int(np.argmax(f['weekdays']))]}, {hour}-{hour + 1} o'clock")
        return "\n".join(lines)

    def __repr__(self):
        return f"UserProfile({self.key!r}, {self._fields['segment']!r}, orders={self._fields['orders']})"


class Profiles:
    """The profiles of all shoppers, from logs, one event at a time, or both: the same bits in time order.

    catalog         an etalage.Catalog: categories, brands and prices of the products; None goes without
    roles           what each event type is: {"view": "view", "order": "purchase", "wish": "ignore", ...}; "view", "cart",
                    "purchase", "return" and usual synonyms are known. A type without a role is a ValueError.
    untyped         what the events of a log without types are ("purchase")
    half_life_days  of affinities and habits (90); view_weight 1, cart_weight 3, purchase_weight 5, return_weight -5
    idle_minutes    a longer pause ends a session and an order (30)
    utc_offset_minutes      the shop's clock against UTC, for hours and weekdays
    value_is_amount         an event's value is money; else it is a quantity, worth quantity * price
    max_categories, max_brands, max_items   what is kept a shopper (64, 32, 64)
    lapsed_gaps, at_risk_gaps, new_days, loyal_orders, typical_gap_days     the lifecycle's rule, see docs/profiles.md

    Memory is bounded a shopper. Asking is safe from any number of threads, also beside changes: add() changes a copy and
    puts it in place, and a snapshot keeps the profiles that it was given.
    """

    def __init__(self, catalog=None, **options):
        self._check(options)
        self._catalog = as_catalog(catalog)
        self._core = _core.Profiles(options)
        if self._catalog is not None:
            self._core.set_catalog(self._catalog, None)

    @staticmethod
    def _check(options):
        for name in options:
            if name not in OPTIONS:
                raise TypeError(f"{name} is not an option of Profiles, must be one of {', '.join(OPTIONS)}")

    @classmethod
    def _from_core(cls, core):
        self = cls.__new__(cls)
        self._catalog = None
        self._core = core
        return self

    def add(self, log, num_threads=0):
        """Every event of an EventLog, by time; returns self. A further log must number users and items alike."""
        core = self._core.copy()
        if self._catalog is not None:
            core.set_catalog(self._catalog, log)
        core.add(log, whole_number(num_threads, "num_threads"))
        self._core = core
        return self

    def set_catalog(self, catalog):
        """A newer catalogue; profiles keep what they know."""
        catalog = as_catalog(catalog)
        self._own().set_catalog(catalog, None)
        self._catalog = catalog

    def _own(self):
        """The compiled profiles to change in place: a copy where a snapshot or a running call holds them too."""
        if self._core.shared():
            self._core = self._core.copy()
        return self._core

    def observe(self, user_index, item_index, event, time, value=1.0):
        """One event; new users and items are welcome at any time."""
        self._own().observe(whole_number(user_index, "user_index"), whole_number(item_index, "item_index"), event, to_ms(time, "time"), value)

    def __len__(self):
        return len(self._core)

    @property
    def now(self):
        """Newest event of all, datetime64[ms]."""
        return np.datetime64(self._core.newest_ms, "ms")

    def _now(self, now):
        return self._core.newest_ms if now is None else to_ms(now)

    def user(self, user_index, now=None):
        """UserProfile of one shopper at `now`, by default the newest event of all. An unknown one has an empty profile."""
        index = whole_number(user_index, "user_index")
        ids = self._core.user_ids
        key = ids.at(np.array([index], np.int32))[0] if ids is not None and 0 <= index < len(ids) else index
        return UserProfile(key, self._core.user(index, self._now(now)))

    __getitem__ = user

    def by_id(self, user_id, now=None):
        """The same by the shop's key; KeyError for an unknown one.

        user_id: the shop's key.
        """
        ids = self._core.user_ids
        index = -1 if ids is None else int(ids.find([user_id])[0])
        if index < 0:
            raise KeyError(user_id)
        return self.user(index, now)

    def buy_again(self, user_index, k=10, now=None, horizon_days=7.0):
        """Products that they bought and may want again, the likeliest within horizon_days first: a dict of arrays.

        item_index, item (keys), count (orders with it), last and due (datetime64[ms]), gap_days, probability.
        """
        out = self._core.buy_again(whole_number(user_index, "user_index"), self._now(now), min(whole_number(k, "k", bits=64), 2**31 - 1), horizon_days)
        ids = self._core.item_ids
        keys = out["item_index"] if ids is None else ids.at(out["item_index"])
        return {"item": keys, **out, "last": out["last"].astype("datetime64[ms]"), "due": out["due"].astype("datetime64[ms]")}

    def segments(self, now=None):
        """Shoppers in each lifecycle segment."""
        return self._core.segments(self._now(now))

    def to_dict(self, now=None):
        """One row a shopper: a dict of arrays; user (keys), segment, first, last, recency_days, orders, money, ..."""
        table = self._core.table(self._now(now))
        for name in ("first", "last", "last_purchase"):
            table[name] = table[name].astype("datetime64[ms]")
        ids = self._core.user_ids
        users = np.arange(len(self), dtype=np.int32) if ids is None else np.asarray(ids.keys)[: len(self)]
        return {"user": users, **table}

    def to_pandas(self, now=None):
        """The same as a pandas DataFrame."""
        try:
            import pandas
        except ImportError:
            raise ImportError("to_pandas needs pandas: pip install pandas") from None
        return pandas.DataFrame(self.to_dict(now))

    def to_arrow(self, now=None):
        """The same as a pyarrow Table."""
        try:
            import pyarrow
        except ImportError:
            raise ImportError("to_arrow needs pyarrow: pip install pyarrow") from None
        return pyarrow.table(self.to_dict(now))

    def merge(self, from_user, to_user):
        """Takes an anonymous visitor's history into the shopper who logged in.

        from_user, to_user: numbers in index order; the first is empty afterwards.
        """
        self._own().merge(whole_number(from_user, "from_user"), whole_number(to_user, "to_user"))

    def erase(self, user_index):
        """Forgets a shopper."""
        self._own().erase(whole_number(user_index, "user_index"))

    def save(self, path):
        """Writes a file that Profiles.load, etalage.load and the C++ library read."""
        self._core.save(os.fspath(path))

    @classmethod
    def load(cls, path, verify="full"):
        """Opens a file that save() wrote."""
        return cls._from_core(_core.Profiles.load(os.fspath(path), verify))

    def __reduce__(self):
        return _profiles_from_bytes, (self._core.to_bytes(),)

    def __repr__(self):
        return f"Profiles({len(self)} shoppers)"


OPTIONS = ("roles", "untyped", "half_life_days", "view_weight", "cart_weight", "purchase_weight", "return_weight", "idle_minutes",
           "utc_offset_minutes", "value_is_amount", "max_categories", "max_brands", "max_items", "lapsed_gaps", "at_risk_gaps",
           "new_days", "loyal_orders", "typical_gap_days")


def _profiles_from_bytes(data):
    return Profiles._from_core(_core.Profiles.from_bytes(data))
