# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell when package managers have changed something, by the files that they write."""

from __future__ import annotations

import os

_MOST_LOCKS = 1 << 22
_DPKG = b"/var/lib/dpkg"
# Where other package managers note what they have installed.
_DATABASES = (
    b"/usr/lib/sysimage/rpm/rpmdb.sqlite",
    b"/var/lib/rpm/rpmdb.sqlite",
    b"/var/lib/rpm/Packages",
    b"/var/lib/rpm/Packages.db",
    b"/usr/lib/sysimage/rpm/Packages.db",
    b"/lib/apk/db/installed",
    b"/usr/lib/apk/db/installed",
    b"/var/lib/pacman/local",
)


class PackageManagers:
    """Ask the files of dpkg, rpm, apk and pacman."""

    def installed_since(self, owner: str, when: float) -> bool:
        """Say whether a package was installed, or another version of it, after a time.

        owner: its name and version. dpkg writes a file for each package when it has unpacked it; of others only the
        time is known when anything was installed.
        """
        name = os.fsencode(owner.partition(" ")[0])
        listed = _DPKG + b"/info/"
        try:
            lists = [each for each in os.listdir(listed) if each == name + b".list" or _is_list_of(each, name)]
        except OSError:
            lists = []
        if lists:
            return any(_changed(listed + each) >= when for each in lists)
        return any(_changed(path) >= when for path in _DATABASES)

    def is_dpkg_at_work(self) -> bool:
        """Say whether somebody holds dpkg's lock (proc_locks(5)); only root can."""
        try:
            lock = os.stat(_DPKG + b"/lock")
            with open("/proc/locks", "rb") as stream:
                return b":%d " % lock.st_ino in stream.read(_MOST_LOCKS)
        except OSError:
            return False

    def packages_changed_since(self, when: float) -> bool:
        """Say whether any package was installed, removed or upgraded after a time."""
        return any(_changed(path) >= when for path in (_DPKG + b"/status", *_DATABASES))


def _changed(path: bytes) -> float:
    """Return when a file's status was changed: unlike its other times, nobody can set this one."""
    try:
        return os.stat(path).st_ctime
    except (OSError, ValueError):
        return float("-inf")


def _is_list_of(name: bytes, package: bytes) -> bool:
    return name.endswith(b".list") and name.startswith(package + b":")
