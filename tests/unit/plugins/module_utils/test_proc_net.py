# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of /proc/net, in the order of bytes of this machine."""

from __future__ import annotations

import ipaddress
import sys

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _proc_net
from hypothesis import given
from hypothesis import strategies as st

_REST = "00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000000000000000 100 0 0 10 0"


def _words(address: str) -> str:
    packed = ipaddress.ip_address(address).packed
    words = (packed[at : at + 4] for at in range(0, len(packed), 4))
    return "".join((word[::-1] if sys.byteorder == "little" else word).hex().upper() for word in words)


def test_a_line() -> None:
    found = _proc_net.parse(f"  12: 0100007F:1538 00000000:0000 0A {_REST}\n")
    assert found == ("0100007F:1538", "00000000:0000", "0A", 1000, 4711)


@pytest.mark.parametrize("line", ["", "\n", "  sl  local_address rem_address   st", "a b c d e f g h i j k", "1: 2 3"])
def test_lines_that_are_no_sockets(line: str) -> None:
    assert _proc_net.parse(line) is None


@given(st.ip_addresses(), st.integers(0, 65535))
def test_addresses(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> None:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    assert _proc_net.endpoint(f"{_words(str(address))}:{port:04X}") == (mapped or address, port)


@pytest.mark.parametrize("text", ["", "0100007F", "zz:1", "0100007F0:1", "01:2", "0100007F:", "0100007F:zz"])
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        _proc_net.endpoint(text)


@given(st.text(max_size=200))
def test_nothing_raises(line: str) -> None:
    _proc_net.parse(line)
