# SPDX-License-Identifier: Apache-2.0
"""`etalage describe`: what an event file holds, before anything is fitted."""

from __future__ import annotations

from . import _cli_data as data
from . import _cli_io as files
from . import _cli_output as output


def add(commands) -> None:
    p = data.command(commands, "describe", "what an event file holds, before anything is fitted", """
Prints what an event file holds: rows, shoppers, products, span, event types, how often a pair comes again, heavy shoppers, and
products that look like postage, tests or vouchers (by their names, where a catalogue is given).
""", "etalage describe events.csv --user customer --item sku --time at --event kind --plot events.png", run)
    data.add_columns(p)
    files.add_catalog(p)
    p.add_argument("--json", action="store_true", help="print JSON instead of lines to read")
    p.add_argument("--plot", metavar="FILE", help="a picture of rows by month and rows by shopper: .png, .svg, .pdf")
    output.add_overwrite(p)


def _catalog(log, names: dict[str, str]):
    """The log's products with their names, as log.describe() takes them."""
    from . import Catalog

    return Catalog(log.item_ids, names=[names.get(str(key), "") for key in log.item_ids])


def run(args) -> int:
    if args.plot:
        output.check_picture(args.plot, args, reads=(args.events, args.catalog))
    names = files.read_names(args.catalog, args.catalog_item, args.catalog_name)
    log = data.read_log(args)
    about = log.describe(_catalog(log, names) if args.catalog else None)
    if args.plot:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10, 3.5), layout="constrained")
        about.plot(figure.subplots(1, 2))
        with output.replacing(args.plot) as temporary:
            figure.savefig(temporary, dpi=130)
    print(output.as_json(_numbers(about)) if args.json else about)
    return 0


def _numbers(about) -> dict:
    """The attributes of a description as JSON can hold them: moments and months as ISO text."""
    out = {}
    for name, value in vars(about).items():
        if name.startswith("_"):
            continue
        moment = getattr(getattr(value, "dtype", None), "kind", "") == "M"
        out[name] = value.astype(str) if moment and value.ndim else str(value) if moment else value
    return out
