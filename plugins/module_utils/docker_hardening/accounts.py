# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts of a host: their names, and who may use a socket."""

from __future__ import annotations

import os
import stat
import struct
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Account, FileFact

_READ_LIMIT = 8 * 1024 * 1024
_GETENT = "/usr/bin/getent"
# A directory service may not answer.
_GETENT_SECONDS = 5.0
# Of nsswitch.conf(5); systemd has accounts of services while they run, none of which is a person or in a group.
_OWN_SERVICES = frozenset(("files", "compat", "systemd"))
# acl(5), linux/posix_acl_xattr.h: a version, then tag, permissions and number of each entry.
_ACL_HEADER = 4
_ACL_ENTRY = struct.Struct("<HHI")
_ACL_USER, _ACL_GROUP_OBJ, _ACL_GROUP, _ACL_MASK = 0x02, 0x04, 0x08, 0x10
_WRITE = 2
EVERYONE = "everyone"


class User(t.NamedTuple):
    """A line of passwd(5)."""

    name: str
    uid: int
    gid: int
    home: str


class Group(t.NamedTuple):
    """A line of group(5)."""

    name: str
    gid: int
    members: tuple[str, ...]


class Names:
    """The names of accounts and groups, by the host's own files: for names no directory service is asked."""

    def __init__(self, users: t.Sequence[User], groups: t.Sequence[Group]) -> None:
        # Of the same number the first one counts, as for getpwuid(3).
        self._users = {user.uid: user for user in reversed(users)}
        self._groups = {group.gid: group.name for group in reversed(groups)}

    def user(self, uid: int) -> str:
        return self._users[uid].name if uid in self._users else str(uid)

    def group(self, gid: int) -> str:
        return self._groups.get(gid, str(gid))

    def home(self, uid: int) -> str | None:
        return self._users[uid].home if uid in self._users else None


def local_names() -> Names:
    return Names(parse_users(_local("/etc/passwd")), parse_groups(_local("/etc/group")))


class Accounts:
    """Who may use sockets. problem: why not all accounts are known, None where they are."""

    def __init__(self) -> None:
        self._users: list[User] | None = None
        self._groups: dict[int, list[Group]] = {}
        self.problem: str | None = None

    def of(self, socket: FileFact, acl: bytes = b"") -> tuple[Account, ...]:
        """Return the accounts that may connect to a socket. acl: its access control list, as the kernel has it."""
        if self._users is None:
            self._users = parse_users(self._entries("passwd", ()) or _local("/etc/passwd"))
        uids, gids = writers(socket, acl)
        groups = [group for gid in sorted(gids) for group in self._group(gid)]
        return allowed(socket, self._users, uids, groups)

    def _group(self, gid: int) -> list[Group]:
        if gid not in self._groups:
            local = [group for group in parse_groups(_local("/etc/group")) if group.gid == gid]
            self._groups[gid] = local + parse_groups(self._entries("group", [str(gid)]))
        return self._groups[gid]

    def _entries(self, table: str, keys: t.Sequence[str]) -> bytes:
        """Return what the services of nsswitch.conf(5) know; nothing where the files are all that there is."""
        if not os.path.exists(_GETENT) or has_files_only(_local("/etc/nsswitch.conf"), table):
            return b""
        from ansible_collections.bulwark.servers.plugins.module_utils import _command

        try:
            return _command.run([_GETENT, table, *keys], timeout=_GETENT_SECONDS, max_output=_READ_LIMIT).stdout
        except _command.CommandError as error:
            self.problem = "the accounts of directory services are not known: %s" % error
            return b""


def has_files_only(configuration: bytes, table: str) -> bool:
    """Say whether nsswitch.conf(5) has nothing but the host's own files for a table."""
    for line in os.fsdecode(configuration).splitlines():
        name, _colon, services = line.partition("#")[0].partition(":")
        if name.strip() == table:
            return set(services.split()) <= _OWN_SERVICES
    return not configuration


def writers(socket: FileFact, acl: bytes) -> tuple[set[int], set[int]]:
    """Return the numbers of accounts and groups, but for the owner, that may write to a socket, which is to connect."""
    if not acl:
        return set(), {socket.gid} if socket.mode & stat.S_IWGRP else set()
    entries = [
        _ACL_ENTRY.unpack_from(acl, place)
        for place in range(_ACL_HEADER, len(acl) - _ACL_ENTRY.size + 1, _ACL_ENTRY.size)
    ]
    mask = next((permissions for tag, permissions, _number in entries if tag == _ACL_MASK), 7)
    effective = [(tag, number) for tag, permissions, number in entries if permissions & mask & _WRITE]
    uids = {number for tag, number in effective if tag == _ACL_USER}
    gids = {number for tag, number in effective if tag == _ACL_GROUP}
    return uids, gids | {socket.gid for tag, _number in effective if tag == _ACL_GROUP_OBJ}


def allowed(
    socket: FileFact, users: t.Sequence[User], uids: t.Container[int], groups: t.Sequence[Group]
) -> tuple[Account, ...]:
    """Return the accounts that may connect; uids, groups: that may write besides the owner."""
    found: dict[str, Account] = {}
    by_name = {user.name: user.uid for user in reversed(users)}
    group_names = {group.gid: group.name for group in reversed(groups)}
    for user in users:
        if user.uid == 0:
            found.setdefault(user.name, Account(user.name, 0, "uid 0"))
        elif user.uid == socket.uid:
            found.setdefault(user.name, Account(user.name, user.uid, "owner of the socket"))
        elif user.uid in uids:
            found.setdefault(user.name, Account(user.name, user.uid, "access control list of the socket"))
        elif user.gid in group_names:
            found.setdefault(user.name, Account(user.name, user.uid, "primary group %s" % group_names[user.gid]))
    for group in groups:
        for name in group.members:
            found.setdefault(name, Account(name, by_name.get(name, -1), "member of %s" % group.name))
    if socket.uid not in {user.uid for user in users}:
        found.setdefault(str(socket.uid), Account(str(socket.uid), socket.uid, "owner of the socket"))
    if socket.mode & stat.S_IWOTH:
        found[EVERYONE] = Account(EVERYONE, -1, "mode %04o of the socket" % socket.mode)
    return tuple(sorted(found.values(), key=lambda account: (account.uid, account.name)))


def parse_users(text: bytes) -> list[User]:
    """Return the lines of passwd(5); lines of another form are left out."""
    found = []
    for line in os.fsdecode(text).splitlines():
        words = line.split(":")
        if len(words) == 7 and words[2].isdigit() and words[3].isdigit():
            found.append(User(words[0], int(words[2]), int(words[3]), words[5]))
    return found


def parse_groups(text: bytes) -> list[Group]:
    """Return the lines of group(5); lines of another form are left out."""
    found = []
    for line in os.fsdecode(text).splitlines():
        words = line.split(":")
        if len(words) == 4 and words[2].isdigit():
            found.append(Group(words[0], int(words[2]), tuple(filter(None, words[3].split(",")))))
    return found


def _local(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(_READ_LIMIT)
    except OSError:
        return b""
