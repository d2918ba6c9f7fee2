# SPDX-License-Identifier: Apache-2.0
"""The command line: a thin layer over the package, one file a command (_cli_*.py). `etalage --help` lists the commands."""

from __future__ import annotations

import argparse
import os
import sys

from . import (_cli_blend, _cli_campaign, _cli_describe, _cli_evaluate, _cli_impressions, _cli_info, _cli_recommend, _cli_shards, _cli_similar, _cli_train,
               _cli_tune)
from ._cli_data import say
from ._cli_models import trainable as _trainable  # noqa: F401  what tests of every model go through

_PAGE = """From a shop's event file to ranked products: look at the events, compare models, tune the best one, fit it on everything, and
write every shopper's list. `etalage COMMAND --help` is the page of a command."""

_EXAMPLE = """from events to lists:
  etalage describe  events.csv --user customer --item sku --time at
  etalage compare   events.csv --user customer --item sku --time at --models popularity,ease,als
  etalage tune      events.csv --user customer --item sku --time at --model als --budget 5min --out settings.json
  etalage evaluate  events.csv --user customer --item sku --time at --params-from settings.json
  etalage train     events.csv --user customer --item sku --time at --params-from settings.json --out model.etalage
  etalage recommend model.etalage --k 20 --out lists.csv

outputs: lists replace lists and a model replaces a model, whole or not at all; any other file that exists is kept unless
--overwrite is given. exit codes: 0 done, 2 a mistake, told in one line, 130 interrupted. ETALAGE_TRACEBACK=1 shows where an
error came from."""


def _parser() -> argparse.ArgumentParser:
    from . import __version__

    parser = argparse.ArgumentParser(prog="etalage", formatter_class=argparse.RawDescriptionHelpFormatter, description=_PAGE, epilog=_EXAMPLE)
    parser.add_argument("--version", action="version", version=f"etalage {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    # As the help lists them: the way from a file of events to lists.
    for module in (_cli_describe, _cli_evaluate, _cli_tune, _cli_blend, _cli_train, _cli_shards, _cli_recommend, _cli_similar, _cli_campaign,
                   _cli_impressions, _cli_info):
        module.add(commands)
    return parser


def _told(error: Exception) -> str:
    """An error in one line: what, and for which file."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    if isinstance(error, MemoryError):
        return f"not enough memory{f': {error}' if str(error) else ''}"
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    text = " ".join(str(error).split())
    return text or type(error).__name__


# What a user's input can lead to, by the package's own checks and by what it reads with.
_MISTAKES = (ValueError, TypeError, KeyError, IndexError, OSError, EOFError, ImportError, NotImplementedError, ArithmeticError, MemoryError)


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    try:
        return args.run(args)
    except BrokenPipeError:
        # Whoever read our output has had enough (head). What is still buffered goes nowhere, or Python complains at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        say(f"etalage {args.command}: interrupted")
        return 130
    except Exception as error:  # nobody who types a command can do anything with a traceback
        if os.environ.get("ETALAGE_TRACEBACK"):
            raise
        what = _told(error) if isinstance(error, _MISTAKES) else f"{type(error).__name__}: {_told(error)}"
        say(f"etalage {args.command}: {what}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
