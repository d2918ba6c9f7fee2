# SPDX-License-Identifier: Apache-2.0
"""Rows of run.py on training: a sweep of ALS by factors, and the seconds to a given accuracy."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

UNOBSERVED, REGULARIZATION = 0.02, 0.0015
SWEEPS = 5


def ials_objective(file: str, train: sp.csr_matrix, scale: float = 1.0) -> float:
    """iALS as Rendle et al. (arXiv:2110.14037) state it, of factors in an .npz, divided by scale: in float64."""
    stored = np.load(file)
    x, y = stored["users"].astype(np.float64) / scale, stored["items"].astype(np.float64) / scale
    rows = np.repeat(np.arange(train.shape[0]), np.diff(train.indptr))
    observed = sum(((1 - np.einsum("ij,ij->i", x[rows[s : s + 100_000]], y[train.indices[s : s + 100_000]])) ** 2).sum()
                   for s in range(0, train.nnz, 100_000))
    of_user = np.diff(train.indptr) + UNOBSERVED * train.shape[1]
    of_item = np.bincount(train.indices, minlength=train.shape[1]) + UNOBSERVED * train.shape[0]
    return float(observed + UNOBSERVED * ((x.T @ x) * (y.T @ y)).sum()
                 + REGULARIZATION * (of_user @ (x * x).sum(1) + of_item @ (y * y).sum(1)))


def sweeps(b, train: sp.csr_matrix, label: str, all_peers: bool) -> None:
    """A fit of five sweeps from SciPy CSR. The last line of a size compares the objective after them with irspack's."""
    path = b.save("als.npz", train)
    for factors in b.args.factors:
        work = {"task": "als", "train": path, "factors": factors, "sweeps": SWEEPS}
        # irspack's objective in our terms: docs/models/als.md.
        mine = work | {"regularization": REGULARIZATION * (1 + UNOBSERVED), "unobserved_weight": UNOBSERVED, "alpha": UNOBSERVED, "nu": 1.0}
        theirs = work | {"regularization": REGULARIZATION, "unobserved_weight": UNOBSERVED}
        flat = {"regularization": 1.0}
        pairs = [("cg", "irspack CG", "irspack", mine | {"solver": "cg"}, theirs | {"solver": "CG"}),
                 ("cg", "implicit CG", "implicit", work | flat | {"unobserved_weight": 1.0, "alpha": 0.0, "nu": 0.0, "solver": "cg"}, work | flat)]
        if all_peers:
            pairs += [("subspace", "irspack iALS++", "irspack", mine | {"solver": "subspace"}, theirs | {"solver": "IALSPP"}),
                      ("cg", "irspack iALS++", "irspack", mine | {"solver": "cg"}, theirs | {"solver": "IALSPP"}),
                      ("cg", "buffalo", "buffalo", work | flat | {"unobserved_weight": 1.0, "alpha": 8.0, "nu": 0.0, "solver": "cg"}, work | flat),
                      ("cg", "cmfrec CG", "cmfrec", work | flat | {"unobserved_weight": 1.0, "alpha": 8.0, "nu": 0.0, "solver": "cg"}, work | flat)]
        for solver, name, peer, ours, other in pairs:
            if b.args.against and name not in b.args.against:
                continue
            b.compare(f"ALS, {SWEEPS} sweeps, {factors} factors, {solver}, {label}", name, peer, ours, other)
        if all_peers:
            files = str(b.scratch / "ours.npz"), str(b.scratch / "theirs.npz")
            b.ours.ask(**mine | {"solver": "cg"}, out=files[0], threads=b.args.threads)
            worker = b.peer("irspack")
            worker.ask(**theirs | {"solver": "CG"}, out=files[1], threads=b.args.threads)
            worker.close()
            ours, other = ials_objective(files[0], train, (1 + UNOBSERVED) ** 0.5), ials_objective(files[1], train)
            print(f"{'':4s}objective after {SWEEPS} sweeps: etalage {ours:.6g}, irspack {other:.6g}, {100 * (ours / other - 1):+.2f} %", flush=True)
            b.rows.append({"work": f"objective, {factors} factors, {label}", "against": "irspack CG", "ours": ours, "theirs": other})


def recall_of(file: str, train, test) -> float:
    import etalage

    stored = np.load(file)
    return etalage.evaluation.evaluate(etalage.models.Vectors(stored["users"], stored["items"]), train, test, k=(20,), metrics=("recall",))["recall@20"]


RECALL_PEERS = (("irspack", "irspack CG", {"regularization": 0.003, "unobserved_weight": 0.02, "solver": "CG"}),
                ("irspack", "irspack iALS++", {"regularization": 0.003, "unobserved_weight": 0.02, "solver": "IALSPP"}),
                ("implicit", "implicit CG", {"regularization": 10.0, "alpha": 40.0}))


def to_recall(b, train: sp.csr_matrix, test: sp.csr_matrix, target: float = 0.162, peers=RECALL_PEERS) -> None:
    """Each side at the fewest sweeps that reach the recall; then those fits side by side."""
    path, out = b.save("als.npz", train), str(b.scratch / "reached.npz")

    def fewest(worker, arguments):
        for n in (3, 4, 5, 6, 7, 8, 10, 12, 16, 20):
            if "error" in worker.ask(**arguments, sweeps=n, out=out, threads=b.args.threads):
                return None
            if recall_of(out, train, test) >= target:
                return arguments | {"sweeps": n}
        return None

    work = {"task": "als", "train": path, "factors": 128}
    mine = fewest(b.ours, work | {"regularization": 0.003, "unobserved_weight": 0.02, "alpha": 0.02, "nu": 1.0, "solver": "cg"})
    if mine is None:
        print(f"ALS to recall@20 of {target}: not reached by etalage")
        return
    for peer, name, arguments in peers:
        worker = b.peer(peer)
        theirs = fewest(worker, work | arguments)
        worker.close()
        label = f"ALS to recall@20 {target}, Gowalla"
        if theirs is None:
            print(f"{label:44s} {name:24s} not reached within 20 sweeps", flush=True)
            continue
        b.compare(f"{label}, {mine['sweeps']} / {theirs['sweeps']} sweeps", name, peer, mine, theirs)


BPR_GRIDS = {
    "implicit": [{"factors": 128, "learning_rate": rate, "regularization": reg, "iterations": 100} for rate in (0.05, 0.15) for reg in (0.003, 0.02)],
    "buffalo": [{"d": 128, "lr": rate, "reg_u": reg, "reg_i": reg, "reg_j": reg, "num_iters": 100} for rate in (0.02, 0.05) for reg in (0.01, 0.05)],
    "rusket": [{"factors": 128, "learning_rate": rate, "regularization": reg, "iterations": 100} for rate in (0.05, 0.15) for reg in (0.003, 0.02)],
}


def bpr(b, train: sp.csr_matrix, test: sp.csr_matrix, target: float = 0.150, grids=BPR_GRIDS) -> None:
    """Seconds of the shortest fit that reaches the recall; peers at the best of a small grid."""
    path, out = b.save("als.npz", train), str(b.scratch / "bpr.npz")
    label = f"BPR to recall@20 {target}, Gowalla"
    mine = None
    for epochs in (4, 6, 8, 10, 12, 16, 20):
        arguments = {"task": "bpr", "train": path, "options": {"factors": 128, "num_candidates": 32, "learning_rate": 0.04,
                                                              "regularization": 0.06, "epochs": epochs}}
        answer = b.ours.ask(**arguments, out=out, threads=b.args.threads)
        if "error" not in answer and recall_of(out, train, test) >= target:
            mine = arguments
            print(f"{label:44s} {'(alone)':24s} {answer['seconds']:9.3f} s, {epochs} epochs, recall {recall_of(out, train, test):.4f}", flush=True)
            break
    if mine is None:
        print(f"{label}: not reached by etalage: {answer.get('error', '')}")
        return
    for peer, grid in grids.items():
        try:
            worker = b.peer(peer)
        except RuntimeError as error:
            print(f"{label:44s} {peer:24s} {error}", flush=True)
            continue
        reached = []
        for options in grid:
            answer = worker.ask(task="bpr", train=path, options=options, out=out, threads=b.args.threads)
            reached.append((recall_of(out, train, test), answer["seconds"], options) if "error" not in answer else (0.0, 0.0, answer["error"]))
        worker.close()
        recall, seconds, options = max(reached, key=lambda r: r[0])
        if recall >= target:
            b.compare(label, f"{peer} BPR", peer, mine, {"task": "bpr", "train": path, "options": options})
        else:
            print(f"{label:44s} {peer + ' BPR':24s} not reached: {recall:.4f} at best of {len(grid)} settings, {seconds:.1f} s ({options})", flush=True)
            b.rows.append({"work": label, "against": f"{peer} BPR", "theirs": {"recall": recall, "seconds": seconds}})
