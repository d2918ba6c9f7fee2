# SPDX-License-Identifier: Apache-2.0
"""`etalage evaluate` and `etalage compare`: models on held-out events, for everybody, with and without history."""

from __future__ import annotations

import time

from . import _cli_data as data
from . import _cli_models as models
from . import _cli_output as output

_GROUPS = ("with history", "without history")


def _add_measures(p) -> None:
    g = p.add_argument_group("measures")
    g.add_argument("--k", default="10,20", help="list lengths, with commas between them (default: 10,20)")
    g.add_argument("--metrics", default="recall,ndcg", help="hit_rate, map, mrr, ndcg, precision, recall, ... (default: recall,ndcg)")
    g.add_argument("--json", action="store_true", help="print JSON instead of a table")


def add(commands) -> None:
    p = data.command(commands, "evaluate", "split an event file, fit on one part, measure on the other", """
Fits a model and Popularity, the floor to beat, on one part of the events and measures both on the other: once for all
shoppers, then for those of whom the train part knows something and for those who get the model's answer for newcomers.
tied@k is the share of lists that place k cuts between products of equal score.
""", "etalage evaluate events.csv --user customer --item sku --time at --model ease --split temporal --at 2010-11-01", evaluate)
    data.add_columns(p)
    data.add_weights(p)
    models.add_one(p)
    data.add_split(p)
    _add_measures(p)

    p = data.command(commands, "compare", "several models side by side, with intervals and paired tests", """
Fits several models on one part of the events and measures them on the other, on the same shoppers: a row a model, best
first by the first metric. low and high are its interval (bootstrap over shoppers); difference and p_value a paired test
against the best row; tied the share of lists that place k cuts between products of equal score; then the first metric over
shoppers with and without history in the train part, and what the fit cost.
""", "etalage compare events.csv --user customer --item sku --time at --models popularity,ease,als --param als.factors=64 "
        "--out table.csv", compare)
    data.add_columns(p)
    data.add_weights(p)
    models.add_several(p)
    data.add_split(p)
    _add_measures(p)
    p.add_argument("--confidence", type=float, default=0.95, help="of the intervals (default: 0.95)")
    p.add_argument("--out", metavar="FILE", help="the table as .csv, .tsv, .parquet or .json, too")
    p.add_argument("--plot", metavar="FILE", help="a picture of the intervals: .png, .svg, .pdf")
    output.add_overwrite(p)


def _measures(args) -> tuple[tuple[int, ...], tuple[str, ...]]:
    try:
        cutoffs = tuple(int(k) for k in args.k.split(","))
    except ValueError:
        raise ValueError(f"--k is {args.k!r}, must be integers >= 1 with commas between them") from None
    if min(cutoffs) < 1:
        raise ValueError(f"--k is {args.k!r}, must be integers >= 1 with commas between them")
    metrics = tuple(m.strip() for m in args.metrics.split(","))
    first = f"{metrics[0]}@{cutoffs[0]}"
    if first not in list(tried(cutoffs, metrics).per_user):
        raise ValueError(f"--metrics begins with {metrics[0]!r}, must begin with one that each shopper has")
    return cutoffs, metrics


def tried(cutoffs, metrics):
    """The metrics of two shoppers: an unknown name is told before the events are read and models fitted."""
    import numpy as np
    import scipy.sparse as sp

    from . import evaluation
    from .models import Popularity

    train, test = sp.csr_matrix(np.eye(2, 3, dtype=np.float32)), sp.csr_matrix(np.eye(2, 3, 1, dtype=np.float32))
    return evaluation.evaluate(Popularity().fit(train), train, test, k=cutoffs, metrics=metrics)


def evaluate(args) -> int:
    from . import evaluation
    from .models import Popularity

    data.check_split(args)
    cutoffs, metrics = _measures(args)
    contenders = {type(m).__name__: m for m in (Popularity(), models.one(args))}
    log = data.read_log(args)
    parts = data.cut(log, args)
    test = data.held_out(parts.test, args)
    rows = {}
    for name, model in contenders.items():
        started = time.perf_counter()
        train, history = data.training_data(model, parts.train, args)
        model = models.ready(model, train, args).fit(train)
        fitted = time.perf_counter() - started
        result = evaluation.evaluate(model, history, test, k=cutoffs, metrics=metrics)
        names = [f"{m}@{k}" for m in metrics for k in cutoffs]
        rows[name] = {m: float(result[m]) for m in names}
        rows[name] |= {f"tied@{k}": float(result[f"tied@{k}"]) for k in cutoffs}
        rows[name] |= {"users": int(result["users"]), "fit_seconds": round(fitted, 3)}
        groups = result.by_history
        for group in _GROUPS:
            rows[name][group] = {n: groups[group][n] for n in (*names, "users") if n in groups[group]} if group in groups else None
    print(output.as_json(rows) if args.json else _table(rows))
    return 0


def _table(rows: dict) -> str:
    """A row a model, and one a group of shoppers below it."""
    columns = [c for c in next(iter(rows.values())) if c not in _GROUPS]
    lines = [f"{'model':18s}" + "".join(f"{c:>13s}" for c in columns)]
    for name, row in rows.items():
        for label, values in ((name, row), *((f"  {g}", row[g]) for g in _GROUPS if row[g] is not None)):
            lines.append(f"{label:18s}" + "".join(_cell(values.get(c)) for c in columns))
    return "\n".join(lines)


def _cell(value) -> str:
    if value is None or value != value:
        return f"{'-':>13s}"
    return f"{value:13.4f}" if isinstance(value, float) else f"{value:13,d}"


def compare(args) -> int:
    data.check_split(args)
    cutoffs, metrics = _measures(args)
    if not 0 < args.confidence < 1:
        raise ValueError(f"--confidence is {args.confidence}, must be in (0, 1)")
    contenders = models.several(args)
    reads = (args.events, *args.params_from)
    if args.out:
        output.check_table(args.out, args, reads)
    if args.plot:
        output.check_picture(args.plot, args, reads=reads)
    parts = data.cut(data.read_log(args), args)
    table = compared(contenders, parts, args, cutoffs, metrics, args.confidence)
    if args.out:
        output.write_table(args.out, table.rows)
    if args.plot:
        with output.replacing(args.plot) as temporary:
            table.plot(temporary)
    print(output.as_json(table.rows) if args.json else table)
    return 0


def compared(contenders, parts, args, cutoffs, metrics, confidence: float = 0.95):
    """The Comparison of models, each fitted on its kind of data and asked by its kind of history. What comes fitted stays so."""
    from .evaluation import _compare
    from .evaluation import evaluate as measured

    test = data.held_out(parts.test, args)
    evaluations, costs = {}, {}
    for name, model in contenders.items():
        seconds = memory = None
        train, history = data.training_data(model, parts.train, args)
        fit = "here" if model._model is None else "as given"
        if fit == "here":
            model = models.ready(model, train, args)
            seconds, memory = _compare.fit_cost(model, train)
        started = time.perf_counter()
        evaluations[name] = measured(model, history, test, cutoffs, metrics)
        costs[name] = (seconds, time.perf_counter() - started, memory, fit)
    return _compare.side_by_side(evaluations, costs, f"{metrics[0]}@{cutoffs[0]}", confidence, seed=args.seed)
