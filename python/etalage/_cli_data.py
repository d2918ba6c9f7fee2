# SPDX-License-Identifier: Apache-2.0
"""What the commands that read events share: their options, the log, the matrix made of it, and how it is cut."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace

import numpy as np

from . import _cli_io as files


def say(text: str) -> None:
    """To whoever runs the command; results alone go to standard output."""
    print(text, file=sys.stderr)


def command(commands, name: str, summary: str, page: str, example: str, run):
    """The parser of one command, whose help is a page: what it does, its options by topic, and an example."""
    p = commands.add_parser(name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter, description=page.strip(),
                            epilog=f"example:\n  {example.strip()}")
    p.set_defaults(run=run)
    return p


def add_columns(p) -> None:
    p.add_argument("events", metavar="EVENTS", help="event file: .csv, .csv.gz, .tsv, .tsv.gz or .parquet, or a folder of Parquet files")
    g = p.add_argument_group("columns of the event file")
    g.add_argument("--user", default="user", help="the shopper's key (default: user)")
    g.add_argument("--item", default="item", help="the product's key (default: item)")
    g.add_argument("--time", help="the time: ISO text, timestamps, or numbers with --time-unit")
    g.add_argument("--event", help="the event type")
    g.add_argument("--value", help="a number that the event weighs by; negative cancels or dislikes")
    g.add_argument("--session", help="the session's key, of each shopper's own; models of order learn from sessions then")
    g.add_argument("--time-unit", choices=("s", "ms", "us", "ns"), help="unit of a numeric time column")
    g.add_argument("--on-error", choices=("raise", "skip"), default="raise", help="what a bad row does (default: raise)")


def add_weights(p) -> None:
    g = p.add_argument_group("what an event counts")
    g.add_argument("--event-weight", action="append", default=[], metavar="EVENT=WEIGHT", help="may be repeated; one for every event type")
    g.add_argument("--half-life-days", type=float, help="an event counts half after so many days; test rows do not decay")
    g.add_argument("--duplicates", choices=("sum", "max", "last", "binary"), help="how events of a pair become one (default: sum)")
    g.add_argument("--value-transform", metavar="log1p|sqrt|rank|cap=X", help="what is made of a pair's weight")
    g.add_argument("--negative-values", choices=("keep", "cancel"), help="cancel: a negative value is a return")
    g.add_argument("--recipe", metavar="FILE", help="all of these from a recipe: .json, settings of `etalage tune`, or a model's file")
    g.add_argument("--return-event", metavar="EVENT", help="event type that is a return")
    g.add_argument("--return-cancels", action="append", default=[], metavar="EVENT", help="what it takes back; may be repeated (default: all)")


def add_split(p, valid: bool = False) -> None:
    g = p.add_argument_group("how the events are cut")
    g.add_argument("--split", choices=("leave-last-out", "temporal", "tail", "random"), default="leave-last-out",
                   help="test is each shopper's last product (default), everything from a moment on, the last share of each shopper's "
                        "products, or pairs at random")
    g.add_argument("--at", help="temporal: first moment of the test part, ISO text")
    if valid:
        g.add_argument("--valid-at", help="temporal: first moment of the part before it that settings are chosen on (default: as long "
                                          "before --at as the test part lasts)")
    g.add_argument("--share", type=float, default=0.2, help="tail, random: share of the test part (default: 0.2)")
    g.add_argument("--seed", type=_seed, default=42, help="of the random split and of what is drawn at random (default: 42)")


def _seed(text: str) -> int:
    try:
        seed = int(text)
    except ValueError:
        seed = -1
    if not 0 <= seed < 2**32:  # what optuna takes
        raise argparse.ArgumentTypeError(f"is {text!r}, must be an integer in [0, 2**32)")
    return seed


def weights(pairs: list[str] | None, flag: str = "--event-weight", form: str = "EVENT=NUMBER") -> dict[str, float] | None:
    """["view=1", "buy=5"] -> {"view": 1.0, "buy": 5.0}; None for none."""
    out = {}
    for pair in pairs or ():
        key, sign, text = pair.partition("=")
        try:
            out[key] = float(text)
        except ValueError:
            sign = ""
        if not key or not sign:
            raise ValueError(f"{flag} is {pair!r}, must be {form}")
    return out or None


def read_log(args):
    started = time.perf_counter()
    log = files.read_events(args.events, args)
    report = log.report
    say(f"{args.events}: {report.rows_read:,} rows read, {report.rows_kept:,} kept, {report.rows_refused:,} refused; "
        f"{log.num_users:,} users, {log.num_items:,} items ({time.perf_counter() - started:.1f} s)")
    for refusal in list(report.refusals)[:3]:
        say(f"  refused {report.place} {refusal[0]}: {refusal[1]}")
    if len(log) == 0:
        raise ValueError(f"{args.events} holds no events" + (f": all {report.rows_read:,} rows were refused" if report.rows_read else ""))
    return log


def _transform(text: str | None):
    """"log1p" -> "log1p", "cap=20" -> ("cap", 20.0)."""
    if text is None or not text.startswith("cap"):
        return text
    name, _, number = text.partition("=")
    try:
        return name, float(number)
    except ValueError:
        raise ValueError(f"--value-transform is {text!r}, must be log1p, sqrt, rank or cap=NUMBER") from None


def recipe(args):
    """The etalage.Recipe of add_weights()'s options, or the one that --recipe names. A session column makes lists of visits."""
    from ._recipe import Recipe

    given = {"event_weights": weights(args.event_weight), "half_life_days": args.half_life_days, "duplicates": args.duplicates,
             "return_event": args.return_event, "return_cancels": tuple(args.return_cancels) or None,
             "negative_values": args.negative_values, "value_transform": _transform(args.value_transform),
             "sessions": "session" if args.session else None}
    given = {name: value for name, value in given.items() if value is not None}
    if args.recipe is None:
        return Recipe(**given)
    if given.pop("sessions", None) and not given:
        return replace(Recipe.load(args.recipe), sessions="session")
    if given:
        flag = {"event_weights": "event-weight"}.get(next(iter(given)), next(iter(given)).replace("_", "-"))
        raise ValueError(f"--{flag} is given with --recipe, must be left out: {args.recipe} says what events count")
    return Recipe.load(args.recipe)


def held_out(log, args):
    """The matrix of a test part: what was bought is a hit whenever it was."""
    return recipe(args).held_out(log)


def goes_by_order(model) -> bool:
    from .models._sequence import goes_by_order as ordered

    return ordered(model)


def training_data(model, log, args):
    """(what the model fits on, what its shoppers are asked by): a matrix twice, or for models to which order matters lists by
    session where --session is given, and always lists by shopper."""
    made = recipe(args)
    if not goes_by_order(model):
        data = made.interactions(log)
        return data, data
    ignored = [flag for flag, given in (("--half-life-days", made.half_life_days), ("--value-transform", made.value_transform)) if given]
    if ignored:
        say(f"{' and '.join(ignored)} do nothing for models of order")
    return made.sequences(log), made.sequences(log, by="user")


def check_split(args) -> None:
    """What can be said before the events are read."""
    if args.split == "temporal" and args.at is None:
        raise ValueError("--split temporal needs --at: the first moment of the test part")
    stray = [flag for flag, given in (("--at", args.at), ("--valid-at", getattr(args, "valid_at", None))) if given is not None]
    if args.split != "temporal" and stray:
        raise ValueError(f"{stray[0]} is given with --split {args.split}, must go with --split temporal")
    if args.split == "temporal":
        from ._times import to_ms

        to_ms(args.at, "--at")
        if getattr(args, "valid_at", None) is not None and to_ms(args.valid_at, "--valid-at") >= to_ms(args.at, "--at"):
            raise ValueError(f"--valid-at is {args.valid_at}, must be before --at, {args.at}")


def cut(log, args, valid: bool = False):
    """train, valid and test of the log. The test part is the same with and without valid, so that nothing chosen on valid has
    seen what `evaluate` and `compare` measure on."""
    from ._times import to_ms
    from .evaluation import split

    if args.split == "temporal":
        at, valid_at = to_ms(args.at, "--at"), None
        if log.times is None:
            raise ValueError("--split temporal needs --time: the column of the time")
        last = int(log.times.max())
        if valid and at <= last:
            valid_at = 2 * at - last - 1 if args.valid_at is None else to_ms(args.valid_at, "--valid-at")
            if args.valid_at is None:
                say(f"chosen on {np.datetime64(valid_at, 'ms')} to {np.datetime64(at, 'ms')}; --valid-at sets its begin")
        parts = split.temporal(log, at, valid_at)
    elif args.split == "leave-last-out":
        parts = split.leave_last_out(log)
    elif args.split == "tail":
        parts = split.tail_holdout(log, args.share, args.share if valid else 0.0)
    else:
        parts = split.random_holdout(log, args.share, args.seed, args.share if valid else 0.0)
    for name, part in (("test", parts.test), ("valid", parts.valid), ("train", parts.train)):
        if len(part) == 0 and (valid or name != "valid"):
            raise ValueError(f"--split {args.split} leaves the {name} part without events")
    return parts
