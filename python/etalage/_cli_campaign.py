# SPDX-License-Identifier: Apache-2.0
"""`etalage campaign plan` and `etalage campaign measure`: whom to write to within a budget, and afterwards what that brought."""

from __future__ import annotations

import csv
import gzip

import numpy as np

from . import _cli_data as data
from . import _cli_io as files
from . import _cli_output as output


def add(commands) -> None:
    p = commands.add_parser("campaign", help="whom to write to within a budget, who is held out, and what it brought",
                            description="`plan` chooses shoppers and offers, holds some of the chosen out, and writes the list; `measure` reads the list and what "
                            "happened since, and writes what the campaign brought with an interval.")
    parts = p.add_subparsers(dest="part", required=True, metavar="PART", title="parts")
    _add_plan(parts)
    _add_measure(parts)


def _add_plan(parts) -> None:
    p = data.command(parts, "plan", "choose shoppers and offers within a budget", """
Reads a table of shoppers, one row each, with what an offer is worth for each of them (expected margin, or better its uplift), or asks a
model for the shoppers most likely to take a product. Chooses within the budget so that the whole is worth most, with a bound on what
any choice could be worth, holds a stable part of the chosen out, and writes user, offer, value, cost, group ("sent", "held out").
A list that exists is kept unless --overwrite is given.
""", "etalage campaign plan shoppers.parquet --user household --offer coupon=uplift:1.5 --budget 2000 --hold-out 0.1 --salt spring --out list.parquet", run_plan)
    p.add_argument("shoppers", metavar="SHOPPERS", help="table (.csv, .csv.gz, .tsv, .tsv.gz, .parquet), or with --item a model file")
    p.add_argument("--user", default="user", help="column of the shopper's key (default: user)")
    p.add_argument("--offer", action="append", default=[], metavar="NAME=VALUE:COST", help="an offer: the column of what it is worth, and its cost, a "
                   "number or a column; may be repeated")
    p.add_argument("--item", metavar="KEY", help="SHOPPERS is a model: shoppers most likely to take this product; needs --k")
    p.add_argument("--k", type=int, help="at most so many shoppers, those held out included")
    p.add_argument("--cost", type=float, default=0.0, help="with --item: cost of writing to one (default: 0)")
    p.add_argument("--budget", type=float, help="of all costs (default: none)")
    p.add_argument("--offer-max", action="append", default=[], metavar="NAME=N", help="how often an offer is given at most; may be repeated")
    g = p.add_argument_group("hold-out")
    g.add_argument("--hold-out", type=float, default=0.0, metavar="SHARE", help="share of the chosen who are not written to (default: 0)")
    g.add_argument("--salt", help="name of the hold-out: the same shoppers for the same name")
    p.add_argument("--out", required=True, metavar="FILE", help="the list: .csv, .csv.gz, .tsv, .tsv.gz, .parquet or .json")
    output.add_overwrite(p)


def _add_measure(parts) -> None:
    p = data.command(parts, "measure", "what a campaign brought", """
Reads the list of a plan and a file of what happened since (rows of a shopper and numbers, any number of rows a shopper, none for who did
nothing), and compares those written to with those held out. Prints what that means and writes an HTML report that needs no network.
The word incremental is used only where a randomised hold-out bears it: with --hold-out and --salt of the plan, by which the groups are
checked shopper by shopper, or with --randomised for groups that another system drew.
""", "etalage campaign measure list.parquet sales.csv --outcome revenue --hold-out 0.1 --salt spring --report report.html", run_measure)
    p.add_argument("list", metavar="LIST", help="what plan wrote, or a table with the same columns user and group (offer, cost)")
    p.add_argument("results", metavar="RESULTS", help="table of what happened since: .csv, .csv.gz, .tsv, .tsv.gz or .parquet")
    p.add_argument("--user", default="user", help="column of the shopper's key in RESULTS (default: user)")
    p.add_argument("--outcome", action="append", required=True, metavar="COLUMN", help="column that is summed by shopper; may be repeated")
    p.add_argument("--hold-out", type=float, metavar="SHARE", help="that of the plan")
    p.add_argument("--salt", help="that of the plan")
    p.add_argument("--randomised", action="store_true", help="your word that the groups were drawn at random by another system")
    p.add_argument("--confidence", type=float, default=0.95, help="of the intervals (default: 0.95)")
    p.add_argument("--report", metavar="FILE", help="HTML file to write")
    p.add_argument("--name", default="campaign", help="heading of the report (default: campaign)")
    p.add_argument("--what", default="", help="what was sent, in your words, for the report")
    p.add_argument("--json", action="store_true", help="print JSON instead of sentences")
    output.add_overwrite(p)


def read_columns(path: str, names: list[str]) -> dict[str, np.ndarray]:
    """Columns of a CSV or Parquet file, as text or as what Parquet holds."""
    if files.is_parquet(path):
        from pathlib import Path

        from ._frames import parquet_reader

        files.need_pyarrow()
        table = parquet_reader(Path(path), names).read_all()
        return {n: np.array(table.column(n).to_pylist(), dtype=object) for n in names}
    if not files.is_csv(path):
        raise ValueError(f"table is {path!r}, must end in .csv, .csv.gz, .tsv, .tsv.gz or .parquet")
    opener = gzip.open if files._is_gzip(path) else open
    with files.reading(path), opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=files._separator(path))
        absent = [n for n in names if n not in (reader.fieldnames or [])]
        if absent:
            raise ValueError(f"column {absent[0]!r} is not in {path}, must be one of {', '.join(reader.fieldnames or [])}")
        rows = [[row[n] for n in names] for row in reader]
    return {n: np.array([row[at] for row in rows], dtype=object) for at, n in enumerate(names)}


def _columns_of(path: str) -> list[str]:
    if files.is_parquet(path):
        return files.need_pyarrow().parquet.read_schema(path).names
    opener = gzip.open if files._is_gzip(path) else open
    with files.reading(path), opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(file, delimiter=files._separator(path)), [])


def _numbers(values, column, path) -> np.ndarray:
    out = np.empty(len(values))
    for at, value in enumerate(values):
        try:
            out[at] = float(value)
        except (TypeError, ValueError):
            raise ValueError(f"column {column!r} of {path} is {value!r} in row {at + 1}, must be a number") from None
        if not np.isfinite(out[at]):
            raise ValueError(f"column {column!r} of {path} is {value!r} in row {at + 1}, must be finite")
    return out


def _keys(values, column, path) -> np.ndarray:
    missing = next((at for at, v in enumerate(values) if v is None or v == ""), None)
    if missing is not None:
        raise ValueError(f"column {column!r} of {path} is empty in row {missing + 1}, must hold a key")
    if all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in values):
        return np.array(values.tolist(), dtype=np.int64) if len(values) else np.empty(0, object)
    return np.array([str(v) for v in values], dtype=object)


def _offers(args):
    out = []
    for text in args.offer:
        name, _, rest = text.partition("=")
        value, _, cost = rest.rpartition(":")
        if not (name and value and cost):
            raise ValueError(f"--offer is {text!r}, must be NAME=VALUE:COST")
        out.append((name, value, cost))
    return out


def run_plan(args) -> int:
    from .marketing import campaign

    output.check_table(args.out, args, reads=(args.shoppers,))
    if (args.item is None) == (not args.offer):
        raise ValueError("--item and --offer: must give one of them")
    if args.hold_out and args.salt is None:
        raise ValueError(f"--salt is missing with --hold-out {args.hold_out:g}, must name the hold-out")
    users, values, costs, names = _by_model(args) if args.item is not None else _by_table(args)
    budgets, cost_table = [], []
    if args.budget is not None:
        budgets.append(args.budget)
        cost_table.append(costs)
    if args.k is not None:
        if args.k < 0:
            raise ValueError(f"--k is {args.k}, must be >= 0")
        budgets.append(float(args.k))
        cost_table.append(np.ones_like(values))
    if not budgets:  # costs are told all the same
        budgets, cost_table = [float(costs.max(axis=1, initial=0.0).sum())], [costs]
    most = np.full(len(names), np.inf)
    for text in args.offer_max:
        name, _, number = text.partition("=")
        if name not in names or not number.isdigit():
            raise ValueError(f"--offer-max is {text!r}, must be NAME=N with a name of --offer")
        most[names.index(name)] = int(number)
    plan = campaign.plan(users, values, np.stack(cost_table, axis=2), budgets, offers=names, hold_out=args.hold_out, salt=args.salt, offer_max=most)
    given = plan.columns()
    if args.budget is None and args.k is not None:  # the first budget counts heads
        at = {name: o for o, name in enumerate(names)}
        row = {key: r for r, key in enumerate(users.tolist())}
        given["cost"] = np.array([costs[row[u], at[o]] for u, o in zip(plan.users.tolist(), plan.offers.tolist())])
    columns = {name: column.tolist() for name, column in given.items()}
    rows = [dict(zip(columns, row)) for row in zip(*columns.values())]
    if not rows:
        raise ValueError("nobody is worth writing to within the budget: all values are at or below 0, or all costs above it")
    output.write_table(args.out, rows)
    sent = ~plan.held_out
    data.say(f"{int(sent.sum())} to write to and {int(plan.held_out.sum())} held out, of {plan.population} shoppers; cost {float(np.sum(np.asarray(given['cost'])[sent])):.2f}"
             + (f" of {args.budget:.2f}" if args.budget is not None else ""))
    data.say(f"worth {plan.allocation.value:.6g} by the values given, no choice is worth more than {plan.allocation.bound:.6g} (gap {100 * plan.allocation.gap:.3g} %)")
    print(args.out)
    return 0


def _by_model(args):
    from .marketing import audience

    if args.k is None:
        raise ValueError("--k is missing with --item, must be the number of shoppers")
    model = files.load_model(args.shoppers)
    key = files.ids_like([args.item], model.item_ids)[0]
    found = audience(model, item=key, k=args.k, why=False)
    scores = np.asarray(found.scores, np.float64)
    # Scores order shoppers; the budget is spent from the best down whatever their sign.
    values = (scores - scores.min(initial=0.0) + 1e-9)[:, None]
    return found.users, values, np.full(values.shape, args.cost), [str(key)]


def _by_table(args):
    offers = _offers(args)
    names = [name for name, *_ in offers]
    if len(set(names)) < len(names):
        raise ValueError(f"--offer names {', '.join(names)}, must be different")
    present = _columns_of(args.shoppers)
    wanted = list(dict.fromkeys([args.user] + [v for _, v, _ in offers] + [c for *_, c in offers if c in present]))
    table = read_columns(args.shoppers, wanted)
    users = _keys(table[args.user], args.user, args.shoppers)
    values = np.stack([_numbers(table[v], v, args.shoppers) for _, v, _ in offers], axis=1)
    costs = np.empty_like(values)
    for at, (_, _, cost) in enumerate(offers):
        if cost in table:
            costs[:, at] = _numbers(table[cost], cost, args.shoppers)
            continue
        try:
            costs[:, at] = float(cost)
        except ValueError:
            raise ValueError(f"--offer has the cost {cost!r}, must be a number or one of the columns {', '.join(present)}") from None
    return users, values, costs, names


def run_measure(args) -> int:
    from .marketing import campaign

    if args.report:
        if not args.report.lower().endswith((".html", ".htm")):
            raise ValueError(f"--report is {args.report!r}, must end in .html or .htm")
        output.check(args.report, args, "--report", reads=(args.list, args.results))
    present = _columns_of(args.list)
    listed = read_columns(args.list, ["user", "group"] + [n for n in ("offer", "cost") if n in present])
    results = read_columns(args.results, list(dict.fromkeys([args.user, *args.outcome])))
    # A list in Parquet and results in CSV name a shopper in two ways: keys are compared as text, as slots take them.
    users = np.array([str(u) for u in _keys(listed["user"], "user", args.list)], dtype=object)
    keys = np.array([str(u) for u in _keys(results[args.user], args.user, args.results)], dtype=object)
    outcomes = {name: (keys, _numbers(results[name], name, args.results)) for name in args.outcome}
    known = set(users.tolist())
    foreign = sum(k not in known for k in set(keys.tolist()))
    result = campaign.measure(users, listed["group"], outcomes, offers=listed.get("offer"),
                              costs=_numbers(listed["cost"], "cost", args.list) if "cost" in listed else None, hold_out=args.hold_out, salt=args.salt,
                              randomised=True if args.randomised else None, confidence=args.confidence)
    if foreign:
        data.say(f"{foreign} shoppers of {args.results} are not on the list and are left out")
    if args.report:
        result.report(args.report, name=args.name, what=args.what)
        data.say(args.report)
    if args.json:
        print(output.as_json({"randomised": result.randomised, "why_not": result.why_not, "cost": result.cost, "effects": [vars(e) for e in result.effects]}))
    else:
        print("\n".join(result.sentences()))
    return 0
