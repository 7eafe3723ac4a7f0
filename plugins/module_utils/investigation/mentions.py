# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find paths and addresses in the text of a script, a job or a unit."""

from __future__ import annotations

import ipaddress
import re
import typing as t

# A program that is no text has a NUL in its beginning.
_TEXT_SAMPLE = 4096
_MOST = 50
_LONGEST_PATH = 4096
# An absolute path with at least two parts; a home directory counts as well.
_PATH = re.compile(rb"(?<![\w.:/~$}-])/[\w.@+,:~%-]+(?:/[\w.@+,:~%-]+)*(?:\\ [\w.@+,:~%/-]+)*")
# A path with blanks in quotes; what has signs of a shell is a command.
_QUOTED = re.compile(rb"([\"'])(/[\w./@+,:~% ]{1,4096})\1")
_ADDRESS = re.compile(
    rb"(?<![\w.:-])(?:\d{1,3}(?:\.\d{1,3}){3}|\[?[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}\]?)(?![\w.-]|/\d{1,3}(?![\w./]))"
)
# Nearly every script names these, so they connect nothing.
_ORDINARY = frozenset(
    (b"/dev/null", b"/dev/stdin", b"/dev/stdout", b"/dev/stderr", b"/dev/tty", b"/bin/sh", b"/etc", b"/")
)


class Mentions(t.NamedTuple):
    """Each once, in the order of the text, at most 50. addresses: in their usual notation, no loopback and no mask."""

    paths: t.Sequence[bytes]
    addresses: t.Sequence[str]


def is_text(content: bytes) -> bool:
    """Say whether content is text, by its beginning."""
    return b"\0" not in content[:_TEXT_SAMPLE]


def find(content: bytes) -> Mentions:
    """Return the paths and addresses in a text; none for binary content."""
    if not content or not is_text(content):
        return Mentions((), ())
    paths: dict[bytes, None] = {}
    for match in _QUOTED.finditer(content):
        if b" " in match.group(2):
            _add(paths, match.group(2))
    for match in _PATH.finditer(content):
        _add(paths, match.group().replace(b"\\ ", b" ").rstrip(b".,:"))
    addresses: dict[str, None] = {}
    for match in _ADDRESS.finditer(content):
        address = _address(match.group().decode("ascii").strip("[]"))
        if address and len(addresses) < _MOST:
            addresses[address] = None
    return Mentions(tuple(paths), tuple(addresses))


def _add(paths: dict[bytes, None], path: bytes) -> None:
    if len(paths) < _MOST and len(path) <= _LONGEST_PATH and path not in _ORDINARY:
        paths[path] = None


def _address(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    is_mask = address.version == 4 and text.startswith("255.")
    # Names of modules with two colons look like addresses that nobody has.
    is_nobodys = address.is_loopback or address.is_unspecified or address.is_reserved or address.is_multicast
    return None if is_nobodys or is_mask else str(address)
