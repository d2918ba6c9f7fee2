# SPDX-License-Identifier: Apache-2.0
"""Lists of users and sessions, from events and as they are given."""

import numpy as np
import pytest

from etalage import EventLog, Sequences
from small_logs import log_of


def test_sequences_by_user():
    log = log_of([("u", "a", 3), ("v", "b", 1), ("u", "b", 1), ("u", "a", 1), ("u", "c", 3)], ("user", "item", "time"))
    s = log.sequences(by="user", idle_minutes=30)
    assert len(s) == 2 and [log.item_ids[i] for i in s[0]] == ["b", "a", "a", "c"] and s[1].tolist() == [1]
    assert s.times.tolist() == [1, 1, 3, 3, 1] and s.user_index is None


def test_sequences_by_session():
    minute = 60000
    rows = [("u", "a", 0), ("u", "b", 30 * minute), ("u", "c", 61 * minute), ("v", "a", 5)]
    s = log_of(rows, ("user", "item", "time")).sequences(by="session", idle_minutes=30)
    assert [x.tolist() for x in s] == [[0, 1], [2], [0]] and s.user_index.tolist() == [0, 0, 1]
    columns = {"user": [1, 1, 1, 2], "item": [5, 6, 5, 5], "session": ["q", "p", "q", "q"]}
    s = EventLog.from_frame(columns, session="session").sequences(by="session")
    assert [x.tolist() for x in s] == [[0, 0], [1], [0]] and s.user_index.tolist() == [0, 0, 1]
    with pytest.raises(ValueError, match="needs a time or a session column"):
        log_of([(1, 1)], ("user", "item")).sequences(by="session")
    with pytest.raises(ValueError, match="idle_minutes is -1"):
        log_of(rows, ("user", "item", "time")).sequences(by="session", idle_minutes=-1)
    with pytest.raises(ValueError, match="by is 'day'"):
        log_of(rows, ("user", "item", "time")).sequences(by="day")


def test_session_keys_that_repeat_between_users():
    columns = {"user": ["u", "v", "u", "v", "u"], "item": ["a", "b", "c", "d", "e"], "session": [1, 1, 1, 2, 2], "time": [5, 1, 3, 2, 9]}
    for threads in (1, 4):
        log = EventLog.from_frame(columns, session="session", time="time", time_unit="ms", num_threads=threads)
        s = log.sequences(by="session")
        assert [[log.item_ids[i] for i in x] for x in s] == [["c", "a"], ["b"], ["d"], ["e"]] and s.user_index.tolist() == [0, 1, 1, 0]
    rng = np.random.default_rng(5)
    n = 20000
    columns = {"user": rng.integers(0, 300, n), "item": rng.integers(0, 50, n), "session": rng.integers(0, 40, n), "time": rng.permutation(n)}
    log = EventLog.from_frame(columns, session="session", time="time", time_unit="ms")
    expected = {}
    for row in range(n):
        expected.setdefault((log.users[row], columns["session"][row]), []).append(row)
    s = log.sequences(by="session")
    assert len(s) == len(expected)
    for (user, _), rows, items, whose in zip(expected, expected.values(), s, s.user_index):
        assert whose == user and items.tolist() == [log.items[r] for r in sorted(rows, key=lambda r: columns["time"][r])]


def test_sequences_are_checked():
    s = Sequences([0, 2, 2, 3], [4, 4, 1], times=None)
    assert len(s) == 3 and s[0].tolist() == [4, 4] and s[1].tolist() == [] and s[-1].tolist() == [1] and s.num_items == 5
    for args, text in [(([0, 3], [1]), "offsets runs from 0 to 3"), (([0, 1], [-1]), "items holds -1"), (([1, 1], [1]), "offsets"),
                       (([0, 2, 1, 2], [1, 1]), "offsets decreases"), (([0, 1], [1], [1, 2]), "times has 2 entries")]:
        with pytest.raises(ValueError, match=text):
            Sequences(*args)
    with pytest.raises(TypeError):
        Sequences([0, 1], [1.5])
    with pytest.raises(IndexError):
        s[3]
