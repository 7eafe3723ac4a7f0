# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names that one file can have in a package database because a distribution merged directories.

On a system with merged /usr the file /usr/bin/ls may be listed as /bin/ls, and the other way round
(https://systemd.io/THE_CASE_FOR_THE_USR_MERGE/); Fedora 42 merged /usr/sbin into /usr/bin the same way.
"""

from __future__ import annotations

import os

# Directories that a distribution replaced by a link to another; each counts only where it is a link on this host.
_CANDIDATES = (
    *(b"/bin", b"/sbin", b"/lib", b"/lib32", b"/lib64", b"/libx32", b"/libo32"),
    *(b"/usr/sbin", b"/usr/lib64", b"/usr/local/sbin", b"/usr/local/lib64"),
    *(b"/etc/init.d", b"/etc/rc.d", b"/etc/rc.d/init.d"),
    *(b"/etc/rc%d.d" % level for level in range(7)),
    *(b"/var/run", b"/var/lock", b"/var/mail"),
)

_LINKS_LIMIT = 40  # as the kernel's own, path_resolution(7)


class MergedDirectories:
    """The merged directories of one root."""

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._links: list[tuple[bytes, bytes]] = []
        for name in _CANDIDATES:
            target = self._target(name)
            if target != name:
                self._links.append((name + b"/", target + b"/"))

    def real(self, path: bytes) -> bytes:
        """Return ``path`` with a merged directory at its beginning replaced by what it links to."""
        for link, target in self._links:
            if path.startswith(link):
                return target + path[len(link) :]
        return path

    def names(self, path: bytes) -> list[bytes]:
        """Return every name of the file at ``path``, its real one first."""
        real = self.real(path)
        names_of_file = [real]
        for link, target in self._links:
            if real.startswith(target):
                names_of_file.append(link + real[len(target) :])
        return names_of_file

    def _target(self, name: bytes) -> bytes:
        for _step in range(_LINKS_LIMIT):
            link = self._first_link(name)
            if link is None:
                return name
            prefix, text = link
            name = os.path.normpath(os.path.join(os.path.dirname(prefix), text) + name[len(prefix) :])
        return name

    def _first_link(self, name: bytes) -> tuple[bytes, bytes] | None:
        prefix = b""
        for part in name.split(b"/")[1:]:
            prefix += b"/" + part
            try:
                return prefix, os.readlink(self._root.rstrip(b"/") + prefix)
            except OSError:
                continue
        return None
