# SPDX-License-Identifier: Apache-2.0
"""etalage: an embeddable recommendation engine for shops."""

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
