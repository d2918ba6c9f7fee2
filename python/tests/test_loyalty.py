# SPDX-License-Identifier: Apache-2.0
import datetime

import numpy as np
import pytest

from etalage.marketing import lifetime, loyalty
from etalage.marketing.loyalty import Tier

DAY = np.datetime64("2024-01-01", "D")


def test_tiers_are_those_of_every_day_looked_at_one_by_one():
    rng = np.random.default_rng(0)
    ladder = [Tier("silver", amount=60, window_days=30, hold_days=20), Tier("gold", amount=120, purchases=4, window_days=40, hold_days=25), Tier("black", amount=400, window_days=None, hold_days=50)]
    who, day, amount = rng.integers(0, 12, 400), rng.integers(0, 200, 400), rng.uniform(-5, 30, 400).round(2)
    for at in (0, 37, 90, 150, 199, 230):
        got = loyalty.tiers(who, DAY + day, amount, ladder, DAY + at)
        for c in range(12):
            held = {}
            for t in ladder:
                earned = []
                for d in range(at + 1):
                    rows = (who == c) & (day <= d) & (day > (d - t.window_days if t.window_days else -1))
                    # earned by a purchase, not by one leaving the window
                    if ((who == c) & (day == d)).any() and amount[rows].sum() >= t.amount and (amount[rows] > 0).sum() >= t.purchases:
                        earned.append(d)
                days = {d + h for d in earned for h in range(t.hold_days)}
                if at in days:
                    since = at
                    while since - 1 in days:
                        since -= 1
                    held[t.name] = (since, max(earned) + t.hold_days - 1)
            name = next((t.name for t in reversed(ladder) if t.name in held), None)
            i = got["customer"].tolist().index(c)
            assert got["tier"][i] == name
            if name:
                assert (got["since"][i], got["until"][i]) == (DAY + held[name][0], DAY + held[name][1])


def test_what_is_missing_for_the_next_tier():
    got = loyalty.tiers(["a", "b", "b"], ["2024-01-01"] * 3, [30, 60, 70], [Tier("s", amount=50), Tier("g", amount=200)], "2024-01-02")
    assert got["tier"].tolist() == [None, "s"] and got["missing"].tolist() == [20, 70]
    later = loyalty.tiers(["a"], ["2024-03-01"], [30], [Tier("s", amount=50)], datetime.date(2024, 1, 2))  # bought after the day asked for
    assert later["tier"].tolist() == [None] and np.isnat(later["since"][0])


def test_points_first_in_first_out():
    got = loyalty.points_liability(["a", "a", "a", "b"], ["2024-01-01", "2024-01-05", "2024-01-11", "2024-01-20"], [100, 50, -120, 10], 30, 0.01, "2024-01-21")
    assert got["outstanding"] == 40 and got["redeemed"] == 120 and got["expired"] == 0
    assert got["by_age"]["age_days"].tolist() == [1, 16] and got["by_age"]["outstanding"].tolist() == [10, 30]
    # At age 6: 20 of the 50 that reached it; at age 10: 100 of 130; nothing is known to be redeemed later.
    assert got["by_age"]["redeem_share"] == pytest.approx([1 - (1 - 20 / 150) * (1 - 100 / 130), 0])
    assert got["liability"] == pytest.approx(0.01 * 10 * got["by_age"]["redeem_share"][0])
    late = loyalty.points_liability(["a", "a"], ["2024-01-01", "2024-01-05"], [100, -40], 30, 0.01, "2024-02-01")
    assert late["outstanding"] == 0 and late["expired"] == 60 and late["liability"] == 0
    with pytest.raises(ValueError, match="customer 'a' on 2024-01-31 redeem 1 more than they had"):
        loyalty.points_liability(["a", "a"], ["2024-01-01", "2024-01-31"], [100, -1], 30, 0.01, "2024-02-01")  # on day 30 they are gone


def test_the_liability_is_what_gets_redeemed():
    """Redemption at a daily chance of 2 % for 100 days: of a point of age d the share 1 - .98^(99 - d) comes."""
    rng = np.random.default_rng(2)
    rows = []
    for c in range(4000):
        start, wait = int(rng.integers(0, 300)), int(rng.geometric(0.02))
        rows.append((c, start, 10.0))
        if wait < 100:
            rows.append((c, start + wait, -10.0))
    who, day, points = map(np.array, zip(*rows))
    got = loyalty.points_liability(who, DAY + day, points, 100, 1.0, DAY + 250)
    truth = -points[(points < 0) & (day > 250) & (np.isin(who, who[(day <= 250) & (points > 0)]))].sum()
    assert got["liability"] == pytest.approx(truth, rel=0.06)
    assert got["liability"] < 0.85 * got["undiscounted_maximum"]


@pytest.mark.parametrize("model", [lifetime.MBGNBD().set_fitted({"r": 0.8, "alpha": 5, "a": 0.8, "b": 2.5}),
                                   lifetime.MBGCNBD(k=2).set_fitted({"r": 1.5, "alpha": 8, "a": 0.9, "b": 3.0})])
def test_signs_of_leaving(model):
    s = lifetime.summarize_events(["a"] * 9 + ["b", "b", "c"], [*range(0, 18, 2), 0.0, 30.0, 35.0], until=40.0)
    got = loyalty.early_signs(model, s)
    row = {c: i for i, c in enumerate(got["customer"].tolist())}
    assert got["sign"][row["a"]] and not got["sign"][row["b"]] and not got["sign"][row["c"]]
    assert got["silence"][row["a"]] == 24
    assert (np.diff(got["at_stake"]) <= 0).all()
    # By simulation of the rate given the purchases.
    rng = np.random.default_rng(0)
    k = int(model.params_.get("k", 1))
    rate = rng.gamma(model.params_["r"] + k * 8, 1 / (model.params_["alpha"] + 16), 400000)
    silent = np.exp(-rate * 24) * (1 if k == 1 else 1 + rate * 24)
    assert got["chance_of_silence"][row["a"]] == pytest.approx(silent.mean(), rel=0.05)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="tier 'x' has amount 0.0 and purchases 0"):
        Tier("x")
    with pytest.raises(ValueError, match="hold_days 0"):
        Tier("x", amount=1, hold_days=0)
    with pytest.raises(TypeError, match="time holds numbers"):
        loyalty.tiers(["a"], [1.0], [1], [Tier("s", amount=1)], "2024-01-01")
    with pytest.raises(ValueError, match=r"amount\[0\] is nan"):
        loyalty.tiers(["a"], ["2024-01-01"], [np.nan], [Tier("s", amount=1)], "2024-01-01")
    with pytest.raises(ValueError, match="ladder"):
        loyalty.tiers(["a"], ["2024-01-01"], [1], [], "2024-01-01")
    with pytest.raises(ValueError, match="amount has 2 entries, must have 1"):
        loyalty.tiers(["a"], ["2024-01-01"], [1, 2], [Tier("s", amount=1)], "2024-01-01")
    with pytest.raises(ValueError, match="expire_days is 0"):
        loyalty.points_liability(["a"], ["2024-01-01"], [1], 0, 1.0, "2024-01-01")
    assert loyalty.points_liability([], [], [], 9, 1.0, "2024-01-01")["liability"] == 0
    assert len(loyalty.tiers([], [], [], [Tier("s", amount=1)], "2024-01-01")["customer"]) == 0
