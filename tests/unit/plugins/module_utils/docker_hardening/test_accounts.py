# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may use a socket."""

from __future__ import annotations

import struct

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import accounts
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.accounts import Group
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Account, FileFact

_USERS = accounts.parse_users(
    b"root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n"
    b"bob:x:1001:106::/home/bob:/bin/sh\ncarol:x:1002:1002::/home/carol:/bin/sh\nbroken:x\n:\xff"
)
_DOCKER = Group("docker", 106, ("alice", "ldapuser"))
_SOCKET = FileFact("/run/docker.sock", "socket", 0o660, 0, 106)


def test_members_also_those_by_their_primary_group_and_everybody_with_number_0_may() -> None:
    assert accounts.allowed(_SOCKET, _USERS, {1002}, [_DOCKER]) == (
        Account("ldapuser", -1, "member of docker"),
        Account("root", 0, "uid 0"),
        Account("toor", 0, "uid 0"),
        Account("alice", 1000, "member of docker"),
        Account("bob", 1001, "primary group docker"),
        Account("carol", 1002, "access control list of the socket"),
    )


def test_the_owner_may_and_everybody_where_the_mode_says_so() -> None:
    found = accounts.allowed(_SOCKET._replace(uid=1000, mode=0o666), _USERS, set(), [])
    assert [(account.name, account.by) for account in found] == [
        ("everyone", "mode 0666 of the socket"),
        ("root", "uid 0"),
        ("toor", "uid 0"),
        ("alice", "owner of the socket"),
    ]
    assert Account("77", 77, "owner of the socket") in accounts.allowed(_SOCKET._replace(uid=77), _USERS, set(), [])


def _acl(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


@pytest.mark.parametrize(
    ("mode", "acl", "expected"),
    [
        (0o660, b"", (set(), {106})),
        (0o640, b"", (set(), set())),
        (0o660, _acl((1, 6, 0), (2, 6, 7), (4, 4, 0), (8, 6, 8), (16, 7, 0)), ({7}, {8})),
        (0o640, _acl((2, 6, 7), (4, 6, 0), (8, 6, 8), (16, 4, 0)), (set(), set())),
        (0o660, _acl((4, 6, 0), (2, 4, 7)), (set(), {106})),
        (0o660, b"x", (set(), set())),
    ],
)
def test_an_access_control_list_counts_in_place_of_the_mode(
    mode: int, acl: bytes, expected: tuple[set[int], set[int]]
) -> None:
    assert accounts.writers(_SOCKET._replace(mode=mode), acl) == expected


def test_names_are_those_of_the_first_line_with_a_number() -> None:
    names = accounts.Names(_USERS, [_DOCKER])
    assert [names.user(0), names.user(5), names.group(106), names.group(5)] == ["root", "5", "docker", "5"]
    assert [names.home(1000), names.home(5)] == ["/home/alice", None]
