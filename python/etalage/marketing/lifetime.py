# SPDX-License-Identifier: Apache-2.0
"""What a customer is worth: how long they stay, how often they buy, what they spend.

    s = lifetime.summarize(log, unit="weeks")                      # frequency, recency, T, money of every customer
    m = lifetime.MBGNBD().fit(s)                                   # or .fit(frequency, recency, T)
    m.params_, m.standard_errors_, m.log_likelihood_
    m.p_alive(s)                                                   # or (s.frequency, s.recency, s.T): chance of being still active
    m.expected_purchases(52, s, interval=0.95)
    money = lifetime.GammaGamma().fit(s)                           # or .fit(frequency, money)
    lifetime.customer_value(m, money, 52, s)                       # or (..., 52, frequency, recency, T, money)

frequency counts repeat purchases (the first one does not count), recency is the age at the last one, T the age now, all in
one unit of time. docs/marketing/value.md says which model is for what, and when each misleads.
"""

from __future__ import annotations

import copy
import os
from typing import Any

import numpy as np

from .. import _core
from .._arrays import whole_number
from .._times import to_ms
from ._columns import keys_of, times_of

__all__ = ["BGBB", "BGNBD", "GammaGamma", "MBGCNBD", "MBGNBD", "ParetoNBD", "Summaries", "customer_value", "load", "summarize", "summarize_events"]

_UNITS = {"days": 1.0, "weeks": 7.0}
_PURCHASES = ("purchase", "buy", "transaction", "order")


class Summaries:
    """One row a customer who bought: arrays customer (keys), frequency, recency, T, money (mean of the repeat purchases, 0
    without; None where there is no money) and log_gaps (sum of ln(gap), what MBGCNBD needs). unit is that of recency and T;
    later counts the purchases after the end of observation, which are left out."""

    def __init__(self, customer: np.ndarray, fields: dict, unit: str) -> None:
        self.customer = customer
        self.frequency: np.ndarray = fields["frequency"]
        self.recency: np.ndarray = fields["recency"]
        self.T: np.ndarray = fields["T"]
        self.money: np.ndarray | None = fields["money"]
        self.log_gaps: np.ndarray = fields["log_gaps"]
        self.later: int = fields["later"]
        self.unit = unit

    def __len__(self) -> int:
        return len(self.frequency)

    def to_dict(self) -> dict[str, np.ndarray]:
        """The columns by name; money only where there is some."""
        columns = {"customer": self.customer, "frequency": self.frequency, "recency": self.recency, "T": self.T, "money": self.money, "log_gaps": self.log_gaps}
        return {name: column for name, column in columns.items() if column is not None}

    def to_pandas(self):
        """The same as a pandas DataFrame."""
        try:
            import pandas
        except ImportError:
            raise ImportError("to_pandas needs pandas: pip install pandas") from None
        return pandas.DataFrame(self.to_dict())

    def __repr__(self) -> str:
        return f"Summaries({len(self)} customers, in {self.unit})"


def summarize(log: _core.EventLog, events: list[str] | str | None = None, until: object = None, unit: str = "weeks", utc_offset_minutes: int = 0) -> Summaries:
    """Summaries of a log's customers, by its keys.

    Several purchases of one day are one (their values are added); days begin at utc_offset_minutes from UTC. The log's values
    are the money, in any currency: where they are quantities, make a log whose values are quantity times price. A row with a value
    below 0 is a return, as in Profiles: no purchase, and its money is taken off what the customer's repeats brought, down to 0. A value
    of 0 is a purchase. events names
    the types that are purchases: by default purchase, buy, transaction or order, or everything in a log without types.
    until is the end of observation (a day, the newest purchase's by default); what comes later is left out and counted in
    .later. unit is "days" or "weeks". ValueError for a log without times or an unknown type.
    """
    if not isinstance(log, _core.EventLog):
        raise TypeError(f"log is a {type(log).__name__}, must be an EventLog; summarize_events() takes columns")
    names = list(log.event_names)
    if events is None:
        events = [n for n in names if n in _PURCHASES]
        if names and not events:
            raise ValueError(f"events is None and the log has the types {', '.join(map(repr, names))}, must name those that are purchases")
    elif isinstance(events, str):
        events = [events]
    fields = _core.summarize_log(log, list(events), None if until is None else to_ms(until, "until"), _unit(unit),
                                 whole_number(utc_offset_minutes, "utc_offset_minutes", bits=32))
    keys = log.user_ids
    customer = fields["customer"] if keys is None else np.asarray(keys)[fields["customer"]]
    return Summaries(customer, fields, unit)


def summarize_events(customer: object, time: object, money: object = None, until: object = None, unit: str = "weeks") -> Summaries:
    """Summaries of raw purchases, one entry each, in any order.

    customer: keys, all integers or all strings. time: dates (datetimes, datetime64, ISO text), of which the day counts and
    which become `unit`, "days" or "weeks"; or numbers, which are taken as they are, in a unit of their own. Purchases of one
    customer at one time are one, their money is added; money below 0 is a return, as in summarize. until, of the same sort as time, is the end of observation, the
    newest purchase by default; later ones are left out and counted.
    """
    days, dated = times_of(time, "time")
    end = None
    if until is not None:
        ends, end_dated = times_of([until], "until")
        if end_dated != dated:
            raise TypeError(f"until is {until!r}, must be a {'date' if dated else 'number'} as time is")
        end = float(ends[0])
    keys, index = keys_of(customer)
    if len(index) != len(days):
        raise ValueError(f"time has {len(days)} entries, must have {len(index)} as customer has")
    fields = _core.summarize_purchases(index.astype(np.int32), days, money, end, _unit(unit) if dated else 1.0)
    return Summaries(keys[fields["customer"]], fields, unit if dated else "units of time")


class _Fitted:
    """What the models share: parameters of the constructor, results of the fit, files."""

    _names: tuple[str, ...] = ("max_iterations", "num_threads")
    _core_class: Any
    _core_model: Any = None

    def get_params(self, deep: bool = True) -> dict[str, object]:
        """The constructor's parameters."""
        return {name: getattr(self, name) for name in self._names}

    def _new(self):
        return self._core_class(self._options())

    def _options(self) -> dict[str, object]:
        return {name: value for name, value in self.get_params().items() if value is not None}

    def _fitted(self):
        if self._core_model is None:
            raise _core.NotFittedError(f"{type(self).__name__} is not fitted; call fit() first")
        return self._core_model

    def set_fitted(self, params: dict[str, float]):
        """Takes known parameters, by the letters of params_, instead of fitting. No standard errors. Returns self.

        params: {name: value} of the model's parameters.
        """
        model = self._new()
        letters = self._letters
        if set(params) - {"k"} != set(letters):
            raise ValueError(f"params has {', '.join(map(repr, params)) or 'nothing'}, must have {', '.join(map(repr, letters))}")
        model.set_parameters([float(params[n]) for n in letters])
        self._core_model = model
        return self

    _letters: tuple[str, ...] = ()

    @property
    def report_(self) -> dict[str, Any]:
        """Everything the fit found: names, values, standard_errors, covariance (of the logarithms), at_bound, log_likelihood,
        gradient, iterations, converged, customers, distinct."""
        return self._fitted().fit_report

    @property
    def params_(self) -> dict[str, float]:
        """Estimates by the textbook's letters."""
        r = self.report_
        return dict(zip(r["names"], r["values"]))

    @property
    def standard_errors_(self) -> dict[str, float]:
        """Of the estimates, from the Hessian; NaN where the data do not determine a parameter."""
        r = self.report_
        return dict(zip(r["names"], r["standard_errors"]))

    @property
    def covariance_(self) -> np.ndarray:
        """Of the logarithms of the estimates, [d, d], in the order of params_."""
        return self.report_["covariance"]

    @property
    def log_likelihood_(self) -> float:
        """Of the data of the fit, at the parameters found."""
        return self.report_["log_likelihood"]

    @property
    def gradient_(self) -> float:
        """Largest absolute entry of the log-likelihood's gradient by the logarithms of the parameters, at the end."""
        return self.report_["gradient"]

    @property
    def converged_(self) -> bool:
        """Whether the fit ended at a maximum."""
        return self.report_["converged"]

    @property
    def at_bound_(self) -> list[str]:
        """Parameters that ran to the end of their range: the data do not hold the difference that they describe."""
        return self.report_["at_bound"]

    def save(self, path: str | os.PathLike) -> None:
        """Writes a file that etalage.load, load() and the C++ library read."""
        self._fitted().save(os.fspath(path))

    @classmethod
    def _from_core(cls, core):
        self = cls.__new__(cls)
        options = core.options
        for name in cls._names:
            value = options[name]
            setattr(self, name, None if name == "k" and value == 0 else value)
        self._core_model = core
        return self

    def __reduce__(self):
        if self._core_model is None:
            return _made, (type(self), self.get_params())
        return _from_bytes, (type(self).__name__, self._core_model.to_bytes())

    def __copy__(self):
        return copy.deepcopy(self)

    def __repr__(self) -> str:
        state = "not fitted" if self._core_model is None else ", ".join(f"{n}={v:.6g}" for n, v in self.params_.items())
        return f"{type(self).__name__}({state})"


class _PurchaseModel(_Fitted):
    _kind = ""
    _letters = ("r", "alpha", "a", "b")

    def __init__(self, max_iterations: int = 200, num_threads: int = 0) -> None:
        self.max_iterations = max_iterations
        self.num_threads = num_threads
        self._new()

    def _core_class(self, options):
        return _core.LifetimeModel(self._kind, options)

    def fit(self, frequency: object, recency: object = None, T: object = None, *, weights: object = None):
        """frequency: whole numbers >= 0; recency in [0, T], 0 where frequency is 0; T >= 0; each (n,). Or Summaries alone.
        weights: customers who share a row (n,), as spark.summaries(grouped=True) counts them; None: one each: the same fit, of
        fewer rows. Returns self. ValueError names column, row and rule; also when nobody bought twice."""
        return self._fit(*_fit_columns(frequency, recency, T), None, weights)

    def _fit(self, frequency, recency, T, log_gaps, weights):
        model = self._new()
        model.fit(frequency, recency, T, log_gaps, weights)
        self._core_model = model
        return self

    def expected_purchases(self, t: float, frequency: object = None, recency: object = None, T: object = None, interval: float | None = None,
                           draws: int = 200, seed: int = 42):
        """Purchases expected in the t units of time after T, float64 (n,), or a float for one customer; without a history, those
        after the first one of a new customer. frequency, recency, T as in fit, or Summaries alone. With interval=0.95 a tuple (expected, low, high): quantiles over draws of the
        parameters, which say how well these are known, not how much one customer varies."""
        if frequency is None and recency is None and T is None:
            frequency = recency = T = 0.0
        frequency, recency, T = _fit_columns(frequency, recency, T)
        return _values("purchases", self._fitted(), None, frequency, recency, T, None, {"t": t}, interval, draws, seed)

    def p_alive(self, frequency: object, recency: object = None, T: object = None, interval: float | None = None, draws: int = 200, seed: int = 42):
        """Chance of being still active at T, float64 (n,) or a float. frequency, recency, T as in fit, or Summaries alone;
        interval as in expected_purchases.
        draws: of the parameters, for an interval.
        """
        frequency, recency, T = _fit_columns(frequency, recency, T)
        return _values("alive", self._fitted(), None, frequency, recency, T, None, {}, interval, draws, seed)


class BGNBD(_PurchaseModel):
    """BG/NBD (Fader, Hardie, Lee 2005): r, alpha, a, b. May stop after each repeat purchase, so p_alive is 1 for
    whoever bought once: MBGNBD corrects that."""

    _kind = "BG/NBD"


class MBGNBD(_PurchaseModel):
    """MBG/NBD (Batislam, Denizel, Filiztekin 2007): r, alpha, a, b. May stop after each purchase, the first one too."""

    _kind = "MBG/NBD"


class ParetoNBD(_PurchaseModel):
    """Pareto/NBD (Schmittlein, Morrison, Colombo 1987): r, alpha, s, beta. May stop at any time."""

    _kind = "Pareto/NBD"
    _letters = ("r", "alpha", "s", "beta")


class MBGCNBD(_PurchaseModel):
    """MBG/CNBD-k (Platzer, Reutterer 2021): MBGNBD with gaps that are Erlang-k, for regular buyers. params_: k, r, alpha, a, b.

    k=None chooses it by likelihood: 1, 2, 3, ... as long as that grows (log_likelihood_of_k_), at most 12.
    """

    _kind = "MBG/CNBD-k"
    _names = ("k", "max_iterations", "num_threads")

    def __init__(self, k: int | None = None, max_iterations: int = 200, num_threads: int = 0) -> None:
        if k is not None and k == 0:
            raise ValueError("k is 0, must be in [1, 12], or None to choose it")
        self.k = k
        super().__init__(max_iterations, num_threads)

    def fit(self, frequency: object, recency: object = None, T: object = None, log_gaps: object = None, *, weights: object = None):
        """As MBGNBD.fit. log_gaps (n,): sum of ln(gap) over a customer's gaps, with weights over those of all who share the row.
        Without it the likelihood is that of recency alone, which tells less about k: prefer fit_events or Summaries, which have it.
        frequency, recency, T, weights: as of the other models.
        """
        if isinstance(frequency, Summaries) and log_gaps is None:
            log_gaps = frequency.log_gaps
        return self._fit(*_fit_columns(frequency, recency, T), log_gaps, weights)

    def fit_events(self, customer: object, time: object, until: object = None, unit: str = "weeks"):
        """Fits on raw purchases, one entry each; arguments as summarize_events. Returns self.

        customer, time: of each purchase; until: where observation ends, None for the newest; unit: of time.
        """
        return self.fit(summarize_events(customer, time, until=until, unit=unit))

    @property
    def k_(self) -> int:
        """Regularity of the purchases in use: 1 is a Poisson process, more is more regular."""
        return self._fitted().k

    @property
    def params_(self) -> dict[str, float]:
        return {"k": self.k_, **super().params_}

    @property
    def log_likelihood_of_k_(self) -> dict[int, float]:
        """Log-likelihood by k, as far as they were tried; empty when k was given."""
        return {i + 1: value for i, value in enumerate(self._fitted().log_likelihood_of_k)}


class GammaGamma(_Fitted):
    """Gamma-Gamma (Fader, Hardie, Lee 2005): what a purchase is worth. params_: p, q, v."""

    _core_class = _core.GammaGamma
    _letters = ("p", "q", "v")

    def __init__(self, max_iterations: int = 200, num_threads: int = 0) -> None:
        self.max_iterations = max_iterations
        self.num_threads = num_threads
        self._new()

    def fit(self, frequency: object, money: object = None):
        """frequency: repeat purchases, money: their mean value, each (n,); or Summaries alone. Customers without repeats are left
        out, whatever their money; money of 0 or below with repeats is a ValueError. Returns self."""
        frequency, money = _money_columns(frequency, money)
        model = self._new()
        model.fit(frequency, money)
        self._core_model = model
        return self

    def expected_money(self, frequency: object, money: object = None, interval: float | None = None, draws: int = 200, seed: int = 42):
        """Mean value of a customer's purchases, float64 (n,) or a float: between their own mean and the population's, which is what
        those without repeats get (infinite where q <= 1). frequency, money as in fit, or Summaries alone; interval as in the
        models of purchases.
        draws: of the parameters, for an interval.
        """
        frequency, money = _money_columns(frequency, money)
        return _values("money", None, self._fitted(), frequency, None, None, money, {}, interval, draws, seed)


class BGBB(_Fitted):
    """BG/BB (Fader, Hardie, Shang 2010): purchases at fixed opportunities. params_: alpha, beta, gamma, delta."""

    _core_class = _core.BgBb
    _letters = ("alpha", "beta", "gamma", "delta")

    def __init__(self, max_iterations: int = 200, num_threads: int = 0) -> None:
        self.max_iterations = max_iterations
        self.num_threads = num_threads
        self._new()

    def fit(self, frequency: object, recency: object, n: object, weights: object = None):
        """frequency: opportunities taken, recency: number of the last one taken (0 if none), n: how many there were; whole
        numbers, each (rows,). weights: customers who share a row. Returns self."""
        model = self._new()
        model.fit(frequency, recency, n, weights)
        self._core_model = model
        return self

    def expected_purchases(self, m: int, frequency: object, recency: object, n: object):
        """Opportunities taken among the next m, (rows,) or a float.

        m: chances ahead; frequency: purchases so far, recency: the chance of the last of them, n: chances so far; each [customers].
        """
        columns, single = _together(frequency=frequency, recency=recency, n=n)
        out = self._fitted().expected_purchases(m, **columns)
        return float(out[0]) if single else out

    def p_alive(self, frequency: object, recency: object, n: object):
        """Chance of being active at opportunity n, (rows,) or a float.

        frequency, recency, n: as in expected_purchases().
        """
        columns, single = _together(frequency=frequency, recency=recency, n=n)
        out = self._fitted().p_alive(**columns)
        return float(out[0]) if single else out


def customer_value(purchases: _PurchaseModel, money_model: GammaGamma, t: float, frequency: object, recency: object = None, T: object = None, money: object = None,
                   discount_rate: float = 0.0, period: float = 1.0, interval: float | None = None, draws: int = 200, seed: int = 42):
    """Money expected from each customer in the t units of time after T: expected purchases times expected money, float64 (n,) or
    a float, in the unit of money.

    frequency, recency, T, money: each (n,) or a number, or Summaries alone in the place of frequency.
    discount_rate is for one unit of time; money of a period of `period` units counts 1 / (1 + rate)^(its end). interval
    as in expected_purchases, over draws of both models' parameters.
    money_model: a fitted GammaGamma.
    """
    if not isinstance(purchases, _PurchaseModel):
        raise TypeError(f"purchases is a {type(purchases).__name__}, must be BGNBD, MBGNBD, ParetoNBD or MBGCNBD")
    if not isinstance(money_model, GammaGamma):
        raise TypeError(f"money_model is a {type(money_model).__name__}, must be GammaGamma")
    if isinstance(frequency, Summaries):
        money = _money_columns(frequency, money)[1]
    frequency, recency, T = _fit_columns(frequency, recency, T)
    options = {"t": t, "discount_rate": discount_rate, "period": period}
    return _values("value", purchases._fitted(), money_model._fitted(), frequency, recency, T, money, options, interval, draws, seed)


def load(path: str | os.PathLike, verify: str = "full"):
    """Opens any of this module's models that save() wrote."""
    path = os.fspath(path)
    kind = _core.file_info(path)["kind"]
    if kind not in _FILES:
        raise _core.FormatError(f"{path}: kind is {kind!r}, must be one of {', '.join(_FILES)}")
    return _wrapped(_FILES[kind].load(path, verify))


_FILES = {"LifetimeModel": _core.LifetimeModel, "GammaGamma": _core.GammaGamma, "BgBb": _core.BgBb}
_OF_KIND = {c._kind: c for c in (BGNBD, MBGNBD, ParetoNBD, MBGCNBD)}


def _wrapped(core):
    if isinstance(core, _core.LifetimeModel):
        return _OF_KIND[core.kind]._from_core(core)
    return (GammaGamma if isinstance(core, _core.GammaGamma) else BGBB)._from_core(core)


def _made(cls, params):
    return cls(**params)


def _from_bytes(name, data):
    core = {"GammaGamma": _core.GammaGamma, "BGBB": _core.BgBb}.get(name, _core.LifetimeModel)
    return _wrapped(core.from_bytes(data))


def _unit(unit):
    if unit not in _UNITS:
        raise ValueError(f"unit is {unit!r}, must be 'days' or 'weeks'")
    return _UNITS[unit]


def _fit_columns(frequency, recency, T):
    if isinstance(frequency, Summaries):
        if recency is not None or T is not None:
            raise TypeError("recency and T are given beside Summaries, must be left out: Summaries have them")
        return frequency.frequency, frequency.recency, frequency.T
    return frequency, recency, T


def _money_columns(frequency, money):
    if not isinstance(frequency, Summaries):
        return frequency, money
    if money is not None:
        raise TypeError("money is given beside Summaries, must be left out: Summaries have it")
    if frequency.money is None:
        raise ValueError("the Summaries have no money, must have it: summarize a log with values, or give money to summarize_events")
    return frequency.frequency, frequency.money


def _together(**columns):
    """Columns of one length, and whether all were single numbers."""
    if any(value is None for value in columns.values()):
        missing = ", ".join(n for n, v in columns.items() if v is None)
        raise TypeError(f"{missing} is missing, must be given")
    single = all(np.ndim(value) == 0 for value in columns.values())
    if any(np.ndim(value) == 0 for value in columns.values()):
        arrays = np.broadcast_arrays(*(np.atleast_1d(np.asarray(v)) for v in columns.values()))
        columns = {name: np.ascontiguousarray(a) for name, a in zip(columns, arrays)}
    return columns, single


def _values(quantity, purchases, money_model, frequency, recency, T, money, options, interval, draws, seed):
    given = {"frequency": frequency}
    if quantity != "money":
        given |= {"recency": recency, "T": T}
    if quantity in ("money", "value"):
        given["money"] = money
    columns, single = _together(**given)
    options = dict(options, draws=draws, seed=seed, level=0.95 if interval is None else interval)
    out = _core.customer_values(quantity, purchases, money_model, columns["frequency"], columns.get("recency"), columns.get("T"), columns.get("money"),
                                options, interval is not None)
    out = out if interval is not None else out[:1]
    out = tuple(float(o[0]) for o in out) if single else out
    return out if interval is not None else out[0]
