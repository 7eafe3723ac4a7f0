# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Define the types that readers of startups take and return."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.investigation import mentions


class Startup(t.NamedTuple):
    """The programs that one file starts.

    commands: as they are written, at most 20. programs: absolute paths that it starts or loads. accounts: names or
    numbers of the accounts that it runs as, or lets in. details: plain values for the node, by name.
    """

    commands: t.Sequence[bytes] = ()
    programs: t.Sequence[bytes] = ()
    accounts: t.Sequence[str] = ()
    details: t.Mapping[str, t.Any] = {}


class Source(t.NamedTuple):
    """A file that defines a startup. account: whose home directory it is in, or whose table it is, "" for none."""

    path: bytes
    content: bytes
    account: str = ""


Reader = t.Callable[[Source], Startup]

MOST_COMMANDS = 20
MOST_PROGRAMS = 50


def of_commands(commands: t.Iterable[bytes], accounts: t.Iterable[str] = (), **details: t.Any) -> Startup:
    """Return a startup of commands, with the absolute paths that these name as its programs."""
    listed = [command for command in commands if command]
    programs: dict[bytes, None] = {}
    for command in listed:
        programs.update(dict.fromkeys(mentions.find(command).paths))
    return Startup(
        tuple(listed[:MOST_COMMANDS]),
        tuple(programs)[:MOST_PROGRAMS],
        tuple(dict.fromkeys(account for account in accounts if account)),
        {name: value for name, value in details.items() if value},
    )
