# SPDX-License-Identifier: Apache-2.0
"""What is a sum over rows is summed where the rows are: popularity, and products that share shoppers."""

from __future__ import annotations

from ..models import _arguments as arg
from ._blocks import Blocks
from ._session import check_session, over, partitions_of, slots
from ._worker import task


def _of_items(session, blocks, job, function, arguments, fields, partitions):
    check_session(session)
    if not isinstance(blocks, Blocks):
        raise TypeError(f"blocks is {arg.describe(blocks)}, must be what spark.interactions() returns")
    count = len(blocks.ranges("items"))
    key = "string" if blocks.settings["strings"]["items"] else "bigint"
    partitions = min(partitions_of(session, partitions, 4 * slots(session)), max(1, count))
    return over(session, count, partitions).mapInArrow(task(job, "_sum_tasks", function, blocks.path, *arguments), fields.format(key=key))


def popularity(session, blocks, *, partitions=None):
    """Each item's sums over all users: a lazy DataFrame (item, weight double, users bigint).

    weight is the sum of its weights, users the number of users with a weight > 0: the scores of models.Popularity, count
    "weights" and "users". blocks: of spark.interactions(), whose options say what an event weighs and how it decays.
    """
    return _of_items(session, blocks, "spark.popularity", "popularity", (), "item {key}, weight double, users bigint", partitions)


def cooccurrence(session, blocks, *, min_users=1, weighted=False, partitions=None):
    """Pairs of different items with users in common: a lazy DataFrame (item, other, users bigint[, product double]).

    users is the number of users with a weight > 0 of both (the counts behind association rules, and of bought together), each
    pair in both orders, those below min_users left out. weighted=True adds product, the sum of the products of both weights:
    the off-diagonal entries of the Gram matrix of EASE, and of the dot products behind ItemKNN's cosine.
    """
    least = arg.integer(min_users, "min_users")
    if least < 1:
        raise ValueError(f"min_users is {least}, must be >= 1")
    fields = "item {key}, other {key}, users bigint" + (", product double" if weighted else "")
    return _of_items(session, blocks, "spark.cooccurrence", "cooccurrence", (least, bool(weighted)), fields, partitions)
