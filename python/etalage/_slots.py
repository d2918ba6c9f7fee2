# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np

from . import _core


def slot(key: Any, salt: str) -> Any:
    """The slot of a shopper in [0, 10000) under a salt: int(sha256(salt + "\\n" + key).hexdigest()[:13], 16) % 10000, the same for ever.

    key: a string or an integer, which counts as its decimal text; an array or list of them gives int32 [n]. Experiments
    (etalage.evaluation.experiment) hand out the same slots.
    """
    if not isinstance(salt, str):
        raise TypeError(f"salt is {salt!r}, must be a string")
    if not salt.isascii() and any("\ud800" <= c <= "\udfff" for c in salt):
        raise ValueError("salt holds text with a lone surrogate, must be valid Unicode")
    if isinstance(key, np.ndarray) and key.ndim == 1:
        return _core.slots(key if key.dtype.kind == "i" else key.tolist(), salt)
    if isinstance(key, (list, tuple)) or (hasattr(key, "__iter__") and not isinstance(key, (str, bytes, np.ndarray))):
        return _core.slots(list(key), salt)
    return _core.slot(key, salt)
