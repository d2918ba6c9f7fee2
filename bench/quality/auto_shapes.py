# SPDX-License-Identifier: Apache-2.0
"""Models as constructed on shapes of data that their rules were not made on: shares of rows and items of the sets, synthetic stores.

    python bench/quality/auto_shapes.py [--data ../shared/data] [--models ALS BPR] [--shapes gowalla/4] [--threads 2]
    python bench/quality/auto_shapes.py --results shapes.jsonl --seconds 180      again and again, until nothing is left to measure
    python bench/quality/auto_shapes.py --results shapes.jsonl --table            what was found, as in docs/tuning.md

Each model as it stands, "auto", is fitted beside the settings that it had before there were rules ("plain") and beside the rule with its
most telling parameter at a third and three times of what it says (exponents of walks .25 below and above). All are measured with ndcg@20 on the
part of each user's row that was held out. The last column is auto in parts of the best of them: near 1 where the rule holds. With
--results each fit is a line of that file, and those that are there already are not measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys
import time

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

# (users, items) of synthetic stores.
STORES = ((500, 200), (2_000, 1_000), (10_000, 2_000), (20_000, 10_000), (50_000, 20_000))

PLAIN = {
    "ALS": {"factors": 64, "regularization": 0.01, "alpha": 1.0, "iterations": 15, "unobserved_weight": 1.0, "nu": 0.0},
    "BPR": {"factors": 64, "regularization": 0.01, "epochs": 50, "num_candidates": 8, "item_bias": False},
    "WARP": {"factors": 64, "regularization": 0.01, "epochs": 50, "max_trials": 64, "num_violators": 1, "item_bias": False},
    "EASE": {"l2": 100.0},
    "GraphFilter": {"history_exponent": 0.6, "user_exponent": 0.8, "item_exponent": 0.15, "sharpen_weight": 0.45},
    "ItemKNN": {"num_neighbors": 100, "similarity": "cosine"},
    "P3alpha": {"alpha": 1.0},
    "RP3beta": {"alpha": 1.0, "beta": 0.3, "num_neighbors": 500},
}
TELLING = {"ALS": "unobserved_weight", "BPR": "regularization", "WARP": "regularization", "EASE": "l2", "GraphFilter": "sharpen_weight",
           "ItemKNN": "shrinkage", "P3alpha": "alpha", "RP3beta": "beta"}


def share(head, tail, part: int):
    """Every part-th user and item, those whose hash says so; rows without anything left fall out."""
    rng = np.random.default_rng(part)
    users, items = (np.sort(rng.permutation(n)[: n // part]) for n in head.shape)
    head, tail = head[users][:, items], tail[users][:, items]
    kept = np.diff(head.indptr) > 0
    return head[kept], tail[kept]


def shapes(data):
    """(name, function that gives head and tail as CSR matrices)."""
    import datasets

    for users, items in STORES[:3]:
        yield f"store {users} x {items}", lambda users=users, items=items: store(users, items)
    for part in (8, 4, 2):
        for name, load in (("gowalla", datasets.gowalla), ("beibei", datasets.beibei)):
            yield f"{name}/{part}", lambda load=load, part=part: share(load(data)["head"], load(data)["tail"], part)
    for users, items in STORES[3:]:
        yield f"store {users} x {items}", lambda users=users, items=items: store(users, items)


def store(users: int, items: int):
    import etalage

    columns = etalage.datasets.synthetic_store(users, items).to_dict()
    log = etalage.EventLog.from_frame({n: columns[n] for n in ("user", "item", "time")}, user="user", item="item", time="time")
    parts = etalage.evaluation.split.tail_holdout(log, 0.2)
    return parts.train, parts.test


def candidates(kind: str, data):
    """(name, parameters) of what auto is held against."""
    import etalage

    yield "auto", {}
    yield "plain", PLAIN[kind]
    name = TELLING[kind]
    value = etalage.tuning.defaults(kind, data)[name]
    if kind in ("P3alpha", "RP3beta"):  # exponents
        for label, step in (("- 0.25", -0.25), ("+ 0.25", 0.25)):
            yield f"{name} {label}", {name: max(0.05, value + step)}
    else:
        for label, factor in (("/ 3", 1 / 3), ("x 3", 3.0)):
            yield f"{name} {label}", {name: value * factor}


def read(path) -> dict:
    """{(shape, model, settings): ndcg@20, or None where it could not be fitted}, and {shape: its line} under None."""
    found: dict = {None: {}}
    if path is None or not pathlib.Path(path).exists():
        return found
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if "said" in row:
            found[None][row["shape"]] = row["said"]
        else:
            found[row["shape"], row["model"], row["settings"]] = row["ndcg"]
    return found


def table(found: dict) -> str:
    """A row a shape, a column a model: auto, and in brackets in parts of the best."""
    shown = list(found[None])
    kinds = [k for k in PLAIN if any(s is not None and s[1] == k for s in found if s is not None)]
    lines = ["| shape | " + " | ".join(kinds) + " |", "|---" * (len(kinds) + 1) + "|"]
    for shape in shown:
        cells = []
        for kind in kinds:
            values = {key[2]: v for key, v in found.items() if key is not None and key[:2] == (shape, kind) and v is not None}
            if "auto" not in values or len(values) < 2:
                cells.append("-")
                continue
            best = max(values, key=values.get)
            cells.append(f"{values['auto']:.4f} ({values['auto'] / max(values[best], 1e-9):.2f}{'' if best == 'auto' else ', ' + best})")
        lines.append(f"| {shape} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("ETALAGE_DATA", "../shared/data"))
    parser.add_argument("--models", nargs="+", default=list(PLAIN), choices=list(PLAIN))
    parser.add_argument("--shapes", nargs="+", help="only shapes whose name begins so")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--results", help="a file of what was measured, that is added to")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no fit after so many")
    parser.add_argument("--table", action="store_true", help="print what the file of results has, and measure nothing")
    args = parser.parse_args()
    began, known = time.perf_counter(), read(args.results)
    if args.table:
        print(table(known))
        return
    import etalage
    from datasets import Missing
    from etalage.evaluation import evaluate

    def note(row):
        if args.results:
            with open(args.results, "a", encoding="utf-8") as out:
                out.write(json.dumps(row) + "\n")

    for name, load in shapes(args.data):
        if args.shapes and not any(name.startswith(s) for s in args.shapes):
            continue
        # auto, plain and the two beside the rule
        if name in known[None] and all(sum(key is not None and key[:2] == (name, kind) for key in known) == 4 for kind in args.models):
            continue
        if time.perf_counter() - began > args.seconds:
            return
        try:
            head, tail = load()
        except Missing as missing:
            print(f"{name}: skipped, {missing}")
            continue
        s = etalage.tuning.shape_of(head)
        said = (f"{s.users} x {s.items}, {s.pairs} pairs, density {s.density:.4f}, row mean {s.row_mean:.1f}"
                f"{', dense' if s.dense else ', short' if s.short else ''}")
        print(f"{name}: {said}", flush=True)
        if name not in known[None]:
            known[None][name] = said
            note({"shape": name, "said": said})
        for kind in args.models:
            found, started = {}, time.perf_counter()
            for label, params in candidates(kind, head):
                key = (name, kind, label)
                if key not in known:
                    if time.perf_counter() - began > args.seconds:
                        return
                    try:
                        model = getattr(etalage.models, kind)(**params, num_threads=args.threads).fit(head)
                        known[key] = evaluate(model, head, tail, k=(20,), metrics=("ndcg",), num_threads=args.threads)["ndcg@20"]
                    except (ValueError, etalage.NumericalError):
                        known[key] = None  # beyond what the parameter may be
                    note({"shape": name, "model": kind, "settings": label, "ndcg": known[key]})
                if known[key] is not None:
                    found[label] = known[key]
            best = max(found.values())
            print(f"  {kind:12}" + "  ".join(f"{label} {value:.4f}" for label, value in found.items())
                  + f"   {found['auto'] / max(best, 1e-9):.3f}   ({time.perf_counter() - started:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
