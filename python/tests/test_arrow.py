# SPDX-License-Identifier: Apache-2.0
"""Frames of every maker and column type give the same log."""

import datetime
import sys

import numpy as np
import pytest

import etalage

pa = pytest.importorskip("pyarrow")

USERS = ["ann", "bob", None, "a key that is longer than sixteen bytes", "bob", "ann"]
ITEMS = ["x", "y", "x", "z", "x", "y"]


def skipping(frame, **kw):
    return etalage.EventLog.from_frame(frame, on_error="skip", **kw)


def check_strings(frame):
    log = skipping(frame)
    assert list(log.user_ids) == ["ann", "bob", "a key that is longer than sixteen bytes"]
    assert log.users.tolist() == [0, 1, 2, 1, 0]
    assert list(log.item_ids) == ["x", "y", "z"]
    assert log.items.tolist() == [0, 1, 2, 0, 1]
    assert log.report.refusals == [(2, "user is missing")]


STRING_TYPES = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string()),
                pa.dictionary(pa.uint32(), pa.large_string()), pa.dictionary(pa.int64(), pa.string())]


@pytest.mark.parametrize("type", STRING_TYPES, ids=str)
def test_strings(type):
    users = pa.array(USERS).cast(type) if type != pa.string_view() else pa.array(USERS, type)
    items = pa.array(ITEMS).cast(type) if type != pa.string_view() else pa.array(ITEMS, type)
    check_strings(pa.table({"user": users, "item": items}))


@pytest.mark.parametrize("type", STRING_TYPES, ids=str)
def test_slices_and_chunks_of_strings(type):
    def chunked(values):
        padded = pa.array(["junk", None] + values + ["tail"])
        padded = padded.cast(type) if type != pa.string_view() else pa.array(["junk", None] + values + ["tail"], type)
        return pa.chunked_array([padded.slice(2, 1), padded.slice(3, 0), padded.slice(3, 3), padded.slice(6, 2)])

    check_strings(pa.table({"user": chunked(USERS), "item": chunked(ITEMS)}))


def test_sliced_batches_with_an_offset():
    table = pa.table({"user": ["q"] + USERS, "item": ["q"] + ITEMS, "value": pa.array(np.arange(7), pa.float32())})
    log = skipping(table.slice(1), value="value")
    assert log.values.tolist() == [1, 2, 4, 5, 6]
    check_strings(table.slice(1))


def test_chunks_with_dictionaries_of_their_own():
    first = pa.DictionaryArray.from_arrays(pa.array([1, 0, None], pa.int32()), ["b", "a"])
    second = pa.DictionaryArray.from_arrays(pa.array([2, 1, 0], pa.int32()), ["b", None, "c"])
    user = pa.chunked_array([first, second])
    log = skipping(pa.table({"user": user, "item": pa.array(range(6))}))
    assert list(log.user_ids) == ["a", "b", "c"]
    assert log.users.tolist() == [0, 1, 2, 1]
    assert [r[0] for r in log.report.refusals] == [2, 4]


@pytest.mark.parametrize("type", [pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64(),
                                  pa.float32(), pa.float64(), pa.dictionary(pa.int16(), pa.int64())], ids=str)
def test_integer_keys(type):
    keys = pa.array([7, None, 100, 7])
    keys = keys.dictionary_encode().cast(type) if pa.types.is_dictionary(type) else keys.cast(type)
    log = skipping(pa.table({"user": keys, "item": keys}))
    assert log.user_ids.dtype == np.int64 and log.user_ids.tolist() == [7, 100]
    assert log.users.tolist() == [0, 1, 0]
    assert log.user_index([100, 8, 7]).tolist() == [1, -1, 0]


def test_numbers_that_are_no_keys_are_refused():
    log = skipping(pa.table({"user": pa.array([1.0, 2.5, float("nan"), 2.0**60]), "item": [1, 2, 3, 4]}))
    assert log.users.tolist() == [0]
    assert [r[1] for r in log.report.refusals][0] == "user is 2.5, must be a 64-bit integer"
    log = skipping(pa.table({"user": pa.array([2**63, 5], pa.uint64()), "item": [1, 2]}))
    assert log.user_ids.tolist() == [5] and "9223372036854775808" in log.report.refusals[0][1]


@pytest.mark.parametrize("type", [pa.bool_(), pa.int8(), pa.uint16(), pa.int64(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(),
                                  pa.string()], ids=str)
def test_values(type):
    numbers = np.array([1, 0, 1], np.float16) if type == pa.float16() else [1, 0, 1]
    column = pa.array(numbers, pa.float16()) if type == pa.float16() else pa.array(numbers).cast(type)
    log = etalage.EventLog.from_frame(pa.table({"user": [1, 1, 2], "item": [1, 2, 3], "value": column}), value="value")
    assert log.values.dtype == np.float32 and log.values.tolist() == [1, 0, 1]


def test_values_that_are_not_finite_are_refused():
    values = pa.array([1.0, float("nan"), float("inf"), None, 1e300])
    log = skipping(pa.table({"user": [1] * 5, "item": [1] * 5, "value": values}), value="value")
    assert log.values.tolist() == [1.0]
    reasons = [r[1] for r in log.report.refusals]
    assert reasons[0] == "value is nan, must be a finite number" and reasons[2] == "value is missing"
    assert log.report.rows_refused == 4 and log.report.rows_read == 5


MOMENT = datetime.datetime(2020, 2, 29, 12, 30, 15, tzinfo=datetime.timezone.utc)
MOMENT_MS = 1582979415000


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Paris", "+05:30"])
def test_timestamps(unit, zone):
    column = pa.array([MOMENT_MS, None], pa.timestamp("ms")).cast(pa.timestamp(unit)).cast(pa.timestamp(unit, zone))
    if zone not in (None, "UTC"):  # the same moment, shown in another zone
        column = pa.array([MOMENT_MS, None], pa.timestamp("ms", "UTC")).cast(pa.timestamp(unit, zone))
    log = skipping(pa.table({"user": [1, 2], "item": [1, 2], "time": column}), time="time")
    assert log.times.tolist() == [MOMENT_MS]
    assert log.report.refusals == [(1, "time is missing")]


def test_times_before_1970_round_down():
    column = pa.array([-1], pa.timestamp("us"))
    log = etalage.EventLog.from_frame(pa.table({"user": [1], "item": [1], "time": column}), time="time")
    assert log.times.tolist() == [-1]


@pytest.mark.parametrize("type", [pa.date32(), pa.date64()], ids=str)
def test_dates(type):
    column = pa.array([datetime.date(1970, 1, 2), datetime.date(1969, 12, 31)], type)
    log = etalage.EventLog.from_frame(pa.table({"user": [1, 2], "item": [1, 2], "time": column}), time="time")
    assert log.times.tolist() == [86400000, -86400000]


@pytest.mark.parametrize("type", [pa.int32(), pa.int64(), pa.uint64(), pa.float64()], ids=str)
def test_numbers_of_a_unit(type):
    table = pa.table({"user": [1], "item": [1], "time": pa.array([1582979415]).cast(type)})
    assert etalage.EventLog.from_frame(table, time="time", time_unit="s").times.tolist() == [MOMENT_MS]
    with pytest.raises(ValueError, match="time_unit is not given"):
        etalage.EventLog.from_frame(table, time="time")


def test_a_wrong_unit_is_noticed():
    table = pa.table({"user": [1], "item": [1], "time": [MOMENT_MS]})
    with pytest.raises(ValueError, match=r"row 0: time is 1582979415000 s, must be in the years 1 to 9999 \(is time_unit right"):
        etalage.EventLog.from_frame(table, time="time", time_unit="s")


def test_text_times():
    texts = ["2020-02-29T12:30:15Z", "2020-02-29 13:30:15+01:00", "2020-02-29 12:30:15", "2020-02-29T12:30:15.000999999Z", "2020-02-30"]
    log = skipping(pa.table({"user": [1] * 5, "item": [1] * 5, "time": texts}), time="time")
    assert log.times.tolist() == [MOMENT_MS] * 4
    assert "'2020-02-30', must be an ISO-8601 time" in log.report.refusals[0][1]


def test_numeric_columns_are_copied():
    # pa.array() of a numpy array shares its memory, which somebody may go on writing to.
    values = np.ones(1000, np.float32)
    times = np.arange(1000, dtype=np.int64)
    table = pa.table({"user": np.arange(1000), "item": np.arange(1000), "value": pa.array(values), "time": pa.array(times, pa.timestamp("ms"))})
    log = etalage.EventLog.from_frame(table, value="value", time="time")
    expected = times.sum()
    values[:] = 7
    times[:] = 0
    assert log.times.sum() == expected and log.values.sum() == 1000
    assert not log.values.flags.writeable


def test_a_dict_of_arrays_is_copied():
    values = np.ones(3, np.float32)
    log = etalage.EventLog.from_frame({"user": [1, 2, 3], "item": [1, 2, 3], "value": values}, value="value")
    values[:] = np.nan
    assert log.values.tolist() == [1, 1, 1]


def test_polars():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"user": USERS, "item": ITEMS, "time": [MOMENT] * 6, "unused": [[1]] * 6})
    check_strings(frame)
    check_strings(pl.concat([frame[:2], frame[2:]], rechunk=False))
    check_strings(frame.with_columns(pl.col("user").cast(pl.Categorical), pl.col("item").cast(pl.Enum(["z", "y", "x"]))))
    assert skipping(frame, time="time").times.tolist() == [MOMENT_MS] * 5
    zoned = frame.with_columns(pl.col("time").dt.convert_time_zone("Asia/Tokyo"))
    assert skipping(zoned, time="time").times.tolist() == [MOMENT_MS] * 5


def pandas_frame():
    pd = pytest.importorskip("pandas")
    return pd.DataFrame({"user": USERS, "item": ITEMS, "time": pd.to_datetime([MOMENT] * 6), "value": [1, 2, 3, 4, 5, 6]})


def test_pandas():
    frame = pandas_frame()
    check_strings(frame)
    check_strings(frame.astype({"user": object, "item": "category"}))
    log = skipping(frame, time="time", value="value")
    assert log.times.tolist() == [MOMENT_MS] * 5 and log.values.tolist() == [1, 2, 4, 5, 6]


def test_pandas_without_pyarrow(monkeypatch):
    pd = pytest.importorskip("pandas")
    frame = pandas_frame()
    frame["nullable"] = pd.array([1, None, 3, 4, 5, 6], dtype="Int64")
    frame["naive"] = frame["time"].dt.tz_localize(None)
    monkeypatch.delattr(pd.DataFrame, "__arrow_c_stream__")
    check_strings(frame)
    check_strings(frame.astype({"user": object, "item": "category"}))
    for time in ("time", "naive"):
        assert skipping(frame, time=time).times.tolist() == [MOMENT_MS] * 5
    assert skipping(frame, user="nullable", item="value").user_ids.tolist() == [1, 3, 4, 5, 6]


def test_duckdb():
    duckdb = pytest.importorskip("duckdb")
    events = pa.table({"user": USERS, "item": ITEMS, "time": pa.array([MOMENT_MS] * 6, pa.timestamp("ms"))})
    relation = duckdb.from_arrow(events)
    if not hasattr(relation, "__arrow_c_stream__"):
        relation = relation.fetch_arrow_reader(2)
    log = skipping(relation, time="time")
    assert log.times.tolist() == [MOMENT_MS] * 5 and list(log.item_ids) == ["x", "y", "z"]


def test_record_batch_reader_is_read_in_pieces():
    batches = pa.table({"user": USERS, "item": ITEMS}).to_batches(max_chunksize=2)
    check_strings(pa.RecordBatchReader.from_batches(batches[0].schema, iter(batches)))


def test_a_reader_that_fails_says_so():
    schema = pa.schema([("user", pa.string()), ("item", pa.string())])

    def batches():
        yield pa.record_batch({"user": ["a"], "item": ["b"]}, schema=schema)
        raise OSError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        etalage.EventLog.from_frame(pa.RecordBatchReader.from_batches(schema, batches()))


def test_unreadable_types_are_named():
    for column, text in [(pa.array([[1]]), "Arrow format '\\+l'"), (pa.array([b"x"]), "Arrow format 'z'"),
                         (pa.array([True]), "is of type bool, keys must be")]:
        with pytest.raises(ValueError, match=text):
            etalage.EventLog.from_frame(pa.table({"user": column, "item": [1]}))
    with pytest.raises(ValueError, match="must hold record batches"):
        class Stream:
            def __arrow_c_stream__(self, requested_schema=None):
                return pa.chunked_array([["a"]]).__arrow_c_stream__(requested_schema)
        etalage.EventLog.from_frame(Stream())


def test_a_frame_of_nulls_only_keeps_nothing():
    log = skipping(pa.table({"user": pa.nulls(3), "item": [1, 2, 3]}))
    assert len(log) == 0 and log.report.rows_refused == 3


def test_an_empty_frame():
    for type in (pa.string(), pa.int64(), pa.dictionary(pa.int32(), pa.string())):
        log = etalage.EventLog.from_frame(pa.table({"user": pa.array([], type), "item": pa.array([], type)}))
        assert len(log) == 0 and log.num_users == 0
        assert log.interactions().user_items.shape == (0, 0) and len(log.sequences()) == 0


@pytest.mark.parametrize("kind", ["strings", "long strings", "integers", "dictionary"])
def test_numbering_does_not_depend_on_threads(kind):
    rng = np.random.default_rng(1)
    numbers = rng.integers(0, 60000, 300000)
    keys = numbers if kind == "integers" else np.char.add("a rather long prefix " if kind == "long strings" else "k", numbers.astype(str))
    column = pa.array(keys)
    if kind == "dictionary":
        column = column.dictionary_encode()
    table = pa.table({"user": column, "item": pa.array(numbers % 97)})
    one = etalage.EventLog.from_frame(table, num_threads=1)
    _, first = np.unique(numbers, return_index=True)
    order = numbers[np.sort(first)]
    expected = order if kind == "integers" else [str(k) for k in keys[np.sort(first)]]
    assert list(one.user_ids) == list(expected)
    assert (np.asarray(order)[one.users] == numbers).all()
    for threads in (2, 3, 8):
        log = etalage.EventLog.from_frame(table, num_threads=threads)
        assert (log.users == one.users).all() and (log.user_ids == one.user_ids).all()
