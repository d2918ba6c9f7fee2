# SPDX-License-Identifier: Apache-2.0
"""The names, shapes and rules that code outside this repository relies on, called as such code calls them."""

import copy
import inspect
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
import scipy.sparse as sp

import etalage


@pytest.fixture(scope="module")
def log():
    rng = np.random.default_rng(0)
    n = 3000
    frame = {
        "user": np.array([f"u{i}" for i in rng.integers(0, 80, n)], dtype=object),
        "item": rng.integers(1000, 1060, n),
        "event": np.array(["view", "cart", "buy"], dtype=object)[rng.integers(0, 3, n)],
        "time": np.datetime64("2026-01-01T00:00:00", "ms") + rng.integers(0, 86_400_000 * 60, n).astype("timedelta64[ms]"),
    }
    return etalage.EventLog.from_frame(frame, user="user", item="item", event="event", time="time")


WEIGHTS = {"view": 1.0, "cart": 2.0, "buy": 4.0}


@pytest.fixture(scope="module")
def data(log):
    return log.interactions(event_weights=WEIGHTS)


@pytest.fixture(scope="module")
def als(data):
    return etalage.models.ALS(factors=8, iterations=5, seed=1).fit(data)


def test_names_at_the_top():
    for name in ("EventLog", "Interactions", "Sequences", "Catalog", "load", "build_info", "FormatError", "NotFittedError",
                 "NumericalError", "models", "retrieval", "evaluation", "datasets", "__version__"):
        assert hasattr(etalage, name), name
    for name in ("split", "evaluate", "evaluate_next", "compare"):
        assert hasattr(etalage.evaluation, name), name
    for name in ("leave_last_out", "temporal", "random_holdout"):
        assert hasattr(etalage.evaluation.split, name), name
    assert {"simd", "threads", "compiler", "blas", "faiss"} <= {k.lower() for k in etalage.build_info()}


def test_importing_starts_no_thread_and_takes_only_scipys_sparse_matrices():
    code = """
import os, sys
import numpy, scipy
before = len(os.listdir("/proc/self/task"))
import etalage
heavy = [m for m in ("linalg", "stats", "optimize", "special", "fft") if "scipy." + m in sys.modules]
print(len(os.listdir("/proc/self/task")) - before, heavy, [m for m in ("pandas", "pyarrow", "polars", "matplotlib", "sklearn") if m in sys.modules])
"""
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    assert said == "0 [] []"


def test_signatures():
    def parameters(f):
        return list(inspect.signature(f).parameters)

    named = etalage.EventLog.from_frame(
        frame={"u": [1]}, user="u", item="u", event=None, time=None, value=None, session=None, time_unit=None, on_error="raise")
    assert len(named) == 1
    names = parameters(etalage.models.ALS)
    for name in ("factors", "regularization", "alpha", "iterations", "num_threads", "seed"):
        assert name in names
    defaults = {n: p.default for n, p in inspect.signature(etalage.models.ALS).parameters.items()}
    assert (defaults["factors"], defaults["regularization"], defaults["alpha"], defaults["iterations"]) == ("auto", "auto", "auto", "auto")
    for name in ("user_items", "k", "filter_already_liked_items", "filter_items", "items", "recalculate_user"):
        assert name in parameters(etalage.models.ALS.recommend)


def test_interactions(log, data):
    rows = data.user_items
    assert sp.issparse(rows) and rows.format == "csr" and rows.dtype == np.float32
    assert rows.shape == (len(data.user_ids), len(data.item_ids)) and rows.has_sorted_indices
    assert data.user_ids[0].startswith("u") and data.item_ids.dtype == np.int64
    found = data.user_index(["u3", "nobody"])
    assert found.dtype == np.int32 and found[1] == -1 and data.user_ids[found[0]] == "u3"
    assert data.item_index([data.item_ids[7], 5]).tolist() == [7, -1]
    assert log.report.rows_read == log.report.rows_kept == 3000


def test_an_event_type_without_a_weight_is_an_error(log):
    with pytest.raises(ValueError, match="buy"):
        log.interactions(event_weights={"view": 1, "cart": 2})


def test_integer_times_need_a_unit():
    frame = {"u": np.arange(3), "i": np.arange(3), "t": np.arange(3)}
    with pytest.raises(ValueError, match="time_unit"):
        etalage.EventLog.from_frame(frame, user="u", item="i", time="t")
    assert len(etalage.EventLog.from_frame(frame, user="u", item="i", time="t", time_unit="s")) == 3


def test_half_life_counts_from_the_newest_event():
    frame = {"u": [1, 1], "i": [1, 2], "t": np.array(["2026-01-01", "2026-01-11"], dtype="datetime64[ms]")}
    data = etalage.EventLog.from_frame(frame, user="u", item="i", time="t").interactions(half_life_days=10)
    np.testing.assert_allclose(data.user_items.toarray(), [[0.5, 1.0]])


def test_sequences(log):
    seqs = log.sequences()
    assert len(seqs) == len(log.interactions(event_weights=WEIGHTS).user_ids)
    own = etalage.Sequences(np.array([0, 3, 3]), np.array([2, 2, 0]))
    assert own[0].tolist() == [2, 2, 0] and len(own[1]) == 0
    assert len(log.sequences(by="session", idle_minutes=30)) > len(seqs)


def test_scalar_and_array_shapes(als):
    items, scores = als.recommend(3, k=7)
    assert items.shape == scores.shape == (7,) and items.dtype == np.int32 and scores.dtype == np.float32
    many, many_scores = als.recommend(np.array([3, 5]), k=7)
    assert many.shape == (2, 7)
    np.testing.assert_array_equal(many[0], items)
    np.testing.assert_array_equal(many_scores[0], scores)
    assert als.recommend(3, k=0)[0].shape == (0,)
    with pytest.raises(ValueError):
        als.recommend(3, k=-1)
    with pytest.raises(IndexError):
        als.recommend(10_000)


def test_padding(als, data):
    items, scores = als.recommend(np.arange(4), k=100)
    seen = np.diff(data.user_items.indptr)[:4]
    for row in range(4):
        n = len(data.item_ids) - seen[row]
        assert (items[row, :n] >= 0).all() and (items[row, n:] == -1).all() and np.isneginf(scores[row, n:]).all()
    some, _ = als.similar_items(0, k=100)
    assert 0 not in some.tolist() and (some[len(data.item_ids) - 1 :] == -1).all()


def test_filters(als):
    allowed = [1, 5, 9, 30]
    items, _ = als.recommend(0, k=10, items=allowed, filter_already_liked_items=False)
    assert sorted(items[:4].tolist()) == allowed and (items[4:] == -1).all()
    items, _ = als.recommend(0, k=60, filter_items=allowed, filter_already_liked_items=False)
    assert not set(allowed) & set(items.tolist())
    each = sp.csr_matrix((np.ones(2), ([0, 1], [5, 9])), shape=(2, 60))
    items, _ = als.recommend(np.array([0, 1]), k=60, filter_items=each, filter_already_liked_items=False)
    assert 5 not in items[0] and 5 in items[1] and 9 in items[0] and 9 not in items[1]
    items, _ = als.recommend(np.array([0, 1]), k=3, items=[[5, 6], [7]], filter_already_liked_items=False)
    assert sorted(items[0, :2].tolist()) == [5, 6] and items[1].tolist() == [7, -1, -1]


def test_ids_in_and_out(als, data):
    keys, scores = als.recommend_ids(data.user_ids[:2], k=3)
    items, same = als.recommend(np.array([0, 1]), k=3)
    np.testing.assert_array_equal(np.asarray(keys), data.item_ids[items])
    np.testing.assert_array_equal(scores, same)
    newcomers, _ = als.recommend_ids(["never seen"], k=3)
    assert set(np.asarray(newcomers).ravel().tolist()) <= set(data.item_ids.tolist())


def test_sessions(als):
    one, _ = als.recommend_session([3, 4], k=4)
    many, _ = als.recommend_session([[3, 4], []], k=4)
    assert one.shape == (4,) and many.shape == (2, 4)
    np.testing.assert_array_equal(many[0], one)
    assert not {3, 4} & set(one.tolist())


def test_score_explain_fold_in(als, data):
    items, scores = als.recommend(2, k=5)
    np.testing.assert_array_equal(als.score(2, None, items), scores)
    total, top, weights = als.explain(2, data.user_items[2], int(items[0]), k=1000)
    np.testing.assert_allclose(np.sum(weights), total, rtol=1e-3)
    again, _ = als.recommend(2, data.user_items[2], k=5, recalculate_user=True)
    assert len(set(again.tolist()) & set(items.tolist())) >= 4
    assert len(als.similar_users(2, k=3)[0]) == 3 and 2 not in als.similar_users(2, k=79)[0].tolist()


def test_factors_are_read_only_and_survive_a_refit(data):
    model = etalage.models.ALS(factors=4, iterations=2).fit(data)
    users = model.user_factors
    assert users.dtype == np.float32 and users.shape == (80, 4) and not users.flags.writeable
    before = users.copy()
    model.partial_fit_users([0], data.user_items[5])
    np.testing.assert_array_equal(users, before)
    assert not np.array_equal(model.user_factors[0], before[0])
    del model
    np.testing.assert_array_equal(users, before)


def test_history_is_kept_from_interactions_and_not_from_csr(data, tmp_path):
    kept = etalage.models.ALS(factors=4, iterations=2).fit(data)
    bare = etalage.models.ALS(factors=4, iterations=2).fit(data.user_items)
    forgets = etalage.models.ALS(factors=4, iterations=2).fit(data, keep_history=False) if "keep_history" in inspect.signature(
        etalage.models.ALS.fit).parameters else etalage.models.ALS(factors=4, iterations=2, keep_history=False).fit(data)
    for model in (bare, forgets):
        with pytest.raises(ValueError, match="user_items"):
            model.recommend(0)
        np.testing.assert_array_equal(model.recommend(0, data.user_items[0])[0], kept.recommend(0)[0])
        with pytest.raises(ValueError):
            model.recommend(np.array([0, 1]), data.user_items[0])
    kept.save(tmp_path / "m.etalage")
    loaded = etalage.load(tmp_path / "m.etalage")
    np.testing.assert_array_equal(loaded.recommend_ids(data.user_ids[:5])[1], kept.recommend_ids(data.user_ids[:5])[1])


def test_callback_stops_and_keeps(data):
    seen = []

    def callback(progress):
        seen.append(progress)
        return len(seen) < 3

    model = etalage.models.ALS(factors=4, iterations=50).fit(data, callback=callback)
    assert len(seen) == 3 and model.recommend(0)[0].shape == (10,)


def test_pickle_copy_params(als):
    for other in (pickle.loads(pickle.dumps(als)), copy.deepcopy(als), copy.copy(als)):
        np.testing.assert_array_equal(other.recommend(1)[1], als.recommend(1)[1])
        assert other.get_params() == als.get_params()


def test_calls_a_model_does_not_have(data):
    model = etalage.models.Popularity().fit(data)
    with pytest.raises(NotImplementedError, match="Popularity.*similar_items"):
        model.similar_items(0)
    with pytest.raises(NotImplementedError, match="Popularity.*similar_users"):
        model.similar_users(0)
    vectors = etalage.models.Vectors(np.eye(3, 4, dtype=np.float32), np.eye(5, 4, dtype=np.float32))
    with pytest.raises(NotImplementedError, match="Vectors.*explain"):
        vectors.explain(0, sp.csr_matrix((1, 5), dtype=np.float32), 1)


def test_an_unfitted_model_says_so():
    with pytest.raises(etalage.NotFittedError):
        etalage.models.ALS().recommend(0)


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
@pytest.mark.parametrize("kind", ["exact", "hnsw", "ivf_pq"])
def test_item_index(metric, kind, tmp_path):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((500, 16), dtype=np.float32)
    ids = np.arange(500, dtype=np.int64) * 7 + 3
    ix = etalage.retrieval.ItemIndex(16, metric=metric, kind=kind)
    ix.add(x, ids)
    assert len(ix) == 500 and set(ix.ids.tolist()) == set(ids.tolist())
    found, scores = ix.search(x[:4], 5)
    assert found.shape == scores.shape == (4, 5) and found.dtype == np.int64
    if metric != "dot":
        assert found[:, 0].tolist() == ids[:4].tolist()
    if metric == "l2":
        assert (scores <= 0).all()
    with pytest.raises(ValueError):
        ix.add(x[:1], ids[:1])
    with pytest.raises(ValueError):
        ix.add(x[:1, :8], [99999])
    few, few_scores = ix.search(x[:2], 10, allow=ids[:3].tolist())
    assert set(few[0, :3].tolist()) == set(ids[:3].tolist()) and (few[:, 3:] == -1).all() and np.isneginf(few_scores[:, 3:]).all()
    each, _ = ix.search(x[:2], 500, deny=[ids[:2].tolist(), [int(ids[9])]])
    assert not set(ids[:2].tolist()) & set(each[0].tolist()) and (each[0] >= 0).sum() == 498 and (each[1] >= 0).sum() == 499
    mask = np.zeros(500, bool)
    mask[[2, 4]] = True
    marked, _ = ix.search(x[:1], 3, allow=mask)
    assert set(marked[0, :2].tolist()) == set(ix.ids[mask].tolist())
    ix.update(x[10:11], ids[:1])
    assert ix.remove([int(ids[1]), 123456789]) == 1 and len(ix) == 499
    assert ids[1] not in ix.search(x[1:2], 499)[0]
    ix.save(tmp_path / "ix.etalage")
    again = etalage.load(tmp_path / "ix.etalage")
    np.testing.assert_array_equal(again.search(x[:4], 5)[0], ix.search(x[:4], 5)[0])


def test_evaluation(log, data, als):
    parts = etalage.evaluation.split.leave_last_out(log)
    train, test = (p.interactions(event_weights=WEIGHTS) for p in (parts.train, parts.test))
    assert train.user_items.shape == test.user_items.shape
    model = etalage.models.ALS(factors=8, iterations=3).fit(train)
    r = etalage.evaluation.evaluate(model, train, test, k=(10, 20), metrics=("recall", "ndcg"))
    assert 0 <= r["recall@10"] <= r["recall@20"] <= 1 and r["users"] > 0
    low, high = r.interval("recall@20")
    assert low <= r["recall@20"] <= high
    assert np.isclose(np.mean(r.per_user["recall@20"]), r["recall@20"])
    table = etalage.evaluation.compare({"als": model, "popularity": etalage.models.Popularity().fit(train)}, train, test)
    assert "als" in str(table) and "popularity" in str(table)
    nexts = etalage.evaluation.evaluate_next(model, log.sequences(), positions="last", k=10, metrics=("hit_rate", "mrr"))
    assert 0 <= nexts["hit_rate@10"] <= 1


def test_synthetic_store_is_deterministic():
    a, b = (etalage.datasets.synthetic_store(users=50, items=30, seed=4).log for _ in range(2))
    c = etalage.datasets.synthetic_store(users=50, items=30, seed=5).log
    assert len(a) == len(b) and (a.sequences().items == b.sequences().items).all()
    assert len(a) != len(c) or (a.sequences().items != c.sequences().items).any()


def test_a_damaged_file_is_a_format_error(als, tmp_path):
    path = tmp_path / "m.etalage"
    als.save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(etalage.FormatError, match="checksum"):
        etalage.load(path)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(etalage.FormatError, match="truncated"):
        etalage.load(path)
    path.write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(etalage.FormatError, match="not an etalage file"):
        etalage.load(path)


def test_threads_may_recommend_at_once(als):
    expected = als.recommend(np.arange(80), k=5)[0]
    failures = []

    def work():
        for _ in range(20):
            if not np.array_equal(als.recommend(np.arange(80), k=5)[0], expected):
                failures.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
