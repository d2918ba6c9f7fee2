# SPDX-License-Identifier: Apache-2.0
"""ALS by processes that share nothing but a folder: shard k of n makes the blocks b with b % n = k - 1 of every half-sweep and
waits for the others'. Each may be stopped and started again at any time; the factors have the bits of one machine's."""

from __future__ import annotations

import os
import time

from . import _blocks as blocks
from . import _folder as folder
from ._sweeps import Fit


class Shards:
    """The state of such a fit in a folder: blocks of rows, settings, half-sweeps."""

    def __init__(self, path):
        self.path = os.path.abspath(os.fspath(path))
        self.place = os.path.join(self.path, "blocks")

    def agree(self, settings):
        """Every shard must have been started with the same settings; the first to come writes them down."""
        os.makedirs(self.path, exist_ok=True)
        manifest = os.path.join(self.path, "shards.json")
        if folder.read_json(manifest) is None:
            folder.write_json(manifest, settings)
        found = folder.read_json(manifest)
        if found != settings:
            names = sorted(n for n in {*found, *settings} if found.get(n) != settings.get(n))
            raise ValueError(f"folder is {self.path!r}, which holds a fit with other settings ({', '.join(names)}), must be a new one or "
                             "the same command")

    def has_blocks(self):
        return os.path.exists(os.path.join(self.place, "blocks.json"))

    def settings(self):
        found = folder.read_json(os.path.join(self.path, "shards.json"))
        if found is None:
            raise FileNotFoundError(f"folder is {self.path!r}, which holds no fit of `etalage train --shard`")
        return found

    def fit(self):
        return Fit(self.place, os.path.join(self.path, "sweeps"), {**self.settings()["options"], "num_threads": 0})

    def last_half(self, fit):
        """The last half of a fit that is over; ValueError while it is not."""
        half = fit.next_half() - 1
        if half < 1 or not fit.is_over(half):
            raise ValueError(f"folder is {self.path!r}, whose fit has {max(0, half // 2)} of {fit.options['iterations']} sweeps, must be over: "
                             "start the shards again")
        return half


def wait_for(ready, what, timeout, pause=0.1):
    """Waits until ready() is true; TimeoutError after `timeout` seconds without."""
    begin = time.monotonic()
    while not ready():
        if time.monotonic() - begin > timeout:
            raise TimeoutError(f"{what} did not come within {timeout:g} s: is every shard running, and on this folder?")
        time.sleep(pause)
        pause = min(2 * pause, 2.0)


def train(shards, shard, count, *, num_threads=0, timeout=3600.0, told=None):
    """Runs shard `shard` of `count` (from 1) to the end of the fit. told(sweep, objective) after each sweep."""
    wait_for(shards.has_blocks, f"the blocks of rows of shard 1 in {shards.path!r}", timeout)
    fit = shards.fit()
    os.makedirs(fit.work, exist_ok=True)
    half = fit.resumed()
    while half < 1 or not fit.is_over(half):
        half += 1
        for block in range(shard - 1, fit.count(half), count):
            fit.make(half, block, num_threads)
        record = half
        wait_for(lambda: fit.next_half() > record or not fit.missing(record), f"half-sweep {half} of the other shards in {shards.path!r}", timeout)
        objective = fit.finish(half)
        if told is not None and half % 2 and half > 1:
            told(half // 2, objective[-1] if objective else float("nan"))
    return half


def make_blocks(shards, data):
    """The blocks of rows of Interactions, by the first shard."""
    if not shards.has_blocks():
        blocks.write_blocks(shards.place, data)
