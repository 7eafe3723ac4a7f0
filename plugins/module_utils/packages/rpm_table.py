# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of the files that RPM records, in about 40 bytes per file beside its path."""

from __future__ import annotations

import binascii
import bisect
import typing as t
from array import array

from ansible_collections.bulwark.servers.plugins.module_utils.packages.rpm_query import FileRow

# rpmfileAttrs of rpm's rpmfiles.h.
_CONFIG = 1 << 0
_GHOST = 1 << 6
# rpmVerifyAttrs of rpm's rpmvf.h; %verify(not ...) in a spec file clears a bit.
_VERIFY_DIGEST = 1 << 0
_VERIFY_LINK = 1 << 2
_VERIFY_USER = 1 << 3
_VERIFY_GROUP = 1 << 4
_VERIFY_MODE = 1 << 6
_VERIFY_CAPABILITIES = 1 << 8

_TYPE = 0o170000
_LINK = 0o120000

_IS_CONFIG = 1
_IS_GHOST = 2
_IS_INSTALLED = 4
_NO_MODE = 0xFFFF


class FileTable:
    """Files by ordinal, as ``PathIndex`` counts them; ``add`` is called once per package, in the same order."""

    def __init__(self) -> None:
        self._starts = array("I")
        self._algorithms: list[str | None] = []
        self._digests: list[bytes] = []
        self._modes = array("H")
        self._bits = array("B")
        self._users = array("H")
        self._groups = array("H")
        self._names: list[str | None] = [None]
        self._numbers: dict[str, int] = {}
        self._links: dict[int, bytes] = {}
        self._capabilities: dict[int, str] = {}

    def add(self, algorithm: str | None, rows: t.Sequence[FileRow]) -> None:
        """Take one package's files; what isn't to be verified is left out here."""
        self._starts.append(len(self._modes))
        self._algorithms.append(algorithm)
        width = max((len(row.digest) // 2 for row in rows), default=0)
        digests = bytearray()
        for row in rows:
            verified = row.verify_flags
            ordinal = len(self._modes)
            digest = binascii.unhexlify(row.digest) if verified & _VERIFY_DIGEST else b""
            digests += digest.ljust(width, b"\0")
            is_link = row.mode & _TYPE == _LINK
            if is_link and verified & _VERIFY_LINK:
                self._links[ordinal] = row.link_target
            if row.capabilities and verified & _VERIFY_CAPABILITIES:
                self._capabilities[ordinal] = row.capabilities
            self._modes.append(row.mode & 0o7777 if verified & _VERIFY_MODE and not is_link else _NO_MODE)
            self._users.append(self._number(row.user) if verified & _VERIFY_USER else 0)
            self._groups.append(self._number(row.group) if verified & _VERIFY_GROUP else 0)
            self._bits.append(
                (_IS_CONFIG if row.flags & _CONFIG else 0)
                | (_IS_GHOST if row.flags & _GHOST else 0)
                | (_IS_INSTALLED if row.installed else 0)
            )
        self._digests.append(bytes(digests))

    def installed(self, ordinal: int) -> bool:
        return bool(self._bits[ordinal] & _IS_INSTALLED)

    def conffile(self, ordinal: int) -> bool:
        return bool(self._bits[ordinal] & _IS_CONFIG)

    def ghost(self, ordinal: int) -> bool:
        return bool(self._bits[ordinal] & _IS_GHOST)

    def mode(self, ordinal: int) -> int | None:
        mode = self._modes[ordinal]
        return None if mode == _NO_MODE else mode

    def user(self, ordinal: int) -> str | None:
        return self._names[self._users[ordinal]]

    def group(self, ordinal: int) -> str | None:
        return self._names[self._groups[ordinal]]

    def link_target(self, ordinal: int) -> bytes | None:
        return self._links.get(ordinal)

    def capabilities(self, ordinal: int) -> str | None:
        return self._capabilities.get(ordinal)

    def digests(self, ordinal: int) -> dict[str, str]:
        """Return the file's hex digest by algorithm, or nothing for what has none or an algorithm that isn't known."""
        package = bisect.bisect_right(self._starts, ordinal) - 1
        algorithm = self._algorithms[package]
        first = self._starts[package]
        following = package + 1
        count = (self._starts[following] if following < len(self._starts) else len(self._modes)) - first
        width = len(self._digests[package]) // count
        digest = self._digests[package][(ordinal - first) * width : (ordinal - first + 1) * width]
        return {algorithm: digest.hex()} if algorithm and digest.strip(b"\0") else {}

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = len(self._names)
            self._names.append(name)
        return self._numbers[name]
