# SPDX-License-Identifier: Apache-2.0
"""The shoppers that an audience is drawn from, the products it is for, and who bought them."""

from __future__ import annotations

import numpy as np

from .. import _core
from .._arrays import asarray
from .._times import to_ms
from ..models._arguments import describe


class Shoppers:
    """Places 0 to count - 1, their keys, and their rows in the model."""

    def __init__(self, model, log, users, scores):
        self._ids = None  # IdMap of place to key; None: the place is the key
        self._rows = None  # row in the model by place; None: the place is the row
        base, size = None, None
        if model is not None:
            base, size = model._fitted().user_ids, model.num_users
        elif log is not None:
            base, size = log.user_id_map, log.num_users
        elif scores is not None and users is None:
            size = len(scores)
        self._model_ids = base, size
        if users is None:
            if size is None:
                raise ValueError("users is None without model, log or scores, must be the keys to choose from")
            self._ids, self.count = base, size
        else:
            try:
                self._ids = _core.IdMap(_listed(users, "users"))
            except (TypeError, ValueError) as error:
                raise type(error)(str(error).replace("keys", "users", 1)) from None
            self.count = len(self._ids)
            if model is not None:
                self._rows = _find(base, size, self._ids.keys, "users")
                unknown = np.flatnonzero(self._rows < 0)
                if len(unknown):
                    raise ValueError(f"users[{unknown[0]}] is {self._ids.keys[unknown[0]]!r}, must be a shopper that the model knows")
        if scores is not None and len(scores) != self.count:
            raise ValueError(f"scores has {len(scores)} entries, must have one for each of the {self.count} users")

    def keys(self, places=None):
        if self._ids is None:
            return np.arange(self.count) if places is None else np.asarray(places)
        return self._ids.keys if places is None else self._ids.at(np.asarray(places, np.int32))

    def rows(self, places):
        rows = places if self._rows is None else self._rows[places]
        return np.asarray(rows, np.int32)

    def find(self, keys, name):
        """Places of keys, without those that are nobody here."""
        found = _find(self._ids, self.count, _listed(keys, name), name)
        return found[found >= 0]

    def model_rows(self, keys, name):
        """Distinct rows in the model of keys, also of such as are not among the shoppers; ValueError where the model does not
        know one or there is none."""
        keys = _listed(keys, name)
        found = _find(*self._model_ids, keys, name)
        if not len(found):
            raise ValueError(f"{name} is empty, must hold at least one shopper")
        if (found < 0).any():
            at = int(np.flatnonzero(found < 0)[0])
            raise ValueError(f"{name}[{at}] is {list(keys)[at]!r}, must be a shopper that the model knows")
        return np.unique(found)

    def mask_of(self, places):
        out = np.zeros(self.count, bool)
        out[places] = True
        return out

    def mask(self, value, name):
        out = asarray(value, name)
        if out.dtype != bool or out.shape != (self.count,):
            raise ValueError(f"{name} has dtype {out.dtype} and shape {out.shape}, must be bool ({self.count},): one for each of the users")
        return out


def _listed(keys, name):
    if isinstance(keys, (str, bytes)) or not hasattr(keys, "__iter__"):
        raise TypeError(f"{name} is {describe(keys)}, must be a list, set or array of keys")
    return keys if isinstance(keys, np.ndarray) else list(keys)


def _find(ids, size, keys, name):
    """int32 index of each key, -1 where there is none; without ids the keys are indices."""
    if not len(keys):
        return np.empty(0, np.int32)
    if ids is not None:
        try:
            return np.asarray(ids.find(keys))
        except (TypeError, ValueError) as error:
            raise type(error)(str(error).replace("keys", name, 1)) from None
    array = np.asarray(keys)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise TypeError(f"{name} holds {describe(keys[0])}, must be integers: these shoppers or products have no keys")
    return np.where((array >= 0) & (array < size), array, -1).astype(np.int32)


def items_of(model, log, item, category, filter, catalog):
    """int32 indices of the products asked for, in the model (else the log), ascending; None where none are named."""
    if item is None and category is None and filter is None:
        return None
    ids, size = None, None
    if model is not None:
        ids, size = model._fitted().item_ids, model.num_items
    elif log is not None:
        ids, size = log.item_id_map, log.num_items
    else:
        raise ValueError("item, category or predicate name products without model or log, must give one of these")
    if item is not None:
        keys = [item] if isinstance(item, (str, int, np.integer)) else _listed(item, "item")
        found = _find(ids, size, keys, "item")
        if not len(found):
            raise ValueError("item is empty, must hold at least one product")
        if (found < 0).any():
            unknown = keys[int(np.flatnonzero(found < 0)[0])]
            raise ValueError(f"item holds {unknown!r}, must be a product of the {'log' if model is None else 'model'}")
        return np.unique(found)
    if category is not None and not isinstance(category, str):
        if not isinstance(category, (list, tuple)) or not all(isinstance(part, str) for part in category):
            raise TypeError(f"category is {describe(category)}, must be a path like 'Home/Kitchen' or a list of names")
        category = list(category)
    name, filter = ("category", _core.Filter.category(category)) if category is not None else ("predicate", filter)
    if not isinstance(catalog, _core.Catalog):
        raise TypeError(f"catalog is {describe(catalog)}, must be a Catalog to find the products of {name}")
    index = _core.CatalogIndex(catalog)
    unknown = index.unknown_names(filter)
    if unknown:
        raise ValueError(f"{name} names {unknown[0]}, which no product of the catalog has")
    found = _find(ids, size, np.asarray(catalog.item_ids)[index.items(filter)], "catalog.item_ids")
    found = np.unique(found[found >= 0])
    if not len(found):
        given = category if category is not None else filter.to_json()
        raise ValueError(f"{name} is {given!r}, must hold at least one product of the model")
    return found


def buyers(who, model, log, items, buy_event, exclude_buyers, since):
    """bool [shoppers] of those who bought, or None where nobody asked."""
    if exclude_buyers is not None and not isinstance(exclude_buyers, (bool, np.bool_)):
        raise TypeError(f"exclude_buyers is {describe(exclude_buyers)}, must be True, False or None")
    if exclude_buyers is not None and not exclude_buyers:
        if since is not None:
            raise ValueError("exclude_buyers is False with bought_since, must be True or None")
        return None
    if since is not None and log is None:
        raise ValueError("log is None with bought_since, must be an EventLog with times")
    if buy_event is not None and log is None:
        raise ValueError(f"log is None with buy_event {buy_event!r}, must be an EventLog")
    if items is None and since is None:
        if exclude_buyers:
            raise ValueError("exclude_buyers is True without products, must be given with item, category, a Filter or bought_since")
        return None
    if log is not None:
        return _buyers_in_log(who, model, log, items, buy_event, since)
    rows = None if model is None else model.user_items
    if rows is None:
        if exclude_buyers:
            raise ValueError("exclude_buyers is True and the model keeps no rows, must be given log, or exclude_buyers=False")
        return None
    bought = np.asarray((rows[:, items] > 0).sum(axis=1)).ravel() > 0
    return bought[who.rows(np.arange(who.count))]


def _buyers_in_log(who, model, log, items, buy_event, since):
    keep = np.ones(len(log), bool)
    if buy_event is not None:
        names = list(log.event_names)
        if buy_event not in names:
            raise ValueError(f"buy_event is {buy_event!r}, must be one of {', '.join(map(repr, names))}")
        keep &= np.asarray(log.events) == names.index(buy_event)
    if since is not None:
        if log.times is None:
            raise ValueError("bought_since is given and log has no times, must be a log with times")
        times = np.asarray(log.times)
        times = times.astype("datetime64[ms]").astype(np.int64) if times.dtype.kind == "M" else times
        keep &= times >= to_ms(since, "bought_since")
    if items is not None:
        if model is not None:
            keys = items if model.item_ids is None else np.asarray(model.item_ids)[items]
            items = _find(log.item_id_map, log.num_items, keys, "item")
            items = items[items >= 0]
        wanted = np.zeros(log.num_items, bool)
        wanted[items] = True
        keep &= wanted[log.items]
    found = np.unique(np.asarray(log.users)[keep])
    return who.mask_of(who.find(log.user_id_map.at(found) if log.user_id_map is not None else found, "log.user_ids"))
