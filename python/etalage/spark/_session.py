# SPDX-License-Identifier: Apache-2.0
"""The driver's side of every job: what must be installed, how many partitions, and errors of tasks as those of the call."""

from __future__ import annotations

import builtins
import contextlib
import re

from .. import _core
from ..models import _arguments as arg
from ._worker import _MARK

_LINE = re.compile(re.escape(_MARK) + r"(\w+): ([^\n]*)")


def need_spark():
    """pyspark.sql.functions, or an ImportError that names the extra."""
    try:
        import pyarrow  # noqa: F401
        import pyspark.sql.functions
    except ImportError as error:
        raise ImportError(f"etalage.spark needs pyspark and pyarrow ({error.name} is missing): pip install 'etalage[spark]'") from error
    major = int(pyspark.__version__.split(".")[0])
    if major < 4 and not pyspark.__version__.startswith("3.5"):
        raise ImportError(f"etalage.spark needs PySpark 3.5 or 4, found {pyspark.__version__}: pip install 'etalage[spark]'")
    return pyspark.sql.functions


def check_session(session):
    need_spark()
    if not hasattr(session, "range") or not hasattr(session, "createDataFrame"):
        raise TypeError(f"session is {arg.describe(session)}, must be a SparkSession")
    return session


def check_frame(df, name):
    need_spark()
    if not hasattr(df, "mapInArrow") or not hasattr(df, "sparkSession"):
        raise TypeError(f"{name} is {arg.describe(df)}, must be a DataFrame of Spark")
    return df


def column(df, name, argument):
    """A column by its exact name, dots and all; ValueError where there is none."""
    if not isinstance(name, str):
        raise TypeError(f"{argument} is {arg.describe(name)}, must be the name of a column")
    if name not in df.columns:
        raise ValueError(f"{argument} is {name!r}, which is no column, must be one of {', '.join(map(repr, df.columns))}")
    return df["`" + name.replace("`", "``") + "`"]


def key_column(df, name, argument):
    """(the column as string or bigint, whether it is of strings). Keys of other types are refused, not rounded."""
    c = column(df, name, argument)
    kind = df.schema[name].dataType.typeName()
    if kind in ("string", "varchar", "char"):
        return c.cast("string"), True
    if kind in ("byte", "tinyint", "short", "smallint", "integer", "int", "long", "bigint"):
        return c.cast("bigint"), False
    raise TypeError(f"{argument} is column {name!r} of type {df.schema[name].dataType.simpleString()}, must be of strings or whole "
                    "numbers of up to 64 bits: cast it")


def slots(session):
    """Tasks that may run at once, as far as the session tells."""
    try:
        return max(1, session.sparkContext.defaultParallelism)
    except Exception:  # Spark Connect has no context
        return max(1, int(session.conf.get("spark.sql.shuffle.partitions", "200")) // 4)


def partitions_of(session, given, work, enough=1):
    """The number of partitions: the caller's, or by `work`: one for each task that may run at once, more, up to four, where each still has
    `enough` to do (a task costs a tenth of a second); never more than there is work."""
    if given is None:
        at_once = slots(session)
        return max(1, min(int(work), 4 * at_once, max(at_once, -(-int(work) // enough))))
    return checked_partitions(given)


def checked_partitions(given):
    """A number of partitions as the caller gave it."""
    given = arg.integer(given, "partitions")
    if given < 1:
        raise ValueError(f"partitions is {given}, must be >= 1")
    return given


def by_columns(df, given, *columns):
    """Rows of equal values in one partition: as many partitions as given, or as Spark finds right for their size."""
    return df.repartition(*columns) if given is None else df.repartition(checked_partitions(given), *columns)


@contextlib.contextmanager
def told():
    """Errors of tasks as the error that the task met: its type where it is one of Python's or ours, its text, and where."""
    try:
        yield
    except Exception as error:
        found = _LINE.findall(str(error))
        if not found:
            raise
        name, text = found[-1]
        kind = getattr(_core, name, None) or getattr(builtins, name, None)
        if not (isinstance(kind, type) and issubclass(kind, Exception)) or issubclass(kind, (KeyError, UnicodeError, OSError)) and kind is not FileNotFoundError:
            kind = RuntimeError
        raise kind(text.strip()) from error


def rows(df):
    """The few rows that a job's tasks report, as dicts."""
    with told():
        return [r.asDict() for r in df.collect()]


def over(session, count, partitions):
    """Numbers 0 .. count - 1 (column id) in even partitions."""
    return session.range(0, count, 1, partitions)
