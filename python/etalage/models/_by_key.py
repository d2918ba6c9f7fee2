# SPDX-License-Identifier: Apache-2.0
"""Every question to a model in the shop's own keys instead of indices."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from .. import _core
from . import _arguments as arg


def is_one_key(value):
    """Whether value is a single key where a list of them could be."""
    return isinstance(value, (str, int, float, np.integer, np.floating)) or isinstance(value, np.ndarray) and value.ndim == 0


def key_list(value):
    """(what IdMap.find reads, whether one key was given)."""
    if is_one_key(value):
        return [value.item() if isinstance(value, np.ndarray) else value], True
    if isinstance(value, (set, frozenset)):
        raise TypeError(f"keys is {arg.describe(value)}, must be a list or array: the answer has the order of the keys")
    return value, False


def find_one(ids, key, name):
    """The index of exactly one key, -1 for an unknown one."""
    if not is_one_key(key):
        raise TypeError(f"{name} is {arg.describe(key)}, must be one key")
    return int(ids.find(key_list(key)[0])[0])


def known_lists(ids, keys, name):
    """One list of keys, or one a question, as indices without the unknown ones; sparse rows hold indices already."""
    if keys is None or hasattr(keys, "tocsr"):
        return keys

    if is_one_key(keys):
        raise TypeError(f"{name} is {arg.describe(keys)}, must be a list of keys, or a list of them for each question")

    def known(part):
        found = ids.find(list(part) if isinstance(part, (set, frozenset)) else part)
        return found[found >= 0]

    if not arg._many(keys):
        return known(keys)
    for i, part in enumerate(keys):
        if is_one_key(part):
            raise TypeError(f"{name}[{i}] is {arg.describe(part)}, must be a list: {name} mixes lists and keys")
    return [known(part) for part in keys]


class ByKey:
    """The part of Recommender that speaks in keys.

    Keys come in as one key, a list, an array or a column of a frame; a key of the other kind (strings, integers) is a
    ValueError, and so is every call where the model has no keys. Keys that come out are an object array of strings, or
    int64. Where there is no result keys are None among strings, -1 among integers, and scores -inf. Unknown keys in
    lists of products (filter_items, items, sessions) are ignored.
    """

    def _ids(self, side):
        """The IdMap of "user" or "item"."""
        model = self._fitted()
        ids = model.user_ids if side == "user" else model.item_ids
        if ids is None:
            raise ValueError(f"this {type(self).__name__} has no keys of {side}s: fit it on Interactions or a log that has "
                             "them, or use the calls by index")
        return ids

    def _index_of(self, side, keys):
        ids = self._ids(side)
        keys, one = key_list(keys)
        found = ids.find(keys)
        return found[0] if one else found

    def user_index(self, keys):
        """The index of each user key, int32 [n], -1 for unknown and missing ones; one key gives one int32."""
        return self._index_of("user", keys)

    def item_index(self, keys):
        """The index of each item key, int32 [n], -1 for unknown and missing ones; one key gives one int32."""
        return self._index_of("item", keys)

    def similar_items_ids(self, item_ids, k=10, filter_items=None, items=None):
        """similar_items() in keys: (keys, float32 scores), (k,) for one key and (n, k) for n.

        filter_items and items are keys too. An unknown product is like no other: its row is empty, which is to say padded.
        """
        ids = self._ids("item")
        index, one = self._asked(ids, item_ids)
        out = self.similar_items(np.maximum(index, 0), k, known_lists(ids, filter_items, "filter_items"), known_lists(ids, items, "items"))
        return self._in_keys(ids, index, out, one)

    def similar_users_ids(self, user_ids, k=10):
        """similar_users() in keys: (keys, float32 scores), (k,) for one key and (n, k) for n. An unknown user's row is empty."""
        ids = self._ids("user")
        index, one = self._asked(ids, user_ids)
        return self._in_keys(ids, index, self.similar_users(np.maximum(index, 0), k), one)

    @staticmethod
    def _asked(ids, keys):
        keys, one = key_list(keys)
        return ids.find(keys), one

    @staticmethod
    def _in_keys(ids, index, out, one):
        """(indices, scores) in keys, without the rows of unknown ones."""
        found, scores = (np.array(a) for a in out)
        found[index < 0], scores[index < 0] = -1, -np.inf
        keys = ids.at(found)
        return arg.own((keys, scores)) if one else (keys, scores)

    def recommend_session_ids(self, session_ids, k=10, filter_already_liked_items=True, filter_items=None, items=None, *,
                              exclude_last="auto"):
        """recommend_session() in keys: a list of item keys, oldest first, or a list of such lists; (keys, float32 scores).

        Keys that the model does not know are left out of the session before anything else: exclude_last is about the
        newest known one. A session of which nothing is left gets the cold-start answer.
        """
        ids = self._ids("item")
        if isinstance(session_ids, (_core.Sequences, set, frozenset, dict)) or hasattr(session_ids, "tocsr") or is_one_key(session_ids):
            raise TypeError(f"session_ids is {arg.describe(session_ids)}, must be a list of item keys, oldest first, or a list of such lists")
        sessions = known_lists(ids, session_ids, "session_ids")
        found, scores = self.recommend_session(
            sessions, k, filter_already_liked_items, known_lists(ids, filter_items, "filter_items"), known_lists(ids, items, "items"),
            exclude_last=exclude_last)
        return ids.at(found), scores

    def explain_ids(self, user_id, item_id, k=10, user_items=None):
        """explain() in keys: (the item's score, keys of history items, float32 weights), the largest weights first.

        An unknown user has no history: the score of the cold-start answer, and no items. KeyError for an unknown item, which
        has neither score nor row to leave empty. user_items is one CSR row of indices, or None for the kept one.
        """
        users, catalogue = self._ids("user"), self._ids("item")
        user, item = find_one(users, user_id, "user_id"), find_one(catalogue, item_id, "item_id")
        if item < 0:
            raise KeyError(f"item_id is {item_id!r}, must be a key of the model")
        if user < 0 and user_items is None:
            user_items = self._nothing(1)
        score, items, weights = self.explain(None if user < 0 else user, user_items, item, k)
        return score, catalogue.at(items), weights

    def score_ids(self, user_ids, item_ids, user_items=None, recalculate_user=False):
        """score() in keys: float32 scores of given items, seen or not: (m,) for one user, (n, m) for n.

        item_ids is one list for all users, or a list of n lists of one length; one key takes the last axis away. Unknown
        users have the scores of the cold-start answer, or of their row in user_items; unknown items have -inf.
        """
        users, catalogue = self._ids("user"), self._ids("item")
        index, one_user = self._asked(users, user_ids)
        one_item = is_one_key(item_ids)
        if arg._many(item_ids):
            rows = [catalogue.find(part) for part in item_ids]
            if len(rows) != len(index) or any(len(row) != len(rows[0]) for row in rows):
                raise ValueError(f"item_ids has rows of {sorted({len(row) for row in rows})} keys for {len(rows)} users, must have one "
                                 f"length and a row for each of the {len(index)} users")
            wanted = np.stack(rows)
        else:
            wanted = self._asked(catalogue, item_ids)[0].reshape(1, -1)
        known, asked, out = index >= 0, np.maximum(wanted, 0), None
        if known.any() or not len(index):
            out = self.score(np.maximum(index, 0), user_items, asked, recalculate_user)
        if not known.all():
            newcomers = self.score(None, self._nothing(len(index)) if user_items is None else user_items, asked)
            out = newcomers if out is None else np.where(known[:, np.newaxis], out, newcomers)
        out[np.broadcast_to(wanted < 0, out.shape)] = -np.inf
        out = out[:, 0] if one_item else out
        return out[0].copy() if one_user else out

    def _nothing(self, count):
        """The rows of newcomers."""
        return sp.csr_matrix((count, self.num_items), dtype=np.float32)
