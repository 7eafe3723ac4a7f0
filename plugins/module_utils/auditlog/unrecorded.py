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

from ansible_collections.bulwark.servers.plugins.module_utils import _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, printable
from ansible_collections.bulwark.servers.plugins.module_utils._state import (
    StateDirectory,
    StateError,
    default_root,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rules import content, files, places
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rules.places import Identity
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog import activity
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.lazy import LazyView, Maker
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.tally import Tally
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet

State = t.Dict[str, t.Any]

_CAPABILITY = "audit"
_SOURCE = "file_event"
_MOST_FILES = 5_000
_MOST_DEPTH = 12
_MOST_SEEN = 5_000
# The clock of a file system goes in steps.
_GRAIN = 2.0
_NEVER = float("inf")
_WHY = (
    "there was no audit rule for it when it came, so that what is done there is not recorded; %s: run"
    " bulwark.servers.protect"
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

    closed: those that are watched since a time after the look before. homes: all of them. new_homes: of new accounts.
    """

    open: list[str]
    closed: dict[str, float]
    homes: list[str]
    new_homes: list[str]


def gaps(state_directory: str | None, until: float) -> Gaps | None:
    """Return where changes were not recorded, None where no rules are deployed. until: the time of the look before.

    Raises StateError for a note of the deployment that can't be used.
    """
    root = state_directory or default_root(os.environ, os.geteuid())
    directory = StateDirectory.open(root, _CAPABILITY, create=False)
    if directory is None:
        return None
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
        self._told_before = {str(path): float(changed) for path, changed in state.get("told", {}).items()}
        self._told: dict[str, float] = {}
        self._foreign: dict[bytes, str] = {}
        self._homes: t.Sequence[str] = ()
        self._files = 0
        self.too_many = False

    def state(self, now: float) -> State:
        """Return what the next look goes on from. now: when this one began, in seconds since the epoch."""
        return {
            "until": now,
            "seen": {path: list(numbers) for path, numbers in self._seen.items()},
            "told": {path: changed for path, changed in self._told.items() if changed >= now - _GRAIN},
        }

    def judge(self, found: Gaps, rules: RuleSet, tally: Tally, scope: ScopeCoverage) -> None:
        """Ask the rules about what is new, and say in the coverage what was not recorded."""
        self._foreign = _foreign_mounts()
        self._homes = found.homes
        for path in found.open:
            count = self._judge(path, rules, tally, _NEVER)
            scope.skip(printable(path), _WHY % ("%d new files there were judged by their names and owners" % count))
        for path, when in found.closed.items():
            self._judge(path, rules, tally, when)
        for home in found.new_homes:
            scope.skip(
                printable(home), "it is the home of a new account: " + _WHY % "nor is what it does in other files"
            )
        if self.too_many:
            reason = "there are more than %d files where no audit rule was; not all were judged" % _MOST_FILES
            scope.skip("files", reason)

    def _judge(self, path: str, rules: RuleSet, tally: Tally, watched: float) -> int:
        """Ask the rules about what came to a path before it was watched; return how much that is."""
        count = 0
        for made in self._new(path):
            self._told[made.path] = made.changed
            if made.changed > watched + _GRAIN or self._told_before.get(made.path) == made.changed:
                continue
            count += 1
            view = LazyView(_SOURCE, _MAKERS, made)
            for number in rules.match(_SOURCE, view):
                rule, subject = rules.rule(number), rules.subject(number, view)
                # What was recorded says who did it, and may be explained.
                if not rule.component and not tally.has(rule.alert, subject):
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

    def _new(self, path: str) -> t.Iterator[Made]:
        """Yield what is new of a path, and below it; what vanishes meanwhile is left out."""
        parent = os.path.dirname(path)
        home = next((home for home in self._homes if path.startswith(home + "/")), None)
        # Links in a home are its owner's, those above it are not.
        real = os.path.realpath(parent) if home is None else os.path.realpath(home) + parent[len(home) :]
        try:
            above = _safe_fs.open_directory(os.fsencode(real))
        except OSError:
            return
        try:
            yield from self._child(above, path, False, 0)
        finally:
            os.close(above)

    def _child(self, above: int, path: str, all_new: bool, depth: int) -> t.Iterator[Made]:
        self._files += 1
        self.too_many = self.too_many or self._files > _MOST_FILES
        name = os.path.basename(path)
        if self.too_many or os.fsencode(path) in self._foreign:
            return
        try:
            status = os.stat(name, dir_fd=above, follow_symlinks=False)
            source = os.readlink(name, dir_fd=above) if stat.S_ISLNK(status.st_mode) else ""
        except OSError:
            return
        is_new = all_new or status.st_ctime >= self.until - _GRAIN
        if stat.S_ISDIR(status.st_mode) and depth < _MOST_DEPTH:
            # Where a time is asked for, only what was changed since then is new.
            came = self._came(path) and self._since is None
            yield from self._below(above, path, all_new or came, depth)
        elif is_new:
            yield _made(path, status, source)

    def _came(self, path: str) -> bool:
        """Say whether a directory was not there at the look before, and note it for the next."""
        identity = places.identity(path)
        if identity is not None and len(self._seen) < _MOST_SEEN:
            self._seen[path] = identity
        return identity is None or self._before.get(path) != identity

    def _below(self, above: int, path: str, all_new: bool, depth: int) -> t.Iterator[Made]:
        try:
            directory = _safe_fs.open_child(os.fsencode(os.path.basename(path)), above)
        except OSError:
            return
        try:
            for name in sorted(_safe_fs.listed(directory)):
                yield from self._child(directory, os.path.join(path, os.fsdecode(name)), all_new, depth + 1)
        except OSError:
            return
        finally:
            os.close(directory)


def _made(path: str, status: os.stat_result, source: str) -> Made:
    return Made(path, "symlink" if source else "create", source, status.st_uid, status.st_mode, status.st_ctime)


def _foreign_mounts() -> dict[bytes, str]:
    try:
        return {path: kind for path, kind in _safe_fs.mounts().items() if _safe_fs.is_foreign(kind)}
    except OSError:
        return {}


def _evidence(made: Made) -> dict[str, t.Any]:
    owner = activity.user_name(b"%d" % made.owner)
    file = {"path": printable(made.path), "name": printable(os.path.basename(made.path)), "type_id": 0}
    return {
        "file": file,
        "data": {
            "unrecorded": "There was no audit rule for this path when the file was made: who did it is not known.",
            "action": made.action,
            "owner": printable(owner),
            "mode": "%04o" % stat.S_IMODE(made.mode),
            "changed": made.changed,
            **({"target": printable(made.source)} if made.source else {}),
        },
    }


def begin(
    state_directory: str | None, state: t.Mapping[str, t.Any], since: float | None
) -> tuple[Look, Gaps | None, str | None]:
    """Return a look, where it has to look, and a sentence where that is not known."""
    problem = None
    try:
        look = Look(state, since)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        problem = "what was remembered of files where no audit rule was could not be used (%s)" % error
        look = Look({}, since)
    try:
        return look, gaps(state_directory, look.until), problem
    except StateError as error:
        return look, None, str(error)
