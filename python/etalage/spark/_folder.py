# SPDX-License-Identifier: Apache-2.0
"""Files of arrays in a folder that driver and executors share: whole or not there, and mapped when read.

A file is a JSON line (names, dtypes, shapes, offsets, the file's size) padded to 64 bytes, and the arrays, each 64-byte aligned.
"""

from __future__ import annotations

import json
import mmap
import os
import uuid

import numpy as np

from .. import _core

_MAGIC = "etalage-arrays-1"
_ALIGN = 64


def _aligned(n):
    return -(-n // _ALIGN) * _ALIGN


def write_bytes(path, data):
    """A file with these bytes, under its name only once it is complete."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "wb") as f:
            for part in data:
                f.write(part)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def write(path, **arrays):
    """The arrays as one file. Equal arrays give equal bytes, so that a task that runs twice does no harm."""
    arrays = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
    offset, entries = 0, []
    for name, a in arrays.items():
        entries.append([name, a.dtype.str, list(a.shape), offset])
        offset = _aligned(offset + a.nbytes)
    head = json.dumps([_MAGIC, entries, offset]).encode()
    head += b" " * (_aligned(len(head) + 1) - len(head) - 1) + b"\n"

    def parts():
        yield head
        for a in arrays.values():
            yield a.tobytes() if a.nbytes < 1 << 16 else memoryview(a.reshape(-1).view(np.uint8))
            yield b"\0" * (_aligned(a.nbytes) - a.nbytes)

    write_bytes(path, parts())


def read(path):
    """The arrays of a file by name, read-only views of the mapped file."""
    with open(path, "rb") as f:
        data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
    end = data.find(b"\n")
    try:
        magic, entries, size = json.loads(data[:end])
        if magic != _MAGIC:
            raise ValueError(f"begins with {magic!r}")
    except (ValueError, TypeError) as error:
        raise _core.FormatError(f"{path}: is no file of arrays ({error}), must be one written by etalage.spark") from None
    if len(data) != end + 1 + size:
        raise _core.FormatError(f"{path}: has {len(data)} bytes, must have {end + 1 + size}: it was cut or changed")
    out = {}
    for name, dtype, shape, offset in entries:
        out[name] = np.frombuffer(data, np.dtype(dtype), int(np.prod(shape, dtype=np.int64)), end + 1 + offset).reshape(shape)
    return out


def write_json(path, value):
    write_bytes(path, [json.dumps(value, sort_keys=True).encode()])


def read_json(path):
    """The value of a JSON file, None where there is none."""
    try:
        with open(path, encoding="utf-8") as f:
            return json.load(f)
    except FileNotFoundError:
        return None


def require_seen(folder):
    """FileNotFoundError on a host that does not share the folder."""
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"folder {folder!r} is not on this host: it must be one that driver and executors share")
