# SPDX-License-Identifier: Apache-2.0
"""What a learned second stage is worth over the best that the table of accuracy has, on the same splits.

    python bench/quality/learned_ranker.py [--data ../shared/data] [--only TEXT ...] [--method linear] [--choose]

Sources have the settings of settings.json. The ranker learns on the validation part (sources fitted on what is before it), its
sources are then fitted on what the task's protocol allows, and both are measured once on test. Which candidates, penalty and
method: --choose compares them by the cross-validated NDCG inside the validation part and prints it; CHOSEN below is what that
gave; that of yoochoose was learned on the last training day but one and measured on the last.
The difference is paired, its interval a bootstrap over shoppers (positions).
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

# task: (sources, the row to beat, floor over it, metric)
TASKS_OF = {
    "online retail, new": (("GraphFilter", "ALS", "SLIM", "ItemKNN", "EASE", "RP3beta", "Popularity"), "Blend", "+4 %", "ndcg@20"),
    "movielens": (("SLIM", "EASE", "ALS", "GraphFilter", "ItemKNN", "RP3beta", "Popularity"), "Blend", "+3 %", "ndcg@20"),
    "beauty": (("LinearSequence", "Transitions", "SessionKNN", "Item2Vec"), "Blend", ".095 / .0595", "ndcg@10"),
    "yoochoose": (("SessionKNN", "VSKNN", "Transitions", "LinearSequence", "SequentialRules"), "VSKNN", "+5 %", "mrr@20"),
}
CHOSEN = {
    "online retail, new": {"method": "linear"}, "movielens": {"method": "linear"},  # a thousand lists
    "beauty": {"method": "linear"},
    "yoochoose": {"method": "lambdarank", "candidates": 40, "max_negatives": 40, "num_trees": 80, "folds": 2},
}
GRID = [{"method": m, "candidates": c, "l2": p} for m in ("linear", "lambdarank") for c in (100, 300) for p in (1e-3, 1e-2)]


def sources_of(name, settings, data):
    from rows import BY_KEY
    from run import new_model

    out = []
    for label in TASKS_OF[name][0]:
        key = f"{name}: {label}"
        if key in BY_KEY:
            out.append((label.replace(" ", "_"), new_model(BY_KEY[key], settings, False, data)))
    return out


def learned(name, task, settings, data, options):
    """The ranker, having learned on the validation part, and what that took."""
    import etalage

    train, held, asked = task.choose(data)
    began = time.perf_counter()
    ranker = etalage.models.LearnedRanker(sources_of(name, settings, train), **options)
    given = {n: asked[n] for n in ("positions", "filter_already_liked_items") if n in asked}
    ranker.fit(train, valid=held, refit_sources=False, k=int(asked["metric"].partition("@")[2]), **given)
    return ranker, time.perf_counter() - began


def base_of(name, task, settings, data):
    """The row to beat, as run.py fits it."""
    from rows import BY_KEY
    from run import new_model

    row = BY_KEY[f"{name}: {TASKS_OF[name][1]}"]
    train = task.final(data)
    model = new_model(row, settings, False, train)
    if not row.members:
        return model.fit(train)
    inner, held, options = task.choose(data)
    asked = {n: options[n] for n in ("positions", "filter_already_liked_items", "importance") if n in options}
    model.fit(inner, valid=held, refit_members=False, k=max(int(m.partition("@")[2]) for m in task.metrics), **asked)
    return model if train is inner else model.set_params(weights=list(model.weights_.values())).fit(train)


def measured(name, task, data, model):
    """The task's own measure; that of yoochoose is two in one dict, of which the first can be compared by position."""
    if name != "yoochoose":
        return task.measure(data, model)
    import datasets
    from etalage.evaluation import evaluate_next

    return evaluate_next(model, datasets.yoochoose(data)["test"], positions="all", k=(20,), metrics=("hit_rate", "mrr"))


def main() -> int:
    from datasets import Missing
    from tasks import TASKS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("ETALAGE_DATA", str(HERE.parents[1].parent / "shared" / "data")))
    parser.add_argument("--only", nargs="+", default=[], help="tasks whose name contains one of these")
    parser.add_argument("--method", help="linear or lambdarank, whatever was chosen")
    parser.add_argument("--choose", action="store_true", help="compare settings on the validation part alone; test is not touched")
    args = parser.parse_args()
    settings = json.loads((HERE / "settings.json").read_text())
    print("| task | metric | to beat | learned | difference, 95 % interval | relative | floor | learned in s | report |\n|---|---|---|---|---|---|---|---|---|")
    for name, (_, beat, floor, metric) in TASKS_OF.items():
        if args.only and not any(t.lower() in name for t in args.only):
            continue
        task = TASKS[name]
        try:
            if args.choose:
                for options in GRID:
                    ranker, seconds = learned(name, task, settings, args.data, {**options, "max_lists": 4096})
                    print(f"{name}: {options} {json.dumps(ranker.report)} {seconds:.0f} s", flush=True)
                continue
            options = {**CHOSEN.get(name, {}), **({"method": args.method} if args.method else {})}
            ranker, seconds = learned(name, task, settings, args.data, options)
            final = task.final(args.data)
            if final is not task.choose(args.data)[0]:
                ranker.refit(final)
            new, old = (measured(name, task, args.data, m) for m in (ranker, base_of(name, task, settings, args.data)))
        except Missing as error:
            print(f"| {name} | skipped: {error} |")
            continue
        for m in (metric, *(x for x in task.metrics[:2] if x != metric)):
            paired = new.compare(old, m)
            difference, (low, high) = paired["difference"], paired["interval"]
            print(f"| {name} | {m} | {beat} {old[m]:.4f} | {new[m]:.4f} | {difference:+.4f} [{low:+.4f}, {high:+.4f}] | "
                  f"{100 * (new[m] / old[m] - 1):+.1f} % | {floor} | {seconds:.0f} | {json.dumps(ranker.report) if m == metric else ''} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
