# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that a command of a maintainer script left what such commands leave, by what is on the host now."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.explain.package_proof import PackageProof
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import Owned, read_state

_ACCOUNT_TOOLS = frozenset(("adduser", "useradd", "usermod", "luseradd"))
_SERVICE_TOOLS = frozenset(("systemctl", "deb-systemd-invoke", "service", "invoke-rc.d"))
_STOPS = frozenset(("stop", "restart", "try-restart", "force-stop", "reload-or-restart"))
_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\Z")
_UNIT = re.compile(r"[A-Za-z0-9_.-]{1,128}\Z")
_NO_SHELLS = frozenset((b"/usr/sbin/nologin", b"/sbin/nologin", b"/usr/bin/nologin", b"/bin/false", b"/usr/bin/false"))
# Whoever is in one of these groups is next to root.
_STRONG_GROUPS = frozenset(b"root shadow disk kmem sudo wheel adm admin docker lxd libvirt staff".split())
_FIRST_PERSON = 1000
_UNIT_DIRECTORIES = (b"/usr/lib/systemd/system/", b"/lib/systemd/system/")
_CONTROL_GROUPS = (b"/sys/fs/cgroup/system.slice/", b"/sys/fs/cgroup/systemd/system.slice/")


def proved_command(arguments: t.Sequence[str], package: Owned, proof: PackageProof) -> str | None:
    """Return what a command of a package's script did, as the end of a sentence; None where nothing proves it."""
    for number, argument in enumerate(arguments[:4]):
        tool, rest = os.path.basename(argument), arguments[number + 1 :]
        if tool in _ACCOUNT_TOOLS:
            return _system_account(rest, proof)
        if tool in _SERVICE_TOOLS:
            return _own_service(rest, package, proof)
    return None


def _system_account(arguments: t.Sequence[str], proof: PackageProof) -> str | None:
    """Prove that an account is one that nobody can sign in with, and that is in no strong group."""
    name = arguments[-1] if arguments else ""
    if not _ACCOUNT.match(name):
        return None
    account = os.fsencode(name)
    entry, shadow = _line(proof, b"/etc/passwd", account), _line(proof, b"/etc/shadow", account)
    if len(entry) != 7 or len(shadow) < 2 or shadow[1][:1] not in (b"!", b"*"):
        return None
    uid = int(entry[2]) if entry[2].isdigit() else 0
    if not 0 < uid < _FIRST_PERSON or entry[6] not in _NO_SHELLS:
        return None
    groups = [line.split(b":") for line in read_state(proof.place(b"/etc/group")).split(b"\n")]
    for group in groups:
        is_member = len(group) == 4 and (account in group[3].split(b",") or group[2] == entry[3])
        if is_member and group[0] in _STRONG_GROUPS:
            return None
    return "has the system account %s" % name


def _line(proof: PackageProof, path: bytes, account: bytes) -> list[bytes]:
    for line in read_state(proof.place(path)).split(b"\n"):
        fields = line.split(b":")
        if fields[0] == account:
            return fields
    return []


def _own_service(arguments: t.Sequence[str], package: Owned, proof: PackageProof) -> str | None:
    """Prove that what a script stops is its package's own, and runs again."""
    words = [argument for argument in arguments if not argument.startswith("-")]
    actions = [word for word in words if word in _STOPS]
    units = [word for word in words if word not in _STOPS]
    if len(actions) != 1 or not units or not all(_UNIT.match(unit) for unit in units):
        return None
    for unit in units:
        name = os.fsencode(unit[: -len(".service")] if unit.endswith(".service") else unit)
        if not _is_of_package(name, package, proof) or not _runs(name, proof):
            return None
    return "stops its own %s, which runs again" % ", ".join(units)


def _is_of_package(name: bytes, package: Owned, proof: PackageProof) -> bool:
    paths = [directory + name + b".service" for directory in _UNIT_DIRECTORIES]
    owners = [proof.owner(path) for path in (*paths, b"/etc/init.d/" + name)]
    return any(owned is not None and owned.key == package.key for owned in owners)


def _runs(name: bytes, proof: PackageProof) -> bool:
    return any(_has_process(proof.place(group + name + b".service/cgroup.procs")) for group in _CONTROL_GROUPS)


def _has_process(path: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return bool(file.read(64))
    except OSError:
        return False
