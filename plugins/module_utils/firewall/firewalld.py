# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Openings through firewalld, which takes them back by itself after a time."""

from __future__ import annotations

import shutil
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _command
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.verdict import Packet

_MOST_OUTPUT = 1 << 20
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class Firewalld:
    """Speaks with firewalld through firewall-cmd. Its openings are gone when it is reloaded, too."""

    def __init__(self, timeout: float = 30.0, program: str = "firewall-cmd") -> None:
        """timeout: seconds for one call."""
        self._timeout = timeout
        self._program = program

    def running(self) -> bool:
        """Say whether it runs; false, too, where it isn't installed."""
        if shutil.which(self._program, path=_PATH) is None:
            return False
        try:
            return self._call("--state").returncode == 0
        except _command.CommandError:
            return False

    def open(self, packet: Packet, seconds: int) -> None:
        """Let a source reach ports for that long, in every zone that is in use. Raises FirewallError.

        An opening that is there already is replaced, as firewalld would keep its end.
        """
        rule = rich_rule(packet)
        for zone in self.zones():
            if self._call("--zone=" + zone, "--query-rich-rule=" + rule).returncode == 0:
                self._told("--zone=" + zone, "--remove-rich-rule=" + rule)
            self._told("--zone=" + zone, "--add-rich-rule=" + rule, "--timeout=%d" % seconds)

    def close(self, packet: Packet) -> None:
        """Take an opening back, if it is still there. Raises FirewallError."""
        rule = rich_rule(packet)
        for zone in self.zones():
            if self._call("--zone=" + zone, "--query-rich-rule=" + rule).returncode == 0:
                self._told("--zone=" + zone, "--remove-rich-rule=" + rule)

    def zones(self) -> list[str]:
        """Return the zones that interfaces or sources are in, and the one for all others. Raises FirewallError."""
        lines = self._told("--get-active-zones").splitlines()
        active = [line.split()[0] for line in lines if line.strip() and not line[0].isspace()]
        return list(dict.fromkeys([*active, self._told("--get-default-zone").strip()]))

    def _told(self, *arguments: str) -> str:
        try:
            completed = self._call(*arguments)
        except _command.CommandError as error:
            raise FirewallError("firewalld can't be asked: %s" % error) from None
        if completed.returncode:
            said = printable((completed.stderr or completed.stdout).strip())[:300]
            raise FirewallError("firewalld refused '%s': %s" % (" ".join(arguments), said))
        return completed.stdout.decode("utf-8", "replace")

    def _call(self, *arguments: str) -> _command.Completed:
        return _command.run([self._program, *arguments], self._timeout, _MOST_OUTPUT)


def rich_rule(packet: Packet) -> str:
    """Return the rule of firewalld's rich language (firewalld.richlanguage(5)) that accepts a packet."""
    low, high = packet.ports
    port = str(low) if low == high else "%d-%d" % (low, high)
    parts: t.Sequence[str] = (packet.family, str(packet.source), port, packet.protocol)
    return 'rule family="%s" source address="%s" port port="%s" protocol="%s" accept' % tuple(parts)
