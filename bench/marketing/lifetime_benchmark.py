# SPDX-License-Identifier: Apache-2.0
"""Fits and forecasts for a million simulated customers, and the same fits by `lifetimes` on a sample, both in one run.

    python bench/marketing/lifetime_benchmark.py [--customers 1000000] [--peer-python PATH] [--peer-customers 20000] [--threads 2]

--peer-python is an interpreter that has Lifetimes 0.11.3 (python -m venv x; x/bin/pip install Lifetimes==0.11.3); without it
only our side runs. The peer is timed on a sample because it takes minutes on all. Prints seconds and the distance of the parameters.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PEER = """
import json, sys, time
import numpy as np
from lifetimes import BetaGeoFitter, ModifiedBetaGeoFitter, ParetoNBDFitter, GammaGammaFitter
x, tx, T, money = np.load(sys.argv[1])
out = {}
for name, fitter in (("BGNBD", BetaGeoFitter), ("MBGNBD", ModifiedBetaGeoFitter), ("ParetoNBD", ParetoNBDFitter)):
    start = time.perf_counter()
    try:
        f = fitter().fit(x, tx, T)
        out[name] = [time.perf_counter() - start, list(map(float, f.params_))]
    except Exception as error:
        out[name] = [time.perf_counter() - start, type(error).__name__]
keep = x > 0
start = time.perf_counter()
f = GammaGammaFitter().fit(x[keep], money[keep])
out["GammaGamma"] = [time.perf_counter() - start, list(map(float, f.params_))]
print(json.dumps(out))
"""


def simulated(n: int, seed: int = 1) -> np.ndarray:
    """x, t_x, T, money of a BG/NBD shop with CDNOW's parameters, observed by the day for two years."""
    rng = np.random.default_rng(seed)
    rate, stop = rng.gamma(0.243, 1 / 4.414, n), rng.beta(0.793, 2.426, n)
    T = rng.integers(1, 730, n) / 7
    x, tx, t, active = np.zeros(n), np.zeros(n), np.zeros(n), np.ones(n, bool)
    while active.any():
        who = np.flatnonzero(active)
        t[who] += np.maximum(1, np.ceil(7 * rng.exponential(1 / np.maximum(rate[who], 1e-12)))) / 7
        late = t[who] > T[who]
        active[who[late]] = False
        bought = who[~late]
        x[bought] += 1
        tx[bought] = t[bought]
        active[bought[rng.random(len(bought)) < stop[bought]]] = False
    money = np.where(x > 0, rng.gamma(6.25 * np.maximum(x, 1), 1 / (rng.gamma(3.74, 1 / 15.4, n) * np.maximum(x, 1))), 0)
    return np.stack([x, tx, T, money])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--peer-customers", type=int, default=20_000)
    parser.add_argument("--peer-python")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    from etalage.marketing import lifetime

    data = simulated(args.customers)
    x, tx, T, money = data
    models = {}
    for name in ("BGNBD", "MBGNBD", "ParetoNBD"):
        start = time.perf_counter()
        m = models[name] = getattr(lifetime, name)(num_threads=args.threads).fit(x, tx, T)
        fitted = time.perf_counter()
        m.expected_purchases(39, x, tx, T)
        forecast = time.perf_counter()
        m.p_alive(x, tx, T)
        r = m.report_
        print(f"{name:10s} {args.customers:9d} customers ({r['distinct']} distinct): fit {fitted - start:6.2f} s ({r['iterations']} steps, gradient {r['gradient']:.1e}), "
              f"expected purchases {forecast - fitted:5.2f} s, P(alive) {time.perf_counter() - forecast:5.2f} s", flush=True)
    start = time.perf_counter()
    g = lifetime.GammaGamma(num_threads=args.threads).fit(x, money)
    print(f"GammaGamma {g.report_['customers']:9d} repeaters: fit {time.perf_counter() - start:6.2f} s", flush=True)
    if not args.peer_python:
        return
    part = data[:, : args.peer_customers]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "customers.npy"
        np.save(file, part)
        theirs = json.loads(subprocess.run([args.peer_python, "-W", "ignore", "-c", PEER, str(file)], check=True, capture_output=True, text=True).stdout)
    for name, (seconds, parameters) in theirs.items():
        start = time.perf_counter()
        model = getattr(lifetime, name)(num_threads=args.threads)
        model = model.fit(part[0], part[3]) if name == "GammaGamma" else model.fit(*part[:3])
        ours = time.perf_counter() - start
        same = parameters if isinstance(parameters, str) else f"largest relative distance {max(abs(a / b - 1) for a, b in zip(parameters, model.params_.values())):.1e}"
        print(f"{name:10s} {args.peer_customers} customers: lifetimes {seconds:7.2f} s, etalage {ours:7.3f} s, {seconds / ours:6.0f} times; parameters: {same}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
