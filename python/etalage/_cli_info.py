# SPDX-License-Identifier: Apache-2.0
"""`etalage info` and `etalage demo`."""

from __future__ import annotations

from pathlib import Path

from . import _cli_data as data


def add(commands) -> None:
    p = data.command(commands, "info", "what a file holds; without a file, how this package was built", """
Prints the kind, format version and sections of a file that etalage wrote; without a file, how this package was built.
""", "etalage info model.etalage", info)
    p.add_argument("file", nargs="?", metavar="FILE", help="a model, an index, profiles, ...")

    p = data.command(commands, "demo", "the whole way on a made-up shop: train, evaluate, recommend, draw", """
Makes up a shop, fits models on its events, measures them, and writes a model, recommendations and a picture to a folder. Files
of an earlier demo there are replaced.
""", "etalage demo --users 2000 --out demo", demo)
    p.add_argument("--out", default="etalage-demo", metavar="FOLDER", help="folder for the results (default: etalage-demo)")
    p.add_argument("--users", type=int, default=5000, help="(default: 5000)")
    p.add_argument("--items", type=int, default=1000, help="(default: 1000)")
    p.add_argument("--seed", type=int, default=42, help="(default: 42)")


def info(args) -> int:
    import etalage
    from ._core import file_info

    if args.file is None:
        for key, value in etalage.build_info().items():
            print(f"{key:12s} {value}")
        return 0
    about = file_info(args.file)
    print(f"{args.file}: {about['kind']}, format version {about['format_version']}, {about['bytes']:,} bytes")
    made = recipe_of(args.file, about["kind"])
    if made is not None:
        print(f"  how events became what it was fitted on: {made}")
    for s in about["sections"]:
        print(f"  {s['name']:32s} {s['dtype']:9s} {s['count']:14,d}  at {s['offset']:12,d}  checksum {s['checksum']:016x}")
    return 0


def recipe_of(path, kind):
    """The recipe that a model's file keeps, or None."""
    from ._load import load
    from .models._base import _KINDS

    return load(path, verify="header").recipe if kind in _KINDS else None


def demo(args) -> int:
    from . import _demo

    if Path(args.out).exists() and not Path(args.out).is_dir():
        raise ValueError(f"--out is {args.out!r}, a file, must be a folder")
    for name in ("users", "items"):
        if getattr(args, name) < 1:
            raise ValueError(f"--{name} is {getattr(args, name)}, must be >= 1")
    return _demo.run(Path(args.out), users=args.users, items=args.items, seed=args.seed)
