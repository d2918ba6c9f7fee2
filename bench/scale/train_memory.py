# SPDX-License-Identifier: Apache-2.0
"""Peak memory and seconds of `etalage train` from a Parquet file, beside another build of etalage in the same run.

    python bench/scale/train_memory.py --other OTHER_BUILD/python [--events 10000000] [--users 1000000] [--items 100000]
                                       [--factors 64] [--sweeps 2] [--threads 2] [--rounds 3]

String keys, a time and a value, generated. Each side is a process of its own, in turn; the peak is the process's highest
resident size as the system counts it, interpreter and pyarrow included. Ratios are this build's over the other's, their
median with its 95 % interval. Without --other this build alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "peers"))
from events_benchmark import make_table  # noqa: E402
from pairing import median_interval  # noqa: E402


def train(python_path: str, data: str, out: str, args) -> tuple[float, float]:
    """(MB at the peak, seconds) of one process."""
    command = [sys.executable, "-m", "etalage", "train", data, "--time", "time", "--value", "value", "--model", "als", "--param", f"factors={args.factors}",
               "--param", f"iterations={args.sweeps}", "--param", f"num_threads={args.threads}", "--out", out]
    started = time.perf_counter()
    child = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": python_path}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{' '.join(command)} with PYTHONPATH={python_path} ended with {child.returncode}")
    return usage.ru_maxrss / 1024, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--other", help="folder that holds the other build's etalage package")
    for name, default in (("events", 10_000_000), ("users", 1_000_000), ("items", 100_000), ("factors", 64), ("sweeps", 2), ("threads", 2), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    import etalage

    here = str(Path(etalage.__file__).absolute().parents[1])  # a build folder may hold links to the sources
    with tempfile.TemporaryDirectory() as folder:
        data, out = os.path.join(folder, "events.parquet"), os.path.join(folder, "model.etalage")
        seconds = 1_600_000_000 + np.sort(np.random.default_rng(1).integers(0, 365 * 86400, args.events))
        pq.write_table(make_table(args).append_column("time", pa.array(seconds, pa.int64()).cast(pa.timestamp("s"))), data)
        sides = {"this build": here} | ({"the other": args.other} if args.other else {})
        found = {side: [] for side in sides}
        for _ in range(args.rounds):
            for side, path in sides.items():
                found[side].append(train(path, data, out, args))
    print(f"etalage train, {args.events:,} events, {args.users:,} users, {args.items:,} items, {args.factors} factors, {args.sweeps} sweeps")
    for side, runs in found.items():
        print(f"{side:12s} peak {max(mb for mb, _ in runs):7.0f} MB   {min(s for _, s in runs):6.1f} s")
    if args.other:
        for what, index in (("memory", 0), ("seconds", 1)):
            ratio, low, high = median_interval([a[index] / b[index] for a, b in zip(*found.values())])
            print(f"{what:8s} this / other {ratio:.2f} [{low:.2f}, {high:.2f}], {args.rounds} pairs")


if __name__ == "__main__":
    main()
