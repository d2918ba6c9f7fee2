# SPDX-License-Identifier: Apache-2.0
"""etalage: an embeddable recommendation engine for shops."""

from ._core import FormatError, NotFittedError, NumericalError, build_info

__version__ = build_info()["version"]

__all__ = [
    "FormatError",
    "NotFittedError",
    "NumericalError",
    "__version__",
    "build_info",
]
