# SPDX-License-Identifier: Apache-2.0
"""Models as the command line names them: by lower-case name, with parameters, or settings that `etalage tune` wrote."""

from __future__ import annotations

import json

from . import _cli_data as data


def trainable() -> dict[str, type]:
    """Models that fit on events alone, by lower-case name."""
    from . import models

    classes = (getattr(models, n) for n in models.__all__ if n not in ("Vectors", "Blend", "LearnedRanker"))
    return {c.__name__.lower(): c for c in classes if isinstance(c, type) and issubclass(c, models.Recommender) and c is not models.Recommender}


def add_one(p) -> None:
    g = p.add_argument_group("model")
    g.add_argument("--model", help="als, ease, popularity, ... (default: als, or that of --params-from)")
    g.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the model; may be repeated")
    g.add_argument("--params-from", metavar="SETTINGS.json", help="the model and parameters that `etalage tune` wrote; --param goes before them")
    g.add_argument("--auto", action="store_true", help="parameters that are not given are read from the shape of the data (docs/tuning.md)")


def add_several(p) -> None:
    g = p.add_argument_group("models")
    g.add_argument("--models", required=True, metavar="A,B,...", help="names with commas between them: als,ease,popularity")
    g.add_argument("--param", action="append", default=[], metavar="MODEL.NAME=VALUE", help="a parameter of one model; may be repeated")
    g.add_argument("--params-from", action="append", default=[], metavar="SETTINGS.json",
                   help="parameters that `etalage tune` wrote for one of the models; may be repeated, --param goes before them")
    g.add_argument("--auto", action="store_true", help="parameters that are not given are read from the shape of the data (docs/tuning.md)")


def _class(name: str, flag: str) -> type:
    known = trainable()
    if name.lower() not in known:
        raise ValueError(f"{flag} is {name!r}, must be one of {', '.join(sorted(known))}")
    return known[name.lower()]


def parameters(pairs: list[str], form: str = "NAME=VALUE") -> dict:
    """["factors=64", "solver=cg"] -> {"factors": 64, "solver": "cg"}."""
    out = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        if not sign or not key:
            raise ValueError(f"--param is {pair!r}, must be {form}")
        try:
            out[key] = json.loads(text)
        except ValueError:
            out[key] = text
    return out


def _made(kind: type, params: dict, where: str = "--param"):
    try:
        return kind(**params)
    except (TypeError, OverflowError) as error:  # a name that the model does not have, a value of another type
        text = str(error).replace(f"{kind.__name__}.", "").replace("__init__() ", "")
        if "unexpected keyword argument" in text:
            rules = kind.param_rules()
            text += f"; it has {', '.join(n + (f' ({rules[n]})' if rules.get(n) else '') for n in kind._parameter_names())}"
        raise ValueError(f"{where} of {kind.__name__}: {text}") from None


def settings(path: str, args) -> tuple[str, dict]:
    """(model, parameters) of a file that `etalage tune` wrote; says where the events are weighed in another way than there."""
    with open(path, encoding="utf-8") as file:
        try:
            found = json.load(file)
        except ValueError as error:
            raise ValueError(f"--params-from {path} cannot be read as JSON: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("model"), str) or not isinstance(found.get("params"), dict):
        raise ValueError(f'--params-from {path} must hold {{"model": NAME, "params": {{...}}}}, as `etalage tune` writes it')
    _made(_class(found["model"], f"model of {path}"), found["params"], f"params of {path}")
    from ._recipe import Recipe

    there = Recipe._of(found["recipe"]) if isinstance(found.get("recipe"), dict) else None
    here = data.recipe(args)
    if there is not None and there != here:
        data.say(f"{path} was tuned with another recipe: {there} there, {here} here (--recipe {path} takes that one)")
    return found["model"], found["params"]


def one(args):
    """The model of add_one()'s options, not fitted."""
    name, params = args.model, {}
    if args.params_from:
        tuned, params = settings(args.params_from, args)
        if name is not None and name.lower() != tuned.lower():
            raise ValueError(f"--model is {name!r} and {args.params_from} holds settings of {tuned}, both must be of one model")
        name = tuned
    return _made(_class(name or "als", "--model"), {**params, **parameters(args.param)})


def several(args) -> dict:
    """{name: model} of add_several()'s options, in their order, not fitted."""
    names = [n.strip() for n in args.models.split(",")]
    kinds = {n: _class(n, "--models") for n in names}
    if len({n.lower() for n in names}) < len(names):
        raise ValueError(f"--models is {args.models!r}, must name each model once")
    params = {kind.__name__.lower(): {} for kind in kinds.values()}
    for path in args.params_from:
        tuned, found = settings(path, args)
        if tuned.lower() not in params:
            raise ValueError(f"--params-from {path} holds settings of {tuned}, must be of one of {', '.join(names)}")
        params[tuned.lower()].update(found)
    for key, value in parameters(args.param, "MODEL.NAME=VALUE").items():
        model, dot, name = key.partition(".")
        if not dot or model.lower() not in params:
            raise ValueError(f"--param is {key!r}, must be MODEL.NAME=VALUE with one of {', '.join(names)}")
        params[model.lower()][name] = value
    return {kind.__name__: _made(kind, params[kind.__name__.lower()]) for kind in kinds.values()}


def ready(model, train, args):
    """The model to fit on train: as it is, or with --auto with what the shape of the data says."""
    from .models._reuse import unfitted

    return unfitted(model, train, "auto") if args.auto else model
