# SPDX-License-Identifier: Apache-2.0
"""`etalage demo`: the whole way on a made-up shop, for a newcomer to read along."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from . import _cli_io as files


def _report(label: str, started: float) -> None:
    print(f"{label:58s} {time.perf_counter() - started:6.2f} s")


def _picture(path: Path, results: dict, metric_names: list[str]) -> bool:
    """Bars with 95 % bootstrap intervals; False without matplotlib."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        return False
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    width = 0.8 / len(results)
    for n, (name, result) in enumerate(results.items()):
        values = np.array([result[m] for m in metric_names])
        bounds = np.array([result.interval(m) for m in metric_names])
        at = np.arange(len(metric_names)) + (n - (len(results) - 1) / 2) * width
        axes.bar(at, values, width, label=name, yerr=np.abs(bounds.T - values), capsize=3)
    axes.set_xticks(range(len(metric_names)), metric_names)
    axes.set_ylabel("mean over shoppers, 95 % interval")
    axes.set_title("Ranking the whole catalogue for held-out purchases")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return True


def run(out: Path, users: int, items: int, seed: int) -> int:
    from . import datasets, evaluation, models
    from .evaluation import split

    out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    store = datasets.synthetic_store(users=users, items=items, seed=seed)
    log = store.log
    _report(f"a made-up shop: {log.num_users:,} shoppers, {log.num_items:,} products, {len(log):,} events", started)

    weights = {"view": 1.0, "cart": 3.0, "purchase": 5.0, "return": 0.0}
    parts = split.leave_last_out(log)
    train, test = (p.interactions(event_weights=weights) for p in (parts.train, parts.test))
    metric_names = ["recall@10", "recall@20", "ndcg@10", "ndcg@20"]
    results = {}
    fitted = {}
    for name, model in {
        "Popularity": models.Popularity(),
        "ALS": models.ALS(factors=64, regularization=0.01, alpha=1.0, iterations=15, seed=seed),
    }.items():
        started = time.perf_counter()
        fitted[name] = model.fit(train)
        results[name] = evaluation.evaluate(model, train, test, k=(10, 20), metrics=("recall", "ndcg"))
        _report(f"{name}: fitted and measured on {results[name]['users']:,} shoppers", started)
    print(f"\n{'':12s}" + "".join(f"{m:>12s}" for m in metric_names))
    for name, result in results.items():
        print(f"{name:12s}" + "".join(f"{result[m]:12.4f}" for m in metric_names))

    als = models.ALS(factors=64, regularization=0.01, alpha=1.0, iterations=15, seed=seed)
    als.fit(log.interactions(event_weights=weights))
    names = store.catalog.names()
    seqs = log.sequences()
    print()
    for user in (0, 1, 2):
        last = [names[i] for i in seqs[user][-3:]]
        print(f"{als.user_ids[user]}, who last looked at {', '.join(last)}:")
        recommended, scores = als.recommend(user, k=5)
        for i, s in zip(recommended, scores):
            print(f"    {s:6.3f}  {names[i]}")

    model_path = out / "model.etalage"
    als.save(model_path)
    rows = out / "recommendations.parquet"
    try:
        files.need_pyarrow()
    except ImportError:
        rows = rows.with_suffix(".csv")
    with files.RowWriter(str(rows), True) as writer:
        for start in range(0, len(als.user_ids), 8192):
            block = np.arange(start, min(start + 8192, len(als.user_ids)), dtype=np.int32)
            found, scores = als.recommend(block, k=10)
            where, ranks = np.nonzero(found >= 0)
            held = found[found >= 0]
            writer.write(als.user_ids[block][where], (ranks + 1).astype(np.int32), als.item_ids[held], scores[found >= 0],
                         [names[i] for i in held])
        writer.commit()
    picture = out / "evaluation.png"
    drawn = _picture(picture, results, metric_names)
    print(f"\nmodel            {model_path}\nrecommendations  {rows}")
    print(f"picture          {picture if drawn else '(needs matplotlib: pip install etalage[plot])'}")
    return 0
