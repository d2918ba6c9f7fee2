# SPDX-License-Identifier: Apache-2.0
"""Files that commands write: what may be replaced, and how it is replaced whole.

One rule: what a job makes anew every night is replaced by its own kind, a model by a model (train, blend) and lists by lists
(recommend). Everything else that exists is kept unless --overwrite is given; what a command reads is never its output. Said
before the work begins.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import stat
from pathlib import Path

from . import _cli_io as files

_PICTURES = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp")


def add_overwrite(p, text: str = "replace an output that exists") -> None:
    p.add_argument("--overwrite", action="store_true", help=text)


def check(path, args, flag: str = "--out", reads=(), own_kind: bool = False) -> None:
    """ValueError where path cannot or must not be written. own_kind: a model file may be replaced without --overwrite."""
    path = os.path.realpath(path)
    for read in filter(None, reads):
        if os.path.exists(path) and os.path.exists(read) and os.path.samefile(path, read):
            raise ValueError(f"{flag} is {path!r}, which the command reads, must be another file")
    if os.path.isdir(path):
        raise ValueError(f"{flag} is {path!r}, a directory, must be a file")
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise ValueError(f"{flag} is {path!r}, but there is no folder {folder!r}")
    if not os.access(folder, os.W_OK) and not (os.path.exists(path) and os.access(path, os.W_OK)):
        raise ValueError(f"{flag} is {path!r}, but folder {folder!r} cannot be written to")
    if os.path.isfile(path) and not args.overwrite and not (own_kind and _is_model(path)):
        raise ValueError(f"{flag} is {path!r}, which exists{' and is no model' if own_kind else ''}; --overwrite replaces it")


def check_picture(path, args, flag: str = "--plot", reads=()) -> None:
    if not str(path).lower().endswith(_PICTURES):
        raise ValueError(f"{flag} is {path!r}, must end in {', '.join(_PICTURES)}")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install 'etalage[plot]'") from error
    check(path, args, flag, reads)


def check_table(path, args, reads=()) -> None:
    if not (files.is_csv(path) or files.is_parquet(path) or str(path).lower().endswith(".json")):
        raise ValueError(f"--out is {path!r}, must end in .csv, .csv.gz, .tsv, .tsv.gz, .parquet or .json")
    if files.is_parquet(path):
        files.need_pyarrow()
    check(path, args, reads=reads)


def _is_model(path: str) -> bool:
    from . import _core

    try:
        return bool(_core.file_info(path)["kind"])
    except (ValueError, OSError):
        return False


@contextlib.contextmanager
def replacing(path):
    """The temporary name to write to; it takes the name of path when the block ends well. Links are followed, permissions kept."""
    target = Path(os.path.realpath(path))
    mode = os.stat(target).st_mode if target.exists() else None
    if mode is not None and not stat.S_ISREG(mode):  # a pipe or a device is written to as it is
        yield target
        return
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.partial{target.suffix}")  # the ending tells the form of a picture
    try:
        yield temporary
        if mode is not None:
            os.chmod(temporary, stat.S_IMODE(mode))
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path, value) -> None:
    with replacing(path) as temporary:
        temporary.write_text(as_json(value) + "\n", encoding="utf-8")


def as_json(value) -> str:
    """JSON as others read it: no number where there is none (nan), numbers of numpy as plain ones."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False)


def _plain(value):
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return None if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))) else value


def write_table(path, rows: list[dict]) -> None:
    """Rows of equal columns as CSV, Parquet or a JSON list, by the name's ending."""
    if str(path).lower().endswith(".json"):
        write_json(path, rows)
        return
    with replacing(path) as temporary:
        if files.is_parquet(path):
            pa = files.need_pyarrow()
            pa.parquet.write_table(pa.Table.from_pylist([_plain(r) for r in rows]), temporary)
            return
        text = io.StringIO()
        out = csv.DictWriter(text, list(rows[0]), delimiter=files._separator(path), lineterminator="\n")
        out.writeheader()
        out.writerows(_plain(rows))  # no value, and none that is a number, as an empty cell
        content = text.getvalue().encode()
        if files._is_gzip(path):
            import gzip

            content = gzip.compress(content, mtime=0)  # equal results are equal byte for byte
        temporary.write_bytes(content)
