# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one entry of a threat list is, and whether it can be one."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.sources import LINUX, WINDOWS

KINDS = ("address", "domain", "hash", "name", "pattern")

# MD5, SHA-1, SHA-224, SHA-256, SHA-384, SHA-512, by how many digits they have.
_HASH = re.compile(r"[0-9a-f]+")
_HASH_LENGTHS = (32, 40, 56, 64, 96, 128)
# RFC 1123, with the underscore that names in the DNS have as well.
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_LONGEST_DOMAIN = 253
_URL = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//(?:[^/@]*@)?(\[[^\]]*\]|[^/:?#]*)", re.IGNORECASE)
# So wide networks are typing mistakes.
_WIDEST = {4: 8, 6: 16}
_LONGEST_NAME = 1024


class EntryError(Exception):
    """An entry can't be used; the message says why."""


class ForeignEntryError(EntryError):
    """An entry is for another system, which is nothing to correct."""


class Entry(t.NamedTuple):
    """One indicator. kind: one of ``KINDS``. note: what the list says about it."""

    kind: str
    value: str
    note: str


def entry(text: str, kind: str | None, note: str = "", platform: str = LINUX) -> Entry:
    """Return the indicator that a text is; kind: which it has to be, any but name and pattern where that is None.

    platform: of the hosts that look for it. Raises EntryError.
    """
    value = _refanged(text.strip())
    if kind is None:
        kind = _recognised(value)
    check = _CHECKS_ON_WINDOWS.get(kind, _CHECKS[kind]) if platform == WINDOWS else _CHECKS[kind]
    return Entry(kind, check(value), note.strip())


def _refanged(text: str) -> str:
    """Return an address or domain as it is, where the list made it safe to click."""
    text = text.replace("[.]", ".").replace("(.)", ".").replace("[:]", ":")
    return re.sub(r"^hxxp", "http", text, flags=re.IGNORECASE)


def _recognised(value: str) -> str:
    for kind in ("address", "hash", "domain"):
        try:
            _CHECKS[kind](value)
        except EntryError:
            continue
        return kind
    raise EntryError(f"'{value[:80]}' is not an address, network, hash or domain; say its kind")


def _address(value: str) -> str:
    value = _host(value)
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise EntryError(f"'{value[:80]}' is not an address or network") from None
    if network.is_loopback or network.is_unspecified or network.is_link_local or network.is_multicast:
        raise EntryError(f"{value} is nobody's address")
    if network.prefixlen < _WIDEST[network.version]:
        raise EntryError(f"{value} has too many addresses")
    single = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if single else str(network)


def _domain(value: str) -> str:
    host = _host(value).lower().rstrip(".").removeprefix("*.")
    try:
        host = host.encode("idna").decode("ascii") if not host.isascii() else host
    except UnicodeError:
        raise EntryError(f"'{value[:80]}' is not a domain") from None
    labels = host.split(".")
    if len(host) > _LONGEST_DOMAIN or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise EntryError(f"'{value[:80]}' is not a domain")
    if len(labels) < 2:
        raise EntryError(f"'{value[:80]}' is a whole top-level domain, or no domain")
    return host


def _host(value: str) -> str:
    """Return the host of a URL; the value itself where it is none."""
    found = _URL.match(value)
    return found.group(1).strip("[]") if found else value


def _hash(value: str) -> str:
    value = value.lower()
    if len(value) not in _HASH_LENGTHS or not _HASH.fullmatch(value):
        raise EntryError(f"'{value[:80]}' is not an MD5, SHA-1 or SHA-2 digest")
    if len(set(value)) == 1:
        raise EntryError("a digest of one digit repeated is nobody's")
    return value


def _name(value: str) -> str:
    if "\\" in value:
        raise ForeignEntryError(f"'{value[:80]}' is a name of another system")
    return _file_name(value)


def _windows_name(value: str) -> str:
    if value.startswith("/"):
        raise ForeignEntryError(f"'{value[:80]}' is a name of another system")
    if value.startswith("%"):
        raise EntryError(f"'{value[:80]}' begins with a variable; write the directory that it stands for")
    return _file_name(value.replace("/", "\\"))


def _file_name(value: str) -> str:
    if not value or len(value) > _LONGEST_NAME or value.endswith(("/", "\\")) or "\0" in value:
        raise EntryError(f"'{value[:80]}' is not a file name")
    return value


def _pattern(value: str) -> str:
    if r"\\" in value or re.match(r"\(?\??i?\)?[a-z]:", value, re.IGNORECASE):
        raise ForeignEntryError(f"'{value[:80]}' is for names of another system")
    return _expression(value)


def _windows_pattern(value: str) -> str:
    # Directories of Windows are parted by a backslash, in expressions a doubled one.
    if "/" in value and r"\\" not in value:
        raise ForeignEntryError(f"'{value[:80]}' is for names of another system")
    return _expression(value)


def _expression(value: str) -> str:
    try:
        compiled = re.compile(value)
    except (re.error, RecursionError) as error:
        raise EntryError(f"'{value[:80]}' is not a regular expression: {error}") from None
    if compiled.search("") or len(value) < 4:
        raise EntryError(f"'{value[:80]}' matches nearly everything")
    return value


_CHECKS: dict[str, t.Callable[[str], str]] = {
    "address": _address,
    "domain": _domain,
    "hash": _hash,
    "name": _name,
    "pattern": _pattern,
}
_CHECKS_ON_WINDOWS: dict[str, t.Callable[[str], str]] = {"name": _windows_name, "pattern": _windows_pattern}
