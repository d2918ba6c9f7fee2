# SPDX-License-Identifier: Apache-2.0
"""`etalage train`: a model fitted on all events, as a file."""

from __future__ import annotations

import time

from . import _cli_data as data
from . import _cli_models as models
from . import _cli_output as output
from . import _cli_shards as shards


def add(commands) -> None:
    p = data.command(commands, "train", "fit a model on an event file and save it", """
Fits a model on all events of a file and saves it. A model file of the same name is replaced whole or not at all; any other
file needs --overwrite.
""", "etalage train events.csv --user customer --item sku --time at --event kind --event-weight view=1 --event-weight buy=5 "
        "--model ease --out model.etalage", run)
    data.add_columns(p)
    data.add_weights(p)
    models.add_one(p)
    shards.add_options(p)
    p.add_argument("--out", metavar="FILE", help="model file to write; with --shard, `etalage merge` writes it")
    output.add_overwrite(p, "replace a file that is no model, too")


def run(args) -> int:
    if args.shard is not None:
        return shards.run_shard(args)
    if args.out is None:
        raise ValueError("--out is not given, must be the model file to write")
    if args.out == "-":
        raise ValueError("--out is '-', must be a file: a model is mapped from it")
    model = models.one(args)
    output.check(args.out, args, reads=(args.events, args.params_from), own_kind=True)
    train, _ = data.training_data(model, data.read_log(args), args)
    started = time.perf_counter()
    model = models.ready(model, train, args)
    model.fit(train, show_progress=True)
    model.save(args.out)
    data.say(f"{model!r} fitted in {time.perf_counter() - started:.1f} s")
    print(args.out)
    return 0
