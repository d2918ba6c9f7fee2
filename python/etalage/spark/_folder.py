# SPDX-License-Identifier: Apache-2.0
"""Files of arrays in a folder that driver and executors share: whole or not there, and mapped when read.

A file is a JSON line (names, dtypes, shapes, offsets, the arrays' size and checksum) padded to 64 bytes, and the arrays, each
64-byte aligned. The checksum is the sum of all 8-byte words modulo 2^64: what a power cut leaves out, or as zeros, changes it, and
it costs a tenth of a CRC.
"""

from __future__ import annotations

import json
import mmap
import os
import uuid

import numpy as np

from .. import _core

_MAGIC = "etalage-arrays-2"
_ALIGN = 64


def _aligned(n):
    return -(-n // _ALIGN) * _ALIGN


def write_bytes(path, data, durable=True):
    """A file with these bytes, under its name only once it is complete; durable: on the disk by then, too."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "wb") as f:
            for part in data:
                f.write(part)
            if durable:
                f.flush()
                os.fsync(f.fileno())
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def sync(paths):
    """Files that were written without durable=True are on the disk after this: many at a time cost little more than one."""
    for path in paths:
        with open(path, "rb") as f:
            os.fsync(f.fileno())


def write(path, *, durable=True, **arrays):
    """The arrays as one file. Equal arrays give equal bytes, so that a task that runs twice does no harm."""
    arrays = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
    offset, entries = 0, []
    for name, a in arrays.items():
        entries.append([name, a.dtype.str, list(a.shape), offset])
        offset = _aligned(offset + a.nbytes)
    body = []
    for a in arrays.values():
        body += [memoryview(a.reshape(-1).view(np.uint8)) if a.nbytes else b"", b"\0" * (_aligned(a.nbytes) - a.nbytes)]
    head = json.dumps([_MAGIC, entries, offset, _checksum(body)]).encode()
    head += b" " * (_aligned(len(head) + 1) - len(head) - 1) + b"\n"
    write_bytes(path, [head, *body], durable)


def _checksum(parts):
    """Of buffers that are whole words each together with the padding behind it."""
    total = 0
    for part in parts:
        data = np.frombuffer(part, np.uint8)
        whole = len(data) // 8 * 8
        total += int(data[:whole].view(np.uint64).sum(dtype=np.uint64)) + int.from_bytes(data[whole:].tobytes(), "little")
    return total % 2**64


def _opened(path):
    """(the mapped file, where its arrays begin, entries, checksum)."""
    with open(path, "rb") as f:
        if os.fstat(f.fileno()).st_size == 0:
            raise _core.FormatError(f"{path}: is empty, must be a file of arrays written by etalage.spark")
        data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
    end = data.find(b"\n")
    try:
        magic, entries, size, checksum = json.loads(data[:max(end, 0)])
        if magic != _MAGIC:
            raise ValueError(f"begins with {magic!r}")
    except (ValueError, TypeError) as error:
        raise _core.FormatError(f"{path}: is no file of arrays ({error}), must be one written by etalage.spark") from None
    if len(data) != end + 1 + size:
        raise _core.FormatError(f"{path}: has {len(data)} bytes, must have {end + 1 + size}: it was cut or changed")
    return data, end + 1, entries, checksum


def read(path):
    """The arrays of a file by name, read-only views of the mapped file."""
    data, begin, entries, _ = _opened(path)
    out = {}
    for name, dtype, shape, offset in entries:
        out[name] = np.frombuffer(data, np.dtype(dtype), int(np.prod(shape, dtype=np.int64)), begin + offset).reshape(shape)
    return out


def is_whole(path):
    """Whether the file is there and as it was written; a power cut may leave one that is neither."""
    try:
        data, begin, _, checksum = _opened(path)
    except (FileNotFoundError, _core.FormatError):
        return False
    return _checksum([memoryview(data)[begin:]]) == checksum


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
