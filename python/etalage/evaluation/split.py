# SPDX-License-Identifier: Apache-2.0
"""Cutting a record into train, valid and test over one id space.

A (user, item) pair leaves train with all of its events unless said otherwise: a view that stays behind while the purchase
it led to is in test would give the answer away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Sequence

import numpy as np

from .. import _core
from .._arrays import real_number, whole_number
from .._times import to_ms

__all__ = ["Split", "leave_last_out", "random_holdout", "rolling", "tail_holdout", "temporal"]


@dataclass(frozen=True)
class Split:
    """Three parts of the type that was split, over the same users and items. `valid` is empty where none was asked for."""

    train: Any
    valid: Any
    test: Any

    def __iter__(self):
        return iter((self.train, self.valid, self.test))


def leave_last_out(log, valid: bool = True, keep_repeats: bool = False, target_events: Sequence[str] | None = None) -> Split:
    """The last item of each user is test, the last other one before it valid; one item at least stays in train.

    keep_repeats holds out the last row alone and leaves earlier rows of its item in train. target_events names the event
    types that may be held out, for example ("purchase",); None means any. Without times the order of the rows counts.
    """
    if isinstance(target_events, str):
        raise TypeError(f"target_events is {target_events!r}, must be a list of event types")
    return Split(*_core.leave_last_out(_log(log), bool(valid), bool(keep_repeats), list(target_events or ())))


def temporal(log, at, valid_at=None) -> Split:
    """Rows before `at` are train, the others test; rows from `valid_at` on, if given, are valid.

    Moments are datetimes (naive ones are UTC), numpy datetimes, ISO text or integer milliseconds UTC.
    """
    return Split(*_core.temporal_split(_log(log), to_ms(at, "at"), None if valid_at is None else to_ms(valid_at, "valid_at")))


def rolling(log, folds: int = 4, test_days: float = 28.0, *, train_days: float | None = None, end=None) -> list[Split]:
    """Folds that walk through time, oldest first: each tests on the test_days behind its train part.

    folds       how many; their test parts lie one behind the other and end with the log
    test_days   length of a test part; > 0
    train_days  how far back a train part reaches; None means to the log's begin
    end         where the last test part ends, a moment as in temporal(); None means behind the log's newest event

    ValueError where a fold has no events to train or to test on. evaluation.compare_folds() takes the folds.
    """
    log = _log(log)
    if log.times is None:
        raise ValueError("log has no times, must have them for folds in time")
    folds = whole_number(folds, "folds")
    if not 1 <= folds <= 10_000:
        raise ValueError(f"folds is {folds!r}, must be an integer in [1, 10000]")
    for name, days in (("test_days", test_days), ("train_days", train_days)):
        if days is not None and not (isinstance(days, (int, float, np.number)) and 0 < days < 1e6):
            raise ValueError(f"{name} is {days!r}, must be a number > 0")
    times = np.asarray(log.times)
    stop = (int(times.max()) + 1 if len(times) else 0) if end is None else to_ms(end, "end")
    length = round(test_days * 86_400_000)
    out = []
    for i in range(folds):
        begin = stop - (folds - i) * length
        known = times < begin
        if train_days is not None:
            known &= times >= begin - round(train_days * 86_400_000)
        tested = (times >= begin) & (times < begin + length)
        for name, part in (("train", known), ("test", tested)):
            if not part.any():
                raise ValueError(f"fold {i + 1} of {folds} has no events in its {name} part, which {'ends' if name == 'train' else 'begins'} at "
                                 f"{np.datetime64(begin, 'ms')}: take fewer folds or another test_days")
        out.append(Split(log.filtered(known), log.filtered(np.zeros(len(times), bool)), log.filtered(tested)))
    return out


def random_holdout(data, share: float = 0.2, seed: int = 42, valid_share: float = 0.0) -> Split:
    """Each (user, item) pair goes to test with probability `share` and to valid with `valid_share`.

    Takes an EventLog, Interactions or a scipy CSR and gives back the same type. Decided by a hash of seed, user and item, so
    a log and the matrix made from it are cut alike.
    """
    seed = whole_number(seed, "seed", bits=64, signed=False)
    share, valid_share = real_number(share, "share"), real_number(valid_share, "valid_share")
    if isinstance(data, (_core.EventLog, _core.Interactions)):
        parts = _core.random_holdout(data, share, seed, valid_share)
        if isinstance(data, _core.Interactions) and data.recipe is not None:
            for part in parts:
                part._recipe = data.recipe
        return Split(*parts)
    parts = _core.random_holdout(_core.Interactions.from_csr(data), share, seed, valid_share)
    return Split(*(p.user_items for p in parts))


def tail_holdout(log, share: float = 0.2, valid_share: float = 0.0) -> Split:
    """The last `share` of each user's distinct items is test (rounded down), the `valid_share` before it valid."""
    return Split(*_core.tail_holdout(_log(log), real_number(share, "share"), real_number(valid_share, "valid_share")))


def _log(log):
    if not isinstance(log, _core.EventLog):
        raise TypeError(f"log is a {type(log).__name__}, must be an etalage.EventLog (EventLog.from_frame makes one)")
    return log
