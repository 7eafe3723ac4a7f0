# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that a file is now what a signed package ships.

Who wrote a file proves little: root can give dpkg another library, another configuration or an edited script. What it
left proves more. So the file that the event names must be the file that is there now (its inode), unchanged since, with
the content, the owner and the mode of a package that a signed repository has in this version.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.packages import archives
from ansible_collections.bulwark.servers.plugins.module_utils.packages.databases import PackageDatabases
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import AccountIds, Owned
from ansible_collections.bulwark.servers.plugins.module_utils.packages.signed_index import SignedIndexes

# After an event, its file may be changed by the same run of the package manager; later changes are others'.
SETTLING = 900.0
_SECONDS = 30.0
_LARGEST = 512 * 1024 * 1024
_CHUNK = 1 << 20
_MOST_ARCHIVES = 4
_MOST_PACKED = 32 * 1024 * 1024
# What dpkg and rpm call a file until it has its name.
_TEMPORARY = re.compile(rb"\.dpkg-(?:new|tmp)\Z|;[0-9a-f]{8}\Z")
_DPKG_TEMPORARY = re.compile(rb"\.dpkg-(?:new|tmp|old|dist)\Z")
# Whoever is in one of these groups is next to root.
_STRONG_GROUPS = ("root", "shadow", "disk", "kmem", "sudo", "wheel", "adm", "docker", "lxd")
_FIRST_PERSON = 1000
# Where maintainer scripts put links to what their package ships: enabled units, start links, alternatives.
_LINKS = re.compile(
    rb"/etc/systemd/(?:system|user)/(?:[\w@.\\:-]+\.(?:wants|requires)/)?[\w@.\\:-]+\Z|/etc/rc[0-6S]\.d/[SK]\d\d[\w.-]+\Z"
    rb"|/etc/alternatives/[^/]+\Z"
)
# What distributions ship setuid to root, made for it. The archive proves it of others.
_SETUID_PROGRAMS = re.compile(
    rb"/s?bin/(?:sudo|su|passwd|chsh|chfn|gpasswd|chage|expiry|newgrp|mount|umount|fusermount3?|pkexec|ping|exim4"
    rb"|newuidmap|newgidmap|unix_chkpwd)\Z|/(?:ssh-keysign|dbus-daemon-launch-helper|polkit-agent-helper-1)\Z"
)
_LINK_STEPS = 3
_NOTHING = b"/dev/null"
# What packages give /etc a copy of, mostly by ucf(1).
_TEMPLATE = re.compile(rb"/usr/(?:share|lib)/(?!doc/)(?!.*/examples?/)")
_PROGRAMS = (b"/usr/bin", b"/usr/sbin", b"/bin", b"/sbin", b"/usr/lib", b"/usr/libexec")
_NESTED = (b"/usr/lib", b"/usr/libexec")
_MOST_PROGRAMS = 50_000

_T = t.TypeVar("_T")


class Deed(t.NamedTuple):
    """What happened to a file. path: absolute. inodes: those that the event's records have. time: of the event.

    is_managers: the package manager itself did it.
    """

    path: bytes
    inodes: t.Collection[int]
    time: float
    is_managers: bool


class PackageProof:
    """The proofs of one root, each database read when it is first needed; what is costly is bounded and remembered."""

    def __init__(self, root: bytes = b"/") -> None:
        self._root = root
        self._databases = PackageDatabases(root)
        self._accounts = AccountIds(root)
        self._indexes = SignedIndexes(root)
        self._archives = archives.KeptArchives(root, _MOST_ARCHIVES, _MOST_PACKED)
        self._signed_rpms: dict[tuple[str, str], float | None] = {}
        self._proved: dict[t.Any, Owned | None] = {}
        self._programs: dict[int, bytes] | None = None
        self._seconds = 0.0

    def shipped(self, deed: Deed, manager: str, has_frontend: bool) -> Owned | None:
        """Return the package that ships a file as it is now, None where nothing proves that one does."""
        return self._timed(lambda: self._shipped(deed, manager, has_frontend))

    def program(self, inodes: t.Collection[int]) -> bytes | None:
        """Return the path of a program by its inode, for a call that has no name; of where packages have programs."""
        if self._programs is None:
            self._programs = self._timed(self._find_programs) or {}
        return next((self._programs[inode] for inode in inodes if inode in self._programs), None)

    def copied(self, deed: Deed, package: str, has_frontend: bool) -> Owned | None:
        """Return the package whose script installed a configuration: a copy of what it ships by that name."""
        return self._timed(lambda: self._copied(deed, package, has_frontend))

    def genuine(self, path: bytes, timestamp: float, manager: str) -> Owned | None:
        """Return the package that ships a file as it is now, whoever put it there and whenever."""
        return self._timed(lambda: self._regular(path, timestamp, manager, True))

    def package(self, name: str, timestamp: float, has_frontend: bool) -> Owned | None:
        """Return an installed dpkg package of a name that a signed index has in this version."""

        def find() -> Owned | None:
            for package in self._databases.installed(name):
                owned = Owned.of(package)
                if self._provenance(owned, timestamp, has_frontend) is not None:
                    return owned
            return None

        return self._timed(find)

    def has_own_script(self, package: Owned, script: str, timestamp: float, has_frontend: bool) -> bool:
        """Say whether a maintainer script is the one of its package, and was when it ran."""
        return self._timed(lambda: self._has_own_script(package, script, timestamp, has_frontend)) or False

    def owner(self, path: bytes) -> Owned | None:
        return self._timed(lambda: self._databases.owner(path))

    def place(self, path: bytes) -> bytes:
        """Return where a path of the root is."""
        return os.path.join(self._root, path.lstrip(b"/"))

    def _timed(self, work: t.Callable[[], _T | None]) -> _T | None:
        if self._seconds > _SECONDS:
            return None
        started = time.monotonic()
        try:
            return work()
        except (OSError, ValueError):
            return None
        finally:
            self._seconds += time.monotonic() - started

    def _shipped(self, deed: Deed, manager: str, has_frontend: bool) -> Owned | None:
        base = _TEMPORARY.sub(b"", deed.path)
        status = self._status(base)
        is_recent = status is not None and deed.time - SETTLING <= status.st_ctime <= deed.time + SETTLING
        if status is None or status.st_ino not in deed.inodes:
            alone = self._left_alone(deed, manager, has_frontend)
            # Where the manager has replaced it once more, the file is another one.
            if alone is not None or status is None or not deed.is_managers:
                return alone
        if not is_recent:
            return None
        key = base, status.st_ino, status.st_ctime_ns, manager, has_frontend
        if key not in self._proved:
            kind = stat.S_IFMT(status.st_mode)
            prove = {stat.S_IFLNK: self._linked, stat.S_IFDIR: self._directory}.get(kind, self._regular)
            self._proved[key] = prove(base, deed.time, manager, has_frontend)
        return self._proved[key]

    def _copied(self, deed: Deed, package: str, has_frontend: bool) -> Owned | None:
        status = self._status(deed.path)
        if status is None or status.st_ino not in deed.inodes or not deed.path.startswith(b"/etc/"):
            return None
        if not deed.time - SETTLING <= status.st_ctime <= deed.time + SETTLING or stat.S_IMODE(status.st_mode) & 0o6022:
            return None
        status, digest = self._digest(deed.path, "md5")
        for path, owned in self._databases.shipping({"md5": digest}):
            is_named = os.path.basename(path) == os.path.basename(deed.path) and _TEMPLATE.match(path)
            is_its = is_named and owned.package == package and not status.st_uid
            if is_its and self._regular(path, deed.time, "dpkg", has_frontend) is not None:
                return owned
        return None

    def _find_programs(self) -> dict[int, bytes]:
        programs: dict[int, bytes] = {}
        directories = list(_PROGRAMS)
        while directories:
            directory = directories.pop(0)
            if len(programs) > _MOST_PROGRAMS:
                break
            try:
                with os.scandir(self.place(directory)) as entries:
                    for entry in entries:
                        path = directory + b"/" + os.fsencode(entry.name)
                        if entry.is_dir(follow_symlinks=False) and directory in _NESTED:
                            directories.append(path)
                        elif entry.is_file(follow_symlinks=False):
                            programs.setdefault(entry.inode(), path)
            except OSError:
                continue
        return programs

    def _left_alone(self, deed: Deed, manager: str, has_frontend: bool) -> Owned | None:
        """Return the package of a file of which dpkg unpacked a new version, and that stayed as it was."""
        base = _DPKG_TEMPORARY.sub(b"", deed.path)
        if base == deed.path or manager != "dpkg" or self._status(deed.path) is not None:
            return None
        owned = self._databases.owner(base)
        if owned is None or owned.manager != manager or self._provenance(owned, deed.time, has_frontend) is None:
            return None
        return owned

    def _regular(self, path: bytes, timestamp: float, manager: str, has_frontend: bool) -> Owned | None:
        """Return the package of a file whose content, owner and mode are the package's."""
        owned = self._databases.owner(path)
        if owned is None or owned.manager != manager or owned.obsolete or owned.ghost:
            return None
        provenance = self._provenance(owned, timestamp, has_frontend)
        if provenance is None:
            return None
        if isinstance(provenance, archives.Archive):
            return owned if self._is_of_archive(path, owned, provenance) else None
        algorithm = next(iter(owned.digests), None)
        if algorithm is None:
            return None
        status, digest = self._digest(path, algorithm)
        if digest != owned.digests[algorithm] or not self._has_mode(status, owned, bool(_SETUID_PROGRAMS.search(path))):
            return None
        return owned

    def _is_of_archive(self, path: bytes, owned: Owned, archive: archives.Archive) -> bool:
        names = self._databases.names(path)
        shipped = next((archive.files[name] for name in names if name in archive.files), None)
        if shipped is None or shipped.sha256 is None:
            return False
        status, digest = self._digest(path, "sha256")
        owner = self._accounts.uid(shipped.owner) if owned.uid is None else owned.uid
        if digest != shipped.sha256 or status.st_uid != owner:
            return False
        # Scripts of packages take rights away (sudo's 0440), and statoverrides give them.
        return not stat.S_IMODE(status.st_mode) & ~(shipped.mode if owned.mode is None else owned.mode)

    def _has_mode(self, status: os.stat_result, owned: Owned, is_setuid_program: bool) -> bool:
        """Say whether a mode is the package's; dpkg's database has none, so that nobody else may gain by it there."""
        mode = stat.S_IMODE(status.st_mode)
        if owned.manager == "rpm":
            return owned.mode == mode and status.st_uid == owned.uid
        if mode & 0o022 or (status.st_uid and not mode & stat.S_ISUID):
            return False
        if mode & stat.S_ISUID and not 0 < status.st_uid < _FIRST_PERSON:
            return is_setuid_program
        return not mode & stat.S_ISGID or self._is_weak_group(status.st_gid)

    def _is_weak_group(self, gid: int) -> bool:
        with open(self.place(b"/etc/group"), "rb") as file:
            for line in file.read(_CHUNK).split(b"\n"):
                fields = line.split(b":")
                if len(fields) > 2 and fields[2] == b"%d" % gid:
                    return gid < _FIRST_PERSON and os.fsdecode(fields[0]) not in _STRONG_GROUPS
        return False

    def _directory(self, path: bytes, timestamp: float, manager: str, has_frontend: bool) -> Owned | None:
        """Return a package that has a directory in which not everybody can do as he likes."""
        status = self._status(path)
        owned = self._databases.owner(path)
        if status is None or owned is None or owned.manager != manager:
            return None
        if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            return None
        return owned if self._provenance(owned, timestamp, has_frontend) is not None else None

    def _linked(self, path: bytes, timestamp: float, manager: str, has_frontend: bool) -> Owned | None:
        """Return the package that ships a link, or what it leads to where packages have such links."""
        of_link = self._databases.owner(path)
        if of_link is not None and of_link.manager == manager:
            provenance = self._provenance(of_link, timestamp, has_frontend)
            if isinstance(provenance, archives.Archive):
                shipped = [provenance.files[name] for name in self._databases.names(path) if name in provenance.files]
                return of_link if shipped and shipped[0].target == os.readlink(self.place(path)) else None
            if os.readlink(self.place(path)) == _NOTHING and not of_link.digests and not of_link.conffile:
                return of_link if provenance is not None and self._has_digests(of_link) else None
        target = path
        for _step in range(_LINK_STEPS):
            text = os.readlink(self.place(target))
            target = os.path.normpath(os.path.join(os.path.dirname(target), text))
            status = self._status(target)
            if status is None:
                return None
            if stat.S_ISREG(status.st_mode):
                is_link = of_link is not None and not of_link.digests and not of_link.conffile
                owned = self._regular(self._databases.names(target)[0], timestamp, manager, has_frontend)
                if owned is None or _LINKS.match(path):
                    return owned
                return owned if is_link and of_link is not None and of_link.key == owned.key else None
        return None

    def _has_digests(self, owned: Owned) -> bool:
        """Say whether dpkg has the digests of a package's files, so that what has none is a link."""
        for stem in (owned.package, "%s:%s" % (owned.package, owned.arch)):
            status = self._status(b"/var/lib/dpkg/info/" + os.fsencode(stem) + b".md5sums")
            if status is not None and status.st_size:
                return True
        return False

    def _provenance(self, owned: Owned, timestamp: float, has_frontend: bool) -> archives.Archive | bool | None:
        """Return the archive of a package, True where it is signed otherwise, None where nothing vouches for it.

        dpkg notes of a package what the package says of itself. Without the archive, what tells a package from another
        one of the same name and version is that apt took it, from the repositories that the host has.
        """
        if owned.manager == "rpm":
            key = owned.key, owned.version
            if key not in self._signed_rpms:
                self._signed_rpms[key] = self._databases.signed_since(owned)
            since = self._signed_rpms[key]
            return True if since is not None and since <= timestamp else None
        entry = self._indexes.entry(owned.package, owned.version, owned.arch)
        if entry is None or entry.since > timestamp:
            return None
        archive = self._archives.get(owned.package, owned.version, owned.arch, entry.sha256)
        if archive is False:
            return None
        return archive or (True if has_frontend else None)

    def _has_own_script(self, package: Owned, script: str, timestamp: float, has_frontend: bool) -> bool:
        provenance = self._provenance(package, timestamp, has_frontend)
        for stem in (package.package, "%s:%s" % (package.package, package.arch)):
            path = b"/var/lib/dpkg/info/" + os.fsencode(stem) + b"."
            status = self._status(path + script.encode("ascii"))
            listed = self._status(path + b"list")
            if status is None or listed is None or status.st_ctime > timestamp + 1:
                continue
            if isinstance(provenance, archives.Archive):
                _status, digest = self._digest(path + script.encode("ascii"), "sha256")
                return digest == hashlib.sha256(provenance.control.get(script, b"")).hexdigest()
            # dpkg writes both when it unpacks; who edits the script changes its time.
            return provenance is not None and status.st_ctime <= listed.st_ctime + 60
        return False

    def _status(self, path: bytes) -> os.stat_result | None:
        try:
            return os.lstat(self.place(path))
        except OSError:
            return None

    def _digest(self, path: bytes, algorithm: str) -> tuple[os.stat_result, str]:
        descriptor = os.open(self.place(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
                raise OSError("%r is not a regular file, or too large" % path)
            digest = hashlib.new(algorithm)
            for _count in range(_LARGEST // _CHUNK + 1):
                chunk = os.read(descriptor, _CHUNK)
                digest.update(chunk)
                if not chunk:
                    break
            return status, digest.hexdigest()
        finally:
            os.close(descriptor)
