# SPDX-License-Identifier: Apache-2.0
"""The embedded synthetic store. What is planted in it, and how much of it a good model finds, is in docs/datasets.md."""

from __future__ import annotations

import numpy as np

from . import _core
from ._arrays import whole_number

__all__ = ["StoreCatalog", "SyntheticStore", "synthetic_store"]

_DAY_MS = 86_400_000


class StoreCatalog:
    """The products of a synthetic store, one entry an item in item index order.

    Calls that take an etalage.Catalog take it too, by to_catalog(); CatalogIndex wants the Catalog itself.
    """

    def __init__(self, columns: dict) -> None:
        self._columns = columns
        self._catalog: _core.Catalog | None = None

    def __reduce__(self):
        return StoreCatalog, (self._columns,)

    def __len__(self) -> int:
        return len(self._columns["item"])

    @property
    def item_ids(self) -> np.ndarray:
        """Keys of the products, str."""
        return self._columns["item"]

    def names(self) -> np.ndarray:
        """Product names, str."""
        return self._columns["name"]

    @property
    def prices(self) -> np.ndarray:
        """float32."""
        return self._columns["price"]

    @property
    def stock(self) -> np.ndarray:
        """int32; 0 is sold out."""
        return self._columns["stock"]

    def to_dict(self) -> dict[str, np.ndarray]:
        """item, name, category ("Home > Kitchen > Mugs"), brand, style, price, stock, launch (datetime64[ms], UTC)."""
        return {**self._columns, "launch": self._columns["launch"].astype("datetime64[ms]")}

    def to_catalog(self) -> _core.Catalog:
        """The same as an etalage.Catalog: keys, names, category paths, brands, prices, stock, and the style as the tag "style:..."."""
        if self._catalog is None:
            columns = dict(self._columns, tags=[[f"style:{style}"] for style in self._columns["style"]])
            self._catalog = _core.Catalog.from_frame(columns, name="name", category="category", brand="brand", price="price", stock="stock", tags="tags")
        return self._catalog

    def to_pandas(self):
        """The same as a pandas DataFrame."""
        return _pandas().DataFrame(self.to_dict())

    def to_arrow(self):
        """The same as a pyarrow Table."""
        return _pyarrow().table(self.to_dict())


class SyntheticStore:
    """A made-up shop: .log (EventLog), .catalog, and the same as frames."""

    def __init__(self, core) -> None:
        self._core = core
        self.log = core.log
        self.catalog = StoreCatalog(core.catalog())

    @property
    def segments(self) -> np.ndarray:
        """int32 [users]: the circle of taste that each shopper was drawn from, which no model is told."""
        return self._core.segments

    def hash(self) -> int:
        """Equal for equal options on any machine, in C++ and Python, for any thread count."""
        return self._core.hash()

    def to_dict(self) -> dict[str, np.ndarray]:
        """The log as columns: user, item, event, session (str), time (datetime64[ms], UTC), value (float32)."""
        log = self.log
        return {
            "user": np.asarray(log.user_ids)[log.users],
            "item": np.asarray(log.item_ids)[log.items],
            "event": np.array(log.event_names, dtype=object)[log.events],
            "time": log.times.astype("datetime64[ms]"),
            "value": log.values,
            "session": np.asarray(log.session_ids)[log.sessions],
        }

    def to_pandas(self):
        """The log as a pandas DataFrame."""
        return _pandas().DataFrame(self.to_dict())

    def to_arrow(self):
        """The log as a pyarrow Table."""
        return _pyarrow().table(self.to_dict())

    def __repr__(self) -> str:
        return f"SyntheticStore({self.log.num_users} users, {self.log.num_items} items, {len(self.log)} events)"


def synthetic_store(users: int = 2000, items: int = 1000, seed: int = 42, *, events: int | None = None, days: int = 365,
                    start: str = "2024-01-01", num_threads: int = 0) -> SyntheticStore:
    """Makes a shop whose shoppers have tastes, seasons, purchase cycles and a sense of price.

    events: rows of the log, by default 40 a shopper. start: first day, any midnight UTC that numpy reads. Ten million
    events take a few seconds; content depends on the options and the seed alone.
    users, items, days: how many shoppers and products, and for how long.
    """
    users, items, days = whole_number(users, "users"), whole_number(items, "items"), whole_number(days, "days")
    seed = whole_number(seed, "seed", bits=64, signed=False)
    events = None if events is None else whole_number(events, "events", bits=64)
    start_ms = int(np.datetime64(start, "ms").astype(np.int64))
    if events is not None and events < users:
        raise ValueError(f"events is {events}, must be >= users ({users}) or None")
    return SyntheticStore(_core.make_synthetic_store(users, items, events or 0, days, start_ms, seed, whole_number(num_threads, "num_threads")))


def _pandas():
    try:
        import pandas
    except ImportError:
        raise ImportError("to_pandas needs pandas: pip install pandas") from None
    return pandas


def _pyarrow():
    try:
        import pyarrow
    except ImportError:
        raise ImportError("to_arrow needs pyarrow: pip install pyarrow") from None
    return pyarrow
