# SPDX-License-Identifier: Apache-2.0
"""Odd but valid frames are read, what cannot be read is refused by column, row and rule, and a bad row is never more than a row."""

import datetime
import decimal
import uuid

import numpy as np
import pytest

import etalage
from etalage import Catalog, EventLog

D = decimal.Decimal
BIG = 2**53 + 1  # an integer that floats cannot hold


def read(columns, **kw):
    return EventLog.from_frame(columns, on_error="skip", **kw)


# ---- frame libraries, one by one


def by_library(name, third_item=7):
    """The same four rows from every library."""
    keys, items, times, values = ["a", "b", None, "a"], [7, 8, third_item, BIG], ["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-04"], [1.5, 2.0, 3.0, 4.0]
    columns = {"user": keys, "item": items, "time": times, "value": values}
    if name == "dict":
        return columns
    if name == "numpy":
        return {"user": np.array(keys, object), "item": np.array(items), "time": np.array(times, "M8[D]"), "value": np.array(values)}
    if name == "pandas":
        pd = pytest.importorskip("pandas")
        return pd.DataFrame({**columns, "time": pd.to_datetime(times)})
    if name == "pandas nullable":
        pd = pytest.importorskip("pandas")
        return pd.DataFrame({"user": pd.array(keys, "string"), "item": pd.array(items, "Int64"), "time": pd.to_datetime(times), "value": pd.array(values, "Float32")})
    if name == "pandas objects":
        pd = pytest.importorskip("pandas")
        return pd.DataFrame({**columns, "time": [datetime.datetime.fromisoformat(t) for t in times]}, dtype=object)
    if name == "polars":
        pl = pytest.importorskip("polars")
        return pl.DataFrame(columns).with_columns(pl.col("time").str.to_date())
    pa = pytest.importorskip("pyarrow")
    table = pa.table({**columns, "time": pa.array([datetime.date.fromisoformat(t) for t in times])})
    if name == "pyarrow":
        return table
    if name == "pyarrow batch":
        return table.to_batches()[0]
    if name == "pyarrow reader":
        return table.to_reader()
    if name == "duckdb":
        return pytest.importorskip("duckdb").connect().from_arrow(table)
    if name == "nanoarrow":
        return pytest.importorskip("nanoarrow").ArrayStream(table)
    if name == "ibis":
        return pytest.importorskip("ibis").memtable(table)
    if name == "datafusion":
        return pytest.importorskip("datafusion").SessionContext().from_arrow(table)
    raise AssertionError(name)


LIBRARIES = ["dict", "numpy", "pandas", "pandas nullable", "pandas objects", "polars", "pyarrow", "pyarrow batch", "pyarrow reader", "duckdb",
             "nanoarrow", "ibis", "datafusion"]


@pytest.mark.parametrize("name", LIBRARIES)
def test_events_of_every_library(name):
    log = read(by_library(name), time="time", value="value")
    assert list(log.user_ids) == ["a", "b"] and log.item_ids.tolist() == [7, 8, BIG]
    assert log.times.tolist() == [1577836800000, 1577923200000, 1578096000000] and log.values.tolist() == [1.5, 2, 4]
    assert log.report.refusals == [(2, "user is missing")]


@pytest.mark.parametrize("name", LIBRARIES)
def test_catalogues_of_every_library(name):
    c = Catalog.from_frame(by_library(name, third_item=9), name="user", price="value", text="value")
    assert c.item_ids.tolist() == [7, 8, 9, BIG] and c.names == ["a", "b", "9", "a"]
    assert c.prices.tolist() == [1.5, 2, 3, 4] and c.texts[0] == "1.5"


# ---- columns of every kind


def test_numbers_of_the_bank():
    amounts = [D("1.50"), D("-2"), None, D("0.1")]
    frame = {"user": [D(7), D("8.0"), D(9), D(10)], "item": [1, 2, 3, 4], "value": amounts}
    log = read(frame, value="value")
    assert log.user_ids.tolist() == [7, 8, 10] and log.values.tolist() == [np.float32(x) for x in (1.5, -2, 0.1)]
    pa = pytest.importorskip("pyarrow")
    for t in (pa.decimal32(9, 2), pa.decimal64(18, 2), pa.decimal128(38, 2), pa.decimal256(76, 2)):
        value = pa.array(amounts, t)
        assert read(pa.table({"user": [1, 2, 3, 4], "item": [1, 2, 3, 4], "value": value}), value="value").values.tolist() == [1.5, -2, np.float32(0.1)]
        whole = read(pa.table({"user": pa.array([D(7), None, D(8), D("8.5")], t), "item": [1, 2, 3, 4]}))
        assert whole.user_ids.tolist() == [7, 8]
        assert whole.report.refusals == [(1, "user is missing"), (3, "user is 8.5, must be a 64-bit integer")]
    huge = pa.table({"user": pa.chunked_array([pa.array([D(BIG)], pa.decimal128(38, 0)), pa.array([D(2**62)], pa.decimal128(38, 0)).slice(0)]), "item": [1, 2]})
    assert EventLog.from_frame(huge).user_ids.tolist() == [BIG, 2**62]
    beyond = pa.table({"user": pa.array([D(5), D(10**30)], pa.decimal128(38, 0)), "item": [1, 2]})
    assert read(beyond).user_ids.tolist() == [5] and read(beyond).report.rows_refused == 1
    with pytest.raises(ValueError, match="row 1: user is 1.* must be a 64-bit integer"):
        EventLog.from_frame(beyond)
    negative = pa.array([D(-(10**40)), D(3)], pa.decimal256(76, 0))
    assert read(pa.table({"user": [1, 2], "item": [1, 2], "value": negative}), value="value").report.refusals == [(0, "value is -1e+40, must be a finite number")]


def test_decimal_times():
    pa = pytest.importorskip("pyarrow")
    times = [1577836800000 + i for i in range(1000)]
    log = EventLog.from_frame(pa.table({"user": range(1000), "item": range(1000), "time": pa.array([D(t) for t in times], pa.decimal128(20, 0))}),
                              time="time", time_unit="ms")
    np.full(10**5, 7, np.int64)  # whatever is freed by now is written over
    assert log.times.tolist() == times


def test_what_duckdb_sums():
    duckdb = pytest.importorskip("duckdb")
    log = EventLog.from_frame(duckdb.sql("select k as user, k + 1 as item, sum(q) as value from (values (1, 2), (1, 3), (2, 4)) t(k, q) group by k order by k"),
                              value="value")
    assert log.values.tolist() == [5, 4] and log.user_ids.tolist() == [1, 2]


def test_hashes_beyond_int64_are_refused_by_row_and_say_what_to_do():
    for keys in (np.array([1, 2**63], np.uint64), [1, 2**63]):
        with pytest.raises(ValueError, match="row 1: user is 9223372036854775808, must be"):
            EventLog.from_frame({"user": keys, "item": [1, 2]})
        assert read({"user": keys, "item": [1, 2]}).user_ids.tolist() == [1]
    with pytest.raises(ValueError, match=r"must be below 2\^63 \(hashes: cast them to int64 or to text\)"):
        EventLog.from_frame({"user": np.array([2**63], np.uint64), "item": [1]})


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="NumPy 1 has no StringDType")
def test_numpy_strings():
    for missing in ({}, {"na_object": None}, {"na_object": np.nan}):
        users = np.array(["a", "b", "a"], np.dtypes.StringDType(**missing))
        if missing:
            users[1] = missing["na_object"]
        log = read({"user": users, "item": np.array([1, 2, 3])})
        assert list(log.user_ids) == (["a"] if missing else ["a", "b"])
        assert log.user_index(np.array(["a"], np.dtypes.StringDType())).tolist() == [0]


def test_strays_among_keys_are_bad_rows():
    mixed = ["a", 1, "b", 2.5, "a", True, [1], D(1)]
    with pytest.raises(TypeError, match="column 'user' holds 1 .* at row 1 and 'a' .* must be all strings"):
        EventLog.from_frame({"user": mixed, "item": range(8)})
    log = read({"user": mixed, "item": np.arange(8)})
    assert list(log.user_ids) == ["a", "b"] and log.users.tolist() == [0, 1, 0]
    assert log.report.refusals[0] == (1, "user is 1 (int), must be one of strings, as most of the column")
    assert [place for place, _ in log.report.refusals] == [1, 3, 5, 6, 7]
    log = read({"user": [1, "x", 2, BIG], "item": np.arange(4)})
    assert log.user_ids.tolist() == [1, 2, BIG]
    log = read({"user": ["a", "b", "c"], "item": [1, 2, 3], "value": [1.5, "two", 3]}, value="value")
    assert log.values.tolist() == [1.5, 3] and log.report.refusals == [(1, "value is 'two' (str), must be one of numbers, as most of the column")]
    log = read({"user": [object(), "b"], "item": [1, 2]})
    assert list(log.user_ids) == ["b"] and log.report.refusals[0][0] == 0
    many = read({"user": ["a", 1] * 3000 + ["a"], "item": np.arange(6001)})
    assert many.report.rows_refused == 3000 and len(many.report.refusals) == 1000 and "must be one of strings" in many.report.refusals[999][1]


def test_lone_surrogates_are_bad_rows():
    frame = {"user": ["a", "\ud800", "b"], "item": ["x", "y", "\udfff"]}
    log = read(frame)
    assert list(log.user_ids) == ["a"]
    assert log.report.refusals == [(1, "user is text with a lone surrogate, must be valid Unicode"), (2, "item is text with a lone surrogate, must be valid Unicode")]
    with pytest.raises(ValueError, match="row 1: user is text with a lone surrogate"):
        EventLog.from_frame(frame)
    with pytest.raises(ValueError, match="row 1: sku is text with a lone surrogate"):
        Catalog.from_frame({"sku": ["a", "\ud800"]}, item="sku")
    engine = etalage.serving.Engine()
    for user, item in (("\ud800", "x"), ("u", "\ud800")):
        with pytest.raises(ValueError, match="lone surrogate"):
            engine.observe(user, item, "view")
    with pytest.raises(ValueError, match="user_ids holds text with a lone surrogate"):
        log.user_index(["\ud800"])
    bad = read({"user": [b"a", b"\xff"], "item": [1, 2]})
    assert list(bad.user_ids) == ["a"] and "must be valid UTF-8" in bad.report.refusals[0][1]


def test_nullable_integers_of_pandas_keep_their_bits():
    pd = pytest.importorskip("pandas")
    keys = pd.array([BIG, None, 3], "Int64")
    for frame in (pd.DataFrame({"user": keys, "item": [1, 2, 3], "o": ["x", object(), None]}), {"user": keys, "item": [1, 2, 3]},
                  {"user": pd.Series(keys), "item": pd.Series([1, 2, 3], dtype="Int32")},
                  {"user": np.array([BIG, None, 3], object), "item": [1, 2, 3]}, {"user": [BIG, pd.NA, 3], "item": [1, 2, 3]}):
        log = read(frame)
        assert log.user_ids.tolist() == [BIG, 3] and log.report.refusals == [(1, "user is missing")]


def test_gaps_in_arrays_of_a_dict():
    for make in ("pyarrow", "polars"):
        lib = pytest.importorskip(make)
        keys = lib.array([BIG, None]) if make == "pyarrow" else lib.Series([BIG, None])
        assert read({"user": keys, "item": [1, 2]}).user_ids.tolist() == [BIG]
    masked = np.ma.masked_array([BIG, 2, 3], mask=[0, 1, 0])
    log = read({"user": masked, "item": np.ma.masked_array(["x", "y", "z"], mask=[0, 0, 1]), "value": np.ma.masked_array([1.0, 2, 3])}, value="value")
    assert log.user_ids.tolist() == [BIG] and list(log.item_ids) == ["x"]


def test_periods_are_the_moment_at_which_they_begin():
    pd = pytest.importorskip("pandas")
    periods = pd.period_range("2020-01", periods=3, freq="M")
    for time in (periods, pd.Series(periods), list(periods)):
        log = EventLog.from_frame({"user": [1, 2, 3], "item": [1, 2, 3], "time": time}, time="time")
        assert log.times.tolist() == [1577836800000, 1580515200000, 1583020800000]
    log = EventLog.from_frame(pd.DataFrame({"user": [1, 2, 3], "item": [1, 2, 3], "time": periods}), time="time")
    assert log.times[0] == 1577836800000
    pa = pytest.importorskip("pyarrow")
    table = pa.Table.from_pandas(pd.DataFrame({"user": [1, 2, 3], "item": [1, 2, 3], "time": periods}))
    with pytest.raises(ValueError, match=r"column 'time' holds pandas periods.*\.dt\.to_timestamp\(\)"):
        EventLog.from_frame(table, time="time", time_unit="ms")


def test_keys_in_a_pandas_index():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"user": ["a", "a", "b"], "item": [1, 1, 2], "value": [1, 2, 3]})
    grouped = frame.groupby(["user", "item"]).agg({"value": "sum"})
    log = EventLog.from_frame(grouped, value="value")
    assert list(log.user_ids) == ["a", "b"] and log.item_ids.tolist() == [1, 2] and log.values.tolist() == [3, 3]
    single = EventLog.from_frame(frame.set_index("user"), value="value")
    assert list(single.user_ids) == ["a", "b"] and len(single) == 3
    assert Catalog.from_frame(frame.drop_duplicates("item").set_index("item"), name="user").names == ["a", "b"]
    with pytest.raises(ValueError, match="column 'basket' is not in the frame, must be one of 'value', 'user', 'item'"):
        EventLog.from_frame(grouped, session="basket")


def test_uuids():
    keys = [uuid.UUID(int=5), uuid.UUID("12345678-9abc-def0-1234-56789abcdef0"), None]
    expected = [str(k) for k in keys[:2]]
    assert list(read({"user": keys, "item": [1, 2, 3]}).user_ids) == expected
    pa = pytest.importorskip("pyarrow")
    if hasattr(pa, "uuid"):
        column = pa.array([None if k is None else k.bytes for k in keys], pa.uuid())
        log = read(pa.table({"user": column, "item": [1, 2, 3]}))
        assert list(log.user_ids) == expected and log.report.refusals == [(2, "user is missing")]
        assert list(read(pa.table({"user": column, "item": [1, 2, 3]}).slice(1)).user_ids) == expected[1:]
    duckdb = pytest.importorskip("duckdb")
    relation = duckdb.sql("select '12345678-9abc-def0-1234-56789abcdef0'::uuid as user, 1 as item")
    assert list(EventLog.from_frame(relation).user_ids) == expected[1:]


def test_runs():
    pa = pytest.importorskip("pyarrow")
    for ends in (pa.int16(), pa.int32(), pa.int64()):
        user = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3, 6], ends), pa.array(["a", None, "b"]))
        value = pa.RunEndEncodedArray.from_arrays(pa.array([5, 6], ends), pa.array([2.5, 4.0]))
        table = pa.table({"user": user, "item": range(6), "value": value})
        log = read(table, value="value")
        assert log.users.tolist() == [0, 0, 1, 1, 1] and list(log.user_ids) == ["a", "b"] and log.values.tolist() == [2.5] * 4 + [4.0]
        assert log.report.refusals == [(2, "user is missing")]
        sliced = read(table.slice(1, 4), value="value")
        assert list(sliced.user_ids) == ["a", "b"] and sliced.users.tolist() == [0, 1, 1]


@pytest.mark.parametrize("make,text", [
    (lambda pa: pa.array([b"a"]), "column 'user' holds bytes \\(Arrow format 'z'\\), must be text.*cast it to text"),
    (lambda pa: pa.array([b"ab"], pa.binary(2)), "holds bytes.*cast it to text"),
    (lambda pa: pa.array([datetime.time(1)]), "holds times of day.*add the date"),
    (lambda pa: pa.array([datetime.timedelta(1)]), "holds durations"),
    (lambda pa: pa.array([{"x": 1}]), "holds records.*take one of their fields out"),
    (lambda pa: pa.array([["a"]]), "holds lists .*make a row of each of their cells"),
    (lambda pa: pa.array([[["a"]]]), "holds lists .*make a row of each"),
])
def test_columns_that_hold_no_keys_say_what_to_do(make, text):
    pa = pytest.importorskip("pyarrow")
    with pytest.raises(ValueError, match=text):
        EventLog.from_frame(pa.table({"user": make(pa), "item": [1]}))


def test_columns_of_other_types_are_refused_in_words():
    for column, text in ((np.array([1j]), "dtype complex128"), (np.array([1], "m8[s]"), "add the moment"), (np.zeros(1, "i4,i4"), "take one of its fields")):
        with pytest.raises(TypeError, match=text):
            EventLog.from_frame({"user": column, "item": [1]})
    with pytest.raises(ValueError, match="'time' holds lists"):
        EventLog.from_frame({"user": [1], "item": [1], "time": [["2020-01-01"]]}, time="time")
    with pytest.raises(ValueError, match="'value' holds lists"):
        EventLog.from_frame({"user": [1], "item": [1], "value": [[1]]}, value="value")


def test_polars_object_columns():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"user": pl.Series([object(), object()], dtype=pl.Object), "item": [1, 2]})
    with pytest.raises(ValueError):
        EventLog.from_frame(frame)


class SparkLike:
    """What Spark's frames look like from outside."""

    def __init__(self, fail_late=False):
        self.fail_late = fail_late

    def __arrow_c_stream__(self, requested_schema=None):
        if not self.fail_late:
            raise AssertionError
        pa = pytest.importorskip("pyarrow")

        def batches():
            raise AssertionError
            yield

        return pa.RecordBatchReader.from_batches(pa.schema({"user": pa.int64(), "item": pa.int64()}), batches()).__arrow_c_stream__()

    def toArrow(self):
        raise NotImplementedError


@pytest.mark.parametrize("late", [False, True])
def test_a_stream_that_fails_inside_its_own_library_says_what_to_give_instead(late):
    with pytest.raises((ValueError, RuntimeError), match=r"(?s)AssertionError.*; give frame\.toArrow\(\) instead"):
        EventLog.from_frame(SparkLike(late))
    with pytest.raises((ValueError, RuntimeError), match=r"give frame\.toArrow\(\) instead"):
        Catalog.from_frame(SparkLike(late))


def test_lazy_frames_say_what_to_call():
    class Lazy:
        def collect(self):
            pass

    with pytest.raises(TypeError, match=r"frame is .* must have __arrow_c_stream__ .*; give frame\.collect\(\) instead"):
        EventLog.from_frame(Lazy())


def test_one_array_of_records_is_a_frame():
    pa = pytest.importorskip("pyarrow")

    class Records:
        def __arrow_c_array__(self, requested_schema=None):
            return pa.record_batch({"user": [1, 2], "item": ["a", "b"]}).__arrow_c_array__()

    log = EventLog.from_frame(Records())
    assert log.user_ids.tolist() == [1, 2] and list(log.item_ids) == ["a", "b"]


# ---- the catalogue's own


def catalogue_frames():
    columns = {"sku": [3.0, 4.0, 5.0], "path": [["Home", None, "Mugs"], None, []], "labels": [[1, 2], [None], None], "maker": [7, None, 9],
               "price": ["3.50", None, " "], "left": [4, 0, None]}
    yield "dict", columns
    for name in ("pandas", "polars", "pyarrow"):
        try:
            lib = __import__(name)
        except ImportError:
            continue
        yield name, lib.table(columns) if name == "pyarrow" else lib.DataFrame(columns)
        if name == "pyarrow":
            yield "reader", lib.table(columns).to_reader()
            types = {"path": lib.large_list(lib.dictionary(lib.int8(), lib.string())), "labels": lib.list_(lib.int8())}
            sliced = lib.table({n: lib.array([None, *v], types.get(n)) for n, v in columns.items()}).slice(1)
            yield "sliced", sliced
            yield "batch", sliced.combine_chunks().to_batches()[0]
            views = {n: lib.array(v, lib.list_view(lib.string())) if n == "path" else v for n, v in columns.items()}
            yield "views", lib.table(views)
            try:
                import duckdb
            except ImportError:
                continue
            table = lib.table(columns)
            yield "duckdb", duckdb.connect().from_arrow(table)


@pytest.mark.parametrize("name,frame", list(catalogue_frames()), ids=lambda x: x if isinstance(x, str) else "")
def test_catalogue_streams(name, frame):
    c = Catalog.from_frame(frame, item="sku", category="path", tags="labels", brand="maker", price="price", stock="left")
    assert c.item_ids.tolist() == [3, 4, 5]
    assert c.categories == [("Home", "Mugs"), (), ()] and c.tags == [("1", "2"), (), ()]
    assert c.brands == ["7", "", "9"] and c.stock[:2].tolist() == [4, 0] and np.isnan(c.stock[2])
    assert c.prices[0] == 3.5 and np.isnan(c.prices[1:]).all()


def test_lists_of_lists_are_no_paths():
    pa = pytest.importorskip("pyarrow")
    with pytest.raises(ValueError, match="holds lists of lists .*take one level"):
        Catalog.from_frame(pa.table({"item": [1], "path": [[["a"]]]}), category="path")
    with pytest.raises(ValueError, match="column 'title' is of type list, must be text or numbers"):
        Catalog.from_frame({"item": [1], "title": [["a"]]}, name="title")


def test_fixed_lists_and_numbers_as_categories():
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"item": ["a", "b"], "path": pa.array([["x", "y"], None], pa.list_(pa.string(), 2)), "group": [5, 6]})
    assert Catalog.from_frame(table, category="path").categories == [("x", "y"), ()]
    assert Catalog.from_frame(table, category="group", tags="group").categories == [("5",), ("6",)]
    assert Catalog.from_frame({"item": ["a", "b", "c"], "group": [5, None, 6]}, category="group").categories == [("5",), (), ("6",)]
    assert Catalog([1, 2], categories=[5, ["a", None]], tags=[None, 7]).categories == [("5",), ("a",)]
    assert Catalog.from_frame({"item": [1], "path": [{"b", "a"}]}, category="path").categories == [("a", "b")]


@pytest.mark.parametrize("columns,text", [
    ({"price": [1.0, -2.0]}, "row 1: price is -2, must be >= 0"),
    ({"price": ["1", "cheap"]}, "row 1: price is 'cheap', must be a finite number"),
    ({"price": [1.0, float("inf")]}, "row 1: price is inf, must be a finite number"),
    ({"item": ["a", ""]}, "row 1: item is empty, must not be"),
    ({"item": ["a", "a"]}, "row 1: item is 'a', which row 0 has, must be unique"),
    ({"item": [1.0, 1.5]}, "row 1: item is 1.5, must be a 64-bit integer"),
])
def test_what_is_wrong_in_a_catalogue_is_named_by_row_and_column(columns, text):
    frame = {"item": ["a", "b"], "price": [1.0, 2.0], **columns}
    makers = [lambda f: f, lambda f: pytest.importorskip("polars").DataFrame(f), lambda f: pytest.importorskip("pandas").DataFrame(f)]
    for make in makers:
        with pytest.raises(ValueError, match=text):
            Catalog.from_frame(make(frame), price="price")


def test_separators():
    frame = {"item": [1], "path": ["a::b"], "labels": ["x, y,,z"]}
    c = Catalog.from_frame(frame, category="path", tags="labels", category_separator="::", tag_separator=",")
    assert c.categories == [("a", "b")] and c.tags == [("x", "y", "z")]
    with pytest.raises(ValueError, match="tag_separator is empty"):
        Catalog.from_frame(frame, tag_separator="")
