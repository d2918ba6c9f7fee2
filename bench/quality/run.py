# SPDX-License-Identifier: Apache-2.0
"""The table of accuracy: every model on every data set, its floor and the published figures, time and memory.

    python bench/quality/run.py [--data ../shared/data] [--only TEXT ...] [--heavy] [--plot accuracy.png]
    python bench/quality/run.py --choose 30 --only "gowalla: GraphFilter"
    python bench/quality/run.py --validation l2=100 decay=2 --only ": LinearSequence"

Settings stand in settings.json beside this file; --choose N searches them anew with N trials of etalage.tuning.search on
the validation part alone and writes them there. Without it each chosen model is fitted once, on what the protocol allows,
and measured once on test. The column "defaults" is the same with models as they are constructed, which choose for themselves. Each
row runs in a process of its own, so that its memory is its own. --validation fits on what settings are chosen on instead and measures
models as they are constructed, and with the parameters that are given, on the validation part; test is not touched. Missing data or models skip their rows with a line.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
SETTINGS = HERE / "settings.json"


def peak_mb(field: str) -> float:
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":"))


def new_model(row, settings: dict, by_defaults: bool, data):
    """The row's model with its chosen settings, or those that its training data alone suggest."""
    import etalage
    from rows import BY_KEY

    if row.members:
        members = [(label, new_model(BY_KEY[f"{row.task}: {label}"], settings, by_defaults, data)) for label in row.members]
        return etalage.models.Blend(members, **row.fixed)
    if row.model == "Vectors":
        import numpy as np

        from datasets import beauty_attributes

        vectors = beauty_attributes(os.environ["ETALAGE_DATA"])
        shoppers = np.zeros((len(data), vectors.shape[1]), np.float32)  # they are asked about by what they did alone
        return etalage.models.Vectors(shoppers, vectors, metric="cosine")
    cls = getattr(etalage.models, row.model)
    chosen = {} if by_defaults else settings.get(row.key, settings.get(row.key.replace(", refit", "").replace(", everyone", ", new"), {}))
    chosen = chosen.get("params", chosen)
    return cls(**{**chosen, **row.fixed})


def one(queue, key: str, data: str, by_defaults: bool) -> None:
    """Fits and measures one row; {"values", "fit", "ask", "memory"} or {"skipped"} goes to the queue."""
    from datasets import Missing
    from rows import BY_KEY
    from tasks import TASKS

    try:
        import etalage

        row = BY_KEY[key]
        task = TASKS[row.task]
        settings = json.loads(SETTINGS.read_text()) if SETTINGS.exists() else {}
        missing = [n for n in (row.model, *(BY_KEY[f"{row.task}: {m}"].model for m in row.members)) if not hasattr(etalage.models, n)]
        if missing:
            queue.put({"skipped": f"etalage.models has no {missing[0]}"})
            return
        train = task.final(data)
        model = new_model(row, settings, by_defaults, train)
        task.measure(data, etalage.models.Popularity().fit(train))  # whatever reading the data costs is not the model's
        pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before, began = peak_mb("VmRSS"), time.perf_counter()
        if row.members:
            inner, held, options = task.choose(data)
            asked = {name: options[name] for name in ("positions", "filter_already_liked_items", "importance") if name in options}
            model.fit(inner, valid=held, refit_members=False, k=max(int(m.partition("@")[2]) for m in task.metrics), **asked)
            if task.final(data) is not inner:
                model.set_params(weights=list(model.weights_.values())).fit(train)
        else:
            if row.model != "Vectors":  # comes fitted
                model.fit(train)
        fit = time.perf_counter() - began
        began = time.perf_counter()
        result = task.measure(data, model)
        queue.put({"values": [result[m] for m in task.metrics], "fit": fit, "ask": time.perf_counter() - began,
                   "memory": peak_mb("VmHWM") - before, "users": result["users"], "settings": repr(model),
                   "groups": groups(result, task.metrics[0])})
    except Missing as error:
        queue.put({"skipped": str(error)})
    except Exception as error:  # noqa: BLE001: a row that fails is a line of the table
        queue.put({"skipped": f"FAILED: {type(error).__name__}: {error}"})


def groups(result, metric: str) -> str:
    """The first metric over shoppers with and without history in train, where there are both."""
    parts = getattr(result, "by_history", {})
    if not all(parts.get(g, {}).get("users") for g in ("with history", "without history")):
        return "-"
    return " / ".join(f"{parts[g][metric]:.4f} ({parts[g]['users']})" for g in ("with history", "without history"))


def in_process(key: str, data: str, by_defaults: bool) -> dict:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    worker = context.Process(target=one, args=(queue, key, data, by_defaults))
    worker.start()
    while True:
        try:
            answer = queue.get(timeout=1)
            break
        except Exception:  # noqa: BLE001: queue.Empty has no public home for spawned queues
            if not worker.is_alive():
                answer = {"skipped": f"FAILED: the process ended with code {worker.exitcode}"}
                break
    worker.join()
    return answer


def choose(keys: list[str], data: str, budget) -> None:
    """Searches settings on the validation parts and keeps them in settings.json."""
    import etalage
    from datasets import Missing
    from rows import BY_KEY
    from tasks import TASKS

    for key in keys:
        row = BY_KEY[key]
        if row.members or row.model == "Vectors" or not hasattr(etalage.models, row.model) or row.key.startswith(("beauty, refit", "online retail, everyone")):
            continue
        try:
            train, valid, options = TASKS[row.task].choose(data)
        except Missing as error:
            print(f"{key}: skipped, {error}")
            continue
        cls = getattr(etalage.models, row.model)
        settings = json.loads(SETTINGS.read_text()) if SETTINGS.exists() else {}
        before = {n: v for n, v in settings.get(key, {}).get("params", {}).items() if n not in row.fixed}
        try:
            space = {n: p for n, p in etalage.tuning.space_of(cls).items() if n not in row.fixed}
            began = time.perf_counter()
            found = etalage.tuning.search(cls(**row.fixed), train, valid, budget, space=space, starts=[before] if before else (),
                                          show_progress=sys.stderr.isatty(), **options)
        except Exception as error:  # noqa: BLE001: the next row may still be chosen
            print(f"{key}: FAILED: {type(error).__name__}: {error}", flush=True)
            continue
        settings[key] = {"params": found.best_params, "valid": {found.metric: found.best_value}, "trials": len(found.trials)}
        SETTINGS.write_text(json.dumps(dict(sorted(settings.items())), indent=1) + "\n")
        print(f"{key}: {found!r} in {time.perf_counter() - began:.0f} s", flush=True)


def on_validation(keys: list[str], data: str, given: list[str]) -> None:
    """Models as constructed beside those with parameters as given, on the validation parts."""
    import etalage
    from datasets import Missing
    from rows import BY_KEY
    from tasks import TASKS

    params = {name: json.loads(value) for name, _, value in (g.partition("=") for g in given)}
    print(f"| row | metric | {', '.join(given) or '-'} | as constructed | chosen |\n|---|---|---|---|---|")
    for key in keys:
        row = BY_KEY[key]
        try:
            train, valid, asked = TASKS[row.task].choose(data)
        except Missing as error:
            print(f"| {key} | skipped: {error} |")
            continue
        options = {n: v for n, v in asked.items() if n != "metric"}
        name, _, k = asked["metric"].partition("@")
        values = []
        for chosen in (params, {}):
            model = getattr(etalage.models, row.model)(**{**chosen, **row.fixed}).fit(train)
            told = {"k": (int(k),), "metrics": (name,), **options}
            found = etalage.evaluation.evaluate_next(model, valid, **told) if "positions" in options else etalage.evaluation.evaluate(model, train, valid, **told)
            values.append(found[asked["metric"]])
        resolved = {n: v for n, v in model.resolved.items() if model.get_params()[n] == "auto"}
        print(f"| {key} | {asked['metric']} | {values[0]:.4f} | {values[1]:.4f} | {resolved} |", flush=True)


def main() -> int:
    from rows import ROWS
    from tasks import TASKS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("ETALAGE_DATA", str(HERE.parents[1].parent / "shared" / "data")))
    parser.add_argument("--only", nargs="+", default=[], help="rows whose name contains one of these")
    parser.add_argument("--heavy", action="store_true", help="also rows that take minutes and much memory")
    parser.add_argument("--no-defaults", action="store_true", help="leave the column of default settings out")
    parser.add_argument("--choose", help="search settings with this budget (30 trials, or '5 min')")
    parser.add_argument("--validation", nargs="*", metavar="PARAMETER=VALUE", help="measure on the validation parts: as constructed, and with these parameters")
    parser.add_argument("--plot", help="a picture of accuracy against fit time")
    parser.add_argument("--peers", default="build/quality_peers.json", help="what peers.py wrote: drawn beside, if it is there")
    parser.add_argument("--out", default="build/quality.json")
    args = parser.parse_args()
    os.environ["ETALAGE_DATA"] = args.data  # rows that read more than their task does
    rows = [r for r in ROWS if (not args.only and (args.heavy or not r.heavy)) or any(t.lower() in r.key.lower() for t in args.only)]
    if args.choose:
        choose([r.key for r in rows], args.data, int(args.choose) if args.choose.isdigit() else args.choose)
        return 0
    if args.validation is not None:
        on_validation([r.key for r in rows if not r.members and r.model != "Vectors"], args.data, args.validation)
        return 0
    results, failed, shown = {}, False, None
    for row in rows:
        task = TASKS[row.task]
        if task.name != shown:
            shown = task.name
            print(f"\n## {task.name}: {task.protocol}\n")
            print(f"| model | {' / '.join(task.metrics)} | with history / without (users) | floor | defaults alone | of chosen | fit s | measured in s | MB | published |")
            print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
        answer = in_process(row.key, args.data, False)
        label = row.label or row.model
        if "skipped" in answer:
            failed |= answer["skipped"].startswith("FAILED")
            print(f"| {label} | {answer['skipped']} |", flush=True)
            continue
        plain = None if args.no_defaults or row.heavy else in_process(row.key, args.data, True)
        text = " / ".join(f"{v:.4f}" for v in answer["values"])
        floor = " / ".join(f"{v:g}" for v in row.floor)
        if floor:
            floor += " reached" if all(round(v, 4) >= f for v, f in zip(answer["values"], row.floor)) else " MISSED"
        alone = share = "-"
        if plain and "values" in plain:
            alone = " / ".join(f"{v:.4f}" for v in plain["values"])
            share = " / ".join(f"{100 * p / v:.0f} %" for p, v in zip(plain["values"], answer["values"]))
        print(f"| {label} | {text} | {answer['groups']} | {floor or '-'} | {alone} | {share} | {answer['fit']:.1f} | {answer['ask']:.1f} | {answer['memory']:.0f} | "
              f"{row.published or '-'} |", flush=True)
        results[row.key] = answer | {"defaults": (plain or {}).get("values")}
    out = pathlib.Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(results, indent=1))
    if args.plot and results:
        from plot import accuracy_against_time

        peers = pathlib.Path(args.peers)
        drawn = {r.task for r in rows}
        beside = {k: v for k, v in json.loads(peers.read_text()).items() if k.partition(": ")[0] in drawn} if peers.exists() else {}
        accuracy_against_time(results, args.plot, beside)
        print(f"\n{args.plot}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
