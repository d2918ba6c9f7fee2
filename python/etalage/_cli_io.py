# SPDX-License-Identifier: Apache-2.0
"""Files of the command line: event files in, product names in, rows of recommendations out."""

from __future__ import annotations

import csv
import gzip
import io
import os
import stat
import sys
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import Iterable

import numpy as np


def need_pyarrow():
    """pyarrow, or an ImportError that names the extra to install."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError("Parquet needs pyarrow: pip install 'etalage[parquet]' (CSV works without)") from error
    return pyarrow


def is_parquet(path: str) -> bool:
    return str(path).lower().endswith((".parquet", ".pq"))


def is_csv(path: str) -> bool:
    return str(path).lower().endswith((".csv", ".csv.gz", ".tsv", ".tsv.gz"))


def _is_gzip(path) -> bool:
    return str(path).lower().endswith(".gz")


def _separator(path: str) -> str:
    return "\t" if str(path).lower().endswith((".tsv", ".tsv.gz")) else ","


def read_events(path: str, options):
    """EventLog of a CSV or Parquet file, or of a folder of Parquet files; only the named columns are read."""
    from . import EventLog

    columns = {n: getattr(options, n) for n in ("user", "item", "event", "time", "value", "session")}
    common = columns | {"time_unit": options.time_unit, "on_error": options.on_error}
    if not Path(path).exists():
        raise FileNotFoundError(2, "no such event file", str(path))
    if is_parquet(path) or os.path.isdir(path):
        return EventLog.from_parquet(path, **common)
    if is_csv(path):
        return EventLog.from_csv(path, separator=_separator(path), **common)
    raise ValueError(f"event file is {path!r}, must end in .csv, .csv.gz, .tsv, .tsv.gz or .parquet, or be a folder of Parquet files")


def load_model(path: str):
    """A model to ask for lists, from its file."""
    import etalage
    from .models import Recommender

    if os.path.isdir(path):
        raise ValueError(f"model file is {path!r}, a directory, must be a file written by train, blend or Model.save")
    model = etalage.load(path)
    if not isinstance(model, Recommender):
        raise ValueError(f"model file is {path!r}, which holds a {type(model).__name__}, must hold a model that recommends")
    return model


def add_catalog(p) -> None:
    g = p.add_argument_group("names of products")
    g.add_argument("--catalog", metavar="FILE", help="product file with names: .csv, .csv.gz or .parquet; event files will do")
    g.add_argument("--catalog-item", default="item", metavar="COLUMN", help="its column of the product's key (default: item)")
    g.add_argument("--catalog-name", default="name", metavar="COLUMN", help="its column of the product's name (default: name)")


@contextmanager
def reading(path):
    """What the standard library says of a text file that it cannot read, with the file's name."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} cannot be read as UTF-8 text: {error.reason} at {error.start}") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} cannot be read as gzip: {error}") from error
    except csv.Error as error:
        raise ValueError(f"{path} cannot be read as CSV: {error}") from error


def read_names(path: str | None, item: str, name: str) -> dict[str, str]:
    """Product key (as text) -> name; the first name of a key stands. Empty without a file."""
    if path is None:
        return {}
    names: dict[str, str] = {}
    if is_parquet(path):
        from ._frames import parquet_reader

        need_pyarrow()
        table = parquet_reader(Path(path), [item, name]).read_all()
        pairs: Iterable = zip(table.column(item).to_pylist(), table.column(name).to_pylist())
    else:
        opener = gzip.open if _is_gzip(path) else open
        with reading(path), opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=_separator(path))
            absent = [c for c in (item, name) if c not in (reader.fieldnames or [])]
            if absent:
                raise ValueError(f"column {absent[0]!r} is not in {path}, must be one of {', '.join(reader.fieldnames or [])}")
            pairs = [(row[item], row[name]) for row in reader]
    for key, text in pairs:
        if key is not None and text:
            names.setdefault(str(key), str(text).strip())
    return names


def named(names: dict[str, str], key) -> str:
    """"  NAME" of a product key, nothing where it is not known."""
    text = names.get(str(key))
    return f"  {text}" if text else ""


def ids_like(texts: list[str], ids) -> list:
    """Keys typed on a command line as the type that the model's keys have."""
    if ids is None:
        raise ValueError("the model was fitted without shop keys, so it cannot be asked by key")
    if np.issubdtype(np.asarray(ids).dtype, np.integer):
        try:
            return [int(t) for t in texts]
        except ValueError as error:
            raise ValueError(f"key {texts!r} is not an integer, as the model's keys are") from error
    return list(texts)


def indices_of(ids, keys: list) -> list[int]:
    """Index of each key in the model's keys, -1 for an unknown one."""
    where = {k: i for i, k in enumerate(np.asarray(ids).tolist())}
    return [where.get(k, -1) for k in keys]


class RowWriter:
    """Rows of recommendations, block by block, as CSV or Parquet by the name's ending.

    Everything goes to a temporary name beside the target; commit() flushes it and renames it into place, so a file of
    the final name is always complete. Leaving the block without commit() removes the temporary file. A link is followed,
    and the permissions of a file that is replaced are kept, as for model files. "-" is standard output, as CSV; a pipe or
    a device is written to as it is.

    header names the columns that write() fills; None: the command line's. argument is what messages call the path.
    """

    def __init__(self, path: str, with_names: bool, header=None, argument: str = "--out"):
        self.with_names = with_names
        self.header = header or ["user_id", "rank", "item_id", "score"] + (["item_name"] if with_names else [])
        self.rows = 0
        self._parquet = None
        self._text = None
        self.printed = str(path) == "-"
        if not (self.printed or is_csv(path) or is_parquet(path)):
            raise ValueError(f"{argument} is {path!r}, must end in .csv, .csv.gz, .tsv, .tsv.gz or .parquet, or be -")
        if not self.printed and is_parquet(path):
            self._pa = need_pyarrow()
        self.path = self.temporary = None
        mode = None
        if not self.printed:
            self.path = Path(os.path.realpath(path))
            mode = os.stat(self.path).st_mode if self.path.exists() else None
            if mode is not None and stat.S_ISDIR(mode):
                raise ValueError(f"{argument} is {path!r}, a directory, must be a file")
            self.temporary = self.path
            if mode is None or stat.S_ISREG(mode):
                self.temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.partial")
        if not self.printed and is_parquet(path):
            open(self.temporary, "wb").close()
        else:
            raw = sys.stdout.buffer if self.printed else open(self.temporary, "wb")
            self._raw = raw
            # A fixed time stamp keeps equal results equal byte for byte.
            packed = gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) if _is_gzip(path) else raw
            self._text = io.TextIOWrapper(packed, encoding="utf-8", newline="")
            self._csv = csv.writer(self._text, delimiter=_separator(path), lineterminator="\n")
            self._csv.writerow(self.header)
        if mode is not None and self.temporary != self.path:
            os.chmod(self.temporary, stat.S_IMODE(mode))

    def write(self, users, ranks, items, scores, names, more=()) -> None:
        """One block of equally long columns; `more` are those of the header behind the names."""
        self.rows += len(ranks)
        more = ([names] if self.with_names else []) + list(more)
        if self._text is not None:
            columns = [users.tolist(), ranks.tolist(), items.tolist(), (f"{s:.7g}" for s in scores.tolist())]
            self._csv.writerows(zip(*columns, *more))
            return
        pa = self._pa

        def keys(column):  # strings, or None for none; the type is given, for a block may hold nothing
            return pa.array(list(column), pa.string()) if isinstance(column, list) or column.dtype == object else pa.array(column)

        columns = [keys(users), pa.array(ranks, pa.int32()), keys(items), pa.array(scores, pa.float32()), *map(keys, more)]
        table = pa.table(dict(zip(self.header, columns)))
        if self._parquet is None:
            self._parquet = pa.parquet.ParquetWriter(self.temporary, table.schema, compression="zstd")
        self._parquet.write_table(table)

    def commit(self, empty_users=np.empty(0, object), empty_items=np.empty(0, object), empty_more=()) -> None:
        if self.printed:
            self._text.flush()
            return
        if self._text is not None:
            self._text.flush()
            self._text.close()
            self._raw.close()
        else:
            if self._parquet is None:  # no rows at all: still a file with the right columns
                nothing = np.empty(0, np.float32)
                self.write(empty_users, nothing.astype(np.int32), empty_items, nothing, [], empty_more)
            self._parquet.close()
        if self.temporary == self.path:
            return
        with open(self.temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(self.temporary, self.path)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.printed:
            self._text.detach()  # standard output stays open
            return
        if self._text is not None and not self._text.closed:
            self._text.close()
        if self._parquet is not None and kind is not None:
            self._parquet.close()
        if self.temporary != self.path:
            self.temporary.unlink(missing_ok=True)
