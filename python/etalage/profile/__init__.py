# SPDX-License-Identifier: Apache-2.0
"""What a shopper's history says: profiles, buying again, lifecycle, and the probability of a purchase."""

from ._intent import IntentEvaluation, PurchaseIntent
from ._profiles import Profiles, UserProfile

__all__ = ["IntentEvaluation", "Profiles", "PurchaseIntent", "UserProfile"]
