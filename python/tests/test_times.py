# SPDX-License-Identifier: Apache-2.0
"""A moment is one number of milliseconds, whatever type it comes in and whichever call it is given to."""

import datetime

import numpy as np
import pytest

import etalage
from etalage import EventLog
from etalage._times import to_ms

UTC = datetime.timezone.utc
PLUS2 = datetime.timezone(datetime.timedelta(hours=2))
MS = 1577934245006  # 2020-01-02T03:04:05.006Z
NS = MS * 10**6 + 999_999  # one nanosecond before the next millisecond


def same_moments():
    yield MS
    yield np.int64(MS)
    yield MS + 0.9
    yield "2020-01-02T03:04:05.006Z"
    yield "2020-01-02 05:04:05.0069 +02:00"
    yield datetime.datetime(2020, 1, 2, 3, 4, 5, 6999)
    yield datetime.datetime(2020, 1, 2, 5, 4, 5, 6999, tzinfo=PLUS2)
    yield np.datetime64(MS, "ms")
    yield np.datetime64(NS // 1000, "us")
    yield np.datetime64(NS, "ns")
    yield np.array(NS, "datetime64[ns]")


def test_every_type_gives_the_same_milliseconds_rounded_down():
    assert [to_ms(t) for t in same_moments()] == [MS] * 11
    before = datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999)
    assert to_ms(before) == to_ms(np.datetime64(before)) == to_ms(before.isoformat()) == to_ms(-0.001) == -1
    assert to_ms(np.datetime64(10**9 - 1, "ps")) == 0 and to_ms(np.datetime64(10**9, "ps")) == 1
    assert to_ms(np.datetime64(-1, "as")) == to_ms(np.datetime64(-1, "fs")) == to_ms(np.datetime64(-1, "ns")) == -1


@pytest.mark.parametrize("unit,text", [("Y", "2021-01-01"), ("M", "2021-05-01"), ("W", "2021-05-06"), ("D", "2021-05-09"), ("h", "2021-05-09T07"),
                                       ("m", "2021-05-09T07:08"), ("s", "2021-05-09T07:08:09"), ("ms", "2021-05-09T07:08:09.010")])
def test_datetime64_of_every_unit(unit, text):
    moment = np.datetime64(text, unit)
    expected = int((moment.astype("datetime64[ms]") - np.datetime64(0, "ms")).astype(int))
    assert to_ms(moment) == expected
    log = EventLog.from_frame({"user": [1, 1], "item": [1, 2], "time": np.array([moment, "NaT"], f"M8[{unit}]")}, time="time", on_error="skip")
    assert log.times.tolist() == [expected] and log.report.refusals == [(1, "time is missing")]
    mixed = EventLog.from_frame({"user": [1, 1], "item": [1, 2], "time": [moment, np.datetime64("NaT")]}, time="time", on_error="skip")
    assert mixed.times.tolist() == [expected] and mixed.report.refusals == [(1, "time is missing")]


@pytest.mark.parametrize("unit", ["Y", "M", "W", "D", "h", "m", "s", "ms", "us"])
@pytest.mark.parametrize("sign", [1, -1])
def test_datetime64_beyond_the_calendar_is_a_bad_row_and_never_wraps(unit, sign):
    far = sign * 2**62
    log = EventLog.from_frame({"user": [1, 1], "item": [1, 2], "time": np.array([far, 0], np.int64).view(f"M8[{unit}]")}, time="time", on_error="skip")
    assert log.times.tolist() == [0] and log.report.rows_refused == 1
    with pytest.raises(ValueError, match="now is .* must be in the years 1 to 9999"):
        to_ms(np.int64(far).view(f"M8[{unit}]"))


def test_pandas_and_pyarrow_moments():
    pd = pytest.importorskip("pandas")
    assert to_ms(pd.Timestamp(NS)) == to_ms(pd.Timestamp(NS, tz="UTC").tz_convert("Asia/Tokyo")) == MS
    assert to_ms(pd.Timestamp("2500-01-01")) == 16725225600000
    assert to_ms(pd.Period("2020-01", "M")) == 1577836800000
    for bad in (pd.NaT, pd.NA):
        with pytest.raises(ValueError, match="at is (NaT|<NA>), must be a moment"):
            to_ms(bad, "at")
    pa = pytest.importorskip("pyarrow")
    assert to_ms(pa.scalar(NS, pa.timestamp("ns"))) == MS
    assert to_ms(pa.scalar(datetime.date(2020, 1, 2))) == 1577923200000


@pytest.mark.parametrize("bad,error", [(np.datetime64("NaT"), ValueError), (float("nan"), ValueError), (float("inf"), ValueError), ("soon", ValueError),
                                       ("2020-13-01", ValueError), ("\ud800", ValueError), (True, TypeError), (None, TypeError), ([1], TypeError), (b"2020-01-01", TypeError),
                                       (10**15, ValueError)])
def test_what_is_no_moment_is_refused_by_name(bad, error):
    with pytest.raises(error, match="at is "):
        to_ms(bad, "at")


def test_one_event_has_one_time_in_logs_and_in_an_engine():
    engine = etalage.serving.Engine()
    for moment in same_moments():
        log = EventLog.from_frame({"user": ["u"], "item": ["i"], "time": [moment]}, time="time", time_unit="ms")
        engine.now = moment
        engine.observe("u", "i", "purchase", time=moment)
        assert log.times.tolist() == [MS] and engine.now == np.datetime64(MS, "ms")
        assert {t for _, _, t in engine.user("u")["history"]} == {MS}
    for bad in (np.datetime64("NaT"), float("nan"), "soon"):
        with pytest.raises(ValueError, match="time is "):
            engine.observe("u", "i", "purchase", time=bad)
        with pytest.raises(ValueError, match="time is "):
            engine.now = bad


def test_every_call_that_takes_a_moment_takes_the_same():
    frame = {"user": ["u", "u"], "item": ["a", "b"], "time": [MS - 86400000, MS]}
    log = EventLog.from_frame(frame, time="time", time_unit="ms")
    for moment in same_moments():
        assert log.interactions(half_life_days=1, now=moment).user_items.data.tolist() == [0.5, 1]
        assert len(etalage.evaluation.split.temporal(log, at=moment).test) == 1
        assert etalage.profile.Profiles().add(log).user(0, now=moment).recency_days == 0
    for call, name in ((lambda t: log.interactions(half_life_days=1, now=t), "now"), (lambda t: etalage.evaluation.split.temporal(log, at=t), "at")):
        with pytest.raises(ValueError, match=f"{name} is NaT"):
            call(np.datetime64("NaT"))


# ---- integer times in the wrong unit


@pytest.mark.parametrize("true,given", [("s", "ms"), ("s", "us"), ("s", "ns"), ("ms", "us"), ("ms", "ns"), ("us", "ns")])
@pytest.mark.parametrize("dtype", [np.int64, np.float64, str])
def test_times_in_a_finer_unit_than_their_own_are_refused(true, given, dtype):
    counts = (np.datetime64("2021-03-04T05:06:07", true) + np.arange(40) * np.timedelta64(7000, "s")).astype(np.int64)
    frame = {"user": np.arange(40), "item": np.arange(40), "time": counts.astype(dtype)}
    for how in ("raise", "skip"):
        with pytest.raises(ValueError, match=f"column 'time' counts {given} by time_unit.*time_unit='{true}' puts them after 1990"):
            EventLog.from_frame(frame, time="time", time_unit=given, on_error=how)
    log = EventLog.from_frame(frame, time="time", time_unit=true)
    assert log.times[0] == 1614834367000
    # Given as timestamps they are what they say.
    if dtype is np.int64:
        early = EventLog.from_frame({**frame, "time": counts.view(f"M8[{given}]")}, time="time")
        assert early.times.max() < 60 * 86400000


def test_times_in_a_coarser_unit_say_that_the_unit_may_be_wrong():
    with pytest.raises(ValueError, match=r"must be in the years 1 to 9999 \(is time_unit right\?\)"):
        EventLog.from_frame({"user": [1], "item": [1], "time": [1614834367000000]}, time="time", time_unit="ms")


def test_a_few_odd_times_and_clocks_that_begin_at_zero_are_read():
    for times in ([0, 1, 2], [0, 86400000 * 5, 86400000 * 10], [MS, MS, 0], [MS] * 50 + [MS // 1000]):
        log = EventLog.from_frame({"user": times, "item": times, "time": times}, time="time", time_unit="ms")
        assert log.times.tolist() == times


def test_pandas_astype_int64_in_the_wrong_unit():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"user": [1, 2], "item": [1, 2], "time": pd.to_datetime(["2024-05-01", "2024-05-02"]).as_unit("us").astype("int64")})
    with pytest.raises(ValueError, match="time_unit='us'"):
        EventLog.from_frame(frame, time="time", time_unit="ns")


def test_csv_times_in_the_wrong_unit(tmp_path):
    path = tmp_path / "e.csv"
    path.write_text("user,item,time\na,x,1614834367\nb,x,1614834368\n")
    with pytest.raises(ValueError, match="time_unit='s'"):
        EventLog.from_csv(path, time="time", time_unit="ms")
    assert EventLog.from_csv(path, time="time", time_unit="s").times[0] == 1614834367000
