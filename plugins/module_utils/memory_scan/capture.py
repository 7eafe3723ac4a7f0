# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep evidence of a process on the host, as one archive that only root can read."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tarfile
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _state
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import detect
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping, Process, Range
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import processes
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.budget import (
    Budget,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.reader import (
    ProcessView,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import GoneError

CAPABILITY = "memory_scan"
_LOCK = "capture.lock"
_PREFIX, _SUFFIX = "capture-", ".tar"
_MIB = 1 << 20
_PIECE = 4 * _MIB
# Of all files that are mapped together.
_MOST_HASHED = 512 * _MIB
_MOST_LISTED = 200


def capture(params: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None:
    """Keep evidence of a process and return what was kept; None where it is gone. Raises HostError and StateError."""
    process = processes.collect(chosen=[params["pid"]]).processes.get(params["pid"])
    if process is None or process.started != params["started"]:
        return None
    root = params["state_dir"] or _state.default_root(os.environ, os.geteuid())
    directory = StateDirectory.open(root, CAPABILITY, create=True)
    if directory is None:
        raise HostError("%s could not be made." % root)
    with contextlib.closing(directory), directory.locked(_LOCK, params["lock_timeout"]):
        most = params["max_dump"] * _MIB if params["dump"] else 0
        own = ".%s%s" % (params["run"], _SUFFIX) if params["run"] else None
        _check_room(directory, most)
        _check_number(directory, params["max_captures"], own)
        name = "%s%s-%d-%d%s" % (_PREFIX, _timestamp(time.time()), *process.key, own or _SUFFIX)
        try:
            with directory.written(name) as stream, tarfile.open(fileobj=stream, mode="w") as tar:
                archive = _Archive(tar)
                omitted = _fill(archive, process, most)
        except GoneError:
            return None
        removed = _remove_oldest(directory, params["max_captures"], name, own)
        path = os.path.join(directory.path, name)
    return {"path": path, "files": archive.listed[:_MOST_LISTED], "omitted": omitted, "removed": removed}


class _Archive:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self.listed: list[dict[str, t.Any]] = []

    def add(self, name: str, content: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = len(content), 0o600, int(time.time())
        self._archive.addfile(info, io.BytesIO(content))
        self.listed.append({"name": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()})


def _timestamp(seconds: float) -> str:
    """Return a time such that names which begin with it are in its order, and no two captures have the same."""
    return "%s.%06dZ" % (time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds)), seconds % 1 * 1_000_000)


def _fill(archive: _Archive, process: Process, most: int) -> list[str]:
    """Add the facts of a process, and ``most`` bytes of its memory; return what is omitted, with the reason."""
    omitted: list[str] = []
    view = ProcessView(process, Budget(most or _PIECE), omitted.append)
    with contextlib.closing(view):
        mappings = view.maps
        archive.add("maps", b"".join(map(_format_mapping, mappings)))
        about = {**_describe(process), "files": _hashes(view, mappings, omitted)}
        archive.add("process.json", json.dumps(about, indent=2).encode("ascii"))
        if most:
            _dump(archive, view, mappings, most, omitted)
    return omitted


def _describe(process: Process) -> dict[str, t.Any]:
    executable = process.executable
    return {
        "captured": time.time(),
        "pid": process.pid,
        "started": process.started,
        "name": printable(process.name),
        "state": process.state,
        "parent": process.parent,
        "users": list(process.users),
        "groups": list(process.groups),
        "command_line": detect.command_line(process),
        "executable": printable(executable) if executable is not None else None,
        "executable_deleted": process.executable_deleted,
        "directory": printable(process.directory) if process.directory is not None else None,
        "container": process.container,
        "tracer": process.tracer,
        "open_files": {str(file.descriptor): printable(file.target) for file in process.files},
    }


def _format_mapping(mapping: Mapping) -> bytes:
    """Return a mapping as proc_pid_maps(5) has it."""
    about = (mapping.start, mapping.end, mapping.permissions, mapping.offset, *mapping.device, mapping.inode)
    name = printable(mapping.path) + (" (deleted)" if mapping.deleted else "")
    return ("%x-%x %s %08x %02x:%02x %d %s" % (*about, name)).rstrip().encode("ascii", "backslashreplace") + b"\n"


def _hashes(view: ProcessView, mappings: t.Sequence[Mapping], omitted: list[str]) -> list[dict[str, t.Any]]:
    """Return the digests of the files whose code the process has mapped, each once."""
    digests: list[dict[str, t.Any]] = []
    known: set[tuple[tuple[int, int], int]] = set()
    room = _MOST_HASHED
    for mapping in mappings:
        if mapping.anonymous or not mapping.executable or (mapping.device, mapping.inode) in known:
            continue
        known.add((mapping.device, mapping.inode))
        descriptor = view.open_mapped(mapping)
        if descriptor is None:
            continue
        with os.fdopen(descriptor, "rb") as stream:
            size = os.fstat(descriptor).st_size
            if size > room:
                omitted.append("the digest of %s: it is too large" % printable(mapping.path))
                continue
            room -= size
            digest = hashlib.sha256()
            for piece in _pieces(stream, size):
                digest.update(piece)
        digests.append({"path": printable(mapping.path), "size": size, "sha256": digest.hexdigest()})
    return digests


def _dump(archive: _Archive, view: ProcessView, mappings: t.Sequence[Mapping], most: int, omitted: list[str]) -> None:
    """Put in the executable where it has no name any more, and executable memory that no file has."""
    room = most
    if view.process.executable_deleted:
        descriptor = view.open_executable()
        if descriptor is not None:
            with os.fdopen(descriptor, "rb") as stream:
                content = stream.read(room)
                if stream.read(1):
                    omitted.append("the end of the executable: it is larger than max_dump")
            archive.add("executable", content)
            room -= len(content)
    for mapping in mappings:
        if not mapping.executable:
            continue
        pages = view.pages(mapping)
        for start, end in pages.present if mapping.anonymous or mapping.deleted else pages.private:
            for piece in _split(Range(start, end)):
                if piece.end - piece.start > room:
                    omitted.append("memory from %x on: there is more than max_dump" % piece.start)
                    return
                content = view.read(piece.start, piece.end - piece.start)
                if content:
                    archive.add("memory/%x-%x" % (piece.start, piece.start + len(content)), content)
                    room -= len(content)


def _split(whole: Range) -> t.Iterator[Range]:
    for start in range(whole.start, whole.end, _PIECE):
        yield Range(start, min(start + _PIECE, whole.end))


def _pieces(stream: t.BinaryIO, size: int) -> t.Iterator[bytes]:
    """Yield at most so much of a file, which may grow while it is read."""
    while size > 0:
        piece = stream.read(min(size, _MIB))
        if not piece:
            return
        size -= len(piece)
        yield piece


def _check_room(directory: StateDirectory, most: int) -> None:
    """Raise HostError where what is kept would fill a disk."""
    free = os.statvfs(directory.path)
    if free.f_bavail * free.f_frsize < 2 * most + 64 * _MIB:
        raise HostError(
            "There is too little space in %s for evidence; free some, or lower max_dump (memory_scan_max_dump of the"
            " role)." % directory.path
        )


def _list_captures(directory: StateDirectory) -> list[str]:
    """Return the names of all captures, the oldest first."""
    return sorted(name for name in directory.modified() if name.startswith(_PREFIX) and name.endswith(_SUFFIX))


def _check_number(directory: StateDirectory, most: int, own: str | None) -> None:
    """Raise HostError where only evidence of the same run could make room: decoys must not push out the real one.

    own: how the names of this run's captures end.
    """
    if own is not None and sum(name.endswith(own) for name in _list_captures(directory)) >= most:
        raise HostError(
            "%s has %d captures of this run already, which are not removed for new ones; raise max_captures."
            % (directory.path, most)
        )


def _remove_oldest(directory: StateDirectory, most: int, newest: str, own: str | None) -> list[str]:
    """Remove the oldest of more than so many captures, but none of the same run; return their names."""
    captures = _list_captures(directory)
    old = [name for name in captures if name != newest and not (own is not None and name.endswith(own))]
    removed = old[: max(0, len(captures) - most)]
    for name in removed:
        directory.remove(name)
    return removed
