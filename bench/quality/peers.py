# SPDX-License-Identifier: Apache-2.0
"""The best of etalage beside the best of implicit, irspack and RecTools, each model tuned with the same number of trials.

    python bench/quality/peers.py [--data ../shared/data] [--trials 30] [--tasks movielens "online retail, all" ...]

Every model of a peer is searched by Optuna (TPE, the same seed) on the validation part; the model and settings best there
are fitted once on train + valid and measured once on test. Ours is what is best on validation: a row of settings.json, or a
blend of them with weights learned there.
The last column is the paired difference of ndcg@20 on the same users in percent of the peer's mean, with its 95 % interval.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys
import tempfile

import numpy as np
import scipy.sparse as sp

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "peers")]

import etalage  # noqa: E402
from environments import python_of  # noqa: E402
from protocol import Worker  # noqa: E402
from rows import ROWS  # noqa: E402
from run import SETTINGS, new_model  # noqa: E402
from tasks import TASKS  # noqa: E402

K, METRIC = 20, "ndcg@20"


def neighbours(t):
    return {"top_k": t.suggest_int("top_k", 30, 1000, log=True)}


# What each model of a peer is searched over: its own main parameters, ranges as wide as ours.
SPACES = {
    ("implicit", "als"): lambda t: {"factors": t.suggest_int("factors", 32, 256, log=True), "alpha": t.suggest_float("alpha", 0.5, 50, log=True),
                                    "regularization": t.suggest_float("regularization", 0.01, 100, log=True),
                                    "iterations": t.suggest_int("iterations", 8, 25)},
    ("implicit", "cosine"): lambda t: {"K": t.suggest_int("K", 20, 1000, log=True)},
    ("implicit", "tfidf"): lambda t: {"K": t.suggest_int("K", 20, 1000, log=True)},
    ("implicit", "bm25"): lambda t: {"K": t.suggest_int("K", 20, 1000, log=True), "K1": t.suggest_float("K1", 0.1, 100, log=True),
                                     "B": t.suggest_float("B", 0, 1)},
    ("irspack", "als"): lambda t: {"n_components": t.suggest_int("n_components", 32, 256, log=True),
                                   "alpha0": t.suggest_float("alpha0", 0.003, 1, log=True), "reg": t.suggest_float("reg", 0.0003, 0.1, log=True),
                                   "train_epochs": t.suggest_int("train_epochs", 6, 20)},
    ("irspack", "p3alpha"): lambda t: neighbours(t) | {"normalize_weight": t.suggest_categorical("normalize_weight", [True, False])},
    ("irspack", "rp3beta"): lambda t: neighbours(t) | {"alpha": t.suggest_float("alpha", 0.3, 1.5), "beta": t.suggest_float("beta", 0, 0.9),
                                                       "normalize_weight": t.suggest_categorical("normalize_weight", [True, False])},
    ("irspack", "ease"): lambda t: {"reg": t.suggest_float("reg", 1, 10000, log=True)},
    ("irspack", "cosine"): lambda t: neighbours(t) | {"shrinkage": t.suggest_float("shrinkage", 0.1, 300, log=True),
                                                      "normalize": t.suggest_categorical("normalize", [True, False]),  # its default leaves the cosine out
                                                      "feature_weighting": t.suggest_categorical("feature_weighting", ["NONE", "TF_IDF", "BM_25"])},
    ("irspack", "asymmetric"): lambda t: neighbours(t) | {"shrinkage": t.suggest_float("shrinkage", 0.1, 300, log=True),
                                                          "alpha": t.suggest_float("alpha", 0, 1)},
    ("rectools", "ease"): lambda t: {"regularization": t.suggest_float("regularization", 1, 10000, log=True)},
    ("rectools", "puresvd"): lambda t: {"factors": t.suggest_int("factors", 8, 256, log=True)},
}


class Contest:
    def __init__(self, task, data, scratch, environments):
        self.task, self.data, self.scratch, self.environments = task, data, scratch, environments
        train, valid, options = task.choose(data)
        self.masked = options.get("filter_already_liked_items", True)
        self.valid = self._part("valid", train, valid)
        history = task.final(data)
        self.final = self._part("final", history, None)

    def _part(self, name, train, relevant):
        rows = (train.interactions() if isinstance(train, etalage.EventLog) else train).user_items
        path = self.scratch / f"{name}.npz"
        sp.save_npz(path, rows)
        users = np.arange(rows.shape[0]) if relevant is None else np.flatnonzero(np.diff(relevant.indptr) > 0)
        np.save(self.scratch / f"{name}_users.npy", users.astype(np.int64))
        return {"train": str(path), "users": str(self.scratch / f"{name}_users.npy"), "relevant": relevant, "index": users}

    def lists(self, worker, peer, model, params, transform, part):
        out = self.scratch / "lists.npy"
        answer = worker.ask(task="lists", peer=peer, model=model, train=part["train"], params=params, transform=transform, users=part["users"], k=K,
                            masked=self.masked, out=str(out), threads=2)
        if "error" in answer:
            raise RuntimeError(answer["error"].strip().splitlines()[-1])
        return np.load(out), answer["seconds"]

    def search(self, peer, model, trials):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        worker = Worker(python_of(peer, self.environments), str(HERE / "peer_worker.py"), 2)
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=42))
        transforms = ["raw"] if float(sp.load_npz(self.valid["train"]).data.max()) == 1 else ["raw", "binary", "log"]

        def objective(trial):
            params = SPACES[peer, model](trial)
            transform = trial.suggest_categorical("transform", transforms)
            found, _ = self.lists(worker, peer, model, params, transform, self.valid)
            e = etalage.evaluation.evaluate_ranking(found, self.valid["relevant"], users=self.valid["index"], k=(K,), metrics=("ndcg",))
            trial.set_user_attr("params", params)
            return e[METRIC]

        try:
            study.optimize(objective, n_trials=trials)
            best = study.best_trial
            found, seconds = self.lists(worker, peer, model, best.user_attrs["params"], best.params["transform"], self.final)
        finally:
            worker.close()
        return {"valid": best.value, "params": best.params, "lists": found, "seconds": seconds}


def ours(task, data):
    """(row, its figure on validation, model) of what is best on validation, fitted: searched rows of settings.json, or blends of them."""
    settings = json.loads(SETTINGS.read_text())
    rows = [r for r in ROWS if r.task == task.name and not r.members and r.key in settings]
    if not rows:
        raise SystemExit(f"settings.json has no row of {task.name}: run.py --choose 30 --only '{task.name}' first")
    chosen = [(settings[r.key]["valid"][METRIC], r, None) for r in rows]
    inner, held, options = task.choose(data)
    masked = options.get("filter_already_liked_items", True)
    for row in (r for r in ROWS if r.task == task.name and r.members):
        blend = new_model(row, settings, False, inner).fit(inner, valid=held, refit_members=False)
        found = etalage.evaluation.evaluate(blend, inner, held, k=(K,), metrics=("ndcg",), filter_already_liked_items=masked)
        chosen.append((found[METRIC], row, list(blend.weights_.values())))
    value, row, weights = max(chosen, key=lambda c: c[0])
    train = task.final(data)
    model = new_model(row, settings, False, train)
    if weights is not None:
        model.weights = weights
    return row, value, model.fit(train)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("ETALAGE_DATA", str(HERE.parents[1].parent / "shared" / "data")))
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--tasks", nargs="+", default=["movielens", "online retail, all", "online retail, new"])
    parser.add_argument("--peers", nargs="+", default=["implicit", "irspack", "rectools"])
    parser.add_argument("--models", nargs="+", help="these models of the peers only")
    parser.add_argument("--environments", default="build/peers")
    parser.add_argument("--out", default="build/quality_peers.json")
    args = parser.parse_args()
    out = pathlib.Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    results = json.loads(out.read_text()) if out.exists() else {}
    for name in args.tasks:
        task = TASKS[name]
        row, value, model = ours(task, args.data)
        mine = task.measure(args.data, model)
        print(f"\n## {name}: {task.protocol}\n\netalage {row.label or row.model}{' of ' + ', '.join(row.members) if row.members else ''}, best on validation ({value:.4f}): recall@20 {mine['recall@20']:.4f}, ndcg@20 {mine[METRIC]:.4f}, "
              f"{mine['users']} users\n\n| peer | on validation | recall@20 / ndcg@20 | fit s | ours minus theirs, % of theirs |\n|---|---|---|---|---|")
        with tempfile.TemporaryDirectory(prefix="etalage-quality-") as folder:
            contest = Contest(task, args.data, pathlib.Path(folder), pathlib.Path(args.environments))
            relevant = task.relevant(args.data)
            for peer, what in SPACES:
                if peer not in args.peers or (args.models and what not in args.models):
                    continue
                try:
                    found = contest.search(peer, what, args.trials)
                except RuntimeError as error:
                    print(f"| {peer} {what} | {error} |", flush=True)
                    continue
                theirs = etalage.evaluation.evaluate_ranking(found["lists"], relevant, k=(K,), metrics=("recall", "ndcg"))
                paired = mine.compare(theirs, METRIC)
                share = [100 * v / theirs[METRIC] for v in (paired["difference"], *paired["interval"])]
                print(f"| {peer} {what} | {found['valid']:.4f} | {theirs['recall@20']:.4f} / {theirs[METRIC]:.4f} | {found['seconds']:.1f} | "
                      f"{share[0]:+.1f} [{share[1]:+.1f}, {share[2]:+.1f}] |", flush=True)
                results[f"{name}: {peer} {what}"] = {"fit": found["seconds"], "values": [theirs["recall@20"], theirs[METRIC]], "share": share,
                                                     "params": found["params"], "valid": found["valid"]}
                out.write_text(json.dumps(results, indent=1))  # hours of work: kept as it goes


if __name__ == "__main__":
    main()
