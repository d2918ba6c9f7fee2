# SPDX-License-Identifier: Apache-2.0
"""etalage: an embeddable recommendation engine for shops.

From events to lists of products:

    log = etalage.EventLog.from_csv("events.csv", user="customer", item="sku", time="at")
    print(log.describe())
    train, _, test = etalage.evaluation.split.temporal(log, "2024-06-01")
    recipe = etalage.Recipe(value_transform="log1p")
    print(etalage.evaluation.compare({"als": etalage.models.ALS, "ease": etalage.models.EASE}, train, test, recipe=recipe))
    model = etalage.models.EASE().fit(log, recipe=recipe)
    model.recommend_ids("customer-17", k=10)
    model.save("model.etalage")
    model = etalage.load("model.etalage")

Data
    EventLog        what happened: users, items, event types, times, values, sessions, from frames, CSV, Parquet
    Recipe          how events count: weights, decay, returns, transforms; models keep theirs
    Interactions    a users x items matrix with the shop's keys beside it
    Sequences       items in the order in which they happened
    Catalog         what the shop knows of its products
    IdMap           keys by number and back
    ReadReport      what a reader kept and refused, and why

Rooms
    models          matrix or lists in, recommendations out; every one is a models.Recommender
    evaluation      splits, metrics, comparisons, experiments, off-policy estimates
    tuning          parameters from the shape of the data and from search
    retrieval       ItemIndex: nearest items by their vectors
    profile         what a shopper's history says; whether they will buy
    serving         filters, rules, re-ranking, and the Engine of live events
    marketing       audiences, budgets, bundles, lifetime value, uplift
    datasets        a made-up store

load(path) opens whatever save() wrote. build_info() says how the package was built.
Errors: ValueError and TypeError name argument, value and rule; NotFittedError, FormatError (damaged or foreign files) and
NumericalError are this package's own.

What arguments of the same name mean in every call:
    k               how many results
    num_threads     threads of this call; 0 means all CPUs that this process may use
    seed            of what is drawn at random; equal seeds give equal results
    path, verify    a file; "full" checks all of it, "header" trusts its contents
    confidence      of an interval, .95 say; samples, resamples: of the bootstrap
    catalog         an etalage.Catalog, whose prices, categories and names are used
    log             an EventLog; data: what a model is fitted on
    now, since, at, time    moments: datetimes (naive ones are UTC), numpy datetimes, ISO text, integer milliseconds UTC
    ax, label       matplotlib axes to draw into (None makes some), and what the legend says
    user_index, item_index  numbers in index order, one or an array; user_ids, item_ids, keys: the shop's own
    filter_items, items     never, or alone, to be recommended
    max_iterations  at which a fit that has not converged ends
"""

from ._core import Catalog, EventLog, FormatError, IdMap, Interactions, NotFittedError, NumericalError, ReadReport, Sequences, build_info
from . import datasets, evaluation, marketing, models, profile, retrieval, serving, tuning
from ._load import load
from ._recipe import Recipe

__version__ = build_info()["version"]

__all__ = [
    "Catalog",
    "EventLog",
    "FormatError",
    "IdMap",
    "Interactions",
    "NotFittedError",
    "NumericalError",
    "ReadReport",
    "Recipe",
    "Sequences",
    "__version__",
    "build_info",
    "datasets",
    "evaluation",
    "load",
    "marketing",
    "models",
    "profile",
    "retrieval",
    "serving",
    "tuning",
]
