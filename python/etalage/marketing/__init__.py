# SPDX-License-Identifier: Apache-2.0
"""Decisions beside ranking: whom to write to, what to offer within a budget, what goes together, what a customer is worth."""

from __future__ import annotations

from .._slots import slot
from . import baskets, campaign, lifetime, loyalty, uplift
from .allocation import Allocation, allocate
from .audience import Audience, audience, lookalikes
from .page import Page, PageLayout
from .pacing import BudgetPacer, OfferPrices, SpendLedger

__all__ = ["Allocation", "Audience", "BudgetPacer", "OfferPrices", "Page", "PageLayout", "SpendLedger", "allocate", "audience", "baskets", "campaign", "lifetime", "lookalikes",
           "loyalty", "slot", "uplift"]
