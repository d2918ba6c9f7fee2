# SPDX-License-Identifier: Apache-2.0
"""Files of separated values: what is read, what is refused, and where."""

import csv
import gzip
import os

import numpy as np
import pytest

from etalage import EventLog, FormatError


@pytest.fixture
def write(tmp_path):
    def write(text, name="events.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path
    return write


PLAIN = "user,item,time,value,event\nann,x,2020-01-01,1.5,view\nbob,y,2020-01-02T00:00:00Z,2,buy\nann,y,2020-01-03,3,view\n"


def check_plain(log):
    assert list(log.user_ids) == ["ann", "bob"] and list(log.item_ids) == ["x", "y"]
    assert log.users.tolist() == [0, 1, 0] and log.items.tolist() == [0, 1, 1]
    assert log.times.tolist() == [1577836800000, 1577923200000, 1578009600000]
    assert log.values.tolist() == [1.5, 2, 3] and log.event_names == ["view", "buy"]


ALL = dict(time="time", value="value", event="event")


@pytest.mark.parametrize("text", [
    PLAIN.encode(), PLAIN.rstrip("\n").encode(), PLAIN.replace("\n", "\r\n").encode(), b"\xef\xbb\xbf" + PLAIN.encode(),
    PLAIN.replace("ann", '"ann"').encode(), b"\n\n" + PLAIN.encode() + b"\n\r\n", gzip.compress(PLAIN.encode()),
    gzip.compress(PLAIN[:70].encode()) + gzip.compress(PLAIN[70:].encode()), gzip.compress(b"\xef\xbb\xbf" + PLAIN.encode()),
], ids=["lf", "no end", "crlf", "bom", "quoted", "blank lines", "gzip", "two members", "gzip bom"])
def test_the_same_file_in_many_dresses(write, text):
    check_plain(EventLog.from_csv(write(text), **ALL))
    check_plain(EventLog.from_csv(str(write(text)), **ALL))


def test_separators_and_chosen_columns(write):
    check_plain(EventLog.from_csv(write(PLAIN.replace(",", "\t")), separator="\t", **ALL))
    check_plain(EventLog.from_csv(write(PLAIN.replace(",", ";").replace("item;", "item;")), separator=";", **ALL))
    log = EventLog.from_csv(write(PLAIN), user="item", item="user")
    assert list(log.user_ids) == ["x", "y"] and log.times is None


def test_quoted_fields(write):
    path = write('user,item,note\n"a ""b"", c","x\ny",1\nd,"",2\n"e",f,"3"\n')
    log = EventLog.from_csv(path, on_error="skip")
    assert list(log.user_ids) == ['a "b", c', "e"] and list(log.item_ids) == ["x\ny", "f"]
    assert log.report.refusals == [(4, "item is missing")]


def test_no_header_names_columns_by_number(write):
    log = EventLog.from_csv(write("1,x,5\n2,y,6\n"), user="0", item="1", value="2", header=False)
    assert log.user_ids.tolist() == [1, 2] and log.values.tolist() == [5, 6]
    with pytest.raises(ValueError, match="column '3' is not in .* must be a number from 0 to 2"):
        EventLog.from_csv(write("1,x,5\n"), user="3", item="1", header=False)


@pytest.mark.parametrize("keys,integers", [("1 2 -3", True), ("0 9223372036854775807", True), ("1 02", False), ("1 +2", False),
                                           ("1 9223372036854775808", False), ("1 2.0", False), ("-0 1", False), ("85123A 1", False)])
def test_keys_are_integers_only_when_all_are_plain(write, keys, integers):
    path = write("user,item\n" + "".join(f"{k},1\n" for k in keys.split()))
    log = EventLog.from_csv(path)
    assert log.user_ids.tolist() == ([int(k) for k in keys.split()] if integers else keys.split())
    assert EventLog.from_csv(path, keys="str").user_ids.tolist() == keys.split()


def test_missing_integer_keys(write):
    log = EventLog.from_csv(write("user,item\n1,2\n,3\n4,5\n"), on_error="skip")
    assert log.user_ids.tolist() == [1, 4] and log.report.refusals == [(3, "user is missing")]


def test_epoch_times(write):
    path = write("user,item,time\n1,1,1582979415\n1,1,1582979415.5\n1,1,2020-02-29T12:30:15Z\n")
    assert EventLog.from_csv(path, time="time", time_unit="s").times.tolist() == [1582979415000, 1582979415500, 1582979415000]
    with pytest.raises(ValueError, match="line 2: time is '1582979415', must be an ISO-8601 time"):
        EventLog.from_csv(path, time="time")


def test_bad_rows_have_lines_and_reasons(write):
    path = write('user,item,value\n'      # 1
                 'a,x,1\n'                # 2
                 'a,x\n'                  # 3 too few
                 '\n'                     # 4 blank
                 '"b\nb",x,2\n'           # 5-6
                 'c,x,oops\n'             # 7
                 'c,x,1,9\n'              # 8 too many
                 '"d"e,x,1\n'             # 9
                 'd,x,nan\n'              # 10
                 ',x,1\n'                 # 11
                 'e,x,3\n')               # 12
    with pytest.raises(ValueError, match=r"line 3: has 2 fields, must have 3 \(6 of 9 rows are bad"):
        EventLog.from_csv(path, value="value")
    log = EventLog.from_csv(path, value="value", on_error="skip")
    assert log.report.refusals == [
        (3, "has 2 fields, must have 3"), (7, "value is 'oops', must be a finite number"), (8, "has 4 fields, must have 3"),
        (9, "has text after a closing quote"), (10, "value is 'nan', must be a finite number"), (11, "user is missing")]
    assert (log.report.rows_read, log.report.rows_kept, log.report.rows_refused, log.report.place) == (9, 3, 6, "line")
    assert list(log.user_ids) == ["a", "b\nb", "e"]


def test_an_open_quote_costs_one_line(write):
    log = EventLog.from_csv(write('user,item\na,x\n"b,x\nc,x\nd,x\n'), on_error="skip")
    assert list(log.user_ids) == ["a", "c", "d"]
    assert log.report.refusals == [(3, "has a quoted field that is not closed within 1048576 bytes")]


def test_text_that_is_not_utf8_is_refused(write):
    log = EventLog.from_csv(write(b"user,item,note\na,x,\xff\n\xe9t\xe9,x,1\n\xc3\xa9t\xc3\xa9,x,1\n"), on_error="skip")
    assert list(log.user_ids) == ["a", "été"] and log.report.refusals == [(3, "user is not UTF-8")]


def test_huge_fields_are_refused(write):
    big = "k" * (1 << 20)
    log = EventLog.from_csv(write(f"user,item\n{big}k,x\n{big},x\n\"{big}k\",x\na,x\n"), on_error="skip")
    assert [len(k) for k in log.user_ids] == [1 << 20, 1]
    assert [r[0] for r in log.report.refusals] == [2, 4]


def test_files_that_are_no_csv(write, tmp_path):
    with pytest.raises(FormatError, match="found a zero byte at 3, expected a text file"):
        EventLog.from_csv(write(b"abc\0def"))
    with pytest.raises(FormatError, match="found UTF-16 text, expected UTF-8"):
        EventLog.from_csv(write("user,item\n".encode("utf-16")))
    with pytest.raises(FormatError, match="expected a header"):
        EventLog.from_csv(write(b""))
    with pytest.raises(FileNotFoundError):
        EventLog.from_csv(tmp_path / "absent.csv")
    with pytest.raises(IsADirectoryError):
        EventLog.from_csv(tmp_path)
    rng = np.random.default_rng(0)
    for _ in range(50):
        junk = rng.integers(1, 256, 5000).astype(np.uint8).tobytes()
        with pytest.raises((ValueError, FormatError)):
            EventLog.from_csv(write(junk))
        log = EventLog.from_csv(write(b"user,item\n" + junk), on_error="skip")
        assert log.report.rows_kept + log.report.rows_refused == log.report.rows_read


def test_damaged_gzip(write):
    packed = gzip.compress(PLAIN.encode() * 100)
    for cut in (3, 20, len(packed) - 5):
        with pytest.raises(FormatError, match="ends after|damaged"):
            EventLog.from_csv(write(packed[:cut]))
    broken = bytearray(packed)
    broken[len(packed) // 2] ^= 0xFF
    with pytest.raises(FormatError, match="gzip"):
        EventLog.from_csv(write(bytes(broken)))


@pytest.mark.parametrize("kw,text", [
    ({"user": "nope"}, "column 'nope' is not in .*events.csv, must be one of 'user', 'item', 'time', 'value', 'event'"),
    ({"separator": ""}, "separator is ''"), ({"separator": '"'}, "separator is character 34"), ({"separator": "ab"}, "separator is 'ab'"),
    ({"keys": "int"}, "keys is 'int', must be 'auto' or 'str'"), ({"on_error": "x"}, "on_error is 'x'"),
])
def test_bad_arguments(write, kw, text):
    with pytest.raises(ValueError, match=text):
        EventLog.from_csv(write(PLAIN), **kw)


def test_a_header_that_names_a_column_twice(write):
    with pytest.raises(ValueError, match="column 'user' occurs twice in the header"):
        EventLog.from_csv(write("user,item,user\n1,2,3\n"))


def test_header_only(write):
    log = EventLog.from_csv(write("user,item\n"))
    assert len(log) == 0 and log.report.rows_read == 0


def test_agrees_with_pythons_reader_across_chunks(write, tmp_path):
    rng = np.random.default_rng(5)
    path = tmp_path / "large.csv"
    n = 120000
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["user", "item", "note"])
        for j in range(n):
            note = 'line one\nline "two", and\nmore' * int(rng.integers(0, 9)) if j % 3 == 0 else "plain"
            out.writerow([f"u{rng.integers(0, 5000)}", f"i {rng.integers(0, 99)}" + ("," if j % 5 == 0 else ""), note])
    assert os.path.getsize(path) > 4 << 20
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    logs = [EventLog.from_csv(path, num_threads=t) for t in (1, 2, 5)]
    for log in logs:
        assert [log.user_ids[u] for u in log.users] == [r["user"] for r in rows]
        assert [log.item_ids[i] for i in log.items] == [r["item"] for r in rows]
