# SPDX-License-Identifier: Apache-2.0
"""Searches of real word vectors with the best settings of each side: build and search settings are chosen on held-out queries,
and what they take is measured on others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from pairing import alternate
from search_curve import front_of, seconds_at
from word_vectors import split_words, word_vectors

TARGETS = (0.95, 0.99)
SHARES = [0.02, 0.03, 0.045, 0.06, 0.08, 0.11, 0.15, 0.2, 0.27]  # of lists or leaves
RESCORED = [60, 100, 160]
EFS = [24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536]


def _candidates(side):
    """(build, efforts) of a side."""
    if side == "etalage lists":
        return [({"nlist": n}, [int(s * n) for s in SHARES]) for n in (576, 1024, 1536, 2048)]
    if side == "scann":
        return [({"leaves": n}, [[int(s * n), r] for s in SHARES for r in RESCORED]) for n in (576, 1024, 1500, 2048)]
    builds = [{"M": 16, "ef_construction": 100}, {"M": 32, "ef_construction": 200}]
    return [(build, EFS) for build in builds + [{"M": 24, "ef_construction": 400}] * (side == "etalage graph")]


def _kept(args, label, build):
    """Where a graph with these settings is kept from run to run, as arguments of its task."""
    if args.data is None or label not in ("etalage graph", "hnswlib"):
        return {}
    name = "-".join(["words", label.replace(" ", "-"), *(str(value) for value in build.values())])
    return {"keep": str(Path(args.data).resolve() / name), "at_most": args.build_at_most}


def _chosen(b, args, side, label, kind, files, threads):
    """{target: (build, the efforts around it)} that took least on the queries for choosing; from a file in `data` where they
    were chosen before."""
    file = None if args.data is None else Path(args.data) / f"words-{label.replace(' ', '-')}-{threads}.json"
    if file is not None and file.exists():
        return {float(t): found for t, found in json.loads(file.read_text()).items()}
    worker = b.worker(side, threads)
    best = {}
    for build, efforts in _candidates(label):
        answer = worker.ask(task="index_curve", threads=threads, **files, metric="cosine", kind=kind, build=build, efforts=efforts,
                            **_kept(args, label, build))
        if "error" in answer and "Unfinished" in answer["error"]:
            worker.close()
            raise RuntimeError(f"{build}: {answer['error'].strip().splitlines()[-1]}")
        if "error" in answer:
            print(f"words, {label} {build}: {answer['error'].strip().splitlines()[-1]}", flush=True)
            continue
        for target in TARGETS:
            seconds = seconds_at(answer["points"], target)
            if seconds is not None and (target not in best or seconds < best[target][0]):
                known = {tuple(p): e for p, e in zip(answer["points"], efforts)}
                front = front_of(answer["points"])
                at = next(i for i, p in enumerate(front) if p[0] >= target)
                best[target] = seconds, build, [known[tuple(p)] for p in front[max(0, at - 3) : at + 3]]
    worker.close()
    found = {target: found[1:] for target, found in best.items()}
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found))
    return found


def compare_words(b, args, truth) -> None:
    """Prints the rows of args.rows over words; says so where there are none. truth(name, rows, queries): their ten best."""
    try:
        x, for_choice, queries = split_words(word_vectors(args.data))
    except RuntimeError as error:
        print(f"skipped: {error}", flush=True)
        return
    x = np.ascontiguousarray(x, np.float32)
    b.queries = len(queries)
    files = {"vectors": b.save("x.npy", x)}
    truth_for_choice = truth("words-choice", x, for_choice)
    choices = {row: files | {"queries": b.save(f"c{many}.npy", for_choice[:many]), "truth": b.save(f"ct{many}.npy", truth_for_choice[:many])}
               for row, many in (("lists", len(for_choice)), ("graph", 2000))}  # graphs have curves of a minute
    files |= {"queries": b.save("q.npy", queries), "truth": b.save("t.npy", truth("words", x, queries))}
    works = [("lists", "ivf", "etalage lists", ("scann",)), ("graph", "hnsw", "etalage graph", ("hnswlib",))]
    for threads in args.threads:
        for row, kind, ours_label, peers in works:
            if row not in args.rows:
                continue
            ours = _chosen(b, args, "etalage", ours_label, kind, choices[row], threads)
            for peer in (p for p in peers if p in args.peers):
                try:
                    theirs = _chosen(b, args, peer, peer, peer if peer == "scann" else kind, choices[row], threads)
                except RuntimeError as error:
                    print(f"{peer}: {error}", flush=True)
                    continue
                for target in (t for t in TARGETS if t in ours and t in theirs):
                    mine, their = ({"metric": "cosine", "build": build, "efforts": efforts} for build, efforts in (ours[target], theirs[target]))
                    print(f"words, recall {target}: {kind} {mine['build']} beside {peer} {their['build']}", flush=True)
                    b.compare(f"{kind}, {len(x):,} words, {threads} thr", files, mine | {"kind": kind} | _kept(args, ours_label, mine["build"]),
                              [(peer, peer, their | {"kind": peer if peer == "scann" else kind} | _kept(args, peer, their["build"]))], (target,), threads)
        if "graph_build" in args.rows:
            _builds(b, args, files, threads)


def _builds(b, args, files, threads) -> None:
    """Graphs of the same M and ef_construction, built in turn; what a search with the same ef_search finds in them."""
    build, effort = {"M": 16, "ef_construction": 100}, 256
    work = {"task": "graph_build", **files, "metric": "cosine", "build": build, "effort": effort, "threads": threads}
    for peer in (p for p in args.peers if p == "hnswlib"):
        sides = b.worker("etalage", threads), b.worker(peer, threads)
        found = alternate(*(lambda side=side: side.ask(**work) for side in sides), at_least=args.rounds, at_most=args.rounds, long=0)
        for side in sides:
            side.close()
        if "error" in found:
            print(f"graph build, words: {found['error']}", flush=True)
            continue
        seconds, recalls = found["fields"]["seconds"], [found[side]["recall"] for side in ("ours", "theirs")]
        print(f"graph build, words, {build}, {threads} thr  {peer:8s} {seconds['ours']:.1f} / {seconds['theirs']:.1f} s  {found['ratio']:.2f}x "
              f"[{found['low']:.2f}, {found['high']:.2f}], {found['rounds']} pairs  recall@10 at ef {effort} {recalls[0]:.3f} / {recalls[1]:.3f}", flush=True)
        b.rows.append({"work": f"graph build, words, {threads} thr", "against": peer} | found)
