# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The destination ``file``: one event on a line, in a file on the controller that is rotated by its size.

The next exporter writes the lines of a killed one again only if they are not among the newest lines
already, so that each event is in the files once.
"""

from __future__ import annotations

import os
import pathlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import fit
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.destinations.rotated_file import (
    FullError,
    RotatedFile,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import cef, leef, ocsf
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receipts import ACCEPTED
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import (
    ExportError,
    Prepared,
    Receipt,
    UnavailableError,
    UnusableError,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import output

_FORMATS: t.Mapping[str, t.Callable[[fit.Event], fit.Rendered]] = {
    "ocsf": ocsf.render,
    "cef": lambda event: cef.render(event, "0"),
    "leef": leef.render,
}
_LEAST_EVENT, _MOST_EVENT = 1_024, 10_000_000
_LEAST_SIZE = 1_000_000
_MOST_FILES = 1_000
# Seconds that a collector gets to read what an export has filled all files with.
_UNTIL_READ = 60.0

ARGUMENTS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "path": {"type": "path", "required": True},
    "format": {"type": "str", "choices": list(_FORMATS), "default": "ocsf"},
    "max_event": {"type": "int", "default": 1_000_000},
    "max_size": {"type": "int", "default": 100_000_000},
    "files": {"type": "int", "default": 5},
    "mode": {"type": "str", "default": "0600"},
}


class FileReceiver:
    """One open file; see ``Receiver``."""

    batch_events = 5_000
    batch_bytes = 4_000_000

    def __init__(self, settings: t.Mapping[str, t.Any]) -> None:
        self._largest = settings["max_event"]
        self._files = settings["files"]
        # A batch alone removes nothing of itself.
        self.batch_bytes = min(self.batch_bytes, settings["max_size"] * max(1, self._files - 1) // 2)
        self._render = _FORMATS[settings["format"]]
        self._path = output.located(settings["path"])
        self._file = RotatedFile(
            self._path,
            output.file_mode(settings["mode"]),
            settings["max_size"],
            settings["files"],
            remembered=2 * self.batch_bytes,
            spares_own=self._files > 1,
        )

    def prepare(self, event: t.Mapping[str, t.Any], key: str) -> Prepared:
        """Return the event as a line without its end, at most ``max_event`` bytes; raise UnfitError."""
        fitted = fit.fit(event, self._largest, self._render)
        return Prepared(event["metadata"]["uid"], key, fitted.body, fitted.removed, fitted.shortened)

    def send(self, batch: t.Sequence[Prepared]) -> list[Receipt]:
        """Write a batch to the disk; raise UnavailableError, and leave no part of a line, when it cannot be written."""
        try:
            self._file.append([prepared.body for prepared in batch])
        except OSError as error:
            raise UnavailableError(f"{self._path} cannot be written: {error.strerror or error}") from None
        except FullError:
            raise UnavailableError(
                f"this export has filled all {self._files} files of {self._path}; the rest waits until a collector may "
                "have read them; raise files or max_size",
                _UNTIL_READ,
            ) from None
        return [ACCEPTED] * len(batch)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def check(settings: t.Mapping[str, t.Any]) -> None:
    """Raise ExportError for settings that cannot work; makes no file."""
    try:
        output.file_mode(settings["mode"])
    except output.OutputError as error:
        raise ExportError(str(error)) from None
    path: pathlib.Path = output.located(settings["path"])
    if not os.path.isdir(path.parent):
        raise UnusableError(f"path: {path.parent} is not a directory; make it, or name a file elsewhere")
    if os.path.lexists(path) and (os.path.islink(path) or not os.path.isfile(path)):
        raise ExportError(f"path: {path} is not a file; name a file, and no link to it")
    for option, least, most in (
        ("max_event", _LEAST_EVENT, _MOST_EVENT),
        ("max_size", max(_LEAST_SIZE, settings["max_event"]), None),
        ("files", 1, _MOST_FILES),
    ):
        if settings[option] < least or (most is not None and settings[option] > most):
            wanted = f"{least} or more" if most is None else f"{least} to {most}"
            raise ExportError(f"{option} is {settings[option]}; write {wanted}")


def open_receiver(
    settings: t.Mapping[str, t.Any],
    destination_name: str,  # noqa: ARG001 - every kind is opened alike, and the name of the file is an option
) -> FileReceiver:
    """Return a receiver, which opens the file when it sends; raise ExportError."""
    check(settings)
    return FileReceiver(settings)
