# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import sys
import time

from .. import _core, evaluation
from .._arrays import whole_number
from .._recipe import Recipe, for_logs
from ..evaluation._parts import held_out, to_fit
from ..models import Recommender
from ..models._progress import MinuteLines, is_watched
from ..models._reuse import unfitted
from ..models._sequence import goes_by_order
from . import _budget
from ._defaults import defaults
from ._result import SearchResult
from ._space import Choice, Tied, checked, resolved, space_of

_STAGES = 3


def search(model, train, valid, budget=30, *, space=None, metric="ndcg@20", starts=(), prune=True, seed=42, positions="all",
           filter_already_liked_items=None, importance=None, num_threads=0, show_progress=False, callback=None, recipe=None) -> SearchResult:
    """Looks for the parameters with which `model`, fitted on train, is best on valid.

    model     an instance or a class. What an instance has set away from its defaults stays as it is, unless `space` names it
    train     what the model fits on; valid: Interactions, EventLog or CSR over the same users and items, or Sequences, whose
              items at `positions` ("all", "last") are then predicted from those before (evaluate_next)
    budget    30 is so many trials; "90 s", "5 min" or a timedelta ends the search after the trial that passes it
    space     {parameter: Float(low, high, log), Int, Choice, Tied}; None means space_of(model), and all else that defaults()
              reads from the shape of the data as it says
    metric    "ndcg@20", "recall@10", ...: larger is better
    starts    parameters (dicts, or an earlier SearchResult) that are tried first, after the model's own and those that
              defaults() reads from the shape of the data
    filter_already_liked_items   leave out, and do not count, what train or the items before hold; None means True for
              matrices and logs and False for Sequences, where repeats are legitimate
    importance   how much each row of valid counts, one number >= 0 a user (evaluation.inverse_popularity makes them); None
              means 1 each
    prune     give a trial up at an early stage where it is below the median of its predecessors there. Iterative models
              that can go on from where they are (parameter warm_start) are fitted in three stages; others are not pruned
    show_progress   a bar on a terminal and in a notebook, a line a minute into a file
    recipe    an etalage.Recipe, with logs: how events count in the fits; valid neither decays nor is transformed. The matrix, or
              the lists of a model to which order matters, are made once for all trials
    positions, num_threads, seed   "all" or "last"; threads of the measure (0: all CPUs); of the sampler
    callback  called with each finished trial (a dict as in SearchResult.trials); returning False ends the search

    Needs optuna (pip install etalage[tuning]). Equal seeds and a budget of trials give equal searches wherever the model
    repeats. Do not look at test before this is done.
    """
    optuna = _optuna()
    if isinstance(model, type):
        model = model()
    if not isinstance(model, Recommender):
        raise TypeError(f"model is a {type(model).__name__}, must be a model of etalage or its class")
    if callback is not None and not callable(callback):
        raise TypeError(f"callback is {callback!r}, must be callable or None")
    name, k = _metric(metric)
    recipe = for_logs(recipe, train, valid)
    valid = held_out(valid, recipe)
    train, known = to_fit(model, train, recipe), train
    if isinstance(known, _core.EventLog):  # shoppers are asked for by all they did, whatever the lists are of
        known = (recipe or Recipe()).sequences(known, by="user") if goes_by_order(model) else train
    fit = {"recipe": recipe} if isinstance(train, _core.EventLog) else {}
    trials_limit, seconds_limit = _budget.limits(budget)
    seed = whole_number(seed, "seed", signed=False)
    space = _space(model, train, space)
    measure = _measure(valid, name, k, positions, filter_already_liked_items, importance, num_threads)
    distributions = {n: p.distribution(optuna) for n, p in space.items() if not isinstance(p, Tied)}

    with _quiet(optuna):
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True),
                                    pruner=optuna.pruners.MedianPruner(n_startup_trials=5) if prune else optuna.pruners.NopPruner())
        origins = []
        for origin, params in _starts(model, train, space, starts):
            study.enqueue_trial(params)
            origins.append(origin)
        trials, began, stopped = [], time.perf_counter(), "budget"
        with _bar(show_progress, trials_limit) as shown:
            while (trials_limit is None or len(trials) < trials_limit) and (
                    seconds_limit is None or time.perf_counter() - began < seconds_limit):
                asked = study.ask(distributions)
                record = {"number": len(trials), "params": resolved(space, dict(asked.params), model), "value": None, "state": "failed",
                          "seconds": 0.0, "values": [], "origin": origins[len(trials)] if len(trials) < len(origins) else "search",
                          "error": None}
                _run(optuna, study, asked, record, model, train, lambda fitted: measure(fitted, known), fit)
                trials.append(record)
                shown(record)
                if callback is not None and callback(record) is False:
                    stopped = "callback"
                    break
    return SearchResult(unfitted(model), metric, trials, study, stopped, recipe)


def _run(optuna, study, asked, record, model, train, measure, fit) -> None:
    """One trial, told to the study and written into record. What the data or memory cannot bear fails the trial alone."""
    began = time.perf_counter()
    states = optuna.trial.TrialState
    try:
        candidate = unfitted(model).set_params(**record["params"])
        stages = _STAGES if _goes_on(candidate, train) else 1
        for stage, fitted in enumerate(_stages(candidate, train, fit)):
            value = measure(fitted)
            record["values"].append(value)
            asked.report(value, stage)
            if stage + 1 < stages and asked.should_prune():  # a fit that is complete has nothing to be given up for
                record["state"] = "pruned"
                break
        else:
            record["state"], record["value"] = "complete", record["values"][-1]
    except (_core.NumericalError, MemoryError) as error:
        record["error"] = f"{type(error).__name__}: {error}"
    record["seconds"] = time.perf_counter() - began
    if record["state"] == "complete":
        study.tell(asked, record["value"])
    else:
        study.tell(asked, state=states.PRUNED if record["state"] == "pruned" else states.FAIL)


def _goes_on(model, train):
    """(the parameter that counts passes, how many) of a model that can go on from where it is, with passes for every stage; else None."""
    params = model.get_params()
    passes = next((n for n in ("iterations", "epochs") if n in params), None)
    if passes is None or "warm_start" not in params:
        return None
    count = defaults(model, train)[passes] if params[passes] == "auto" else params[passes]
    return (passes, count) if count >= _STAGES else None


def _stages(model, train, fit=()):
    """The model after each third of its passes where it can go on from there, else once."""
    goes_on = _goes_on(model, train)
    if not goes_on:
        yield model.fit(train, **dict(fit))
        return
    (passes, total), done = goes_on, 0
    for stage in range(1, _STAGES + 1):
        upto = total * stage // _STAGES
        model.set_params(**{passes: upto - done, "warm_start": stage > 1})
        yield model.fit(train, **dict(fit))
        done = upto


def _space(model, train, space):
    if space is not None:
        return checked(space, model)
    fresh = type(model)().get_params()
    free = {n for n, v in model.get_params().items() if v == fresh[n]}
    varied = {n: p for n, p in checked(space_of(model), model).items() if n in free} or _nothing(model)
    # What the data's shape says of parameters that are not varied (factors, say) holds in all trials.
    return varied | {n: Choice(v) for n, v in defaults(model, train).items() if n in free and n not in varied}


def _nothing(model):
    raise ValueError(f"every parameter that could be varied is set on {model!r}; pass space=, or a model with its defaults")


def _starts(model, train, space, given):
    """(origin, values of the varied parameters), each once: the caller's, the data's, the model's own."""
    free = [n for n, p in space.items() if not isinstance(p, Tied)]
    by_data = defaults(model, train)
    own = {n: by_data.get(n, v) if isinstance(v, str) and v == "auto" else v for n, v in model.get_params().items()}
    if isinstance(given, SearchResult):
        given = [given.best_params]
    elif isinstance(given, dict):
        given = [given]
    wanted = []
    for start in given:
        start = start.best_params if isinstance(start, SearchResult) else dict(start)
        unknown = [n for n in start if n not in own]
        if unknown:
            raise ValueError(f"starts names {unknown[0]!r}, which is no parameter of {type(model).__name__}")
        wanted.append(("start", start))
    wanted += [("data", by_data), ("model", {})]
    seen = []
    for origin, start in wanted:
        if origin == "data" and not start:
            continue
        values = {n: space[n].clip(start.get(n, own[n])) for n in free}
        if values not in seen:
            seen.append(values)
            yield origin, values


def _measure(valid, name, k, positions, filter_seen, importance, num_threads):
    if filter_seen is None:
        filter_seen = not isinstance(valid, _core.Sequences)
    if isinstance(valid, _core.Sequences):
        if importance is not None:
            raise ValueError("importance is given with Sequences, must be None there: their places have none")
        return lambda m, train: evaluation.evaluate_next(m, valid, positions, k=(k,), metrics=(name,), num_threads=num_threads,
                                                         filter_already_liked_items=filter_seen)[f"{name}@{k}"]
    return lambda m, train: evaluation.evaluate(m, train, valid, k=(k,), metrics=(name,), num_threads=num_threads,
                                                filter_already_liked_items=filter_seen).mean(f"{name}@{k}", importance)


def _metric(metric):
    name, at, k = str(metric).partition("@")
    if not at or not k.isdigit() or int(k) < 1:
        raise ValueError(f"metric is {metric!r}, must be like 'ndcg@20'")
    return name, int(k)


def _optuna():
    try:
        import optuna
    except ImportError:
        raise ImportError("tuning needs optuna: pip install etalage[tuning]") from None
    return optuna


@contextlib.contextmanager
def _quiet(optuna):
    """Optuna's own lines are left out; the host's setting is put back."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


@contextlib.contextmanager
def _bar(show, total):
    if not show:
        yield lambda record: None
        return
    best = [float("-inf")]

    def state(record):
        best[0] = max(best[0], record["value"] if record["value"] is not None else best[0])
        return f"trial {record['number'] + 1}{'' if total is None else f'/{total}'}, best {best[0]:.4f}"

    if not is_watched():
        lines = MinuteLines("search")
        yield lambda record: lines.show(state(record))
        return
    try:
        from tqdm.auto import tqdm
    except ImportError:
        yield lambda record: sys.stderr.write(f"\r{state(record)}\033[K")
        sys.stderr.write("\n")
        return
    with tqdm(total=total, desc="search", unit="trial") as bar:

        def update(record):
            state(record)
            bar.update()
            bar.set_postfix(best=f"{best[0]:.4f}")

        yield update
