# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Speaking with the kernel's sets through ipset(8), for hosts whose packet filter is iptables."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _command
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element, FirewallError

# An entry is written in about 60 bytes, and the largest set of ours holds 131,072.
_MOST_OUTPUT = 1 << 26
_LONGEST_MESSAGE = 300
_REFERENCES = re.compile(r"^References: [1-9]", re.MULTILINE)
# What ipset says where the kernel has no such thing as sets.
_NO_KERNEL = ("Cannot open session to kernel", "Kernel support", "Invalid argument: Kernel")


class IpSet:
    """Runs ipset. Every method raises FirewallError when that can't be done."""

    def __init__(self, timeout: float = 30.0, program: str = "ipset") -> None:
        """timeout: seconds for one call."""
        self._timeout = timeout
        self._program = program

    def apply(self, text: str) -> None:
        """Do what the lines say; what is there already, or gone already, is none of their concern.

        Each line takes effect by itself. After one that fails, none is done.
        """
        self._run(["-exist", "restore"], text)

    def apply_strictly(self, text: str) -> None:
        """Do what the lines say, up to the first that adds what is there or deletes what is not."""
        self._run(["restore"], text)

    def names(self) -> list[str]:
        """Return the names of all sets, whoever made them."""
        return self._run(["-n", "list"]).split()

    def elements(self, name: str) -> list[Element]:
        """Return what is in a set that is there; what is expired is not. left is None where an element stays."""
        found = (element(line) for line in self._run(["save", name]).splitlines())
        return [one for one in found if one is not None]

    def is_used(self, name: str) -> bool:
        """Say whether rules use a set that is there."""
        return _REFERENCES.search(self._run(["-t", "list", name])) is not None

    def _run(self, arguments: t.Sequence[str], text: str | None = None) -> str:
        given = None if text is None else text.encode("ascii")
        try:
            completed = _command.run([self._program, *arguments], self._timeout, _MOST_OUTPUT, given)
        except _command.CommandError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise FirewallError("there is no %s on this host: install ipset" % self._program) from None
            raise FirewallError("the kernel's sets can't be used: %s" % error) from None
        if completed.returncode:
            raise FirewallError(explain(completed.stderr.decode("utf-8", "replace")))
        return completed.stdout.decode("utf-8", "replace")


def explain(said: str) -> str:
    """Return the sentence for what ipset wrote when it failed."""
    if "Operation not permitted" in said or "Permission denied" in said:
        return "the kernel's sets can't be used without the right to administer the network: run it as root (become)"
    if any(words in said for words in _NO_KERNEL):
        return "the kernel of this host has no sets: load or build the module ip_set"
    lines = [line for line in said.splitlines() if line.strip()] or ["it said nothing"]
    return "ipset failed: %s" % printable(lines[0].strip())[:_LONGEST_MESSAGE]


def element(line: str) -> Element | None:
    """Return the element of a line as "ipset save" writes it, None for a line of another kind.

    The parts of a key with a port are those of nft: ``10.0.0.0/24,tcp:22`` is ``("10.0.0.0/24", "tcp", "22")``.
    """
    words = line.split()
    if len(words) < 3 or words[0] != "add":
        return None
    address, comma, service = words[2].rpartition(",")
    protocol, _colon, port = service.partition(":")
    key = (address, protocol, port) if comma else (words[2],)
    numbers = {name: int(value) for name, value in zip(words[3::2], words[4::2]) if value.isdigit()}
    # 0 is what the kernel calls for ever.
    left = numbers.get("timeout") or None
    return Element(key, None, left, numbers.get("packets"), numbers.get("bytes"))
