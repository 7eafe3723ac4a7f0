# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archives of packages that apt keeps: what a package ships, in its own words, when its digest is a signed one.

An archive is unpacked when it has the digest, and read as a stream: the bytes that dpkg-deb(1) gets are the bytes that
the digest is computed of once more, so that nobody can exchange it in between, and its size costs no memory.
"""

from __future__ import annotations

import collections
import hashlib
import os
import stat
import tarfile
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _command, _page_cache

_ARCHIVES = b"var/cache/apt/archives"
DPKG_DEB = "/usr/bin/dpkg-deb"
_SECONDS = 60.0
_MOST_SCRIPT = 1024 * 1024
_MOST_MEMBERS = 200_000
_CHUNK = 1 << 20


_Result = t.TypeVar("_Result")


class OtherArchiveError(Exception):
    """apt keeps an archive under the name of a package that is not the one whose digest is signed."""


class Shipped(t.NamedTuple):
    """A member of an archive. sha256: hex, None for what is no regular file. mode: 07777. target: of a link.

    owner, group: names, #ID without one.
    """

    sha256: str | None
    mode: int
    owner: str
    group: str
    target: bytes | None
    is_directory: bool


class Archive(t.NamedTuple):
    """What an archive holds, by absolute path; its scripts and lists for dpkg by their names (``postinst``)."""

    files: t.Mapping[bytes, Shipped]
    control: t.Mapping[str, bytes]


class KeptArchives:
    """The archives that apt keeps in a root, each read once.

    most: how many are remembered, the latest. most_packed: bytes; a larger one counts as not kept.
    """

    def __init__(self, root: bytes, most: int, most_packed: int) -> None:
        self._directory = os.path.join(root, _ARCHIVES)
        self._most = most
        self._most_packed = most_packed
        self._read: collections.OrderedDict[tuple[str, str, str, str], Archive | bool | None] = (
            collections.OrderedDict()
        )

    def get(self, package: str, version: str, architecture: str, sha256: str) -> Archive | bool | None:
        """Return the archive with a digest, None without one, False for another one under its name."""
        key = package, version, architecture, sha256
        if key not in self._read:
            if len(self._read) >= self._most:
                self._read.popitem(last=False)
            try:
                self._read[key] = self._find(*key, _archive)
            except OtherArchiveError:
                self._read[key] = False
        return self._read[key]

    def control(
        self, package: str, version: str, architecture: str, sha256: str
    ) -> t.Mapping[str, bytes] | t.Literal[False] | None:
        """Return the scripts and lists of the archive with a digest, without unpacking its files.

        None without such an archive, False for another one under its name. Nothing is remembered.
        """
        try:
            return self._find(package, version, architecture, sha256, _control_part)
        except OtherArchiveError:
            return False

    def _find(
        self, package: str, version: str, architecture: str, sha256: str, read: t.Callable[[int, str], _Result]
    ) -> _Result | None:
        for arch in (architecture, "all"):
            name = "%s_%s_%s.deb" % (package, version.replace(":", "%3a"), arch)
            try:
                descriptor = os.open(
                    os.path.join(self._directory, os.fsencode(name)),
                    os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
                )
            except OSError:
                continue
            try:
                status = os.fstat(descriptor)
                if stat.S_ISREG(status.st_mode) and status.st_size <= self._most_packed:
                    # Nothing is unpacked that anybody may have made, such as a header of gigabytes.
                    _compare(descriptor, status.st_size, sha256)
                    return read(descriptor, sha256)
            except (OSError, tarfile.TarError):
                continue
            finally:
                os.close(descriptor)
        return None


def read(path: str) -> Archive:
    """Return what an archive holds that root is about to unpack. Raises OSError.

    Nothing proves where it is from; whoever unpacks it has decided that.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is not a regular file")
        sha256 = _whole_digest(descriptor, status.st_size)
        return _archive(descriptor, sha256)
    except tarfile.TarError as error:
        raise OSError("it can't be unpacked: %s" % error) from error
    except OtherArchiveError as error:
        raise OSError("it changed while it was read") from error
    finally:
        os.close(descriptor)


def _archive(descriptor: int, sha256: str) -> Archive:
    return Archive(_unpacked(descriptor, "--fsys-tarfile", sha256, _files), _control_part(descriptor, sha256))


def _control_part(descriptor: int, sha256: str) -> dict[str, bytes]:
    return _unpacked(descriptor, "--ctrl-tarfile", sha256, _control)


def _compare(descriptor: int, size: int, sha256: str) -> None:
    """Raise OtherArchiveError unless a file has a digest."""
    if _whole_digest(descriptor, size) != sha256:
        raise OtherArchiveError


def _whole_digest(descriptor: int, size: int) -> str:
    digest = hashlib.sha256()
    for data in _page_cache.pieces(descriptor, size, _CHUNK):
        digest.update(data)
    return digest.hexdigest()


def _unpacked(descriptor: int, part: str, sha256: str, read: t.Callable[[tarfile.TarFile], _Result]) -> _Result:
    """Return what ``read`` makes of a part of an archive; raise OtherArchiveError when it is another archive."""
    digest = hashlib.sha256()
    is_whole = False

    def content() -> t.Iterator[bytes]:
        nonlocal is_whole
        os.lseek(descriptor, 0, os.SEEK_SET)
        chunk = os.read(descriptor, _CHUNK)
        while chunk:
            digest.update(chunk)
            yield chunk
            chunk = os.read(descriptor, _CHUNK)
        is_whole = True

    try:
        with _command.piped([DPKG_DEB, part, "-"], _SECONDS, content()) as stream:
            try:
                with tarfile.open(fileobj=stream, mode="r|") as archive:
                    result = read(archive)
            finally:
                # The archive may be padded behind what tar reads; the program must not wait for us.
                while stream.read(_CHUNK):
                    pass
    finally:
        # Whatever dpkg-deb made of it: this is not the archive.
        if is_whole and digest.hexdigest() != sha256:
            raise OtherArchiveError
    if not is_whole:
        raise OSError("the archive could not be read to its end")
    return result


def _files(archive: tarfile.TarFile) -> dict[bytes, Shipped]:
    files: dict[bytes, Shipped] = {}
    for member in archive:
        if len(files) >= _MOST_MEMBERS:
            raise OSError("the archive has more than %d members" % _MOST_MEMBERS)
        path = _absolute(member.name)
        if member.islnk():
            linked = files.get(_absolute(member.linkname))
            if linked is not None:
                files[path] = linked
            continue
        files[path] = Shipped(
            sha256=_digest(archive, member) if member.isfile() else None,
            mode=stat.S_IMODE(member.mode),
            owner=member.uname or "#%d" % member.uid,
            group=member.gname or "#%d" % member.gid,
            target=os.fsencode(member.linkname) if member.issym() else None,
            is_directory=member.isdir(),
        )
    return files


def _digest(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    digest = hashlib.sha256()
    body = archive.extractfile(member)
    chunk = body.read(_CHUNK) if body is not None else b""
    while chunk and body is not None:
        digest.update(chunk)
        chunk = body.read(_CHUNK)
    return digest.hexdigest()


def _control(archive: tarfile.TarFile) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    for member in archive:
        body = archive.extractfile(member) if member.isfile() and member.size <= _MOST_SCRIPT else None
        if body is not None:
            members[os.path.basename(member.name)] = body.read()
    return members


def _absolute(name: str) -> bytes:
    return b"/" + os.path.normpath(os.fsencode(name)).lstrip(b"/")
