# SPDX-License-Identifier: Apache-2.0
"""help() of every public name reads like a page: a text, and a word on each argument."""

import inspect
import re
import types

import pytest

import etalage

ROOMS = [etalage, *(m for m in vars(etalage).values() if isinstance(m, types.ModuleType) and m.__name__.split(".")[-1] in etalage.__all__)]
_COMMON = {"self", "cls", "args", "kwargs", "options", "deep"}
# What the package's page says once for all calls.
_EVERYWHERE = set(re.findall(r"\w+", inspect.getdoc(etalage).partition("What arguments of the same name mean")[2]))


def public():
    """(dotted name, object, its class or None) of everything that a user can reach by public names."""
    seen, told = set(), []

    def walk(room, path):
        for name in getattr(room, "__all__", [n for n in vars(room) if not n.startswith("_")]):
            value = getattr(room, name)
            if isinstance(value, types.ModuleType):
                if value.__name__.startswith("etalage"):
                    yield f"{path}.{name}", value, None
                    if value.__name__ not in seen:
                        seen.add(value.__name__)
                        yield from walk(value, f"{path}.{name}")
                continue
            if not hasattr(room, "__all__") and str(getattr(value, "__module__", "")).startswith("etalage._"):
                continue  # a helper of its own
            if not (inspect.isclass(value) or callable(value)) or not str(getattr(value, "__module__", "")).startswith("etalage"):
                continue
            yield f"{path}.{name}", value, None
            if inspect.isclass(value) and value not in seen:
                seen.add(value)
                for member in sorted(n for n in dir(value) if not n.startswith("_")):
                    found = inspect.getattr_static(value, member)
                    call = getattr(found, "__func__", getattr(found, "fget", found))
                    home = next(base for base in value.__mro__ if member in vars(base)).__module__
                    if not home.startswith("etalage") or call in told or issubclass(value, BaseException):
                        continue  # of a base class outside, or shown there already
                    told.append(call)
                    yield f"{path}.{name}.{member}", found, value

    yield from walk(etalage, "etalage")


def document(found, owner, name):
    """The text of a member: its own, or that of the class it overrides."""
    if isinstance(found, property):
        found = found if found.__doc__ else found.fget
    text = inspect.getdoc(getattr(found, "__func__", found)) or ""
    member = name.rpartition(".")[2]
    for base in owner.__mro__[1:] if owner is not None and not text else ():
        text = text or inspect.getdoc(inspect.getattr_static(base, member, None)) or ""
    return text


NAMES = {name: (found, owner) for name, found, owner in public()}


def arguments(found, owner):
    """Names of the arguments of a function or constructor, as Python or the compiled part's signature tells them."""
    call = found
    if inspect.isclass(found):
        call = found.__init__
    call = getattr(call, "__func__", call)
    if isinstance(call, property) or not callable(call):
        return []
    try:
        return [p for p in inspect.signature(call).parameters if p not in _COMMON]
    except (TypeError, ValueError):
        return []


# What calls give back, which nobody makes by hand.
_RESULTS = {"StoreCatalog", "SyntheticStore", "Comparison", "Evaluation", "FoldComparison", "Difference", "ExperimentResult", "Estimate",
            "OffPolicyResult", "Audience", "Summaries", "IntentEvaluation", "UserProfile", "SearchResult", "Split", "DataShape"}


def without():
    """Public names without a docstring."""
    return [name for name, (found, owner) in NAMES.items()
            if not (isinstance(found, (int, float, str, tuple, type(None))) or document(found, owner, name).strip())]


def missing():
    """{public name: arguments that no docstring names}."""
    out = {}
    for name, (found, owner) in NAMES.items():
        if inspect.isclass(found) and found.__name__ in _RESULTS:
            continue
        text = document(found, owner, name)
        for base in (owner or found if inspect.isclass(found) else owner).__mro__ if owner is not None or inspect.isclass(found) else ():
            text += "\n" + (inspect.getdoc(base) or "")
        if "All other parameters are those of" in text:
            text += inspect.getdoc(etalage.models.ALS)
        absent = [a for a in arguments(found, owner) if not a.startswith("_") and a not in _EVERYWHERE and not re.search(rf"\b{re.escape(a)}\b", text)]
        if absent:
            out[name] = absent
    return out


def test_every_public_name_has_a_docstring():
    assert without() == []


def test_each_argument_is_named():
    assert missing() == {}


def test_the_package_reads_like_a_page():
    page = inspect.getdoc(etalage)
    for name in etalage.__all__:
        if not name.startswith("_"):
            assert re.search(rf"\b{name}\b", page), name
    assert len(page.splitlines()) > 20


@pytest.mark.parametrize("room", ROOMS[1:], ids=lambda m: m.__name__)
def test_rooms_name_what_they_hold(room):
    assert len(inspect.getdoc(room) or "") > 40
