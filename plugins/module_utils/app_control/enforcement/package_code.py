# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests of what may run while packages are installed, upgraded or removed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import VERIFIED
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.host_files import (
    HostFiles,
    UnreadableError,
    may_run,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.rule_lines import (
    SYSTEM_DIRECTORIES,
)
from ansible_collections.bulwark.servers.plugins.module_utils.packages import dpkg_files
from ansible_collections.bulwark.servers.plugins.module_utils.packages.archives import Archive, Shipped
from ansible_collections.bulwark.servers.plugins.module_utils.packages.files import Files

DPKG = "/var/lib/dpkg"
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config")
_MOST_SCRIPT = 1 << 24
# Packages that know nothing of a merged /usr have the short names; kernels and their modules run in no process.
_SYSTEM = (*(os.fsencode(path) for path in SYSTEM_DIRECTORIES), b"/lib", b"/bin/", b"/sbin/", b"/boot/")
_FIELD = re.compile(rb"^(Package|Depends|Pre-Depends):[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)
_TRIGGERS, _INTEREST = ".triggers", re.compile(rb"^\s*interest", re.MULTILINE)
_MANAGER = "dpkg"
_SETTLED = ("config-files", "not-installed")


def archive_digests(archive: Archive) -> set[str]:
    """Return the digests of an archive's scripts and of its files that may be code."""
    scripts = {hashlib.sha256(archive.control[name]).hexdigest() for name in _SCRIPTS if name in archive.control}
    return scripts | {
        shipped.sha256 for path, shipped in archive.files.items() if shipped.sha256 and _may_be_code(path, shipped)
    }


def _may_be_code(path: bytes, shipped: Shipped) -> bool:
    # Scripts below directories of the system may be read by interpreters in any case.
    return may_run(path, bool(shipped.mode & 0o111)) or not path.startswith(_SYSTEM)


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


def archive_packages(archive: Archive) -> set[str]:
    """Return the name of an archive's package, with those that it depends on."""
    fields = dict(_FIELD.findall(archive.control.get("control", b"")))
    relations = b",".join(fields.values()).decode("utf-8", "replace")
    return set(dpkg_files.relation_names(relations))


def triggered(directory: str = DPKG) -> set[str]:
    """Return the names of packages whose scripts run when others change (deb-triggers(5))."""
    names = set()
    info = os.path.join(directory, "info")
    for name in os.listdir(info):
        if name.endswith(_TRIGGERS):
            with open(os.path.join(info, name), "rb") as stream:
                if _INTEREST.search(stream.read(_MOST_SCRIPT)):
                    names.add(name[: -len(_TRIGGERS)].partition(":")[0])
    return names


def installed_digests(names: t.Collection[str], trusted: t.Container[str]) -> set[str]:
    """Return the digests of programs and libraries of installed packages that their scripts may run, as packaged.

    names: of packages; what they depend on is added. trusted: paths that the policy has.
    """
    packages = Files(b"/")
    depends = packages.packages.dependencies()
    closure: set[tuple[str, str]] = set()
    wanted = [(_MANAGER, name) for name in names]
    while wanted:
        package = wanted.pop()
        if package not in closure:
            closure.add(package)
            wanted.extend(depends.get(package, ()))
    files = HostFiles(packages)
    digests = set()
    for path, owned in packages.packages.owned_files(files.is_wanted):
        if (owned.manager, owned.package) in closure and os.fsdecode(path) not in trusted:
            with contextlib.suppress(UnreadableError):
                file = files.of_package(path, owned)
                if file is not None and file.verification == VERIFIED:
                    digests.add(file.sha256)
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
