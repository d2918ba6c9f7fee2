# SPDX-License-Identifier: Apache-2.0
"""profiles: what each shopper's history says, computed where the events are; a table, and the file that a host opens."""

from __future__ import annotations

import os
import pickle
import shutil
import uuid

import numpy as np

from .. import _core
from .._catalogs import as_catalog
from .._times import to_ms
from ..profile import Profiles
from . import _folder as folder
from ._events import EventJob
from ._lists import _staged, _uri, give_name
from ._session import rows
from ._worker import task

_TABLE = ("segment string, first timestamp, last timestamp, last_purchase timestamp, recency_days double, orders bigint, money double, events bigint, "
          "views bigint, carts bigint, purchases bigint, returns bigint, sessions bigint, gap_days double, price_level double, "
          "top_category string, top_brand string, top_hour int, top_weekday int")


def profiles(df, user="user", item="item", event=None, time="time", value=None, *, out, catalog=None, now=None, file=True, time_unit=None,
             on_error="raise", partitions=None, overwrite=False, **options):
    """The profiles of all shoppers of a DataFrame of events: a DataFrame (user, segment, first, last, recency_days, orders, money, ...),
    one row a shopper, as etalage.profile.Profiles.to_dict() has them; NULL where that has NaT or no name.

    user .. value   names of columns of df, as for spark.interactions(); `time` is needed. Rows of a DataFrame have no order: of one
                 shopper's events at one time item, type and value decide. Orders are parted by idle_minutes
    out          a new folder that driver and executors share: table/*.parquet, and profiles.etalage, which Profiles.load(),
                 etalage.load() and C++'s load_profiles() open: the bits of Profiles(catalog, **options).add() on a log of these events
                 whose users and items are numbered in the order of their keys. It has its name once all of it is there
    catalog      an etalage.Catalog, for categories, brands and prices
    now          the moment that segments and recency are of; None: the newest event that a profile counts
    file         False leaves profiles.etalage out, which one task puts together in memory: about 900 bytes a shopper
    options      those of Profiles: roles, half_life_days, idle_minutes, utc_offset_minutes, value_is_amount, ...
    on_error, time_unit, partitions, overwrite   as for spark.interactions()

    Each task makes the profiles of whole blocks of shoppers with the library's own code; gaps between purchases of a product are sums.
    """
    if time is None:
        raise ValueError("time is None, must name the column of times: profiles need them")
    Profiles(None, **options)  # names and values of options
    catalog = as_catalog(catalog)
    now = None if now is None else int(to_ms(now, "now"))
    out, stage = _staged(out, overwrite, "copy the folder, or write the DataFrame")
    stage = f"{stage}.{uuid.uuid4().hex}"  # of this call alone: tasks of another that was stopped may still write into theirs
    columns = dict(user=user, item=item, event=event, time=time, value=value)
    job = _Job(df, columns, os.path.join(stage, "work"), time_unit, on_error, partitions, True, None, ())
    try:
        job.make(stage, catalog, options, now, file)
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        raise
    give_name(stage, out, overwrite)
    key = "string" if job.types[0][1] == "string" else "bigint"
    return job.session.read.schema(f"user {key}, {_TABLE}").parquet(_uri(os.path.join(out, "table")))


class _Job(EventJob):
    job = "spark.profiles"

    def make(self, stage, catalog, options, now, file):
        self._open()
        reports = self._read()
        self._plan(reports)
        kinds = sorted({k for r in reports for k in r["kinds"]})
        _check_roles(kinds, options)
        keys, shape, firsts = self._keys(reports)
        for name in ("table", os.path.join("work", "parts")):
            os.makedirs(os.path.join(stage, name), exist_ok=True)
        folder.write_json(os.path.join(self.root, "keys.json"), {"keys": keys, "strings": {f"{n}s": t == "string" for n, t in self.types[:2]}})
        if catalog is not None:
            folder.write_bytes(os.path.join(self.root, "catalog"), [pickle.dumps(catalog)])
        if 0 not in shape:
            self._deal(reports, kinds, firsts, shape)
        self._tasks("products", 1, "known_products", self.root, options, "id bigint")
        parts = self._parts(reports, kinds, shape)
        if parts:
            now = max(r["newest"] for r in parts) if now is None else now
            done = self._tasks("table", len(parts), "write_table", stage, self.root, [r["first"] for r in parts], now, "first bigint, rows bigint")
            if sum(r["rows"] for r in done) != shape[0]:
                raise RuntimeError(f"{sum(r['rows'] for r in done)} of {shape[0]} shoppers are in the table")
        if file:
            firsts = [r["first"] for r in parts]
            self._tasks("writing the file", 1, "assemble", self.root, firsts, os.path.join(stage, "profiles.etalage"), "id bigint")
        shutil.rmtree(self.root, ignore_errors=True)

    def _parts(self, reports, kinds, shape):
        """What the tasks say of the parts that they made, in the order of their users: first, users, events and newest."""
        from . import _blocks as blocks

        count = len(blocks.ranges(shape[0])) if 0 not in shape else 0
        if not count:
            return []
        found = self._tasks("shoppers", count, "make_parts", self.root, shape, len(reports), kinds, "first bigint, users bigint, events bigint, newest bigint")
        if sum(r["users"] for r in found) != shape[0] or sum(r["events"] for r in found) != sum(r["rows"] for r in reports):
            raise RuntimeError(f"{sum(r['events'] for r in found)} events of {sum(r['users'] for r in found)} shoppers are in profiles, must be "
                               f"{sum(r['rows'] for r in reports)} of {shape[0]}")
        return sorted(found, key=lambda r: r["first"])

    def _tasks(self, name, count, function, *arguments):
        *arguments, report = arguments
        what = task(f"{self.job}: {name}", "_profile_tasks", function, *arguments)
        return rows(self._over(count).mapInArrow(what, report))


def _check_roles(kinds, options):
    """A type without a role is told before any profile is made."""
    zeros = np.zeros(max(1, len(kinds)), np.int32)
    log = _core.log_of_codes(zeros, zeros, None, None, np.arange(len(kinds), dtype=np.int32) if kinds else None, kinds, zeros.astype(np.int64))
    Profiles(None, **options).add(log)
