# SPDX-License-Identifier: Apache-2.0
"""`etalage similar`: products most like the given ones."""

from __future__ import annotations

from . import _cli_data as data
from . import _cli_io as files


def add(commands) -> None:
    p = data.command(commands, "similar", "products most like the given ones", """
Prints the products that a model finds most like the given ones, best first, with names where a catalogue is given.
""", "etalage similar model.etalage 85048 --k 5 --catalog products.csv --catalog-item sku --catalog-name title", run)
    p.add_argument("model_file", metavar="MODEL", help="file written by train, blend or Model.save")
    p.add_argument("item", nargs="+", metavar="KEY", help="product keys")
    p.add_argument("--k", type=int, default=10, help="length of the lists (default: 10)")
    files.add_catalog(p)


def run(args) -> int:
    if args.k < 1:
        raise ValueError(f"--k is {args.k}, must be >= 1")
    model = files.load_model(args.model_file)
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
