# SPDX-License-Identifier: Apache-2.0
from ._lists import recommend, score, similar_items
