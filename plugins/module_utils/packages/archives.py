# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archives of packages that apt keeps: what a package ships, in its own words, when its digest is a signed one."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _command
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import read_state

_ARCHIVES = b"var/cache/apt/archives"
_DPKG_DEB = "/usr/bin/dpkg-deb"
_SECONDS = 20.0
# Archives are read into memory, and so is what they hold.
_MOST_PACKED = 32 * 1024 * 1024
_MOST_UNPACKED = 96 * 1024 * 1024
_MOST_SCRIPT = 1024 * 1024
_MOST_MEMBERS = 50_000


class OtherArchiveError(Exception):
    """apt keeps an archive under the name of a package that is not the one whose digest is signed."""


class Shipped(t.NamedTuple):
    """A file of an archive. sha256: hex, None for what is no regular file. mode: 07777. target: of a link."""

    sha256: str | None
    mode: int
    owner: str
    target: bytes | None


class Archive(t.NamedTuple):
    """What an archive holds, by absolute path; its scripts by their kind (``postinst``)."""

    files: t.Mapping[bytes, Shipped]
    scripts: t.Mapping[str, bytes]


def read_archive(root: bytes, package: str, version: str, architecture: str, sha256: str) -> Archive | None:
    """Return what the kept archive of a package holds, None where there is none or it is too large.

    Raises OtherArchiveError for an archive with another digest.
    """
    for arch in (architecture, "all"):
        name = "%s_%s_%s.deb" % (package, version.replace(":", "%3a"), arch)
        path = os.path.join(root, _ARCHIVES, os.fsencode(name))
        try:
            if os.lstat(path).st_size > _MOST_PACKED:
                continue
            content = read_state(path)
            if hashlib.sha256(content).hexdigest() != sha256:
                raise OtherArchiveError
            return Archive(_files(_tar(content, "--fsys-tarfile")), _scripts(_tar(content, "--ctrl-tarfile")))
        except (OSError, tarfile.TarError):
            continue
    return None


def _tar(content: bytes, kind: str) -> tarfile.TarFile:
    completed = _command.run([_DPKG_DEB, kind, "-"], timeout=_SECONDS, max_output=_MOST_UNPACKED, given=content)
    if completed.returncode:
        raise OSError("dpkg-deb can't read the archive")
    return tarfile.open(fileobj=io.BytesIO(completed.stdout))


def _files(archive: tarfile.TarFile) -> dict[bytes, Shipped]:
    files: dict[bytes, Shipped] = {}
    for member in archive:
        if len(files) >= _MOST_MEMBERS:
            raise OSError("the archive has more than %d members" % _MOST_MEMBERS)
        if member.isdir():
            continue
        path = _absolute(member.name)
        if member.islnk():
            linked = files.get(_absolute(member.linkname))
            if linked is not None:
                files[path] = linked
            continue
        body = archive.extractfile(member) if member.isfile() else None
        digest = hashlib.sha256(body.read()).hexdigest() if body is not None else None
        target = os.fsencode(member.linkname) if member.issym() else None
        files[path] = Shipped(digest, stat.S_IMODE(member.mode), member.uname or "#%d" % member.uid, target)
    return files


def _scripts(archive: tarfile.TarFile) -> dict[str, bytes]:
    scripts: dict[str, bytes] = {}
    for member in archive:
        body = archive.extractfile(member) if member.isfile() and member.size <= _MOST_SCRIPT else None
        if body is not None:
            scripts[os.path.basename(member.name)] = body.read()
    return scripts


def _absolute(name: str) -> bytes:
    return b"/" + os.path.normpath(os.fsencode(name)).lstrip(b"/")
