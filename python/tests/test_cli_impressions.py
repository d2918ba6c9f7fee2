# SPDX-License-Identifier: Apache-2.0
"""`etalage impressions`: what an engine's folder has on record, as a table."""

import csv

import numpy as np
import pytest

import etalage
from etalage import cli
from etalage.serving import Engine


@pytest.fixture(scope="module")
def models():
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(80), 8)
    data = etalage.Interactions.from_frame({"user": [f"u{u}" for u in users], "item": [f"i{i}" for i in rng.integers(0, 10, 640) * 4 + users % 4]})
    return {"als": etalage.models.ALS(factors=8, iterations=5, regularization=0.01, alpha=1.0).fit(data), "popularity": etalage.models.Popularity().fit(data)}


def test_impressions_as_a_table(models, tmp_path, capsys):
    with Engine(str(tmp_path / "shop"), models=models, exploration={"home": "softmax"}) as engine:
        answer = engine.recommend("u1", k=3, log=True)
        engine.observe("u1", answer.keys[0], request=answer.request_id)
    out = tmp_path / "shown.csv"
    assert cli.main(["impressions", str(tmp_path / "shop"), "--out", str(out), "--marginals", "50"]) == 0
    rows = list(csv.DictReader(out.open()))
    assert [r["item"] for r in rows] == list(answer.keys) and [r["view"] for r in rows] == ["1", "0", "0"]
    assert float(rows[0]["marginal"]) == float(rows[0]["propensity"])
    assert cli.main(["impressions", str(tmp_path / "shop"), "--out", str(out)]) != 0  # exists
    assert "--overwrite" in capsys.readouterr().err
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    assert cli.main(["impressions", str(tmp_path / "shop"), "--out", str(tmp_path / "shown.parquet")]) == 0
    assert pyarrow.parquet.read_table(tmp_path / "shown.parquet").num_rows == 3
    (tmp_path / "empty").mkdir()
    for arguments, match in [([str(tmp_path / "none")], "is no folder"), ([str(tmp_path / "empty")], "has no impressions"),
                             ([str(tmp_path / "shop"), "--marginals", "-1"], "--marginals is -1"), ([str(tmp_path / "shop"), "--event", "view"], "NAME=WEIGHT")]:
        capsys.readouterr()
        assert cli.main(["impressions", *arguments, "--out", str(tmp_path / "x.csv")]) != 0
        assert match in capsys.readouterr().err
