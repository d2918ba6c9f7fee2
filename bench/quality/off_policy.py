# SPDX-License-Identifier: Apache-2.0
"""What off-policy estimates are worth where the truth is known: errors, slopes, coverage, confidence sequences.

    python bench/quality/off_policy.py [--only errors slopes coverage sequences] [--seeds 100] [--replays 1000]

The world: contexts of 5 normals, 30 actions, a click with probability sigmoid(intercept_a + u_a . x); the log draws by softmax of its
own idea of the rewards, the target by a sharper softmax of another. The truth is the target's mean over 50,000 contexts of their own.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from etalage.evaluation import off_policy


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


class World:
    """Logs of a context-dependent policy, and the value of another one."""

    def __init__(self, actions=30, dims=5, seed=0, sharpness=1.0):
        rng = np.random.default_rng(seed)
        self.intercepts = rng.normal(-1.2, 0.5, actions)
        self.tastes = rng.normal(0, 0.5, (dims, actions))
        self.log_tastes = 0.3 * rng.normal(0, 1, (dims, actions))
        self.target_tastes = sharpness * (self.tastes + 0.3 * rng.normal(0, 1, (dims, actions)))
        self.dims = dims
        x = rng.normal(size=(50_000, dims))
        self.truth = float((self.target(x) * self.reward(x)).sum(axis=1).mean())

    def reward(self, x):
        return 1 / (1 + np.exp(-(self.intercepts + x @ self.tastes)))

    def target(self, x):
        return softmax(x @ self.target_tastes)

    def log(self, rounds, rng):
        """contexts, actions, rewards, propensities [n], target [n, actions]."""
        x = rng.normal(size=(rounds, self.dims))
        p = softmax(x @ self.log_tastes)
        a = (p.cumsum(axis=1) > rng.random((rounds, 1))).argmax(axis=1)
        rows = np.arange(rounds)
        r = (rng.random(rounds) < self.reward(x)[rows, a]).astype(float)
        return x, a, r, p[rows, a], self.target(x)


def logged(target, actions):
    return target[np.arange(len(actions)), actions]


def mean_interval(d):
    """Mean with the 95 % interval of Student's t."""
    half = 1.984 * np.std(d, ddof=1) / np.sqrt(len(d))
    return float(np.mean(d)), float(np.mean(d) - half), float(np.mean(d) + half)


ESTIMATORS = ("dm", "ips", "snips", "dr", "sndr", "switch_dr", "dros")


def cross_fitted(world, x, a, r, target):
    return off_policy.cross_fit(x, a, r, target, folds=3)


def half_right(world, x, a, r, target):
    """The true rewards drawn halfway to their mean: a model that is neither learned nor right, and costs nothing."""
    q = 0.5 * world.reward(x) + 0.15
    return logged(q, a), (target * q).sum(axis=1)


def errors(seeds=100, rounds=10_000, actions=30, names=ESTIMATORS, model=cross_fitted):
    """{estimator: squared errors [seeds]}, a world a seed."""
    out = {name: [] for name in names}
    for seed in range(seeds):
        world = World(actions, seed=seed)
        x, a, r, p, target = world.log(rounds, np.random.default_rng(10_000 + seed))
        found = off_policy.estimate(r, p, logged(target, a), names, reward_model=model(world, x, a, r, target), samples=100)
        for name in names:
            out[name].append((found[name].value - world.truth) ** 2)
    return {name: np.array(v) for name, v in out.items()}


def slopes(sizes=(10, 50, 200, 1000, 5000), seeds=100, rounds=10_000, cells=10, contextual=True):
    """Root mean squared errors of {"ips", "mips"} by number of actions, and the slopes of their logs in log(actions).

    Rewards depend on the action through one of `cells` embeddings. Whatever the number of actions, half of each embedding's
    probability under the target is on a tenth of its actions and the log has them seldom: weights grow, embeddings stay.
    """
    out = {"ips": [], "mips": []}
    for actions in sizes:
        squares = {"ips": [], "mips": []}
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            cell = np.arange(actions) % cells
            x = rng.normal(size=(rounds, 2)) * contextual
            rates = np.linspace(0.1, 0.5, cells)
            log_cells, target_cells = softmax(x @ rng.normal(0, 0.3, (2, cells))), softmax(np.log(rates) + x @ rng.normal(0, 0.3, (2, cells)))
            within = actions // cells
            rank = np.arange(actions) // cells + 1.0
            log_within, target_within = rank / rank[:within * cells:cells].sum(), rank[::-1] / rank[:within * cells:cells].sum()
            c = (log_cells.cumsum(axis=1) > rng.random((rounds, 1))).argmax(axis=1)
            which = np.searchsorted(np.cumsum(log_within[::cells]), rng.random(rounds)).clip(0, within - 1)
            a = which * cells + c
            rows = np.arange(rounds)
            r = (rng.random(rounds) < rates[c]).astype(float)
            truth = float((target_cells * rates).sum(axis=1).mean())
            p, t = log_cells[rows, c] * log_within[a], target_cells[rows, c] * target_within[a]
            if contextual:  # exact: every probability is known
                full_p, full_t = log_cells[:, cell] * log_within, target_cells[:, cell] * target_within
                full_p, full_t = full_p / full_p.sum(1, keepdims=True), full_t / full_t.sum(1, keepdims=True)
            else:
                full_p, full_t = p, t
            found = off_policy.estimate(r, full_p, full_t, ("ips", "mips"), actions=a, embeddings=cell, samples=100, allow_small=True)
            for name in squares:
                squares[name].append((found[name].value - truth) ** 2)
        for name in out:
            out[name].append(float(np.sqrt(np.mean(squares[name]))))
    return out, {name: float(np.polyfit(np.log(sizes), np.log(v), 1)[0]) for name, v in out.items()}


def overlap(sharpness=(0.5, 1, 1.5, 2, 3, 4), seeds=40, rounds=2000):
    """(ess [sharpness], {estimator: root mean squared errors}) as the target leaves the log; a reward model blind to contexts."""
    names = ("dm", "ips", "snips", "dr", "dros")
    squares = {name: np.zeros((len(sharpness), seeds)) for name in names}
    ess = np.zeros((len(sharpness), seeds))
    for at, sharp in enumerate(sharpness):
        for seed in range(seeds):
            world = World(seed=seed, sharpness=sharp)
            x, a, r, p, target = world.log(rounds, np.random.default_rng(40_000 + seed))
            q = off_policy.cross_fit(None, a, r, target, seed=seed)
            found = off_policy.estimate(r, p, logged(target, a), names, reward_model=q, samples=100, allow_small=True)
            ess[at, seed] = found["ips"].ess
            for name in names:
                squares[name][at, seed] = (found[name].value - world.truth) ** 2
    return ess.mean(axis=1), {name: np.sqrt(v.mean(axis=1)) for name, v in squares.items()}


def plot(path):
    from matplotlib.figure import Figure

    ess, errors_ = overlap()
    ax = Figure(figsize=(6.4, 3.8), layout="constrained").add_subplot()
    for name, colour in zip(errors_, ("#999999", "#cc3311", "#ee7733", "#4477aa", "#228833")):
        ax.plot(ess, errors_[name], "o-", color=colour, markersize=3, label=name)
    ax.axvline(50, color="#bbbbbb", linewidth=1, linestyle="--")
    ax.set(xscale="log", yscale="log", xlabel="effective sample size of 2,000 rows (refused under 50)", ylabel="root mean squared error")
    ax.set_xticks(marks := [50, 100, 200, 400, 800], [str(m) for m in marks])
    ax.set_yticks(marks := [0.02, 0.05, 0.1, 0.2, 0.3], [str(m) for m in marks])
    ax.minorticks_off()
    ax.invert_xaxis()
    ax.legend(frameon=False, ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1))
    ax.spines[["top", "right"]].set_visible(False)
    ax.figure.savefig(path, dpi=130)
    for name, e in errors_.items():
        print(f"  {name:<6} {' '.join(f'{v:.4f}' for v in e)}")
    print(f"  ess    {' '.join(f'{v:.0f}' for v in ess)}")


def coverage(replays=1000, rounds=10_000, actions=30, samples=500, names=ESTIMATORS[1:], world_seed=1):
    """{estimator: (share of intervals that hold the truth, mean width)}."""
    world = World(actions, seed=world_seed)
    held, width = {n: 0 for n in names}, {n: 0.0 for n in names}
    for replay in range(replays):
        x, a, r, p, target = world.log(rounds, np.random.default_rng(20_000 + replay))
        q = off_policy.cross_fit(x, a, r, target, folds=3, seed=replay) if set(names) - {"ips", "snips"} else None
        found = off_policy.estimate(r, p, logged(target, a), names, reward_model=q, samples=samples, seed=replay)
        for n in names:
            low, high = found[n].interval
            held[n] += low <= world.truth <= high
            width[n] += (high - low) / replays
    return {n: (held[n] / replays, width[n]) for n in names}


def sequences(replays=1000, rounds=10_000, actions=30, world_seed=1):
    """(share of sequences that hold the truth at every row, mean width at the end)."""
    world = World(actions, seed=world_seed)
    held, width = 0, 0.0
    for replay in range(replays):
        _, a, r, p, target = world.log(rounds, np.random.default_rng(30_000 + replay))
        low, high = off_policy.confidence_sequence(r, p, logged(target, a))
        held += bool((low <= world.truth).all() and (high >= world.truth).all())
        width += float(high[-1] - low[-1]) / replays
    return held / replays, width


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=("errors", "slopes", "coverage", "sequences"))
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--replays", type=int, default=1000)
    parser.add_argument("--plot", metavar="PNG", help="draw the picture of docs/loop.md instead: errors as the target leaves the log")
    asked = parser.parse_args()
    if asked.plot:
        plot(asked.plot)
        return
    wanted = asked.only or ("errors", "slopes", "coverage", "sequences")
    began = time.perf_counter()
    sys.stdout.reconfigure(line_buffering=True)  # what runs for minutes is read as it comes
    if "errors" in wanted:
        squares = errors(asked.seeds)
        print(f"mean squared error x 1e6, {asked.seeds} seeds, 10,000 rounds, 30 actions; that minus DR's with its interval")
        for name, e in squares.items():
            mean, low, high = mean_interval(1e6 * (e - squares["dr"]))
            print(f"  {name:<10} {1e6 * e.mean():9.3f}   {mean:+9.3f} [{low:+.3f}, {high:+.3f}]")
    if "slopes" in wanted:
        sizes = (10, 50, 200, 1000, 5000)
        for contextual in (True, False):
            rmse, slope = slopes(sizes, 20 if contextual else asked.seeds, contextual=contextual)
            print(f"root mean squared error by actions {sizes}, {'all probabilities given' if contextual else 'those of logged actions alone'}")
            for name in rmse:
                print(f"  {name:<10} {' '.join(f'{v:.5f}' for v in rmse[name])}   slope of logs {slope[name]:+.3f}")
    if "coverage" in wanted:
        print(f"95 % intervals that hold the truth, {asked.replays} replays; mean width")
        for name, (share, width) in coverage(asked.replays).items():
            print(f"  {name:<10} {share:.4f}   {width:.5f}")
    if "sequences" in wanted:
        share, width = sequences(asked.replays)
        print(f"95 % confidence sequences that hold the truth at every row, {asked.replays} replays: {share:.4f}; mean width at the end {width:.4f}")
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
