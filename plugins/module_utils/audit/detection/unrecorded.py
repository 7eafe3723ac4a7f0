# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge what was made where no audit rule records it: in paths that came after the rules were deployed.

The kernel takes a rule for a directory only when that is there. What was made in one that came later is in no log, but
it is still there to be looked at: each file becomes an event of its own for the rules, as if it had been recorded that
it was made. Who did it isn't known, so that the owner of the file stands for the user. Nothing but names, owners and
times is read, no link is followed, and nothing on a file system of another machine is touched.

A file is new when it, or a directory above it, was not there at the look before, or was changed since (its ctime, which
nobody can set).
"""

from __future__ import annotations

import dataclasses
import os
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _mountinfo, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, printable
from ansible_collections.bulwark.servers.plugins.module_utils._state import (
    StateDirectory,
    StateError,
    default_root,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.lazy_view import LazyView, Maker
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.tally import Tally
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules.places import Identity

State = t.Dict[str, t.Any]

_CAPABILITY = "audit"
_SOURCE = "file_event"
# Each path has a share of its own, so that nobody hides what is below another.
_MOST_FILES = 100_000
_MOST_IN_PATH = 20_000
_LEAST_IN_PATH = 200
_MOST_DEPTH = 40
_MOST_SEEN = 10_000
# The clock of a file system goes in steps.
_GRAIN = 2.0
_NEVER = float("inf")
_WHY = (
    "there was no audit rule for it when it appeared, so events in it are not recorded; %s: run bulwark.servers.protect"
)
_HOME = (
    "it is a home without audit rules, as its account is new, or there are too many; files that were made in it are"
    " judged by their names and owners: run bulwark.servers.protect"
)


class Made(t.NamedTuple):
    """A file or link where no rule records changes. changed: its ctime, in seconds since the epoch."""

    path: str
    action: str
    source: str
    owner: int
    mode: int
    changed: float


_MAKERS: dict[str, Maker] = {
    "TargetFilename": lambda made: made.path,
    "SourceFilename": lambda made: made.source,
    "Action": lambda made: made.action,
    "User": lambda made: activity.user_name(b"%d" % made.owner),
    "Owner": lambda made: activity.user_name(b"%d" % made.owner),
    "Mode": lambda made: "%04o" % stat.S_IMODE(made.mode),
}


@dataclasses.dataclass
class Gaps:
    """Paths that are not watched as they should be.

    closed: those that are watched since a time after the look before. homes: all of them. new_homes: without rules.
    """

    open: list[str]
    closed: dict[str, float]
    homes: list[str]
    new_homes: list[str]


def find_gaps(state_directory: str | None, until: float) -> Gaps | None:
    """Return where changes were not recorded, None where no rules are deployed. until: the time of the look before.

    Raises StateError for a note of the deployment that can't be used.
    """
    root = state_directory or default_root(os.environ, os.geteuid())
    directory = StateDirectory.open(root, _CAPABILITY, create=False)
    if directory is None:
        return None
    from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import content, places
    from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import state as files

    try:
        note = files.read_note(directory)
    finally:
        directory.close()
    if note is None or note.places is None:
        return None
    homes = content.existing_homes()
    unwatched = [path for path in places.unrecorded(note.places, homes) if os.path.lexists(path)]
    appeared = note.places.appeared.items()
    closed = {path: when for path, when in appeared if when >= until and path not in unwatched}
    known = set(note.places.homes)
    return Gaps(unwatched, closed, homes, [home for home in homes if home not in known])


class Look:
    """One look at what was made in the gaps, which goes on from the look before."""

    def __init__(self, state: t.Mapping[str, t.Any], since: float | None) -> None:
        """state: of the look before, of ``state``. since: nothing older is looked at.

        Raises ValueError, TypeError, KeyError or AttributeError for what is no state.
        """
        self.until = max(float(state.get("until", 0.0)), since or 0.0)
        self._since = since
        self._before: dict[str, Identity] = {
            str(path): (int(numbers[0]), int(numbers[1]), int(numbers[2]))
            for path, numbers in state.get("seen", {}).items()
        }
        self._seen: dict[str, Identity] = {}
        # Those that were changed in the last moments before the look, so that they are not new for the next.
        self._reported_before = {str(path): float(changed) for path, changed in state.get("reported", {}).items()}
        self._reported: dict[str, float] = {}
        self._mounts: dict[bytes, str] = {}
        self._homes: t.Sequence[str] = ()
        self._own: set[tuple[str, str]] = set()
        self._files = 0
        self._share = _LEAST_IN_PATH
        # What to say where not everything was looked at.
        self._remainder = ""

    def state(self, now: float) -> State:
        """Return what the next look goes on from. now: when this one began, in seconds since the epoch."""
        return {
            "until": now,
            "seen": {path: list(numbers) for path, numbers in self._seen.items()},
            "reported": {path: changed for path, changed in self._reported.items() if changed >= now - _GRAIN},
        }

    def judge(self, gaps: Gaps, rules: RuleSet, tally: Tally, scope: ScopeCoverage) -> None:
        """Ask the rules about what is new, and say in the coverage what was not recorded."""
        self._mounts = _mounts()
        self._homes = gaps.homes
        share = _MOST_FILES // max(1, len(gaps.open) + len(gaps.closed))
        self._share = max(_LEAST_IN_PATH, min(_MOST_IN_PATH, share))
        for path in gaps.open:
            count = self._judge(path, rules, tally, _NEVER)
            scope.skip(printable(path), _WHY % (_describe_count(count) + self._remainder))
        for path, when in gaps.closed.items():
            count = self._judge(path, rules, tally, when)
            if count is None or self._remainder:
                reason = (
                    "there was no audit rule for it before the last deployment; "
                    + _describe_count(count)
                    + self._remainder
                )
                scope.skip(printable(path), reason)
        for home in gaps.new_homes:
            scope.skip(printable(home), _HOME)

    def _judge(self, path: str, rules: RuleSet, tally: Tally, watched: float) -> int | None:
        """Ask the rules about what came to a path before it was watched; return how much that is.

        None where it isn't looked at: on a file system of another machine, and where a link leads to it.
        """
        self._files, self._remainder = 0, ""
        above = self._open_parent(path)
        if above is None:
            return None
        try:
            return self._judge_each(self._walk(above, path, False, 0), rules, tally, watched)
        finally:
            os.close(above)

    def _judge_each(self, new: t.Iterable[Made], rules: RuleSet, tally: Tally, watched: float) -> int:
        count = 0
        for made in new:
            self._reported[made.path] = made.changed
            if made.changed > watched + _GRAIN or self._reported_before.get(made.path) == made.changed:
                continue
            count += 1
            view = LazyView(_SOURCE, _MAKERS, made)
            for number in rules.match(_SOURCE, view):
                rule, subject = rules.rule(number), rules.subject(number, view)
                key = rule.alert, subject
                # What was recorded says who did it, and may be explained.
                if not rule.component and (key in self._own or not tally.has(*key)):
                    self._own.add(key)
                    tally.add(
                        rule.alert,
                        subject,
                        _evidence(made),
                        made.changed,
                        severity=rule.severity,
                        techniques=rule.techniques,
                        message=rules.message(number, view),
                    )
        return count

    def _open_parent(self, path: str) -> int | None:
        """Open the directory that a path is in."""
        parent = os.path.dirname(path)
        home = next((home for home in self._homes if path.startswith(home + "/")), None)
        # Links in a home are its owner's, those above it are not.
        real = os.path.realpath(parent) if home is None else os.path.realpath(home) + parent[len(home) :]
        if _safe_fs.is_foreign(self._file_system(os.path.join(real, os.path.basename(path)))):
            return None
        try:
            return _safe_fs.open_directory(os.fsencode(real))
        except OSError:
            return None

    def _file_system(self, path: str) -> str:
        """Return the type of the file system that a path is on, empty where that isn't known."""
        while os.fsencode(path) not in self._mounts and path != "/":
            path = os.path.dirname(path)
        return self._mounts.get(os.fsencode(path), "")

    def _is_too_much(self, depth: int) -> bool:
        self._files += 1
        if self._files > self._share or depth > _MOST_DEPTH:
            self._remainder = ", and not all that are there"
            return True
        return False

    def _walk(self, above: int, path: str, all_new: bool, depth: int) -> t.Iterator[Made]:
        """Yield what is new of a path, and below it; what vanishes meanwhile is left out."""
        name = os.path.basename(path)
        if self._is_too_much(depth) or (depth and _safe_fs.is_foreign(self._mounts.get(os.fsencode(path), ""))):
            return
        try:
            status = os.stat(name, dir_fd=above, follow_symlinks=False)
            source = os.readlink(name, dir_fd=above) if stat.S_ISLNK(status.st_mode) else ""
        except OSError:
            return
        is_new = all_new or status.st_ctime >= self.until - _GRAIN
        if stat.S_ISDIR(status.st_mode):
            # Where a time is asked for, only what was changed since then is new.
            is_new_directory = self._note_directory(path) and self._since is None
            yield from self._walk_directory(above, path, all_new or is_new_directory, depth)
        elif is_new:
            yield _describe(path, status, source)

    def _note_directory(self, path: str) -> bool:
        """Say whether a directory was not there at the look before, and note it for the next."""
        from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import places

        identity = places.identity(path)
        if identity is not None and len(self._seen) < _MOST_SEEN:
            self._seen[path] = identity
        return identity is None or self._before.get(path) != identity

    def _walk_directory(self, above: int, path: str, all_new: bool, depth: int) -> t.Iterator[Made]:
        try:
            directory = _safe_fs.open_child(os.fsencode(os.path.basename(path)), above)
        except OSError:
            return
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    yield from self._walk(directory, os.path.join(path, entry.name), all_new, depth + 1)
                    if self._files > self._share:
                        return
        except OSError:
            return
        finally:
            os.close(directory)


def _describe(path: str, status: os.stat_result, source: str) -> Made:
    return Made(path, "symlink" if source else "create", source, status.st_uid, status.st_mode, status.st_ctime)


def _describe_count(new: int | None) -> str:
    if new is None:
        return "it is on a file system of another machine, or a link leads to it, and nothing there was judged"
    return "%d new files there were judged by their names and owners" % new


def _mounts() -> dict[bytes, str]:
    try:
        return _mountinfo.own_file_systems()
    except OSError:
        return {}


def _evidence(made: Made) -> dict[str, t.Any]:
    owner = activity.user_name(b"%d" % made.owner)
    file = {"path": printable(made.path), "name": printable(os.path.basename(made.path)), "type_id": 0}
    return {
        "file": file,
        "data": {
            "unrecorded": "No audit rule covered this path when the file was created, so it is not known who did it.",
            "action": made.action,
            "owner": printable(owner),
            "mode": "%04o" % stat.S_IMODE(made.mode),
            "changed": made.changed,
            **({"target": printable(made.source)} if made.source else {}),
        },
    }


def start_look(
    state_directory: str | None, state: t.Mapping[str, t.Any], since: float | None
) -> tuple[Look, Gaps | None, str | None]:
    """Return a look, where it has to look, and a sentence where that is not known."""
    problem = None
    try:
        look = Look(state, since)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        problem = "the saved state of files without audit rules can't be used (%s)" % error
        look = Look({}, since)
    try:
        return look, find_gaps(state_directory, look.until), problem
    except StateError as error:
        return look, None, str(error)
