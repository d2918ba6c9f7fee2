# SPDX-License-Identifier: Apache-2.0
import datetime as dt

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage import evaluation
from etalage.evaluation import compare, evaluate, evaluate_next, evaluate_ranking, split
from real_data import rows

ALL = ("precision", "recall", "capped_recall", "hit_rate", "ndcg", "map", "mrr")


@pytest.fixture(scope="module")
def store():
    return etalage.datasets.synthetic_store(users=600, items=300, seed=3)


@pytest.fixture(scope="module")
def parts(store):
    return split.random_holdout(store.log.interactions(), 0.2, seed=1)


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_ranx_on_random_rankings(seed):
    ranx = pytest.importorskip("ranx")
    rng = np.random.default_rng(seed)
    users, items, length = 80, 60, 25
    lists = np.array([rng.permutation(items)[:length] for _ in range(users)], dtype=np.int32)
    relevant = [sorted(rng.choice(items, size=rng.integers(1, 12), replace=False)) for _ in range(users)]
    qrels = ranx.Qrels({str(u): {str(i): 1 for i in relevant[u]} for u in range(users)})
    run = ranx.Run({str(u): {str(i): float(length - r) for r, i in enumerate(lists[u])} for u in range(users)})
    ks = (1, 5, 20)
    r = evaluate_ranking(lists, rows(*relevant, width=items), k=ks, metrics=ALL)
    for k in ks:
        names = [f"{n}@{k}" for n in ("precision", "recall", "hit_rate", "ndcg", "mrr", "map")]
        theirs = ranx.evaluate(qrels, run, names, return_mean=False, make_comparable=True)
        order = [int(u) for u in qrels.keys()]
        for n in names:
            ours = r.per_user[n]
            expected = np.empty(users)
            expected[order] = theirs[n]
            if n.startswith("map"):
                # ranx divides by all relevant items, this library by min(k, relevant).
                sizes = np.array([len(x) for x in relevant])
                expected = expected * sizes / np.minimum(sizes, k)
            np.testing.assert_allclose(ours, expected, atol=1e-6, err_msg=n)
            assert abs(r[n] - expected.mean()) < 1e-6


def test_result_is_a_mapping_with_arrays_and_intervals(parts):
    r = evaluate(etalage.models.Popularity().fit(parts.train), parts.train, parts.test, k=(5, 20), metrics=("recall", "coverage"))
    assert list(r)[:4] == ["recall@5", "recall@20", "coverage@5", "coverage@20"]
    assert r["users"] == len(r.user_index) == len(r.per_user["recall@20"])
    assert r["recall@20"] == pytest.approx(r.per_user["recall@20"].mean())
    assert set(r.per_user) == {"recall@5", "recall@20"}
    low, high = r.interval("recall@20")
    assert low < r["recall@20"] < high
    assert r.interval("recall@20") == (low, high)
    narrower = r.interval("recall@20", confidence=0.5)
    assert low < narrower[0] < narrower[1] < high
    with pytest.raises(KeyError, match="must be one of recall@5"):
        r["recall@7"]
    with pytest.raises(KeyError):
        r.per_user["coverage@5"]
    assert "recall@20" in repr(r)


def test_model_array_and_foreign_model_agree(parts):
    model = etalage.models.Popularity().fit(parts.train)
    rows_ = parts.train.user_items
    own = evaluate(model, parts.train, parts.test, k=10, metrics=ALL)
    items, _ = model.recommend(np.arange(parts.train.num_users), rows_, k=10)

    class Foreign:
        """Speaks implicit's words and pads as it does: with item 0 and the lowest float."""

        def recommend(self, userid, user_items, N=10, filter_already_liked_items=True):
            ids, scores = model.recommend(userid, user_items, k=N, filter_already_liked_items=filter_already_liked_items)
            bad = ids < 0
            ids, scores = np.where(bad, 0, ids), np.where(bad, np.finfo(np.float32).min, scores)
            return ids, scores

    array = evaluate(items, parts.train, parts.test, k=10, metrics=ALL)
    foreign = evaluate(Foreign(), parts.train, parts.test, k=10, metrics=ALL)
    for name in own.metrics:
        assert own[name] == array[name] == foreign[name], name


def test_csr_log_and_sequences_are_accepted(store, parts):
    csr = evaluate(etalage.models.Popularity().fit(parts.train.user_items), parts.train.user_items, parts.test.user_items)
    own = evaluate(etalage.models.Popularity().fit(parts.train), parts.train, parts.test)
    assert csr["recall@20"] == own["recall@20"]
    logs = split.random_holdout(store.log, 0.2, seed=1)
    model = etalage.models.Popularity().fit(logs.train)
    from_logs = evaluate(model, logs.train, logs.test)
    from_sequences = evaluate(model, logs.train.sequences(), logs.test)
    assert from_logs["ndcg@10"] == from_sequences["ndcg@10"]


def test_threads_do_not_matter(parts):
    model = etalage.models.Popularity().fit(parts.train)
    one, two = (evaluate(model, parts.train, parts.test, num_threads=n) for n in (1, 2))
    assert dict(one, seconds=0) == dict(two, seconds=0)


def test_paired_comparison(parts):
    good = etalage.models.ALS(factors=16, iterations=8, seed=1).fit(parts.train)
    table = compare({"popular": etalage.models.Popularity(), "als": good}, parts.train, parts.test, k=(20,), metrics=("recall", "ndcg"))
    assert [row["model"] for row in table.rows] == ["als", "popular"]
    last = table.rows[-1]
    assert last["difference"] < 0 and last["p_value"] < 0.01
    assert last["fit_seconds"] > 0 and table.rows[0]["fit_seconds"] is None
    assert table.rows[0]["low"] < table.rows[0]["recall@20"] < table.rows[0]["high"]
    assert "popular" in str(table) and table.to_dict()["model"] == ["als", "popular"]
    test = table.evaluations["als"].compare(table.evaluations["popular"], "recall@20")
    assert test["difference"] == pytest.approx(-last["difference"])


def test_comparison_as_frame_and_picture(parts, tmp_path):
    table = compare({"popular": etalage.models.Popularity()}, parts.train, parts.test)
    pytest.importorskip("pandas")
    assert list(table.to_pandas()["model"]) == ["popular"]
    pytest.importorskip("matplotlib")
    table.plot(tmp_path / "table.png")
    assert (tmp_path / "table.png").stat().st_size > 1000


def test_next_item():
    log = etalage.EventLog.from_frame(
        {"user": np.array([1, 1, 1, 2, 2]), "item": np.array([7, 8, 7, 8, 7]), "time": np.arange(5)}, time="time", time_unit="s")
    model = etalage.models.Popularity().fit(log)
    r = evaluate_next(model, log, "all", k=1, metrics="hit_rate")
    assert r["users"] == 3 and r["hit_rate@1"] == pytest.approx(2 / 3)
    assert evaluate_next(model, log.sequences(), "last", k=1, metrics="hit_rate")["hit_rate@1"] == 1.0
    with pytest.raises(ValueError, match="positions is 'first', must be 'last' or 'all'"):
        evaluate_next(model, log, "first")
    with pytest.raises(TypeError, match="sequences is a list"):
        evaluate_next(model, [[1, 2]])


def test_splits_share_one_id_space_and_lose_nothing(store):
    log = store.log
    for parts in (split.leave_last_out(log), split.temporal(log, at="2024-10-01", valid_at="2024-09-01"),
                  split.random_holdout(log, 0.2, 1, valid_share=0.1), split.tail_holdout(log, 0.2, 0.1)):
        assert sum(map(len, parts)) == len(log)
        assert all(isinstance(p, etalage.EventLog) and p.num_items == log.num_items for p in parts)
        assert len(parts.valid) > 0
    last = split.leave_last_out(log)
    pairs = [set(zip(p.users.tolist(), p.items.tolist())) for p in last]
    assert not pairs[0] & pairs[2] and not pairs[0] & pairs[1] and not pairs[1] & pairs[2]
    bought = split.leave_last_out(log, target_events=("purchase",), keep_repeats=True)
    assert set(np.array(log.event_names, dtype=object)[bought.test.events]) == {"purchase"}


def test_moments_of_a_temporal_split(store):
    ms = int(dt.datetime(2024, 7, 1, tzinfo=dt.timezone.utc).timestamp() * 1000)
    sizes = {len(split.temporal(store.log, at=at).train)
             for at in (ms, "2024-07-01", dt.datetime(2024, 7, 1), np.datetime64("2024-07-01"))}
    assert len(sizes) == 1


def test_random_holdout_gives_back_its_type(parts):
    csr = split.random_holdout(parts.train.user_items, 0.5, seed=2)
    assert sp.issparse(csr.train) and csr.train.nnz + csr.test.nnz == parts.train.nnz
    assert isinstance(parts.train, etalage.Interactions) and parts.valid.nnz == 0


def test_metric_functions():
    assert evaluation.recall_at_k([5, 2, 7, 9], [5, 1, 2], 3) == 0.5
    assert evaluation.ndcg_at_k([1], [0, 1], 2) == pytest.approx(1 / np.log2(3))
    with pytest.raises(ValueError, match="k is -1, must be >= 0"):
        evaluation.recall_at_k([1], [1], -1)


def test_bad_input_is_named(parts):
    model = etalage.models.Popularity().fit(parts.train)
    train, test = parts.train, parts.test
    with pytest.raises(ValueError, match="k is -1, must be >= 1"):
        evaluate(model, train, test, k=(10, -1))
    with pytest.raises(TypeError, match="k holds 2.5"):
        evaluate(model, train, test, k=2.5)
    with pytest.raises(ValueError, match="metric is 'recal', must be one of precision, recall"):
        evaluate(model, train, test, metrics=("recal",))
    with pytest.raises(ValueError, match="must have the same users and items"):
        evaluate(model, train, sp.csr_matrix((3, 4), dtype=np.float32))
    with pytest.raises(ValueError, match="test has no relevant item"):
        evaluate(model, train, train)
    small = etalage.models.Popularity().fit(train.user_items[:10])
    with pytest.raises(ValueError, match=r"the model has shape \(10, 300\)"):
        evaluate(small, train, test)
    with pytest.raises(etalage.NotFittedError):
        evaluate(etalage.models.Popularity(), train, test)
    with pytest.raises(TypeError, match="items is float64"):
        evaluate(np.ones((600, 20)), train, test)
    with pytest.raises(ValueError, match="twice in row 0"):
        evaluate_ranking(np.zeros((600, 20), dtype=np.int32), test, k=10)
    with pytest.raises(ValueError, match="columns, must have at least k = 20"):
        evaluate_ranking(np.arange(6000, dtype=np.int32).reshape(600, 10) % 300, test)
    with pytest.raises(ValueError, match="models is empty"):
        compare({}, train, test)
    with pytest.raises(TypeError, match="log is a Interactions, must be an etalage.EventLog"):
        split.leave_last_out(train)
    with pytest.raises(ValueError, match="share is 1.5"):
        split.random_holdout(train, 1.5)


def test_importance_by_popularity():
    train, valid = rows([0, 1], [0], [0, 2], [0], width=4), rows([2], [3, 1], [], [1], width=4)
    # users of the items in both parts: 4, 3, 2, 1
    raw = np.array([2**-0.5, (1 + 3**-0.5) / 2, 0, 3**-0.5])
    np.testing.assert_allclose(evaluation.inverse_popularity(train, valid), raw / raw[[0, 1, 3]].mean())
    np.testing.assert_allclose(evaluation.inverse_popularity(train, valid, 0.0), [1, 1, 0, 1])
    np.testing.assert_array_equal(evaluation.inverse_popularity(train, rows([], [], [], [], width=4)), np.zeros(4))
    r = evaluate_ranking(np.array([[2], [0], [0], [3]]), valid, train=train, k=(1,), metrics=("recall",))
    counts = evaluation.inverse_popularity(train, valid)
    assert r.mean("recall@1", counts) == pytest.approx(raw[0] / raw.sum())
    assert r.mean("recall@1") == r["recall@1"] == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="exponent is -1"):
        evaluation.inverse_popularity(train, valid, -1)
    with pytest.raises(ValueError, match="importance has shape"):
        r.mean("recall@1", counts[:2])
    with pytest.raises(ValueError, match="importance must hold"):
        r.mean("recall@1", -counts)
    with pytest.raises(ValueError, match="train has shape"):
        evaluation.inverse_popularity(train, valid[:2])


def test_ordered_histories_come_with_their_times():
    """A model of time answers an evaluation as it answers about the same kept rows."""
    rng = np.random.default_rng(4)
    users = np.repeat(np.arange(40), 12)
    start, gap = rng.integers(0, 20, 40)[users], rng.integers(3, 30, (40, 6))
    items = rng.integers(0, 6, len(users))
    days = start + np.tile(np.arange(12), 40) // 2 * gap[users, items]
    log = etalage.EventLog.from_frame({"user": users, "item": items * 40 // 6, "time": 1_700_000_000_000 + days * 86_400_000},
                                      user="user", item="item", time="time", time_unit="ms")
    lists = log.sequences()
    model = etalage.models.RepeatPurchase().fit(lists)
    held = sp.csr_matrix((np.ones(40, np.float32), (np.arange(40), rng.integers(0, lists.num_items, 40))), shape=(40, lists.num_items))
    found = evaluate(model, lists, held, k=(1, 2), metrics=("hit_rate",), filter_already_liked_items=False)
    kept, _ = model.recommend(np.arange(40), k=2, filter_already_liked_items=False)
    hits = kept == held.indices[:, None]
    assert found["hit_rate@2"] == pytest.approx(hits.any(1).mean()) and found["hit_rate@1"] == pytest.approx(hits[:, 0].mean())
    timeless = etalage.Sequences(lists.offsets, lists.items, None, lists.num_items)
    without = evaluate(model, timeless, held, k=(1, 2), metrics=("hit_rate",), filter_already_liked_items=False, check_fit=False)
    assert without["hit_rate@1"] != found["hit_rate@1"]
