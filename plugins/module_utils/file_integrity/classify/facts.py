# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of one change: the owner of the path, and whether its package changed and ships the file."""

from __future__ import annotations

import fnmatch
import posixpath
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.model import (
    ACCOUNT,
    DEFENCE,
    LIBRARY,
    LOCAL_PROGRAM,
    PERSISTENCE,
    PROGRAM,
)
from ansible_collections.bulwark.servers.plugins.module_utils.packages.databases import metadata_edited
from ansible_collections.bulwark.servers.plugins.module_utils.packages.dpkg import STATOVERRIDE_KEY
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import INCOMPLETE_KEY, is_package

# What authenticates, starts something, or guards that.
GUARDED_CATEGORIES = frozenset((PERSISTENCE, DEFENCE, ACCOUNT))
# Files that run as root, or that root's programs believe.
TRUSTED_CATEGORIES = frozenset((PROGRAM, LOCAL_PROGRAM, LIBRARY, PERSISTENCE, DEFENCE, ACCOUNT))


class Facts:
    """One change with what the context says about it."""

    def __init__(self, change: model.FileChange, context: model.Context) -> None:
        self.change = change
        self.context = context
        self.path = change.path
        self.before = change.before
        self.after = change.after
        self.watch = context.watches.get(change.watch)
        self.owned = context.packages.owner(change.path)

    @property
    def signed_only(self) -> bool:
        return self.context.signed_only

    @property
    def category(self) -> str:
        return self.watch.category if self.watch else ""

    @property
    def trusted(self) -> bool:
        return self.category in TRUSTED_CATEGORIES

    @property
    def label(self) -> str:
        """Return the owning package with its version."""
        return self.owned.label if self.owned else ""

    @property
    def former_owner(self) -> str | None:
        """Return the key of the package that owned the path in the baseline."""
        before = self.before
        return before.package if before is not None and before.path == self.path else None

    @property
    def upgraded(self) -> bool:
        """Say whether the owning package's installed version is not one that the baseline knew."""
        return self.owned is not None and self.version_changed(self.owned)

    @property
    def database_edited(self) -> bool:
        """Say whether the owning package's metadata changed under a version that did not."""
        return self.owned is not None and metadata_edited(
            self.context.baseline_snapshot, self.context.snapshot, self.owned.key, self.owned.version
        )

    @property
    def matches(self) -> bool | None:
        """Say whether the file is now what its package ships; None when the package doesn't say what that is."""
        if self.owned is None or self.after is None:
            return None
        return ships(self.owned, self.after)

    @property
    def recorded_mode(self) -> int | None:
        """Return the mode that the package manager itself records, unless that record may have been edited."""
        owned = self.owned
        if owned is None or owned.mode is None or self.database_edited:
            return None
        overrides = self.context.snapshot.get(STATOVERRIDE_KEY)
        if owned.manager == "dpkg" and overrides != self._of_baseline(STATOVERRIDE_KEY):
            return None
        return owned.mode

    @property
    def came_with_package(self) -> bool:
        """Say whether the file came with a new version of its package, which may set what it doesn't record.

        A signed package records all that it ships; what it does not record is not its own.
        """
        return self.upgraded and self.matches is True and not self.signed_only

    def version_changed(self, owned: model.Owned) -> bool:
        return owned.version not in self._of_baseline(owned.key)

    def changed_packages(self, globs: t.Sequence[str]) -> bool:
        """Say whether a package of one of these names came, went or changed its version since the baseline."""
        before, now = self.context.baseline_snapshot, self.context.snapshot
        if not before:  # nothing is known of then, so nothing can be said to have changed
            return False
        return any(
            before.get(key, {}).keys() != now.get(key, {}).keys() and _named(key, globs)
            for key in {**before, **now}
            if is_package(key)
        )

    def gone_package(self) -> tuple[str, str] | None:
        """Return name and version of the package that owned the path in the baseline and that isn't installed any more.

        A package is gone when none of the versions that the baseline knew is left, or not all of several. None where
        the database has parts missing: whoever damages a package's entry must not be able to delete its files unseen.
        """
        key = self.before.package if self.before else None
        if key is None or INCOMPLETE_KEY % key.split(":")[0] in self.context.snapshot:
            return None
        versions = self._of_baseline(key)
        left = self.context.snapshot.get(key, {})
        gone = sorted(version for version in versions if version not in left)
        return (key.split(":")[1], gone[0]) if gone else None

    def target(self, entry: model.Entry) -> bytes | None:
        """Return the absolute path that a symbolic link leads to, one step, without looking at the disk."""
        if entry.link_target is None:
            return None
        return posixpath.normpath(posixpath.join(posixpath.dirname(entry.path), entry.link_target))

    def target_owner(self, entry: model.Entry) -> model.Owned | None:
        """Return what a package manager records of a symbolic link's target."""
        target = self.target(entry)
        return None if target is None else self.context.packages.owner(target)

    def _of_baseline(self, key: str) -> t.Mapping[str, str]:
        versions: t.Mapping[str, str] = self.context.baseline_snapshot.get(key, {})
        return versions


def ships(owned: model.Owned, entry: model.Entry) -> bool | None:
    """Say whether a package ships exactly this: content for a file, target for a link, anything for a directory.

    None when the package records nothing to compare with, as dpkg for a link.
    """
    if owned.ghost:
        return None
    if entry.type == model.FILE:
        if owned.link_target is not None:
            return False
        return owned.has_content(entry.hashes or {})
    if owned.digests or (entry.type == model.DIRECTORY and owned.link_target is not None):
        return False
    if entry.type == model.LINK:
        return None if owned.link_target is None else owned.link_target == entry.link_target
    return True if entry.type == model.DIRECTORY else None


def is_code(entry: model.Entry) -> bool:
    """Say whether an entry is a program, a library or a kernel module."""
    return entry.type == model.FILE and model.is_code(entry.path, entry.mode or 0)


def _named(key: str, globs: t.Sequence[str]) -> bool:
    name = key.split(":")[1]
    return any(fnmatch.fnmatchcase(name, glob) for glob in globs)
