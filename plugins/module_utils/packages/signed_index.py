# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Indexes of signed repositories that apt keeps, believed as far as a key signed them.

An index counts when the InRelease file beside it names its SHA-256 digest and a key of the host signed that file
(https://wiki.debian.org/DebianRepository/Format). Who brings a repository of his own brings its key, too, be it in a
package. So a key counts when whoever asks knows it (a sealed baseline has it); else when its file is as old as the
system, or has not changed since a day before what it vouches for.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _command
from ansible_collections.bulwark.servers.plugins.module_utils.packages import openpgp
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import read_state

_LISTS = b"var/lib/apt/lists"
_KEYS = (b"usr/share/keyrings", b"etc/apt/trusted.gpg.d", b"etc/apt/keyrings")
_KEY_NAMES = (b".gpg", b".pgp", b".asc")
_HELPER = "/usr/lib/apt/apt-helper"
_PACKED = (b".lz4", b".xz", b".gz", b".bz2", b".zst")

KEY_AGE = 86_400.0
# What changes that soon after the oldest files of a system came with it.
WITH_SYSTEM = 3_600.0
_OLDEST = (b"var/lib/dpkg/info", b"usr/bin")
_MOST_FILES = 20_000
_MOST_KEYS = 60
_MOST_INDEXES = 200
_MOST_INDEX = 512 * 1024 * 1024
_MOST_PACKED = 192 * 1024 * 1024
_HELPER_SECONDS = 20.0
_CHUNK = 1 << 20
_FIRST = re.compile(rb"Package: ([^\n]+)(?=\n)")
# Not with ^: a text that a pattern begins with is looked for ten times as quickly.
_FURTHER = re.compile(rb"\nPackage: ([^\n]+)(?=\n)")
_FIELD = re.compile(rb"^(Version|Architecture|SHA256):[ \t]*(\S+)[ \t]*$", re.MULTILINE)
_HEX = re.compile(rb"[0-9a-f]{64}")
_DIGEST = re.compile(rb"^ ([0-9a-f]{64})[ \t]+(\d+)[ \t]+(\S+)[ \t]*$", re.MULTILINE)
_SECTION = re.compile(rb"^SHA256:[^\n]*\n((?: [^\n]*\n?)+)", re.MULTILINE)


class Entry(t.NamedTuple):
    """A package of a signed index. sha256: of its archive. since: the time from which the key vouches for anything."""

    sha256: str
    since: float


class _Key(t.NamedTuple):
    keys: bytes
    since: float


class _Release(t.NamedTuple):
    """A signed list of indexes: SHA-256 digests by their paths."""

    digests: t.Mapping[bytes, bytes]
    since: float


class SignedIndexes:
    """The indexes of one root, each verified once, when a package is in it.

    What was read of an index is what is verified and searched: somebody may write to the file meanwhile.
    is_known: whether a key file, by path and content, is one to be believed; its age decides where that is left out.
    """

    def __init__(self, root: bytes, is_known: t.Callable[[bytes, bytes], bool] | None = None) -> None:
        self._root = root
        self._is_known = is_known
        self._lists = os.path.join(root, _LISTS)
        self._keys: list[_Key] | None = None
        self._releases: dict[bytes, _Release | None] = {}
        self._contents: dict[bytes, bytes] = {}
        self._stanzas: dict[bytes, dict[bytes, tuple[int, ...]]] = {}
        self._digests: dict[bytes, bytes] = {}
        self._entries: dict[tuple[str, str, str], Entry | None] = {}

    def entry(self, package: str, version: str, architecture: str) -> Entry | None:
        """Return what signed indexes say of a version of a package; None where none has it, or two differ on it."""
        key = package, version, architecture
        if key not in self._entries:
            try:
                self._entries[key] = self._entry(*(os.fsencode(part) for part in key))
            except (OSError, ValueError):
                self._entries[key] = None
        return self._entries[key]

    def _entry(self, package: bytes, version: bytes, architecture: bytes) -> Entry | None:
        signed: list[Entry] = []
        archives: set[bytes] = set()
        for name in self._indexes():
            stanzas = self._stanzas_of(name).get(package, ())
            for archive in _archives(self._content(name), stanzas, version, architecture):
                # An index that nobody signed can't add a package, but it can make one doubtful.
                archives.add(archive)
                release = self._release(name)
                if release is not None and self._is_named(name, release):
                    signed.append(Entry(archive.decode("ascii"), release.since))
        if not signed or len(archives) > 1:
            return None
        return min(signed, key=lambda entry: entry.since)

    def _indexes(self) -> list[bytes]:
        try:
            names = sorted(os.listdir(self._lists))
        except OSError:
            return []
        names = [name for name in names if _plain(name).endswith(b"_Packages")]
        return names[:_MOST_INDEXES]

    def _content(self, name: bytes) -> bytes:
        """Return an index, nothing of one that is too large."""
        if name not in self._contents:
            path = os.path.join(self._lists, name)
            self._contents[name] = _unpacked(path) if _plain(name) != name else _read(path)
        return self._contents[name]

    def _stanzas_of(self, name: bytes) -> dict[bytes, tuple[int, ...]]:
        """Return where an index has which packages: an upgrade asks for hundreds, and an index has 50 MB."""
        if name not in self._stanzas:
            content = self._content(name)
            first = _FIRST.match(content)
            offsets: dict[bytes, tuple[int, ...]] = {}
            for match in itertools.chain((first,) if first else (), _FURTHER.finditer(content)):
                offsets[match[1]] = (*offsets.get(match[1], ()), match.start(1))
            self._stanzas[name] = offsets
        return self._stanzas[name]

    def _is_named(self, name: bytes, release: _Release) -> bool:
        """Say whether a signed release names an index with the digest that it has."""
        plain = _plain(name)
        if name not in self._digests:
            content = self._content(name)
            self._digests[name] = hashlib.sha256(content).hexdigest().encode("ascii")
        prefix = self._prefix(name)
        path = plain[len(prefix or b"") :].replace(b"_", b"/").replace(b"%5f", b"_")
        return release.digests.get(path) == self._digests[name]

    def _prefix(self, name: bytes) -> bytes | None:
        """Return how the names of a repository's files begin: as that of its release, the longest that fits."""
        plain = _plain(name)
        ends = [position + 1 for position, letter in enumerate(plain) if letter == ord("_")]
        for end in reversed(ends):
            if os.path.lexists(os.path.join(self._lists, plain[:end] + b"InRelease")):
                return plain[:end]
        return None

    def _release(self, name: bytes) -> _Release | None:
        prefix = self._prefix(name)
        if prefix is None:
            return None
        if prefix not in self._releases:
            self._releases[prefix] = self._verified(read_state(os.path.join(self._lists, prefix + b"InRelease")))
        return self._releases[prefix]

    def _verified(self, message: bytes) -> _Release | None:
        for key in self._host_keys():
            text = openpgp.signed_text(message, key.keys)
            if text is not None:
                sections = _SECTION.findall(text)
                digests = {path: digest for part in sections for digest, _size, path in _DIGEST.findall(part)}
                return _Release(digests, key.since)
        return None

    def _host_keys(self) -> list[_Key]:
        """Return the host's keys: known ones, or those that came with the system, as one; the others, oldest first."""
        if self._keys is None:
            others: list[_Key] = []
            original = bytearray()
            begun = _oldest_change(self._root)
            for path in self._key_files():
                try:
                    changed, content = _key_file(os.path.join(self._root, path))
                    keys = openpgp.binary_keys(content)
                except (OSError, ValueError):
                    continue
                if self._is_known is not None:
                    original += keys if self._is_known(b"/" + path, content) else b""
                elif changed <= begun + WITH_SYSTEM:
                    original += keys
                else:
                    others.append(_Key(keys, changed + KEY_AGE))
            of_system = [_Key(bytes(original), float("-inf"))] if original else []
            self._keys = [*of_system, *sorted(others, key=lambda key: key.since)[:_MOST_KEYS]]
        return self._keys

    def _key_files(self) -> t.Iterator[bytes]:
        for directory in _KEYS:
            try:
                names = sorted(os.listdir(os.path.join(self._root, directory)))
            except OSError:
                continue
            for name in names[:_MOST_INDEXES]:
                if name.endswith(_KEY_NAMES) and b"removed" not in name:
                    yield os.path.join(directory, name)


def _oldest_change(root: bytes) -> float:
    """Return when the oldest of a system's own files changed last; no program can set that time to an earlier one."""
    times = [timestamp for name in _OLDEST for timestamp in _changes(os.path.join(root, name))]
    return min(times, default=float("-inf"))


def _changes(directory: bytes) -> t.Iterator[float]:
    try:
        with os.scandir(directory) as entries:
            for entry in itertools.islice(entries, _MOST_FILES):
                yield entry.stat(follow_symlinks=False).st_ctime
    except OSError:
        return


def _plain(name: bytes) -> bytes:
    """Return the name of an index without the ending of what packed it."""
    base, ending = os.path.splitext(name)
    return base if ending in _PACKED else name


def _key_file(path: bytes) -> tuple[float, bytes]:
    """Return when a key's file was changed, and its content; OSError where others than root can write it."""
    status = os.lstat(path)
    if stat.S_ISREG(status.st_mode) and (status.st_uid or status.st_mode & 0o022):
        raise OSError("others than root can write it")
    return max(status.st_ctime, os.stat(path).st_ctime), read_state(path)


def _read(path: bytes) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not 0 < status.st_size <= _MOST_INDEX:
            return b""
        with open(descriptor, "rb", closefd=False) as stream:
            return stream.read(status.st_size)
    finally:
        os.close(descriptor)


def _unpacked(path: bytes) -> bytes:
    try:
        command = [_HELPER, "cat-file", os.fsdecode(path)]
        completed = _command.run(command, timeout=_HELPER_SECONDS, max_output=_MOST_PACKED)
    except OSError:
        return b""
    return b"" if completed.returncode else completed.stdout


def _archives(content: bytes, stanzas: t.Iterable[int], version: bytes, architecture: bytes) -> t.Iterator[bytes]:
    """Yield the SHA-256 digests of the archives that an index has of a version. stanzas: where it has the package."""
    for position in stanzas:
        # The order of fields is free, so the stanza may have begun before.
        start = content.rfind(b"\n\n", max(0, position - _CHUNK), position)
        end = content.find(b"\n\n", position)
        stanza = content[max(start, 0) : end if end >= 0 else len(content)][:_CHUNK]
        fields = dict(_FIELD.findall(stanza))
        archive = fields.get(b"SHA256", b"")
        is_it = fields.get(b"Version") == version and fields.get(b"Architecture") in (architecture, b"all")
        if is_it and _HEX.fullmatch(archive):
            yield archive
