# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of dpkg's database, parsed: bytes in, plain records out."""

from __future__ import annotations

import binascii
import dataclasses
import re
import typing as t

# deb822(5): a field starts in the first column, its continuation lines with white space.
_FIELD = re.compile(
    rb"^(Package|Status|Architecture|Version|Source|Origin|Conffiles|Pre-Depends|Depends|Provides):"
    rb"[ \t]*(.*(?:\n[ \t].*)*)",
    re.MULTILINE,
)

# deb-md5sums(5). md5sum(1) starts a line with a backslash when it escaped the name; names may begin with "./" or "/".
_MD5SUM = re.compile(rb"^(\\?)([0-9a-f]{32}) [ *](?:\./|/)?(.+)$", re.MULTILINE)
_NAME = re.compile(r"\s*([a-z0-9][a-z0-9+.-]*)")
_MD5_HEX = re.compile(rb"[0-9a-f]{32}")
_ESCAPE = re.compile(rb"\\([\\nr])")

# dpkg(1): states in which the files of the recorded version are on the disk.
_COMPLETE = ("unpacked", "half-configured", "triggers-awaited", "triggers-pending", "installed")
_SETTLED = ("installed", "triggers-awaited", "triggers-pending")


@dataclasses.dataclass(frozen=True)
class Conffile:
    """One line of a package's Conffiles field; md5 is None until the package has been configured (``newconffile``)."""

    md5: bytes | None
    obsolete: bool


@dataclasses.dataclass(frozen=True)
class Stanza:
    """What the status file says of one package. state: the third word of its Status, dpkg(1).

    depends, provides, source, origin: the values of its fields, deb-control(5); Pre-Depends counts as Depends.
    want: the first word of its Status, what the administrator selected.
    """

    name: str
    arch: str
    version: str
    state: str
    conffiles: t.Mapping[bytes, Conffile]
    depends: str = ""
    provides: str = ""
    source: str = ""
    origin: str = ""
    want: str = ""

    @property
    def complete(self) -> bool:
        """Say whether the files on the disk are those of the recorded version."""
        return self.state in _COMPLETE

    @property
    def settled(self) -> bool:
        """Say whether dpkg has nothing left to do that would change the package's metadata."""
        return self.state in _SETTLED


@dataclasses.dataclass(frozen=True)
class Diversion:
    """One diversion, dpkg-divert(1): others' ``contested`` is kept at ``altered``. by: None for a local diversion."""

    contested: bytes
    altered: bytes
    by: str | None


@dataclasses.dataclass(frozen=True)
class StatOverride:
    """One line of the statoverride file, dpkg-statoverride(1)."""

    user: str
    group: str
    mode: int


def parse_status(data: bytes, status: bytes = b"") -> dict[tuple[str, str], Stanza]:
    """Return the packages of a status file, or of a journal entry in updates/, by name and architecture.

    status: of an entry without one; files in status.d have none. Entries without a name or a status are left out.
    """
    stanzas = {}
    for text in data.split(b"\n\n"):
        fields = dict(_FIELD.findall(text))
        if status:
            fields.setdefault(b"Status", status)
        if b"Package" not in fields or b"Status" not in fields:
            continue
        words = _text(fields[b"Status"]).split(" ")
        stanza = Stanza(
            name=_text(fields[b"Package"]),
            arch=_text(fields.get(b"Architecture", b"")),
            version=_text(fields.get(b"Version", b"")),
            state=words[-1],
            conffiles=_conffiles(fields.get(b"Conffiles", b"")),
            depends=", ".join(_text(fields[name]) for name in (b"Pre-Depends", b"Depends") if name in fields),
            provides=_text(fields.get(b"Provides", b"")),
            source=_text(fields.get(b"Source", b"")),
            origin=_text(fields.get(b"Origin", b"")),
            want=words[0],
        )
        stanzas[stanza.name, stanza.arch] = stanza
    return stanzas


def _conffiles(text: bytes) -> dict[bytes, Conffile]:
    digests = {}
    for line in text.split(b"\n"):
        words = line.strip().split(b" ")
        flags = []
        while len(words) > 2 and words[-1] in (b"obsolete", b"remove-on-upgrade"):
            flags.append(words.pop())
        if len(words) > 1:  # the name itself may hold spaces
            md5 = binascii.unhexlify(words[-1]) if _MD5_HEX.fullmatch(words[-1]) else None
            digests[b" ".join(words[:-1])] = Conffile(md5, b"obsolete" in flags)
    return digests


def needed_packages(stanzas: t.Sequence[Stanza]) -> dict[str, set[str]]:
    """Return packages by name, with the names of those that they depend on; of alternatives, all that are there."""
    providers: dict[str, set[str]] = {}
    for stanza in stanzas:
        for name in (stanza.name, *relation_names(stanza.provides)):
            providers.setdefault(name, set()).add(stanza.name)
    needed: dict[str, set[str]] = {}
    for stanza in stanzas:
        names = needed.setdefault(stanza.name, set())
        names.update(*(providers.get(name, ()) for name in relation_names(stanza.depends)))
    return needed


def relation_names(relations: str) -> t.Iterator[str]:
    """Yield the package names of a relationship field, without versions and architectures."""
    for relation in re.split(r"[,|]", relations):
        match = _NAME.match(relation)
        if match:
            yield match.group(1)


def parse_list(data: bytes) -> list[bytes]:
    """Return the paths of a package's .list file, the root directory aside."""
    return [path for path in data.split(b"\n") if path and path != b"/."]


def parse_md5sums(data: bytes) -> dict[bytes, bytes]:
    """Return MD5 digests (16 bytes each) by absolute path.

    dh_md5sums(1) keeps a name that needed no newline escaped as it is, md5sum(1) escapes every backslash and says so
    with a backslash at the start of the line; both occur.
    """
    unhexlify = binascii.unhexlify
    return {
        b"/" + (_ESCAPE.sub(_unescaped, name) if escaped else name): unhexlify(digest)
        for escaped, digest, name in _MD5SUM.findall(data)
    }


def _unescaped(match: t.Match[bytes]) -> bytes:
    return {b"\\": b"\\", b"n": b"\n", b"r": b"\r"}[match.group(1)]


def parse_diversions(data: bytes) -> list[Diversion]:
    """Return the diversions: three lines each, the third is the diverting package or ``:``."""
    lines = data.split(b"\n")
    triples = zip(lines[0::3], lines[1::3], lines[2::3])
    return [Diversion(of, to, None if by == b":" else _text(by)) for of, to, by in triples]


def parse_statoverrides(data: bytes) -> dict[bytes, StatOverride]:
    """Return the overrides by path: user, group, octal mode and path on each line."""
    overrides = {}
    for line in data.split(b"\n"):
        words = line.split(b" ", 3)
        if len(words) == 4 and re.fullmatch(rb"[0-7]{1,5}", words[2]):
            overrides[words[3]] = StatOverride(_text(words[0]), _text(words[1]), int(words[2], 8))
    return overrides


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape").strip()
