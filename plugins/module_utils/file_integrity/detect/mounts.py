# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts over and below watched paths that came and went since the baseline (ATT&CK T1564.013).

A mount over a path decides which files everybody sees there. They are other files, not changed ones, so the scan does
not compare them with the recorded ones: the mount is the finding, and the coverage leaves out the files that it hides.
"""

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._mountinfo import Mount
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.plan import NOBODY, Plan, parent

Mounts = t.Mapping[bytes, Mount]

_MOUNTED = "fim_mounted_over"
_UNMOUNTED = "fim_unmounted"
_OVERLAY = "overlay"
# Here each subvolume is mounted as a part of the file system, as if it were one of its own.
_WITH_SUBVOLUMES = frozenset(("bcachefs", "btrfs"))
_SHOWN = 10
_LONGEST_OPTIONS = 1000


class MountChange(t.NamedTuple):
    """A point where something else is mounted than was. watches: those that it concerns, the owner first.

    is_recorded: the baseline has something at the point, which the mount covers. is_expected: an automounter mounts
    and unmounts there, which it did when the baseline was made. is_elsewhere: process 1 sees the mount, this one does
    not.
    """

    point: bytes
    before: Mount | None
    after: Mount | None
    watches: tuple[int, ...]
    is_recorded: bool = True
    is_expected: bool = False
    is_elsewhere: bool = False

    @property
    def kind(self) -> str:
        if self.before is None:
            return model.MOUNTED
        return model.UNMOUNTED if self.after is None else model.REMOUNTED

    @property
    def severity(self) -> str:
        return "high" if self.after is not None and self.is_recorded else "medium"

    @property
    def reason(self) -> str:
        """Return why nothing at the point was compared, for the coverage."""
        if self.is_expected:
            return "an automounter mounts and unmounts there; the file system of the baseline is not mounted now"
        if self.is_elsewhere and self.after is not None:
            return "%s is mounted over it as process 1 sees it, which this scan does not" % describe(self.after)
        if self.after is None:
            return "%s, which was mounted there, is not mounted" % describe(t.cast("Mount", self.before))
        if not self.is_recorded:
            return "%s is mounted there, which is not in the baseline" % describe(self.after)
        return "%s is mounted over it, which hides the files below" % describe(self.after)

    @property
    def id(self) -> str:
        identity: tuple[t.Any, ...] = (self.kind, self.point, self.after and self.after[:3])
        identity += (self.after and self.after.layers, *(["elsewhere"] if self.is_elsewhere else []))
        return hashlib.sha256(repr(identity).encode()).hexdigest()[:32]


def describe(mount: Mount) -> str:
    """Return what is mounted and from where, in words."""
    source = printable(mount.source)
    if mount.root != b"/":
        return "%s of the %s file system %s" % (printable(mount.root), mount.kind, source)
    return "the %s file system %s" % (mount.kind, source)


def is_watched(plan: Plan, point: bytes) -> bool:
    """Say whether a point, something above it on the way to a watch, or something below it is watched."""
    return bool(_concerned(plan, point))


def mounts_kept(old: Mounts | None, now: Mounts, was_watched: t.Callable[[bytes], bool]) -> Mounts | None:
    """Return the mounts of a baseline that is extended: the old ones, and those of now where nobody watched.

    What was mounted meanwhile at a place that was watched is a change, to be reviewed like any other.
    """
    if old is None:
        return None
    watched = {point: mount for point, mount in old.items() if was_watched(point)}
    return {**{point: mount for point, mount in now.items() if not was_watched(point)}, **watched}


def accepted_mounts(old: Mounts | None, accepted: t.Mapping[bytes, Mount | None]) -> Mounts | None:
    """Return the mounts of a baseline after changes were accepted; None at a point: nothing is mounted there now."""
    if old is None:
        return None
    return {point: mount for point, mount in {**old, **accepted}.items() if mount is not None}


def kinds(mounts: Mounts) -> dict[bytes, str]:
    """Return the type of the file system at each point."""
    return {point: mount.kind for point, mount in mounts.items()}


def find_changes(
    recorded: Mounts | None, now: Mounts, plan: Plan, is_recorded: t.Callable[[bytes], bool]
) -> list[MountChange]:
    """Return what is mounted or unmounted at watched places, the topmost of what lies below each other.

    recorded: None where a baseline doesn't say. Raises nothing for odd tables.
    """
    changes: dict[bytes, MountChange] = {}
    if recorded is None:
        return []
    # A baseline of before network and pseudo file systems were recorded has no layers either.
    is_old = any(not mount.layers for mount in recorded.values())
    for point in sorted({*recorded, *now}):
        before, after = recorded.get(point), now.get(point)
        if not _differs(before, after) or _is_below(point, changes):
            continue
        watches = _concerned(plan, point)
        if not watches or (before is None and is_old and after is not None and _safe_fs.is_foreign(after.kind)):
            continue
        if after is None and before is not None and not _was_entered(plan, before, watches):
            continue
        changes[point] = MountChange(point, before, after, watches, is_recorded(point), _is_expected(before, after))
    return list(changes.values())


def hiding(plan: Plan, mounts: Mounts) -> list[tuple[bytes, Mount, tuple[int, ...]]]:
    """Return the mounts that show a part of the host's files at another place, or lie over another mount.

    A disk that is mounted as a whole on a directory is left out: that is how disks are used.
    """
    hiding_mounts = []
    for point, mount in sorted(mounts.items()):
        is_part = mount.root != b"/" and mount.kind not in _WITH_SUBVOLUMES
        is_over = mount.layers > 1 and not mount.automounted
        if point != b"/" and not _safe_fs.is_foreign(mount.kind) and (is_part or is_over or mount.kind == _OVERLAY):
            watches = _concerned(plan, point)
            hiding_mounts += [(point, mount, watches)] if watches else []
    return hiding_mounts


class MountReview:
    """What is mounted otherwise than the baseline says, before and during a comparison."""

    def __init__(
        self,
        plan: Plan,
        recorded: Mounts | None,
        now: Mounts,
        is_recorded: t.Callable[[bytes], bool],
        takes: t.Callable[[model.FileChange], bool] | None = None,
    ) -> None:
        """takes: says whether a person accepts a change, which then is none any more."""
        self._plan = plan
        self._now = now
        self._is_recorded = is_recorded
        self.accepted: dict[bytes, Mount | None] = {}
        self.changes: list[MountChange] = []
        self._late: dict[bytes, MountChange] = {}
        for change in find_changes(recorded, now, plan, is_recorded):
            if takes is not None and not change.is_expected and takes(self._described(change)):
                self.accepted[change.point] = change.after
            else:
                self.changes.append(change)

    @property
    def points(self) -> list[bytes]:
        return [change.point for change in self.changes]

    def note_elsewhere(self, mounted: Mounts | None) -> None:
        """Take in what process 1 has mounted over what this process sees; a person can't accept what isn't seen."""
        for change in find_changes(self._now, mounted or self._now, self._plan, self._is_recorded):
            before, after = change.before, change.after
            # What this process has mounted over it in addition, as services do, leaves fewer layers there.
            is_over = after is not None and (before is None or after.layers >= before.layers)
            if is_over and not change.is_expected and not _is_below(change.point, self.points):
                self.changes.append(change._replace(is_elsewhere=True))

    def note_now(self, now: Mounts) -> None:
        """Take in what was mounted or unmounted while files were compared."""
        for change in find_changes(self._now, now, self._plan, self._is_recorded):
            if not _is_below(change.point, (*self.points, *self._late)):
                self._late[change.point] = change
                self.changes.append(change)

    def has_come_over(self, path: bytes) -> bool:
        """Say whether what was read at a path may be of another file system than was there at the beginning."""
        return bool(self._late) and _is_below(path, self._late)

    def covers(self, path: bytes) -> bool:
        """Say whether this process sees something else at a path than was mounted there."""
        return _is_below(path, [change.point for change in self.changes if not change.is_elsewhere])

    def notes(self) -> t.Iterator[tuple[int, bytes, str]]:
        """Yield the watch, the point and the reason of what could not be compared."""
        for change in self.changes:
            for watch in change.watches:
                yield watch, change.point, change.reason

    def described(self) -> list[dict[str, t.Any]]:
        """Return the changes for people to review, in the form of all others."""
        return [
            {
                "id": change.id,
                "path": printable(change.point),
                "kind": change.kind,
                "attributes": [],
                "watch": self._name(change),
                "alert": _alert(change),
                "severity": change.severity,
                "message": _message(change),
            }
            for change in self._findings()
        ]

    def detections(self) -> list[dict[str, t.Any]]:
        """Return one detection for each mount over what is recorded, and one for each watch with others."""
        detections = []
        others: dict[str, list[MountChange]] = {}
        for change in self._findings():
            if change.before is None and not change.is_recorded:
                others.setdefault(self._name(change), []).append(change)
            else:
                detections.append(self._detection(printable(change.point), [change], _message(change)))
        for watch, changes in others.items():
            message = "File systems are mounted at %d place%s of watch '%s' that are not in its baseline, %s first" % (
                len(changes),
                "" if len(changes) == 1 else "s",
                watch,
                printable(changes[0].point),
            )
            detections.append(self._detection(watch, changes, message))
        return detections

    def _detection(self, subject: str, changes: t.Sequence[MountChange], message: str) -> dict[str, t.Any]:
        first = changes[0]
        return _finding.detection(
            _alert(first),
            subject,
            self._name(first),
            [{"data": _data(change)} for change in changes[:_SHOWN]],
            count=len(changes),
            severity=first.severity,
            message=message,
        )

    def _findings(self) -> list[MountChange]:
        return [change for change in self.changes if not change.is_expected]

    def _name(self, change: MountChange) -> str:
        return self._plan.watches[change.watches[0]].name

    def _described(self, change: MountChange) -> model.FileChange:
        return model.FileChange(change.kind, change.point, self._name(change), None, None, id=change.id)


def _alert(change: MountChange) -> str:
    return _UNMOUNTED if change.after is None else _MOUNTED


def _message(change: MountChange) -> str:
    return "%s: %s" % (printable(change.point), change.reason)


def _data(change: MountChange) -> dict[str, t.Any]:
    data: dict[str, t.Any] = {"kind": change.kind, "mount_point": printable(change.point), "change_id": change.id}
    for side, mount in (("before", change.before), ("after", change.after)):
        if mount is not None:
            data[side] = {
                "file_system": mount.kind,
                "source": printable(mount.source),
                "root": printable(mount.root),
                "options": printable(mount.options[:_LONGEST_OPTIONS]),
                "layers": mount.layers,
            }
    return data


def _differs(before: Mount | None, after: Mount | None) -> bool:
    """Say whether another file system is seen than before.

    Neither the source nor the part that is shown decides: disks get other names when a host starts, and a snapshot
    takes the place of a subvolume. Then the files are compared, as they are where nothing was mounted.
    """
    if before is None or after is None:
        return before is not after
    return before.kind != after.kind or bool(before.layers and after.layers > before.layers)


def _is_expected(before: Mount | None, after: Mount | None) -> bool:
    if before is None or after is None or not (before.automounted and after.automounted):
        return False
    return before.layers == 1 or after.layers == 1


def _was_entered(plan: Plan, before: Mount, watches: t.Iterable[int]) -> bool:
    return not _safe_fs.is_foreign(before.kind) or any(map(plan.crosses, watches))


def _concerned(plan: Plan, point: bytes) -> tuple[int, ...]:
    """Return the watches that have something at a point or below, the one that owns it first."""
    if point == b"/":
        return tuple(range(len(plan.watches)))
    above, name = parent(point), point[point.rindex(b"/") + 1 :]
    if plan.barred(above).get(name) == "":
        return ()
    owner, below = plan.rules(above).look(name)
    return tuple(dict.fromkeys([*({owner} - {NOBODY}), *sorted(below.watches)]))


def _is_below(path: bytes, points: t.Container[bytes]) -> bool:
    """Say whether a path is one of these points or below one."""
    while path not in points:
        if path == b"/":
            return False
        path = parent(path)
    return True
