# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Speaking with iptables(8) and ip6tables(8), in either of their variants: what the host calls by that name."""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _command
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError

# For each chain of a table its rules as iptables-save writes them, without "-A CHAIN".
Chains = t.Dict[str, t.List[str]]
# What iptables-restore takes, for each table.
Lines = t.Mapping[str, t.Sequence[str]]

PROGRAMS = {4: "iptables", 6: "ip6tables"}
# Linux before 3.17 has no thread-self.
_NETS = ("/proc/thread-self/net", "/proc/self/net")
_MOST_OUTPUT = 1 << 26
_LONGEST_MESSAGE = 300
# What iptables ends with while another one changes rules (RESOURCE_PROBLEM), and how it is waited for, in seconds.
_BUSY = 4
_PAUSE = 0.2
_NO_KERNEL = ("can't initialize iptables table", "can't initialize ip6tables table", "Table does not exist")


class IpTables:
    """Runs the programs of one version of IP. Every method raises FirewallError when that can't be done."""

    def __init__(self, version: int, timeout: float = 30.0) -> None:
        """version: of IP, 4 or 6; timeout: seconds for one call, and to wait for another iptables."""
        self._program = PROGRAMS[version]
        self._timeout = timeout

    def chains(self, table: str) -> Chains:
        """Return the chains of a table, as "filter"."""
        found = parsed(run([self._program + "-save", "-t", table], self._timeout))
        return found[0] if found else {}

    def apply(self, lines: Lines) -> None:
        """Do all the lines say to a table, or nothing of it, one table after the other; all other rules stay.

        A chain of ours that is declared (``:CHAIN - [0:0]``) is made, or is empty then.
        """
        run([self._program + "-restore", "--noflush"], self._timeout, transactions(lines))


def versions() -> tuple[int, ...]:
    """Return the versions of IP that the host has: 6 may be switched off."""
    net = next(path for path in (*_NETS, "/") if os.path.isdir(path))
    return (4, 6) if os.path.exists(os.path.join(net, "if_inet6")) else (4,)


def rehearsed(sets: str, rules: t.Mapping[int, Lines], timeout: float = 30.0) -> dict[tuple[int, str], Chains]:
    """Return the chains as they are where only this was applied, in a network of its own, as iptables writes them.

    sets: text for ipset; rules: for each version of IP. By version and table. Nothing is changed for the host.
    """
    script = [_fed("ipset -exist restore", sets)]
    parts = [(version, table) for version, lines in rules.items() for table in lines]
    for version, lines in rules.items():
        script.append(_fed(PROGRAMS[version] + "-restore --noflush", transactions(lines)))
    script += ["%s-save -t %s || exit\n" % (PROGRAMS[version], table) for version, table in parts]
    return dict(zip(parts, parsed(alone(("/bin/sh", "-s"), timeout, "".join(script), "iptables"))))


def alone(command: t.Sequence[str], timeout: float = 30.0, text: str | None = None, name: str | None = None) -> str:
    """Run a command in a network of its own. name: for the sentence when it fails. FirewallError."""
    return run(("unshare", "--net", "--", *command), timeout, text, name)


def _fed(command: str, text: str) -> str:
    return "%s <<'END' || exit\n%sEND\n" % (command, text)


def transactions(lines: Lines) -> str:
    """Return the text for iptables-restore."""
    return "".join(
        "*%s\n%sCOMMIT\n" % (table, "".join("%s\n" % line for line in found)) for table, found in lines.items()
    )


def parsed(text: str) -> list[Chains]:
    """Return the tables of what iptables-save wrote, in their order."""
    found: list[Chains] = []
    for line in text.splitlines():
        if line.startswith("*"):
            found.append({})
        elif line.startswith(":") and found:
            found[-1].setdefault(line[1:].split(" ", 1)[0], [])
        elif line.startswith("-A ") and found:
            _add, chain, rule = (*line.split(" ", 2), "")[:3]
            found[-1].setdefault(chain, []).append(rule)
    return found


def run(command: t.Sequence[str], timeout: float, text: str | None = None, name: str | None = None) -> str:
    """Run one of the programs, again while another one holds the lock on the rules. FirewallError.

    name: of the program for people, where it is not the first word of the command.
    """
    given = None if text is None else text.encode("ascii")
    end = time.monotonic() + timeout
    while True:
        try:
            completed = _command.run(command, timeout, _MOST_OUTPUT, given)
        except _command.CommandError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                package = "iptables" if "tables" in command[0] else "util-linux"
                raise FirewallError("there is no %s on this host: install %s" % (command[0], package)) from None
            raise FirewallError("iptables can't be used: %s" % error) from None
        if completed.returncode != _BUSY or time.monotonic() >= end:
            break
        time.sleep(_PAUSE)
    if completed.returncode:
        raise FirewallError(explain(name or command[0], completed.stderr.decode("utf-8", "replace")))
    return completed.stdout.decode("utf-8", "replace")


def explain(program: str, said: str) -> str:
    """Return the sentence for what a program wrote when it failed."""
    if "Permission denied" in said or "Operation not permitted" in said:
        return "%s can't be used without the right to administer the network: run it as root (become)" % program
    if any(words in said for words in _NO_KERNEL):
        return "the kernel of this host has nothing that %s could use: load or build its modules" % program
    # Warnings of other tables come before what went wrong.
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("#")] or ["it said nothing"]
    told = [line for line in lines if program in line] or lines
    return "%s failed: %s; nothing of it was changed" % (program, printable(told[0].strip())[:_LONGEST_MESSAGE])
