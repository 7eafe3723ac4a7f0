# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where automation comes from: the addresses that the administrator names, and the controller's own.

The controller's own address is the other end of the connection that this scan came through, as the kernel has it. It
counts if the scan itself signed in with one of the accounts of automation: a scan that is started on the host, by
somebody who is signed in there, came from nowhere else.
"""

from __future__ import annotations

import ipaddress
import os
import pwd
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.automation.listeners import SSHD
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import arrival

Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


def is_network(text: str) -> bool:
    """Return whether a text is an address or a network."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def networks(given: t.Iterable[str], accounts: t.Container[str]) -> list[Network]:
    """Return the networks that automation comes from. given: addresses and networks."""
    return [ipaddress.ip_network(text, strict=False) for text in given] + own(accounts)


def own(accounts: t.Container[str]) -> list[Network]:
    """Return the address that this process was started from, if one of the accounts signed in for it."""
    if _account() not in accounts:
        return []
    connection = next((one for one in arrival.connections() if _is_sshd(one.pid)), None)
    # More ends are connections that it forwards.
    if connection is None or connection.is_local or len(connection.ends) != 1:
        return []
    return [ipaddress.ip_network(there) for _here, there in connection.ends]


def _account() -> str:
    """Return the name of the account that signed in for this process, "" where none did."""
    try:
        with open("/proc/self/loginuid", "rb") as stream:
            return pwd.getpwuid(int(stream.read(32))).pw_name
    except (OSError, KeyError, OverflowError, ValueError):
        return ""


def _is_sshd(pid: int) -> bool:
    try:
        return os.readlink("/proc/%d/exe" % pid) in SSHD
    except OSError:
        return False
