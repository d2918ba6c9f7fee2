# SPDX-License-Identifier: Apache-2.0
"""Progress of fits and searches: a tqdm bar, or plain text, on a terminal and in a notebook; a line a minute into a file."""

from __future__ import annotations

import contextlib
import sys
import time


def is_watched() -> bool:
    """Whether somebody sees standard error as it changes: a terminal, or a notebook, whose stream is none."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


class MinuteLines:
    """For standard error into a file or a pipe, where a bar would be a line a step: at most a line a minute, none in the first."""

    def __init__(self, name, clock=time.monotonic):
        self._name, self._clock, self._last = name, clock, clock()

    def show(self, text: str) -> None:
        now = self._clock()
        if now - self._last >= 60:
            self._last = now
            sys.stderr.write(f"{self._name}: {text}\n")
            sys.stderr.flush()


@contextlib.contextmanager
def progress(name, show, callback):
    """The callback to hand to the compiled part; it shows the progress and asks the caller's callback."""
    if callback is not None and not callable(callback):
        raise TypeError(f"callback is {callback!r} ({type(callback).__name__}), must be callable or None")
    if not show:
        yield callback
        return
    if not is_watched():
        lines = MinuteLines(name)

        def minute(p):
            lines.show(_state(p))
            return None if callback is None else callback(p)

        yield minute
        return
    try:
        from tqdm.auto import tqdm
    except ImportError:
        tqdm = None
    if tqdm is not None:
        with tqdm(desc=name, unit="sweep") as bar:

            def update(p):
                bar.total = p.total
                bar.update(p.step - bar.n)
                if p.objective == p.objective:
                    bar.set_postfix(objective=f"{p.objective:.6g}")
                return None if callback is None else callback(p)

            yield update
        return

    def line(p):
        sys.stderr.write(f"\r{name}: {_state(p)}\033[K")
        sys.stderr.flush()
        return None if callback is None else callback(p)

    try:
        yield line
    finally:
        sys.stderr.write("\n")


def _state(p) -> str:
    objective = f", objective {p.objective:.6g}" if p.objective == p.objective else ""
    return f"{p.step}/{p.total}, {p.seconds:.1f} s{objective}"
