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


def counted_calls():
    """{what: (call of one count, what it is called)} of the calls that hand a bare count to the library."""
    rows = np.random.default_rng(1).integers(0, 9, (2, 200))
    log = etalage.EventLog.from_frame({"user": rows[0], "item": rows[1], "event": ["view", "purchase"] * 100,
                                       "time": np.arange(200) * 3_600_000 + 10**12}, event="event", time="time", time_unit="ms")
    data, lists = log.interactions(), log.sequences()
    als = etalage.models.ALS(factors=2, iterations=1).fit(data)
    index = etalage.retrieval.ItemIndex(2)
    index.add(np.eye(2, dtype=np.float32), [1, 2])
    profiles, engine = etalage.profile.Profiles().add(log), etalage.serving.Engine(models={"als": als})
    evaluation, seen = etalage.evaluation, {"filter_already_liked_items": False, "check_fit": False}
    ev = evaluation.evaluate(als, data, data, k=3, **seen)
    lists_of = np.zeros((data.shape[0], 1), np.int32)
    return {
        "evaluate": (lambda v: evaluation.evaluate(als, data, data, k=3, num_threads=v, **seen), "num_threads"),
        "evaluate_next": (lambda v: evaluation.evaluate_next(als, lists, k=3, num_threads=v), "num_threads"),
        "evaluate_ranking": (lambda v: evaluation.evaluate_ranking(lists_of, data, k=1, num_threads=v), "num_threads"),
        "Evaluation.interval": (lambda v: ev.interval("recall@3", num_threads=v), "num_threads"),
        "Evaluation.compare": (lambda v: ev.compare(ev, "recall@3", num_threads=v), "num_threads"),
        "ItemIndex": (lambda v: etalage.retrieval.ItemIndex(v), "dim"),
        "ItemIndex.search": (lambda v: index.search([1.0, 0.0], 1, num_threads=v), "num_threads"),
        "ItemIndex.search k": (lambda v: index.search([1.0, 0.0], v), "k"),
        "ItemIndex.distances_per_query": (lambda v: index.distances_per_query([1.0, 0.0], v), "k"),
        "ItemIndex.add": (lambda v: index.add(np.ones(2, np.float32), v), "ids"),
        "Profiles.add": (lambda v: etalage.profile.Profiles().add(log, num_threads=v), "num_threads"),
        "Profiles.buy_again": (lambda v: profiles.buy_again(0, k=v), "k"),
        "Profiles.user": (lambda v: profiles.user(v), "user_index"),
        "Engine.recommend": (lambda v: engine.recommend(1, v), "k"),
        "Engine.buy_again": (lambda v: engine.buy_again(1, k=v), "k"),
        "Engine.impressions": (lambda v: engine.impressions(marginals=v), "marginals"),
        "rerank": (lambda v: etalage.serving.rerank([0.5, 0.25], v, "none"), "k"),
        "allocate": (lambda v: etalage.marketing.allocate(np.ones((4, 2)), np.ones((4, 2)), [2.0], per_shopper=v), "per_shopper"),
        "frequent sets": (lambda v: etalage.marketing.baskets.relations(log, num_threads=v), "num_threads"),
    }


@pytest.mark.parametrize("wrong", [1.5, "2", [1], 2**64, np.float32(2)], ids=repr)
def test_a_count_of_the_wrong_kind_is_refused_in_words_that_name_it(wrong):
    for what, (call, argument) in counted_calls().items():
        if what == "ItemIndex.add" and isinstance(wrong, list) or what == "allocate" and wrong == 2**64:
            continue  # a list of ids; as many offers as there are
        try:
            call(wrong)
        except (TypeError, ValueError) as e:
            assert str(e).startswith(argument) and "incompatible function arguments" not in str(e), f"{what}: {e}"
        else:
            pytest.fail(f"{what} took {wrong!r} for {argument}")


def test_more_folds_than_anybody_means_are_refused():
    rng = np.random.default_rng(1)
    x, a, r, target = rng.random((60, 2)), rng.integers(0, 2, 60), rng.random(60), np.full((60, 2), 0.5)
    with pytest.raises(ValueError, match=r"folds is 1000000000, must be in \[2, 1000\]"):
        etalage.evaluation.off_policy.cross_fit(x, a, r, target, folds=10**9)
    log = etalage.EventLog.from_frame({"user": [1, 2], "item": [1, 2], "time": [10**12, 10**12 + 1]}, time="time", time_unit="ms")
    with pytest.raises(ValueError, match=r"folds is 1000000000, must be an integer in \[1, 10000\]"):
        etalage.evaluation.split.rolling(log, folds=10**9, test_days=1)


def test_what_is_no_log_and_salts_that_are_no_text_are_refused_in_words():
    with pytest.raises(TypeError, match="log is a list, must be an EventLog"):
        etalage.marketing.lifetime.summarize([])
    with pytest.raises(TypeError, match="log is a list, must be an EventLog"):
        etalage.marketing.baskets.relations([])
    with pytest.raises(ValueError, match="salt holds text with a lone surrogate"):
        etalage.marketing.slot(1, "\ud800")
