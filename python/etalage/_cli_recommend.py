# SPDX-License-Identifier: Apache-2.0
"""`etalage recommend`: every shopper's best products, block by block, restartable by shard."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from . import _cli_data as data
from . import _cli_io as files
from . import _cli_output as output


def add(commands) -> None:
    p = data.command(commands, "recommend", "write the best products of every shopper, or of some", """
Writes every shopper's best products, best first, block by block, or prints them. A file of its final name is always complete:
lists that exist are replaced whole. With --shard a job can be killed and started again: a shard that is complete is skipped,
one of another model or other options is made anew.
""", "etalage recommend model.etalage --k 20 --out lists.parquet --shard 0/8", run)
    p.add_argument("model_file", metavar="MODEL", help="file written by train, blend or Model.save")
    p.add_argument("--out", metavar="FILE", help=".csv, .csv.gz or .parquet; - prints CSV; without it a list to read is printed")
    p.add_argument("--users", metavar="FILE", help="text file with one shopper's key a line (default: every fitted shopper)")
    p.add_argument("--user", action="append", default=[], metavar="KEY", help="one shopper; may be repeated")
    p.add_argument("--k", type=int, default=10, help="length of the lists (default: 10)")
    p.add_argument("--include-seen", action="store_true", help="recommend known products again")
    p.add_argument("--block", type=int, default=8192, help="shoppers scored at a time; bounds memory (default: 8192)")
    p.add_argument("--shard", metavar="I/N", help="do part I of N, 0 <= I < N; writes NAME-I-of-N.EXT. One that is complete is skipped, "
                                                  "one of another model or other options made anew")
    p.add_argument("--resume", action="store_true", help="go on with one job: a shard of another model or other options is an error")
    output.add_overwrite(p, "make a shard anew that is complete, too")
    files.add_catalog(p)


def _shard(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    index, slash, count = text.partition("/")
    if not slash or not index.isdigit() or not count.isdigit() or not 0 <= int(index) < int(count):
        raise ValueError(f"--shard is {text!r}, must be I/N with 0 <= I < N")
    return int(index), int(count)


def shard_path(out: str, shard: tuple[int, int]) -> str:
    """recs.parquet, (0, 4) -> recs-0-of-4.parquet, so that shards never overwrite each other."""
    path = Path(out)
    ending = "".join(path.suffixes[-2:]) if path.name.lower().endswith(".gz") else path.suffix
    width = len(str(shard[1] - 1))
    return str(path.with_name(f"{path.name[: len(path.name) - len(ending)]}-{shard[0]:0{width}d}-of-{shard[1]}{ending}"))


def _note_path(path: str) -> Path:
    return Path(f"{path}.done.json")


def _signature(args, shard) -> str:
    """Changes whenever the rows would: model file, shoppers asked for, options."""
    digest = hashlib.sha256()
    stat = os.stat(args.model_file)
    options = [args.k, args.include_seen, args.user, shard, stat.st_size, stat.st_mtime_ns]
    digest.update(json.dumps(options).encode())
    for path in filter(None, (args.users, args.catalog)):
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()


def _is_done(path: str, signature: str, resume: bool) -> bool:
    """True when the shard is complete and made of the same input. One of another model or other options is made anew, and
    stands until the new one is complete; with --resume, which goes on with one job, it is an error."""
    note = _note_path(path)
    if not (Path(path).exists() and note.exists()):
        return False
    try:
        done = json.loads(note.read_text())
        same, size = done.get("signature") == signature, done.get("bytes")
    except (ValueError, AttributeError):  # not our note, or half of one
        return False
    if same:
        return size == os.path.getsize(path)
    if resume:
        raise ValueError(f"{path} was made from another model or other options, and --resume is to go on with one job; "
                         "leave --resume out to make it anew")
    print(f"{path} was made from another model or other options: made anew", file=sys.stderr)
    return False


def _wanted_users(args, model):
    """Indices of the shoppers asked for, or all; unknown keys are reported and answered as newcomers."""
    if args.users:
        with files.reading(args.users), open(args.users, encoding="utf-8-sig") as lines:
            texts = [line.rstrip("\r\n") for line in lines]
        texts = [t for t in texts if t]
    elif args.user:
        texts = args.user
    else:
        return None
    return files.ids_like(texts, model.user_ids)


class _Progress:
    """One line on a terminal, nothing anywhere else."""

    def __init__(self, total: int):
        self.total, self.started, self.on = total, time.perf_counter(), sys.stderr.isatty()

    def show(self, done: int) -> None:
        if self.on:
            seconds = time.perf_counter() - self.started
            sys.stderr.write(f"\r{done:,} of {self.total:,} shoppers, {done / max(seconds, 1e-9):,.0f} a second ")
            sys.stderr.flush()

    def end(self) -> None:
        if self.on:
            sys.stderr.write("\n")


def _blocks(model, keys, shard, block: int):
    """(keys, indices or None) a block; shard I of N takes the I-th of N equal stretches."""
    total = len(model.user_ids) if keys is None and model.user_ids is not None else (model.num_users if keys is None else len(keys))
    first, last = 0, total
    if shard is not None:
        first, last = (total * (shard[0] + i) // shard[1] for i in (0, 1))
    for start in range(first, last, block):
        stop = min(start + block, last)
        if keys is None:
            indices = np.arange(start, stop, dtype=np.int32)
            yield (indices if model.user_ids is None else model.user_ids[start:stop]), indices, last - first
        else:
            yield np.array(keys[start:stop], dtype=object if isinstance(keys[0], str) else np.int64), None, last - first


def _answer(model, keys, indices, args):
    """items as the shop's keys where the model has them, (n, k) scores, and which cells hold a result."""
    options = {"k": args.k, "filter_already_liked_items": not args.include_seen}
    if indices is None:
        items, scores = model.recommend_ids(keys, **options)
        items = np.asarray(items)
        return items, scores, np.isfinite(scores)
    items, scores = model.recommend(indices, **options)
    held = items >= 0
    return (items if model.item_ids is None else model.item_ids[np.maximum(items, 0)]), scores, held


def _print(model, keys, shard, args, names) -> None:
    """A readable list on the terminal."""
    for block_keys, indices, _ in _blocks(model, keys, shard, args.block):
        items, scores, held = _answer(model, block_keys, indices, args)
        for row, key in enumerate(block_keys):
            print(key)
            for rank in np.flatnonzero(held[row]):
                item = items[row, rank]
                print(f"  {rank + 1:3d}  {scores[row, rank]:8.4f}  {item}{files.named(names, item)}")


def run(args) -> int:
    if args.k < 0:
        raise ValueError(f"--k is {args.k}, must be >= 0")
    if args.block < 1:
        raise ValueError(f"--block is {args.block}, must be >= 1")
    shard = _shard(args.shard)
    out = args.out
    to_file = out not in (None, "-")
    if to_file and not (files.is_csv(out) or files.is_parquet(out)):
        raise ValueError(f"--out is {out!r}, must end in .csv, .csv.gz, .tsv, .tsv.gz or .parquet, or be -")
    if to_file and files.is_parquet(out):
        files.need_pyarrow()
    if args.resume and args.overwrite:
        raise ValueError("--resume and --overwrite are given, must be one of them: to go on, or to make anew")
    if args.resume and not (to_file and shard is not None):
        raise ValueError("--resume is given without --shard and --out, must go with both")
    signature = _signature(args, shard)
    if shard is not None and to_file:
        out = shard_path(out, shard)
        if not args.overwrite and _is_done(out, signature, args.resume):
            print(f"{out} is complete already, skipped")
            return 0
    model = files.load_model(args.model_file)
    names = files.read_names(args.catalog, args.catalog_item, args.catalog_name)
    keys = _wanted_users(args, model)
    if out is None:
        _print(model, keys, shard, args, names)
        return 0
    if to_file:
        _note_path(out).unlink(missing_ok=True)  # from here to the end the shard counts as unfinished
    done, progress = 0, None
    with files.RowWriter(out, bool(names)) as writer:
        for block_keys, indices, total in _blocks(model, keys, shard, args.block):
            progress = progress or _Progress(total)
            items, scores, held = _answer(model, block_keys, indices, args)
            rows, ranks = np.nonzero(held)
            flat = np.asarray(items)[held]
            texts = [names.get(str(i), "") for i in flat.tolist()] if names else []
            writer.write(np.asarray(block_keys)[rows], (ranks + 1).astype(np.int32), flat, scores[held], texts)
            done += len(block_keys)
            progress.show(done)
        writer.commit()
    if progress:
        progress.end()
    if not to_file:
        return 0
    if shard is not None:
        note = _note_path(out)
        temporary = note.with_name(f".{note.name}.{os.getpid()}")
        temporary.write_text(json.dumps({"signature": signature, "rows": writer.rows, "bytes": os.path.getsize(out)}))
        os.replace(temporary, note)
    print(f"{out}: {writer.rows:,} rows for {done:,} shoppers")
    return 0
