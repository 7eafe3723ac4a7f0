# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What simulations make on the host, noted before it is made, so that it is removed whatever happens in between."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _process, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError, StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.simulation import program, visit
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.plan import Plan, SkippedError

JOURNAL = "made"
_LONGEST = 16 << 20
_SECONDS_TO_END = 5.0


class Journal:
    """The list of what there may be: ``[kind, path, content]``.

    A directory; a file, with its content as hexadecimal digits; a link, with what it leads to; a cable; a process, by
    its id and when it was started; a packet that came in, with what tells it from others. What stays after a simulation
    is kept in it until the next run removes it.
    """

    def __init__(self, state: StateDirectory) -> None:
        self._state = state
        self._kept: list[t.Sequence[str]] = []
        self._entries: t.Sequence[t.Sequence[str]] = ()

    def write(self, entries: t.Sequence[t.Sequence[str]]) -> None:
        """Replace the list, apart from what is kept."""
        self._entries = entries
        with self._state.written(JOURNAL) as stream:
            stream.write(json.dumps([*self._kept, *entries]).encode("ascii"))

    def keep(self, entries: t.Sequence[t.Sequence[str]]) -> None:
        """Have what stays in the list from now on."""
        self._kept += entries
        # What else there is must still be removed if this run is cut off now.
        self.write([entry for entry in self._entries if entry not in entries])

    def read(self) -> list[list[str]]:
        """Return what a run noted that was cut off, empty when there is none. Raises DamagedError."""
        descriptor = self._state.open_file(JOURNAL)
        if descriptor is None:
            return []
        with os.fdopen(descriptor, "rb") as stream:
            content = stream.read(_LONGEST)
        path = os.path.join(self._state.path, JOURNAL)
        try:
            entries = json.loads(content)
            if isinstance(entries, list) and all(map(_is_entry, entries)):
                return entries
        except (ValueError, TypeError):
            pass
        raise DamagedError("%s is damaged: remove it, and everything named bulwark-simulation on this host" % path)

    def end(self) -> None:
        """Empty the list, apart from what is kept."""
        if self._kept:
            self.write(())
        else:
            self._state.remove(JOURNAL)


def _is_entry(value: t.Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(isinstance(part, str) for part in value)


def entries(workspace: str, plan: Plan, missing: t.Sequence[str]) -> list[list[str]]:
    """Return what a plan may leave, for the journal, in the order in which it is made."""
    inside = workspace + "/"
    return [
        ["directory", workspace, ""],
        *(["directory", path, ""] for path in missing),
        *(["directory", path, ""] for path in plan.directories if not path.startswith(inside)),
        *(["file", trace.path, trace.content.hex()] for trace in plan.traces if not trace.path.startswith(inside)),
        *(["link", path, target] for path, target in plan.linked.items() if not path.startswith(inside)),
        *(["cable", cable, ""] for cable in plan.cables),
        # Empty files where there was none.
        *(["file", path, ""] for path, create in plan.opened.items() if create and not os.path.lexists(path)),
    ]


def check(plan: Plan) -> None:
    """Raise SkippedError where something of the host's own is in the way, or isn't there."""
    for path in (*(trace.path for trace in plan.traces), *plan.linked):
        if os.path.lexists(path):
            raise SkippedError("%s exists already, and is left alone" % printable(path))
    for path, create in plan.opened.items():
        if path in {trace.path for trace in plan.traces} or (create and not os.path.lexists(path)):
            continue
        try:
            kind = os.lstat(path).st_mode
        except OSError as error:
            raise SkippedError("%s: %s" % (printable(path), _safe_fs.reason(error))) from error
        # Opening a device or a pipe does something; a file that is opened for appending stays as it is.
        if not stat.S_ISREG(kind):
            raise SkippedError("%s is not a regular file" % printable(path))


def missing_directories(workspace: str, plan: Plan) -> list[str]:
    """Return the directories that the host doesn't have and something is made in, those above first."""
    created = (path for path, create in plan.opened.items() if create)
    places = [*(trace.path for trace in plan.traces), *plan.linked, *plan.directories, *created]
    wanted: dict[str, None] = {}
    for path in places:
        above = os.path.dirname(path)
        found = []
        while not os.path.lexists(above) and above not in plan.directories and not above.startswith(workspace):
            found.append(above)
            above = os.path.dirname(above)
        wanted.update(dict.fromkeys(reversed(found)))
    return list(wanted)


def make_directories(paths: t.Sequence[str]) -> None:
    """Make directories that the host lacks, those above first."""
    for path in paths:
        os.mkdir(path, 0o755)


def make(workspace: str, plan: Plan, public: bool) -> None:
    """Make the directories and programs. public: other accounts get into the directories, too."""
    os.mkdir(workspace, 0o700)
    for path in plan.directories:
        os.mkdir(path, 0o755 if public else 0o700)
        os.chmod(path, 0o755 if public else 0o700)  # whatever the umask is
    for file in plan.files:
        descriptor = os.open(file.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o755)
        try:
            # Nobody but root reads it: a process of the same account could take over one that it can read.
            os.fchmod(descriptor, 0o711)
            program.write(descriptor, file.content)
        finally:
            os.close(descriptor)


def remove(noted: t.Sequence[t.Sequence[str]]) -> list[str]:
    """Remove what was noted; return one sentence for each that is left.

    A file is only removed while it is what was made: somebody else may have put another in its place.
    """
    return [why for entry in reversed(noted) for why in _remove(*entry)]


def _remove(kind: str, path: str, content: str) -> t.Iterator[str]:
    try:
        if kind == "directory":
            _remove_directory(path)
        elif kind == "cable":
            visit.remove(path)
        elif kind == "process":
            _process.send(int(path), int(content), signal.SIGKILL, wait=_SECONDS_TO_END)
        elif _leads_to(path, content) if kind == "link" else _is_ours(path, bytes.fromhex(content)):
            os.unlink(path)
        else:
            yield "%s was changed since the simulation made it; check it, and remove it" % printable(path)
    except FileNotFoundError:
        return
    except visit.VisitError as error:
        yield "the network interface %s could not be removed: %s" % (visit.ends(path)[0], error)
    except (OSError, ValueError) as error:
        why = _safe_fs.reason(error) if isinstance(error, OSError) else "the note of it is damaged"
        yield "%s could not be removed: %s" % (printable(path), why)


def _remove_directory(path: str) -> None:
    # Directories that simulations make have their name; nothing else is removed with what is in it.
    if "bulwark-simulation" in os.path.basename(path):
        shutil.rmtree(path)
    else:
        os.rmdir(path)


def _is_ours(path: str, content: bytes) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        return stat.S_ISREG(status.st_mode) and os.read(descriptor, len(content) + 1) == content
    finally:
        os.close(descriptor)


def _leads_to(path: str, target: str) -> bool:
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(path) == target
    return os.path.lexists(target) and os.path.samestat(status, os.lstat(target))


@contextlib.contextmanager
def prepared(
    journal: Journal,
    workspace: str,
    plan: Plan,
    public: bool,
    make_missing: t.Callable[[t.Sequence[str]], None] = make_directories,
) -> t.Iterator[list[str]]:
    """Have everything that a plan needs while the block runs; the list gets a sentence for what is left after it.

    make_missing: makes the directories that the host lacks, which attackers make, too, and which alerts are about.
    What programs need that stay is kept until the journal is read the next time.
    """
    check(plan)
    missing = missing_directories(workspace, plan)
    noted = entries(workspace, plan, missing)
    left: list[str] = []
    journal.write(noted)
    staying = False
    try:
        if missing:
            make_missing(missing)
        make(workspace, plan, public)
        yield left
        staying = plan.stays
    finally:
        if staying:
            journal.keep(noted)
        else:
            left += remove(noted)
            if not left:
                journal.end()
