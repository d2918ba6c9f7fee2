# SPDX-License-Identifier: Apache-2.0
"""Small event logs for tests."""

from etalage import EventLog

DAY = 86400000


def log_of(rows, names=("user", "item", "event", "time", "value"), **kw):
    columns = {n: [r[i] for r in rows] for i, n in enumerate(names)}
    given = {n: n for n in names if n not in ("user", "item")}
    return EventLog.from_frame(columns, **given, **({"time_unit": "ms"} if "time" in names else {}), **kw)


def dense(data):
    return data.user_items.toarray()
