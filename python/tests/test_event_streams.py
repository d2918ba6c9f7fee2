# SPDX-License-Identifier: Apache-2.0
"""Random event streams, out of order, duplicated and returned, through every batch path against a plain model of them."""

import math

import numpy as np
import pytest

from etalage import EventLog, Interactions
from etalage.profile import Profiles

DAY = 86400000
START = 1577836800000
TINY = float(np.finfo(np.float32).tiny)


def stream(seed, whole):
    """Rows (user, item, event, time, value, session) of a shop in which anything happens twice, late or backwards."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(int(rng.integers(1, 400))):
        user, item = f"u{rng.integers(8)}", int(rng.integers(6))
        event = ["view", "buy", "return"][rng.choice(3, p=[.4, .4, .2])]
        value = float(rng.integers(-3, 6)) if whole else float(np.float32(rng.integers(-30, 60) / 10))
        rows.append((user, item, event, START + int(rng.integers(0, 400)) * DAY // 4, value, int(rng.integers(3))))
        while rng.random() < .15:
            rows.append(rows[int(rng.integers(len(rows)))])  # said again, word for word
    return [rows[i] for i in rng.permutation(len(rows))] if rng.random() < .7 else sorted(rows, key=lambda r: r[3])


def log_of(rows):
    names = ("user", "item", "event", "time", "value", "session")
    return EventLog.from_frame({n: [r[i] for r in rows] for i, n in enumerate(names)}, **{n: n for n in names[2:]}, time_unit="ms")


def left_over(values, total):
    """What a sum of float32 values comes to, without what their rounding leaves of 0."""
    return 0.0 if total != math.trunc(total) and abs(total) <= sum(map(abs, values)) / 2**23 else total


def plain_weights(rows, duplicates, weights, half_life, now, returns, negative):
    """{(user, item): weight} by the page of the docs, one pair at a time."""
    pairs = {}
    for place, row in enumerate(rows):
        pairs.setdefault(row[:2], []).append((row[3], place, *row[2:5:2]))
    out = {}
    for pair, events in pairs.items():
        events.sort()
        quantities = [v for _, _, _, v in events]
        seen = 0.0
        for j, (_, _, event, value) in enumerate(events):
            seen += abs(value)
            is_return = event == returns or (negative and value < 0)
            if not is_return:
                continue
            back, quantities[j] = abs(value), 0.0
            for i in range(j - 1, -1, -1):
                if back == 0:
                    break
                other = events[i][2]
                taken_from = other != returns and quantities[i] > 0 and (True if event == returns else other == event)
                if taken_from:
                    taken = min(back, quantities[i])
                    back, quantities[i] = left_over([seen], back - taken), left_over([seen], quantities[i] - taken)
        counted = []
        for (time, place, event, _), q in zip(events, quantities):
            w = q * (weights[event] if weights and event in weights else 1.0)
            decay = 1.0 if half_life is None else 2.0 ** max(-800.0, -(now - time) / (half_life * DAY))
            if w != 0:
                counted.append((time, place, w * decay, decay))
        if not counted:
            continue
        ws = [c[2] for c in counted]
        if duplicates in ("sum", "binary"):
            w = left_over(ws, sum(c[2] for c in sorted(counted, key=lambda c: c[1])))
            if duplicates == "binary" and w != 0:
                w = math.copysign(max(c[3] for c in counted) if half_life else 1.0, w)
        else:
            w = max(ws) if duplicates == "max" else ws[-1]
        if w != 0:
            out[pair] = math.copysign(max(abs(w), TINY), w)
    return out


@pytest.mark.parametrize("seed", range(40))
def test_matrices(seed):
    rng = np.random.default_rng(1000 + seed)
    rows = stream(seed, whole=seed % 2 == 0)
    log = log_of(rows)
    has_return = "return" in log.event_names
    for duplicates in ("sum", "max", "last", "binary"):
        weights = {n: float(rng.integers(0, 4)) for n in log.event_names} if rng.random() < .5 else None
        half_life = [None, 0.01, 3.0, 1000.0][rng.integers(4)]
        returns = "return" if has_return and rng.random() < .5 else None
        negative = bool(rng.random() < .5)
        now = START + 100 * DAY if rng.random() < .5 else max(r[3] for r in rows)
        kw = {"event_weights": weights, "half_life_days": half_life, "now": now, "duplicates": duplicates, "return_event": returns,
              "negative_values": "cancel" if negative else "keep"}
        expected = plain_weights(rows, duplicates, weights, half_life, now, returns, negative)
        data = log.interactions(num_threads=int(rng.integers(1, 4)), **kw)
        found = data.user_items.tocoo()
        got = {(log.user_ids[u], int(log.item_ids[i])): float(w) for u, i, w in zip(found.row, found.col, found.data)}
        assert got.keys() == expected.keys(), kw
        for pair, w in expected.items():
            assert got[pair] == pytest.approx(w, rel=3e-6 if w == w else 0, abs=2e-6 if half_life is None else 0) or abs(w) < 1e-5, (pair, kw)
        columns = {n: [r[i] for r in rows] for i, n in enumerate(("user", "item", "event", "time", "value"))}
        once = Interactions.from_frame(columns, event="event", time="time", value="value", time_unit="ms", **kw)
        assert (once.user_items != data.user_items).nnz == 0


@pytest.mark.parametrize("seed", range(20))
def test_lists(seed):
    rows = stream(seed, whole=True)
    log = log_of(rows)
    users, sessions = {}, {}
    for place, row in enumerate(rows):
        users.setdefault(row[0], []).append((row[3], place, row[1]))
        sessions.setdefault((row[0], row[5]), []).append((row[3], place, row[1]))
    assert [[int(log.item_ids[i]) for i in x] for x in log.sequences()] == [[i for _, _, i in sorted(e)] for e in users.values()]
    found = log.sequences(by="session")
    assert [[int(log.item_ids[i]) for i in x] for x in found] == [[i for _, _, i in sorted(e)] for e in sessions.values()]
    assert [log.user_ids[u] for u in found.user_index] == [user for user, _ in sessions]
    cut = EventLog.from_frame({"user": [r[0] for r in rows], "item": [r[1] for r in rows], "time": [r[3] for r in rows]}, time="time", time_unit="ms")
    expected = []
    for events in users.values():
        events = sorted(events)
        expected.append([events[0][2]])
        for before, after in zip(events, events[1:]):
            if after[0] - before[0] > 2 * DAY:
                expected.append([])
            expected[-1].append(after[2])
    assert [[int(cut.item_ids[i]) for i in x] for x in cut.sequences(by="session", idle_minutes=2 * 24 * 60)] == expected


@pytest.mark.parametrize("seed", range(20))
def test_profiles(seed):
    rows = stream(seed, whole=True)
    log = log_of(rows)
    profiles = Profiles(value_is_amount=True).add(log)
    for index, user in enumerate(log.user_ids):
        mine = sorted((r for r in rows if r[0] == user), key=lambda r: r[3])
        bought = [r for r in mine if r[2] == "buy" and r[4] >= 0]
        returned = [r for r in mine if r[2] == "return" or (r[2] == "buy" and r[4] < 0)]
        p = profiles.user(index)
        assert (p.purchases, p.returns) == (len(bought), len(returned))
        assert p.orders == len({r[5] for r in bought})
        assert p.money == pytest.approx(sum(r[4] for r in bought) - sum(abs(r[4]) for r in returned))
        if bought:
            assert p.last_purchase == np.datetime64(bought[-1][3], "ms")


@pytest.mark.parametrize("seed", range(10))
def test_joined_parts_are_the_whole(seed):
    rows = stream(seed, whole=True)
    cut = len(rows) // 3
    parts = [log_of(r) for r in (rows[:cut], rows[cut:]) if r]
    whole, joined = log_of(rows), EventLog.concat(parts)
    for name in ("users", "items", "times", "values", "sessions"):
        assert getattr(joined, name).tolist() == getattr(whole, name).tolist()
    assert list(joined.user_ids) == list(whole.user_ids) and [joined.event_names[e] for e in joined.events] == [r[2] for r in rows]
