# SPDX-License-Identifier: Apache-2.0
"""Decisions beside ranking: whom to write to, what to offer within a budget, what goes together, what a customer is worth."""

from __future__ import annotations

from .._slots import slot
from . import uplift

__all__: list[str] = ["slot", "uplift"]
