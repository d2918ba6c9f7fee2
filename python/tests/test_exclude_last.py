# SPDX-License-Identifier: Apache-2.0
"""exclude_last: what a session shows last is not recommended, unless the data show that it is looked at twice in a row."""

import pickle

import numpy as np
import pytest

import etalage
from etalage import models
from etalage.evaluation import evaluate_next

NAMES = ["SessionKNN", "Transitions", "LinearSequence", "SequentialRules", "Item2Vec"]
OPTIONS = {"Item2Vec": {"factors": 8, "epochs": 30}}


def lists(repeats, n=200, items=12):
    """Walks over a ring of items; a share `repeats` of the steps stays where it is."""
    rng = np.random.default_rng(3)
    steps = (rng.random((n, 9)) >= repeats).astype(int)
    paths = (rng.integers(0, items, (n, 1)) + np.concatenate([np.zeros((n, 1), int), steps.cumsum(axis=1)], axis=1)) % items
    return etalage.Sequences(np.arange(n + 1) * 10, paths.ravel().astype(np.int32), num_items=items)


def made(name, data, **options):
    return getattr(models, name)(**{**OPTIONS.get(name, {}), **options}).fit(data)


@pytest.mark.parametrize("name", NAMES)
def test_auto_follows_what_the_fit_counted(name):
    session = [3, 4, 5]
    rare, often = made(name, lists(0.01)), made(name, lists(0.4))
    assert (rare._model.num_repeats, rare._model.num_steps) == (int(rare._model.num_repeats), 1800)
    asked = {"k": 12, "filter_already_liked_items": False}
    assert 5 not in rare.recommend_session(session, **asked)[0]
    assert 4 in rare.recommend_session(session, **asked)[0], "only the newest is left out"
    assert 5 in often.recommend_session(session, **asked)[0]
    # The call's word counts for more than the model's, and the model's more than the data.
    assert 5 in rare.recommend_session(session, exclude_last=False, **asked)[0]
    assert 5 not in often.recommend_session(session, exclude_last=True, **asked)[0]
    assert 5 in made(name, lists(0.01), exclude_last=False).recommend_session(session, **asked)[0]
    assert 5 not in made(name, lists(0.4), exclude_last=True).recommend_session(session, **asked)[0]
    # What is left out changes nothing else.
    with_last = rare.recommend_session(session, exclude_last=False, **asked)
    without = rare.recommend_session(session, **asked)
    np.testing.assert_array_equal(with_last[0][with_last[0] != 5], without[0][without[0] >= 0])
    # A batch, an empty session and a file answer alike.
    batch = rare.recommend_session([session, [], [3]], **asked)
    np.testing.assert_array_equal(batch[0][0], without[0])
    assert (batch[0][1] >= 0).all() and 3 not in batch[0][2]
    again = pickle.loads(pickle.dumps(often))
    np.testing.assert_array_equal(again.recommend_session(session, **asked)[0], often.recommend_session(session, **asked)[0])


@pytest.mark.parametrize("name", ["SessionKNN", "Transitions"])
def test_added_sessions_are_counted(name):
    model = made(name, lists(0.0))
    assert 5 not in model.recommend_session([5], k=12, filter_already_liked_items=False)[0]
    model.add_sessions(lists(0.5))
    assert 5 in model.recommend_session([5], k=12, filter_already_liked_items=False)[0]


def test_a_kept_history_is_no_session():
    model = made("Transitions", lists(0.0))
    newest = int(model.user_sequences.items[9])
    items, _ = model.recommend(0, k=12, filter_already_liked_items=False)
    assert newest in items


def test_blend_with_members_without_order_asks_the_others():
    data = lists(0.0)
    log = etalage.EventLog.from_frame({"user": np.repeat(np.arange(200), 10), "item": data.items, "time": np.arange(2000)}, time="time",
                                      time_unit="s")
    asked = {"k": 12, "filter_already_liked_items": False}
    mixed = models.Blend([("a", models.Transitions()), ("b", models.ItemKNN())]).fit(log)
    assert 5 not in mixed.recommend_session([4, 5], **asked)[0]
    plain = models.Blend([("a", models.EASE()), ("b", models.ItemKNN())]).fit(log)
    assert 5 in plain.recommend_session([4, 5], **asked)[0]


def test_blend_asks_its_members():
    data = {share: lists(share) for share in (0.0, 0.4)}

    def blend(share, **options):
        return models.Blend([("a", models.Transitions()), ("b", models.SessionKNN())], **options).fit(data[share])

    asked = {"k": 12, "filter_already_liked_items": False}
    assert 5 not in blend(0.0).recommend_session([4, 5], **asked)[0]
    assert 5 in blend(0.4).recommend_session([4, 5], **asked)[0]
    assert 5 in blend(0.0, exclude_last=False).recommend_session([4, 5], **asked)[0]
    assert 5 not in blend(0.4, exclude_last=True).recommend_session([4, 5], **asked)[0]
    assert 5 not in blend(0.4).recommend_session([[4, 5], [5]], exclude_last=True, **asked)[0]
    kept = pickle.loads(pickle.dumps(blend(0.0, exclude_last=False)))
    assert kept.exclude_last is False and 5 in kept.recommend_session([4, 5], **asked)[0]


def test_models_without_order_leave_it_out_when_asked():
    rng = np.random.default_rng(1)
    rows = (rng.random((40, 12)) < 0.4).astype(np.float32)
    for model in (models.ALS(factors=4), models.EASE(), models.ItemKNN(), models.UserKNN(), models.GraphFilter(), models.Popularity(),
                  models.BPR(factors=4, epochs=3)):
        model.fit(rows)
        asked = {"k": 12, "filter_already_liked_items": False}
        assert {4, 5} <= set(model.recommend_session([4, 5], **asked)[0])
        left = model.recommend_session([[4, 5], [5, 4]], exclude_last=True, **asked)[0]
        assert 5 not in left[0] and 4 in left[0] and 4 not in left[1] and 5 in left[1]


def test_evaluate_next_measures_both_ways():
    data = lists(0.01)
    model = made("SessionKNN", data)
    auto, yes, no = (evaluate_next(model, data, "all", k=5, metrics="mrr", exclude_last=e)["mrr@5"] for e in ("auto", True, False))
    assert auto == yes > no + 0.1
    often = lists(0.4)
    model = made("SessionKNN", often)
    auto, yes, no = (evaluate_next(model, often, "all", k=5, metrics="mrr", exclude_last=e)["mrr@5"] for e in ("auto", True, False))
    assert auto == no > yes


def test_words_that_mean_nothing_are_refused():
    with pytest.raises((TypeError, ValueError), match="exclude_last"):
        models.Transitions(exclude_last="yes")
    with pytest.raises((TypeError, ValueError), match="exclude_last"):
        made("Transitions", lists(0.0)).recommend_session([1], exclude_last=3)
