# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a file system that someone hostile may be changing at the same time.

Nothing is opened by a path with links in it. A node is first pinned with ``O_PATH``, which opens nothing (no FIFO
waits for a writer, no device is touched, no automount is triggered); what it is, is asked of the pinned
descriptor; and only what turned out to be a regular file or directory is then opened for reading, through that same
descriptor. See open(2) under O_PATH, and path_resolution(7).
"""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import os
import platform
import struct
import sys
import typing as t

# O_NONBLOCK: opening never waits (leases, mandatory locks). O_NOCTTY and O_CLOEXEC: nothing is inherited.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PIN = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_PIN_DIRECTORY = _PIN | os.O_DIRECTORY

# openat2(2) has this number on every architecture; the C library has no function for it.
_OPENAT2 = 437
_AT_FDCWD = -100
_RESOLVE_NO_SYMLINKS = 0x04

IMMUTABLE = 0x10
APPEND_ONLY = 0x20

# Errors that say that what was expected at a path isn't there (any more).
GONE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG))

_PSEUDO = """
    bdev binder binfmt_misc bpf cgroup cgroup2 configfs cpuset debugfs devpts efivarfs functionfs fusectl mqueue nfsd
    nsfs pipefs proc pstore resctrl rpc_pipefs securityfs selinuxfs smackfs sockfs sysfs tracefs xenfs
"""
_NETWORK = """
    9p acfs afp afs autofs beegfs ceph cifs coda davfs gfarm glusterfs gpfs lustre mfs ncp ncpfs nfs nfs4 orangefs
    prl_fs pvfs2 smb3 smbfs vboxsf virtiofs vmhgfs
"""
_PSEUDO_FILE_SYSTEMS = frozenset(_PSEUDO.split())
_NETWORK_FILE_SYSTEMS = frozenset(_NETWORK.split())
_LOCAL_FUSE = frozenset(("fuse.fuse-overlayfs",))


def reason(error: OSError) -> str:
    """Return why something cannot be read, and what to do where it is root that is missing, for the coverage."""
    said = error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM) and os.geteuid() != 0:
        return "%s; run as root (become: true, or sudo make scan)" % said
    return said


def is_pseudo(file_system: str) -> bool:
    """Say whether a file system type, as in /proc/filesystems, shows the kernel's own objects and holds no files."""
    return file_system in _PSEUDO_FILE_SYSTEMS


def is_foreign(file_system: str) -> bool:
    """Say whether a file system type is a pseudo file system, or one whose files are on another machine.

    A FUSE file system is whatever its user-space program makes of it, and can stall: it counts as foreign.
    """
    if is_pseudo(file_system) or file_system in _NETWORK_FILE_SYSTEMS or file_system == "fuse":
        return True
    return file_system.startswith("fuse.") and file_system not in _LOCAL_FUSE


def open_directory(path: bytes) -> int:
    """Return a descriptor for reading a directory, reached from / without following any link.

    Raises OSError: with an errno in ``GONE`` when there is no such directory or a link is on the way.
    """
    names = [name for name in path.split(b"/") if name]
    current = os.open(b"/", _PIN_DIRECTORY)
    for name in names:
        try:
            following = os.open(name, _PIN_DIRECTORY, dir_fd=current)
        finally:
            os.close(current)
        current = following
    try:
        return os.open(b".", _READ | os.O_DIRECTORY, dir_fd=current)
    finally:
        os.close(current)


class _OpenHow(ctypes.Structure):
    """struct open_how of linux/openat2.h."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class DirectoryOpener:
    """Opens directories as ``open_directory`` does, in one call where the kernel has openat2(2) (Linux 5.6)."""

    def __init__(self) -> None:
        self._syscall = ctypes.CDLL(None, use_errno=True).syscall
        self._how = _OpenHow(_READ | os.O_DIRECTORY | os.O_NOFOLLOW, 0, _RESOLVE_NO_SYMLINKS)
        self._usable = True

    def open(self, path: bytes) -> int:
        """Return a descriptor for reading; raise OSError like ``open_directory``."""
        if self._usable:
            how = self._how
            descriptor: int = self._syscall(_OPENAT2, _AT_FDCWD, path, ctypes.byref(how), ctypes.sizeof(how))
            if descriptor >= 0:
                return descriptor
            code = ctypes.get_errno()
            # An old kernel, or a container's filter of system calls that doesn't know this one.
            self._usable = code not in (errno.ENOSYS, errno.EPERM)
            # A path that is too long for one call is none for many.
            if self._usable and code != errno.ENAMETOOLONG:
                raise OSError(code, os.strerror(code), os.fsdecode(path))
        return open_directory(path)


def pin(name: bytes, directory: int) -> int:
    """Return a descriptor that stands for a directory's child without having opened it."""
    return os.open(name, _PIN, dir_fd=directory)


class Reopener:
    """Opens pinned files for reading, through /proc/self/fd; one for each process, as that directory is its own."""

    def __init__(self) -> None:
        try:
            self._descriptors = os.open("/proc/self/fd", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise OSError(error.errno, "/proc is needed to open files safely, and is not mounted") from error
        self._pid = os.getpid()

    def read(self, pinned: int) -> int:
        """Return a descriptor for reading a pinned file that is known to be regular or a directory.

        The access time is left alone where the kernel allows it (owner or CAP_FOWNER). That it is the pinned
        file is the kernel's promise and checked by the caller's next fstat against the first.
        """
        name = str(pinned)
        try:
            return os.open(name, _READ | os.O_NOATIME, dir_fd=self._descriptors)
        except PermissionError:
            return os.open(name, _READ, dir_fd=self._descriptors)


def open_child(name: bytes, directory: int) -> int:
    """Return a descriptor for reading a directory's child that is a directory itself; OSError when it is none.

    The kernel looks at what it is before it opens it, because of O_DIRECTORY: nothing else is touched. The access time
    is left alone; EPERM where the kernel does not allow that.
    """
    return os.open(name, _READ | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NOATIME, dir_fd=directory)


def listed(directory: int) -> list[bytes]:
    """Return the names in an open directory, as bytes whatever the locale."""
    if sys.getfilesystemencoding() != "utf-8":
        return os.listdir(b"/proc/self/fd/%d" % directory)
    # Of a descriptor Python returns text: a detour, but a shorter one. No name holds a null character.
    names = "\0".join(os.listdir(directory))
    return names.encode("utf-8", "surrogateescape").split(b"\0") if names else []


def read_at(descriptor: int, offset: int, length: int) -> bytes:
    """Return ``length`` bytes of an open file, fewer only where it ends."""
    parts = []
    while length > 0:
        data = os.pread(descriptor, length, offset)
        if not data:
            break
        parts.append(data)
        offset += len(data)
        length -= len(data)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def pinned_path(pinned: int) -> bytes:
    """Return a path that leads to a pinned node itself, for calls that open nothing, such as listxattr(2)."""
    return b"/proc/self/fd/%d" % pinned


def link_target(pinned: int) -> bytes:
    """Return the target of a pinned symbolic link (readlinkat(2) with an empty path)."""
    return os.readlink(b"", dir_fd=pinned)


def _get_flags_request(machine: str) -> int:
    """Return FS_IOC_GETFLAGS, _IOR('f', 1, long) of linux/fs.h, whose direction bits depend on the architecture."""
    direction = 2 << 29 if machine.startswith(("ppc", "mips", "sparc", "alpha")) else 2 << 30
    return direction | struct.calcsize("l") << 16 | ord("f") << 8 | 1


_FS_IOC_GETFLAGS = _get_flags_request(platform.machine())


class FlagReader:
    """Reads the inode flags (ioctl_iflags(2)) of open files and directories; knows which devices have none."""

    def __init__(self) -> None:
        # The kernel writes an int although the request is defined with a long.
        self._buffer: t.MutableSequence[int] = array.array("i", [0, 0])
        self._without: set[int] = set()

    def flags(self, descriptor: int, device: int) -> int | None:
        """Return ``IMMUTABLE`` and ``APPEND_ONLY`` as set, or None where the file system has no such flags."""
        if device in self._without:
            return None
        try:
            fcntl.ioctl(descriptor, _FS_IOC_GETFLAGS, self._buffer)  # type: ignore[call-overload]
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                self._without.add(device)
            return None
        return self._buffer[0] & (IMMUTABLE | APPEND_ONLY)
