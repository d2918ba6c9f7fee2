# SPDX-License-Identifier: Apache-2.0
"""A wrong integer argument, of whatever public call, is an error that names argument, value and rule. The package is walked: a call that is
not in the table below fails the test until it is."""

import importlib
import inspect
import pkgutil
import re
from functools import cache

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage import EventLog, evaluation, marketing, models, profile, retrieval, serving, tuning
from etalage.evaluation import experiment, off_policy, split
from etalage.marketing import baskets, lifetime, loyalty, uplift

MODULES = [etalage, models, retrieval, evaluation, split, off_policy, experiment, evaluation.impressions, profile, serving, marketing, tuning,
           etalage.datasets] + [importlib.import_module(f"etalage.marketing.{m.name}") for m in pkgutil.iter_modules(marketing.__path__)
                                if not m.name.startswith("_")]
# Parameters that are no integers though their default is one, and calls of Python's own.
NOT_INTEGERS = {("relations", "idle_minutes"), ("estimate", "min_ess"), ("bundles", "min_stock")}
AS_LONG_AS_ASKED = {("search", "budget")}  # trials until somebody ends them
LABELS = {"control"}  # of a treatment: anything
LISTS_TOO = {"k"}  # lengths of lists, one or several, in evaluation
OF_A_SEQUENCE = {"index", "count"}


def integers(call):
    """Names of the integer arguments: by a default that is one, by what compiled signatures say, or by what they are always called."""
    try:
        parameters = inspect.signature(call).parameters
    except (TypeError, ValueError):
        return re.findall(r"(\w+): typing\.Supports(?:Int|Index)\b", (call.__doc__ or "").split("\n")[0])
    return [n for n, p in parameters.items()
            if isinstance(p.default, int) and not isinstance(p.default, bool) or n in ("k", "num_threads", "seed", "samples")]


def public_calls():
    """{"Class.method" or "function": its integer arguments}"""
    found = {}
    for module in MODULES:
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            if not getattr(thing, "__module__", "").startswith("etalage"):
                continue
            if inspect.isclass(thing):
                for method in dir(thing):
                    call = getattr(thing, method)
                    if (method.startswith("_") and method != "__init__") or not callable(call) or method in OF_A_SEQUENCE and hasattr(thing, "__getitem__"):
                        continue
                    if method != "__init__" and issubclass(thing, models.Recommender) and method in dir(models.Recommender) and method not in vars(thing):
                        continue  # the shared ones are asked of ALS
                    found[f"{name}.{method}"] = integers(call)
            elif callable(thing):
                found[name] = integers(thing)
    return {call: [a for a in arguments if (call, a) not in NOT_INTEGERS and a not in LABELS] for call, arguments in found.items()}


@cache
def log():
    rng = np.random.default_rng(0)
    n = 600
    return EventLog.from_frame({"user": rng.integers(0, 40, n), "item": rng.integers(0, 30, n), "event": np.array(["view", "purchase"])[rng.integers(0, 2, n)],
                                "time": np.datetime64("2026-01-01", "ms") + np.sort(rng.integers(0, 86_400_000 * 90, n)).astype("timedelta64[ms]"),
                                "value": rng.uniform(1, 9, n)}, event="event", time="time", value="value")


@cache
def data():
    return log().interactions()


@cache
def als():
    return models.ALS(factors=4, iterations=1, num_threads=1).fit(data())


@cache
def popularity():
    return models.Popularity().fit(data())


@cache
def repeat():
    return models.RepeatPurchase(num_threads=1).fit(log().sequences())


@cache
def catalog():
    return etalage.Catalog(np.arange(30), names=[f"product {i}" for i in range(30)], prices=np.full(30, 2.0), vectors=np.eye(30, 4, dtype=np.float32))


@cache
def cold():
    return models.ColdStart(als(), sp.identity(30, format="csr", dtype=np.float32), num_threads=1)


@cache
def index():
    made = retrieval.ItemIndex(4)
    made.add(np.eye(30, 4, dtype=np.float32), np.arange(30))
    return made


@cache
def parts():
    return split.random_holdout(data(), 0.3)


@cache
def evaluated():
    return evaluation.evaluate(models.Popularity().fit(parts().train), parts().train, parts().test, k=3)


@cache
def intent():
    return profile.PurchaseIntent(num_threads=1).fit(log())


@cache
def judged():
    return intent().evaluate(log())


@cache
def sets():
    return baskets.frequent_sets(log().sequences(), 0.2)


@cache
def ranker():
    return serving.Ranker(serving.CatalogIndex(catalog()), [serving.ModelSource("als", models.Vectors(np.eye(30, 4), np.eye(30, 4)))])


@cache
def profiles():
    return profile.Profiles().add(log())


@cache
def engine():
    made = serving.Engine(models={"als": als(), "popular": popularity()}, catalog=catalog(), profiles=profiles())
    made.observe(1, 2, "purchase")
    return made


@cache
def summary():
    return lifetime.summarize(log())


@cache
def bgnbd():
    return lifetime.BGNBD(num_threads=1).fit(summary())


X, T, Y = np.random.default_rng(1).normal(size=(200, 2)), np.arange(200) % 2, np.arange(200) % 3 / 2.0
QUERY = np.ones((2, 4), np.float32)
FRAME = {"user": [1, 2], "item": [3, 4]}

# A call that is right but for what it is given.
CALLS = {
    "Catalog.name": lambda **a: catalog().name(**a),
    "EventLog.from_frame": lambda **a: EventLog.from_frame(FRAME, **a),
    "EventLog.interactions": lambda **a: log().interactions(**a),
    "Interactions.from_csr": lambda **a: etalage.Interactions.from_csr(sp.identity(3), **a),
    "Interactions.from_frame": lambda **a: etalage.Interactions.from_frame(FRAME, **a),
    "Recipe.interactions": lambda **a: etalage.Recipe().interactions(log(), **a),
    "Sequences.__init__": lambda **a: etalage.Sequences([0, 2], [0, 1], **a),
    "Blend.__init__": lambda **a: models.Blend([("a", als()), ("b", popularity())], **a),
    "Blend.fit": lambda **a: models.Blend([("a", models.Popularity()), ("b", models.EASE(num_threads=1))], num_threads=1).fit(parts().train, parts().test, **a),
    "ColdStart.__init__": lambda **a: models.ColdStart(als(), sp.identity(30, format="csr", dtype=np.float32), **a),
    "ColdStart.recommend_new": lambda **a: models.ColdStart(als(), sp.identity(40, format="csr", dtype=np.float32), side="users", num_threads=1).recommend_new(sp.identity(40, format="csr")[:1], **a),
    "GraphFilter.preset": lambda **a: models.GraphFilter.preset("gf_cf", **a),
    "LearnedRanker.__init__": lambda **a: models.LearnedRanker([als(), popularity()], **a),
    "LearnedRanker.fit": lambda **a: models.LearnedRanker([als(), popularity()], num_threads=1, num_trees=2, folds=2).fit(data(), data(), **a),
    "Recommender.explain": lambda **a: als().explain(0, data().user_items[:1], 1, **a),
    "Recommender.recommend": lambda **a: als().recommend(0, **a),
    "Recommender.recommend_ids": lambda **a: als().recommend_ids(log().user_ids[0], **a),
    "Recommender.recommend_session": lambda **a: als().recommend_session([1], **a),
    "Recommender.similar_items": lambda **a: als().similar_items(0, **a),
    "Recommender.similar_users": lambda **a: als().similar_users(0, **a),
    "RepeatPurchase.again": lambda **a: repeat().again(0, **a),
    "Vectors.recommend_vectors": lambda **a: models.Vectors(QUERY, QUERY).recommend_vectors(QUERY, **a),
    "ItemFilter.allows": lambda **a: retrieval.ItemFilter().allows(**a),
    "ItemIndex.search": lambda **a: index().search(QUERY, **a),
    "ItemIndex.distances_per_query": lambda **a: index().distances_per_query(QUERY, **a),
    "Evaluation.compare": lambda **a: evaluated().compare(evaluated(), "recall@3", **a),
    "Evaluation.interval": lambda **a: evaluated().interval("recall@3", **a),
    "compare": lambda **a: evaluation.compare({"a": models.Popularity(), "b": models.Popularity("users")}, parts().train, parts().test, **{"samples": 100, **a}),
    "compare_folds": lambda **a: evaluation.compare_folds({"a": models.Popularity()}, split.rolling(log(), 2, 10), **a),
    "evaluate": lambda **a: evaluation.evaluate(models.Popularity().fit(parts().train), parts().train, parts().test, **a),
    "evaluate_next": lambda **a: evaluation.evaluate_next(repeat(), log().sequences(), **a),
    "evaluate_ranking": lambda **a: evaluation.evaluate_ranking(np.array([[0, 1], [1, 0]], np.int32), sp.identity(2, format="csr"), **a),
    "random_holdout": lambda **a: split.random_holdout(log(), 0.2, **a),
    "rolling": lambda **a: split.rolling(log(), **{"folds": 2, "test_days": 10, **a}),
    "cross_fit": lambda **a: off_policy.cross_fit(X, T, Y, np.full((200, 2), 0.5), **a),
    "estimate": lambda **a: off_policy.estimate(Y, np.full(200, 0.5), np.full(200, 0.5), **a),
    "balanced": lambda **a: experiment.balanced([1, 2, 3], [3, 2, 1], **{"k": 2, "seed": 1, **a}),
    "team_draft": lambda **a: experiment.team_draft([1, 2, 3], [3, 2, 1], **{"k": 2, "seed": 1, **a}),
    "Profiles.add": lambda **a: profile.Profiles().add(log(), **a),
    "Profiles.buy_again": lambda **a: profiles().buy_again(log().user_ids[0], **a),
    "CatalogIndex.__init__": lambda **a: serving.CatalogIndex(catalog(), **a),
    "Engine.bought_together": lambda **a: engine().bought_together(2, **a),
    "Engine.buy_again": lambda **a: engine().buy_again(1, **a),
    "Engine.fatigue": lambda **a: engine().fatigue("home", **a),
    "Engine.impressions": lambda **a: engine().impressions(**a),
    "Engine.recommend": lambda **a: engine().recommend(1, **a),
    "Filter.age": lambda **a: serving.Filter.age(**a),
    "IndexSource": lambda **a: serving.IndexSource("near", index(), vectors=np.eye(30, 4), **a),
    "ListSource": lambda **a: serving.ListSource("list", ([1, 2], [1.0, 0.5]), **a),
    "rerank": lambda **a: serving.rerank(np.ones(4, np.float32), **{"k": 2, "vectors": np.eye(4), **a}),
    "BudgetPacer.spending_profile": lambda **a: marketing.BudgetPacer([5.0], 10).spending_profile(**a),
    "allocate": lambda **a: marketing.allocate(np.ones((3, 2)), np.ones((3, 2)), 2.0, **a),
    "audience": lambda **a: marketing.audience(als(), item=int(log().item_ids[0]), **{"k": 3, **a}),
    "search": lambda **a: tuning.search(models.Popularity(), parts().train, parts().test, **{"budget": 1, **a}),
    "synthetic_store": lambda **a: etalage.datasets.synthetic_store(**{"users": 20, "items": 10, **a}),
    "bundles": lambda **a: baskets.bundles(sets(), dict.fromkeys(range(30), 2.0), dict.fromkeys(range(30), 1.0), **a),
    "frequent_sets": lambda **a: baskets.frequent_sets(log().sequences(), 0.2, **a),
    "relations": lambda **a: baskets.relations(log(), **a),
    "rules": lambda **a: baskets.rules(sets(), 0.1, **a),
    "BGNBD.expected_purchases": lambda **a: bgnbd().expected_purchases(4, summary(), **{"interval": 0.9, **a}),
    "BGNBD.p_alive": lambda **a: bgnbd().p_alive(summary(), **{"interval": 0.9, **a}),
    "summarize": lambda **a: lifetime.summarize(log(), **a),
    "Tier.__init__": lambda **a: loyalty.Tier("gold", **{"purchases": 3, **a}),
    "Page.__init__": lambda **a: marketing.Page([3, 3], **a),
    "PurchaseIntent.evaluate": lambda **a: intent().evaluate(log(), **a),
    "IntentEvaluation.interval": lambda **a: judged().interval(**a),
    "IntentEvaluation.compare": lambda **a: judged().compare(judged(), **a),
    "Ranker.explain": lambda **a: ranker().explain(0, "als", **{"user": 1, **a}),
    "Ranker.rank": lambda **a: ranker().rank(user=1, **a),
    "Measure.interval": lambda **a: uplift.qini(Y, T, X[:, 0]).interval(**a),
    "policy_value": lambda **a: uplift.policy_value(Y, T, T, **a),
}


def as_ever(cls):
    return lambda **a: cls(**a)


# Made of their options alone.
for name in ("ALS", "EASE", "BPR", "FeatureALS", "GraphFilter", "Item2Vec", "ItemKNN", "LinearSequence", "P3alpha", "RP3beta", "RepeatPurchase", "SLIM",
             "SequentialRules", "SessionKNN", "Transitions", "UserKNN", "Vectors", "WARP", "ExplorationSlot"):
    CALLS[f"{name}.__init__"] = as_ever(getattr(models, name))
for name in ("BGBB", "BGNBD", "GammaGamma", "MBGCNBD", "MBGNBD", "ParetoNBD"):
    CALLS[f"{name}.__init__"] = as_ever(getattr(lifetime, name))
for name in ("DRLearner", "LinearUplift", "SLearner", "TLearner", "UpliftForest", "UpliftTree", "XLearner"):
    CALLS[f"{name}.__init__"] = as_ever(getattr(uplift, name))
CALLS["PurchaseIntent.__init__"] = as_ever(profile.PurchaseIntent)
for name in ("average_precision_at_k", "capped_recall_at_k", "hit_rate_at_k", "ndcg_at_k", "precision_at_k", "recall_at_k", "reciprocal_rank_at_k"):
    CALLS[name] = (lambda call: lambda **a: call([1, 2, 3], [2], **a))(getattr(evaluation, name))

# Asked by their own tests: a file, optional packages, a fit of their own; or the methods of a base that are asked above.
ELSEWHERE = {"load", "EventLog.from_csv", "EventLog.from_parquet", "Evaluation.plot", "TreeEnsemble.predict", "GammaGamma.expected_money", "customer_value",
             *(f"{model}.{method}" for model in ("MBGNBD", "MBGCNBD", "ParetoNBD") for method in ("expected_purchases", "p_alive")),
             "Popularity.similar_items", "Popularity.similar_users", "RepeatPurchase.similar_items", "Vectors.explain"}


def test_the_table_knows_every_call_with_an_integer():
    unknown = {call for call, arguments in public_calls().items() if arguments} - set(CALLS) - ELSEWHERE
    assert not unknown, sorted(unknown)
    assert len(CALLS) > 90


CASES = [(call, argument) for call, arguments in sorted(public_calls().items()) for argument in arguments if call in CALLS]


@pytest.mark.parametrize("call, argument", CASES, ids=lambda x: x)
def test_what_is_no_integer_is_refused_by_name(call, argument):
    for value in ("many", 1.5, {}) if argument in LISTS_TOO else ("many", 1.5, [2, 3], {}):
        with pytest.raises((TypeError, ValueError)) as error:
            CALLS[call](**{argument: value})
        said = str(error.value)
        assert argument in said and "must be" in said and "incompatible function arguments" not in said, f"{argument}={value!r}: {said}"


@pytest.mark.parametrize("call, argument", CASES, ids=lambda x: x)
def test_a_huge_integer_is_taken_as_meant_or_refused_by_name(call, argument):
    for value in (-(2**70),) if (call, argument) in AS_LONG_AS_ASKED else (2**70, -(2**70)):
        try:
            CALLS[call](**{argument: value})
        except (TypeError, ValueError) as error:
            said = str(error)
            assert argument in said and "must" in said and "incompatible function arguments" not in said, f"{argument}={value!r}: {said}"
