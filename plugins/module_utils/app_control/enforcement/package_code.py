# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests of what may run while packages are installed, upgraded or removed."""

from __future__ import annotations

import hashlib
import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.packages import dpkg_files
from ansible_collections.bulwark.servers.plugins.module_utils.packages.archives import Archive, Shipped

DPKG = "/var/lib/dpkg"
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config")
_MOST_SCRIPT = 1 << 24
# Documentation, translations and data that no interpreter reads; kernel modules, which only the kernel does.
_DATA = re.compile(
    rb"/usr/share/(?:doc|man|info|locale|i18n|icons|pixmaps|fonts|help|lintian|zoneinfo|mime|applications|metainfo)/"
    rb"|/usr/include/|\.(?:ko|ko\.xz|ko\.zst|ko\.gz|mo|png|svg|gz|h|html|a)\Z"
)
_SETTLED = ("config-files", "not-installed")


def archive_digests(archive: Archive) -> set[str]:
    """Return the digests of an archive's scripts and of its files that may be code."""
    scripts = {hashlib.sha256(archive.control[name]).hexdigest() for name in _SCRIPTS if name in archive.control}
    return scripts | {
        shipped.sha256 for path, shipped in archive.files.items() if shipped.sha256 and _may_be_code(path, shipped)
    }


def _may_be_code(path: bytes, shipped: Shipped) -> bool:
    return bool(shipped.mode & 0o111) or not _DATA.search(path)


def script_digests(directory: str = DPKG) -> set[str]:
    """Return the digests of the scripts of all installed packages.

    An upgrade runs those of other packages, too: as triggers, and when it removes what is in conflict. dpkg records no
    digests of them; it runs them whatever is in them, and only root can write there.
    """
    digests = set()
    info = os.path.join(directory, "info")
    for name in os.listdir(info):
        if name.rpartition(".")[2] in _SCRIPTS:
            with open(os.path.join(info, name), "rb") as stream:
                digests.add(hashlib.sha256(stream.read(_MOST_SCRIPT)).hexdigest())
    return digests


def unfinished(directory: str = DPKG) -> list[str]:
    """Return the names of packages that dpkg has not installed, upgraded or removed to the end."""
    stanzas: dict[tuple[str, str], t.Any] = {}
    updates = os.path.join(directory, "updates")
    journal = sorted(name for name in os.listdir(updates) if name.isdigit()) if os.path.isdir(updates) else []
    for path in (os.path.join(directory, "status"), *(os.path.join(updates, name) for name in journal)):
        with open(path, "rb") as stream:
            stanzas.update(dpkg_files.parse_status(stream.read()))
    return sorted({each.name for each in stanzas.values() if not each.settled and each.state not in _SETTLED})
