# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the kernel itself which tables of nftables it has, where there is no nft(8) to ask.

Tables stay in force when nft is removed. The messages are those of nfnetlink, as in linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError

_NETLINK_NETFILTER = 12
_GET_TABLES = 10 << 8 | 1  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETTABLE
_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_ERROR, _DONE = 2, 3
_NAME = 1  # NFTA_TABLE_NAME
_INET = 1  # NFPROTO_INET
_ALL = 0  # NFPROTO_UNSPEC
# Of a message: length, type, flags, sequence, port; then family, version and resource of nfnetlink.
_HEADER = struct.Struct("=IHHII")
_NETFILTER = struct.Struct("=BBH")
_ATTRIBUTE = struct.Struct("=HH")
_SECONDS = 5.0
# A kernel without the part that is asked: without netlink of netfilter, without nf_tables.
_WITHOUT = (errno.EPROTONOSUPPORT, errno.EINVAL, errno.EOPNOTSUPP)


def has_table(name: str) -> bool:
    """Say whether the kernel has a table of the family inet. Raises FirewallError where it does not tell."""
    try:
        return name.encode("ascii") in set(_tables(_INET))
    except OSError as error:
        return _without(error)


def has_tables() -> bool:
    """Say whether the kernel has a table of any family in this network. Raises FirewallError as ``has_table``."""
    try:
        return any(True for _name in _tables(_ALL))
    except OSError as error:
        return _without(error)


def _without(error: OSError) -> bool:
    """Return False for a kernel without that part; raise FirewallError for everything else."""
    if error.errno in _WITHOUT:
        return False
    raise FirewallError("the kernel's nftables tables can't be listed: %s" % error) from error


def _tables(family: int) -> t.Iterator[bytes]:
    """Yield the names of the tables of a family, of all families for _ALL. Raises OSError."""
    size = _HEADER.size + _NETFILTER.size
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER) as connection:
        connection.settimeout(_SECONDS)
        connection.bind((0, 0))
        connection.send(_HEADER.pack(size, _GET_TABLES, _REQUEST_DUMP, 1, 0) + _NETFILTER.pack(0, 0, 0))
        while True:
            data = connection.recv(1 << 16)
            while len(data) >= _HEADER.size:
                length, kind = _HEADER.unpack_from(data)[:2]
                if kind in (_ERROR, _DONE):
                    code = -struct.unpack_from("=i", data, _HEADER.size)[0]
                    if code:
                        raise OSError(code, os.strerror(code))
                    return
                if family in (_ALL, data[_HEADER.size]):
                    yield _name(data[size:length])
                data = data[_aligned(max(length, _HEADER.size)) :]


def _name(attributes: bytes) -> bytes:
    while len(attributes) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(attributes)
        if kind == _NAME:
            return attributes[_ATTRIBUTE.size : length].rstrip(b"\0")
        attributes = attributes[_aligned(max(length, _ATTRIBUTE.size)) :]
    return b""


def _aligned(length: int) -> int:
    return (length + 3) & ~3
