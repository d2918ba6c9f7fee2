# SPDX-License-Identifier: Apache-2.0
"""What options must be, as the library says it once for itself, for errors and for docstrings."""

from __future__ import annotations

import textwrap


def documented(doc, rules, defaults=None):
    """A docstring with what its options must be at the end, and with their defaults where these are given."""
    said = "; ".join(f"{name}{'' if defaults is None else f'={defaults[name]!r}'} {rule}".rstrip() for name, rule in rules.items()
                     if rule or defaults is not None)
    if not said or not doc:
        return doc
    head = "What parameters must be" if defaults is None else "Options, their defaults and what they must be"
    return doc + "\n" + textwrap.indent(textwrap.fill(f"{head}: {said}.", 120, break_on_hyphens=False), "    ") + "\n    "
