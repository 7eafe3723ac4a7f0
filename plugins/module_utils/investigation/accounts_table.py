# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the accounts of a host from its own /etc/passwd and /etc/group; no name service is asked, one may hang."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host

MOST_ACCOUNTS = 5_000
_LIMIT = 4 << 20


class Account(t.NamedTuple):
    """An entry of passwd(5)."""

    name: str
    uid: int
    gid: int
    home: bytes
    shell: bytes


class Accounts:
    """The accounts of a host, by number and by name."""

    def __init__(self, entries: t.Iterable[Account]) -> None:
        self.entries = list(entries)
        self.by_name = {account.name: account for account in reversed(self.entries)}
        self.by_uid = {account.uid: account for account in reversed(self.entries)}

    def uid(self, name: str) -> int | None:
        """Return the number of an account by its name, or of a number as text; None for an unknown one."""
        # Others than ASCII's are digits, too, and no number.
        if name.isascii() and name.isdigit() and len(name) <= 10:
            return int(name)
        account = self.by_name.get(name)
        return account.uid if account is not None else None

    def homes(self) -> dict[bytes, str]:
        """Return the home directories with the name of the first account of each; / and other texts do not count."""
        homes: dict[bytes, str] = {}
        for account in self.entries:
            home = account.home.rstrip(b"/")
            if home.startswith(b"/") and b"/.." not in home:
                homes.setdefault(home, account.name)
        return homes


def read(host: Host, budget: Budget) -> Accounts:
    """Return the accounts of /etc/passwd, at most 5,000."""
    try:
        content = host.read(b"/etc/passwd", _LIMIT)
    except OSError as error:
        budget.skip("/etc/passwd", error.strerror or str(error))
        return Accounts(())
    return Accounts(parse(content))


def parse(content: bytes) -> t.Iterator[Account]:
    """Yield the entries of passwd(5); lines of another form are left out."""
    for line in content.split(b"\n")[:MOST_ACCOUNTS]:
        fields = line.split(b":")
        if (
            len(fields) == 7
            and fields[0]
            and fields[2].isdigit()
            and fields[3].isdigit()
            and len(fields[2] + fields[3]) <= 20
        ):
            name = fields[0].decode("utf-8", "surrogateescape")
            yield Account(name, int(fields[2]), int(fields[3]), fields[5], fields[6])


def groups(content: bytes) -> dict[str, set[str]]:
    """Return the members of each group of group(5) that has any."""
    members: dict[str, set[str]] = {}
    for line in content.split(b"\n")[:MOST_ACCOUNTS]:
        fields = line.decode("utf-8", "surrogateescape").split(":")
        if len(fields) == 4 and fields[3]:
            members[fields[0]] = {name for name in fields[3].split(",") if name}
    return members
