# SPDX-License-Identifier: Apache-2.0
"""What the command line's data options do: sessions, decay, returns, transforms."""

import csv
import json

import numpy as np
import pytest

import etalage
from etalage import EventLog, cli

COLUMNS = ["--user", "u", "--item", "i", "--time", "t"]


@pytest.fixture(scope="module")
def visits(tmp_path_factory):
    """Shoppers who number their visits from 1; in each visit a pair of products that go together, between visits none."""
    path = tmp_path_factory.mktemp("data") / "visits.csv"
    rng = np.random.default_rng(2)
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["u", "i", "t", "s"])
        for u in range(200):
            for s in range(1, 5):
                pair = int(rng.integers(10))
                for n in range(2):
                    rows.writerow([f"u{u}", f"p{pair}{'ab'[n]}", f"2026-01-{s:02d}T10:0{n}:00Z", s])
    return path


def test_sessions_decide_what_models_of_order_learn(visits, tmp_path):
    without, within = tmp_path / "without", tmp_path / "within"
    common = [str(visits), *COLUMNS, "--model", "sequentialrules"]
    assert cli.main(["train", *common, "--out", str(without)]) == 0
    assert cli.main(["train", *common, "--session", "s", "--out", str(within)]) == 0
    log = EventLog.from_csv(visits, user="u", item="i", time="t", session="s")
    expected = etalage.models.SequentialRules().fit(log.sequences(by="session"))
    for path, same in ((within, True), (without, False)):
        model = etalage.load(path)
        answers = [model.recommend_session([i], k=5)[0].tolist() == expected.recommend_session([i], k=5)[0].tolist() for i in range(log.num_items)]
        assert all(answers) if same else not any(answers)
    # In a visit one product follows another and nothing else does.
    first = log.item_index(["p3a"])[0]
    items, scores = etalage.load(within).recommend_session([int(first)], k=3)
    assert log.item_ids[items[0]] == "p3b" and (scores[1:] < scores[0] / 1000).all()


def test_sessions_count_in_evaluate_too(visits, capsys):
    rows = []
    for flags in ([], ["--session", "s"]):
        assert cli.main(["evaluate", str(visits), *COLUMNS, "--model", "sequentialrules", *flags, "--json"]) == 0
        rows.append(json.loads(capsys.readouterr().out))
    assert rows[0]["Popularity"]["ndcg@10"] == rows[1]["Popularity"]["ndcg@10"]
    assert rows[1]["SequentialRules"]["ndcg@10"] > rows[0]["SequentialRules"]["ndcg@10"]


@pytest.mark.parametrize("split", [["--split", "leave-last-out"], ["--split", "random"], ["--split", "temporal", "--at", "2026-01-04"]])
def test_test_rows_do_not_decay(visits, capsys, split):
    users = []
    for flags in ([], ["--half-life-days", "0.001"]):
        assert cli.main(["evaluate", str(visits), *COLUMNS, "--model", "itemknn", *split, *flags, "--json"]) == 0
        row = json.loads(capsys.readouterr().out)
        users.append((row["ItemKNN"]["users"], row["Popularity"]["users"]))
    assert users[0] == users[1] and users[0][0] > 100


@pytest.fixture(scope="module")
def returns(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "returns.csv"
    path.write_text("u,i,t,e,q\na,x,2026-01-01,buy,2\na,y,2026-01-01,buy,16\na,x,2026-01-02,return,2\nb,x,2026-01-01,buy,1\nb,y,2026-01-02,buy,-1\n")
    return path


@pytest.mark.parametrize("flags,kw", [
    ([], {}),
    (["--duplicates", "binary"], {"duplicates": "binary"}),
    (["--return-event", "return"], {"return_event": "return"}),
    (["--return-event", "return", "--return-cancels", "buy"], {"return_event": "return", "return_cancels": ["buy"]}),
    (["--negative-values", "cancel"], {"negative_values": "cancel"}),
    (["--value-transform", "sqrt"], {"value_transform": "sqrt"}),
    (["--value-transform", "cap=3"], {"value_transform": ("cap", 3)}),
])
def test_returns_and_transforms_are_those_of_python(returns, tmp_path, flags, kw):
    out = tmp_path / "m"
    columns = [*COLUMNS, "--event", "e", "--value", "q"]
    assert cli.main(["train", str(returns), *columns, "--model", "popularity", *flags, "--out", str(out)]) == 0
    log = EventLog.from_csv(returns, user="u", item="i", time="t", event="e", value="q")
    expected = log.interactions(**kw).user_items
    assert (etalage.load(out).user_items != expected).nnz == 0 and etalage.load(out).user_items.nnz == expected.nnz


@pytest.mark.parametrize("flags,text", [
    (["--return-event", "retrun"], "return_event names 'retrun', which is no event type of the log, must be one of 'buy', 'return'"),
    (["--value-transform", "cap=much"], "--value-transform is 'cap=much', must be log1p, sqrt, rank or cap=NUMBER"),
    (["--value-transform", "log"], "value_transform is 'log', must be"),
])
def test_wrong_data_options_are_named(returns, tmp_path, capsys, flags, text):
    columns = [*COLUMNS, "--event", "e", "--value", "q"]
    assert cli.main(["train", str(returns), *columns, "--model", "popularity", *flags, "--out", str(tmp_path / "m")]) == 2
    assert text in capsys.readouterr().err
    assert cli.main(["evaluate", str(returns), *columns, "--split", "temporal"]) == 2
    assert "--split temporal needs --at" in capsys.readouterr().err
