# SPDX-License-Identifier: Apache-2.0
"""The rows of the table: which model on which data, the floor to reach, and the published figures beside it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    task: str
    model: str                       # class name in etalage.models
    floor: tuple = ()                # one a metric of the task
    published: str = ""
    fixed: dict = field(default_factory=dict)  # part of the row, not chosen
    label: str = ""
    members: tuple = ()              # of a Blend: labels of rows of the same task
    heavy: bool = False              # much memory or minutes: only with --heavy or by name

    @property
    def key(self) -> str:
        return f"{self.task}: {self.label or self.model}"


CHEBYCF = "ChebyCF .1941 / .1616, BSPM .1920 / .1597, LinkProp .1908 / .1573"
BARS = "in BARS"
BEIBEI = "LightGCN .0451 / .0232 / .1613, ENMF .0464 / .0247 / .1637"
BEAUTY = "SASRec .0605 / .0318, ICLRec .0744 / .0403, ICSRec .0959 / .0578, BSARec .1008 / .0611"
VSKNN = "VSKNN .6098 / .3342 on the first 99 sessions"

ROWS = (
    Row("gowalla", "Popularity"),
    Row("gowalla", "GraphFilter", (0.188, 0.156), CHEBYCF),
    Row("gowalla", "ALS", (0.163, 0.136), fixed={"factors": 128, "compute_objective": False}, label="ALS 128"),
    Row("gowalla", "ALS", (0.172, 0.142), fixed={"factors": 256, "compute_objective": False}, label="ALS 256"),
    Row("gowalla", "ALS", (0.175, 0.145), fixed={"factors": 512, "compute_objective": False}, label="ALS 512"),
    Row("gowalla", "P3alpha", (0.174, 0.144), "irspack, measured .1746 / .1445"),
    Row("gowalla", "RP3beta", (), "irspack, measured .1701 / .1398"),
    Row("gowalla", "ItemKNN", (0.157, 0.121), f"ItemKNN .1570 / .1214 {BARS}"),
    Row("gowalla", "UserKNN"),
    Row("gowalla", "EASE", (0.1765, 0.1467), f"EASE l2=80 .17649 / .14666 {BARS}", fixed={"l2": 80.0, "method": "exact", "memory_budget": 12 * 2**30},
        label="EASE, exact", heavy=True),
    Row("gowalla", "EASE", (0.173, 0.1438), "98 % of exact", fixed={"l2": 80.0, "method": "approximate", "num_candidates": 300}, label="EASE, sparse"),
    Row("gowalla", "SLIM", (0.169, 0.138), f"SLIM .1699 / .1382 {BARS}"),
    Row("gowalla", "BPR", (0.155, 0.130), "MF-BPR .1627 / .1378"),
    Row("gowalla", "WARP", (0.155, 0.130)),
    Row("gowalla", "Blend", (0.192, 0.160), "ChebyCF .1941 / NESCL .1617", fixed={"method": "zscore"}, members=("GraphFilter", "ALS 256")),
    Row("beauty", "Transitions", (0.088, 0.054), BEAUTY),
    Row("beauty", "LinearSequence", (0.088, 0.054), BEAUTY),
    Row("beauty", "SessionKNN", (), BEAUTY),
    Row("beauty", "Item2Vec", (), BEAUTY),
    Row("beauty", "Vectors", (), BEAUTY, label="Attributes"),
    Row("beauty", "Blend", (0.088, 0.054), BEAUTY, fixed={"method": "zscore"}, members=("LinearSequence", "SessionKNN")),
    Row("beauty", "Blend", (0.095, 0.0595), BEAUTY, fixed={"method": "zscore"}, members=("LinearSequence", "Attributes"), label="Blend with attributes"),
    Row("beauty, refit", "Transitions", (), BEAUTY),
    Row("beauty, refit", "LinearSequence", (), BEAUTY),
    Row("yoochoose", "SessionKNN", (), VSKNN, label="VSKNN"),
    Row("yoochoose", "SessionKNN", (), VSKNN),
    Row("yoochoose", "SequentialRules", (), "sequential rules .5607 / .3275 on the first 99 sessions"),
    Row("yoochoose", "Transitions", (), VSKNN),
    Row("yoochoose", "LinearSequence", (), VSKNN),
    Row("yoochoose", "Blend", (), VSKNN, fixed={"method": "zscore"}, members=("SessionKNN", "Transitions")),
    Row("beibei", "Popularity"),
    Row("beibei", "EASE", (0.057, 0.0295, 0.170), BEIBEI),
    Row("beibei", "GraphFilter", (0.057, 0.0295, 0.170), BEIBEI),
    Row("beibei", "ALS", (), BEIBEI, fixed={"factors": 128, "compute_objective": False}),
    Row("beibei", "RP3beta", (), BEIBEI),
    Row("beibei", "Blend", (0.057, 0.0295, 0.170), BEIBEI, fixed={"method": "zscore"}, members=("EASE", "ALS")),
    Row("beibei, newest", "EASE", (), BEIBEI),  # no floor: its validation part was found by looking at test
    *(Row(task, model) for task in ("movielens", "online retail, all", "online retail, new", "online retail, everyone")
      for model in ("Popularity", "ALS", "ItemKNN", "RP3beta", "EASE", "SLIM", "GraphFilter")),
    Row("online retail, all", "RepeatPurchase"),
    Row("movielens", "LinearSequence"),
    Row("movielens", "Blend", (), fixed={"method": "zscore"}, members=("LinearSequence", "SLIM", "EASE", "ALS"), label="Blend with order"),
    Row("movielens", "Blend", fixed={"method": "zscore"}, members=("SLIM", "EASE", "ALS")),
    Row("online retail, all", "Blend", fixed={"method": "zscore"}, members=("GraphFilter", "RepeatPurchase", "EASE")),
    Row("online retail, new", "Blend", fixed={"method": "zscore"}, members=("GraphFilter", "ALS", "SLIM", "ItemKNN")),
)
BY_KEY = {r.key: r for r in ROWS}
