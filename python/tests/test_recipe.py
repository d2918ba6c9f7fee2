# SPDX-License-Identifier: Apache-2.0
"""One description of the data goes with the log through fits, evaluation, search and files."""

import json
import pickle
import warnings

import numpy as np
import pytest

import etalage
from etalage import EventLog, Recipe, cli
from etalage.evaluation import compare, evaluate, evaluate_next, split
from etalage.models import ALS, EASE, Blend, ItemKNN, Popularity, SessionKNN, Transitions

DAY = 86_400_000


@pytest.fixture(scope="module")
def log():
    """Two groups of shoppers who go through their products in a fixed order; views, purchases with amounts, returns."""
    rng = np.random.default_rng(3)
    rows = {"user": [], "item": [], "event": [], "time": [], "value": []}
    for u in range(160):
        begin = int(rng.integers(0, 10))
        for n in range(9):
            item = (begin + n) % 10 + 10 * (u % 2)
            kind = ("view", "buy", "buy", "return")[rng.choice(4, p=[0.3, 0.4, 0.2, 0.1])]
            rows["user"].append(f"u{u:03d}")
            rows["item"].append(f"p{item:02d}")
            rows["event"].append(kind)
            rows["time"].append((u % 7 + n * 10) * DAY + 1_600_000_000_000)
            rows["value"].append(float(rng.lognormal(2, 1)))
    return EventLog.from_frame(rows, event="event", time="time", value="value", time_unit="ms")


RECIPE = Recipe(event_weights={"view": 0.2, "buy": 1}, return_event="return", half_life_days=30, value_transform="log1p", duplicates="sum")


def test_it_is_what_interactions_takes_and_gives(log):
    made = log.interactions(**RECIPE)
    ours = RECIPE.interactions(log)
    assert (made.user_items != ours.user_items).nnz == 0 and made.recipe == ours.recipe == RECIPE
    assert log.interactions().recipe == Recipe() and etalage.Interactions.from_csr(made.user_items).recipe is None
    assert log.interactions(duplicates="max", negative_values="cancel").recipe == Recipe(duplicates="max", negative_values="cancel")
    assert log.interactions(value_transform=["cap", 3]).recipe == Recipe(value_transform=("cap", 3.0))


@pytest.mark.parametrize("recipe", [Recipe(), RECIPE, Recipe(value_transform=("cap", 2.5), sessions="session", idle_minutes=10, normalize_users="l2",
                                                            return_event="return", return_cancels="buy", negative_values="cancel")])
def test_it_is_a_value(recipe):
    assert Recipe.from_json(recipe.to_json()) == recipe == pickle.loads(pickle.dumps(recipe)) and hash(recipe) == hash(Recipe.from_json(recipe.to_json()))
    assert eval(repr(recipe), {"Recipe": Recipe}) == recipe


@pytest.mark.parametrize("given, words", [
    ({"duplicates": "mean"}, "duplicates is 'mean', must be one of 'sum'"),
    ({"half_life_days": 0}, "half_life_days is 0.0, must be > 0"),
    ({"half_life_days": "x"}, "half_life_days is 'x', must be a number"),
    ({"event_weights": {}}, "event_weights is {}, must be"),
    ({"event_weights": {"buy": np.nan}}, r"event_weights\['buy'\] is nan, must be finite"),
    ({"value_transform": "log"}, "value_transform is 'log', must be 'log1p'"),
    ({"value_transform": ("cap", -1)}, "the cap is -1.0, must be > 0"),
    ({"return_cancels": ["buy"]}, "must go with a return_event"),
    ({"sessions": "visit"}, "sessions is 'visit'"),
    ({"idle_minutes": True}, "idle_minutes is True"),
])
def test_wrong_recipes_are_named(given, words):
    with pytest.raises((ValueError, TypeError), match=words):
        Recipe(**given)


def test_json_that_is_no_recipe():
    for text, words in (("{", "must be JSON"), ("[1]", "must be an object"), ('{"weights": 1}', "recipe has 'weights'")):
        with pytest.raises(ValueError, match=words):
            Recipe.from_json(text)


def test_held_out_rows_neither_decay_nor_are_transformed(log):
    expected = log.interactions(event_weights={"view": 0.2, "buy": 1}, return_event="return").user_items
    assert (RECIPE.held_out(log).user_items != expected).nnz == 0


def test_lists_leave_out_what_does_not_count(log):
    names = np.array(log.event_names)[np.asarray(log.events)]
    lists = Recipe(event_weights={"view": 0, "buy": 1}, return_event="return").sequences(log)
    assert len(lists.items) == (names == "buy").sum() and lists.recipe.return_event == "return"
    assert Recipe().sequences(log).items.tolist() == log.sequences().items.tolist()
    with pytest.raises(ValueError, match="event_weights has none for view"):
        Recipe(event_weights={"buy": 1}, return_event="return").sequences(log)
    with pytest.raises(ValueError, match="no event column"):
        Recipe(event_weights={"buy": 1}).sequences(EventLog.from_frame({"user": [1], "item": [2]}))


@pytest.mark.parametrize("model", [EASE(), ALS(factors=4, iterations=2), Popularity(), SessionKNN(), Transitions(),
                                   Blend([("e", EASE()), ("t", Transitions())], weights=[1.0, 1.0])])
def test_a_model_keeps_its_recipe_in_files_and_copies(model, log, tmp_path):
    model.fit(log, recipe=RECIPE)
    assert model.recipe == RECIPE
    model.save(tmp_path / "m.etalage")
    assert etalage.load(tmp_path / "m.etalage").recipe == pickle.loads(pickle.dumps(model)).recipe == RECIPE
    assert Recipe.load(tmp_path / "m.etalage") == RECIPE


def test_where_the_recipe_of_a_model_comes_from(log):
    assert EASE().fit(RECIPE.interactions(log)).recipe == RECIPE
    assert EASE().fit(log).recipe == Recipe()
    assert EASE().fit(log.interactions().user_items).recipe is None
    parts = split.random_holdout(RECIPE.interactions(log), 0.2)
    assert EASE().fit(parts.train).recipe == RECIPE
    with pytest.raises(ValueError, match="recipe is given and the data is no EventLog"):
        EASE().fit(RECIPE.interactions(log), recipe=RECIPE)
    with pytest.raises(TypeError, match="must be an etalage.Recipe"):
        EASE().fit(log, recipe="log1p")


def test_evaluate_takes_the_models_recipe(log):
    train, _, test = split.temporal(log, 1_600_000_000_000 + 60 * DAY)
    model = EASE().fit(train, recipe=RECIPE)
    by_hand = evaluate(model, RECIPE.interactions(train), RECIPE.held_out(test))
    for r in (evaluate(model, train, test), evaluate(model, train, test, recipe=RECIPE)):
        for name in by_hand.metrics:
            np.testing.assert_array_equal(r.per_user[name], by_hand.per_user[name])
    other = evaluate(model, train, test, recipe=Recipe(event_weights={"view": 0, "buy": 1}, return_event="return"), check_fit=False)
    assert other["users"] < by_hand["users"]


def test_compare_gives_every_model_what_suits_it(log):
    train, _, test = split.temporal(log, 1_600_000_000_000 + 60 * DAY)
    table = compare({"ease": EASE(), "knn": SessionKNN(), "blend": Blend([("e", EASE()), ("t", Transitions())], weights=[1.0, 1.0])},
                    train, test, k=5, recipe=RECIPE)
    ease = evaluate(EASE().fit(RECIPE.interactions(train)), RECIPE.interactions(train), RECIPE.held_out(test), k=5)
    knn = evaluate(SessionKNN().fit(RECIPE.sequences(train)), RECIPE.sequences(train), RECIPE.held_out(test), k=5)
    assert table.evaluations["ease"]["recall@5"] == ease["recall@5"] and table.evaluations["knn"]["recall@5"] == knn["recall@5"]
    assert {r["users"] for r in table.rows} == {ease["users"]} and {r["fit"] for r in table.rows} == {"here"}
    again = compare({"ease": EASE().fit(train, recipe=RECIPE), "knn": SessionKNN().fit(train, recipe=RECIPE)}, train, test, k=5, recipe=RECIPE)
    assert {r["fit"] for r in again.rows} == {"as given"}


@pytest.mark.parametrize("recipe", [Recipe(negative_values="cancel"), Recipe(event_weights={"view": -1, "buy": 1, "return": 0}),
                                    Recipe(return_event="return", return_cancels="buy")])
def test_all_models_are_asked_for_the_same(recipe):
    """Of what was bought and returned whole neither matrix nor lists know."""
    rng = np.random.default_rng(7)
    n = 3000
    kind = rng.choice(["view", "buy", "return"], n, p=[0.2, 0.55, 0.25])
    value = np.where(rng.random(n) < 0.2, -1.0, 1.0)
    log = EventLog.from_frame({"user": rng.integers(0, 60, n), "item": rng.integers(0, 40, n), "event": kind, "time": np.arange(n) * DAY, "value": value},
                              event="event", time="time", value="value", time_unit="ms")
    train, _, test = split.temporal(log, 2000 * DAY)
    table = compare({"ease": EASE(), "steps": Transitions(), "knn": SessionKNN()}, train, test, k=5, recipe=recipe)
    users = [e.user_index.tolist() for e in table.evaluations.values()]
    assert users[0] == users[1] == users[2] and len(users[0]) > 20
    lists, rows = recipe.sequences(train), recipe.interactions(train).user_items
    for u in range(60):
        assert set(lists[u]) <= set(rows[u].indices)


def test_order_is_taken_from_the_log_or_asked_for(log):
    plain = Recipe(event_weights={"view": 1, "buy": 1, "return": 1})
    train, _, test = split.temporal(log, 1_600_000_000_000 + 60 * DAY)
    matrix = plain.interactions(train)
    model = SessionKNN(max_history=2).fit(train, recipe=plain)
    right = evaluate(model, train, test, k=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = evaluate(model, matrix, plain.held_out(test), k=3)  # its own lists know the order
    np.testing.assert_array_equal(kept.per_user["recall@3"], right.per_user["recall@3"])
    bare = SessionKNN(max_history=2).fit(train, recipe=plain, keep_history=False)
    with pytest.warns(UserWarning, match="train has no order, and SessionKNN goes by it"):
        wrong = evaluate(bare, matrix, plain.held_out(test), k=3)
    assert wrong["recall@3"] != right["recall@3"]
    for models in ({"knn": SessionKNN()}, {"knn": bare}, {"b": Blend([("t", Transitions()), ("e", EASE())])}):
        with pytest.raises(ValueError, match="goes by the order of events and train has none, must be compared on logs"):
            compare({"ease": EASE(), **models}, matrix, plain.held_out(test))
    assert compare({"knn": model}, matrix, plain.held_out(test), k=3).rows[0]["fit"] == "as given"


def test_next_items_of_a_log(log):
    buys = Recipe(event_weights={"view": 0, "buy": 1}, return_event="return")
    model = Transitions().fit(log, recipe=buys)
    r = evaluate_next(model, log, "all", k=5)
    assert r["users"] == evaluate_next(model, buys.sequences(log), "all", k=5)["users"] < evaluate_next(model, log.sequences(), "all", k=5)["users"]
    with pytest.raises(ValueError, match="no EventLog"):
        evaluate_next(model, log.sequences(), recipe=buys)


def test_search_uses_it(log):
    pytest.importorskip("optuna")
    train, _, test = split.temporal(log, 1_600_000_000_000 + 60 * DAY)
    for model in (ItemKNN(), SessionKNN()):
        found = etalage.tuning.search(model, train, test, 3, metric="recall@5", recipe=RECIPE)
        assert found.fit(train).recipe == RECIPE and found.fit(train, recipe=Recipe()).recipe == Recipe()
        best = type(model)(**found.best_params).fit(train, recipe=RECIPE)
        assert found.best_value == pytest.approx(evaluate(best, train, test, k=5)["recall@5"])


def test_a_blend_of_logs_is_refitted_on_both(log):
    train, valid, test = split.temporal(log, 1_600_000_000_000 + 70 * DAY, 1_600_000_000_000 + 55 * DAY)
    blend = Blend([("ease", EASE()), ("transitions", Transitions())]).fit(train, valid, recipe=RECIPE)
    both = EventLog.concat([train, valid])
    assert blend.recipe == RECIPE and set(blend.weights_) == {"ease", "transitions"}
    ease = EASE().fit(both, recipe=RECIPE)
    np.testing.assert_array_equal(blend.fitted_members["ease"].recommend(np.arange(10), k=5)[1], ease.recommend(np.arange(10), k=5)[1])


def test_the_command_line_keeps_and_takes_it(log, tmp_path, capsys):
    pytest.importorskip("pandas")
    events = tmp_path / "e.csv"
    log.to_pandas().to_csv(events, index=False)
    columns = ["--time", "time", "--event", "event", "--value", "value"]
    flags = ["--event-weight", "view=0.2", "--event-weight", "buy=1", "--return-event", "return", "--half-life-days", "30", "--value-transform", "log1p"]
    first, second = str(tmp_path / "a.etalage"), str(tmp_path / "b.etalage")
    assert cli.main(["train", str(events), *columns, *flags, "--model", "ease", "--out", first]) == 0
    assert etalage.load(first).recipe == RECIPE
    assert cli.main(["train", str(events), *columns, "--recipe", first, "--model", "sessionknn", "--out", second]) == 0
    assert etalage.load(second).recipe == RECIPE
    (tmp_path / "r.json").write_text(json.dumps({"recipe": json.loads(RECIPE.to_json())}), encoding="utf-8")
    assert Recipe.load(tmp_path / "r.json") == RECIPE
    capsys.readouterr()
    assert cli.main(["info", first]) == 0 and "how events became what it was fitted on: Recipe(event_weights=" in capsys.readouterr().out
    assert cli.main(["train", str(events), *columns, "--recipe", first, "--duplicates", "max", "--out", second]) == 2
    assert "--duplicates is given with --recipe, must be left out" in capsys.readouterr().err
    assert cli.main(["blend", str(events), *columns, "--recipe", str(tmp_path / "r.json"), "--models", "ease,transitions", "--out", second,
                     "--split", "temporal", "--at", "2020-11-20", "--valid-at", "2020-11-05"]) == 0
    assert etalage.load(second).recipe == RECIPE
