# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of the recorder."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError

IN, OUT = "in", "out"
PROTOCOLS = ("tcp", "udp", "sctp")
# Where everybody is expected: web servers, and those of mail and names.
PUBLIC_PORTS = ("80/tcp", "443/tcp", "443/udp", "25/tcp", "53/tcp", "53/udp")
# Of the kernel, where it can't be asked.
FIRST_EPHEMERAL = 32768
_EPHEMERAL = "/proc/sys/net/ipv4/ip_local_port_range"
_SMALLEST, _LARGEST = 64, 65536
_LONGEST_TIMEOUT = 60
_MOST_PORTS = 256

Port = t.Tuple[int, str]


@dataclasses.dataclass(frozen=True)
class Settings:
    """directions: IN, OUT. size: of each set of the kernel. timeout_days: after which it forgets who does not come.

    unrecorded: ports of this host that are left out. first_ephemeral: the first port that the host's own connections
    come from, so that one below it is a service.
    """

    directions: tuple[str, ...]
    size: int
    timeout_days: int
    unrecorded: tuple[Port, ...] = ()
    first_ephemeral: int = FIRST_EPHEMERAL

    @property
    def timeout(self) -> int:
        """Seconds after which the kernel forgets."""
        return self.timeout_days * 86400

    def fields(self) -> dict[str, t.Any]:
        """Return it as plain data, as the result of the module and the state have it."""
        return {
            "directions": list(self.directions),
            "size": self.size,
            "timeout_days": self.timeout_days,
            "unrecorded_ports": ["%d/%s" % port for port in self.unrecorded],
            "first_ephemeral": self.first_ephemeral,
        }


def parse(params: t.Mapping[str, t.Any], first_ephemeral: int) -> Settings:
    """Return the settings that options ask for; raise UsageError, which names the option."""
    directions = tuple(sorted(set(params["directions"] or ())))
    if not directions:
        raise UsageError("directions is empty; name in, out or both, or remove the recorder with state=absent")
    for option, least, most in (("size", _SMALLEST, _LARGEST), ("timeout_days", 1, _LONGEST_TIMEOUT)):
        if not least <= params[option] <= most:
            raise UsageError("%s is %d; use %d to %d" % (option, params[option], least, most))
    ports = tuple(sorted({_port(text) for text in params["unrecorded_ports"]}))
    if len(ports) > _MOST_PORTS:
        raise UsageError("unrecorded_ports has %d ports; name %d or fewer" % (len(ports), _MOST_PORTS))
    return Settings(directions, params["size"], params["timeout_days"], ports, first_ephemeral)


def stored(fields: t.Mapping[str, t.Any]) -> Settings:
    """Return settings from ``fields``; raise UsageError, ValueError, TypeError or KeyError for others."""
    return parse(fields, int(fields["first_ephemeral"]))


def _port(text: str) -> Port:
    found = re.match(r"([0-9]{1,5})/([a-z]+)\Z", text)
    if not found or not 0 < int(found.group(1)) <= 65535 or found.group(2) not in PROTOCOLS:
        raise UsageError("unrecorded_ports: '%s' is not a port with its protocol; write it like 443/tcp" % text)
    return int(found.group(1)), found.group(2)


def first_ephemeral(path: str = _EPHEMERAL) -> int:
    """Return the first port that the connections of this host come from."""
    try:
        with open(path, encoding="ascii") as stream:
            return max(1, int(stream.read(64).split()[0]))
    except (OSError, ValueError, IndexError):
        return FIRST_EPHEMERAL
