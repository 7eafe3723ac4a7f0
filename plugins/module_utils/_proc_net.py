# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of proc_net_tcp(5), and of the files that are written alike: UDP, raw sockets, ICMP, over IPv4 and IPv6."""

from __future__ import annotations

import ipaddress
import sys
import typing as t

Address = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

# Numbers of states, as the files have them.
ESTABLISHED, TIME_WAIT, UNCONNECTED, LISTEN = "01", "06", "07", "0A"


class Line(t.NamedTuple):
    """A socket. local, remote: as the kernel has them, for ``endpoint``. inode: 0 where no process can have it open."""

    local: str
    remote: str
    state: str
    user: int
    inode: int


def parse(line: str) -> Line | None:
    """Return a line of such a file; None for its first one, and for what is none."""
    words = line.split(None, 10)
    if len(words) < 10 or not words[7].isdigit() or not words[9].isdigit():
        return None
    return Line(words[1], words[2], words[3], int(words[7]), int(words[9]))


def endpoint(text: str) -> tuple[Address, int]:
    """Return an address and a port as the kernel writes them, such as "0100007F:0016". ValueError where it doesn't."""
    words, _colon, port = text.partition(":")
    return address(words), int(port, 16)


def address(text: str) -> Address:
    """Return an address that the kernel wrote as words of 32 bits in its own order. ValueError where it is none."""
    raw = bytes.fromhex(text)
    if sys.byteorder == "little":
        raw = b"".join(raw[place : place + 4][::-1] for place in range(0, len(raw), 4))
    if len(raw) == 4:
        return ipaddress.IPv4Address(raw)
    found = ipaddress.IPv6Address(raw)
    return found.ipv4_mapped or found
