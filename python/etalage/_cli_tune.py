# SPDX-License-Identifier: Apache-2.0
"""`etalage tune`: settings of a model from held-out events, as a file that train, evaluate, compare and blend take."""

from __future__ import annotations

import json
import time

from . import _cli_data as data
from . import _cli_evaluate
from . import _cli_models as models
from . import _cli_output as output


def add(commands) -> None:
    p = data.command(commands, "tune", "search a model's settings on held-out events", """
Looks for the parameters with which a model is best on the part of the events before the test part, and writes them to a file
for --params-from of train, evaluate, compare and blend. The test part of the same --split is never looked at, so that
`etalage evaluate` with the same options measures honestly. Parameters that are given stay as they are.
Progress: a bar on a terminal, a line a minute elsewhere.
""", "etalage tune events.csv --user customer --item sku --time at --model als --budget 5min --out settings.json", run)
    data.add_columns(p)
    data.add_weights(p)
    models.add_one(p)
    data.add_split(p, valid=True)
    g = p.add_argument_group("search")
    g.add_argument("--budget", default="30", help="30 is trials; 90s, 5min, 1h is time (default: 30)")
    g.add_argument("--metric", default="ndcg@20", help="what is made largest (default: ndcg@20)")
    p.add_argument("--out", required=True, metavar="SETTINGS.json", help="settings file to write")
    p.add_argument("--trials", metavar="FILE", help="every trial as .csv, .tsv, .parquet or .json, too")
    output.add_overwrite(p)


def run(args) -> int:
    from . import __version__, tuning
    from .tuning import _budget, _search

    budget = int(args.budget) if args.budget.strip().lstrip("+-").isdigit() else args.budget
    _budget.limits(budget)
    name, k = _search._metric(args.metric)
    _cli_evaluate.tried((k,), (name,))
    _search._optuna()
    data.check_split(args)
    model = models.one(args)
    if not args.out.lower().endswith(".json"):
        raise ValueError(f"--out is {args.out!r}, must end in .json")
    output.check(args.out, args, reads=(args.events,))
    if args.trials:
        output.check_table(args.trials, args, reads=(args.events,))
    by_session = args.session is not None and data.goes_by_order(model)
    if by_session and args.split != "temporal":
        raise ValueError(f"--session is given with --split {args.split}, must go with --split temporal, which leaves sessions whole")
    parts = data.cut(data.read_log(args), args, valid=True)
    train, _ = data.training_data(model, parts.train, args)
    if by_session:
        valid = data.recipe(args).sequences(parts.valid)  # their next products, from those before
    else:
        valid = data.held_out(parts.valid, args)
    started = time.perf_counter()
    found = tuning.search(model, train, valid, budget, metric=args.metric, seed=args.seed, show_progress=True)
    output.write_json(args.out, {
        "model": type(model).__name__, "params": {**_given(model), **found.best_params}, "metric": found.metric,
        "value": found.best_value, "trials": len(found.trials), "seconds": round(time.perf_counter() - started, 1),
        "recipe": json.loads(data.recipe(args).to_json()), "split": _split(args), "etalage": __version__})
    if args.trials:
        columns = found.to_dict()
        output.write_table(args.trials, [dict(zip(columns, row)) for row in zip(*columns.values())])
    data.say(str(found))
    print(args.out)
    return 0


def _given(model) -> dict:
    """What was set away from the model's defaults, which a search leaves as it is."""
    fresh = type(model)().get_params()
    return {n: v for n, v in model.get_params().items() if v != fresh[n]}


def _split(args) -> dict:
    """How the part was cut that the settings were chosen on."""
    names = {"temporal": ("at", "valid_at"), "tail": ("share",), "random": ("share", "seed")}.get(args.split, ())
    return {"split": args.split, **{n: getattr(args, n) for n in names}}
