# SPDX-License-Identifier: Apache-2.0
"""The command line: a thin layer over the package. `etalage --help` lists the commands."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from . import _cli_io as files


def _trainable() -> dict[str, type]:
    """Models that fit on events alone, by lower-case name."""
    from . import models

    classes = (getattr(models, n) for n in models.__all__ if n not in ("Vectors", "Blend"))
    return {c.__name__.lower(): c for c in classes if isinstance(c, type) and issubclass(c, models.Recommender) and c is not models.Recommender}


def _parameters(pairs: list[str]) -> dict:
    """["factors=64", "solver=cg"] -> {"factors": 64, "solver": "cg"}."""
    out = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        if not sign or not key:
            raise ValueError(f"--param is {pair!r}, must be NAME=VALUE")
        try:
            out[key] = json.loads(text)
        except ValueError:
            out[key] = text
    return out


def _weights(pairs: list[str]) -> dict[str, float] | None:
    out = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        try:
            out[key] = float(text)
        except ValueError:
            sign = ""
        if not sign:
            raise ValueError(f"--event-weight is {pair!r}, must be EVENT=NUMBER")
    return out or None


def _make_model(args):
    known = _trainable()
    name = args.model.lower()
    if name not in known:
        raise ValueError(f"--model is {args.model!r}, must be one of {', '.join(sorted(known))}")
    try:
        return known[name](**_parameters(args.param))
    except TypeError as error:  # a name that the model does not have, a value of another type
        raise ValueError(f"--param of {known[name].__name__}: {str(error).replace('__init__() ', '')}") from None


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _read_log(args):
    started = time.perf_counter()
    log = files.read_events(args.events, args)
    report = log.report
    _say(
        f"{args.events}: {report.rows_read:,} rows read, {report.rows_kept:,} kept, {report.rows_refused:,} refused; "
        f"{log.num_users:,} users, {log.num_items:,} items ({time.perf_counter() - started:.1f} s)"
    )
    for refusal in list(report.refusals)[:3]:
        _say(f"  refused {report.place} {refusal[0]}: {refusal[1]}")
    return log


def _interactions(log, args):
    return log.interactions(event_weights=_weights(args.event_weight), half_life_days=args.half_life_days)


def _training_data(model, log, args):
    """What the model fits on: a matrix, or for models to which order matters the log without events that weigh nothing."""
    from .models._sequence import SequenceRecommender

    if not isinstance(model, SequenceRecommender):
        return _interactions(log, args)
    weights = _weights(args.event_weight)
    if weights is None or log.events is None:
        return log
    absent = sorted(set(log.event_names) - set(weights))
    if absent:
        raise ValueError(f"--event-weight has none for {', '.join(absent)}, must have one for every event type")
    counts = np.array([weights[name] > 0 for name in log.event_names], bool)
    return log.filtered(counts[np.asarray(log.events)])


def train(args) -> int:
    if args.out == "-":
        raise ValueError("--out is '-', must be a file: a model is mapped from it")
    model = _make_model(args)
    data = _training_data(model, _read_log(args), args)
    started = time.perf_counter()
    model.fit(data, show_progress=sys.stderr.isatty())
    model.save(args.out)
    _say(f"{model!r} fitted in {time.perf_counter() - started:.1f} s")
    print(args.out)
    return 0


def recommend(args) -> int:
    from . import _cli_recommend

    return _cli_recommend.run(args)


def similar(args) -> int:
    import etalage

    model = etalage.load(args.model_file)
    names = files.read_names(args.catalog, args.catalog_item, args.catalog_name)
    ids = files.ids_like(args.item, model.item_ids)
    indices = files.indices_of(model.item_ids, ids)
    for text, index in zip(args.item, indices):
        if index < 0:
            raise ValueError(f"item {text!r} is not in {args.model_file}")
        items, scores = model.similar_items(int(index), k=args.k)
        print(f"{text}{files.named(names, text)}")
        for rank, (i, s) in enumerate(zip(items, scores), start=1):
            if i >= 0:
                key = model.item_ids[i]
                print(f"  {rank:3d}  {s:8.4f}  {key}{files.named(names, key)}")
    return 0


def evaluate(args) -> int:
    from . import evaluation, models
    from .evaluation import split

    if args.split == "temporal" and args.at is None:
        raise ValueError("--split temporal needs --at: the first moment of the test part")
    log = _read_log(args)
    if args.split == "temporal":
        parts = split.temporal(log, at=args.at)
    elif args.split == "leave-last-out":
        parts = split.leave_last_out(log)
    else:
        parts = split.random_holdout(log, args.share, args.seed)
    test_data = _interactions(parts.test, args)
    try:
        cutoffs = tuple(int(k) for k in args.k.split(","))
    except ValueError:
        raise ValueError(f"--k is {args.k!r}, must be integers >= 1 with commas between them") from None
    metrics = tuple(m.strip() for m in args.metrics.split(","))
    contenders = {type(m).__name__: m for m in (models.Popularity(), _make_model(args))}
    rows = {}
    for name, model in contenders.items():
        started = time.perf_counter()
        history = _training_data(model, parts.train, args)
        model.fit(history)
        fitted = time.perf_counter() - started
        result = evaluation.evaluate(model, history, test_data, k=cutoffs, metrics=metrics)
        rows[name] = {m: float(result[m]) for m in (f"{m}@{k}" for m in metrics for k in cutoffs)}
        rows[name] |= {f"tied@{k}": float(result[f"tied@{k}"]) for k in cutoffs}
        rows[name] |= {"users": int(result["users"]), "fit_seconds": round(fitted, 3)}
    if args.json:
        print(json.dumps(rows, indent=2))
        return 0
    columns = list(next(iter(rows.values())))
    print(f"{'model':12s}" + "".join(f"{c:>13s}" for c in columns))
    for name, row in rows.items():
        print(f"{name:12s}" + "".join(f"{v:13.4f}" if isinstance(v, float) else f"{v:13,d}" for v in row.values()))
    return 0


def info(args) -> int:
    import etalage
    from ._core import file_info

    if args.file is None:
        for key, value in etalage.build_info().items():
            print(f"{key:12s} {value}")
        return 0
    about = file_info(args.file)
    print(f"{args.file}: {about['kind']}, format version {about['format_version']}, {about['bytes']:,} bytes")
    for s in about["sections"]:
        print(f"  {s['name']:32s} {s['dtype']:9s} {s['count']:14,d}  at {s['offset']:12,d}  checksum {s['checksum']:016x}")
    return 0


def demo(args) -> int:
    from . import _demo

    return _demo.run(Path(args.out), users=args.users, items=args.items, seed=args.seed)


def _event_options(p: argparse.ArgumentParser) -> None:
    p.add_argument("events", help="event file: .csv, .csv.gz or .parquet")
    p.add_argument("--user", default="user", help="column of the shopper's key (default: user)")
    p.add_argument("--item", default="item", help="column of the product's key (default: item)")
    p.add_argument("--time", help="column of the time: ISO text, timestamps, or numbers with --time-unit")
    p.add_argument("--event", help="column of the event type")
    p.add_argument("--value", help="column of a number that the event weighs by; negative cancels or dislikes")
    p.add_argument("--session", help="column of the session's key")
    p.add_argument("--time-unit", choices=("s", "ms", "us", "ns"), help="unit of a numeric time column")
    p.add_argument("--on-error", choices=("raise", "skip"), default="raise", help="what a bad row does (default: raise)")
    p.add_argument("--event-weight", action="append", default=[], metavar="EVENT=WEIGHT", help="may be repeated")
    p.add_argument("--half-life-days", type=float, help="an event counts half after so many days")


def _model_options(p: argparse.ArgumentParser) -> None:
    p.add_argument("--model", default="als", help="als, popularity, ... (default: als)")
    p.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="a model parameter; may be repeated")


def _catalog_options(p: argparse.ArgumentParser) -> None:
    p.add_argument("--catalog", help="product file with names: .csv, .csv.gz or .parquet; event files will do")
    p.add_argument("--catalog-item", default="item", help="its column of the product's key (default: item)")
    p.add_argument("--catalog-name", default="name", help="its column of the product's name (default: name)")


def _parser() -> argparse.ArgumentParser:
    from . import __version__

    parser = argparse.ArgumentParser(prog="etalage", description="From a shop's event file to ranked products.")
    parser.add_argument("--version", action="version", version=f"etalage {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    p = commands.add_parser("train", help="fit a model on an event file and save it")
    _event_options(p)
    _model_options(p)
    p.add_argument("--out", required=True, help="model file to write")
    p.set_defaults(run=train)

    p = commands.add_parser("recommend", help="write the best products of every shopper, or of some")
    p.add_argument("model_file", help="file written by train or Model.save")
    p.add_argument("--out", help=".csv, .csv.gz or .parquet; - prints CSV; without it a list to read is printed")
    p.add_argument("--users", help="text file with one shopper's key a line (default: every fitted shopper)")
    p.add_argument("--user", action="append", default=[], metavar="KEY", help="one shopper; may be repeated")
    p.add_argument("--k", type=int, default=10)
    p.add_argument("--include-seen", action="store_true", help="recommend known products again")
    p.add_argument("--block", type=int, default=8192, help="shoppers scored at a time; bounds memory")
    p.add_argument("--shard", metavar="I/N", help="do part I of N, 0 <= I < N; writes NAME-I-of-N.EXT. One that is complete is skipped, "
                                                  "one of another model or other options made anew")
    p.add_argument("--resume", action="store_true", help="go on with one job: a shard of another model or other options is an error")
    _catalog_options(p)
    p.set_defaults(run=recommend)

    p = commands.add_parser("similar", help="products most like the given ones")
    p.add_argument("model_file")
    p.add_argument("item", nargs="+", help="product keys")
    p.add_argument("--k", type=int, default=10)
    _catalog_options(p)
    p.set_defaults(run=similar)

    p = commands.add_parser("evaluate", help="split an event file, fit on one part, measure on the other")
    _event_options(p)
    _model_options(p)
    p.add_argument("--split", choices=("temporal", "leave-last-out", "random"), default="leave-last-out")
    p.add_argument("--at", help="temporal: first moment of the test part, ISO text")
    p.add_argument("--share", type=float, default=0.2, help="random: share of the test part (default: 0.2)")
    p.add_argument("--seed", type=int, default=42)
    p.add_argument("--k", default="10,20", help="list lengths (default: 10,20)")
    p.add_argument("--metrics", default="recall,ndcg", help="(default: recall,ndcg)")
    p.add_argument("--json", action="store_true")
    p.set_defaults(run=evaluate)

    p = commands.add_parser("info", help="what a file holds; without a file, how this package was built")
    p.add_argument("file", nargs="?")
    p.set_defaults(run=info)

    p = commands.add_parser("demo", help="the whole way on a made-up shop: train, evaluate, recommend, draw")
    p.add_argument("--out", default="etalage-demo", help="folder for the results")
    p.add_argument("--users", type=int, default=5000)
    p.add_argument("--items", type=int, default=1000)
    p.add_argument("--seed", type=int, default=42)
    p.set_defaults(run=demo)
    return parser


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    try:
        return args.run(args)
    except BrokenPipeError:
        # Whoever read our output has had enough (head). What is still buffered goes nowhere, or Python complains at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, KeyError, OSError, ImportError, NotImplementedError, ArithmeticError, MemoryError) as error:
        _say(f"etalage {args.command}: {error}")
        return 2
    except KeyboardInterrupt:
        _say(f"etalage {args.command}: interrupted")
        return 130


if __name__ == "__main__":
    sys.exit(main())
