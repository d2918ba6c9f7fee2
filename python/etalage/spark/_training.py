# SPDX-License-Identifier: Apache-2.0
"""What fits on Spark share: the folder, and the blocks of rows in it."""

from __future__ import annotations

import os
import shutil
import time

from .._load import load
from . import _folder as folder
from ._blocks import Blocks
from ._events import interactions, shared_folder
from ._session import check_frame, check_session, over, rows
from ._worker import task


class Training:
    """A fit of local (a model of etalage.models, unfitted) on events or Blocks."""

    def __init__(self, local, df, session, path, partitions):
        self.local, self.df = local, df
        if isinstance(df, Blocks):
            if session is None:
                raise ValueError("session is None and df is Blocks, must be given")
            self.session = check_session(session)
        else:
            self.session = check_frame(df, "df").sparkSession
        self.given, self.partitions = path, partitions

    def run(self, columns, options, *arguments):
        """The fitted model. A folder of our own goes at the end; the mapped file lives as long as the model."""
        begin = time.perf_counter()
        path, temporary = self._folder()
        try:
            blocks = self._blocks(path, columns, options)
            if 0 in blocks.shape:
                raise ValueError(f"data has shape {blocks.shape}, must have at least one user and one item")
            model = os.path.join(path, "model.etalage")
            self._train(path, blocks, model, begin, *arguments)
            out = load(model, verify="header")
            out.num_threads = self.local.num_threads
            for name, value in self.local.get_params().items():
                if value == "auto":  # chosen anew by the next fit; resolved shows what this one used
                    setattr(out, name, value)
            return out
        finally:
            if temporary:
                shutil.rmtree(path, ignore_errors=True)

    def _folder(self):
        if self.given is None:
            return shared_folder(self.session, None, False)
        path = os.path.abspath(os.fspath(self.given))
        os.makedirs(path, exist_ok=True)
        return path, False

    def _blocks(self, path, columns, options):
        """The blocks to train on: those given, those of a fit that was stopped, or new ones."""
        if isinstance(self.df, Blocks):
            if options:
                raise ValueError(f"df is Blocks and {', '.join(options)} given, must be given to spark.interactions()")
            return self.df
        place, manifest = os.path.join(path, "blocks"), os.path.join(path, "events.json")
        asked = {"columns": columns, "options": {k: repr(v) for k, v in options.items()}, "schema": self.df.schema.json()}
        found = folder.read_json(manifest)
        if found is not None and found != asked:
            raise ValueError(f"folder is {path!r}, which holds a fit on other columns or options, must be a new one")
        folder.write_json(manifest, asked)
        if os.path.exists(os.path.join(place, "blocks.json")):
            return Blocks(place)
        return interactions(self.df, **columns, folder=place, overwrite=True, partitions=self.partitions, **options)

    def _agree(self, path, settings):
        """A folder holds one fit; other settings there are refused."""
        manifest = os.path.join(path, "fit.json")
        found = folder.read_json(manifest)
        if found is not None and found != settings:
            raise ValueError(f"folder is {path!r}, which holds a fit with other parameters or data, must be a new one")
        folder.write_json(manifest, settings)

    def _tasks(self, name, count, tasks, module, function, *arguments):
        """Rows of a job over numbers 0 .. count - 1."""
        return rows(over(self.session, count, max(1, min(tasks, count))).mapInArrow(task(name, module, function, *arguments), "id bigint"))
