# SPDX-License-Identifier: Apache-2.0
"""`etalage impressions`."""

from __future__ import annotations

import os

from . import _cli_data as data
from . import _cli_io as files
from . import _cli_output as output


def add(commands) -> None:
    p = data.command(commands, "impressions", "what an engine showed and what it caused, as a table", """
Writes a row for every product of every logged answer in an engine's folder: request, time, shopper, placement, position, item, source,
score, propensity, and a count for each type of event. The folder must not be in use by a running engine; nothing in it changes.
""", "etalage impressions shop.engine --out impressions.parquet", impressions)
    p.add_argument("folder", metavar="FOLDER", help="folder of the engine's journal")
    p.add_argument("--out", required=True, metavar="FILE", help=".parquet, .csv, .csv.gz, .tsv, .tsv.gz or .json")
    p.add_argument("--marginals", type=int, default=0, metavar="DRAWS",
                   help="also the probability of each product at its place whatever stands above, by so many draws where it is not exact, and its error")
    p.add_argument("--seed", type=int, default=0, help="of these draws (default: 0)")
    p.add_argument("--event", action="append", default=[], metavar="NAME=WEIGHT",
                   help="a type of event that the engine was made with; may be repeated (default: view, cart, purchase, return)")
    output.add_overwrite(p)


def impressions(args) -> int:
    from .serving import Engine

    output.check_table(args.out, args)
    if args.marginals < 0:
        raise ValueError(f"--marginals is {args.marginals}, must be >= 1, or 0 for none")
    if not os.path.isdir(args.folder):
        raise FileNotFoundError(f"{args.folder!r} is no folder")
    if not os.path.isdir(os.path.join(args.folder, "impressions")):
        raise ValueError(f"{args.folder!r} has no impressions, must be the folder of an engine that logged answers")
    with Engine(args.folder, event_types=data.weights(args.event, "--event", "NAME=WEIGHT")) as engine:
        frame = engine.impressions(args.marginals, args.seed)
    if not len(frame):
        raise ValueError(f"{args.folder!r} has no impressions on record, must have some")
    if files.is_parquet(args.out):
        pa = files.need_pyarrow()
        with output.replacing(args.out) as temporary:
            pa.parquet.write_table(frame.to_arrow(), temporary)
    else:
        columns = {name: values.astype(str) if values.dtype.kind == "M" else values for name, values in frame.columns.items()}
        output.write_table(args.out, [dict(zip(columns, row)) for row in zip(*columns.values())])
    data.say(f"{frame!r} -> {args.out}")
    return 0
