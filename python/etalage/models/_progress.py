# SPDX-License-Identifier: Apache-2.0
"""Progress of a fit: a tqdm bar where tqdm is installed, plain text on a terminal, nothing elsewhere."""

from __future__ import annotations

import contextlib
import sys


@contextlib.contextmanager
def progress(name, show, callback):
    """The callback to hand to the compiled part; it shows the progress and asks the caller's callback."""
    if callback is not None and not callable(callback):
        raise TypeError(f"callback is {callback!r} ({type(callback).__name__}), must be callable or None")
    if not show:
        yield callback
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
    if not sys.stderr.isatty():
        yield callback
        return

    def line(p):
        objective = f", objective {p.objective:.6g}" if p.objective == p.objective else ""
        sys.stderr.write(f"\r{name}: {p.step}/{p.total}, {p.seconds:.1f} s{objective}\033[K")
        sys.stderr.flush()
        return None if callback is None else callback(p)

    try:
        yield line
    finally:
        sys.stderr.write("\n")
