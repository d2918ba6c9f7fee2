# SPDX-License-Identifier: Apache-2.0
"""`etalage train --shard` and `etalage merge`: one fit by several processes over a shared folder, without Spark."""

from __future__ import annotations

import json
import os
import time

from . import _cli_data as data
from . import _cli_models as models
from . import _cli_output as output


def add(commands) -> None:
    p = data.command(commands, "merge", "make the model file of a fit by shards", """
Makes the model of a fit whose shards are done: the file that `etalage train --out` writes on one machine.
""", "etalage merge /shared/fit --out model.etalage", run_merge)
    p.add_argument("folder", metavar="FOLDER", help="the --folder of the shards")
    p.add_argument("--out", required=True, metavar="FILE", help="model file to write")
    output.add_overwrite(p, "replace a file that is no model, too")


def add_options(p) -> None:
    g = p.add_argument_group("one fit by several processes (als)")
    g.add_argument("--shard", metavar="K/N", help="this process is the K-th of N; each is started with the same options, on any host")
    g.add_argument("--folder", metavar="DIR", help="a folder that all of them share; a shard that was stopped goes on from it")
    g.add_argument("--shard-timeout", type=float, default=3600.0, metavar="SECONDS", help="how long to wait for the others (default: 3600)")


def _shard(text):
    try:
        shard, count = (int(part) for part in text.split("/"))
    except ValueError:
        shard, count = 0, 0
    if not 1 <= shard <= count:
        raise ValueError(f"--shard is {text!r}, must be K/N with 1 <= K <= N")
    return shard, count


def run_shard(args) -> int:
    from .spark import _shards as shards

    shard, count = _shard(args.shard)
    if args.folder is None:
        raise ValueError("--folder is not given, must be a folder that all shards share")
    if args.auto:
        raise ValueError("--auto is given, must not be with --shard: every shard needs the same parameters")
    model = models.one(args)
    if model._kind != "ALS":
        raise ValueError(f"--model is {model._kind!r}, must be als with --shard")
    fit = shards.Shards(args.folder)
    options = {n: v for n, v in model._options().items() if n != "num_threads"}
    fit.agree({"options": options, "shards": count, "data": json.loads(data.recipe(args).to_json()), "events": os.path.basename(args.events)})
    if shard == 1 and not fit.has_blocks():
        shards.make_blocks(fit, data.recipe(args).interactions(data.read_log(args)))
    started = time.perf_counter()

    def told(sweep, objective):
        if shard == 1:
            data.say(f"sweep {sweep} of {fit.fit().options['iterations']}, objective {objective:.8g} ({time.perf_counter() - started:.1f} s)")

    shards.train(fit, shard, count, num_threads=model.num_threads, timeout=args.shard_timeout, told=told)
    data.say(f"shard {shard} of {count} done; `etalage merge {args.folder} --out FILE` makes the model")
    return 0


def run_merge(args) -> int:
    from .spark import _shards as shards

    output.check(args.out, args, own_kind=True)
    if not os.path.isdir(args.folder):
        raise ValueError(f"folder is {args.folder!r}, must be the --folder of the shards")
    found = shards.Shards(args.folder)
    fit = found.fit()
    fit.assemble(os.path.abspath(args.out), found.last_half(fit), 0.0, fit.options["keep_history"])
    print(args.out)
    return 0
