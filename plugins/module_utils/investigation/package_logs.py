# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the logs of package managers: dpkg, apt, dnf and yum, zypper, pacman."""

from __future__ import annotations

import re
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import stamps

_MOST_CHANGES = 20_000
_DPKG = re.compile(
    rb"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (install|upgrade|remove|purge) ([a-z0-9][a-z0-9+.-]*)(?::\w+)? (\S+) (\S+)$",
    re.MULTILINE,
)
_APT_ITEM = re.compile(r"([a-z0-9][a-z0-9+.-]*)(?::[\w-]+)? \(([^)]*)\)")
_APT_ACTIONS: t.Mapping[str, str] = {
    "Install": "installed",
    "Reinstall": "installed again",
    "Upgrade": "upgraded",
    "Downgrade": "downgraded",
    "Remove": "removed",
    "Purge": "removed",
}
_DPKG_ACTIONS: t.Mapping[bytes, str] = {
    b"install": "installed",
    b"upgrade": "upgraded",
    b"remove": "removed",
    b"purge": "removed",
}
# dnf.rpm.log and yum.log name a package with its version; the time is in front in a form of its own.
_RPM = re.compile(
    r"^(.{15,40}?) (?:[A-Z]{4,9} )?(Installed|Updated|Upgraded|Upgrade|Erased|Erase|Removed|Reinstalled|Downgraded): "
    r"(?:\d+:)?([\w+.-]+?)-(?:\d+:)?(\d[\w.+~^]*-[\w.+~^]+)\.\w+$",
    re.MULTILINE,
)
_PACMAN = re.compile(
    r"^\[(.{10,40}?)\] \[ALPM\] (installed|upgraded|removed|reinstalled) (\S+) \((.{1,200})\)$", re.MULTILINE
)
_ZYPP = re.compile(
    r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\|(install|remove ?)\|([^|]+)\|([^|]+)\|[^|]*\|([^|]*)\|", re.MULTILINE
)


class Change(t.NamedTuple):
    """time: seconds since the epoch. action: a past participle. by: the account that asked for it, "" if unknown."""

    time: float
    action: str
    package: str
    version: str
    by: str = ""
    command: str = ""


def dpkg(content: bytes) -> list[Change]:
    """Read dpkg.log; its times are those of the host's zone."""
    changes = []
    for match in _limited(_DPKG.finditer(content)):
        stamp, action, name, old, new = match.groups()
        seconds = _local(stamp.decode("ascii"))
        if seconds is not None:
            version = (old if action in (b"remove", b"purge") else new).decode("utf-8", "replace")
            changes.append(Change(seconds, _DPKG_ACTIONS[action], name.decode("ascii"), version))
    return changes


def apt(content: bytes) -> list[Change]:
    """Read apt's history.log: who asked for what, and the command."""
    changes: list[Change] = []
    for stanza in content.decode("utf-8", "replace").split("\n\n"):
        fields = dict(line.partition(": ")[::2] for line in stanza.split("\n") if ": " in line)
        seconds = _local(" ".join(fields.get("Start-Date", "").split()))
        if seconds is None:
            continue
        by, command = fields.get("Requested-By", "").partition(" ")[0], fields.get("Commandline", "")
        for field, action in _APT_ACTIONS.items():
            for name, versions in _APT_ITEM.findall(fields.get(field, "")):
                version = [part for part in versions.split(", ") if part != "automatic"][-1:] or [""]
                changes.append(Change(seconds, action, name, version[0], by, command))
        if len(changes) > _MOST_CHANGES:
            break
    return changes


def rpm(content: bytes, modified: float) -> list[Change]:
    """Read dnf.rpm.log and yum.log. modified: when the file was last written, for times without a year."""
    clock = stamps.Clock(modified)
    changes = []
    for match in _limited(_RPM.finditer(content.decode("utf-8", "replace"))):
        stamp, action, name, version = match.groups()
        seconds = stamps.read_text(stamp, clock)
        if seconds is not None:
            words = {"Erased": "removed", "Erase": "removed", "Upgrade": "upgraded", "Updated": "upgraded"}
            changes.append(Change(seconds, words.get(action, action.lower()), name, version))
    return changes


def pacman(content: bytes) -> list[Change]:
    """Read pacman.log."""
    changes = []
    for match in _limited(_PACMAN.finditer(content.decode("utf-8", "replace"))):
        seconds = stamps.read_text(match.group(1), stamps.Clock(4e9))
        if seconds is not None:
            version = match.group(4).rpartition(" -> ")[2]
            changes.append(Change(seconds, match.group(2), match.group(3), version))
    return changes


def zypp(content: bytes) -> list[Change]:
    """Read zypper's history; the account is in the field of the command's user."""
    changes = []
    for match in _limited(_ZYPP.finditer(content.decode("utf-8", "replace"))):
        seconds = _local(match.group(1))
        if seconds is not None:
            action = "installed" if match.group(2) == "install" else "removed"
            by = match.group(5).partition("@")[0]
            changes.append(Change(seconds, action, match.group(3), match.group(4), by))
    return changes


def _limited(matches: t.Iterator[t.Any]) -> t.Iterator[t.Any]:
    for _number, match in zip(range(_MOST_CHANGES), matches):
        yield match


def _local(stamp: str) -> float | None:
    try:
        return time.mktime(time.strptime(stamp, "%Y-%m-%d %H:%M:%S"))
    except (ValueError, OverflowError):
        return None
