# SPDX-License-Identifier: Apache-2.0
"""k is a wish: what is allocated follows what exists and what the answer's shape takes, and what cannot be had is an error."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage.models import ALS, ItemKNN, Popularity, UserKNN, Vectors
from etalage.retrieval import ItemIndex
from etalage.serving import Engine, ListSource, ModelSource, Ranker

MOST = 2**31 - 1


def data():
    return etalage.Interactions.from_csr(sp.csr_matrix(np.triu(np.ones((5, 5), np.float32))), user_ids=list("abcde"), item_ids=list("vwxyz"))


@pytest.mark.parametrize("make", [lambda: ALS(factors=2, iterations=1), ItemKNN, UserKNN, Popularity], ids=["ALS", "ItemKNN", "UserKNN", "Popularity"])
def test_the_shape_stays_n_by_k(make):
    model = make().fit(data())
    for k in (0, 3, 7, 1000):
        items, scores = model.recommend([1, 2], k=k)
        assert items.shape == scores.shape == (2, k)
        held = min(k, np.count_nonzero(items[0] >= 0))
        assert (items[:, max(held, 5):] == -1).all() and np.isneginf(scores[:, max(held, 5):]).all()
    with pytest.raises(ValueError, match=r"k is 2147483647 for 2 questions, n x k must be at most 2\^31"):
        model.recommend([0, 1], k=MOST)
    with pytest.raises(ValueError, match=r"n x k must be at most 2\^31"):
        model.recommend_ids(["a", "b", "c"], k=2**30)


def test_search_keeps_the_shape_and_refuses_what_is_too_much():
    ix = ItemIndex(4, kind="exact")
    ix.add(np.eye(4, dtype=np.float32)[:3], [5, 6, 7])
    ids, scores = ix.search(np.eye(4)[:2], 100)
    assert ids.shape == scores.shape == (2, 100) and (ids[:, 3:] == -1).all() and set(ids[0, :3]) == {5, 6, 7}
    with pytest.raises(ValueError, match=r"k is 2147483648 for 2 questions, n x k must be at most 2\^31"):
        ix.search(np.eye(4)[:2], 2**31)
    with pytest.raises(ValueError, match=r"n x k"):
        ix.search(np.eye(4)[0], 2**62)
    with pytest.raises(ValueError, match=r"n x k"):
        ix.search(np.eye(4)[0], 2**80)


# Every call that takes k, on a handful of items, in a process that may have half a gigabyte more than it has.
CALLS = """
    {
        "recommend": lambda k: als.recommend(0, k=k), "recommend_ids": lambda k: als.recommend_ids("a", k=k),
        "session": lambda k: als.recommend_session([0], k=k), "similar_items": lambda k: als.similar_items(0, k=k),
        "similar_users": lambda k: als.similar_users(0, k=k), "explain": lambda k: als.explain(0, None, 0, k=k),
        "recommend_vectors": lambda k: vectors.recommend_vectors(np.ones(3), k=k), "search": lambda k: ix.search(np.ones(3), k),
        "search many": lambda k: ix.search(np.eye(3)[:1], k), "search hnsw": lambda k: hnsw.search(np.ones(3), k),
        "search ivf": lambda k: ivf.search(np.ones(3), k), "distances": lambda k: ix.distances_per_query(np.eye(3), k),
        "rerank": lambda k: etalage.serving.rerank([0.5, 0.2], k, "none"), "rank": lambda k: ranker.rank(k), "ranker.explain": lambda k: ranker.explain(0, "m", k, history=[1]),
        "engine": lambda k: engine.recommend("a", k), "engine without snapshot": lambda k: bare.recommend("a", k),
        "buy_again": lambda k: profiles.buy_again(0, k=k), "engine.buy_again": lambda k: engine.buy_again("a", k),
        "evaluate": lambda k: etalage.evaluation.evaluate(als, data, data, k=k, filter_already_liked_items=False), "evaluate_next": lambda k: etalage.evaluation.evaluate_next(knn, lists, k=k),
        "evaluate_ranking": lambda k: etalage.evaluation.evaluate_ranking([[0, 1, 2, 3, 4]] * 5, data, k=k),
        "metric_at_k": lambda k: etalage._core.metric_at_k("ndcg", [1], [1], k), "blend": lambda k: blend.recommend(0, k=k),
        "blend.fit": lambda k: etalage.models.Blend([("a", ALS(factors=2)), ("b", etalage.models.Popularity())]).fit(data, data, k=k, filter_already_liked_items=False),
        "session knn": lambda k: knn.recommend_session([0], k=k), "cold": lambda k: als.recommend(None, np.ones((1, 5)), k=k),
        "allowed": lambda k: als.recommend(0, k=k, items=[1, 2]), "indexed": lambda k: indexed.recommend(0, k=k),
        "popularity": lambda k: popular.recommend(0, k=k), "user knn": lambda k: user_knn.similar_users(0, k=k),
    }
"""

SCRIPT = """
    import resource, sys
    import numpy as np, scipy.sparse as sp
    import etalage
    from etalage.models import ALS
    from etalage.retrieval import ItemIndex
    from etalage.serving import Engine
    log = etalage.EventLog.from_frame({"user": list("aabbccddee"), "item": list("vwwxxyyzzv"), "time": [i * 10**9 for i in range(10)]}, time="time", time_unit="ms")
    data, lists = log.interactions(), log.sequences()
    als = ALS(factors=2, iterations=1, num_threads=1).fit(data)
    indexed = ALS(factors=2, iterations=1, num_threads=1).fit(data).build_index("hnsw")
    popular, user_knn = etalage.models.Popularity().fit(data), etalage.models.UserKNN(num_threads=1).fit(data)
    knn = etalage.models.SessionKNN(num_threads=1).fit(lists)
    blend = etalage.models.Blend([("a", als), ("b", popular)]).fit(data, refit_members=False)
    vectors = etalage.models.Vectors(np.eye(3), np.eye(3))
    ix, hnsw, ivf = ItemIndex(3, kind="exact"), ItemIndex(3), ItemIndex(3, kind="ivf")
    for i in (ix, hnsw, ivf):
        i.add(np.eye(3), [0, 1, 2])
    catalog = etalage.serving.CatalogIndex(etalage.Catalog(data.item_ids))
    ranker = etalage.serving.Ranker(catalog, [etalage.serving.ModelSource("m", als)])
    profiles = etalage.profile.Profiles().add(log)
    engine, bare = Engine(models={"als": als}, profiles=profiles), Engine()
    calls = CALLS
    for call in calls.values():
        call(2)
    limit = sum(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize:")) * 1024 + 2**29
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for name, call in calls.items():
        for k in (10**6, 2**31 - 1):
            try:
                call(k)
                said = "answers"
            except (MemoryError, ValueError, TypeError) as e:
                said = f"{type(e).__name__}: {e}"
            print(name, k, said, sep="|")
    print("alive")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit of address space is Linux's")
def test_no_call_allocates_by_k_alone():
    script = textwrap.dedent(SCRIPT).replace("CALLS", textwrap.dedent(CALLS).strip())
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0 and run.stdout.endswith("alive\n"), run.stdout[-500:] + run.stderr[-2000:]
    said = [line.split("|", 2) for line in run.stdout.splitlines()[:-1]]
    assert len(said) == 62
    padded = ("recommend", "recommend_ids", "session", "similar_items", "similar_users", "recommend_vectors", "search", "search many",
              "search hnsw", "search ivf", "blend", "session knn", "cold", "allowed", "indexed", "popularity", "user knn")
    for name, k, what in said:
        if name in padded and int(k) == MOST:
            assert what.startswith("MemoryError: ") and any(unit in what for unit in ("bytes", "GiB")), (name, what)
        elif name == "blend.fit":
            assert what.startswith("ValueError: k is "), (name, k, what)
        else:
            assert what == "answers", (name, k, what)
