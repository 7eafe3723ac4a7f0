# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the file integrity engine as it runs on a target: in its own process, on the target's own Python."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import json
import os
import pathlib
import struct
import subprocess
import sys
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import options

from tests.support import paths

_PROGRAM = """
import json, os, sys
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateError
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.{room} import {room}
request = json.load(sys.stdin)
if request["nobody"]:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    result = {room}(request["params"], request["check"])
except (HostError, StateError, UsageError) as error:
    result = {{"failed": True, "msg": str(error)}}
json.dump(result, sys.stdout)
"""


class EngineError(AssertionError):
    """The engine ended without a result."""


@dataclasses.dataclass(frozen=True)
class Engine:
    """Both modules with one state directory and one set of watches.

    common: arguments of every task. prefix: a command that runs the interpreter, such as nsenter(1).
    """

    state: pathlib.Path
    watches: tuple[dict[str, t.Any], ...]
    python: str = sys.executable
    as_nobody: bool = False
    common: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    prefix: tuple[str, ...] = ()

    def apply(self, check: bool = False, **arguments: t.Any) -> dict[str, t.Any]:
        """Return what file_integrity returns, and fail the test when it fails."""
        return _successful(self.try_apply(check, **arguments))

    def try_apply(self, check: bool = False, **arguments: t.Any) -> dict[str, t.Any]:
        return self._finish(self.start_apply(check, **arguments))

    def compare(self, **arguments: t.Any) -> dict[str, t.Any]:
        """Return what file_integrity_info returns, and fail the test when it fails."""
        return _successful(self.try_compare(**arguments))

    def try_compare(self, **arguments: t.Any) -> dict[str, t.Any]:
        return self._finish(self.start_compare(**arguments))

    def start_apply(self, check: bool = False, **arguments: t.Any) -> subprocess.Popen[bytes]:
        arguments.setdefault("watches", list(self.watches))
        return self._start("apply", options.apply_spec(), arguments, check)

    def start_compare(self, **arguments: t.Any) -> subprocess.Popen[bytes]:
        return self._start("collect", options.collect_spec(), arguments, check=False)

    def finish(self, process: subprocess.Popen[bytes]) -> dict[str, t.Any]:
        return self._finish(process)

    @property
    def file(self) -> pathlib.Path:
        return self.state / "file_integrity" / "default.baseline"

    def _start(
        self, room: str, spec: t.Mapping[str, t.Any], arguments: dict[str, t.Any], check: bool
    ) -> subprocess.Popen[bytes]:
        given = {"state_dir": str(self.state), "priority": "normal", **self.common, **arguments}
        params = {**_defaults(spec), **given}
        if params.get("watches") is not None:
            watch_spec = t.cast("dict[str, t.Any]", spec["watches"]["options"])
            params["watches"] = [{**_defaults(watch_spec), **watch} for watch in params["watches"]]
        process = subprocess.Popen(
            [*self.prefix, self.python, "-W", "error", "-c", _PROGRAM.format(room=room)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(paths.COLLECTIONS), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps({"params": params, "check": check, "nobody": self.as_nobody}).encode())
        process.stdin.close()
        process.stdin = None
        return process

    def _finish(self, process: subprocess.Popen[bytes]) -> dict[str, t.Any]:
        output, errors = process.communicate(timeout=300)
        if process.returncode or errors:
            raise EngineError(f"status {process.returncode}: {errors.decode(errors='replace')}")
        return t.cast("dict[str, t.Any]", json.loads(output))


def _defaults(spec: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {name: option.get("default") for name, option in spec.items()}


def _successful(result: dict[str, t.Any]) -> dict[str, t.Any]:
    if result.get("failed"):
        raise EngineError(result["msg"])
    return result


def changes(result: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Return the kind of each change that needs review, by path."""
    return {change["path"]: change["kind"] for change in result["changes"]}


def coverage(result: t.Mapping[str, t.Any], scope: str) -> dict[str, t.Any]:
    """Return the coverage of one scope."""
    (entry,) = [entry for entry in result["coverage"] if entry["scope"] == scope]
    return t.cast("dict[str, t.Any]", entry)


_IN_OPEN = 0x20
_IN_CLOSE_NOWRITE = 0x10
_IN_NONBLOCK = 0o4000


@contextlib.contextmanager
def opened_names(directory: pathlib.Path, closed: bool = False) -> t.Iterator[list[bytes]]:
    """Give a list that holds, after the block, the names in a directory that anyone opened meanwhile (inotify(7)).

    O_PATH opens nothing, and makes no event. Of several events in a row that are alike there is only one. closed: with
    those that were closed, so that each opening counts.
    """
    mask = _IN_OPEN | (_IN_CLOSE_NOWRITE if closed else 0)
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(_IN_NONBLOCK)
    if descriptor < 0 or libc.inotify_add_watch(descriptor, os.fsencode(directory), mask) < 0:
        raise OSError(ctypes.get_errno(), "inotify")
    names: list[bytes] = []
    try:
        yield names
        with contextlib.suppress(BlockingIOError):
            while True:
                names.extend(_event_names(os.read(descriptor, 1 << 16)))
    finally:
        os.close(descriptor)


def _event_names(data: bytes) -> t.Iterator[bytes]:
    position = 0
    header = struct.Struct("iIII")
    while position < len(data):
        _watch, _mask, _cookie, length = header.unpack_from(data, position)
        position += header.size
        yield data[position : position + length].rstrip(b"\0")
        position += length
