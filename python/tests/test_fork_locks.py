# SPDX-License-Identifier: Apache-2.0
"""A child that is forked while threads of its parent search and change an index."""
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys, threading, time
import numpy as np
import etalage

kind, what, folder = sys.argv[1:]
rng = np.random.default_rng(1)
rows = rng.standard_normal((1500, 16)).astype(np.float32)
index = etalage.retrieval.ItemIndex(16, kind=kind)
index.add(rows, np.arange(len(rows)))
stop = False

def search():
    while not stop:
        index.search(rows[:64], 5, num_threads=1)

def update():
    while not stop:
        at = rng.integers(0, len(rows), 200)
        at = np.unique(at)
        index.update(rows[at], at)

work = {"search": [search] * 3, "update": [update] + [search] * 2}[what]
threads = [threading.Thread(target=w, daemon=True) for w in work]
for t in threads:
    t.start()
changed = refused = 0
for child in range(8):
    time.sleep(0.003)
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)  # a child that hangs is ended by it
        ids, _ = index.search(rows[:8], 3, num_threads=2)
        if (ids < 0).any() or (ids >= len(rows)).any():
            os._exit(3)
        try:
            index.update(rows[:50], np.arange(50))
            index.remove([7])
            name = os.path.join(folder, str(os.getpid()))
            index.save(name)
            os.unlink(name)
        except RuntimeError as error:
            os._exit(2 if "was forked while another thread" in str(error) else 4)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    changed += code == 0
    refused += code == 2
    if code not in (0, 2):
        print("child ended with", code)
        sys.exit(1)
stop = True
for t in threads:
    t.join()
index.update(rows[:50], np.arange(50))
print(changed, refused)
os._exit(0)
"""


@pytest.mark.parametrize("kind", ["exact", "hnsw", "ivf_pq"])
@pytest.mark.parametrize("what", ["search", "update"])
def test_indexes_work_in_a_child(kind, what, tmp_path):
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM, kind, what, str(tmp_path)], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, (done.stdout, done.stderr[-2000:])
    changed, refused = map(int, done.stdout.split())
    assert changed + refused == 8
    if what == "search":
        assert refused == 0, "searching alone leaves nothing half done"
