# SPDX-License-Identifier: Apache-2.0
"""Names of the items of an index: the shop's text keys beside the numbers that the index itself has."""

from __future__ import annotations

import threading

import numpy as np

from . import _core
from ._arrays import asarray


def are_keys(value) -> bool:
    """Whether value is a text key, or holds some."""
    if isinstance(value, str):
        return True
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "UT" or value.dtype == object and value.size > 0 and isinstance(value.flat[0], str)
    if hasattr(value, "dtype") and hasattr(value, "__len__") and not isinstance(value, (list, tuple)):  # a column of a frame
        return len(value) > 0 and isinstance(asarray(value, "ids")[0], str)
    if isinstance(value, (set, frozenset)):
        value = list(value)
    return isinstance(value, (list, tuple)) and len(value) > 0 and isinstance(value[0], str)


class Keys:
    """Text keys numbered in order of first appearance. A removed key keeps its number, and has it again when it comes back."""

    def __init__(self, keys=()):
        self._names = list(keys)
        self._numbers = {key: i for i, key in enumerate(self._names)}
        self._array = np.array([*self._names, None], dtype=object)  # None behind them, where -1 points
        self._lock = threading.Lock()

    def __len__(self):
        return len(self._names)

    def names(self) -> list[str]:
        return list(self._names)

    @staticmethod
    def listed(value, argument) -> list[str]:
        """Keys as a list of str."""
        if isinstance(value, str):
            return [value]
        # NumPy would make text of a number in a list.
        flat = isinstance(value, (set, frozenset, list, tuple)) and not any(isinstance(v, (list, tuple, np.ndarray)) for v in value)
        keys = list(value) if flat else asarray(value, argument).ravel().tolist()
        for key in keys:
            if not isinstance(key, str):
                raise TypeError(f"{argument} holds {key!r}, must hold text keys: the items of this index were added under text keys")
        return [str(key) for key in keys] if flat else keys  # not numpy's own text

    def numbered(self, keys) -> np.ndarray:
        """int64 [n], -1 for unknown keys."""
        get = self._numbers.get
        return np.fromiter((get(key, -1) for key in keys), np.int64, len(keys))

    def added(self, keys, add) -> None:
        """Numbers the new ones among keys; kept only when add(numbers) does not raise."""
        with self._lock:
            fresh = [key for key in dict.fromkeys(keys) if key not in self._numbers]
            numbers = {key: len(self._names) + i for i, key in enumerate(fresh)}
            # Names are there before the index can find them.
            self._names += fresh
            self._numbers.update(numbers)
            try:
                add(self.numbered(keys))
            except BaseException:
                del self._names[len(self._names) - len(fresh):]
                for key in fresh:
                    del self._numbers[key]
                raise

    def at(self, numbers) -> np.ndarray:
        """Keys of numbers, None for -1; an object array of their shape."""
        names = self._names
        if numbers.size <= 4096:  # a few answers do not wait for the array of a changed index
            out = np.empty(numbers.size, dtype=object)
            out[:] = [names[i] if i >= 0 else None for i in numbers.ravel().tolist()]
            return out.reshape(numbers.shape)
        array = self._array
        if len(array) <= numbers.max():
            array = self._array = np.array([*names, None], dtype=object)
        return array[np.where(numbers < 0, len(array) - 1, numbers)]

    def id_map(self):
        return _core.IdMap(self._names) if self._names else None
