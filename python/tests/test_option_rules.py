# SPDX-License-Identifier: Apache-2.0
"""What a parameter must be is said once, in C++: constructors refuse by it, docstrings and the command line say it."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import pytest

import etalage
from etalage import models

CLASSES = [c for c in (getattr(models, n) for n in models.__all__)
           if inspect.isclass(c) and issubclass(c, models.Recommender) and c is not models.Recommender and c.param_rules()]
BOUNDS = re.compile(r"(?:finite and |a finite number )?(?:(in) ([\[(])(-?[\d.e]+), (-?[\d.e]+)([\])])|(>=|>|<=) (-?[\d.e]+))")


def beyond(rule, whole):
    """A value just outside each bound of a rule, with the part of the rule that it breaks."""
    found = BOUNDS.match(rule)
    if not found:
        return
    first = rule.split(", at most ")[0]
    step = 1 if whole else 0.5
    if found[1]:
        low, high = float(found[3]), float(found[4])
        yield (low if found[2] == "(" else low - step), first
        yield (high if found[5] == ")" else high + step), first
    else:
        edge = float(found[7])
        yield (edge if found[6] == ">" else edge + step if found[6] == "<=" else edge - step), first
    most = re.search(r", at most (\d+)", rule)
    if most:
        yield int(most[1]) + 1, f"at most {most[1]}"


def test_there_are_rules_of_most_models():
    names = {c.__name__ for c in CLASSES}
    assert {"ALS", "BPR", "WARP", "EASE", "SLIM", "ItemKNN", "UserKNN", "P3alpha", "RP3beta", "FeatureALS", "GraphFilter",
            "Blend", "LearnedRanker", "Transitions", "SessionKNN", "Item2Vec"} <= names
    assert models.ALS.param_rules()["factors"] == "in [1, 4096]"
    assert models.ALS.param_rules()["seed"] == ""
    assert "cg" in models.ALS.param_rules()["solver"]
    assert "beta" in models.RP3beta.param_rules() and "beta" not in models.P3alpha.param_rules()


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_a_value_beyond_a_bound_is_refused_in_the_words_of_the_rule(cls):
    signature = inspect.signature(cls).parameters
    if any(p.default is p.empty for p in signature.values()):
        pytest.skip("needs members")
    tried = 0
    for name, rule in cls.param_rules().items():
        integer = isinstance(signature[name].default, int) or "factors" in name or name in ("iterations", "epochs", "window") or name.startswith(("num_", "max_"))
        for value, said in beyond(rule, integer):
            with pytest.raises(ValueError, match=re.escape(f"must be {said}")) as error:
                cls(**{name: int(value) if integer else value})
            assert name in str(error.value)
            tried += 1
    assert tried >= min(3, sum(bool(BOUNDS.match(rule)) for rule in cls.param_rules().values()))


def test_an_integer_beyond_its_field_is_refused_in_the_words_of_the_rule():
    for call, words in ((lambda: models.ALS(factors=2**70), f"factors is {2**70}, must be in [1, 4096]"), (lambda: models.ItemKNN(num_neighbors=-2**40), f"num_neighbors is {-2**40}, must be "),
                        (lambda: etalage.retrieval.ItemIndex(4, nlist=2**40), f"nlist is {2**40}, must be >= 0 (0 grows with the number of items), at most 1048576"),
                        (lambda: models.ALS(seed=-1), "seed is -1, must be in [0, 18446744073709551615]")):
        with pytest.raises(ValueError, match=re.escape(words)) as error:
            call()
        assert "2147483648" not in str(error.value)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_docstrings_say_the_rules(cls):
    said = " ".join(cls.__doc__.split("What parameters must be: ")[1].split())
    for name, rule in cls.param_rules().items():
        assert not rule or f"{name} {rule}" in said


def test_the_command_line_says_what_a_model_has(tmp_path):
    log = tmp_path / "events.csv"
    log.write_text("u,i,t\na,b,2026-01-01\n")
    run = subprocess.run([sys.executable, "-m", "etalage", "train", str(log), "--user", "u", "--item", "i", "--time", "t", "--model", "als",
                          "--param", "factor=8", "--out", str(tmp_path / "als.etalage")], capture_output=True, text=True)
    assert run.returncode == 2 and "factors (in [1, 4096])" in run.stderr, run.stderr


def test_an_engine_refuses_by_the_rules_that_its_docstring_lists():
    from etalage.serving import Engine

    rules, said, tried = Engine.param_rules(), " ".join(Engine.__doc__.split()), 0
    assert rules["history_limit"] == "in [1, 65536]" and "interval_ms" not in rules
    for name, rule in rules.items():
        assert f"{name}=" in said and rule in said
        for value, broken in beyond(rule, name != "trending_half_life_hours"):
            whole = value if name == "trending_half_life_hours" else int(value)
            with pytest.raises(ValueError, match=name) as error:
                Engine(**{name: whole})
            if value >= 0:  # what an unsigned field cannot hold is refused by its type
                assert f"must be {broken}" in str(error.value)
            tried += 1
    assert tried >= 20
