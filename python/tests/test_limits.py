# SPDX-License-Identifier: Apache-2.0
"""Counts that size memory or time: refused by name, or harmless, wherever they come from."""
import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import etalage

HUGE = 2**31 - 1


def in_limited_process(code: str, megabytes: int = 4096, seconds: int = 120) -> subprocess.CompletedProcess:
    """Runs code with a limit on memory: what asks for more gets a MemoryError or is the end of that process."""
    begin = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({megabytes} << 20,) * 2)\n"
    return subprocess.run([sys.executable, "-c", begin + textwrap.dedent(code)], capture_output=True, text=True, timeout=seconds)


EVERY_COUNT = """
    import json, time
    import numpy as np, scipy.sparse as sp
    import etalage
    from etalage import models
    HUGE = 2**31 - 1
    matrix = sp.random(40, 30, 0.2, format="csr", dtype=np.float32, random_state=1)
    log = etalage.EventLog.from_frame({"user": np.arange(300) % 40, "item": np.arange(300) * 7 % 30, "time": np.arange(300) * 3600},
                                      time="time", time_unit="s")
    told = {}
    for name in models.__all__:
        kind = getattr(models, name)
        if not (isinstance(kind, type) and issubclass(kind, models.Recommender)) or name in ("Recommender", "Vectors", "Blend"):
            continue
        try:
            fresh = kind()
        except TypeError:
            continue
        for option, value in fresh.get_params().items():
            if isinstance(value, bool) or not (isinstance(value, int) or value == "auto"):
                continue
            began = time.perf_counter()
            try:
                m = kind(**{option: HUGE})
                m.fit(log)
                m.recommend(0, k=5)
                m.recommend_session([1, 2], k=5)
                outcome = "ran"
            except (TypeError, ValueError) as error:
                outcome = str(error)
            except (NotImplementedError, etalage.NumericalError):  # an exponent of two milliards, say
                outcome = "ran"
            told[f"{name}.{option}"] = (outcome, time.perf_counter() - began)
    print(json.dumps(told))
"""


def test_every_count_of_every_model_is_bounded_or_harmless():
    done = in_limited_process(EVERY_COUNT)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert len(told) > 60
    for count, (outcome, seconds) in told.items():
        assert outcome == "ran" or count.partition(".")[2] in outcome, (count, outcome)
        assert seconds < 20, (count, outcome, seconds)
    for count in ("ALS.iterations", "ALS.cg_steps", "ALS.factors", "BPR.epochs", "WARP.fold_in_epochs", "Item2Vec.num_negatives",
                  "Item2Vec.window", "SLIM.iterations", "GraphFilter.power_iterations"):
        assert "must be" in told[count][0], (count, told[count])
    assert told["ALS.num_threads"][0] == "ran"


@pytest.mark.parametrize("kind, option", [("hnsw", "ef_construction"), ("hnsw", "ef_search"), ("ivf", "nlist"), ("ivf", "nprobe"),
                                          ("ivf_pq", "rescore_factor"), ("hnsw", "M"), ("ivf_pq", "pq_bits")])
def test_options_of_indexes(kind, option):
    with pytest.raises(ValueError, match=option):
        etalage.retrieval.ItemIndex(8, kind=kind, **{option: HUGE})


def test_dimensions_of_indexes():
    with pytest.raises(ValueError, match="dim is 2147483647"):
        etalage.retrieval.ItemIndex(HUGE)


def test_threads_are_as_many_as_may_run():
    """libgomp would end the process: for want of memory for a thousand threads, or of any memory for one."""
    code = """
        import resource
        import numpy as np, etalage
        index = etalage.retrieval.ItemIndex(16)
        rows = np.random.default_rng(1).standard_normal((4000, 16)).astype(np.float32)
        index.add(rows, np.arange(4000))
        expected = index.search(rows[:1000], 5, num_threads=1)
        with open("/proc/self/status") as lines:
            used = next(int(l.split()[1]) for l in lines if l.startswith("VmSize"))
        resource.setrlimit(resource.RLIMIT_AS, ((used << 10) + (4 << 20),) * 2)  # less than a thread's stack is left
        found = index.search(rows[:1000], 5, num_threads=1000)
        assert all((a == b).all() for a, b in zip(expected, found))
        print("searched")
    """
    done = in_limited_process(code.replace("\n        ", "\n"))
    assert done.returncode == 0 and "searched" in done.stdout, done.stderr[-2000:]


def test_a_file_with_a_huge_number_of_threads(tmp_path):
    rows = np.random.default_rng(1).standard_normal((2000, 8)).astype(np.float32)
    index = etalage.retrieval.ItemIndex(8, num_threads=HUGE)
    index.add(rows, np.arange(2000))
    index.save(tmp_path / "index")
    code = f"""
        import numpy as np, etalage
        index = etalage.retrieval.ItemIndex.load({str(tmp_path / 'index')!r})
        index.update(np.ones((500, 8), np.float32), np.arange(500))
        print(index.search(np.ones(8, np.float32), 1)[0])
    """
    done = in_limited_process(code.replace("\n        ", "\n"))
    assert done.returncode == 0, done.stderr[-2000:]
