# SPDX-License-Identifier: Apache-2.0
"""Engine.observe() of this build beside that of another: events a second under each durability and order, both sides
in turns, ratio with its 95 % interval. Floor .9.

    python bench/observe_pair.py OTHER [--ours build/bench/observe_benchmark] [--only interval-cyclic ...]

OTHER is the program that bench/observe_benchmark.cpp makes with the other library. In a build folder of an earlier
commit that has `libetalage.a`, OLD the folder of its sources:

    g++ -O3 -DNDEBUG -std=c++20 -DETALAGE_STATIC -I OLD/include -I OLD/build/release/include bench/observe_benchmark.cpp \\
        OLD/build/release/libetalage.a <the libraries that `ninja -t commands` shows for one of its benchmarks> -o OTHER
"""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "peers"))

from pairing import alternate  # noqa: E402

CASES = ("memory-random", "memory-cyclic", "none-random", "none-cyclic", "interval-random", "interval-cyclic", "interval-text", "every-random", "every-cyclic")
FLOOR = 0.9


def rate(program: str, case: str, events: int) -> dict:
    durability, order = case.split("-")
    more = [str(events)] if events and durability != "every" else []
    done = subprocess.run([program, durability, order, *more], capture_output=True, text=True)
    if done.returncode != 0:
        return {"error": done.stderr or f"ended with {done.returncode}"}
    return {"seconds": 1e6 / float(done.stdout)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other")
    parser.add_argument("--ours", default="build/bench/observe_benchmark")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--events", type=int, default=0, help="events of a run, 0: 2,000,000 (3,000 with every event durable)")
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    held = True
    print(f"{'durability, order':18} {'ours, events/s':>15} {'other':>12} {'ratio':>6} {'95 % interval':>16} rounds")
    for case in args.only:
        found = alternate(lambda: rate(args.ours, case, args.events), lambda: rate(args.other, case, args.events), at_least=3, at_most=args.rounds)
        if "error" in found:
            print(f"{case:18} {found['error']}")
            return 2
        ours, theirs = (1e6 / found["fields"]["seconds"][side] for side in ("ours", "theirs"))
        print(f"{case:18} {ours:15,.0f} {theirs:12,.0f} {found['ratio']:6.2f} [{found['low']:6.2f}, {found['high']:6.2f}] {found['rounds']:6}", flush=True)
        held = held and found["ratio"] >= FLOOR
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
