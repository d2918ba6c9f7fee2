# SPDX-License-Identifier: Apache-2.0
"""`etalage blend`: several models as one file, with weights learned on held-out events."""

from __future__ import annotations

import time

from . import _cli_data as data
from . import _cli_models as models
from . import _cli_output as output


def add(commands) -> None:
    p = data.command(commands, "blend", "several models as one, with weights learned on held-out events", """
Fits the models on a train part, learns the weights of their blend on the part behind it, and measures blend and members on
the test part, which neither has seen. Then all of them are fitted on all events, and the blend is saved with these weights.
Models to which order matters learn from the same events as lists.
A model file of the same name is replaced whole or not at all; any other file needs --overwrite.
""", "etalage blend events.csv --user customer --item sku --time at --models ease,als,graphfilter --out blend.etalage", run)
    data.add_columns(p)
    data.add_weights(p)
    models.add_several(p)
    data.add_split(p, valid=True)
    g = p.add_argument_group("blend")
    g.add_argument("--method", choices=("rank", "zscore", "rrf"), default="rank", help="how scores become comparable (default: rank)")
    g.add_argument("--candidates", type=int, default=500, help="taken from each member (default: 500)")
    g.add_argument("--k", type=int, default=20, help="length of the lists whose NDCG the weights maximise (default: 20)")
    p.add_argument("--out", required=True, metavar="FILE", help="model file to write")
    output.add_overwrite(p, "replace a file that is no model, too")


def run(args) -> int:
    from .models import Blend

    if args.k < 1:
        raise ValueError(f"--k is {args.k}, must be >= 1")
    if args.out == "-":
        raise ValueError("--out is '-', must be a file: a model is mapped from it")
    data.check_split(args)
    members = models.several(args)
    if len(members) < 2:
        raise ValueError(f"--models is {args.models!r}, must name two models at least")
    blend = Blend(list(members.items()), args.method, candidates=args.candidates)
    recipe = data.recipe(args)
    output.check(args.out, args, reads=(args.events, *args.params_from), own_kind=True)
    log = data.read_log(args)
    parts = data.cut(log, args, valid=True)

    # Models of order need the log; without them matrices are made once.
    ordered = data.goes_by_order(blend)
    train, whole = (parts.train, log) if ordered else (recipe.interactions(parts.train), recipe.interactions(log))
    by = {"recipe": recipe} if ordered else {}
    blend.members = [(n, models.ready(m, train, args)) for n, m in members.items()]
    started = time.perf_counter()
    blend.fit(train, recipe.held_out(parts.valid), refit_members=False, k=args.k, **by)
    learned = blend.weights_
    data.say("weights learned: " + ", ".join(f"{n} {w:.3f}" for n, w in learned.items()))
    print(_measured(blend, train, recipe.held_out(parts.test), args, by))
    final = Blend([(n, models.ready(m, whole, args)) for n, m in members.items()], args.method, list(learned.values()), args.candidates)
    final.fit(whole, show_progress=True, **by)
    final.save(args.out)
    data.say(f"blend of {', '.join(members)} learned, measured and fitted on all events in {time.perf_counter() - started:.1f} s")
    print(args.out)
    return 0


def _measured(blend, train, test, args, by):
    """Blend and members on the test part, all as they were fitted on the train part."""
    from . import evaluation

    fitted = {"Blend": blend, **blend.fitted_members}
    evaluations = {n: evaluation.evaluate(m, train, test, (args.k,), ("ndcg", "recall"), **by) for n, m in fitted.items()}
    costs = {n: (None, e["seconds"], None, "as given") for n, e in evaluations.items()}
    return evaluation._compare.side_by_side(evaluations, costs, f"ndcg@{args.k}", seed=args.seed)
