# SPDX-License-Identifier: Apache-2.0
"""What a shop says of a product between two publications, as the engine takes it."""

import operator

import numpy as np


def place(given):
    """A place's name; None is everywhere, "" to the compiled part."""
    if given is None:
        return ""
    if not isinstance(given, str):
        raise TypeError(f"place is {given!r} ({type(given).__name__}), must be text or None")
    return str(given)


def available(given):
    """True, False, or None. Numbers other than 0 and 1 mean something else: a stock, perhaps."""
    if given is None or isinstance(given, (bool, np.bool_)):
        return None if given is None else bool(given)
    try:
        number = operator.index(given)
    except TypeError:
        raise TypeError(f"available is {given!r} ({type(given).__name__}), must be True, False or None") from None
    if number not in (0, 1):
        raise ValueError(f"available is {number}, must be True, False or None: whether there is any, not how many")
    return bool(number)


def price(given):
    """A number, or None."""
    if given is None:
        return None
    if isinstance(given, (str, bytes, bool, np.bool_, complex)) or np.ndim(given) != 0:
        raise TypeError(f"price is {given!r} ({type(given).__name__}), must be a number or None")
    try:
        return float(given)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"price is {given!r} ({type(given).__name__}), must be a number that a float holds, or None") from None


def attribute_values(given):
    """A list of texts, or None; one text is a list of one."""
    if given is None:
        return None
    if isinstance(given, str):
        return [str(given)]
    try:
        values = list(given)
    except TypeError:
        values = [given]
    for value in values:
        if not isinstance(value, str):
            raise TypeError(f"value holds {value!r} ({type(value).__name__}), must be text, a list of texts, or None")
    return [str(value) for value in values]


def attribute_name(given):
    if not isinstance(given, str):
        raise TypeError(f"name is {given!r} ({type(given).__name__}), must be text")
    return str(given)
