# SPDX-License-Identifier: Apache-2.0
"""Logs of user behaviour in the UBI form (OpenSearch and others): what searches showed, and what was done with it."""

from __future__ import annotations

import importlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._times import TimeError, to_ms
from ._impression_frames import Impressions, from_frame


class UbiLog(NamedTuple):
    """impressions, events (a dict of arrays that attribute() takes: user, item, event, time, request), and left_out
    {why: documents}: actions that were not asked for, documents without a product."""

    impressions: Impressions
    events: dict[str, np.ndarray]
    left_out: dict[str, int]


def from_ubi(source: Any, *, actions: Iterable[str] = ("click", "add_to_cart", "purchase"), impression: str = "impression",
             user: str = "client_id", placement: str | None = "application") -> UbiLog:
    """Impressions and events of a UBI log.

    source      path of a file with one JSON document a line (.gz, .bz2, .xz too; the lines between documents of a bulk upload are passed
                over), or an iterable of documents (dicts)
    actions     values of action_name that are events; others are counted in left_out
    impression  value of action_name that says that something was shown
    user        the field that is the shopper: "client_id" (a device) or "user_id"
    placement   the field that is the placement, or None
    query_id is the request, event_attributes.object.object_id the product, event_attributes.position.ordinal the position as it is in the
    log (from 0 or from 1); such logs have no propensities. ValueError names the document and what is wrong with it.
    """
    wanted = {actions} if isinstance(actions, str) else set(actions)
    if impression in wanted:
        raise ValueError(f"actions has {impression!r}, which is the impression")
    shown: dict[str, list] = {name: [] for name in ("request", "user", "time", "placement", "position", "item")}
    done: dict[str, list] = {name: [] for name in ("user", "item", "event", "time", "request")}
    left_out: Counter[str] = Counter()
    for number, document in _documents(source):
        action = document.get("action_name")
        if action is None:
            left_out["no action_name (a query)"] += 1
            continue
        if action != impression and action not in wanted:
            left_out[f"action {action}"] += 1
            continue
        attributes = _inner(document, "event_attributes", number)
        item = _inner(attributes, "object", number).get("object_id")
        if item is None or item == "":
            left_out[f"{action} without object_id"] += 1
            continue
        to = shown if action == impression else done
        to["request"].append(_text(document.get("query_id")))
        to["user"].append(_text(document.get(user)))
        to["item"].append(_text(item))
        try:
            to["time"].append(to_ms(document.get("timestamp"), "timestamp"))
        except TimeError as error:
            raise ValueError(f"document {number}: {error}") from None
        if to is shown:
            ordinal = _inner(attributes, "position", number).get("ordinal")
            if ordinal is not None and (isinstance(ordinal, bool) or not isinstance(ordinal, int) or not 0 <= ordinal < 2**31):
                raise ValueError(f"document {number}: position.ordinal is {ordinal!r}, must be a whole number in [0, 2^31)")
            shown["position"].append(np.nan if ordinal is None else float(ordinal))
            shown["placement"].append(None if placement is None else _text(document.get(placement)))
        else:
            done["event"].append(action)
    if placement is None:
        del shown["placement"]
    return UbiLog(from_frame({name: _array(name, cells) for name, cells in shown.items()}, time_unit="ms"),
                  {name: _array(name, cells) for name, cells in done.items()}, dict(left_out))


def _array(name: str, cells: list) -> np.ndarray:
    if name == "time":
        return np.array(cells, dtype="datetime64[ms]")
    return np.array(cells, dtype=np.float64) if name == "position" else np.array([*cells, None], dtype=object)[:-1]


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def _inner(document: Mapping[str, Any], field: str, number: int) -> Mapping[str, Any]:
    found = document.get(field)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise ValueError(f"document {number}: {field} is a {type(found).__name__}, must be an object")
    return found


def _documents(source: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if isinstance(source, (str, os.PathLike)):
        yield from _lines(Path(source))
        return
    for number, document in enumerate(source):
        if not isinstance(document, Mapping):
            raise TypeError(f"document {number} is a {type(document).__name__}, must be a dict")
        yield number, document


def _lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    module = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}.get(path.suffix)
    opened: Any = open if module is None else importlib.import_module(module).open
    with opened(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                document = json.loads(line)
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: is no JSON ({error})") from None
            if not isinstance(document, dict):
                raise ValueError(f"{path}, line {number}: is a {type(document).__name__}, must be an object")
            if len(document) == 1 and next(iter(document)) in ("index", "create", "update", "delete"):
                continue  # what a bulk upload says of the next line
            yield number, document
